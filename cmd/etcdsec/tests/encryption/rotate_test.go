package encryption_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/kubetest"
)

// rotationSite is a store and real API servers with its EncryptionConfiguration.
type rotationSite struct {
	*kubetest.Cluster
	spec, dir string
	files     string            // the folder to which spec.encryption.push brings the files
	secrets   map[string]string // that were written, by name
}

func newRotationSite(t *testing.T, servers int) *rotationSite {
	t.Helper()
	base := t.TempDir()
	s := &rotationSite{spec: filepath.Join(base, "cluster.yaml"), dir: filepath.Join(base, "store"), files: filepath.Join(base, "brought"), secrets: map[string]string{}}
	if err := os.Mkdir(s.files, 0o700); err != nil {
		t.Fatal(err)
	}
	clitest.WriteFile(t, s.spec, []byte(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: test}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [127.0.0.1]}]
  encryption: {resources: [secrets, configmaps], push: [cp, "{{.File}}", "`+s.files+`/{{.Name}}.yaml"]}
`))
	if status, _, stderr := clitest.Run(t, "encryption", "generate", "-f", s.spec, s.dir); status != clitest.StatusDone {
		t.Fatal(stderr)
	}
	file, err := os.ReadFile(s.config())
	if err != nil {
		t.Fatal(err)
	}
	s.Cluster = kubetest.Start(t, kubetest.Config{Servers: servers, Encryption: file})
	return s
}

func (s *rotationSite) config() string {
	return filepath.Join(s.dir, "kubernetes", "encryption-config.yaml")
}

// args returns the arguments of a verb of rotate.
func (s *rotationSite) args(verb ...string) []string {
	args := append([]string{"encryption", "rotate"}, verb...)
	args = append(args, "-f", s.spec, s.dir, "--kubeconfig", s.Kubeconfig, "--endpoints", "https://"+s.Etcd,
		"--cacert", s.EtcdFiles.CA, "--cert", s.EtcdFiles.Cert, "--key", s.EtcdFiles.Key)
	for i, server := range s.Servers {
		args = append(args, "--apiserver", fmt.Sprintf("cp-%d=%s", i, server.Address))
	}
	return args
}

// rotate returns the arguments of a rotation that copies files to where the servers read them.
func (s *rotationSite) rotate(more ...string) []string {
	args := s.args()
	for i, server := range s.Servers {
		args = append(args, "--install", fmt.Sprintf("cp-%d=%s", i, server.EncryptionConfig))
	}
	return append(append(args, "--wait", "60s", "--min-age", "0"), more...)
}

// store writes a Secret through one of the API servers.
func (s *rotationSite) store(t *testing.T, server int, name string) {
	t.Helper()
	value := "value of " + name
	body := fmt.Appendf(nil, `{"kind":"Secret","apiVersion":"v1","metadata":{"name":%q},"stringData":{"value":%q}}`, name, value)
	if err := s.Servers[server].Client(t).Send(t.Context(), http.MethodPost, "/api/v1/namespaces/default/secrets", "application/json", body, nil); err != nil {
		t.Fatal(err)
	}
	s.secrets[name] = value
}

// read reads every Secret through each API server.
func (s *rotationSite) read(t *testing.T) {
	t.Helper()
	for _, server := range s.Servers {
		var list struct {
			Items []struct {
				Metadata struct{ Name string }
				Data     struct{ Value []byte }
			}
		}
		if err := server.Client(t).Get(context.WithoutCancel(t.Context()), "/api/v1/namespaces/default/secrets", url.Values{}, "application/json", &list); err != nil {
			t.Fatalf("%s: %v", server.Address, err)
		}
		got := map[string]string{}
		for _, item := range list.Items {
			got[item.Metadata.Name] = string(item.Data.Value)
		}
		for name, value := range s.secrets {
			if got[name] != value {
				t.Errorf("%s: Secret %s is %q", server.Address, name, got[name])
			}
		}
	}
}

// keys returns the key material in the files of the store.
func (s *rotationSite) keys(t *testing.T) []string {
	t.Helper()
	var keys []string
	err := filepath.WalkDir(s.dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if info, err := entry.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v: %v", path, info.Mode(), err)
		}
		data, err := os.ReadFile(path)
		for _, found := range regexp.MustCompile(`secret: (\S+)`).FindAllStringSubmatch(string(data), -1) {
			keys = append(keys, strings.Trim(found[1], `"`))
		}
		return err
	})
	if err != nil || len(keys) == 0 {
		t.Fatalf("%d keys: %v", len(keys), err)
	}
	return keys
}

// A rotation as an operator makes it: looked at first, stage by stage, with a census that
// shows each, and then at once; nothing is lost, and no key is ever shown.
func TestEncryptionRotate(t *testing.T) {
	t.Parallel()
	s := newRotationSite(t, 2)
	for i := range 20 {
		s.store(t, i%2, fmt.Sprintf("s%d", i))
	}
	var said strings.Builder
	verb := func(want int, args ...string) string {
		t.Helper()
		status, stdout, stderr := clitest.Run(t, args...)
		said.WriteString(stdout + stderr)
		if status != want {
			t.Fatalf("exit %d, want %d: %s%s", status, want, stdout, stderr)
		}
		return stdout + stderr
	}
	has := func(text string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
	}
	census := func(want int) string {
		t.Helper()
		return verb(want, "audit", "census", "--endpoints", "https://"+s.Etcd, "--cacert", s.EtcdFiles.CA, "--cert", s.EtcdFiles.Cert, "--key", s.EtcdFiles.Key,
			"--config", s.config(), "--max-rate", "0")
	}

	has(verb(clitest.StatusDone, s.args("status")...), "no rotation is under way")
	has(verb(clitest.StatusDone, s.rotate("--dry-run")...), "to a new secretbox", "secrets", "20", "cp-0", "before")
	has(verb(clitest.StatusDone, s.args("status")...), "no rotation is under way")
	has(census(clitest.StatusDone), "secretbox")

	has(verb(clitest.StatusDone, s.rotate("--step")...), `in force is "added"`, "next: let secretbox key k-")
	has(verb(clitest.StatusFindings, s.args("status")...), `in force is "added"`, "cp-1        added")
	has(verb(clitest.StatusFindings, s.args("status", "-o", "json")...), `"stage": "added"`, `"under_way": true`)
	has(verb(clitest.StatusFailed, "encryption", "generate", "-f", s.spec, s.dir), "a rotation is under way")
	s.store(t, 1, "meanwhile")
	has(verb(clitest.StatusDone, s.rotate("--step")...), `in force is "promoted"`)
	s.store(t, 0, "later")
	has(census(clitest.StatusFindings), "data-stale-key")
	has(verb(clitest.StatusDone, s.rotate()...), "rewrote secrets: 22", "the rotation has ended")
	s.read(t)
	if text := census(clitest.StatusDone); strings.Contains(text, "data-stale-key") {
		t.Error(text)
	}

	has(verb(clitest.StatusDone, append(s.rotate(), "--min-age", "1h")...), "nothing to do")
	// And once more, to another provider; then it is taken back half-way.
	has(verb(clitest.StatusDone, s.rotate("--to", "aesgcm")...), "the rotation has ended", "200,000 writes")
	has(verb(clitest.StatusDone, s.rotate("--to", "identity", "--step")...), `in force is "added"`)
	has(verb(clitest.StatusDone, s.rotate("--step")...), `in force is "promoted"`)
	s.store(t, 0, "plain")
	verb(clitest.StatusDone, "encryption", "rotate", "abort", s.dir)
	has(verb(clitest.StatusDone, s.rotate()...), "the rotation has ended")
	s.read(t)
	has(census(clitest.StatusFindings), "data-weak-provider") // as aesgcm is

	for _, key := range s.keys(t) {
		raw, err := base64.StdEncoding.DecodeString(key)
		if err != nil || len(raw) != 32 {
			t.Fatalf("a key of %d bytes: %v", len(raw), err)
		}
		if strings.Contains(said.String(), key) || strings.Contains(said.String(), string(raw)) {
			t.Error("a key was shown")
		}
	}
	if strings.Contains(said.String(), "value of") {
		t.Error("a value was shown")
	}
}
