package collect_test

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

var bothEKUs = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}

// site is a member to be: its CAs, files and addresses.
type site struct {
	dir                   string
	clientCA, peerCA      *throwaway.CA
	client, peer, metrics string // host:port
	http                  string // of a listener for HTTP alone
	relay                 string // of what stands before a slow member
	now                   time.Time
	given                 tls.Certificate // a client of clientCA
}

func newSite(tb testing.TB) *site {
	tb.Helper()
	ports := etcdtest.FreePorts(tb, 4)
	s := &site{dir: tb.TempDir(), now: time.Now()}
	s.client, s.peer, s.metrics = address(ports[0]), address(ports[1]), address(ports[2])
	s.http = address(ports[3])
	s.clientCA, s.peerCA = newCA(tb, "clients", s.now), newCA(tb, "peers", s.now)
	s.given = newLeaf(tb, s.clientCA, throwaway.Leaf{CommonName: "auditor", EKUs: bothEKUs})
	s.writeFiles(tb)
	return s
}

// beside is another member of the same cluster, with keys of its own.
func (s *site) beside(tb testing.TB) *site {
	tb.Helper()
	other := newSite(tb)
	other.clientCA, other.peerCA, other.given, other.now = s.clientCA, s.peerCA, s.given, s.now
	other.writeFiles(tb)
	return other
}

func (s *site) writeFiles(tb testing.TB) {
	tb.Helper()
	s.write(tb, "ca.crt", s.clientCA.CertPEM())
	s.write(tb, "peer-ca.crt", s.peerCA.CertPEM())
	s.serve(tb, throwaway.Leaf{IPs: []net.IP{net.IPv4(127, 0, 0, 1)}})
	s.writePair(tb, "peer", newLeaf(tb, s.peerCA, throwaway.Leaf{CommonName: "m0", EKUs: bothEKUs, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}))
	s.writePair(tb, "peer-of-client-ca", newLeaf(tb, s.clientCA, throwaway.Leaf{CommonName: "m0", EKUs: bothEKUs, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"m0.example.internal"}}))
}

func address(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func newCA(tb testing.TB, name string, now time.Time) *throwaway.CA {
	tb.Helper()
	ca, err := throwaway.New(throwaway.Config{CommonName: name, NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(90 * 24 * time.Hour)})
	if err != nil {
		tb.Fatal(err)
	}
	return ca
}

func newLeaf(tb testing.TB, ca *throwaway.CA, template throwaway.Leaf) tls.Certificate {
	tb.Helper()
	leaf, err := ca.Leaf(template)
	if err != nil {
		tb.Fatal(err)
	}
	return leaf
}

// serve makes the server's leaf.
func (s *site) serve(tb testing.TB, template throwaway.Leaf) {
	tb.Helper()
	template.CommonName, template.EKUs = "m0", bothEKUs
	s.writePair(tb, "server", newLeaf(tb, s.clientCA, template))
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(tb testing.TB, name string, data []byte) {
	tb.Helper()
	if err := os.WriteFile(s.path(name), data, 0o600); err != nil {
		tb.Fatal(err)
	}
}

func (s *site) writePair(tb testing.TB, name string, leaf tls.Certificate) {
	tb.Helper()
	keyDER, err := x509.MarshalECPrivateKey(leaf.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		tb.Fatal(err)
	}
	s.write(tb, name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}))
	s.write(tb, name+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}

// The flags of a member, in parts.

func (s *site) clientURLs(listen, advertise string) []string {
	return []string{"--listen-client-urls=" + listen, "--advertise-client-urls=" + advertise}
}

func (s *site) clientTLS() []string {
	return append(s.clientURLs("https://"+s.client, "https://"+s.client),
		"--cert-file="+s.path("server.crt"), "--key-file="+s.path("server.key"))
}

func (s *site) clientMTLS() []string {
	return append(s.clientTLS(), "--client-cert-auth", "--trusted-ca-file="+s.path("ca.crt"))
}

func (s *site) clientPlain() []string { return s.clientURLs("http://"+s.client, "http://"+s.client) }

func (s *site) peerURLs(scheme string) []string {
	url := scheme + "://" + s.peer
	return []string{"--listen-peer-urls=" + url, "--initial-advertise-peer-urls=" + url, "--initial-cluster=m0=" + url}
}

func (s *site) peerTLS() []string {
	return append(s.peerURLs("https"), "--peer-cert-file="+s.path("peer.crt"), "--peer-key-file="+s.path("peer.key"),
		"--peer-trusted-ca-file="+s.path("peer-ca.crt"))
}

func (s *site) peerMTLS() []string { return append(s.peerTLS(), "--peer-client-cert-auth") }

func (s *site) peerSharedCA() []string {
	return append(s.peerURLs("https"), "--peer-cert-file="+s.path("peer-of-client-ca.crt"), "--peer-key-file="+s.path("peer-of-client-ca.key"),
		"--peer-trusted-ca-file="+s.path("ca.crt"), "--peer-client-cert-auth")
}

// start runs the member. Its metrics listener, on the loopback address, says when it is ready.
func (s *site) start(t *testing.T, version string, flags []string) {
	t.Helper()
	etcdtest.Run(t, etcdtest.Config{
		Name: "m0", Version: version, HealthURL: "http://" + s.metrics + "/health",
		Args: append([]string{"--name=m0", "--data-dir=" + filepath.Join(s.dir, "data"), "--listen-metrics-urls=http://" + s.metrics}, flags...),
	})
}

// credentials are those of the given client.
func (s *site) credentials() collect.Credentials {
	return collect.Credentials{Certificate: &s.given, Roots: s.clientCA.Pool()}
}

func (s *site) endpoints(minTLS uint16) []collect.Endpoint {
	return []collect.Endpoint{
		{Address: s.client, Kind: audit.Client, MinTLSVersion: minTLS},
		{Address: s.peer, Kind: audit.Peer, MinTLSVersion: minTLS},
		{Address: s.metrics, Kind: audit.Metrics, MinTLSVersion: minTLS},
	}
}

func runAudit(t *testing.T, endpoints []collect.Endpoint, credentials collect.Credentials) audit.Report {
	t.Helper()
	now := time.Now() // stands still, so that no call is slow because the machine is
	targets, err := collect.Collect(t.Context(), endpoints, collect.Config{
		Timeout: time.Minute, Credentials: credentials, Now: func() time.Time { return now },
	})
	if err != nil {
		t.Fatal(err)
	}
	return audit.Run(catalog.All(), audit.Targets(targets))
}

// flags joins flags and lists of flags; of a flag that is given twice, etcd takes the last.
func flags(parts ...any) []string {
	var all []string
	for _, part := range parts {
		switch part := part.(type) {
		case string:
			all = append(all, part)
		case []string:
			all = append(all, part...)
		}
	}
	return all
}

func merged(a, b map[string]string) map[string]string {
	c := maps.Clone(a)
	maps.Copy(c, b)
	return c
}
