package pki_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

// A root whose key only a program has: it signs, its key is in no store, and a program with
// another key is found out.
func TestExternalRootKeys(t *testing.T) {
	t.Parallel()
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("openssl makes the plugin's keys and is not installed; .ci/run installs it")
	}
	dir := t.TempDir()
	plugin, keys := filepath.Join(dir, "fileplugin"), filepath.Join(dir, "keys")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", plugin, "../../../../pki/execsigner/testdata/fileplugin").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Mkdir(keys, 0o700); err != nil {
		t.Fatal(err)
	}
	newKey := func(name string) {
		t.Helper()
		path := filepath.Join(keys, name+".pem")
		if out, err := exec.CommandContext(t.Context(), openssl, "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", path).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
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
