package audit_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// Bad input is said before any server is asked, with the flag or file, and leaves stdout empty.
func TestAuditRunRefuses(t *testing.T) {
	good := clitest.NewIdentity(t, time.Time{})
	expired := clitest.NewIdentity(t, time.Now().Add(-time.Hour))
	dir := t.TempDir()
	path := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		clitest.WriteFile(t, path, data)
		return path
	}
	certPEM, err := os.ReadFile(good.Cert)
	if err != nil {
		t.Fatal(err)
	}
	empty := path("empty.pem", nil)
	truncated := path("truncated.pem", certPEM[:len(certPEM)/2])
	huge := path("huge.pem", nil)
	if err := os.Truncate(huge, 1<<30); err != nil {
		t.Fatal(err)
	}
	const endpoint = "127.0.0.1:1"
	for name, c := range map[string]struct {
		args   []string
		status int
		want   []string
	}{
		"nothing": {[]string{"--root", t.TempDir()}, clitest.StatusUsage, []string{"nothing to audit", "hint: etcdsec audit run"}},
		"no port": {[]string{"10.0.0.11"}, clitest.StatusUsage, []string{`endpoint "10.0.0.11"`, "host:port"}},
		"all bad endpoints": {[]string{"a", "ftp://b:1", "--peer", "c", "--metrics", "d:0", "--apiserver", "e", "--kubelet", "f"}, clitest.StatusUsage,
			[]string{`"a"`, `"ftp://b:1": its scheme is not http or https`, `--peer: endpoint "c"`, `--metrics: endpoint "d:0"`, `--apiserver: endpoint "e"`, `--kubelet: endpoint "f"`}},
		"nothing of etcd":     {[]string{"--root", t.TempDir(), "--apiserver", endpoint, "--kubelet", "127.0.0.1:2"}, clitest.StatusUsage, []string{"nothing to audit"}},
		"twice":               {[]string{endpoint, "https://" + endpoint}, clitest.StatusUsage, []string{"listed twice"}},
		"twice, as a peer":    {[]string{endpoint, "--peer", endpoint}, clitest.StatusUsage, []string{"--peer: ", "listed twice"}},
		"min-tls":             {[]string{endpoint, "--min-tls", "1.1"}, clitest.StatusUsage, []string{"--min-tls", "1.2 or 1.3"}},
		"timeout":             {[]string{endpoint, "--timeout", "0s"}, clitest.StatusUsage, []string{"--timeout"}},
		"format":              {[]string{endpoint, "-o", "xml"}, clitest.StatusUsage, []string{"-o xml", "text, json, sarif", "or cklb"}},
		"format of a file":    {[]string{endpoint, "-o", "xml=report.xml"}, clitest.StatusUsage, []string{"-o xml=report.xml", "unknown format"}},
		"format twice":        {[]string{endpoint, "-o", "html=a", "-o", "html=b"}, clitest.StatusUsage, []string{"-o html=b", "twice"}},
		"format twice, once":  {[]string{endpoint, "-o", "json", "-o", "json=b"}, clitest.StatusUsage, []string{"-o json=b", "twice"}},
		"two on stdout":       {[]string{endpoint, "-o", "text", "-o", "json"}, clitest.StatusUsage, []string{"two reports on stdout", "-o json=FILE"}},
		"two in a file":       {[]string{endpoint, "-o", "html=" + filepath.Join(dir, "x"), "-o", "csv=" + dir + "/./x"}, clitest.StatusUsage, []string{"two reports in one file"}},
		"no file":             {[]string{endpoint, "-o", "html="}, clitest.StatusUsage, []string{"-o html=", "no file"}},
		"flag":                {[]string{endpoint, "--no-such"}, clitest.StatusUsage, []string{"--no-such"}},
		"cert without key":    {[]string{endpoint, "--cert", good.Cert}, clitest.StatusUsage, []string{"--cert without --key", "hint: --cert " + good.Cert}},
		"key without cert":    {[]string{endpoint, "--key", good.Key}, clitest.StatusUsage, []string{"--key without --cert"}},
		"pki and cert":        {[]string{endpoint, "--pki", dir, "--cert", good.Cert, "--key", good.Key}, clitest.StatusUsage, []string{"--pki"}},
		"no store":            {[]string{endpoint, "--pki", dir}, clitest.StatusUsage, []string{"--pki: " + dir + " is not a store"}},
		"missing CA":          {[]string{endpoint, "--cacert", filepath.Join(dir, "none.pem")}, clitest.StatusUsage, []string{"none.pem", "no such file", "hint: --cacert"}},
		"empty CA":            {[]string{endpoint, "--cacert", empty}, clitest.StatusFailed, []string{empty, "is empty"}},
		"truncated CA":        {[]string{endpoint, "--cacert", truncated}, clitest.StatusFailed, []string{truncated, "no PEM certificate"}},
		"huge CA":             {[]string{endpoint, "--cacert", huge}, clitest.StatusFailed, []string{huge, "larger than"}},
		"CA is a folder":      {[]string{endpoint, "--cacert", dir}, clitest.StatusFailed, []string{dir, "not a regular file"}},
		"huge certificate":    {[]string{endpoint, "--cert", huge, "--key", good.Key}, clitest.StatusFailed, []string{huge}},
		"huge key":            {[]string{endpoint, "--cert", good.Cert, "--key", huge}, clitest.StatusFailed, []string{huge}},
		"truncated cert":      {[]string{endpoint, "--cert", truncated, "--key", good.Key}, clitest.StatusFailed, []string{truncated}},
		"key of another":      {[]string{endpoint, "--cert", good.Cert, "--key", expired.Key}, clitest.StatusFailed, []string{good.Cert, "does not match"}},
		"expired certificate": {[]string{endpoint, "--cert", expired.Cert, "--key", expired.Key}, clitest.StatusFailed, []string{expired.Cert, "expired on", "hint: --cert client.crt --key client.key   # of a certificate that has not expired"}},
		"missing spec":        {[]string{"-f", filepath.Join(dir, "none.yaml")}, clitest.StatusUsage, []string{"none.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := clitest.Run(t, append([]string{"audit", "run"}, c.args...)...)
			if status != c.status {
				t.Errorf("exit %d, want %d: %s", status, c.status, stderr)
			}
			if stdout != "" {
				t.Errorf("on stdout: %s", stdout)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("%q is not in %s", want, stderr)
				}
			}
			if strings.Contains(stderr, "PRIVATE KEY") {
				t.Error("a key is on stderr")
			}
		})
	}
}

// What cannot be reached is unknown, is not clean, and is in the report.
func TestAuditRunUnreachable(t *testing.T) {
	endpoint := fmt.Sprintf("127.0.0.1:%d", etcdtest.FreePort(t))
	status, stdout, stderr := clitest.Run(t, "audit", "run", endpoint)
	if status != clitest.StatusFailed || stderr != "" {
		t.Errorf("exit %d: %s", status, stderr)
	}
	for _, want := range []string{endpoint, "UNKNOWN", "connection refused", "questions without an answer"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in %s", want, stdout)
		}
	}
}

func TestAuditRunFindings(t *testing.T) {
	client, peer, _ := etcdtest.Plain(t, etcdtest.V3_7)
	// Without a metrics port nothing stays unknown on a plaintext member.
	status, stdout, stderr := clitest.Run(t, "audit", "run", "http://"+client, "--peer", peer, "-o", "json")
	if status != clitest.StatusFindings || stderr != "" {
		t.Fatalf("exit %d: %s", status, stderr)
	}
	var report audit.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatal(err)
	}
	verdicts := map[string]audit.Verdict{}
	for _, r := range report.Results {
		verdicts[r.Target+" "+r.CheckID] = r.Verdict
		if r.Verdict == audit.Fail && (r.Evidence == "" || len(r.Remediation) == 0 || len(r.References) == 0 || r.Fingerprint == "") {
			t.Errorf("%s says too little: %+v", r.CheckID, r)
		}
	}
	for _, key := range []string{client + " client-plaintext", client + " client-anonymous-read", peer + " peer-plaintext", client + " debug-exposed", client + " member-url-plaintext"} {
		if verdicts[key] != audit.Fail {
			t.Errorf("%s: %q", key, verdicts[key])
		}
	}
	if verdicts[client+" version-vulnerable"] != audit.Pass {
		t.Error("the newest etcd has advisories")
	}
	if report.SchemaVersion != 1 || report.Tool.Name != "etcdsec" || report.FinishedAt.Before(report.StartedAt) || report.Summary.Unknown > 0 {
		t.Errorf("got %+v", report)
	}
}

func TestAuditRunClean(t *testing.T) {
	id := clitest.NewIdentity(t, time.Time{})
	members := clitest.NewIdentity(t, time.Time{})
	const size = 3 // one member alone is a finding
	ports := etcdtest.FreePorts(t, 3*size)
	port := func(i, of int) string { return fmt.Sprintf("127.0.0.1:%d", ports[3*i+of]) }
	var initial []string
	for i := range size {
		initial = append(initial, fmt.Sprintf("m%d=https://%s", i, port(i, 1)))
	}
	var configs []etcdtest.Config
	var endpoints []string
	for i := range size {
		client, peer, metrics := port(i, 0), port(i, 1), port(i, 2)
		server, member := id.Another(t), members.Another(t)
		configs = append(configs, etcdtest.Config{
			Name: fmt.Sprintf("m%d", i), HealthURL: "http://" + metrics + "/health",
			Args: []string{
				fmt.Sprintf("--name=m%d", i), "--data-dir=" + t.TempDir(), "--initial-cluster=" + strings.Join(initial, ","),
				"--listen-client-urls=https://" + client, "--advertise-client-urls=https://" + client,
				"--cert-file=" + server.Cert, "--key-file=" + server.Key, "--trusted-ca-file=" + id.CAPath, "--client-cert-auth",
				"--listen-peer-urls=https://" + peer, "--initial-advertise-peer-urls=https://" + peer,
				"--peer-cert-file=" + member.Cert, "--peer-key-file=" + member.Key, "--peer-trusted-ca-file=" + members.CAPath, "--peer-client-cert-auth",
				"--listen-metrics-urls=http://" + metrics, "--tls-min-version=TLS1.3", "--enable-grpc-gateway=false",
			},
		})
		endpoints = append(endpoints, client, "--peer", peer, "--metrics", metrics)
	}
	etcdtest.Run(t, configs...)
	// As the store of an operator has it.
	auditor := filepath.Join(t.TempDir(), "clients", "auditor")
	if err := os.MkdirAll(filepath.Dir(auditor), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(id.Dir, auditor); err != nil {
		t.Fatal(err)
	}
	store := filepath.Dir(filepath.Dir(auditor))
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   string // on stderr
	}{
		{"store", []string{"--pki", store, "--min-tls", "1.3"}, clitest.StatusDone, ""},
		{"flags", []string{"--cacert", id.CAPath, "--cert", id.Cert, "--key", id.Key}, clitest.StatusDone, ""},
		{"no credentials", nil, clitest.StatusFailed, ""},
		{
			"foreign CA of the server", []string{"--cacert", members.CAPath, "--cert", id.Cert, "--key", id.Key}, clitest.StatusFailed,
			"etcdsec: warning: no server has a certificate of the CAs (--cacert " + members.CAPath + "): are they those of this cluster?",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			// request-latency measures this machine, which may be busy.
			args := append([]string{"audit", "run", "--skip", "request-latency"}, endpoints...)
			status, stdout, stderr := clitest.Run(t, append(args, c.args...)...)
			if status != c.status || strings.TrimSpace(stderr) != c.says {
				t.Errorf("exit %d, want %d: %s%s", status, c.status, stdout, stderr)
			}
			if c.status == clitest.StatusDone && (strings.Count(stdout, "\n") != 12 || !strings.Contains(stdout, "clean: 10 targets")) {
				t.Errorf("got %s", stdout)
			}
		})
	}
}

func TestAuditRunSpec(t *testing.T) {
	ports := etcdtest.FreePorts(t, 3)
	spec := filepath.Join(t.TempDir(), "cluster.yaml")
	clitest.WriteFile(t, spec, fmt.Appendf(nil, `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: test}
spec:
  etcd:
    version: "3.6.16"
    clientPort: %d
    peerPort: %d
    metricsPort: %d
    members:
      - {name: etcd-0, addresses: [127.0.0.1, etcd-0.example.internal]}
  apiServers:
    - {name: cp-0, addresses: [127.0.0.1]}
`, ports[0], ports[1], ports[2]))
	status, stdout, stderr := clitest.Run(t, "audit", "run", "-f", spec, "-o", "json")
	if status != clitest.StatusFailed {
		t.Fatalf("exit %d: %s", status, stderr)
	}
	for _, port := range ports {
		if !strings.Contains(stdout, fmt.Sprintf(`"target": "127.0.0.1:%d"`, port)) {
			t.Errorf("port %d is not audited: %s", port, stdout)
		}
	}
}

func TestAuditHelp(t *testing.T) {
	for _, verb := range []string{"run", "list", "explain", "diff", "merge"} {
		status, stdout, _ := clitest.Run(t, "audit", verb, "--help")
		if status != clitest.StatusDone || !strings.Contains(stdout, "Examples:\n  etcdsec audit "+verb) {
			t.Errorf("%s: exit %d: %s", verb, status, stdout)
		}
	}
}
