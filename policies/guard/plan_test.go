package guard

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/policies"
)

// A plan as text names what it changes, cuts off and watches.
func TestPlanText(t *testing.T) {
	t.Parallel()
	p := Plan{
		Host:    Host{NodeFilter: policies.NodeFilter{Name: "etcd-0", Member: true}},
		Changes: []policies.Difference{{What: "table inet etcdsec-prod", Kind: policies.Missing, Want: "the table"}},
		Cut:     []Cut{{"10.9.9.9:40000", 2379}},
		Checks:  []Check{{Name: "etcd-1", Address: "10.0.0.12:2379", Answers: true}, {Name: "etcd-2", Address: "10.0.0.13:2379"}},
	}
	const want = `host    host of member etcd-0
change  table inet etcdsec-prod  missing    the table
cut     10.9.9.9:40000           port 2379  connected now, and not let in by the spec
check   10.0.0.12:2379           etcd-1     answers
check   10.0.0.13:2379           etcd-2     does not answer, and is not watched
`
	var out bytes.Buffer
	if err := p.WriteText(&out); err != nil || out.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, out.String(), want)
	}
	out.Reset()
	if err := NewSettled(Kept).WriteText(&out); err != nil || out.String() != "kept\n" {
		t.Errorf("%v, got %q", err, out.String())
	}
}

// Rules that cut off somebody who is connected are not loaded, and nothing is done before, unless the
// caller takes it.
func TestCut(t *testing.T) {
	t.Parallel()
	p := Plan{Cut: []Cut{{"10.9.9.9:40000", 2379}, {"[fd00::9]:40001", 2380}}, Rules: policies.Nftables(newIntent(t))}
	_, err := p.Load(t.Context(), "/bin/false", Options{Now: time.Now})
	const want = "nothing was loaded, because hosts are connected that the spec does not let in:\n  10.9.9.9:40000 at port 2379\n  [fd00::9]:40001 at port 2380"
	if cut, is := errors.AsType[*CutError](err); !is || len(cut.Cut) != 2 || err.Error() != want {
		t.Errorf("got %v", err)
	}
	_, err = p.Load(t.Context(), "/bin/false", Options{Cut: true, ByChecks: true, Now: time.Now})
	if _, next := errors.AsType[*NoChecksError](err); !next {
		t.Errorf("with Cut: got %v, want what is wrong beside it", err)
	}
}

// nftables.service takes the path of a saved file from another folder, so that path is absolute.
func TestSavePlan(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	p := Plan{Rules: policies.Nftables(newIntent(t))}
	path, err := p.Save("rules.nft")
	if err != nil || path != filepath.Join(dir, "rules.nft") {
		t.Fatalf("got %s, %v", path, err)
	}
	data, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(data, p.Rules.Text()) {
		t.Errorf("%v: %s", err, data)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := p.Save("none/rules.nft"); err == nil {
		t.Error("saved in a folder that is not there")
	}
}
