package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// etcdsec runs a command line in this process.
func etcdsec(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: time.Now}
	status = run(t.Context(), a, args)
	return status, out.String(), errs.String()
}

// identity is a CA and a client of it, in files.
type identity struct {
	ca                     *throwaway.CA
	caPath, cert, key, dir string
}

func writeIdentity(t *testing.T, notAfter time.Time) identity {
	t.Helper()
	// A name of its own, as each CA should have.
	return writeIdentityOf(t, "test "+filepath.Base(t.TempDir()), notAfter, net.IPv4(127, 0, 0, 1))
}

// writeIdentityOf is writeIdentity with a CA of that name and a leaf for the addresses.
func writeIdentityOf(t *testing.T, name string, notAfter time.Time, addresses ...net.IP) identity {
	t.Helper()
	now := time.Now()
	ca, err := throwaway.New(throwaway.Config{CommonName: name, NotBefore: now.Add(-48 * time.Hour), NotAfter: now.Add(90 * 24 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	id := newIdentity(t, ca, notAfter, addresses...)
	writeTestFile(t, id.caPath, ca.CertPEM())
	return id
}

// another is an identity of the same CA with a key of its own.
func (id identity) another(t *testing.T) identity {
	t.Helper()
	next := newIdentity(t, id.ca, time.Time{}, net.IPv4(127, 0, 0, 1))
	next.caPath = id.caPath
	return next
}

func newIdentity(t *testing.T, ca *throwaway.CA, notAfter time.Time, addresses ...net.IP) identity {
	t.Helper()
	leaf, err := ca.Leaf(throwaway.Leaf{
		CommonName: "auditor", NotAfter: notAfter, IPs: addresses,
		EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	id := identity{ca: ca, dir: dir, caPath: filepath.Join(dir, "ca.crt"), cert: filepath.Join(dir, "client.crt"), key: filepath.Join(dir, "client.key")}
	writeLeaf(t, id, leaf)
	return id
}

func writeLeaf(t *testing.T, id identity, leaf tls.Certificate) {
	t.Helper()
	keyDER, err := x509.MarshalECPrivateKey(leaf.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	writeTestFile(t, id.cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}))
	writeTestFile(t, id.key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}

func writeTestFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Bad input is said before any server is asked, with the flag or file, and leaves stdout empty.
func TestAuditRunRefuses(t *testing.T) {
	good := writeIdentity(t, time.Time{})
	expired := writeIdentity(t, time.Now().Add(-time.Hour))
	dir := t.TempDir()
	path := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		writeTestFile(t, path, data)
		return path
	}
	certPEM, err := os.ReadFile(good.cert)
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
		"nothing": {[]string{"--root", t.TempDir()}, statusUsage, []string{"nothing to audit", "hint: etcdsec audit run"}},
		"no port": {[]string{"10.0.0.11"}, statusUsage, []string{`endpoint "10.0.0.11"`, "host:port"}},
		"all bad endpoints": {[]string{"a", "ftp://b:1", "--peer", "c", "--metrics", "d:0", "--apiserver", "e", "--kubelet", "f"}, statusUsage,
			[]string{`"a"`, `"ftp"`, `--peer: endpoint "c"`, `--metrics: endpoint "d:0"`, `--apiserver: endpoint "e"`, `--kubelet: endpoint "f"`}},
		"nothing of etcd":     {[]string{"--root", t.TempDir(), "--apiserver", endpoint, "--kubelet", "127.0.0.1:2"}, statusUsage, []string{"nothing to audit"}},
		"twice":               {[]string{endpoint, "https://" + endpoint}, statusUsage, []string{"listed twice"}},
		"twice, as a peer":    {[]string{endpoint, "--peer", endpoint}, statusUsage, []string{"--peer: ", "listed twice"}},
		"min-tls":             {[]string{endpoint, "--min-tls", "1.1"}, statusUsage, []string{"--min-tls", "1.2 or 1.3"}},
		"timeout":             {[]string{endpoint, "--timeout", "0s"}, statusUsage, []string{"--timeout"}},
		"format":              {[]string{endpoint, "-o", "xml"}, statusUsage, []string{"-o xml", "text, json, sarif", "or cklb"}},
		"format of a file":    {[]string{endpoint, "-o", "xml=report.xml"}, statusUsage, []string{"-o xml=report.xml", "unknown format"}},
		"format twice":        {[]string{endpoint, "-o", "html=a", "-o", "html=b"}, statusUsage, []string{"-o html=b", "twice"}},
		"format twice, once":  {[]string{endpoint, "-o", "json", "-o", "json=b"}, statusUsage, []string{"-o json=b", "twice"}},
		"two on stdout":       {[]string{endpoint, "-o", "text", "-o", "json"}, statusUsage, []string{"two reports on stdout", "-o json=FILE"}},
		"two in a file":       {[]string{endpoint, "-o", "html=" + filepath.Join(dir, "x"), "-o", "csv=" + dir + "/./x"}, statusUsage, []string{"two reports in one file"}},
		"no file":             {[]string{endpoint, "-o", "html="}, statusUsage, []string{"-o html=", "no file"}},
		"flag":                {[]string{endpoint, "--no-such"}, statusUsage, []string{"--no-such"}},
		"cert without key":    {[]string{endpoint, "--cert", good.cert}, statusUsage, []string{"--cert without --key", "hint: --cert " + good.cert}},
		"key without cert":    {[]string{endpoint, "--key", good.key}, statusUsage, []string{"--key without --cert"}},
		"pki and cert":        {[]string{endpoint, "--pki", dir, "--cert", good.cert, "--key", good.key}, statusUsage, []string{"--pki"}},
		"no store":            {[]string{endpoint, "--pki", dir}, statusFailed, []string{"--pki " + dir, "hint: etcdsec pki issue"}},
		"missing CA":          {[]string{endpoint, "--cacert", filepath.Join(dir, "none.pem")}, statusFailed, []string{"none.pem", "no such file", "hint: --cacert"}},
		"empty CA":            {[]string{endpoint, "--cacert", empty}, statusFailed, []string{empty, "is empty"}},
		"truncated CA":        {[]string{endpoint, "--cacert", truncated}, statusFailed, []string{truncated, "no PEM certificate"}},
		"huge CA":             {[]string{endpoint, "--cacert", huge}, statusFailed, []string{huge, "larger than"}},
		"CA is a folder":      {[]string{endpoint, "--cacert", dir}, statusFailed, []string{dir, "not a regular file"}},
		"huge certificate":    {[]string{endpoint, "--cert", huge, "--key", good.key}, statusFailed, []string{huge}},
		"huge key":            {[]string{endpoint, "--cert", good.cert, "--key", huge}, statusFailed, []string{huge}},
		"truncated cert":      {[]string{endpoint, "--cert", truncated, "--key", good.key}, statusFailed, []string{truncated}},
		"key of another":      {[]string{endpoint, "--cert", good.cert, "--key", expired.key}, statusFailed, []string{good.cert, "does not match"}},
		"expired certificate": {[]string{endpoint, "--cert", expired.cert, "--key", expired.key}, statusFailed, []string{expired.cert, "expired on", "in a store: etcdsec pki renew DIR"}},
		"missing spec":        {[]string{"-f", filepath.Join(dir, "none.yaml")}, statusUsage, []string{"none.yaml"}},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := etcdsec(t, append([]string{"audit", "run"}, c.args...)...)
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

// A certificate that is not valid yet is refused by the clock that the verb was given.
func TestAuditRunClock(t *testing.T) {
	id := writeIdentity(t, time.Time{})
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: func() time.Time { return time.Now().Add(-1000 * time.Hour) }}
	status := run(t.Context(), a, []string{"audit", "run", "127.0.0.1:1", "--cert", id.cert, "--key", id.key})
	if status != statusFailed || !strings.Contains(errs.String(), "not valid before") {
		t.Errorf("exit %d: %s", status, errs.String())
	}
}

// What cannot be reached is unknown, is not clean, and is in the report.
func TestAuditRunUnreachable(t *testing.T) {
	endpoint := fmt.Sprintf("127.0.0.1:%d", etcdtest.FreePort(t))
	status, stdout, stderr := etcdsec(t, "audit", "run", endpoint)
	if status != statusFailed || stderr != "" {
		t.Errorf("exit %d: %s", status, stderr)
	}
	for _, want := range []string{endpoint, "UNKNOWN", "connection refused", "questions without an answer"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("%q is not in %s", want, stdout)
		}
	}
}

// An audit that is interrupted reports what it did, and all else as unknown.
func TestAuditRunInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &out, stderr: &errs, now: time.Now}
	status := run(ctx, a, []string{"audit", "run", "127.0.0.1:1", "-o", "json"})
	if status != statusFailed || !strings.Contains(errs.String(), "the audit was interrupted") {
		t.Errorf("exit %d: %s", status, errs.String())
	}
	report, err := audit.ReadReport(&out)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Results) == 0 {
		t.Error("no results")
	}
	for _, r := range report.Results {
		asked := r.CheckID != "snapshot-age" // it is about a folder, which was not given
		if asked && (r.Verdict != audit.Unknown || r.Evidence != audit.Interrupted) {
			t.Errorf("%s %s on %s: %s", r.Verdict, r.CheckID, r.Target, r.Evidence)
		}
	}
}

func TestAuditRunFindings(t *testing.T) {
	client, peer, _ := etcdtest.Plain(t, etcdtest.V3_7)
	// Without a metrics port nothing stays unknown on a plaintext member.
	status, stdout, stderr := etcdsec(t, "audit", "run", "http://"+client, "--peer", peer, "-o", "json")
	if status != statusFindings || stderr != "" {
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
	id := writeIdentity(t, time.Time{})
	members := writeIdentity(t, time.Time{})
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
		server, member := id.another(t), members.another(t)
		configs = append(configs, etcdtest.Config{
			Name: fmt.Sprintf("m%d", i), HealthURL: "http://" + metrics + "/health",
			Args: []string{
				fmt.Sprintf("--name=m%d", i), "--data-dir=" + t.TempDir(), "--initial-cluster=" + strings.Join(initial, ","),
				"--listen-client-urls=https://" + client, "--advertise-client-urls=https://" + client,
				"--cert-file=" + server.cert, "--key-file=" + server.key, "--trusted-ca-file=" + id.caPath, "--client-cert-auth",
				"--listen-peer-urls=https://" + peer, "--initial-advertise-peer-urls=https://" + peer,
				"--peer-cert-file=" + member.cert, "--peer-key-file=" + member.key, "--peer-trusted-ca-file=" + members.caPath, "--peer-client-cert-auth",
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
	if err := os.Symlink(id.dir, auditor); err != nil {
		t.Fatal(err)
	}
	store := filepath.Dir(filepath.Dir(auditor))
	for _, c := range []struct {
		name   string
		args   []string
		status int
	}{
		{"store", []string{"--pki", store, "--min-tls", "1.3"}, statusDone},
		{"flags", []string{"--cacert", id.caPath, "--cert", id.cert, "--key", id.key}, statusDone},
		{"no credentials", nil, statusFailed},
		{"foreign CA of the server", []string{"--cacert", members.caPath, "--cert", id.cert, "--key", id.key}, statusFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, stdout, stderr := etcdsec(t, append(append([]string{"audit", "run"}, endpoints...), c.args...)...)
			if status != c.status || stderr != "" {
				t.Errorf("exit %d, want %d: %s%s", status, c.status, stdout, stderr)
			}
			if c.status == statusDone && (strings.Count(stdout, "\n") != 12 || !strings.Contains(stdout, "clean: 10 targets")) {
				t.Errorf("got %s", stdout)
			}
		})
	}
}

func TestAuditRunSpec(t *testing.T) {
	ports := etcdtest.FreePorts(t, 3)
	spec := filepath.Join(t.TempDir(), "cluster.yaml")
	writeTestFile(t, spec, fmt.Appendf(nil, `apiVersion: etcdsec.dev/v1alpha1
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
	status, stdout, stderr := etcdsec(t, "audit", "run", "-f", spec, "-o", "json")
	if status != statusFailed {
		t.Fatalf("exit %d: %s", status, stderr)
	}
	for _, port := range ports {
		if !strings.Contains(stdout, fmt.Sprintf(`"target": "127.0.0.1:%d"`, port)) {
			t.Errorf("port %d is not audited: %s", port, stdout)
		}
	}
}

func TestAuditList(t *testing.T) {
	status, stdout, stderr := etcdsec(t, "audit", "list")
	if status != statusDone || stderr != "" {
		t.Fatalf("exit %d: %s", status, stderr)
	}
	if want := len(everyCheck()) + 1; strings.Count(stdout, "\n") != want {
		t.Errorf("%d lines, want %d: %s", strings.Count(stdout, "\n"), want, stdout)
	}
	status, stdout, _ = etcdsec(t, "audit", "list", "-o", "json")
	var checks []map[string]any
	if err := json.Unmarshal([]byte(stdout), &checks); err != nil || status != statusDone || len(checks) != len(everyCheck()) {
		t.Errorf("exit %d, %v: %s", status, err, stdout)
	}
	if status, _, _ = etcdsec(t, "audit", "list", "extra"); status != statusUsage {
		t.Errorf("exit %d for an argument", status)
	}
}

func TestAuditExplain(t *testing.T) {
	checks := everyCheck()
	if len(checks) == 0 {
		t.Fatal("no checks")
	}
	for _, c := range checks {
		status, stdout, stderr := etcdsec(t, "audit", "explain", c.ID)
		if status != statusDone || stderr != "" {
			t.Errorf("%s: exit %d: %s", c.ID, status, stderr)
		}
		for _, want := range append([]string{c.Title, string(c.Severity), c.Rationale, c.Method}, c.References...) {
			if !strings.Contains(stdout, want) {
				t.Errorf("%s: %q is not in %s", c.ID, want, stdout)
			}
		}
	}
	status, stdout, stderr := etcdsec(t, "audit", "explain", "cert-expiri")
	if status != statusUsage || stdout != "" || !strings.Contains(stderr, "hint: etcdsec audit explain cert-expiry") {
		t.Errorf("exit %d: %s%s", status, stdout, stderr)
	}
	if status, _, _ := etcdsec(t, "audit", "explain"); status != statusUsage {
		t.Errorf("exit %d without an ID", status)
	}
}

func TestAuditHelp(t *testing.T) {
	for _, verb := range []string{"run", "list", "explain", "diff", "merge"} {
		status, stdout, _ := etcdsec(t, "audit", verb, "--help")
		if status != statusDone || !strings.Contains(stdout, "Examples:\n  etcdsec audit "+verb) {
			t.Errorf("%s: exit %d: %s", verb, status, stdout)
		}
	}
}
