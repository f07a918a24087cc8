package host_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/audit/collect/host"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// startKubeadmEtcd runs etcd as kubeadm's manifest says, but for its ports and the address,
// which the server certificate of kubeadm covers too, and leaves a copy of its process in the
// root.
func startKubeadmEtcd(t *testing.T, root string) {
	t.Helper()
	ports := etcdtest.FreePorts(t, 3)
	edit := strings.NewReplacer(",https://10.99.0.1:2379", "", "10.99.0.1", "127.0.0.1",
		":2379", fmt.Sprintf(":%d", ports[0]), ":2380", fmt.Sprintf(":%d", ports[1]), ":2381", fmt.Sprintf(":%d", ports[2]))
	for _, name := range []string{"etcd.yaml", "kube-apiserver.yaml"} {
		at := filepath.Join(root, "etc/kubernetes/manifests", name)
		data, err := os.ReadFile(at)
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, at, edit.Replace(string(data)))
	}
	data, err := os.ReadFile(filepath.Join(root, manifest))
	if err != nil {
		t.Fatal(err)
	}
	var pod struct {
		Spec struct{ Containers []struct{ Command []string } }
	}
	if err := yaml.Unmarshal(data, &pod); err != nil || len(pod.Spec.Containers) != 1 {
		t.Fatalf("%+v: %v", pod, err)
	}
	var args []string
	for _, arg := range pod.Spec.Containers[0].Command[1:] {
		arg = strings.ReplaceAll(arg, "/etc/kubernetes/", root+"/etc/kubernetes/")
		args = append(args, strings.ReplaceAll(arg, "/var/lib/etcd", root+"/var/lib/etcd"))
	}
	member := etcdtest.Run(t, etcdtest.Config{
		Name: "cp-0", Version: etcdtest.V3_6, Path: filepath.Join(t.TempDir(), "etcd"), Args: args,
		HealthURL: fmt.Sprintf("http://127.0.0.1:%d/health", ports[2]),
	})[0]
	proc := fmt.Sprintf("/proc/%d", member.PID())
	for _, name := range []string{"cmdline", "environ", "stat"} {
		data, err := os.ReadFile(filepath.Join(proc, name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(root, proc, name), strings.ReplaceAll(string(data), root, ""))
	}
}

// auditRoot audits what is found below a root, with the credentials that lie there.
func auditRoot(t *testing.T, root string) audit.Report {
	t.Helper()
	h := look(t, host.Config{Root: root})
	if len(h.Etcds) != 1 || len(h.Credentials) == 0 {
		t.Fatalf("found %+v", h)
	}
	given := h.Credentials[0]
	certificate, err := tls.LoadX509KeyPair(given.Cert, given.Key)
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := os.ReadFile(given.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(bundle) {
		t.Fatal("no CA in the bundle")
	}
	var endpoints []collect.Endpoint
	for _, l := range h.Listeners {
		endpoints = append(endpoints, collect.Endpoint{Address: l.Address, Kind: l.Kind, ExpectedNames: l.Names, Settings: l.Of})
	}
	targets, err := collect.Collect(t.Context(), endpoints, collect.Config{
		Timeout: time.Minute, Credentials: collect.Credentials{Certificate: &certificate, Roots: roots}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return audit.Run(catalog.All(), slices.Concat(audit.Targets(targets), audit.Targets(audit.Clusters(targets)), []audit.Target{configTarget(h)}))
}

func configTarget(h *host.Host) *audit.HostSettings {
	return &audit.HostSettings{Address: h.Etcds[0].Host + ":" + h.Etcds[0].Origin, Now: time.Now(), Settings: h.Etcds[0]}
}

// Every finding on a control plane of the real kubeadm is listed here, and is true: the peer
// port trusts the one CA that signs clients too, whose key is on the node, and the rest is
// what kubeadm leaves at etcd's or the container runtime's defaults.
func TestKubeadmFindings(t *testing.T) {
	t.Parallel()
	root := kubeadmRoot(t)
	// Whoever runs this test is root there.
	writeFile(t, filepath.Join(root, "etc/passwd"), fmt.Sprintf("root:x:%d:0:root:/root:/bin/sh\n", os.Getuid()))
	writeFile(t, filepath.Join(root, "etc/group"), fmt.Sprintf("root:x:%d:\n", os.Getgid()))
	startKubeadmEtcd(t, root)
	var found []string
	for _, r := range auditRoot(t, root).Results {
		// These have something to look at here, and it is in order.
		looked := slices.Contains([]string{"config-apiserver-etcd", "config-encryption", "config-unique-ca", "config-client-cert-auth", "file-mode", "key-world-readable", "intent-vs-reality"}, r.CheckID)
		busy := r.CheckID == "request-latency" && r.Verdict == audit.Fail // it measures this machine
		if r.Verdict == audit.Fail && !busy || r.Verdict == audit.Unknown || looked && r.Verdict != audit.Pass {
			found = append(found, fmt.Sprintf("%s %s %s %s %s", r.Kind, r.Verdict, r.CheckID, r.Severity, strings.Join(r.Codes, ",")))
			t.Logf("%s: %s", r.CheckID, r.Evidence)
		}
	}
	slices.Sort(found)
	want := []string{
		"client fail gateway-enabled low gateway",
		"client fail tls-weak-cipher medium TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
		"cluster fail auth-disabled medium shared-ca",
		"cluster fail member-count low single",
		"config fail ca-key-on-node high ca-key",
		"config fail config-sandbox low capabilities,privilege-escalation,root,writable-root",
		"config fail config-tls low default-suites",
		"config fail file-owner low cis-data-dir,stig-data-dir",
		"peer fail peer-accepts-client-cert high accepted",
	}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What encrypts a Secret is read from the file that kube-apiserver reads, and nothing of its keys is kept.
func TestKubeadmEncryption(t *testing.T) {
	t.Parallel()
	root := kubeadmRoot(t)
	const (
		file   = "etc/kubernetes/encryption/c.yaml"
		secret = "c4rzPEqV8gyQbSMfgxQm0dUhKkO8v5LzMZTPCkk3E0Q="
		keys   = "{keys: [{name: k, secret: " + secret + "}]}"
	)
	apiServer := filepath.Join(root, "etc/kubernetes/manifests/kube-apiserver.yaml")
	written, err := os.ReadFile(apiServer)
	if err != nil {
		t.Fatal(err)
	}
	entry := func(resources, providers string) string {
		return "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [" + resources + "]\n  providers: [" + providers + "]\n"
	}
	for _, c := range []struct{ name, text, want string }{
		{"secretbox", entry("secrets", "{secretbox: "+keys+"}, {identity: {}}"), "pass high "},
		{"KMS v2", entry("secrets", "{kms: {apiVersion: v2, name: k, endpoint: unix:///k}}"), "pass high "},
		{"KMS v1", entry("secrets", "{kms: {name: k, endpoint: unix:///k}}"), "fail medium kms-v1"},
		{"aescbc", entry("secrets", "{aescbc: "+keys+"}, {identity: {}}"), "fail medium aescbc"},
		{"aesgcm", entry("'*.'", "{aesgcm: "+keys+"}"), "fail medium aesgcm"},
		{"identity first", entry("secrets", "{identity: {}}, {secretbox: "+keys+"}"), "fail high identity-first"},
		{"of others", entry("configmaps", "{secretbox: "+keys+"}"), "fail high secrets-not-covered"},
		{"broken", "kind: EncryptionConfiguration\nresources: [" + secret + "\n", "fail high refused"},
		{"of a wrong kind", "kind: Secret\n", "fail high refused"},
		{"a name as kube-apiserver takes it", entry("secrets.", "{secretbox: "+keys+"}"), "pass high "},
		{"all of the core group", entry("'*.'", "{secretbox: "+keys+"}"), "pass high "},
		{"no keys", entry("secrets", "{secretbox: {keys: []}}"), "fail high refused"},
		{"a secret of 4 bytes", entry("secrets", "{secretbox: {keys: [{name: k, secret: AAECAw==}]}}"), "fail high refused"},
		{"a plugin by HTTP", entry("secrets", "{kms: {apiVersion: v2, name: k, endpoint: 'http://x'}}"), "fail high refused"},
		{"an unknown field", entry("secrets", "{secretbox: "+keys+"}") + "provider: x\n", "fail high refused"},
		{"a published key", entry("secrets", "{secretbox: {keys: [{name: k, secret: YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY=}]}}"), "fail high weak-key"},
		{"a passphrase", entry("secrets", "{secretbox: {keys: [{name: k, secret: Y29ycmVjdCBob3JzZSBiYXR0ZXJ5IHN0YXBsZSBhYmM=}]}}"), "fail high weak-key"},
		{"random text", entry("secrets", "{secretbox: {keys: [{name: k, secret: cThaclQybVZ4MExiTjdjS2Q1V3lIczNKZkdwOUFlNFU=}]}}"), "fail low weak-key"},
		{"a key of 16 bytes", entry("secrets", "{aescbc: {keys: [{name: k, secret: n1hH0Zs0tAfTyG0CkXK6Xg==}]}}"), "fail medium aescbc,short-key"},
		{"gone", "", "unknown high "},
		{"not set", "no flag", "fail high not-configured"},
	} {
		writeFile(t, filepath.Join(root, file), c.text)
		manifest := string(written)
		switch c.text {
		case "":
			if err := os.Remove(filepath.Join(root, file)); err != nil {
				t.Fatal(err)
			}
		case "no flag":
			lines := slices.DeleteFunc(strings.Split(manifest, "\n"), func(line string) bool { return strings.Contains(line, "--encryption-provider-config") })
			manifest = strings.Join(lines, "\n")
		}
		writeFile(t, apiServer, manifest)
		h := look(t, host.Config{Root: root})
		report := audit.Run(catalog.All(), []audit.Target{configTarget(h)})
		at := slices.IndexFunc(report.Results, func(r audit.Result) bool { return r.CheckID == "config-encryption" })
		r := report.Results[at]
		if got := fmt.Sprintf("%s %s %s", r.Verdict, r.Severity, strings.Join(r.Codes, ",")); got != c.want {
			t.Errorf("%s: got %q, want %q (%s)", c.name, got, c.want, r.Evidence)
		}
		if all := fmt.Sprintf("%+v %+v", report, h.APIServer); strings.Contains(all, secret) {
			t.Errorf("%s: the key is in %s", c.name, all)
		}
	}
}
