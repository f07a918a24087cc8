package collect_test

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// setup is one configuration of a real member, in the terms of etcd's documentation. The
// zero value is hardened: mTLS on the client and peer ports by two CAs, the metrics on the
// loopback address, the gateway off.
type setup struct {
	version   string
	client    string // "" mTLS, plain, both, tls, trusted-only, system-roots, auto-tls
	crl       string // "" none, der, pem, expired, foreign
	peer      string // "" mTLS by its own CA, plain, shared-ca, shared-ca-cn, shared-ca-hostname, trusted-only, auto-tls, skip-san
	metrics   string // "" plaintext on the loopback address, tls
	pprof     string // "" off, flag, debug-log
	tls       string // "" etcd's defaults, 1.2, 1.3, aead
	cert      string // "" good, expired, due, misnamed, or the name of a certificateFault
	split     string // "" one listener, http, https: --listen-client-http-urls
	gateway   bool
	v2        bool
	rbac      string // "" authentication off; on, with whose certificate is given (lab_access_test.go)
	slow      bool   // audited over a relay that answers late
	whitelist bool   // --host-whitelist and --cors
	anonymous bool   // audited without credentials
	quota     string // of the database, in bytes; "" is etcd's own, 2 GiB
	given     string // the auditor's certificate: "" of the client CA without SANs, elsewhere, peer-ca
	want13    bool   // audited with TLS 1.3 as the minimum
}

func (s setup) String() string {
	var parts []string
	for _, dimension := range []struct{ name, value string }{
		{"client", s.client}, {"crl", s.crl}, {"peer", s.peer}, {"metrics", s.metrics}, {"pprof", s.pprof},
		{"tls", s.tls}, {"cert", s.cert}, {"split", s.split}, {"rbac", s.rbac}, {"quota", s.quota}, {"given", s.given},
	} {
		if dimension.value != "" {
			parts = append(parts, dimension.name+"="+dimension.value)
		}
	}
	for _, dimension := range []struct {
		name string
		on   bool
	}{{"gateway", s.gateway}, {"v2", s.v2}, {"slow", s.slow}, {"whitelist", s.whitelist}, {"anonymous", s.anonymous}, {"want13", s.want13}} {
		if dimension.on {
			parts = append(parts, dimension.name)
		}
	}
	if len(parts) == 0 {
		parts = []string{"hardened"}
	}
	return s.version + "/" + strings.Join(parts, ",")
}

// start runs the member of a setup and brings it into the state that the setup describes.
func (s setup) start(t *testing.T, site *site, program string) {
	t.Helper()
	s.prepare(t, site)
	etcdtest.Run(t, s.config(site, "m0", program))
	if s.rbac != "" {
		enableAuth(t, site.asRoot(t, s.scheme(), ""))
	}
	if s.slow {
		relay := startFaulty(t, func(_ *faultyServer, c net.Conn) { relaySlowly(c, site.client, 300*time.Millisecond) })
		t.Cleanup(relay.stop)
		site.relay = relay.address
	}
}

func (s setup) config(site *site, name, program string) etcdtest.Config {
	return etcdtest.Config{
		Name: name, Version: s.version, Program: program, HealthTLS: s.metricsTLS(site),
		HealthURL: when(s.metrics == "tls", "https://", "http://") + site.metrics + "/health",
		Args:      append([]string{"--name=" + name, "--data-dir=" + site.path("data"), "--logger=zap"}, s.flags(site)...),
	}
}

func (s setup) scheme() string { return when(s.client == "plain", "http", "https") }

// metricsTLS returns what the metrics listener asks for; nil where it has no TLS.
func (s setup) metricsTLS(site *site) *tls.Config {
	if s.metrics != "tls" {
		return nil
	}
	return &tls.Config{RootCAs: site.clientCA.Pool(), Certificates: []tls.Certificate{site.given}}
}

// unchanged runs an audit, and wants the member to stand where it stood. It is waited for to
// settle, and asked, by a client of its own, where one gets in.
func (s setup) unchanged(t *testing.T, site *site, runAudits func()) {
	t.Helper()
	where := func() string { return "" }
	if s.rootGetsIn() {
		password := when(s.rbac != "" && !s.looksAtNames(), rootPassword, "")
		client := site.asRoot(t, s.scheme(), password)
		site.settle(t, client, s.metricsTLS(site))
		where = func() string { return position(t, client) + "\n" + site.dataFiles(t) }
	}
	before := where()
	runAudits()
	if after := where(); after != before {
		t.Errorf("the audit left a trace: before\n%s\nafter\n%s", before, after)
	}
}

// rootGetsIn: a certificate of the client CA gets past the port, or none is needed.
func (s setup) rootGetsIn() bool { return !s.requests() || s.knowsCA() && !s.lockedOut() }

// prepare makes the certificates of the setup. Where one of them has a certificateFault, it is of CAs of long ago.
func (s setup) prepare(t *testing.T, site *site) {
	t.Helper()
	if s.served().serve != nil {
		site.beganLongAgo(t)
	}
	s.prepareFiles(t, site)
}

func (s setup) prepareFiles(t *testing.T, site *site) {
	t.Helper()
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	switch s.cert {
	case "expired":
		site.serve(t, throwaway.Leaf{IPs: loopback, NotAfter: site.now.Add(-time.Hour)})
	case "due":
		// Six days of 26 are left.
		site.serve(t, throwaway.Leaf{IPs: loopback, NotBefore: site.now.Add(-20 * 24 * time.Hour), NotAfter: site.now.Add(6 * 24 * time.Hour)})
	case "misnamed":
		site.serve(t, throwaway.Leaf{DNSNames: []string{"etcd.example.internal"}})
	}
	if fault := s.served(); fault.serve != nil {
		fault.serve(t, site)
	}
	switch s.given {
	case "":
		site.given = newLeaf(t, site.clientCA, s.user())
	case "elsewhere":
		site.given = newLeaf(t, site.clientCA, throwaway.Leaf{CommonName: "auditor", EKUs: bothEKUs, IPs: []net.IP{net.IPv4(192, 0, 2, 1)}})
	case "peer-ca":
		site.given = newLeaf(t, site.peerCA, throwaway.Leaf{CommonName: "auditor", EKUs: bothEKUs})
	}
	der := site.crl(t, s.crl)
	if s.crl == "pem" {
		der = pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
	}
	site.write(t, "client.crl", der)
}

// revokedSerial is that of the certificate which every CRL of the laboratory revokes.
func revokedSerial() *big.Int { return big.NewInt(0x5eed) }

// crl is a CRL in DER. etcd compares serial numbers only: not who signed it, nor until when it holds.
func (s *site) crl(t *testing.T, fault string) []byte {
	t.Helper()
	signer := newLeaf(t, s.clientCA, throwaway.Leaf{CommonName: "crl"})
	issuer := *s.clientCA.Certificate()
	// A Throwaway signs leaves only. Whoever signs, etcd takes the list: it is foreign in every case.
	issuer.PublicKey, issuer.SubjectKeyId = signer.Leaf.PublicKey, []byte{1}
	if fault == "foreign" {
		issuer.RawSubject = newCA(t, "elsewhere", s.now).Certificate().RawSubject
	}
	until := s.now.Add(24 * time.Hour)
	if fault == "expired" {
		until = s.now.Add(-time.Hour)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: s.now.Add(-48 * time.Hour), NextUpdate: until,
		RevokedCertificateEntries: []x509.RevocationListEntry{{SerialNumber: revokedSerial(), RevocationTime: s.now.Add(-time.Hour)}},
	}, &issuer, signer.PrivateKey.(crypto.Signer))
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (s setup) flags(site *site) []string {
	all := []string{"--enable-grpc-gateway=" + fmt.Sprint(s.gateway)}
	if s.metrics == "tls" {
		all = append(all, "--listen-metrics-urls=https://"+site.metrics)
	} else {
		all = append(all, "--listen-metrics-urls=http://"+site.metrics)
	}
	secure := "https://" + site.client
	switch s.client {
	case "":
		all = flags(all, site.clientMTLS())
	case "plain":
		all = flags(all, site.clientPlain())
	case "both":
		all = flags(all, site.clientMTLS(), site.clientURLs(secure+",http://"+site.client, secure))
	case "tls":
		all = flags(all, site.clientTLS())
	case "trusted-only":
		all = flags(all, site.clientTLS(), "--trusted-ca-file="+site.path("ca.crt"))
	case "system-roots":
		all = flags(all, site.clientTLS(), "--client-cert-auth")
	case "auto-tls":
		all = flags(all, site.clientURLs(secure, secure), "--auto-tls")
	}
	if s.crl != "" {
		all = append(all, "--client-crl-file="+site.path("client.crl"))
	}
	all = append(all, s.peerFlags(site)...)
	switch s.pprof {
	case "flag":
		all = append(all, "--enable-pprof")
	case "debug-log":
		all = append(all, "--log-level=debug")
	}
	switch s.tls {
	case "1.2":
		all = append(all, "--tls-max-version=TLS1.2")
	case "1.3":
		all = append(all, "--tls-min-version=TLS1.3")
	case "aead":
		all = append(all, "--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384")
	}
	if s.split != "" {
		all = append(all, "--listen-client-http-urls="+s.split+"://"+site.http)
	}
	if s.v2 {
		all = append(all, "--enable-v2")
	}
	if s.quota != "" {
		all = append(all, "--quota-backend-bytes="+s.quota)
	}
	if s.whitelist {
		all = append(all, "--host-whitelist=127.0.0.1", "--cors=https://192.0.2.7:443")
	}
	return all
}

func (s setup) peerFlags(site *site) []string {
	switch s.peer {
	case "plain":
		return site.peerURLs("http")
	case "shared-ca":
		return site.peerSharedCA()
	case "shared-ca-cn":
		return flags(site.peerSharedCA(), "--peer-cert-allowed-cn=m0")
	case "shared-ca-hostname":
		return flags(site.peerSharedCA(), "--peer-cert-allowed-hostname=m0.example.internal")
	case "trusted-only":
		return site.peerTLS()
	case "auto-tls":
		return flags(site.peerURLs("https"), "--peer-auto-tls")
	case "skip-san":
		flag := "--peer-skip-client-san-verification"
		if strings.HasPrefix(s.version, "3.5") || strings.HasPrefix(s.version, "3.4") {
			flag = "--experimental-peer-skip-client-san-verification"
		}
		return flags(site.peerMTLS(), flag)
	default:
		return site.peerMTLS()
	}
}

// endpoints are the listeners of the setup. A listener for HTTP of its own is a client port.
func (s setup) endpoints(site *site) []collect.Endpoint {
	var minTLS uint16
	if s.want13 {
		minTLS = tls.VersionTLS13
	}
	endpoints := site.endpoints(minTLS)
	if s.slow {
		endpoints[0].Address = site.relay
	}
	if s.split != "" {
		endpoints = append(endpoints, collect.Endpoint{Address: site.http, Kind: audit.Client})
	}
	if s.rbac != "" {
		for i := range endpoints {
			endpoints[i].ClusterName = "lab" // a member that refuses every call does not tell its cluster
		}
	}
	return endpoints
}

// faulty are certificates of the site's own CAs with one fault each.
func (s *site) faulty(t *testing.T) []collect.Faulty {
	t.Helper()
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	var all []collect.Faulty
	add := func(identity audit.Identity, ca *throwaway.CA, template throwaway.Leaf) {
		leaf := newLeaf(t, ca, template)
		all = append(all, collect.Faulty{Identity: identity, Certificate: &leaf})
	}
	add(audit.ExpiredCertificate, s.clientCA, throwaway.Leaf{CommonName: "former", EKUs: client, NotAfter: s.now.Add(-time.Hour)})
	add(audit.ServersOnly, s.clientCA, throwaway.Leaf{CommonName: "server", EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	add(audit.RevokedCertificate, s.clientCA, throwaway.Leaf{CommonName: "thief", EKUs: client, Serial: revokedSerial()})
	return all
}

// elsewhere is a member's certificate, of the CA that the peer port of the setup trusts, for another address.
func (s setup) elsewhere(t *testing.T, site *site) collect.Faulty {
	t.Helper()
	ca := site.peerCA
	if strings.HasPrefix(s.peer, "shared-ca") {
		ca = site.clientCA
	}
	leaf := newLeaf(t, ca, throwaway.Leaf{CommonName: "m1", EKUs: bothEKUs, IPs: []net.IP{net.IPv4(192, 0, 2, 1)}})
	return collect.Faulty{Identity: audit.ElsewhereMember, Certificate: &leaf}
}
