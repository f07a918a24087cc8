package pki_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// A real etcd presents what is on its disk, at once; a store that has newer files than the
// node says so; and a server that read its files once is found out.
func TestStatusOfLiveServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ports := etcdtest.FreePorts(t, 3)
	spec, store, node := filepath.Join(dir, "cluster.yaml"), filepath.Join(dir, "store"), filepath.Join(dir, "node")
	text := fmt.Sprintf(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: live}
spec:
  etcd:
    version: %q
    runtime: systemd
    clientPort: %d
    peerPort: %d
    metricsPort: %d
    pkiDir: %s
    dataDir: %s/data
    members: [{name: etcd-0, addresses: [127.0.0.1]}]
`, etcdtest.V3_6, ports[0], ports[1], ports[2], node, dir)
	if err := os.WriteFile(spec, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	clitest.Expect(t, 0, "bootstrap", "-f", spec, store)
	bundle := filepath.Join(store, "nodes", "etcd-0", "pki")
	copyBundle := func() {
		t.Helper()
		clitest.Expect(t, 0, "pki", "install", "-f", spec, "etcd-0", bundle, node, "--keys", bundle, "--any-node")
	}
	copyBundle()
	etcdtest.Run(t, etcdtest.Config{
		Name: "etcd-0", Version: etcdtest.V3_6, Dir: dir,
		Args:      []string{"--config-file=" + filepath.Join(store, "nodes", "etcd-0", "etcd.conf.yaml")},
		HealthURL: fmt.Sprintf("http://127.0.0.1:%d/health", ports[2]),
	})
	client, peer := fmt.Sprintf("https://127.0.0.1:%d", ports[0]), fmt.Sprintf("https://127.0.0.1:%d", ports[1])
	status := func(want int, targets ...string) string {
		t.Helper()
		return clitest.Expect(t, want, append([]string{"pki", "status", "-o", "json"}, targets...)...)
	}
	if out := status(0, store, client, peer); strings.Count(out, `"live": "served"`) != 2 {
		t.Errorf("at first:\n%s", out)
	}
	clitest.Expect(t, 0, "pki", "renew", store, "etcd-0", "--new-key")
	if out := status(3, store, client, peer); strings.Count(out, `"live": "not yet picked up"`) != 2 {
		t.Errorf("renewed and not copied:\n%s", out)
	}
	copyBundle()
	if out := status(0, store, client, peer); strings.Count(out, `"live": "served"`) != 2 {
		t.Errorf("copied to the running member:\n%s", out)
	}
	once := serveOnce(t, filepath.Join(node, "server"))
	if out := status(0, node, "https://"+once); strings.Count(out, `"live": "served"`) != 1 {
		t.Errorf("a server that reads once:\n%s", out)
	}
	clitest.Expect(t, 0, "pki", "renew", store, "etcd-0")
	copyBundle()
	if out := status(3, node, client, "https://"+once); strings.Count(out, `"live": "restart needed"`) != 1 || strings.Count(out, `"live": "served"`) != 1 {
		t.Errorf("etcd and a server that reads once:\n%s", out)
	}
}

// serveOnce starts a server that reads its certificate only at its start.
func serveOnce(t *testing.T, base string) string {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(base+".crt", base+".key")
	if err != nil {
		t.Fatal(err)
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func(conn net.Conn) {
				_, _ = io.Copy(io.Discard, conn)
				_ = conn.Close()
			}(conn)
		}
	}()
	return listener.Addr().String()
}
