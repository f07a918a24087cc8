package pki_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// A cluster that the real kubeadm made is adopted while it runs: its certificates are
// renewed and brought to the member, which takes them without a restart, and the audit is
// let in with a certificate of the adopted CA.
func TestImportARunningKubeadmCluster(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, store := filepath.Join(dir, "pki"), filepath.Join(dir, "store")
	clitest.KubeadmCerts(t, dir, made)
	if out := clitest.Expect(t, 0, "pki", "status", made); strings.Count(out, "\nok ") != 10 {
		t.Errorf("the status of what kubeadm made:\n%s", out)
	}
	ports := etcdtest.FreePorts(t, 3)
	client, peer := fmt.Sprintf("https://127.0.0.1:%d", ports[0]), fmt.Sprintf("https://127.0.0.1:%d", ports[1])
	at := func(name string) string { return filepath.Join(made, "etcd", name) }
	etcdtest.Run(t, etcdtest.Config{
		Name: "cp-0", Version: etcdtest.V3_6, Dir: dir, HealthURL: fmt.Sprintf("http://127.0.0.1:%d/health", ports[2]),
		Args: []string{ // kubeadm's own (cmd/kubeadm/app/phases/etcd/local.go)
			"--name=cp-0", "--data-dir=" + filepath.Join(dir, "data"),
			"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
			"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=cp-0=" + peer,
			fmt.Sprintf("--listen-metrics-urls=http://127.0.0.1:%d", ports[2]),
			"--cert-file=" + at("server.crt"), "--key-file=" + at("server.key"), "--client-cert-auth=true", "--trusted-ca-file=" + at("ca.crt"),
			"--peer-cert-file=" + at("peer.crt"), "--peer-key-file=" + at("peer.key"), "--peer-client-cert-auth=true", "--peer-trusted-ca-file=" + at("ca.crt"),
		},
	})
	out := clitest.Expect(t, 0, "pki", "import", store, "cp-0="+made, "--name", "made", "--etcd-version", etcdtest.V3_6)
	for _, want := range []string{"one CA for clients and peers", "the CA's key is on the node", "layout kubeadm"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	// What kubeadm made is what the spec wants: nothing but a client that it does not know is missing.
	if out := clitest.Expect(t, 0, "pki", "renew", store); strings.Contains(out, "renew ") || !strings.Contains(out, "issue  clients/auditor/client.crt") {
		t.Errorf("renewed at once:\n%s", out)
	}
	clitest.Expect(t, 0, "pki", "renew", store, "--all", "--new-key")
	spec := filepath.Join(store, "cluster.yaml")
	bundle := filepath.Join(store, "nodes", "cp-0", "pki")
	status := func(want int) string {
		t.Helper()
		return clitest.Expect(t, want, "pki", "status", store, client, peer, "-o", "json")
	}
	if out := status(3); strings.Count(out, `"live": "not yet picked up"`) != 2 {
		t.Errorf("before the new files are there:\n%s", out)
	}
	clitest.Expect(t, 0, "pki", "install", "-f", spec, "cp-0", bundle, made, "--keys", bundle, "--any-node")
	if out := status(0); strings.Count(out, `"live": "served"`) != 2 {
		t.Errorf("with the new files:\n%s", out)
	}
	auditor := filepath.Join(store, "clients", "auditor")
	auditStatus, audit, _ := clitest.Run(t, "audit", "run", strings.TrimPrefix(client, "https://"),
		"--cacert", filepath.Join(auditor, "ca.crt"), "--cert", filepath.Join(auditor, "client.crt"), "--key", filepath.Join(auditor, "client.key"))
	if auditStatus == 1 || strings.Contains(audit, "does not verify") {
		t.Errorf("the audit of the adopted cluster: status %d\n%s", auditStatus, audit)
	}
}
