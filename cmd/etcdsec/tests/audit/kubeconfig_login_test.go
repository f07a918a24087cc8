package audit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// kubeconfigFor writes a kubeconfig for a server of the test.
func kubeconfigFor(t *testing.T, handler http.HandlerFunc, user string) string {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	path := filepath.Join(t.TempDir(), "kubeconfig")
	clitest.WriteFile(t, path, fmt.Appendf(nil, `apiVersion: v1
kind: Config
current-context: prod
contexts: [{name: prod, context: {cluster: prod, user: auditor}}]
clusters: [{name: prod, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: auditor, user: {%s}}]
`, server.URL, base64.StdEncoding.EncodeToString(ca), user))
	return path
}

func scriptLogin(script string, args ...string) string {
	quoted, _ := json.Marshal(append([]string{"-c", script, "sh"}, args...)) // strings cannot fail
	return fmt.Sprintf(`exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable, command: /bin/sh, args: %s}`, quoted)
}

// What client-go would say by itself is ours to say.
func TestKubeconfigLibraryIsSilent(t *testing.T) {
	t.Parallel()
	klog := regexp.MustCompile(`(?m)^[IWEF][0-9]{4} `)
	refused := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }
	for name, c := range map[string]struct {
		handler    http.HandlerFunc
		user, want string
	}{
		"an answer that breaks off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "1000")
			_, _ = w.Write([]byte(`{"kind":`))
		}, "token: t", "unexpected EOF"},
		// The second login fails.
		"a login that is refused": {refused, scriptLogin(`[ -e "$1" ] && exit 3; : > "$1"; echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t"}}'`, filepath.Join(t.TempDir(), "ran")), "HTTP status 401"},
		"a login that fails":      {refused, scriptLogin("exit 3"), `logging in as the user "auditor" of the kubeconfig /`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := clitest.Run(t, "audit", "run", "--kubeconfig", kubeconfigFor(t, c.handler, c.user))
			if status != clitest.StatusFailed || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("exit %d: %s%s", status, stdout, stderr)
			}
			if klog.MatchString(stderr) {
				t.Errorf("the library writes to stderr: %s", stderr)
			}
		})
	}
}

// A login that hangs is told, and ends with etcdsec, with what it started.
func TestKubeconfigLoginEnds(t *testing.T) {
	t.Parallel()
	for name, signal := range map[string]syscall.Signal{"terminated": syscall.SIGTERM, "interrupted": syscall.SIGINT, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			started := filepath.Join(t.TempDir(), "started")
			path := kubeconfigFor(t, http.NotFound, scriptLogin(`setsid sleep 3600 & echo $! > "$1.new"; mv "$1.new" "$1"; sleep 3600; exit 3`, started))
			cmd := clitest.Command(t, "audit", "run", "--kubeconfig", path)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr // a pipe, which lasts as long as anybody holds it
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			var child int
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
				if data, err := os.ReadFile(started); err == nil {
					if child, err = strconv.Atoi(strings.TrimSpace(string(data))); err != nil {
						t.Fatal(err)
					}
					break
				}
				if time.Now().After(deadline) {
					t.Fatal("the login does not start")
				}
			}
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			err := cmd.Wait()
			if err == nil || syscall.Kill(child, 0) == nil {
				t.Errorf("%v; the child of the login lives: %t", err, syscall.Kill(child, 0) == nil)
			}
			if signal != syscall.SIGKILL && !strings.Contains(stderr.String(), `with /bin/sh: `) {
				t.Errorf("stderr %q", stderr.String())
			}
		})
	}
}

// The notice has the program, the user and the time.
func TestKubeconfigLoginIsTold(t *testing.T) {
	t.Parallel()
	path := kubeconfigFor(t, http.NotFound, scriptLogin(`sleep 2.5; exit 3`))
	_, _, stderr := clitest.Run(t, "audit", "run", "--kubeconfig", path)
	want := regexp.MustCompile(`(?m)^etcdsec: waiting until [0-9:]{8} for the login of the user "auditor" of ` + regexp.QuoteMeta(path) + ` with /bin/sh$`)
	if len(want.FindAllString(stderr, -1)) != 1 {
		t.Errorf("stderr %q", stderr)
	}
}
