package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/oracle"
)

// BenchmarkBootstrap is `etcdsec bootstrap` for three members, three API servers and six
// clients: 17 certificates, every file synced. The process's start is not in it.
func BenchmarkBootstrap(b *testing.B) {
	dir := b.TempDir()
	spec := filepath.Join(dir, "cluster.yaml")
	more := `  apiServers:
    - {name: cp-0, addresses: [10.0.0.11]}
    - {name: cp-1, addresses: [10.0.0.12]}
    - {name: cp-2, addresses: [10.0.0.13]}
  clients:
    - {name: backup, role: backup}
    - {name: monitoring, role: monitoring}
    - {name: root, role: root}
`
	if err := os.WriteFile(spec, []byte(clitest.ThreeMembersSpec+more), 0o600); err != nil {
		b.Fatal(err)
	}
	n := 0
	for b.Loop() {
		n++
		var stdout, stderr bytes.Buffer
		a := &app{stdout: &stdout, stderr: &stderr, now: time.Now}
		if status := run(context.Background(), a, []string{"bootstrap", "-f", spec, filepath.Join(dir, fmt.Sprint(n))}); status != statusDone {
			b.Fatalf("status %d: %s", status, stderr.String())
		}
	}
}

// BenchmarkBesideKubeadm times whole processes in turn: `kubeadm init phase certs all`, ten
// certificates for one node, none of them synced, and `etcdsec pki issue` for three members.
func BenchmarkBesideKubeadm(b *testing.B) {
	dir := b.TempDir()
	clitest.KubeadmCerts(b, dir, filepath.Join(dir, "warm")) // builds kubeadm, and writes its configuration
	kubeadm, err := oracle.Binary(b.Context(), "kubeadm", os.Stderr)
	if err != nil {
		b.Fatal(err)
	}
	binary, spec := filepath.Join(dir, "etcdsec"), filepath.Join(dir, "cluster.yaml")
	if out, err := exec.CommandContext(b.Context(), "go", "build", "-ldflags=-s -w", "-o", binary, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	if err := os.WriteFile(spec, []byte(clitest.ThreeMembersSpec), 0o600); err != nil {
		b.Fatal(err)
	}
	var ours, theirs time.Duration
	n := 0
	for b.Loop() {
		n++
		start := time.Now()
		if out, err := exec.CommandContext(b.Context(), binary, "pki", "issue", "-f", spec, filepath.Join(dir, fmt.Sprint("store", n))).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		between := time.Now()
		if out, err := exec.CommandContext(b.Context(), kubeadm, "init", "phase", "certs", "all", "--config", filepath.Join(dir, "kubeadm.yaml")).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		ours += between.Sub(start)
		theirs += time.Since(between)
		if err := os.RemoveAll(filepath.Join(dir, "warm")); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(ours.Milliseconds())/float64(n), "etcdsec-ms")
	b.ReportMetric(float64(theirs.Milliseconds())/float64(n), "kubeadm-ms")
	b.ReportMetric(0, "ns/op") // the sum of both says nothing
}

// BenchmarkStatus reads ten thousand files.
func BenchmarkStatus(b *testing.B) {
	dir := b.TempDir()
	source := filepath.Join(b.TempDir(), "store")
	spec := filepath.Join(b.TempDir(), "cluster.yaml")
	if err := os.WriteFile(spec, []byte(clitest.OneMemberSpec), 0o600); err != nil {
		b.Fatal(err)
	}
	quiet := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard, now: time.Now}
	if status := run(b.Context(), quiet, []string{"pki", "issue", "-f", spec, source}); status != 0 {
		b.Fatal(status)
	}
	data, err := os.ReadFile(filepath.Join(source, "nodes", "etcd-0", "pki", "server.crt"))
	if err != nil {
		b.Fatal(err)
	}
	const files = 10_000
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.crt", i)), data, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if status := run(b.Context(), quiet, []string{"pki", "status", dir, "-o", "json"}); status != 0 {
			b.Fatal(status)
		}
	}
	b.ReportMetric(files*float64(b.N)/b.Elapsed().Seconds(), "files/s")
}
