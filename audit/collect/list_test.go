package collect

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
)

func TestReadList(t *testing.T) {
	const file = "\xef\xbb\xbf# the fleet\r\n" +
		"10.0.0.11:2379\r\n" +
		"\r\n" +
		"  https://etcd-1.example.internal:2379/  # written as etcdctl takes it\n" +
		"client=10.0.0.12:2379\tcluster=eu\n" +
		"peer=10.0.0.11:2380 cluster=eu # with a comment\n" +
		"metrics=[::1]:2381\n" +
		"apiserver=10.0.0.1:6443\n" +
		"#10.0.0.13:2379\n" +
		"kubelet=10.0.0.1:10250"
	got, err := ReadList("fleet.txt", strings.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	want := []Endpoint{
		{Address: "10.0.0.11:2379", Kind: audit.Client},
		{Address: "etcd-1.example.internal:2379", Kind: audit.Client},
		{Address: "10.0.0.12:2379", Kind: audit.Client, ClusterName: "eu"},
		{Address: "10.0.0.11:2380", Kind: audit.Peer, ClusterName: "eu"},
		{Address: "[::1]:2381", Kind: audit.Metrics},
		{Address: "10.0.0.1:6443", Kind: audit.APIServer},
		{Address: "10.0.0.1:10250", Kind: audit.Kubelet},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestReadListRefuses(t *testing.T) {
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "bad%d\n", i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		file string
		want []string
	}{
		"empty":         {"", []string{"fleet.txt: has no endpoint"}},
		"only comments": {"# a\n\n", []string{"has no endpoint"}},
		"all at once": {"a\n10.0.0.1:2379\npeers=b:1\nftp://c:1\n10.0.0.2:2379 10.0.0.3:2379\n\nHTTPS://10.0.0.1:2379\nhttp://10.0.0.1:2379\npeer=\nd:1 cluster=\ne:1 cluster=x cluster=y\n", []string{
			`fleet.txt:1: not host:port`,
			`fleet.txt:3: want one of client, peer, metrics, apiserver, kubelet before the =`,
			`fleet.txt:4: its scheme is not http or https`,
			`fleet.txt:5: want only cluster=NAME after`,
			`fleet.txt:7: its scheme is not`,
			`fleet.txt:8: 10.0.0.1:2379 is already on line 2`,
			`fleet.txt:9: not host:port`,
			`fleet.txt:10: want only cluster=NAME`,
			`fleet.txt:11: the cluster is given twice`,
		}},
		"as a peer too":     {"a:1\npeer=a:1\n", []string{"a:1 is already on line 1"}},
		"escape codes":      {"\x1b[2J:1\n", []string{`fleet.txt:1: not host:port`}},
		"a bad name":        {"a:1 cluster=\x1b[2J\n", []string{`the name of the cluster has characters`}},
		"NUL":               {"a\x00b:1\n", []string{"it has no host"}},
		"UTF-16":            {"\xff\xfea\x00:\x001\x00", []string{"it is UTF-16; save it as UTF-8"}},
		"a long line":       {"a:1\n" + strings.Repeat("x", 2000), []string{"fleet.txt:2: longer than 1024 bytes"}},
		"every line":        {many(1000), []string{`fleet.txt:100: not host:port`, "fleet.txt: 900 more lines have a fault"}},
		"more than is read": {strings.Repeat("\n", 3*maxEndpoints), []string{"more than 200000 lines"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ReadList("fleet.txt", strings.NewReader(c.file))
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "\x1b") {
				t.Error("the error is not fit for a terminal")
			}
		})
	}
}

func fleet(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "10.%d.%d.%d:2379\n", i>>16, i>>8&0xff, i&0xff)
	}
	return b.String()
}

func TestReadListLarge(t *testing.T) {
	endpoints, err := ReadList("fleet.txt", strings.NewReader(fleet(maxEndpoints)))
	if err != nil || len(endpoints) != maxEndpoints {
		t.Errorf("%d endpoints, %v", len(endpoints), err)
	}
	if _, err := ReadList("fleet.txt", strings.NewReader(fleet(maxEndpoints+1))); err == nil || !strings.Contains(err.Error(), "more than 100000 endpoints") {
		t.Errorf("got %v", err)
	}
	if _, err := ReadList("fleet.txt", io.LimitReader(endless{}, 1<<30)); err == nil {
		t.Error("an endless line is accepted")
	}
}

// What is accepted is a list of addresses as they are audited, each once, and reads the same again.
func FuzzReadList(f *testing.F) {
	seeds := []string{fleet(3), "\xef\xbb\xbfpeer=a:1 cluster=x # y\r\n", "#\n", "metrics=[::1]:2381", "a:1\na:1"}
	if len(seeds) == 0 {
		f.Fatal("no seed")
	}
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		endpoints, err := ReadList("list", bytes.NewReader(data))
		if err != nil {
			checkLines(t, err.Error())
			return
		}
		var b strings.Builder
		for _, e := range endpoints {
			fmt.Fprintf(&b, "%s=%s", e.Kind, e.Address)
			if e.ClusterName != "" {
				b.WriteString(" cluster=" + e.ClusterName)
			}
			b.WriteByte('\n')
		}
		again, err := ReadList("list", strings.NewReader(b.String()))
		if err != nil {
			t.Fatalf("accepted once only: %v\n%s", err, b.String())
		}
		if diff := gocmp.Diff(endpoints, again); diff != "" {
			t.Error(diff)
		}
	})
}

func checkLines(t *testing.T, text string) {
	t.Helper()
	if strings.ContainsAny(text, "\x00\x1b\r") {
		t.Errorf("%q is not fit for a terminal", text)
	}
}

// The shards of any list are all of it, none of it twice, and keep hosts and clusters together.
func TestShard(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	kinds := listKinds()
	for range 200 {
		var all []Endpoint
		for i := range random.IntN(300) {
			e := Endpoint{Kind: kinds[random.IntN(len(kinds))], Address: net.JoinHostPort(fmt.Sprintf("host-%d", random.IntN(60)), fmt.Sprint(1+i))}
			if random.IntN(3) == 0 {
				e.ClusterName = fmt.Sprintf("cluster-%d", random.IntN(5))
			}
			all = append(all, e)
		}
		count := 1 + random.IntN(20)
		var union []Endpoint
		shardOfGroup := map[string]int{}
		for index := range count {
			share := Shard(all, index, count)
			for _, e := range share {
				host, _, _ := net.SplitHostPort(e.Address)
				group := cmp.Or(e.ClusterName, host)
				if first, found := shardOfGroup[group]; found && first != index {
					t.Fatalf("%s is in shards %d and %d of %d", group, first, index, count)
				}
				shardOfGroup[group] = index
			}
			port := func(e Endpoint) int { // it counts up in all
				_, written, _ := net.SplitHostPort(e.Address)
				n, _ := strconv.Atoi(written)
				return n
			}
			if !slices.IsSortedFunc(share, func(a, b Endpoint) int { return cmp.Compare(port(a), port(b)) }) {
				t.Fatal("a shard is not in the order of the list")
			}
			union = append(union, share...)
		}
		byAddress := func(a, b Endpoint) int { return strings.Compare(a.Address, b.Address) }
		slices.SortFunc(union, byAddress)
		sorted := slices.SortedFunc(slices.Values(all), byAddress)
		if diff := gocmp.Diff(sorted, union); diff != "" {
			t.Fatalf("%d shards are not the whole: %s", count, diff)
		}
	}
}

// A host stays in its shard whatever else is in the list, in this release and in the next: the
// shards of one Job may run different ones for a while.
func TestShardIsStable(t *testing.T) {
	for host, want := range map[string]int{"10.0.0.11": 4, "10.0.0.12": 5, "etcd-0.example.internal": 1, "fd00::11": 1} {
		if got := shardOf(Endpoint{Address: net.JoinHostPort(host, "2379")}, 8); got != want {
			t.Errorf("%s: got %d, want %d", host, got, want)
		}
	}
}

// No shard has much more than its share of a large fleet.
func TestShardsAreEven(t *testing.T) {
	all, err := ReadList("fleet", strings.NewReader(fleet(10_000)))
	if err != nil {
		t.Fatal(err)
	}
	const count = 16
	for index := range count {
		if n := len(Shard(all, index, count)); n < 10_000/count*3/4 || n > 10_000/count*5/4 {
			t.Errorf("shard %d has %d of 10000", index, n)
		}
	}
}

type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }
