// Package clitest runs the etcdsec binary in tests. It builds the binary from the sources of this
// repository: with the race detector if the test has it, with the points at which the crash tests kill
// it (tag failpoints), and with a clock that a test can change (tag testclock).
package clitest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/etcdsec/etcdsec/internal/oracle"
)

// Exit statuses of etcdsec, the same for every verb.
const (
	StatusDone     = 0 // done, clean
	StatusFailed   = 1 // could not do it, or could not tell
	StatusUsage    = 2 // bad command line or spec
	StatusFindings = 3 // findings, or work due
)

// commandPackage is the import path of package main.
const commandPackage = "github.com/etcdsec/etcdsec/cmd/etcdsec"

// DaysVariable moves the clock of the binary forward by a number of days.
const DaysVariable = "ETCDSEC_TEST_DAYS"

// raceVariable stops a program with the race detector from sleeping for a second at its end.
const raceVariable = "GORACE=atexit_sleep_ms=0"

// buildFlagsVariable has the flags with which `make test` builds the tests, if it runs them: the binary
// that is built alike shares the compiled packages with them.
const buildFlagsVariable = "ETCDSEC_TEST_BUILD_FLAGS"

var built = sync.OnceValues(build)

// Binary returns the path of the binary. Its name is etcdsec, and its folder contains nothing else. The
// first call in a test process builds it.
func Binary(t testing.TB) string {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// build builds the binary in the user's cache folder. The Go tool does not touch an up-to-date binary
// there, so the packages of one `go test ./...` link it once.
func build() (string, error) {
	heedSignals()
	module, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module's folder: %w", err)
	}
	cache, err := oracle.CacheDir()
	if err != nil {
		return "", err
	}
	args := []string{"build", "-buildvcs=false", "-tags=failpoints,testclock"}
	if flags := strings.Fields(os.Getenv(buildFlagsVariable)); len(flags) > 0 {
		args = append(args, flags...)
	} else if raceEnabled {
		args = append(args, "-race")
	}
	// Clones beside each other do not share: each has sources of its own.
	key := sha256.Sum256(fmt.Appendf(nil, "%s %q", module, args))
	dir := filepath.Join(cache, fmt.Sprintf("clitest-%x", key[:6]))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return "", err
	}
	defer func() { _ = lock.Close() }() // which unlocks it
	for {
		if err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	if err != nil {
		return "", fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	path := filepath.Join(dir, "etcdsec")
	if out, err := exec.Command("go", append(args, "-o", path, commandPackage)...).CombinedOutput(); err != nil { //nolint:gosec // our own sources
		return "", fmt.Errorf("building etcdsec: %w\n%s", err, out)
	}
	return path, nil
}

// heedSignals makes what this process starts end with SIGHUP and SIGINT, also where somebody started the
// tests with nohup or in the background of a script, and so with these ignored.
func heedSignals() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) {
			signal.Notify(make(chan os.Signal, 1), s) // a program that is started does not inherit this
		}
	}
}

// Command returns a command line of etcdsec, not yet started. It ends with the test.
func Command(t testing.TB, args ...string) *exec.Cmd {
	t.Helper()
	return command(t.Context(), Binary(t), args...)
}

func command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = Environ()
	return cmd
}

// Environ returns the environment for the binary.
func Environ() []string { return append(os.Environ(), raceVariable) }

// Run runs a command line with empty standard input.
func Run(t testing.TB, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	cmd := Command(t, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), out.String(), errs.String()
	}
	if err != nil {
		t.Fatalf("etcdsec %s: %v\n%s", strings.Join(args, " "), err, errs.String())
	}
	return StatusDone, out.String(), errs.String()
}

// Expect runs a command line, checks its status, and returns its output.
func Expect(t testing.TB, want int, args ...string) string {
	t.Helper()
	status, stdout, stderr := Run(t, args...)
	if status != want {
		t.Fatalf("etcdsec %s: status %d, want %d\n%s%s", strings.Join(args, " "), status, want, stdout, stderr)
	}
	return stdout + stderr
}

// WriteFile writes a file that only its owner may read.
func WriteFile(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// WriteFileBelow writes a file, and creates the folders above it.
func WriteFileBelow(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	WriteFile(t, path, []byte(text))
}
