package pki_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/pki"
)

// A root whose key only a program has: it signs, its key is in no store, and a program with
// another key is found out.
func TestExternalRootKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plugin, keys, newKey := fileplugin(t, dir)
	newKey("client-root")
	newKey("peer-root")
	spec, store := filepath.Join(dir, "cluster.yaml"), filepath.Join(dir, "store")
	text := fmt.Sprintf(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: hsm}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.0.0.1]}]
  pki:
    externalKeys:
      - {authority: client-root, exec: [%[1]s, %[2]s], key: client-root}
      - {authority: peer-root, exec: [%[1]s, %[2]s], key: peer-root}
`, plugin, keys)
	if err := os.WriteFile(spec, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	clitest.Expect(t, 0, "pki", "issue", "-f", spec, store)
	for _, root := range []string{"client-root", "peer-root"} {
		if files, err := os.ReadDir(filepath.Join(store, "authorities", root)); err != nil || len(files) != 1 {
			t.Errorf("%s holds %v %v, want its certificate alone", root, files, err)
		}
	}
	clitest.Expect(t, 0, "pki", "verify", store)
	// The issuing CAs are due: the program signs their successors. While it gives no key, the run
	// fails for that, and renews the leaves.
	away := filepath.Join(dir, "away")
	if err := os.Rename(keys, away); err != nil {
		t.Fatal(err)
	}
	if out := expectOn(t, 250, 1, "pki", "renew", store); !strings.Contains(out, "what client-root must sign is due: using the key of client-root: asking plugin") || !strings.Contains(out, "\nrenew  nodes/etcd-0/pki/server.crt") {
		t.Errorf("got %s", out)
	}
	if err := os.Rename(away, keys); err != nil {
		t.Fatal(err)
	}
	expectOn(t, 250, 0, "pki", "renew", store)
	expectOn(t, 250, 0, "pki", "status", store)
	expectOn(t, 250, 0, "pki", "verify", store)
	if err := os.RemoveAll(store); err != nil {
		t.Fatal(err)
	}
	clitest.Expect(t, 0, "pki", "issue", "-f", spec, store)
	// A member joins: the issuing CAs are extended by the program.
	if err := os.WriteFile(spec, []byte(strings.Replace(text, "members: [", "members: [{name: etcd-1, addresses: [10.0.0.2]}, ", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	newKey("peer-root") // another key under the same name
	if out := clitest.Expect(t, 1, "pki", "issue", "-f", spec, store); !strings.Contains(out, "the plugin has another key than the certificate") {
		t.Errorf("got %s", out)
	}
	if err := os.Remove(filepath.Join(keys, "peer-root.pem")); err != nil {
		t.Fatal(err)
	}
	if out := clitest.Expect(t, 1, "pki", "issue", "-f", spec, store); !strings.Contains(out, "the key of peer-root: asking plugin") {
		t.Errorf("got %s", out)
	}
}

// fileplugin builds the program that signs, and returns the folder of its keys and what makes one.
func fileplugin(t *testing.T, dir string) (plugin, keys string, newKey func(name string)) {
	t.Helper()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl makes the plugin's keys and is not installed; .ci/run installs it")
	}
	plugin, keys = filepath.Join(dir, "fileplugin"), filepath.Join(dir, "keys")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", plugin, "../../../../pki/execsigner/testdata/fileplugin").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	return plugin, keys, func(name string) {
		t.Helper()
		path := filepath.Join(keys, name+".pem")
		if out, err := exec.CommandContext(t.Context(), openssl, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// expectOn is clitest.Expect, some days ahead.
func expectOn(t *testing.T, days, want int, args ...string) string {
	t.Helper()
	cmd := clitest.Command(t, args...)
	cmd.Env = append(cmd.Env, fmt.Sprintf("ETCDSEC_TEST_DAYS=%d", days))
	out, err := cmd.CombinedOutput()
	if got := cmd.ProcessState.ExitCode(); got != want {
		t.Errorf("on day %d: %v: status %d %v, want %d\n%s", days, args, got, err, want, out)
	}
	return string(out)
}

// An issuing CA whose key a program has keeps that key when it is replaced, and gets another one
// when the program has another one.
func TestExternalIssuingKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	plugin, keys, newKey := fileplugin(t, dir)
	newKey("server-issuing")
	spec, store := filepath.Join(dir, "cluster.yaml"), filepath.Join(dir, "store")
	clitest.WriteFile(t, spec, fmt.Appendf(nil, `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: hsm}
spec:
  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.0.0.1]}]
  pki: {externalKeys: [{authority: server-issuing, exec: [%s, %s], key: server-issuing}]}
`, plugin, keys))
	clitest.Expect(t, 0, "pki", "issue", "-f", spec, store)
	public := func() string {
		t.Helper()
		certs, err := pki.ReadCertificates(filepath.Join(store, "authorities", "server-issuing", "ca.crt"))
		if err != nil {
			t.Fatal(err)
		}
		return string(certs[0].RawSubjectPublicKeyInfo)
	}
	first := public()
	for _, day := range []int{240, 250, 490, 500} {
		if day == 490 {
			if public() != first {
				t.Error("the key of the program was not kept")
			}
			newKey("server-issuing-2")
			if err := os.Rename(filepath.Join(keys, "server-issuing-2.pem"), filepath.Join(keys, "server-issuing.pem")); err != nil {
				t.Fatal(err)
			}
			continue // leaves below the key that is gone are not due, and those that will be are on day 500
		}
		expectOn(t, day, 0, "pki", "renew", store)
		expectOn(t, day, 0, "pki", "status", store)
		expectOn(t, day, 3, "pki", "verify", store) // the roots' plain keys
		if out := expectOn(t, day, 0, "pki", "renew", store); strings.Contains(out, "\nrenew") {
			t.Errorf("a second run on day %d: %s", day, out)
		}
	}
	if public() == first {
		t.Error("the program has another key, and the issuing CA does not")
	}
}
