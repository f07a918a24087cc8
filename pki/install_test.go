package pki

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// installable returns a bundle, and two folders with different keys and certificates for it.
func installable(t *testing.T) (b Bundle, sources []string) {
	t.Helper()
	c := specOf(t, 1, "")
	dir := filepath.Join(t.TempDir(), "store")
	b, _, found := NewPlan(c).Find("etcd-0")
	if !found {
		t.Fatal("the plan has no etcd-0")
	}
	issue(t, dir, c, testNow())
	for _, name := range []string{"one", "other"} {
		from := filepath.Join(t.TempDir(), name)
		if err := os.CopyFS(from, os.DirFS(filepath.Join(dir, b.Path))); err != nil {
			t.Fatal(err)
		}
		for _, l := range b.Leaves {
			if err := os.Chmod(filepath.Join(from, l.KeyFile), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		sources = append(sources, from)
		renew(t, dir, c, testNow(), Renewal{All: true, NewKey: true})
	}
	return b, sources
}

// Two installs into one target at the same time: one of them may be refused, but the target always
// has a key and the certificate for it, and what the last one installed.
func TestInstallAtTheSameTime(t *testing.T) {
	b, sources := installable(t)
	for range 6 {
		target := filepath.Join(t.TempDir(), "target")
		var installs sync.WaitGroup
		errs := make([]error, 2*len(sources))
		for i := range errs {
			installs.Go(func() {
				from := sources[i%len(sources)]
				_, errs[i] = InstallBundle(b, InstallConfig{Signed: from, Keys: from, Target: target, Now: testNow()}, false)
			})
		}
		installs.Wait()
		done := 0
		for _, err := range errs {
			if err == nil {
				done++
			} else if !errors.Is(err, durable.ErrLocked) {
				t.Error(err)
			}
		}
		if done == 0 {
			t.Error("none of the installs was done")
		}
		for _, l := range b.Leaves {
			chain := readChain(t, filepath.Join(target, l.CertFile))
			key, err := ReadKey(filepath.Join(target, l.KeyFile))
			if err != nil || !samePublicKey(key.Public(), chain[0].PublicKey) {
				t.Errorf("%s: its key: %v", l.Name, err)
			}
		}
	}
}

// An install that finds its target locked changes nothing, and does not say that it was unfinished.
func TestInstallIntoALockedTarget(t *testing.T) {
	b, sources := installable(t)
	target := t.TempDir()
	config := InstallConfig{Signed: sources[0], Keys: sources[0], Target: target, Now: testNow()}
	if _, err := InstallBundle(b, config, false); err != nil {
		t.Fatal(err)
	}
	before := tree(t, target)
	release, err := durable.Lock(target)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	config.Signed, config.Keys = sources[1], sources[1]
	for _, dryRun := range []bool{true, false} {
		_, err := InstallBundle(b, config, dryRun)
		if _, unfinished := errors.AsType[*UnfinishedError](err); unfinished || !errors.Is(err, durable.ErrLocked) {
			t.Errorf("dry run %v: %v", dryRun, err)
		}
	}
	if diff := cmp.Diff(before, tree(t, target)); diff != "" {
		t.Error(diff)
	}
}
