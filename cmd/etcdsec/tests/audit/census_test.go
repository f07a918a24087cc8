package audit_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// secretText is a part of every stored value and of every key of the configuration. No output may
// contain it.
const secretText = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// censusConfig has the key k-2 first and k-1 second for Secrets.
const censusConfig = `apiVersion: apiserver.config.k8s.io/v1
kind: EncryptionConfiguration
resources:
  - resources: [secrets]
    providers:
      - secretbox:
          keys:
            - {name: k-2, secret: ` + secretText + `}
            - {name: k-1, secret: ` + secretText + `}
      - identity: {}
`

// censusStore is a member with TLS. It has authentication if there are users.
type censusStore struct {
	id       clitest.Identity
	endpoint string
	client   *clientv3.Client
}

func startCensusStore(t *testing.T) *censusStore {
	t.Helper()
	id := clitest.NewIdentity(t, time.Time{})
	ports := etcdtest.FreePorts(t, 3)
	client, peer := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	metrics := fmt.Sprintf("http://127.0.0.1:%d", ports[2])
	etcdtest.Run(t, etcdtest.Config{
		Name: "tls", HealthURL: metrics + "/health",
		Args: []string{
			"--name=tls", "--data-dir=" + t.TempDir(), "--initial-cluster=tls=" + peer,
			"--listen-client-urls=https://" + client, "--advertise-client-urls=https://" + client, "--listen-metrics-urls=" + metrics,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
			"--cert-file=" + id.Cert, "--key-file=" + id.Key, "--trusted-ca-file=" + id.CAPath, "--client-cert-auth",
		},
	})
	root := id.Named(t, "root")
	pair, err := tls.LoadX509KeyPair(root.Cert, root.Key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{client}, Logger: zap.NewNop(),
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: id.CA.Pool(), Certificates: []tls.Certificate{pair}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &censusStore{id: id, endpoint: "https://" + client, client: c}
}

// must runs steps of etcd's client, and fails the test if one fails.
func must(t *testing.T, steps ...func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	for _, step := range steps {
		if err := step(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *censusStore) put(key, value string) func(context.Context) error {
	return func(ctx context.Context) error {
		_, err := s.client.Put(ctx, key, value)
		return err
	}
}

// census runs the verb with the certificate of an identity.
func (s *censusStore) census(t *testing.T, id clitest.Identity, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	status, stdout, stderr = clitest.Run(t, append([]string{"audit", "census", "--endpoints", s.endpoint,
		"--cacert", id.CAPath, "--cert", id.Cert, "--key", id.Key}, args...)...)
	if strings.Contains(stdout+stderr, secretText) {
		t.Errorf("%q shows a value or a key", args)
	}
	return status, stdout, stderr
}

// The verb on a real member, through a rotation: what it says, and its exit status.
func TestAuditCensus(t *testing.T) {
	t.Parallel()
	s := startCensusStore(t)
	sealedWith := func(key string) string { return "k8s:enc:secretbox:v1:" + key + ":" + strings.Repeat(secretText, 3) }
	config := filepath.Join(t.TempDir(), "encryption-config.yaml")
	clitest.WriteFile(t, config, []byte(censusConfig))
	withConfig := []string{"--config", config}

	status, stdout, stderr := s.census(t, s.id, withConfig...)
	if status != clitest.StatusFailed || !strings.Contains(stdout, "0 objects") || !strings.Contains(stdout, "--etcd-prefix") {
		t.Errorf("empty store: %d\n%s%s", status, stdout, stderr)
	}

	must(t, s.put("/registry/secrets/a/one", sealedWith("k-1")), s.put("/registry/secrets/a/two", "k8s\x00"+secretText),
		s.put("/registry/configmaps/a/c", "k8s\x00"+secretText))
	status, stdout, stderr = s.census(t, s.id, withConfig...)
	for _, want := range []string{
		"secretbox k-1: 1", "plaintext: 1", "1 of the 2 objects of secrets in plaintext (a/two)",
		"1 object of secrets with secretbox k-1, not with secretbox k-2 (a/one)", "kubectl replace",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("mid-way: no %q in\n%s", want, stdout)
		}
	}
	if status != clitest.StatusFindings || stderr != "" {
		t.Errorf("mid-way: %d %s", status, stderr)
	}

	must(t, s.put("/registry/secrets/a/one", sealedWith("k-2")), s.put("/registry/secrets/a/two", sealedWith("k-2")+"2"))
	if status, stdout, stderr = s.census(t, s.id, withConfig...); status != clitest.StatusDone {
		t.Errorf("rotated: %d\n%s%s", status, stdout, stderr)
	}
	if status, stdout, stderr = s.census(t, s.id, "--key-name", "secretbox:k-2"); status != clitest.StatusDone {
		t.Errorf("with --key-name: %d\n%s%s", status, stdout, stderr)
	}
	status, stdout, _ = s.census(t, s.id, "--key-name", "k-1")
	if status != clitest.StatusFindings || !strings.Contains(stdout, "data-unknown-key") {
		t.Errorf("with another --key-name: %d\n%s", status, stdout)
	}

	reports := t.TempDir()
	status, stdout, stderr = s.census(t, s.id, "--config", config, "--fail-on", "low", "-o", "json", "-o", "sarif="+filepath.Join(reports, "x.sarif"), "-o", "text="+filepath.Join(reports, "x.txt"))
	var document struct {
		SchemaVersion int `json:"schema_version"`
		Revision      int64
		Complete      bool
		Resources     []audit.ResourceCensus
		Results       []audit.Result
	}
	if err := json.Unmarshal([]byte(stdout), &document); err != nil {
		t.Fatalf("%v\n%s%s", err, stdout, stderr)
	}
	if status != clitest.StatusFindings || document.SchemaVersion != 1 || document.Revision != 6 || !document.Complete || len(document.Resources) != 2 || len(document.Results) != 9 {
		t.Errorf("%d %+v", status, document)
	}
	if r := document.Resources[1]; r.Resource != "secrets" || r.Objects != 2 || r.Plaintext != 0 || len(r.Writers) != 1 || r.Writers[0].Key != "k-2" || r.Writers[0].Objects != 2 {
		t.Errorf("secrets: %+v", r)
	}
	for _, name := range []string{"x.sarif", "x.txt"} {
		info, err := os.Stat(filepath.Join(reports, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, info, err)
		}
	}
	// The audit's own verbs read it.
	path := filepath.Join(reports, "x.json")
	clitest.WriteFile(t, path, []byte(stdout))
	if status, stdout, stderr := clitest.Run(t, "audit", "diff", path, path); status != clitest.StatusDone {
		t.Errorf("diff: %d\n%s%s", status, stdout, stderr)
	}
}

// With authentication, a certificate is a user: root, one of the prefix, one of a part of it,
// and one that is none.
func TestAuditCensusAuthenticated(t *testing.T) {
	t.Parallel()
	s := startCensusStore(t)
	user := func(name, from, to string) []func(context.Context) error {
		return []func(context.Context) error{
			func(ctx context.Context) error { _, err := s.client.RoleAdd(ctx, name); return err },
			func(ctx context.Context) error {
				if from == "" {
					return nil
				}
				_, err := s.client.RoleGrantPermission(ctx, name, from, to, clientv3.PermissionType(clientv3.PermRead))
				return err
			},
			func(ctx context.Context) error {
				_, err := s.client.UserAddWithOptions(ctx, name, "", &clientv3.UserAddOptions{NoPassword: true})
				return err
			},
			func(ctx context.Context) error { _, err := s.client.UserGrantRole(ctx, name, name); return err },
		}
	}
	for _, steps := range [][]func(context.Context) error{
		{s.put("/registry/secrets/a/x", "k8s\x00"), s.put("/registry/minions/n", "k8s\x00"), s.put("other", "1")},
		user("root", "", ""), user("reader", "/registry/", "/registry0"), user("narrow", "/registry/secrets/", "/registry/secrets0"), user("barred", "", ""),
		{func(ctx context.Context) error { _, err := s.client.AuthEnable(ctx); return err }},
	} {
		must(t, steps...)
	}
	for _, c := range []struct {
		name   string
		status int
		stdout []string
		stderr []string
	}{
		{"root", clitest.StatusFindings, []string{"2 objects, and 1 key that no API server uses", "data-plaintext"}, nil},
		{"reader", clitest.StatusFindings, []string{"2 objects\n", "reading below /kubernetes.io/", "the keys outside the prefixes were not counted: etcdserver: permission denied"}, nil},
		{"narrow", clitest.StatusFailed, []string{"1 object\n", "not complete: the user may not read all of /registry/: secrets were read", "(a/x)"}, []string{"the census is not complete", "not read"}},
		{"barred", clitest.StatusFailed, []string{"0 objects", "data-plaintext"}, []string{"permission denied", "hint: etcdctl role grant-permission ROLE read --prefix /registry/"}},
		{"stranger", clitest.StatusFailed, []string{"0 objects"}, []string{"not complete: reading below"}},
		{"", clitest.StatusFailed, []string{"0 objects"}, []string{"permission denied", "hint: etcdctl role grant-permission"}},
	} {
		id := s.id.Named(t, c.name)
		status, stdout, stderr := s.census(t, id)
		if status != c.status {
			t.Errorf("%s: status %d, want %d", c.name, status, c.status)
		}
		for _, want := range c.stdout {
			if !strings.Contains(stdout, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, stdout)
			}
		}
		for _, want := range c.stderr {
			if !strings.Contains(stderr, want) {
				t.Errorf("%s: no %q in\n%s", c.name, want, stderr)
			}
		}
	}

	// TLS that does not agree.
	other := clitest.NewIdentity(t, time.Time{})
	id := s.id
	id.CAPath = other.CAPath
	if status, _, stderr := s.census(t, id); status != clitest.StatusFailed || !strings.Contains(stderr, "hint: --cacert") {
		t.Errorf("foreign CA: %d %s", status, stderr)
	}
	status, _, stderr := clitest.Run(t, "audit", "census", "--endpoints", s.endpoint, "--cacert", s.id.CAPath)
	if status != clitest.StatusFailed || !strings.Contains(stderr, "hint: --cert client.crt") {
		t.Errorf("no certificate: %d %s", status, stderr)
	}
}
