package main

import (
	"context"
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
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// hostMember is a real etcd with mTLS on both ports, and a folder that looks like the root of
// the host it runs on: what Linux says of its process is there as a copy, so that other
// etcds of this machine are not.
type hostMember struct {
	root, dir             string
	client, peer, metrics string
}

func startHostMember(t *testing.T, more ...string) hostMember {
	t.Helper()
	ports := etcdtest.FreePorts(t, 4)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	m := hostMember{root: t.TempDir(), client: at(0), peer: at(1), metrics: at(2)}
	m.dir = filepath.Join(m.root, "srv/etcd")
	clients, members := writeIdentity(t, time.Time{}), writeIdentity(t, time.Time{})
	for from, to := range map[string]string{
		clients.caPath: "ca.crt", clients.cert: "healthcheck-client.crt", clients.key: "healthcheck-client.key",
		members.caPath: "peer-ca.crt", members.cert: "peer.crt", members.key: "peer.key",
	} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		writeHostFile(t, filepath.Join(m.dir, to), string(data))
	}
	path := func(name string) string { return filepath.Join(m.dir, name) }
	for i, arg := range more {
		more[i] = strings.ReplaceAll(arg, "HTTP", at(3))
	}
	member := etcdtest.Run(t, etcdtest.Config{
		Name: "m0", Path: path("etcd"), HealthURL: "http://" + m.metrics + "/health", LogPath: path("log"),
		Args: append([]string{
			"--name=m0", "--data-dir=" + path("data"), "--initial-cluster=m0=https://" + m.peer,
			"--listen-client-urls=https://" + m.client, "--advertise-client-urls=https://" + m.client,
			"--cert-file=" + path("healthcheck-client.crt"), "--key-file=" + path("healthcheck-client.key"), "--trusted-ca-file=" + path("ca.crt"), "--client-cert-auth", "--enable-grpc-gateway=false", "--tls-min-version=TLS1.3",
			"--listen-peer-urls=https://" + m.peer, "--initial-advertise-peer-urls=https://" + m.peer,
			"--peer-cert-file=" + path("peer.crt"), "--peer-key-file=" + path("peer.key"), "--peer-trusted-ca-file=" + path("peer-ca.crt"), "--peer-client-cert-auth",
			"--listen-metrics-urls=http://" + m.metrics,
		}, more...),
	})[0]
	proc := fmt.Sprintf("/proc/%d", member.PID())
	for _, name := range []string{"cmdline", "environ", "stat"} {
		data, err := os.ReadFile(filepath.Join(proc, name))
		if err != nil {
			t.Fatal(err)
		}
		// The paths are of the host, whose root is here.
		writeHostFile(t, filepath.Join(m.root, proc, name), strings.ReplaceAll(string(data), m.root, ""))
	}
	writeHostFile(t, filepath.Join(m.root, "etc/hostname"), "cp-0\n")
	return m
}

func writeHostFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	writeTestFile(t, path, []byte(text))
}

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
	m := startHostMember(t)
	status, stdout, stderr := etcdsec(t, "audit", "run", "--root", m.root, "-o", "json")
	if want := "etcdsec: presenting etcd's healthcheck-client: " + filepath.Join(m.dir, "healthcheck-client.crt") + "\n"; stderr != want {
		t.Errorf("stderr %q, want %q", stderr, want)
	}
	targets, r := auditReport(t, stdout)
	for _, want := range []string{m.client, m.peer, m.metrics} {
		if !slices.Contains(targets, want) {
			t.Errorf("exit %d: %s is not among %q", status, want, targets)
		}
	}
	for _, result := range r.Results {
		if result.CheckID == "cert-eku" && result.Target == m.client {
			continue // the member serves the client's own certificate, and says so
		}
		if strings.Contains(result.Target, "127.0.0.1") && result.Verdict != audit.Pass && result.Verdict != audit.Skip {
			t.Errorf("%s on %s: %s %s", result.CheckID, result.Target, result.Verdict, result.Evidence)
		}
	}

	// A given certificate is the one that is presented, and a given endpoint is audited once.
	other := writeIdentity(t, time.Time{})
	_, stdout, stderr = etcdsec(t, "audit", "run", m.client, "--root", m.root, "--cert", other.cert, "--key", other.key, "-o", "json")
	if strings.Contains(stderr, "presenting") {
		t.Errorf("stderr %q", stderr)
	}
	if targets, _ := auditReport(t, stdout); !slices.Contains(targets, m.peer) {
		t.Errorf("got %q", targets)
	}

	// Without --host, a given endpoint is all.
	_, stdout, _ = etcdsec(t, "audit", "run", m.client, "-o", "json")
	if targets, _ := auditReport(t, stdout); !slices.Contains(targets, m.client) || slices.Contains(targets, m.peer) {
		t.Errorf("got %q", targets)
	}

	// This machine itself: its member is among whatever else runs here.
	_, stdout, stderr = etcdsec(t, "audit", "run", "--host", m.client, "-o", "json")
	if targets, _ := auditReport(t, stdout); !slices.Contains(targets, m.peer) || !strings.Contains(stderr, "presenting") {
		t.Errorf("got %q, %s", targets, stderr)
	}
}

// The listeners that are audited know the settings of their etcd.
func TestAuditHostSettings(t *testing.T) {
	m := startHostMember(t, "--listen-client-http-urls=https://HTTP")
	a := &app{stdin: strings.NewReader(""), stdout: &strings.Builder{}, stderr: &strings.Builder{}, now: time.Now}
	given := []collect.Endpoint{{Address: m.client, Kind: audit.Client, ExpectedNames: []string{"etcd-0.example.internal"}}}
	flags := auditRunFlags{endpoints: []string{m.client}, minTLS: "1.3", hosts: auditHostFlags{root: m.root}}
	found, err := a.lookAround(context.Background(), flags, given, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(found.configs) != 1 || found.configs[0].Address != "cp-0:process m0" || found.configs[0].Kind != audit.Config || !found.configs[0].Settings.Enabled("client-cert-auth") {
		t.Fatalf("got %+v", found.configs)
	}
	var got []string
	for _, e := range found.endpoints {
		if e.Settings != found.configs[0].Settings {
			t.Errorf("%s has no settings", e.Address)
		}
		got = append(got, fmt.Sprint(e.Kind, " ", e.Address, " ", e.ExpectedNames))
	}
	want := []string{"client " + m.client + " [etcd-0.example.internal]", "client " + found.configs[0].Settings.URLs("listen-client-http-urls")[0][len("https://"):] + " []", "peer " + m.peer + " [127.0.0.1]", "metrics " + m.metrics + " []"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	targets, err := collect.Collect(t.Context(), found.endpoints, collect.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		if target.Settings != found.configs[0].Settings {
			t.Errorf("%s has no settings", target.Address)
		}
	}
}

// Files that are judged alone make a target each, and no server is asked.
func TestAuditSettings(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		writeTestFile(t, filepath.Join(dir, name), []byte(text))
		return filepath.Join(dir, name)
	}
	pod := write("etcd.yaml", "kind: Pod\nspec: {containers: [{command: [etcd, --name=pod, --client-cert-auth]}, {command: [kube-apiserver, --etcd-cafile=/ca]}]}\n")
	unit := write("etcd.service", "[Service]\nEnvironment=ETCD_NAME=unit\nExecStart=/usr/bin/etcd\n")
	config := write("etcd.conf.yml", "name: config\nlisten-client-urls: http://127.0.0.1:1\n")
	env := write("etcd.env", "ETCD_NAME=env\n")
	a := &app{stdin: strings.NewReader(""), stdout: &strings.Builder{}, stderr: &strings.Builder{}, now: time.Now}
	found, err := a.lookAround(context.Background(), auditRunFlags{hosts: auditHostFlags{settings: []string{pod, unit, config, env}}}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range found.configs {
		names = append(names, filepath.Base(c.Address)+" "+c.Settings.Value("name"))
		if c.Kind != audit.Config || len(c.Settings.Faults) > 0 {
			t.Errorf("got %+v %+v", c, c.Settings)
		}
	}
	if diff := cmp.Diff([]string{"etcd.yaml pod", "etcd.service unit", "etcd.conf.yml config", "etcd.env env"}, names); diff != "" || len(found.endpoints) > 0 || found.found != nil {
		t.Errorf("%s %+v", diff, found)
	}
	if s := found.configs[0].Settings; s.APIServer == nil || s.APIServer.Value("etcd-cafile") != "/ca" {
		t.Errorf("got %+v", s)
	}
	for name, c := range map[string]struct{ text, want string }{
		"deployment.yaml": {"kind: Deployment\n", `of kind "Deployment", and not a Pod`},
		"broken.yaml":     {"name: [\n", "not YAML"},
		"refused.yaml":    {"name: a\nenable-pprof: \"yes\"\n", "etcd does not start with it: enable-pprof: want true or false"},
		"other.service":   {"[Service]\nExecStart=/usr/bin/sshd\n", "another program than etcd"},
		"other-pod.yaml":  {"kind: Pod\nspec: {containers: [{command: [nginx]}]}\n", "no etcd in it"},
		"empty":           {"", "no etcd in it"},
		"text":            {"Dear operator,\n", "no etcd in it"},
	} {
		path := write(name, c.text)
		status, stdout, stderr := etcdsec(t, "audit", "run", "--settings", path)
		if status != statusFailed || stdout != "" || !strings.Contains(stderr, path) || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d: %s%s", name, status, stdout, stderr)
		}
	}
}

// A host with an API server and no etcd of its own has what the API server was told, and its
// keys, to be judged; what is etcd's does not arise.
func TestAuditAPIServerHost(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	write := func(name, text string) { writeHostFile(t, filepath.Join(root, name), text) }
	id := writeIdentity(t, time.Time{})
	for from, to := range map[string]string{id.caPath: "ca.crt", id.cert: "apiserver-etcd-client.crt", id.key: "apiserver-etcd-client.key"} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		write("etc/kubernetes/pki/"+to, string(data))
	}
	write("etc/hostname", "cp-0\n")
	write("etc/passwd", fmt.Sprintf("root:x:%d:0::/:/bin/sh\n", os.Getuid()))
	write("etc/group", fmt.Sprintf("root:x:%d:\n", os.Getgid()))
	write("etc/kubernetes/enc.yaml", "kind: EncryptionConfiguration\nresources: [{resources: [secrets], providers: [{aescbc: {}}, {identity: {}}]}]\n")
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
	status, stdout, stderr := etcdsec(t, "audit", "run", "--root", root, "-o", "json")
	targets, report := auditReport(t, stdout)
	if diff := cmp.Diff([]string{"cp-0:/etc/kubernetes/manifests/kube-apiserver.yaml"}, targets); diff != "" || status != statusFindings {
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
