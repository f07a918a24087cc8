package host_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect/host"
	"github.com/etcdsec/etcdsec/internal/oracle"
)

// kubeadmRoot has what the real kubeadm writes for a control plane: its PKI and its static
// Pods, which it writes for the place where they lie here.
func kubeadmRoot(t *testing.T) string {
	t.Helper()
	binary, err := oracle.Binary(t.Context(), "kubeadm", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	root := tree(t, map[string]string{
		"etc/passwd":                       "root:x:0:0:root:/root:/bin/sh\n",
		"etc/kubernetes/encryption/c.yaml": "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources:\n- resources: [secrets]\n  providers: [{secretbox: {keys: [{name: k, secret: c4rzPEqV8gyQbSMfgxQm0dUhKkO8v5LzMZTPCkk3E0Q=}]}}, {identity: {}}]\n",
	})
	config := filepath.Join(t.TempDir(), "kubeadm.yaml")
	writeFile(t, config, fmt.Sprintf(`apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.99.0.1}
nodeRegistration: {name: cp-0, criSocket: unix:///run/containerd/containerd.sock}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
certificatesDir: %[1]s/etc/kubernetes/pki
etcd: {local: {dataDir: %[1]s/var/lib/etcd}}
apiServer:
  extraArgs: [{name: encryption-provider-config, value: %[1]s/etc/kubernetes/encryption/c.yaml}]
  extraVolumes: [{name: encryption, hostPath: %[1]s/etc/kubernetes/encryption, mountPath: %[1]s/etc/kubernetes/encryption, readOnly: true}]
`, root))
	out := t.TempDir()
	for _, phase := range [][]string{{"certs", "all"}, {"etcd", "local", "--dry-run"}, {"control-plane", "apiserver", "--dry-run"}} {
		args := append(append([]string{"init", "phase"}, phase...), "--config", config)
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = append(os.Environ(), "KUBEADM_INIT_DRYRUN_DIR="+out)
		if said, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("kubeadm %s: %v\n%s", strings.Join(args, " "), err, said)
		}
	}
	for _, name := range []string{"etcd.yaml", "kube-apiserver.yaml"} {
		data, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(root, "etc/kubernetes/manifests", name), strings.ReplaceAll(string(data), root, ""))
	}
	if err := os.MkdirAll(filepath.Join(root, "var/lib/etcd"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(root, "etc/kubernetes/pki/etcd"), 0o700); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return root
}

// A control plane of the real kubeadm is understood: etcd's and the API server's settings,
// their files with CA keys recognised, what is encrypted, and who may be presented.
func TestKubeadmControlPlane(t *testing.T) {
	t.Parallel()
	root := kubeadmRoot(t)
	h := look(t, host.Config{Root: root})
	if len(h.Etcds) != 1 || h.APIServer == nil || len(h.Faults) > 0 {
		t.Fatalf("found %+v", h)
	}
	etcd := h.Etcds[0]
	if etcd.Origin != "/"+manifest || etcd.Version == "" || etcd.APIServer != h.APIServer || len(etcd.Faults)+len(h.APIServer.Faults) > 0 {
		t.Errorf("got %+v; %+v", etcd, h.APIServer)
	}
	for flag, want := range map[string]string{
		"name": "cp-0", "data-dir": "/var/lib/etcd", "client-cert-auth": "true", "peer-client-cert-auth": "true", "auto-tls": "",
		"trusted-ca-file": "/etc/kubernetes/pki/etcd/ca.crt", "listen-client-urls": "https://127.0.0.1:2379,https://10.99.0.1:2379",
	} {
		if got := etcd.Value(flag); got != want {
			t.Errorf("--%s: %q, want %q", flag, got, want)
		}
	}
	if got := h.APIServer.Value("etcd-cafile"); got != "/etc/kubernetes/pki/etcd/ca.crt" {
		t.Errorf("--etcd-cafile: %q", got)
	}
	if diff := cmp.Diff(&audit.EncryptionConfig{Resources: []string{"secrets"}, Secrets: []audit.Provider{"secretbox", "identity"}}, etcd.Encryption); diff != "" {
		t.Error(diff)
	}
	pki := "/etc/kubernetes/pki/"
	want := []string{
		"static Pod manifest /" + manifest + " -rw-------", "data dir /var/lib/etcd drwx------",
		"certificate " + pki + "etcd/server.crt -rw-r--r-- certificate", "private key " + pki + "etcd/server.key -rw------- key",
		"certificate " + pki + "etcd/ca.crt -rw-r--r-- certificate CA",
		"certificate " + pki + "etcd/peer.crt -rw-r--r-- certificate", "private key " + pki + "etcd/peer.key -rw------- key",
		"PKI dir " + pki + "etcd drwx------", "private key " + pki + "etcd/ca.key -rw------- key CA",
		"certificate " + pki + "etcd/healthcheck-client.crt -rw-r--r-- certificate", "private key " + pki + "etcd/healthcheck-client.key -rw------- key",
	}
	if diff := cmp.Diff(want, describe(etcd)); diff != "" {
		t.Errorf("etcd's files (-want +got):\n%s", diff)
	}
	all := strings.Join(describe(h.APIServer), "\n")
	for _, want := range []string{
		"private key " + pki + "ca.key -rw------- key CA", "private key " + pki + "front-proxy-ca.key -rw------- key CA", "private key " + pki + "sa.key -rw------- key\n",
		"certificate " + pki + "apiserver-etcd-client.crt -rw-r--r-- certificate", "encryption configuration /etc/kubernetes/encryption/c.yaml -rw-------",
	} {
		if !strings.Contains(all+"\n", want) {
			t.Errorf("%q is not in\n%s", want, all)
		}
	}
	var credentials []string
	for _, c := range h.Credentials {
		credentials = append(credentials, c.From+" "+strings.TrimPrefix(c.Cert, root)+" "+strings.TrimPrefix(c.Key, root)+" "+strings.TrimPrefix(c.Bundle, root))
	}
	wantCredentials := []string{
		"kube-apiserver's --etcd-certfile " + pki + "apiserver-etcd-client.crt " + pki + "apiserver-etcd-client.key " + pki + "etcd/ca.crt",
		"etcd's healthcheck-client " + pki + "etcd/healthcheck-client.crt " + pki + "etcd/healthcheck-client.key " + pki + "etcd/ca.crt",
	}
	if diff := cmp.Diff(wantCredentials, credentials); diff != "" {
		t.Error(diff)
	}
	var listeners []string
	for _, l := range h.Listeners {
		listeners = append(listeners, fmt.Sprint(l.Kind, " ", l.Address, " ", l.Names))
	}
	if diff := cmp.Diff([]string{"client 127.0.0.1:2379 [10.99.0.1]", "client 10.99.0.1:2379 [10.99.0.1]", "peer 10.99.0.1:2380 [10.99.0.1]", "metrics 127.0.0.1:2381 []"}, listeners); diff != "" {
		t.Error(diff)
	}
}

// describeFiles are the files, each on a line; those that could not be looked at with the reason.
func describe(s *audit.Settings) []string {
	var all []string
	for _, f := range s.Files {
		line := fmt.Sprintf("%s %s %s", f.Role, f.Path, f.Mode)
		if f.Certificate {
			line += " certificate"
		}
		if f.PrivateKey {
			line += " key"
		}
		if f.IsCA {
			line += " CA"
		}
		if f.Reason+f.Unread != "" {
			line += " " + f.Reason + f.Unread
		}
		all = append(all, line)
	}
	return all
}

// Keys that do not say whose they are, files that are none, and a folder of too many.
func TestFiles(t *testing.T) {
	t.Parallel()
	root := kubeadmRoot(t)
	pki := filepath.Join(root, "etc/kubernetes/pki/etcd")
	ca, err := os.ReadFile(filepath.Join(pki, "ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(pki, "renamed.pem"), "some text\n"+string(ca))
	writeFile(t, filepath.Join(pki, "encrypted.key"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n")
	writeFile(t, filepath.Join(pki, "empty.key"), "")
	writeFile(t, filepath.Join(pki, "broken.crt"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
	writeFile(t, filepath.Join(pki, "huge.key"), strings.Repeat("x", 1<<20+1))
	writeFile(t, filepath.Join(pki, "notes.txt"), string(ca))
	if err := os.Symlink("/etc/kubernetes/pki/etcd/ca.key", filepath.Join(pki, "link.key")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(pki, "peer.key")); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(describe(look(t, host.Config{Root: root}).Etcds[0]), "\n") + "\n"
	for name, want := range map[string]string{
		"renamed.pem": "-rw------- key CA\n", "encrypted.key": "-rw------- key the key is encrypted or of no known kind\n", "empty.key": "-rw-------\n",
		"broken.crt": "-rw------- a certificate in it does not parse\n", "huge.key": "-rw------- larger than 1048576 bytes\n",
		"link.key": "-rw------- key CA\n", "peer.key": "---------- it is not there\n",
	} {
		if !strings.Contains(all, "/"+name+" "+want) {
			t.Errorf("%s: want %q in\n%s", name, want, all)
		}
	}
	if strings.Contains(all, "notes.txt") {
		t.Errorf("got %s", all)
	}
	for i := range 100 {
		writeFile(t, filepath.Join(pki, fmt.Sprintf("z%d.crt", i)), "")
	}
	s := look(t, host.Config{Root: root}).Etcds[0]
	if len(s.Files) > 80 || !strings.Contains(s.Fault("/etc/kubernetes/pki/etcd"), "only the first 64") {
		t.Errorf("%d files, %+v", len(s.Files), s.Faults)
	}
}
