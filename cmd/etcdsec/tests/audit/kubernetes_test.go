package audit_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// An API server and a kubelet that are named beside a cluster are compared with it, whether
// or not the cluster tells who it is. They are Go TLS servers that ask for a certificate of
// a CA, as the real ones do; those are not started here.
func TestAuditRunKubernetes(t *testing.T) {
	etcd, kubernetes := clitest.NewIdentity(t, time.Time{}), clitest.NewIdentity(t, time.Time{})
	ports := etcdtest.FreePorts(t, 2)
	client, peer := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
	etcdtest.Run(t, etcdtest.Config{
		Name: "m0", HealthURL: "https://" + client + "/health",
		HealthTLS: &tls.Config{RootCAs: etcd.CA.Pool(), Certificates: []tls.Certificate{etcd.Pair(t)}},
		Args: []string{
			"--name=m0", "--data-dir=" + t.TempDir(), "--initial-cluster=m0=http://" + peer,
			"--listen-client-urls=https://" + client, "--advertise-client-urls=https://" + client,
			"--cert-file=" + etcd.Cert, "--key-file=" + etcd.Key, "--trusted-ca-file=" + etcd.CAPath, "--client-cert-auth",
			"--listen-peer-urls=http://" + peer, "--initial-advertise-peer-urls=http://" + peer,
		},
	})
	trusting := func(id clitest.Identity) string {
		server := httptest.NewUnstartedServer(http.NotFoundHandler())
		server.TLS = &tls.Config{Certificates: []tls.Certificate{kubernetes.Pair(t)}, ClientAuth: tls.RequestClientCert, ClientCAs: id.CA.Pool()}
		server.StartTLS()
		t.Cleanup(server.Close)
		return server.Listener.Addr().String()
	}
	shared, own := trusting(etcd), trusting(kubernetes)
	credentials := []string{"--cacert", etcd.CAPath, "--cert", etcd.Cert, "--key", etcd.Key}
	for _, c := range []struct {
		name    string
		args    []string
		verdict audit.Verdict
	}{
		{"its CA", append([]string{"--apiserver", "https://" + shared}, credentials...), audit.Fail},
		{"its CA, without credentials", []string{"--kubelet", shared}, audit.Fail},
		{"its CA, of one of two", append([]string{"--apiserver", own, "--kubelet", shared}, credentials...), audit.Fail},
		{"another CA", append([]string{"--apiserver", own}, credentials...), audit.Pass},
		{"another CA, without credentials", []string{"--apiserver", own}, audit.Pass},
		{"nobody", append([]string{"--apiserver", fmt.Sprintf("127.0.0.1:%d", etcdtest.FreePort(t))}, credentials...), audit.Unknown},
		{"not given", credentials, audit.Skip},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, stdout, stderr := clitest.Run(t, append([]string{"audit", "run", "--timeout", "1m", client, "--peer", peer, "-o", "json"}, c.args...)...)
			if r := clitest.ResultOf(t, stdout, "ca-unique"); r.Verdict != c.verdict {
				t.Errorf("%s: %s%s", r.Verdict, r.Evidence, stderr)
			}
		})
	}
}

// What kubeadm makes has no finding about its certificates and CAs: one year, a CA of etcd's
// own, a key for each port. That the CA of its clients is that of its peers is another check's.
func TestAuditRunKubeadm(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made := filepath.Join(dir, "pki")
	clitest.KubeadmCerts(t, dir, made)
	ports := etcdtest.FreePorts(t, 3)
	client, peer, metrics := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1]), fmt.Sprintf("127.0.0.1:%d", ports[2])
	at := func(name string) string { return filepath.Join(made, "etcd", name) }
	etcdtest.Run(t, etcdtest.Config{
		Name: "cp-0", HealthURL: "http://" + metrics + "/health",
		Args: []string{
			"--name=cp-0", "--data-dir=" + filepath.Join(dir, "data"), "--initial-cluster=cp-0=https://" + peer,
			"--listen-client-urls=https://" + client, "--advertise-client-urls=https://" + client,
			"--listen-peer-urls=https://" + peer, "--initial-advertise-peer-urls=https://" + peer, "--listen-metrics-urls=http://" + metrics,
			"--cert-file=" + at("server.crt"), "--key-file=" + at("server.key"), "--client-cert-auth=true", "--trusted-ca-file=" + at("ca.crt"),
			"--peer-cert-file=" + at("peer.crt"), "--peer-key-file=" + at("peer.key"), "--peer-client-cert-auth=true", "--peer-trusted-ca-file=" + at("ca.crt"),
		},
	})
	// The API server stands on the real files of kubeadm and is not the real one.
	trusted := x509.NewCertPool()
	for _, name := range []string{"ca.crt", "front-proxy-ca.crt"} {
		data, err := os.ReadFile(filepath.Join(made, name))
		if err != nil || !trusted.AppendCertsFromPEM(data) {
			t.Fatalf("%s: %v", name, err)
		}
	}
	pair, err := tls.LoadX509KeyPair(filepath.Join(made, "apiserver.crt"), filepath.Join(made, "apiserver.key"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequestClientCert, ClientCAs: trusted}
	server.StartTLS()
	t.Cleanup(server.Close)

	_, stdout, stderr := clitest.Run(t, "audit", "run", "--timeout", "1m", client, "--peer", peer, "--apiserver", server.Listener.Addr().String(), "-o", "json",
		"--cacert", at("ca.crt"), "--cert", filepath.Join(made, "apiserver-etcd-client.crt"), "--key", filepath.Join(made, "apiserver-etcd-client.key"))
	var report audit.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	judged := 0
	for _, r := range report.Results {
		if !strings.HasPrefix(r.CheckID, "cert-") && !strings.HasPrefix(r.CheckID, "ca-") {
			continue
		}
		judged++
		if r.Verdict != audit.Pass {
			t.Errorf("%s of %s: %s: %s", r.CheckID, r.Target, r.Verdict, r.Evidence)
		}
	}
	if judged != 2*9+4 {
		t.Errorf("%d results", judged)
	}
}
