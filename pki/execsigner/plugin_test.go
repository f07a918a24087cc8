package execsigner_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/internal/leash"
	"github.com/etcdsec/etcdsec/pki/execsigner"
)

// The test binary is also the plugin that misbehaves: the environment of a plugin is
// reduced, so its first argument says so.
const pluginArg = "execsigner-test-plugin"

// askArg makes this binary ask the plugin that follows for its public key.
const askArg = "execsigner-test-ask"

func supervisor() []string { return []string{"/proc/self/exe", leash.Argument} }

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == leash.Argument { // whatever follows, or this binary would run itself
		if leash.Supervise(os.Args[2:]) != nil {
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == askArg {
		if _, err := execsigner.New(context.Background(), execsigner.Config{Argv: os.Args[2:], Key: "root", Supervisor: supervisor()}); err != nil {
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == pluginArg {
		// os.Exit would have the race detector wait a second for other threads.
		syscall.Exit(misbehave(os.Args[2:]))
	}
	code := m.Run()
	removeExample()
	os.Exit(code)
}

// misbehaving is the argv of a plugin that does one operation as it should, with the only
// key in dir, and another in its own way.
func misbehaving(dir, op, behaviour string, args ...string) []string {
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return append([]string{self, pluginArg, dir, op, behaviour}, args...)
}

func misbehave(args []string) (status int) {
	dir, op, behaviour, args := args[0], args[1], args[2], args[3:]
	switch behaviour {
	case "ignore-stdin": // TEXT
		fmt.Print(args[0])
		return 0
	case "linger":
		return linger()
	}
	line, err := io.ReadAll(os.Stdin)
	if err != nil {
		return fail(err)
	}
	var r struct {
		Op     string
		Digest []byte
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return fail(err)
	}
	key, err := loadOnlyKey(dir)
	if err != nil {
		return fail(err)
	}
	if r.Op != op {
		return behave(key, r.Op, r.Digest)
	}
	return behaviours(behaviour, args, key, line, r.Digest)
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, err)
	return 9
}

func loadOnlyKey(dir string) (*ecdsa.PrivateKey, error) {
	der, err := os.ReadFile(dir + "/key.der")
	if err != nil {
		return nil, err
	}
	return x509.ParseECPrivateKey(der)
}

// onlyKey is a folder of the test with a key for the plugin.
func onlyKey(t testing.TB) (dir string, key *ecdsa.PrivateKey) {
	t.Helper()
	key = generate(t, "ecdsa-p256").(*ecdsa.PrivateKey)
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := os.WriteFile(dir+"/key.der", der, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, key
}

func behave(key *ecdsa.PrivateKey, op string, digest []byte) int {
	field, answer := "signature", []byte(nil)
	var err error
	if op == "public-key" {
		field = "public_key"
		answer, err = x509.MarshalPKIXPublicKey(key.Public())
	} else {
		answer, err = key.Sign(rand.Reader, digest, crypto.SHA256)
	}
	if err != nil {
		return fail(err)
	}
	fmt.Printf(`{"version":1,%q:%q}`, field, base64.StdEncoding.EncodeToString(answer))
	return 0
}

func behaviours(behaviour string, args []string, key *ecdsa.PrivateKey, line, digest []byte) int {
	switch behaviour {
	case "print": // TEXT STATUS STDERR
		fmt.Print(args[0])
		fmt.Fprint(os.Stderr, args[2])
		status, err := strconv.Atoi(args[1])
		if err != nil {
			return fail(err)
		}
		return status
	case "answer-then": // STATUS
		status, err := strconv.Atoi(args[0])
		if err != nil {
			return fail(err)
		}
		return max(behave(key, "sign", digest), status)
	case "save-request": // PATH
		if err := os.WriteFile(args[0], line, 0o600); err != nil {
			return fail(err)
		}
		return behave(key, "sign", digest)
	case "sign-other": // signs something else
		return behave(key, "sign", make([]byte, len(digest)))
	case "sign-raw": // r and s concatenated
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			return fail(err)
		}
		raw := make([]byte, 64)
		r.FillBytes(raw[:32])
		s.FillBytes(raw[32:])
		fmt.Printf(`{"version":1,"signature":%q}`, base64.StdEncoding.EncodeToString(raw))
		return 0
	case "flood": // without end, and without care for whether anybody reads
		signal.Ignore(syscall.SIGPIPE)
		for {
			if _, err := fmt.Println(strings.Repeat("x", 1000)); err != nil {
				return linger()
			}
		}
	case "flood-stderr": // much, and then an answer
		for range 1000 {
			fmt.Fprintln(os.Stderr, strings.Repeat("e", 1000))
		}
		return behave(key, "sign", digest)
	case "surroundings":
		session, err := unix.Getsid(0)
		if err != nil {
			return fail(err)
		}
		text := fmt.Sprintf("own session %t, environment %q", session == os.Getpid(), os.Environ())
		fmt.Printf(`{"version":1,"error":%s}`, strconv.Quote(text))
		return 0
	case "hang", "leave-behind", "leave-behind-and-fail", "leave-behind-and-hang", "leave-session-behind", "leave-session-behind-and-hang": // FIFO
		fifo, err := os.OpenFile(args[0], os.O_WRONLY, 0)
		if err != nil {
			return fail(err)
		}
		if behaviour != "hang" {
			if err := leaveBehind(fifo, strings.Contains(behaviour, "session")); err != nil {
				return fail(err)
			}
		}
		if _, err := fifo.WriteString("r"); err != nil {
			return fail(err)
		}
		switch behaviour {
		case "leave-behind", "leave-session-behind":
			return behave(key, "sign", digest)
		case "leave-behind-and-fail":
			return 3
		}
		return linger()
	}
	return fail(fmt.Errorf("no behaviour %q", behaviour))
}

// leaveBehind starts a process that has our output and our end of the FIFO, perhaps in a session of its own.
func leaveBehind(fifo *os.File, session bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, pluginArg, "", "", "linger")
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = os.Stdout, os.Stderr, []*os.File{fifo}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: session}
	return cmd.Start()
}

// linger ends by itself in case that a test fails to see it end.
func linger() int {
	time.Sleep(5 * time.Minute)
	return 0
}

// lifeline is a FIFO of which a plugin that hangs, and what it leaves behind, have an end
// for as long as they live.
type lifeline struct {
	path        string
	ready, gone chan struct{}
}

func newLifeline(t *testing.T) *lifeline {
	t.Helper()
	l := &lifeline{path: filepath.Join(t.TempDir(), "fifo"), ready: make(chan struct{}), gone: make(chan struct{})}
	if err := syscall.Mkfifo(l.path, 0o600); err != nil {
		t.Fatal(err)
	}
	go func() {
		f, err := os.Open(l.path) // returns when the plugin has opened its end
		if err != nil {
			return
		}
		defer f.Close()
		if _, err := f.Read(make([]byte, 1)); err == nil {
			close(l.ready)
		}
		if _, err := io.Copy(io.Discard, f); err == nil {
			close(l.gone)
		}
	}()
	return l
}

// within fails the test when something does not happen that must.
func within(t *testing.T, happened <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-happened:
	case <-time.After(time.Minute):
		t.Fatalf("after a minute: %s", what)
	}
}
