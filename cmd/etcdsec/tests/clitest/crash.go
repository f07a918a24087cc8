package clitest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Crash kills a verb that works on a store, before changes of the disk and in the middle of writes.
// After each kill, every key is readable and no line of the ledger is lost. The same command, run again,
// finishes the work and leaves no temporary files.
type Crash struct {
	// Base is a folder with all that the verb needs; each run works in a copy of it. The
	// store, if there is one, is its folder store.
	Base string
	Verb []string

	Keys   string // a folder of keys beside the store, or empty
	Hidden bool   // no plain key of a root may be left anywhere
	Days   int    // how far ahead the verb's clock is
}

// Points chooses the points at which a verb is killed, in order and counted from 1. trace has the name
// of the function at each point of the verb.
type Points func(t *testing.T, trace []string) []int

// EveryPoint chooses all points.
func EveryPoint(_ *testing.T, trace []string) []int {
	all := make([]int, len(trace))
	for i := range all {
		all[i] = i + 1
	}
	return all
}

// seedVariable repeats the sample of an earlier run.
const seedVariable = "ETCDSEC_TEST_SEED"

// SamplePoints chooses the first point, the last one, those before and after the first line of the ledger
// and the last swap of a symlink, and two at random, one in each half of the verb. The suites behind the
// build tag e2e, which CI runs, choose all.
func SamplePoints(t *testing.T, trace []string) []int {
	t.Helper()
	var always []int
	for i, function := range trace {
		if strings.HasSuffix(function, "durable.Append") {
			always = append(always, i+1, min(len(trace), i+2))
			break
		}
	}
	for i, function := range slices.Backward(trace) {
		if strings.HasSuffix(function, "durable.symlink") {
			always = append(always, i+1, min(len(trace), i+2))
			break
		}
	}
	const spread = 2
	return Sample(t, len(trace), spread, always...)
}

// Sample chooses points from 1 to last: the first and the last one, those in always, and a random one in
// each of some equal parts. It prints the seed.
func Sample(t *testing.T, last, parts int, always ...int) []int {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv(seedVariable); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatalf("%s: %v", seedVariable, err)
		}
	}
	t.Logf("this sample again: %s=%d", seedVariable, seed)
	random := rand.New(rand.NewPCG(seed, 0))
	chosen := map[int]bool{1: true, last: true}
	for _, point := range always {
		chosen[point] = true
	}
	for part := range parts {
		from, to := part*last/parts, (part+1)*last/parts
		if from < to {
			chosen[1+from+random.IntN(to-from)] = true
		}
	}
	return slices.Sorted(maps.Keys(chosen))
}

// Kill kills the verb at the chosen points, and returns how many points it has.
func (c Crash) Kill(t *testing.T, choose Points) (points int) {
	t.Helper()
	trace := c.trace(t)
	if len(trace) == 0 {
		t.Fatal("the verb comes by no point")
	}
	chosen := choose(t, trace)
	for _, point := range chosen {
		if !c.killedAt(t, point) {
			t.Errorf("point %d of %d was not reached", point, len(trace))
		}
	}
	if c.killedAt(t, len(trace)+1) {
		t.Errorf("there are more than %d points", len(trace))
	}
	t.Logf("killed at %d of %d points", len(chosen), len(trace))
	return len(trace)
}

// trace returns the name of the function at each point of the verb.
func (c Crash) trace(t *testing.T) []string {
	t.Helper()
	return traceWith(t, c.copyOfBase(t), []string{c.clock()}, c.Verb...)
}

// Trace runs a command line in dir, which must succeed, and returns the name of the function at each
// failpoint that it reached.
func Trace(t *testing.T, dir string, args ...string) []string {
	t.Helper()
	return traceWith(t, dir, nil, args...)
}

// traceWith is Trace with more variables in the environment.
func traceWith(t *testing.T, dir string, variables []string, args ...string) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "trace")
	if status, out := runWith(t, dir, append(variables, "ETCDSEC_FAILPOINT_TRACE="+path), args...); status != StatusDone {
		t.Fatalf("status %d\n%s", status, out)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(data)), "\n")
}

// RunKilled runs a command line in dir and kills it at a failpoint, counted from 1; 0 means never.
// Status -1 means that it was killed.
func RunKilled(t testing.TB, dir string, at int, args ...string) (status int, output string) {
	t.Helper()
	return runWith(t, dir, []string{fmt.Sprintf("ETCDSEC_FAILPOINT=%d", at)}, args...)
}

// runKilled is RunKilled with the clock of the verb.
func (c Crash) runKilled(t testing.TB, dir string, at int, args ...string) (status int, output string) {
	t.Helper()
	return runWith(t, dir, []string{fmt.Sprintf("ETCDSEC_FAILPOINT=%d", at), c.clock()}, args...)
}

// clock returns the variable that moves the clock of the binary.
func (c Crash) clock() string { return fmt.Sprintf("ETCDSEC_TEST_DAYS=%d", c.Days) }

// runWith runs a command line in dir with more variables in its environment.
func runWith(t testing.TB, dir string, variables []string, args ...string) (status int, output string) {
	t.Helper()
	const patience = 10 * time.Minute // a process that hangs; a slow one is no fault
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := command(ctx, Binary(t), args...)
	cmd.Dir = dir
	cmd.Env = append(cmd.Env, variables...)
	out, err := cmd.CombinedOutput()
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return StatusDone, string(out)
	case !failed:
		t.Fatal(err)
	case ctx.Err() != nil:
		t.Fatalf("etcdsec %s: not done within %v\n%s", strings.Join(args, " "), patience, out)
	case exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL:
		return -1, string(out)
	}
	return exit.ExitCode(), string(out)
}

// copyOfBase returns a copy of the base, in which a verb can work.
func (c Crash) copyOfBase(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "copy")
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", c.Base, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

// killedAt runs the verb on a copy of the base, kills it at a point, checks what is left, and finishes
// the work. It returns false if the verb does not have this point.
func (c Crash) killedAt(t *testing.T, point int) bool {
	t.Helper()
	dir := c.copyOfBase(t)
	defer func() { _ = os.RemoveAll(dir) }() // a hundred copies are too many to keep
	ledgerBefore := c.ledger(t, dir)
	status, out := c.runKilled(t, dir, point, c.Verb...)
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
	if status, out := c.runKilled(t, dir, 0, c.Verb...); status != 0 {
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
		_, out := c.runKilled(t, dir, 0, "pki", "verify", "store")
		for _, bad := range []string{"ledger", "cannot be read", "store/nodes/etcd-0/pki/peer.crt\n  is missing", "does not belong", "revocation list", "its key was made in this store and is missing", "was replaced", "the key of a former", "is not the last one issued"} {
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

// encryption returns the file with the encryption key of kube-apiserver, or nil if there is none. It
// checks that the file is complete and that others cannot read it.
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

// checkKeys checks that every key in use is complete and that others cannot read it.
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
	versions := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if bundle, version, ok := cutVersion(path); ok {
			versions[bundle]++
			if versions[bundle] > 2 {
				t.Errorf("point %d: version %s of %s is left beside the current and the previous one", point, version, bundle)
			}
		}
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

// cutVersion cuts the path of a hidden folder at the number of its version.
func cutVersion(path string) (bundle, version string, ok bool) {
	at := strings.LastIndexByte(path, '.')
	if at < 0 || !strings.HasPrefix(filepath.Base(path), ".") {
		return "", "", false
	}
	_, err := strconv.Atoi(path[at+1:])
	return path[:at], path[at+1:], err == nil
}
