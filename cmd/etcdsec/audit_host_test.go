package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/google/go-cmp/cmp"
)

// The listeners that are audited know the settings of their etcd.
func TestAuditHostSettings(t *testing.T) {
	m := clitest.StartHostMember(t, "--listen-client-http-urls=https://HTTP")
	a := &app{stdin: strings.NewReader(""), stdout: &strings.Builder{}, stderr: &strings.Builder{}, now: time.Now}
	given := []collect.Endpoint{{Address: m.Client, Kind: audit.Client, ExpectedNames: []string{"etcd-0.example.internal"}}}
	flags := auditRunFlags{endpoints: []string{m.Client}, minTLS: "1.3", hosts: auditHostFlags{root: m.Root}}
	found, err := a.collectHost(context.Background(), flags, given, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Settings) != 1 || found.Settings[0].Address != "cp-0:process m0" || !found.Settings[0].Settings.Enabled("client-cert-auth") {
		t.Fatalf("got %+v", found.Settings)
	}
	var got []string
	for _, e := range found.Endpoints {
		if e.Settings != found.Settings[0].Settings {
			t.Errorf("%s has no settings", e.Address)
		}
		got = append(got, fmt.Sprint(e.Kind, " ", e.Address, " ", e.ExpectedNames))
	}
	want := []string{"client " + m.Client + " [etcd-0.example.internal]", "client " + found.Settings[0].Settings.URLs("listen-client-http-urls")[0][len("https://"):] + " []", "peer " + m.Peer + " [127.0.0.1]", "metrics " + m.Metrics + " []"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	targets, err := collect.Collect(t.Context(), found.Endpoints, collect.Config{Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range targets {
		if target.Settings != found.Settings[0].Settings {
			t.Errorf("%s has no settings", target.Address)
		}
	}
}

// Files that are judged alone make a target each, and no server is asked.
func TestAuditSettings(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		clitest.WriteFile(t, filepath.Join(dir, name), []byte(text))
		return filepath.Join(dir, name)
	}
	pod := write("etcd.yaml", "kind: Pod\nspec: {containers: [{command: [etcd, --name=pod, --client-cert-auth]}, {command: [kube-apiserver, --etcd-cafile=/ca]}]}\n")
	unit := write("etcd.service", "[Service]\nEnvironment=ETCD_NAME=unit\nExecStart=/usr/bin/etcd\n")
	config := write("etcd.conf.yml", "name: config\nlisten-client-urls: http://127.0.0.1:1\n")
	env := write("etcd.env", "ETCD_NAME=env\n")
	a := &app{stdin: strings.NewReader(""), stdout: &strings.Builder{}, stderr: &strings.Builder{}, now: time.Now}
	found, err := a.collectHost(context.Background(), auditRunFlags{hosts: auditHostFlags{settings: []string{pod, unit, config, env}}}, nil, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range found.Settings {
		names = append(names, filepath.Base(c.Address)+" "+c.Settings.Value("name"))
		if len(c.Settings.Faults) > 0 {
			t.Errorf("got %+v %+v", c, c.Settings)
		}
	}
	if diff := cmp.Diff([]string{"etcd.yaml pod", "etcd.service unit", "etcd.conf.yml config", "etcd.env env"}, names); diff != "" || len(found.Endpoints) > 0 || found.found != nil {
		t.Errorf("%s %+v", diff, found)
	}
	if s := found.Settings[0].Settings; s.APIServer == nil || s.APIServer.Value("etcd-cafile") != "/ca" {
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
