package pki_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/pki"
)

func writeSpec(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(path, []byte(clitest.ThreeMembersSpec), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkStore checks that nothing in a store is half-written: every key has its certificate, every file
// parses, and the chain of the ledger is valid.
func checkStore(t *testing.T, dir string) (keys int) {
	t.Helper()
	if _, err := pki.ReadLedger(dir); err != nil {
		t.Error(err)
	}
	for _, pattern := range []string{"authorities/[a-z]*", "clients/[a-z]*", "nodes/[a-z]*/pki"} {
		bundles, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, bundle := range bundles {
			keys += checkBundle(t, bundle)
		}
	}
	return keys
}

func checkBundle(t *testing.T, bundle string) (keys int) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(bundle, "*.key"))
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range paths {
		keys++
		if _, err := tls.LoadX509KeyPair(strings.TrimSuffix(key, ".key")+".crt", key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
		if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", key, info.Mode(), err)
		}
	}
	if keys == 0 {
		t.Errorf("%s is there without a key", bundle)
	}
	return keys
}

// Killed at any moment, a bootstrap leaves nothing half-written, and runs until one is
// left alone finish the work. `make test-e2e` does so more often.
func TestBootstrapKilled(t *testing.T) { testBootstrapKilled(t, 3) }

func testBootstrapKilled(t *testing.T, rounds int) {
	t.Helper()
	spec := writeSpec(t)
	whole := filepath.Join(t.TempDir(), "whole")
	first := clitest.Command(t, "bootstrap", "-f", spec, whole) // which may build the binary, and takes long
	started := time.Now()
	if out, err := first.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	lasts := time.Since(started)
	killed := 0
	for round := range rounds {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(round))
		for range 8 {
			cmd := clitest.Command(t, "bootstrap", "-f", spec, dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			timer := time.AfterFunc(rand.N(lasts), func() { _ = cmd.Process.Kill() }) // it may have ended
			if err := cmd.Wait(); err != nil {
				killed++
			}
			timer.Stop()
			checkStore(t, dir)
		}
		if out, err := clitest.Command(t, "bootstrap", "-f", spec, dir).CombinedOutput(); err != nil {
			t.Fatalf("round %d: the run after the killed ones: %v\n%s", round, err, out)
		}
		if keys := checkStore(t, dir); keys != clitest.ThreeMembersKeys {
			t.Errorf("round %d: %d keys, want %d", round, keys, clitest.ThreeMembersKeys)
		}
		checkNoLeftovers(t, dir)
	}
	if killed < rounds { // once a run was left alone, the others have nothing to do and are soon done
		t.Errorf("only %d runs were killed: this test tested too little", killed)
	}
}

// checkNoLeftovers checks that a finished store contains no temporary files.
func checkNoLeftovers(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".tmp") || strings.HasSuffix(path, ".link") {
			t.Errorf("%s is left over", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Of two bootstraps at once one wins; the other says why it stopped, or came after it and
// found nothing to do. `make test-e2e` tries more often.
func TestBootstrapsAtOnce(t *testing.T) { testBootstrapsAtOnce(t, 2) }

func testBootstrapsAtOnce(t *testing.T, rounds int) {
	t.Helper()
	spec := writeSpec(t)
	refused := 0
	for round := range rounds {
		dir := filepath.Join(t.TempDir(), fmt.Sprint(round))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		var runs sync.WaitGroup
		outputs, errs := make([]bytes.Buffer, 4), make([]error, 4)
		for i := range outputs {
			runs.Go(func() {
				cmd := clitest.Command(t, "bootstrap", "-f", spec, dir)
				cmd.Stderr = &outputs[i]
				errs[i] = cmd.Run()
			})
		}
		runs.Wait()
		won := 0
		for i, err := range errs {
			var exit *exec.ExitError
			switch {
			case err == nil:
				won++
			case errors.As(err, &exit) && exit.ExitCode() == clitest.StatusFailed && strings.Contains(outputs[i].String(), "another etcdsec is working on it"):
				refused++
			default:
				t.Errorf("run %d: %v\n%s", i, err, outputs[i].String())
			}
		}
		if won == 0 {
			t.Error("no run won")
		}
		if keys := checkStore(t, dir); keys != clitest.ThreeMembersKeys {
			t.Errorf("%d keys, want %d", keys, clitest.ThreeMembersKeys)
		}
	}
	t.Logf("%d of %d runs were refused", refused, 4*rounds)
}

// On a disk that is full the run says so; the next one, with room, finishes the work.
func TestBootstrapOnAFullDisk(t *testing.T) {
	spec := writeSpec(t)
	for _, size := range []string{"16k", "40k", "64k", "128k"} {
		t.Run(size, func(t *testing.T) {
			disk := t.TempDir()
			if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size="+size); err != nil {
				t.Skipf("mounting a small disk wants root and CAP_SYS_ADMIN: %v", err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(disk, 0); err != nil {
					t.Error(err)
				}
			})
			dir := filepath.Join(disk, "store")
			cmd := clitest.Command(t, "bootstrap", "-f", spec, dir)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != clitest.StatusFailed || !strings.Contains(stderr.String(), "no space left on device") || !strings.Contains(stderr.String(), dir) {
				t.Fatalf("%v\n%s", err, stderr.String())
			}
			checkStore(t, dir)
			if err := syscall.Mount("tmpfs", disk, "tmpfs", syscall.MS_REMOUNT, "size=4m"); err != nil {
				t.Fatal(err)
			}
			if out, err := clitest.Command(t, "bootstrap", "-f", spec, dir).CombinedOutput(); err != nil {
				t.Fatalf("the run with room: %v\n%s", err, out)
			}
			if keys := checkStore(t, dir); keys != clitest.ThreeMembersKeys {
				t.Errorf("%d keys, want %d", keys, clitest.ThreeMembersKeys)
			}
		})
	}
}

// A spec of 1 GiB is refused after its first mebibyte.
func TestBootstrapHugeSpec(t *testing.T) {
	spec := writeSpec(t)
	if err := os.Truncate(spec, 1<<30); err != nil { // sparse
		t.Fatal(err)
	}
	out, err := clitest.Command(t, "bootstrap", "-f", spec, filepath.Join(t.TempDir(), "store")).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != clitest.StatusUsage || !strings.Contains(string(out), "larger than 1 MiB") {
		t.Errorf("%v\n%s", err, out)
	}
}

// A renewal on a full disk leaves every bundle whole, the old one or the new one, and is
// finished by the next, with room.
func TestRenewOnAFullDisk(t *testing.T) {
	spec := writeSpec(t)
	for _, room := range []int{0, 4 << 10, 16 << 10, 64 << 10} {
		t.Run(fmt.Sprint(room), func(t *testing.T) {
			disk := t.TempDir()
			if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
				t.Skipf("mounting a small disk wants root and CAP_SYS_ADMIN: %v", err)
			}
			t.Cleanup(func() {
				if err := syscall.Unmount(disk, 0); err != nil {
					t.Error(err)
				}
			})
			dir, filler := filepath.Join(disk, "store"), filepath.Join(disk, "filler")
			if out, err := clitest.Command(t, "bootstrap", "-f", spec, dir).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			var free syscall.Statfs_t
			if err := syscall.Statfs(disk, &free); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filler, make([]byte, int(free.Bavail)*int(free.Bsize)-room), 0o600); err != nil {
				t.Fatal(err)
			}
			out, err := clitest.Command(t, "pki", "renew", dir, "--all", "--new-key").CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != clitest.StatusFailed || !strings.Contains(string(out), "no space left on device") {
				t.Fatalf("%v\n%s", err, out)
			}
			if keys := checkStore(t, dir); keys != clitest.ThreeMembersKeys {
				t.Errorf("%d keys, want %d", keys, clitest.ThreeMembersKeys)
			}
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
			if out, err := clitest.Command(t, "pki", "renew", dir, "--all").CombinedOutput(); err != nil {
				t.Fatalf("the run with room: %v\n%s", err, out)
			}
			if keys := checkStore(t, dir); keys != clitest.ThreeMembersKeys {
				t.Errorf("%d keys, want %d", keys, clitest.ThreeMembersKeys)
			}
			if out, err := clitest.Command(t, "pki", "verify", dir).CombinedOutput(); err != nil || strings.Contains(string(out), "nodes/") || strings.Contains(string(out), "ledger") {
				t.Errorf("verify: %v\n%s", err, out)
			}
		})
	}
}
