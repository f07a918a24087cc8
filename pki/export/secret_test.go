package export

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/oracle"
	"github.com/etcdsec/etcdsec/pki"
)

func decodeSecret(t *testing.T, f File) secret {
	t.Helper()
	var s secret
	if err := yaml.UnmarshalStrict(f.Data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// Every leaf, of every hierarchy and kind of key, is in its Secret a pair that works with
// the roots beside it.
func TestSecret(t *testing.T) {
	t.Parallel()
	cases := []struct {
		style           Style
		kind            string
		cert, key, root string
		ecKey           string // how a P-256 key is written
	}{
		{StyleTLS, "kubernetes.io/tls", "tls.crt", "tls.key", "ca.crt", "PRIVATE KEY"},
		{StyleEtcdOperator, "kubernetes.io/tls", "tls.crt", "tls.key", "ca.crt", "EC PRIVATE KEY"},
		{StyleBitnami, "Opaque", "cert.pem", "key.pem", "ca.crt", "PRIVATE KEY"},
	}
	stores := []struct{ hierarchy, algorithm string }{{"issuing", "ecdsa-p256"}, {"single", "ecdsa-p256"}, {"issuing", "ed25519"}}
	for _, s := range stores {
		dir := bootstrap(t, twoMembers, fmt.Sprintf("    enableGRPCGateway: true\n  pki: {hierarchy: %s, keyAlgorithm: %s}\n", s.hierarchy, s.algorithm), testNow())
		store := open(t, dir)
		for _, tc := range cases {
			t.Run(fmt.Sprint(tc.style, " ", s.hierarchy, " ", s.algorithm), func(t *testing.T) {
				checked := 0
				for _, r := range store.Leaves() {
					l, err := store.Read(r, testNow())
					if err != nil {
						t.Fatal(err)
					}
					f, err := Secret(l, tc.style, "some-name", "etcd")
					if err != nil {
						t.Fatal(err)
					}
					again, err := Secret(l, tc.style, "some-name", "etcd")
					if err != nil || !bytes.Equal(f.Data, again.Data) {
						t.Errorf("%s: other bytes the second time, %v", l.Name, err)
					}
					got := decodeSecret(t, f)
					if f.Name != "some-name.yaml" || got.APIVersion != "v1" || got.Kind != "Secret" || got.Type != tc.kind ||
						got.Metadata.Name != "some-name" || got.Metadata.Namespace != "etcd" ||
						got.Metadata.Labels["app.kubernetes.io/managed-by"] != "etcdsec" {
						t.Errorf("%s: %s %+v %s", l.Name, f.Name, got.Metadata, got.Type)
					}
					if got.Metadata.Annotations["etcdsec.dev/serial"] != pki.SerialString(l.Cert().SerialNumber) ||
						got.Metadata.Annotations["etcdsec.dev/not-after"] != "2027-02-19T12:00:00Z" ||
						got.Metadata.Annotations["etcdsec.dev/leaf"] != l.Name {
						t.Errorf("%s: %v", l.Name, got.Metadata.Annotations)
					}
					if len(got.Data) != 3 || len(got.Metadata.Annotations) != 3 {
						t.Errorf("%s: %d data, %d annotations", l.Name, len(got.Data), len(got.Metadata.Annotations))
					}
					if s.algorithm == "ecdsa-p256" && !bytes.HasPrefix(got.Data[tc.key], []byte("-----BEGIN "+tc.ecKey+"-----")) {
						t.Errorf("%s: the key is not written as %s", l.Name, tc.ecKey)
					}
					checkPair(t, l, got.Data[tc.cert], got.Data[tc.key], got.Data[tc.root])
					checked++
				}
				if checked != 2*3+3 {
					t.Errorf("%d leaves", checked)
				}
			})
		}
	}
}

func checkPair(t *testing.T, l Leaf, certPEM, keyPEM, rootPEM []byte) {
	t.Helper()
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatalf("%s: %v", l.Name, err)
	}
	if !pair.Leaf.Equal(l.Cert()) || len(pair.Certificate) != len(l.Chain) {
		t.Errorf("%s: certificate of %s, chain of %d", l.Name, pair.Leaf.Subject, len(pair.Certificate))
	}
	chain, err := pki.ParseCertificates(certPEM)
	if err != nil {
		t.Fatal(err)
	}
	roots, err := pki.ParseCertificates(rootPEM)
	if err != nil {
		t.Fatal(err)
	}
	for _, root := range roots {
		if root.CheckSignatureFrom(root) != nil {
			t.Errorf("%s: %s is no root", l.Name, root.Subject)
		}
	}
	for _, eku := range l.Cert().ExtKeyUsage {
		verifies(t, chain, roots, eku)
	}
	if l.Role == "server" && l.mayBeClient() {
		t.Errorf("%s may be a client", l.Name)
	}
}

var dnsSubdomain = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func TestSecretNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("m", 63)
	store := open(t, bootstrap(t, twoMembers+"      - {name: clients, addresses: [10.0.0.13]}\n      - {name: "+long+", addresses: [10.0.0.14]}\n      - {name: clients-backup, addresses: [10.0.0.15]}\n",
		"  clients: [{name: peer, role: backup}, {name: clients-peer, role: backup}, {name: backup-peer, role: backup}]\n", testNow()))
	names := store.SecretNames()
	seen := map[string]string{}
	for _, r := range store.Leaves() {
		name := names[r.Name]
		if !dnsSubdomain.MatchString(name) || len(name) > 253 {
			t.Errorf("%s: %q is no name of an object", r.Path(), name)
		}
		if seen[name] != "" {
			t.Errorf("%s and %s are both %s", seen[name], r.Path(), name)
		}
		seen[name] = r.Path()
	}
	if len(seen) != 5*2+6 {
		t.Errorf("%d names", len(seen))
	}
	for leaf, want := range map[string]string{
		"etcd-0/server":      "test-etcd-0-server",
		"clients/auditor":    "test-clients-auditor",
		"nodes/clients/peer": "test-nodes-clients-peer",
		"clients/peer":       "test-clients-peer",
		long + "/peer":       "test-" + long + "-peer",
	} {
		if names[leaf] != want {
			t.Errorf("%s is %s, want %s", leaf, names[leaf], want)
		}
	}
	// With dashes, a leaf of the member "clients-backup" is called as the client "backup-peer".
	for _, leaf := range []string{"clients-backup/peer", "clients/backup-peer"} {
		if !regexp.MustCompile(`^test-clients-backup-peer-[0-9a-f]{8}$`).MatchString(names[leaf]) {
			t.Errorf("%s is %s, want a hash in it", leaf, names[leaf])
		}
	}
}

// Certificates whose file names differ only in their extension are two leaves, and have two Secrets.
func TestLeavesThatDifferInTheirExtension(t *testing.T) {
	t.Parallel()
	store := open(t, bootstrap(t, twoMembers, `  pki:
    layout: custom
    files: {clientCA: ca.crt, peerCA: peer-ca.crt, server: {cert: etcd.crt, key: etcd.key}, peer: {cert: etcd.pem, key: etcd-key.pem}}
  clients: [{name: etcd-0-server, role: backup}]
`, testNow()))
	for _, leaf := range []string{"etcd-0/server", "etcd-0/peer"} {
		items, err := store.Secrets(SecretsConfig{Shared: Shared{Style: StyleTLS, Namespace: "default"}, Names: []string{leaf}}, testNow())
		if err != nil || len(items.List) != 1 || items.List[0].Name != leaf {
			t.Errorf("%s: %+v %v", leaf, items.List, err)
		}
	}
	items, err := store.Secrets(SecretsConfig{Shared: Shared{Style: StyleTLS, Namespace: "default"}}, testNow())
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, item := range items.List {
		names[item.File.Name] = true
	}
	if len(names) != len(store.Leaves()) {
		t.Errorf("%d Secrets of %d leaves: %v", len(names), len(store.Leaves()), names)
	}
}

// The last check, whatever made the names.
func TestDeliverRefusesOneNameTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := Deliver(dir, []File{{Name: "a.yaml", Data: []byte("1")}, {Name: "a.yaml", Data: []byte("2")}}, Delivery{}); err == nil {
		t.Error("accepted")
	}
	if _, err := os.Stat(filepath.Join(dir, "a.yaml")); err == nil {
		t.Error("written")
	}
}

func TestObjectName(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"prod/etcd-0/server":     "prod-etcd-0-server",
		"Prod/ETCD_0//server":    "prod-etcd-0-server",
		"-/a b.c/-":              "a-b-c",
		"é":                      "",
		strings.Repeat("x", 300): strings.Repeat("x", 253),
	} {
		if got := objectName(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestCheckLabel(t *testing.T) {
	t.Parallel()
	for name, good := range map[string]bool{
		"kube-system": true, "a": true, "0": true, strings.Repeat("a", 63): true,
		"": false, "A": false, "a.b": false, "-a": false, "a-": false, "a\n": false, "a/b": false, strings.Repeat("a", 64): false,
	} {
		if err := CheckLabel(name); (err == nil) != good {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// Kubernetes' own types read every Secret, strictly, and would not if it were malformed.
func TestKubernetesReadsSecrets(t *testing.T) {
	t.Parallel()
	decoder := buildDecoder(t)
	store := open(t, bootstrap(t, twoMembers, "", testNow()))
	names := store.SecretNames()
	dir := t.TempDir()
	var paths, want []string
	for _, style := range Styles() {
		for _, r := range store.Leaves() {
			l, err := store.Read(r, testNow())
			if err != nil {
				t.Fatal(err)
			}
			f, err := Secret(l, style, names[r.Name], "kube-system")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, string(style)+f.Name)
			rewrite(t, f.Data, 0o600, path)
			paths = append(paths, path)
			form := "kubernetes.io/tls kube-system/%s ca.crt tls.crt tls.key"
			if style == StyleBitnami {
				form = "Opaque kube-system/%s ca.crt cert.pem key.pem"
			}
			want = append(want, fmt.Sprintf(form, names[r.Name]))
		}
	}
	out, err := exec.CommandContext(t.Context(), decoder, paths...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if got := strings.TrimSpace(string(out)); got != strings.Join(want, "\n") || len(want) != 3*7 {
		t.Errorf("it read %d Secrets:\n%s", len(want), got)
	}

	manifest := string(contents(t, paths[0]))
	for fault, spoilt := range map[string]string{
		"unknown field":   manifest + "Type: kubernetes.io/tls\n",
		"already set":     manifest + "type: Opaque\n",
		"illegal base64":  strings.Replace(manifest, "tls.crt: ", "tls.crt: _", 1),
		"metadata.name":   strings.Replace(manifest, "name: test-", "name: Test_", 1),
		"without tls.key": strings.Replace(manifest, "tls.key:", "other.key:", 1),
	} {
		path := filepath.Join(dir, "spoilt.yaml")
		rewrite(t, []byte(spoilt), 0o600, path)
		if out, err := exec.CommandContext(t.Context(), decoder, path).CombinedOutput(); err == nil || !strings.Contains(string(out), fault) {
			t.Errorf("%s was not refused: %v\n%s", fault, err, out)
		}
	}
}

// buildDecoder builds test/k8s-api, a module of its own because of its size.
func buildDecoder(t *testing.T) string {
	t.Helper()
	binary, err := oracle.Binary(t.Context(), "k8s-api", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	return binary
}

// Two clusters can share a namespace, and the name of one can begin that of the other.
func TestSecretNamesOfClusters(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, members := range map[string][]string{"a": {"b-c", "b", "b-c-d"}, "a-b": {"c", "c-d", "b"}, "a-b-c": {"d", "b"}} {
		spec := "apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: " + name + "}\nspec:\n  clients: [{name: c, role: backup}, {name: b-x, role: backup}]\n  etcd:\n    version: \"3.6.16\"\n    members:\n"
		spec = strings.Replace(spec, "{name: c, ", "{name: c-x, ", 1)
		for i, m := range members {
			spec += fmt.Sprintf("      - {name: %s, addresses: [10.0.0.%d]}\n", m, i+1)
		}
		c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
		if err != nil {
			t.Fatal(err)
		}
		store := Store{Cluster: c, plan: pki.NewPlan(c)}
		for path, secret := range store.SecretNames() {
			leaf := name + ": " + path
			if seen[secret] != "" {
				t.Errorf("%s and %s are both %s", seen[secret], leaf, secret)
			}
			if dashes := regexp.MustCompile("-[0-9a-f]{8}$").MatchString(secret); dashes != strings.Contains(name, "-") {
				t.Errorf("%s is %s", leaf, secret)
			}
			seen[secret] = leaf
		}
	}
	if len(seen) < 3*6 {
		t.Errorf("%d names", len(seen))
	}
}
