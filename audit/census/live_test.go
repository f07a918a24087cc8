package census_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// take is a census that is to end by itself.
func take(t *testing.T, l census.Live) audit.Census {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	c, err := l.Census(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatal("the census did not end by itself")
	}
	return c
}

func whole(t *testing.T, c audit.Census, objects int64) {
	t.Helper()
	if !c.Complete || c.Objects != objects {
		t.Errorf("%d objects of %d, complete: %t: %s; %q", c.Objects, objects, c.Complete, c.Reason, c.Notes)
	}
}

// A store as a cluster in the middle of a rotation has it, in every release.
func TestLive(t *testing.T) {
	for _, version := range etcdtest.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			endpoint, _, _ := etcdtest.Plain(t, version)
			client, random := dial(t, endpoint), seeded()
			moved := sealed(random, "k-1", 100)
			kms := "k8s:enc:kms:v2:cloud:" + string(encryptedObject("kek-7", []byte("data")))
			pairs := []string{
				"/registry/secrets/a/x", moved,
				"/registry/secrets/b/y", moved,
				"/registry/secrets/b/new", sealed(random, "k-2", 100),
				"/registry/secrets/b/plain", "k8s\x00plain",
				"/registry/secrets/b/broken", "k8s:enc:secretbox:v1:k-1:short",
				"/registry/configmaps/a/big", sealed(random, "k-2", 1400<<10),
				"/registry/configmaps/a/kms", kms,
				"/registry/deployments/a/web", "k8s\x00",
				"/registry/minions/node-1", "k8s\x00",
				"/registry/services/specs/a/web", "k8s\x00",
				"/registry/masterleases/10.0.0.1", "k8s\x00",
				"/registry/stable.example.com/crontabs/a/every-day", `{"kind":"CronTab"}`,
				"/openshift.io/oauth/accesstokens/sha256~x", "k8s\x00",
				"/registry/odd", "no object",
				"compact_rev_key", "1",
				"\x01", "the first of all",
			}
			put(t, client, pairs...)
			before, err := client.Get(t.Context(), "x")
			if err != nil {
				t.Fatal(err)
			}

			c := take(t, live(endpoint))
			whole(t, c, 13)
			if c.Outside != 3 || c.Revision != before.Header.Revision || c.Source != endpoint {
				t.Errorf("%d outside at %d of %s", c.Outside, c.Revision, c.Source)
			}
			k1, k2 := audit.Writer{Provider: "secretbox", Key: "k-1"}, audit.Writer{Provider: "secretbox", Key: "k-2"}
			plain := func(encoding, name string, namespaces ...audit.NamespaceCensus) audit.ResourceCensus {
				return audit.ResourceCensus{
					Objects: 1, Plaintext: 1, Writers: []audit.WriterCount{}, PlaintextObjects: []string{name},
					Encodings: []audit.EncodingCount{{Encoding: encoding, Objects: 1}}, Namespaces: namespaces,
				}
			}
			inA := audit.NamespaceCensus{Namespace: "a", Objects: 1, Plaintext: 1, Writers: []audit.WriterCount{}}
			want := []audit.ResourceCensus{
				{
					Resource: "configmaps", Objects: 2, Writers: []audit.WriterCount{
						{Writer: audit.Writer{Provider: "kms v2", Key: "cloud", KeyID: "kek-7"}, Objects: 1, Sample: []string{"a/kms"}},
						{Writer: k2, Objects: 1, Sample: []string{"a/big"}},
					},
					Namespaces: []audit.NamespaceCensus{{Namespace: "a", Objects: 2, Writers: []audit.WriterCount{
						{Writer: audit.Writer{Provider: "kms v2", Key: "cloud", KeyID: "kek-7"}, Objects: 1}, {Writer: k2, Objects: 1},
					}}},
				},
				plain("json", "a/every-day", inA),
				plain("protobuf", "a/web", inA),
				plain("protobuf", "10.0.0.1"),
				plain("protobuf", "node-1"),
				plain("protobuf", "sha256~x"),
				{
					Resource: "secrets", Objects: 5, Plaintext: 1, Broken: 1,
					Writers: []audit.WriterCount{
						{Writer: k1, Objects: 2, Sample: []string{"a/x", "b/y"}}, {Writer: k2, Objects: 1, Sample: []string{"b/new"}},
					},
					Encodings:        []audit.EncodingCount{{Encoding: "protobuf", Objects: 1}},
					PlaintextObjects: []string{"b/plain"}, BrokenObjects: []string{"b/broken"},
					Namespaces: []audit.NamespaceCensus{
						{Namespace: "a", Objects: 1, Writers: []audit.WriterCount{{Writer: k1, Objects: 1}}},
						{Namespace: "b", Objects: 4, Plaintext: 1, Broken: 1, Writers: []audit.WriterCount{{Writer: k1, Objects: 1}, {Writer: k2, Objects: 1}}},
					},
				},
				plain("protobuf", "a/web", inA),
			}
			for i, name := range []string{"configmaps", "crontabs.stable.example.com", "deployments.apps", "masterleases", "nodes", "oauthaccesstokens.oauth.openshift.io", "secrets", "services"} {
				want[i].Resource = name
				want[i].Bookkeeping = name == "masterleases"
			}
			if diff := cmp.Diff(want, c.Resources); diff != "" {
				t.Errorf("resources (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(audit.Copies{Objects: 1, Named: []string{"secrets b/y"}}, c.Copies); diff != "" {
				t.Errorf("copies (-want +got):\n%s", diff)
			}
			after, err := client.Get(t.Context(), "x")
			if err != nil {
				t.Fatal(err)
			}
			if before.Header.Revision != after.Header.Revision || before.Header.RaftTerm != after.Header.RaftTerm {
				t.Errorf("the store was at %v and is at %v", before.Header, after.Header)
			}
			for prefix, objects := range map[string]int64{"registry": 12, "/openshift.io/": 1, "/nowhere": 0} {
				l := live(endpoint)
				l.Layout = census.NewLayout(prefix)
				c := take(t, l)
				whole(t, c, objects)
				if c.Objects+c.Outside != int64(len(pairs)/2) {
					t.Errorf("%s: %d objects and %d keys outside, of %d", prefix, c.Objects, c.Outside, len(pairs)/2)
				}
			}
		})
	}
}

func TestLiveEmpty(t *testing.T) {
	t.Parallel()
	endpoint, _, _ := etcdtest.Plain(t, etcdtest.V3_7)
	c := take(t, live(endpoint))
	whole(t, c, 0)
	if c.Outside != 0 || c.Revision != 1 || len(c.Resources) != 0 {
		t.Errorf("got %+v", c)
	}
}

// Keys of every shape are each seen once, whatever windows they are read in.
func TestLiveWindows(t *testing.T) {
	t.Parallel()
	endpoint, _, _ := etcdtest.Plain(t, etcdtest.V3_6, "--unsafe-no-fsync")
	var pairs []string
	add := func(key string) { pairs = append(pairs, key, "k8s\x00") }
	for i := range 9000 {
		add(fmt.Sprintf("/registry/pods/one/pod-%d", i))
		add(fmt.Sprintf("/registry/pods/n%d/p", i))
	}
	for i := range 3000 {
		add("/registry/events/a/" + strings.Repeat("e", i%400+1) + fmt.Sprint(i))
		add(fmt.Sprintf("/registry/group-%d.example.com/things/x", i))
		add(fmt.Sprintf("/registry/leases/\xff\xff%c%d/\xff", rune(i%255+1), i))
	}
	put(t, dial(t, endpoint), pairs...)
	whole(t, take(t, live(endpoint)), int64(len(pairs)/2))
}

// The pinned revision is compacted in the middle, and later again: of pages, and of a stream.
func TestLiveCompacted(t *testing.T) {
	for _, version := range etcdtest.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			endpoint, _, _ := etcdtest.Plain(t, version, "--unsafe-no-fsync")
			client := dial(t, endpoint)
			const keys = 10_000 // of 1 KiB: more than a member may send ahead
			fill(t, client, keys, 1024)
			l := live(endpoint)
			compactions, noticed := 0, 0
			var newest int64
			l.Warn = func(string, ...any) { noticed++ }
			l.Progress = func(done, _ int) {
				if done < 1000 || compactions == 2 || compactions > noticed {
					return
				}
				compactions++
				response, err := client.Put(t.Context(), fmt.Sprintf("/registry/secrets/zz/after-%d", compactions), "k8s\x00")
				if err != nil {
					t.Error(err)
					return
				}
				newest = response.Header.Revision
				if _, err := client.Compact(t.Context(), newest); err != nil {
					t.Error(err)
				}
			}
			c := take(t, l)
			whole(t, c, keys+2) // what was written meanwhile lies behind
			if c.Revision != newest || len(c.Notes) != 2 || !strings.Contains(c.Notes[0], "was compacted during the census; from secrets ns-000") {
				t.Errorf("at %d, want %d: %q", c.Revision, newest, c.Notes)
			}
		})
	}
}

// trio are three members of one cluster.
func trio(t *testing.T, version string) (endpoints []string, members []*etcdtest.Member) {
	t.Helper()
	ports := etcdtest.FreePorts(t, 6)
	var initial []string
	for i := range 3 {
		initial = append(initial, fmt.Sprintf("m%d=http://127.0.0.1:%d", i, ports[3+i]))
	}
	var configs []etcdtest.Config
	for i := range 3 {
		client, peer := fmt.Sprintf("127.0.0.1:%d", ports[i]), fmt.Sprintf("http://127.0.0.1:%d", ports[3+i])
		endpoints = append(endpoints, client)
		configs = append(configs, etcdtest.Config{
			Name: fmt.Sprintf("m%d", i), Version: version, HealthURL: "http://" + client + "/health",
			Args: []string{
				fmt.Sprintf("--name=m%d", i), "--data-dir=" + t.TempDir(), "--initial-cluster=" + strings.Join(initial, ","), "--unsafe-no-fsync",
				"--listen-client-urls=http://" + client, "--advertise-client-urls=http://" + client,
				"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
			},
		})
	}
	return endpoints, etcdtest.Run(t, configs...)
}

// The member that is asked dies in the middle; the next one goes on at the same revision.
func TestLiveMemberKilled(t *testing.T) {
	for _, version := range []string{etcdtest.V3_6, etcdtest.V3_7} { // in pages, and as a stream
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			liveMemberKilled(t, version)
		})
	}
}

func liveMemberKilled(t *testing.T, version string) {
	endpoints, members := trio(t, version)
	client := dial(t, endpoints...)
	fill(t, client, 5000, 64)
	l := live(endpoints...)
	var once sync.Once
	l.Progress = func(done, _ int) {
		if done > 0 {
			once.Do(func() {
				if _, err := client.Put(t.Context(), "/registry/secrets/zz/later", "k8s\x00"); err != nil {
					t.Error(err)
				}
				members[0].Kill()
			})
		}
	}
	c := take(t, l)
	whole(t, c, 5000)
	if len(c.Notes) != 1 || !strings.Contains(c.Notes[0], endpoints[0]) || !strings.Contains(c.Notes[0], endpoints[1]+" takes over") {
		t.Errorf("notes: %q", c.Notes)
	}

	// Where no member is left, what was seen is told.
	l = live(endpoints[1])
	once = sync.Once{}
	l.Progress = func(done, _ int) {
		if done > 0 {
			once.Do(members[1].Kill)
		}
	}
	c = take(t, l)
	if c.Complete || c.Objects == 0 || c.Objects >= 5000 || !strings.Contains(c.Reason, endpoints[1]) {
		t.Errorf("%d objects, complete: %t: %s", c.Objects, c.Complete, c.Reason)
	}
}

// A member of another cluster does not take over.
func TestLiveOtherCluster(t *testing.T) {
	t.Parallel()
	first, _, member := etcdtest.Plain(t, etcdtest.V3_6, "--unsafe-no-fsync")
	second, _, _ := etcdtest.Plain(t, etcdtest.V3_6, "--unsafe-no-fsync", "--initial-cluster-token=other")
	fill(t, dial(t, first), 3000, 64)
	fill(t, dial(t, second), 3000, 64)
	l := live(first, second)
	var once sync.Once
	l.Progress = func(done, _ int) {
		if done > 0 {
			once.Do(member.Kill)
		}
	}
	c := take(t, l)
	if c.Complete || c.Objects >= 3000 || !slices.ContainsFunc(append(c.Notes, c.Reason), func(s string) bool { return strings.Contains(s, "a member of another cluster") }) {
		t.Errorf("%d objects, complete: %t: %s; %q", c.Objects, c.Complete, c.Reason, c.Notes)
	}
}

func TestLiveInterrupted(t *testing.T) {
	t.Parallel()
	endpoint, _, _ := etcdtest.Plain(t, etcdtest.V3_6, "--unsafe-no-fsync")
	fill(t, dial(t, endpoint), 3000, 64)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	l := live(endpoint)
	l.Rate = 1 // an hour
	l.Progress = func(done, _ int) {
		if done > 0 {
			cancel()
		}
	}
	c, err := l.Census(ctx)
	if err != nil || c.Complete || c.Objects == 0 || c.Objects >= 3000 || c.Reason != "the census was interrupted" {
		t.Errorf("%d objects, complete: %t: %s, %v", c.Objects, c.Complete, c.Reason, err)
	}
}

func TestLiveUnreachable(t *testing.T) {
	t.Parallel()
	closed := fmt.Sprintf("127.0.0.1:%d", etcdtest.FreePort(t))
	c := take(t, live(closed))
	if c.Complete || !strings.Contains(c.Reason, "connection refused") {
		t.Errorf("complete: %t: %s", c.Complete, c.Reason)
	}
	for _, written := range []string{"", "127.0.0.1", "http://127.0.0.1", "http://a:1/b", "https://u@a:1", "a:99999", "http://a:1?x", "unix:///run/etcd"} {
		l := live()
		l.Endpoints = []string{written}
		if _, err := l.Census(t.Context()); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", written)) {
			t.Errorf("%q: %v", written, err)
		}
	}
	if _, err := live().Census(t.Context()); err == nil {
		t.Error("no endpoint is none to complain about")
	}
}
