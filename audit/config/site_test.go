package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// site is a member to be: its files and addresses.
type site struct {
	dir                         string
	client, http, peer, metrics string // host:port
	ca                          *throwaway.CA
	given                       tls.Certificate // a client of ca
}

func newSite(t *testing.T) *site {
	t.Helper()
	ports := etcdtest.FreePorts(t, 4)
	address := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	s := &site{dir: t.TempDir(), client: address(0), http: address(1), peer: address(2), metrics: address(3)}
	s.ca = newCA(t, "clients")
	peers := newCA(t, "peers")
	loopback := throwaway.Leaf{CommonName: "m0", IPs: []net.IP{net.IPv4(127, 0, 0, 1)}, EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	s.given = newLeaf(t, s.ca, throwaway.Leaf{CommonName: "auditor", EKUs: loopback.EKUs})
	s.write(t, "ca.crt", s.ca.CertPEM())
	s.write(t, "peer-ca.crt", peers.CertPEM())
	s.writePair(t, "server", newLeaf(t, s.ca, loopback))
	s.writePair(t, "peer", newLeaf(t, peers, loopback))
	s.writeCRLs(t)
	return s
}

func newCA(t *testing.T, name string) *throwaway.CA {
	t.Helper()
	ca, err := throwaway.New(throwaway.Config{CommonName: name, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func newLeaf(t *testing.T, ca *throwaway.CA, template throwaway.Leaf) tls.Certificate {
	t.Helper()
	leaf, err := ca.Leaf(template)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func (s *site) path(name string) string { return filepath.Join(s.dir, name) }

func (s *site) write(t *testing.T, name string, data []byte) {
	t.Helper()
	if err := os.WriteFile(s.path(name), data, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *site) writePair(t *testing.T, name string, leaf tls.Certificate) {
	t.Helper()
	keyDER, err := x509.MarshalECPrivateKey(leaf.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]}))
	s.write(t, name+".key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}

// writeCRLs writes a list of nobody as none.crl (DER) and none.pem, and one of the given
// client as given.crl. etcd looks at serials alone, so any key signs them.
func (s *site) writeCRLs(t *testing.T) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, entries := range map[string][]x509.RevocationListEntry{
		"none":  nil,
		"given": {{SerialNumber: s.given.Leaf.SerialNumber, RevocationTime: time.Now()}},
	} {
		der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
			Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour), RevokedCertificateEntries: entries,
		}, s.ca.Certificate(), key)
		if err != nil {
			t.Fatal(err)
		}
		s.write(t, name+".crl", der)
		s.write(t, name+".pem", pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	}
}

// The flags of a member, in parts. Of a flag that is given twice, etcd takes the last.

func (s *site) clientURLs(urls string) []string {
	return []string{"--listen-client-urls=" + urls, "--advertise-client-urls=https://" + s.client}
}

func (s *site) clientTLS() []string {
	return append(s.clientURLs("https://"+s.client), "--cert-file="+s.path("server.crt"), "--key-file="+s.path("server.key"))
}

func (s *site) clientMTLS() []string {
	return append(s.clientTLS(), "--client-cert-auth=true", "--trusted-ca-file="+s.path("ca.crt"))
}

func (s *site) peerURL(scheme string) []string {
	url := scheme + "://" + s.peer
	return []string{"--listen-peer-urls=" + url, "--initial-advertise-peer-urls=" + url, "--initial-cluster=m0=" + url}
}

func (s *site) peerTLS() []string {
	return append(s.peerURL("https"), "--peer-cert-file="+s.path("peer.crt"), "--peer-key-file="+s.path("peer.key"))
}

func (s *site) peerMTLS() []string {
	return append(s.peerTLS(), "--peer-client-cert-auth=true", "--peer-trusted-ca-file="+s.path("peer-ca.crt"))
}

// start runs the member. Its metrics listener says when it is ready.
func (s *site) start(t *testing.T, version string, flags []string) {
	t.Helper()
	etcdtest.Run(t, etcdtest.Config{
		Name: "m0", Version: version, HealthURL: "http://" + s.metrics + "/health",
		Args: append([]string{"--name=m0", "--data-dir=" + s.path("data"), "--listen-metrics-urls=http://" + s.metrics}, flags...),
	})
}

// settings are what a collector makes of the flags.
func (s *site) settings(t *testing.T, version string, flags []string) *audit.Settings {
	t.Helper()
	settings := &audit.Settings{Program: "etcd", Host: "host", Origin: "process m0", Version: version, Running: true, Values: map[string]audit.Setting{}}
	for _, flag := range append([]string{"--listen-metrics-urls=http://" + s.metrics}, flags...) {
		name, value, found := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		if !found {
			t.Fatalf("flag %q has no value", flag)
		}
		settings.Values[name] = audit.Setting{Value: value, Source: "flag"}
		if strings.HasSuffix(name, "-crl-file") {
			settings.Files = append(settings.Files, audit.File{
				Path: value, Role: audit.CRLFile, Flags: []string{name},
				CRL: &audit.RevocationList{PEM: filepath.Ext(value) == ".pem", NextUpdate: time.Now().Add(time.Hour)},
			})
		}
	}
	return settings
}

// targets are the settings, and the listeners as the given client sees them.
func (s *site) targets(t *testing.T, settings *audit.Settings) ([]*audit.Listener, *audit.HostSettings) {
	t.Helper()
	endpoints := []collect.Endpoint{{Address: s.client, Kind: audit.Client}, {Address: s.peer, Kind: audit.Peer}, {Address: s.metrics, Kind: audit.Metrics}}
	targets, err := collect.Collect(t.Context(), endpoints, collect.Config{
		Timeout: time.Minute, Credentials: collect.Credentials{Certificate: &s.given}, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, listener := range targets {
		listener.Settings = settings
	}
	return targets, &audit.HostSettings{Address: "host:process m0", Now: time.Now(), Settings: settings}
}

// agreesToCBC reports whether a port goes on with a suite that Go offers by default and no list should.
func agreesToCBC(t *testing.T, address string) bool {
	t.Helper()
	agreed := false
	connection, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", address, &tls.Config{
		InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA},
		VerifyPeerCertificate: func([][]byte, [][]*x509.Certificate) error { agreed = true; return nil },
	})
	if err == nil {
		_ = connection.Close() // nothing was sent
	}
	return agreed
}
