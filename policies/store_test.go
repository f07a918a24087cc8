package policies

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cluster"
)

// A store gets the files of every backend; one that is refused is a warning, and so is a spec without
// any way to isolate etcd.
func TestStoreFiles(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		isolation string
		files     []string // member:path
		warning   string
	}{
		"two backends":   {"{backends: [nftables, cilium]}", []string{"etcd-0:", "etcd-1:", "etcd-2:", ":isolation-cilium.yaml"}, ""},
		"one is refused": {"{backends: [networkpolicy, nftables]}", []string{"etcd-0:"}, "; nothing is written for it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read, err := cluster.Read("cluster.yaml", strings.NewReader(spec+"  isolation: "+c.isolation+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			files, warnings, err := StoreFiles(read)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, f := range files {
				if len(f.Data) == 0 {
					t.Errorf("%s is empty", f.Path)
				}
				got = append(got, f.Member+":"+f.Path)
			}
			for _, want := range c.files {
				if !strings.Contains("\n"+strings.Join(got, "\n"), "\n"+want) {
					t.Errorf("no %s in %q", want, got)
				}
			}
			if all := strings.Join(warnings, "\n"); !strings.Contains(all, c.warning) || c.warning == "" && strings.Contains(all, "nothing is written") {
				t.Errorf("warnings: %q", warnings)
			}
		})
	}
}

// Differences are lines of a table, and an output that is full is an error.
func TestDriftText(t *testing.T) {
	t.Parallel()
	result := NewDriftResult([]Difference{{Where: "etcd-0", What: "set members4", Kind: Changed, Want: "10.0.0.11", Live: "10.0.0.12"}, {What: "table", Kind: Missing, Want: "x"}})
	var out bytes.Buffer
	const want = "etcd-0  set members4  changed  10.0.0.12, want 10.0.0.11\n        table         missing  x\n"
	if err := result.WriteText(&out); err != nil || out.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, out.String(), want)
	}
	if err := result.WriteText(fullDisk{}); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

var errFull = errors.New("no space left on device")

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }
