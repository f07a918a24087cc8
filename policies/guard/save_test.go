package guard

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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

// The one change that waits is found, whichever cluster it is of, also where a former version put it.
func TestFindDir(t *testing.T) {
	t.Parallel()
	all := filepath.Join(t.TempDir(), "run")
	if _, err := FindDir(all); !errors.Is(err, ErrNone) {
		t.Errorf("no folder: %v", err)
	}
	change := func(dir string) {
		t.Helper()
		s, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Prepare([]byte("before"), Saving{}); err != nil {
			t.Fatal(err)
		}
	}
	undo := func(dir string) {
		t.Helper()
		if _, err := Decide(dir, Undo); err != nil {
			t.Fatal(err)
		}
		if _, err := Await(t.Context(), dir, "/bin/true"); err != nil {
			t.Fatal(err)
		}
	}
	change(all)
	if err := os.WriteFile(filepath.Join(all, "notes"), nil, 0o600); err != nil { // a file is no change
		t.Fatal(err)
	}
	if dir, err := FindDir(all); dir != all || err != nil {
		t.Errorf("where a former version put it: %s, %v", dir, err)
	}
	undo(all)
	one, change1 := filepath.Join(all, "one"), filepath.Join(all, "change") // a cluster may be named so
	for _, dir := range []string{one, change1} {
		change(dir)
		if found, err := FindDir(all); found != dir || err != nil {
			t.Errorf("%s: %s, %v", dir, found, err)
		}
		undo(dir)
	}
	if _, err := FindDir(all); !errors.Is(err, ErrNone) {
		t.Errorf("none waits: %v", err)
	}
	change(one)
	change(change1)
	if _, err := FindDir(all); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("two wait: %v", err)
	}
	if e, ok := errors.AsType[*SeveralError](func() error { _, err := FindDir(all); return err }()); !ok || len(e.Dirs) != 2 {
		t.Errorf("got %v", e)
	}
}

// The table under its former name is replaced in the transaction that loads the new one, and comes back
// in the one that undoes it.
func TestFormerTable(t *testing.T) {
	t.Parallel()
	i := newIntent(t)
	former := *policies.Nftables(i)
	former.Tables = slices.Clone(former.Tables)
	former.Tables[0].Name = policies.FormerNftablesTable
	p := Plan{Rules: policies.Nftables(i), live: &former}
	const asIfNft Nft = "/bin/echo" // lists the table by the words of the request
	next, previous, err := p.texts(t.Context(), asIfNft)
	if err != nil {
		t.Fatal(err)
	}
	const remove = "table inet etcdsec\ndelete table inet etcdsec\n"
	if want := string(p.Rules.Text()) + remove; string(next) != want {
		t.Errorf("loaded: %s, want %s", next, want)
	}
	if want := "table inet etcdsec-prod\ndelete table inet etcdsec-prod\n" + remove + "list table inet etcdsec\n"; string(previous) != want {
		t.Errorf("to undo it: %s, want %s", previous, want)
	}
	if got := p.FormerTable(); got != policies.FormerNftablesTable {
		t.Errorf("the former table is %q", got)
	}
	p.live = p.Rules
	if got := p.FormerTable(); got != "" {
		t.Errorf("without a former table: %q", got)
	}
	if next, _, err := p.texts(t.Context(), asIfNft); err != nil || string(next) != string(p.Rules.Text()) {
		t.Errorf("without a former table: %s, %v", next, err)
	}
}
