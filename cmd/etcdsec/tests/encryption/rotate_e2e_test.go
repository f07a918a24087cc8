//go:build e2e

package encryption_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/kubetest"
)

// Rotations that are killed again and again, before changes of the disk and at any moment,
// while an API server is now and then killed too and some are taken back, lose nothing and
// come to their end.
func TestRotateKilled(t *testing.T) {
	const kills = 50
	s := newRotationSite(t, 2)
	for i := range 200 {
		s.store(t, i%2, fmt.Sprintf("s%d", i))
	}
	random := rand.New(rand.NewPCG(1, 2))
	killed, ended := 0, 0
	for runs := 0; killed < kills; runs++ {
		if runs == 10*kills {
			t.Fatalf("%d runs were killed %d times", runs, killed)
		}
		point, after := 0, time.Duration(0)
		if runs%3 == 0 {
			after = time.Duration(1+random.IntN(2500)) * time.Millisecond
		} else {
			point = 1 + random.IntN(25)
		}
		switch exit, said := s.killedRun(t, point, after); {
		case exit == -1:
			killed++
		case exit == clitest.StatusDone && strings.Contains(said, "the rotation has ended"):
			ended++
		default:
			t.Fatalf("exit %d: %s", exit, said)
		}
		s.store(t, runs%2, fmt.Sprintf("run%d", runs))
		s.read(t)
		if runs%9 == 8 {
			s.Servers[1].Restart(t)
			s.read(t)
		}
		if runs%13 == 12 {
			_, _, _ = clitest.Run(t, "encryption", "rotate", "abort", s.dir) // where there is one, and it is not too late
		}
	}
	if exit, said := s.killedRun(t, 0, 0); exit != clitest.StatusDone {
		t.Fatalf("exit %d: %s", exit, said)
	}
	s.read(t)
	t.Logf("%d rotations ended, %d runs were killed", ended+1, killed)
	status, stdout, stderr := clitest.Run(t, "audit", "census", "--endpoints", "https://"+s.Etcd, "--cacert", s.EtcdFiles.CA, "--cert", s.EtcdFiles.Cert, "--key", s.EtcdFiles.Key, "--config", s.config(), "--max-rate", "0")
	if status != clitest.StatusDone {
		t.Errorf("exit %d: %s%s", status, stdout, stderr)
	}
}

// killedRun rotates, and kills the run before a change of the disk, or after a time; 0 means never. The
// status of a killed run is -1.
func (s *rotationSite) killedRun(t *testing.T, point int, after time.Duration) (status int, said string) {
	t.Helper()
	cmd := clitest.Command(t, s.rotate("--rate", "100")...)
	cmd.Env = append(cmd.Env, fmt.Sprintf("ETCDSEC_FAILPOINT=%d", point))
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if after > 0 {
		timer := time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	}
	err := cmd.Wait()
	exit, failed := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil:
		return clitest.StatusDone, out.String()
	case failed && exit.Sys().(syscall.WaitStatus).Signaled():
		return -1, out.String()
	case failed:
		return exit.ExitCode(), out.String()
	default:
		t.Fatal(err)
		return 0, ""
	}
}

// A snapshot that was taken half-way is reported rightly, and holds the old key where it is
// until it has expired.
func TestRotateWithSnapshots(t *testing.T) {
	s := newRotationSite(t, 1)
	for i := range 20 {
		s.store(t, 0, fmt.Sprintf("s%d", i))
	}
	dir := t.TempDir()
	s.snapshot(t, filepath.Join(dir, "before.db"))
	holding := append(s.rotate(), "--snapshot-dir", dir)
	status, _, stderr := clitest.Run(t, holding...)
	if status != clitest.StatusFailed || !strings.Contains(stderr, "before.db") || !strings.Contains(stderr, "keep the key until they have expired") {
		t.Fatalf("exit %d: %s", status, stderr)
	}
	s.read(t)
	middle := filepath.Join(t.TempDir(), "middle.db")
	s.snapshot(t, middle)

	// Everything in it is on the new key; the old one is in its older revisions.
	status, stdout, stderr := clitest.Run(t, "audit", "census", "--snapshot", middle, "--config", s.config(), "-o", "json")
	for _, want := range []string{`"digest": "matches"`, `"check_id": "data-stale-key"`, `"check_id": "snapshot-integrity"`} {
		if !strings.Contains(stdout, want) {
			t.Errorf("exit %d: no %q in %s%s", status, want, stdout, stderr)
		}
	}
	if r := clitest.ResultOf(t, stdout, "data-stale-key"); r.Verdict != "pass" {
		t.Errorf("%s: %s", r.Verdict, r.Evidence)
	}
	if r := clitest.ResultOf(t, stdout, "data-residue"); r.Verdict != "fail" {
		t.Errorf("%s: %s", r.Verdict, r.Evidence)
	}
	// The one from before is on a key that is still known, and not the one that writes.
	_, stdout, _ = clitest.Run(t, "audit", "census", "--snapshot", filepath.Join(dir, "before.db"), "--config", s.config(), "-o", "json")
	if r := clitest.ResultOf(t, stdout, "data-stale-key"); r.Verdict != "fail" {
		t.Errorf("%s: %s", r.Verdict, r.Evidence)
	}

	old := time.Now().Add(-48 * time.Hour)
	if err := os.Chtimes(filepath.Join(dir, "before.db"), old, old); err != nil {
		t.Fatal(err)
	}
	status, _, stderr = clitest.Run(t, append(holding, "--snapshot-expiry", "24h")...)
	if status != clitest.StatusDone || !strings.Contains(stderr, "the rotation has ended") {
		t.Fatalf("exit %d: %s", status, stderr)
	}
	s.read(t)
}

// snapshot saves a snapshot as etcdctl does.
func (s *rotationSite) snapshot(t *testing.T, path string) {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.EtcdFiles.Cert, s.EtcdFiles.Key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(s.EtcdFiles.CA)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{"https://" + s.Etcd}, Logger: zap.NewNop(), TLS: &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	in, err := client.Snapshot(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	data, err := io.ReadAll(in)
	if err != nil {
		t.Fatal(err)
	}
	clitest.WriteFile(t, path, data)
}

// A file comes to the API servers by the program of the spec, and a program that fails, or
// brings it to another place than where the server looks, holds the rotation.
func TestRotateByPush(t *testing.T) {
	s := newRotationSite(t, 2)
	s.store(t, 0, "one")
	args := append(s.args(), "--wait", "5s", "--min-age", "0")
	status, _, stderr := clitest.Run(t, args...)
	if status != clitest.StatusFailed || !strings.Contains(stderr, "not every API server has loaded") {
		t.Fatalf("brought elsewhere: exit %d: %s", status, stderr)
	}
	for i, server := range s.Servers {
		if err := os.Remove(filepath.Join(s.files, fmt.Sprintf("cp-%d.yaml", i))); err != nil {
			t.Error(err)
		}
		if err := os.Symlink(server.EncryptionConfig, filepath.Join(s.files, fmt.Sprintf("cp-%d.yaml", i))); err != nil {
			t.Fatal(err)
		}
	}
	if status, _, stderr = clitest.Run(t, append(args, "--wait", "60s")...); status != clitest.StatusDone {
		t.Fatalf("exit %d: %s", status, stderr)
	}
	s.read(t)
	spec, err := os.ReadFile(s.spec)
	if err != nil {
		t.Fatal(err)
	}
	clitest.WriteFile(t, s.spec, []byte(strings.Replace(string(spec), "[cp,", "[/bin/false,", 1)))
	if status, _, stderr = clitest.Run(t, args...); status != clitest.StatusFailed || !strings.Contains(stderr, "bringing the configuration") {
		t.Errorf("a program that fails: exit %d: %s", status, stderr)
	}
}

// What kube-apiserver accepts and that encrypts nothing is found in the file, and in the
// stored bytes.
func TestEncryptsNothing(t *testing.T) {
	const key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	for name, c := range map[string]struct{ resource, providers, check string }{
		"identity first": {"secrets", "{identity: {}}, {secretbox: {keys: [{name: k, secret: " + key + "}]}}", "encryption-identity-first"},
		"misspelt":       {"secret", "{secretbox: {keys: [{name: k, secret: " + key + "}]}}", "encryption-no-such-resource"},
	} {
		t.Run(name, func(t *testing.T) {
			file := []byte("apiVersion: apiserver.config.k8s.io/v1\nkind: EncryptionConfiguration\nresources: [{resources: [" + c.resource + "], providers: [" + c.providers + "]}]\n")
			s := &rotationSite{Cluster: kubetest.Start(t, kubetest.Config{Servers: 1, Encryption: file}), secrets: map[string]string{}}
			s.store(t, 0, "open")
			path := s.Servers[0].EncryptionConfig
			status, stdout, stderr := clitest.Run(t, "encryption", "lint", path, "-o", "json")
			if r := clitest.ResultOf(t, stdout, c.check); status != clitest.StatusFindings || r.Verdict != "fail" {
				t.Errorf("exit %d: %s %s%s", status, r.Verdict, r.Evidence, stderr)
			}
			_, stdout, _ = clitest.Run(t, "audit", "census", "--endpoints", "https://"+s.Etcd, "--cacert", s.EtcdFiles.CA, "--cert", s.EtcdFiles.Cert, "--key", s.EtcdFiles.Key,
				"--key-name", "secretbox:k", "--max-rate", "0", "-o", "json")
			if r := clitest.ResultOf(t, stdout, "data-plaintext"); r.Verdict != "fail" || !strings.Contains(r.Evidence, "default/open") {
				t.Errorf("%s: %s", r.Verdict, r.Evidence)
			}
		})
	}
}
