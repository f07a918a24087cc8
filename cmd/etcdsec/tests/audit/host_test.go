package audit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
)

func auditReport(t *testing.T, stdout string) (targets []string, r audit.Report) {
	t.Helper()
	if err := json.Unmarshal([]byte(stdout), &r); err != nil {
		t.Fatalf("%v: %s", err, stdout)
	}
	for _, result := range r.Results {
		if !slices.Contains(targets, result.Target) {
			targets = append(targets, result.Target)
		}
	}
	return targets, r
}

// Without an argument, the etcds of the host are audited at all their listeners, with the
// credentials that lie there.
func TestAuditHost(t *testing.T) {
	m := clitest.StartHostMember(t)
	status, stdout, stderr := clitest.Run(t, "audit", "run", "--timeout", "1m", "--root", m.Root, "-o", "json")
	if want := "etcdsec: presenting etcd's healthcheck-client: " + filepath.Join(m.Dir, "healthcheck-client.crt") + "\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
	targets, r := auditReport(t, stdout)
	for _, want := range []string{m.Client, m.Peer, m.Metrics} {
		if !slices.Contains(targets, want) {
			t.Errorf("exit %d: %s is not among %q", status, want, targets)
		}
	}
	for _, result := range r.Results {
		if result.CheckID == "cert-eku" && result.Target == m.Client {
			continue // the member serves the client's own certificate, and says so
		}
		if result.CheckID == "request-latency" {
			continue // it measures this machine, which may be busy
		}
		if strings.Contains(result.Target, "127.0.0.1") && result.Verdict != audit.Pass && result.Verdict != audit.Skip {
			t.Errorf("%s on %s: %s %s", result.CheckID, result.Target, result.Verdict, result.Evidence)
		}
	}

	// A given certificate is the one that is presented, and a given endpoint is audited once.
	other := clitest.NewIdentity(t, time.Time{})
	_, stdout, stderr = clitest.Run(t, "audit", "run", "--timeout", "1m", m.Client, "--root", m.Root, "--cert", other.Cert, "--key", other.Key, "-o", "json")
	if strings.Contains(stderr, "presenting") {
		t.Errorf("stderr %q", stderr)
	}
	if targets, _ := auditReport(t, stdout); !slices.Contains(targets, m.Peer) {
		t.Errorf("got %q", targets)
	}

	// Without --host, a given endpoint is all.
	_, stdout, _ = clitest.Run(t, "audit", "run", "--timeout", "1m", m.Client, "-o", "json")
	if targets, _ := auditReport(t, stdout); !slices.Contains(targets, m.Client) || slices.Contains(targets, m.Peer) {
		t.Errorf("got %q", targets)
	}

	// This machine itself: its member is among whatever else runs here.
	_, stdout, stderr = clitest.Run(t, "audit", "run", "--timeout", "1m", "--host", m.Client, "-o", "json")
	if targets, _ := auditReport(t, stdout); !slices.Contains(targets, m.Peer) || !strings.Contains(stderr, "presenting") {
		t.Errorf("got %q, %s", targets, stderr)
	}
}

// A host with an API server and no etcd of its own has what the API server was told, and its
// keys, to be judged; what is etcd's does not arise.
func TestAuditAPIServerHost(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, text string) { clitest.WriteFileBelow(t, filepath.Join(root, name), text) }
	id := clitest.NewIdentity(t, time.Time{})
	for from, to := range map[string]string{id.CAPath: "ca.crt", id.Cert: "apiserver-etcd-client.crt", id.Key: "apiserver-etcd-client.key"} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write("etc/kubernetes/pki/"+to, string(data))
	}
	write("etc/hostname", "cp-0\n")
	write("etc/passwd", fmt.Sprintf("root:x:%d:0::/:/bin/sh\n", os.Getuid()))
	write("etc/group", fmt.Sprintf("root:x:%d:\n", os.Getgid()))
	write("etc/kubernetes/enc.yaml", "apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [{aescbc: {keys: [{name: k, secret: c4rzPEqV8gyQbSMfgxQm0dUhKkO8v5LzMZTPCkk3E0Q=}]}}, {identity: {}}]}]\n")
	write("etc/kubernetes/manifests/kube-apiserver.yaml", `kind: Pod
spec:
  containers:
  - command: [kube-apiserver, '--etcd-servers=https://10.0.0.11:2379,http://10.0.0.12:2379', --encryption-provider-config=/etc/kubernetes/enc.yaml,
      --etcd-cafile=/etc/kubernetes/pki/ca.crt, --etcd-certfile=/etc/kubernetes/pki/apiserver-etcd-client.crt, --etcd-keyfile=/etc/kubernetes/pki/apiserver-etcd-client.key]
    volumeMounts: [{name: k, mountPath: /etc/kubernetes}]
  volumes: [{name: k, hostPath: {path: /etc/kubernetes}}]
`)
	if err := os.Chmod(filepath.Join(root, "etc/kubernetes/pki/apiserver-etcd-client.key"), 0o640); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := clitest.Run(t, "audit", "run", "--timeout", "1m", "--root", root, "-o", "json")
	targets, report := auditReport(t, stdout)
	if diff := cmp.Diff([]string{"cp-0:/etc/kubernetes/manifests/kube-apiserver.yaml"}, targets); diff != "" || status != clitest.StatusFindings {
		t.Errorf("exit %d: %s%s", status, diff, stderr)
	}
	want := map[string]string{
		"config-apiserver-etcd": "kube-apiserver dials http://10.0.0.12:2379 without TLS",
		"config-encryption":     "/etc/kubernetes/enc.yaml writes Secrets with aescbc",
		"file-mode":             "/etc/kubernetes/pki/apiserver-etcd-client.key has mode 0640",
	}
	for _, r := range report.Results {
		text, fails := want[r.CheckID]
		switch {
		case fails && (r.Verdict != audit.Fail || !strings.Contains(r.Evidence, text)):
			t.Errorf("%s: %s %s", r.CheckID, r.Verdict, r.Evidence)
		case !fails && r.Verdict != audit.Skip && !slices.Contains([]string{"file-owner pass", "key-world-readable pass"}, r.CheckID+" "+string(r.Verdict)):
			t.Errorf("%s: %s %s", r.CheckID, r.Verdict, r.Evidence)
		}
		delete(want, r.CheckID)
	}
	if len(want) > 0 {
		t.Errorf("no results of %v", want)
	}
}

// A k3s server has etcd in its own process: the audit says how to look at that.
func TestAuditK3sHost(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	config := filepath.Join(root, "var/lib/rancher/k3s/server/db/etcd/config")
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		t.Fatal(err)
	}
	text := "name: cp-0-1a2b\nlisten-client-urls: https://127.0.0.1:2379\nlisten-metrics-urls: http://127.0.0.1:2381\nlisten-peer-urls: https://127.0.0.1:2380\n" +
		"client-transport-security:\n  cert-file: /var/lib/rancher/k3s/server/tls/etcd/server-client.crt\n  client-cert-auth: true\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := clitest.Run(t, "audit", "run", "--root", root)
	if status != clitest.StatusUsage || !strings.Contains(stderr, "k3s server") || !strings.Contains(stderr, "--settings "+config) {
		t.Errorf("exit %d: %s", status, stderr)
	}
	// What the hint names can be read.
	status, stdout, stderr := clitest.Run(t, "audit", "run", "--settings", config, "-o", "json")
	if _, report := auditReport(t, stdout); len(report.Results) == 0 || status == clitest.StatusUsage {
		t.Errorf("exit %d: %s", status, stderr)
	}
}
