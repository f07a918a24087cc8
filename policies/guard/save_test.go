package guard

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/policies"
)

// Whoever keeps a change saves its rules, although the command that made it was killed.
func TestSave(t *testing.T) {
	t.Parallel()
	const unused Nft = "/bin/false" // to keep a change needs no nft
	for _, test := range []struct {
		name     string
		decision Word
		folder   bool // the folder of the file is there
		saved    bool
	}{
		{"kept", Keep, true, true},
		{"kept, and it cannot be saved", Keep, false, false},
		{"undone", Undo, true, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir, path := stateDir(t), filepath.Join(t.TempDir(), "below", "rules.nft")
			if test.folder {
				if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			s, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Prepare([]byte("before"), Saving{path, []byte("after")}); err != nil {
				t.Fatal(err)
			}
			s.Close()
			if _, err := Decide(dir, test.decision); err != nil {
				t.Fatal(err)
			}
			n := unused
			if test.decision == Undo {
				n = "/bin/true"
			}
			outcome, err := Await(t.Context(), dir, n)
			if e, ok := errors.AsType[*SaveError](err); ok != !test.folder || ok && e.Path != path || !ok && err != nil {
				t.Errorf("got %v", err)
			}
			if (outcome == Kept) != (test.decision == Keep) {
				t.Errorf("got %s", outcome)
			}
			data, err := os.ReadFile(path)
			if saved := err == nil && string(data) == "after"; saved != test.saved {
				t.Errorf("saved %t: %q, %v", saved, data, err)
			}
			if test.folder {
				return
			}
			// It is kept, and to confirm it again saves it as soon as that can be done.
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if !isUnsaved(dir) {
				t.Error("nothing is left to save")
			}
			if outcome, err := Await(t.Context(), dir, unused); outcome != Kept || err != nil {
				t.Error(outcome, err)
			}
			info, err := os.Stat(path)
			if err != nil || info.Mode().Perm() != 0o600 || isUnsaved(dir) || SavePath(dir) != path {
				t.Errorf("%v, %v, unsaved %t", info, err, isUnsaved(dir))
			}
		})
	}
}

// Checks that could not see whether somebody is cut off keep nothing.
func TestNoChecks(t *testing.T) {
	t.Parallel()
	own := "10.99.0.1:2379"
	for _, test := range []struct {
		name      string
		checks    []Check
		refused   bool
		elsewhere bool
	}{
		{"none", nil, true, false},
		{"none that answers", []Check{{Address: own}, {Address: "10.99.0.2:2379"}}, true, false},
		{"only this host answers", []Check{{Address: own, Answers: true}, {Address: "127.0.0.1:2381", Answers: true}, {Address: "10.99.0.2:2379"}}, true, true},
		{"another host answers", []Check{{Address: own}, {Address: "10.99.0.2:2379", Answers: true}}, false, false},
		{"there is no other host", []Check{{Address: own, Answers: true}}, false, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := Plan{Checks: test.checks, Host: Host{policies.NodeFilter{}, []netip.Addr{netip.MustParseAddr("10.99.0.1")}}}
			for _, c := range test.checks {
				if c.Answers {
					p.probes = append(p.probes, Probe{Address: c.Address})
				}
			}
			err := p.checkChecks()
			e, refused := errors.AsType[*NoChecksError](err)
			if refused != test.refused || refused && e.Elsewhere != test.elsewhere {
				t.Errorf("got %v", err)
			}
			if !refused {
				return
			}
			_, err = p.Load(t.Context(), "/bin/false", Options{ByChecks: true, Now: time.Now})
			if _, first := errors.AsType[*NoChecksError](err); !first {
				t.Errorf("something was done before: %v", err)
			}
		})
	}
}
