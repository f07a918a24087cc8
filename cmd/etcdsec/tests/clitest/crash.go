package clitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Crash kills a verb that works on a store before each change of the disk that it makes, and
// half-way through each write. After each kill no key is unreadable and no line of the ledger
// is lost; the same command run again finishes the work and leaves nothing behind.
type Crash struct {
	// Base is a folder with all that the verb needs; each run works in a copy of it. The
	// store, if there is one, is its folder store.
	Base string
	Verb []string

	Keys   string // a folder of keys beside the store, or empty
	Hidden bool   // no plain key of a root may be left anywhere
}

// EveryPoint returns how many points the verb has, after having been killed at each of them.
func (c Crash) EveryPoint(t *testing.T) (points int) {
	t.Helper()
	for c.killedAt(t, points+1) {
		points++
	}
	return points
}

// RunKilled runs a command line in dir, killed at the failpoint of that number, or never
// where that is 0. Status -1 is a kill.
func RunKilled(t testing.TB, dir string, at int, args ...string) (status int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := command(ctx, Binary(t), args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Env, fmt.Sprintf("ETCDSEC_FAILPOINT=%d", at))
	out, err := cmd.CombinedOutput()
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return StatusDone, string(out)
	case !failed:
		t.Fatal(err)
	case ctx.Err() != nil:
		t.Fatalf("etcdsec %s: not done within two minutes\n%s", strings.Join(args, " "), out)
	case exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return -1, string(out)
	}
	return exit.ExitCode(), string(out)
}

// killedAt runs the verb on a copy of the base, killed at a point, checks what is left, and
// finishes the work. It is false when the verb has no such point any more.
func (c Crash) killedAt(t *testing.T, point int) bool {
	t.Helper()
	dir := filepath.Join(t.TempDir(), fmt.Sprint(point))
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", c.Base, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	defer func() { _ = os.RemoveAll(dir) }() // a hundred copies are too many to keep
	ledgerBefore := c.ledger(t, dir)
	status, out := RunKilled(t, dir, point, c.Verb...)
	killed := status == -1
	if !killed && status != 0 {
		t.Fatalf("point %d: status %d\n%s", point, status, out)
	}
	c.checkKeys(t, dir, point)
	encryption := c.encryption(t, dir, point)
	if !bytes.HasPrefix(c.ledger(t, dir), ledgerBefore) {
		t.Errorf("point %d: a line of the ledger is gone", point)
	}
	ledgerBetween := c.ledger(t, dir)
	ledgerBetween = ledgerBetween[:bytes.LastIndexByte(ledgerBetween, '\n')+1] // half a line was never released
	if status, out := RunKilled(t, dir, 0, c.Verb...); status != 0 {
		t.Errorf("point %d: the next run: status %d\n%s", point, status, out)
	}
	if !bytes.HasPrefix(c.ledger(t, dir), ledgerBetween) {
		t.Errorf("point %d: the next run lost a line of the ledger", point)
	}
	c.checkKeys(t, dir, point)
	if after := c.encryption(t, dir, point); encryption != nil && !bytes.Equal(after, encryption) {
		t.Errorf("point %d: the next run changed the key of what is stored", point)
	}
	c.checkLeftovers(t, dir, point)
	if _, err := os.Stat(filepath.Join(dir, "store")); err == nil {
		// The roots' keys are there, and imported certificates are not as planned.
		_, out := RunKilled(t, dir, 0, "pki", "verify", "store")
		for _, bad := range []string{"ledger", "cannot be read", "store/nodes/etcd-0/pki/peer.crt\n  is not there", "does not belong", "revocation list", "is gone"} {
			if strings.Contains(out, bad) {
				t.Errorf("point %d: verify:\n%s", point, out)
				break
			}
		}
	}
	return killed
}

func (c Crash) ledger(t *testing.T, dir string) []byte {
	data, err := os.ReadFile(filepath.Join(dir, "store", "ledger.jsonl"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return data
}

// encryption is the file with the key of what kube-apiserver stores, which is whole and closed
// to others; nil if it is not there.
func (c Crash) encryption(t *testing.T, dir string, point int) []byte {
	t.Helper()
	path := filepath.Join(dir, "store", "kubernetes", "encryption-config.yaml")
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	data, readErr := os.ReadFile(path)
	if err != nil || readErr != nil || info.Mode().Perm() != 0o600 || !bytes.HasSuffix(data, []byte("=\"\n")) {
		t.Errorf("point %d: %s: %v %v, mode %v, %d bytes", point, path, err, readErr, info.Mode(), len(data))
	}
	return data
}

// checkKeys wants every key that a name leads to whole, and closed to others.
func (c Crash) checkKeys(t *testing.T, dir string, point int) {
	t.Helper()
	for _, folder := range []string{"store", c.Keys} {
		if folder == "" {
			continue
		}
		err := filepath.WalkDir(filepath.Join(dir, folder), func(path string, e fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, ".key") || strings.HasPrefix(e.Name(), ".") {
				return err
			}
			info, err := os.Stat(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // a name whose version is about to come
			}
			data, readErr := os.ReadFile(path)
			current := !strings.Contains(path, "/.") // a version that no name leads to may be half-written
			if err != nil || readErr != nil || info.Mode().Perm()&0o077 != 0 || current && !bytes.HasSuffix(data, []byte("PRIVATE KEY-----\n")) {
				t.Errorf("point %d: %s: %v %v, mode %v, %d bytes", point, path, err, readErr, info.Mode(), len(data))
			}
			return nil
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func (c Crash) checkLeftovers(t *testing.T, dir string, point int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if c.Hidden && strings.Contains(path, "-root") && strings.HasSuffix(path, ".key") {
			t.Errorf("point %d: the plain key of a root is left: %s", point, path)
		}
		if err == nil && (strings.HasSuffix(path, ".tmp") || strings.HasSuffix(path, ".link")) {
			t.Errorf("point %d: left behind: %s", point, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
