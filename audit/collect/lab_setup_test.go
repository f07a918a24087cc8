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
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki"
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
	cert      string // "" good, expired, due, misnamed
	split     string // "" one listener, http, https: --listen-client-http-urls
	gateway   bool
	v2        bool
	rbac      bool   // authentication on; the auditor's user has no role
	whitelist bool   // --host-whitelist and --cors
	anonymous bool   // audited without credentials
	given     string // the auditor\'s certificate: "" of the client CA without SANs, elsewhere, peer-ca
	want13    bool   // audited with TLS 1.3 as the minimum
}

func (s setup) String() string {
	var parts []string
	for _, dimension := range []struct{ name, value string }{
		{"client", s.client}, {"crl", s.crl}, {"peer", s.peer}, {"metrics", s.metrics}, {"pprof", s.pprof},
		{"tls", s.tls}, {"cert", s.cert}, {"split", s.split}, {"given", s.given},
	} {
		if dimension.value != "" {
			parts = append(parts, dimension.name+"="+dimension.value)
		}
	}
	for _, dimension := range []struct {
		name string
		on   bool
	}{{"gateway", s.gateway}, {"v2", s.v2}, {"rbac", s.rbac}, {"whitelist", s.whitelist}, {"anonymous", s.anonymous}, {"want13", s.want13}} {
		if dimension.on {
			parts = append(parts, dimension.name)
		}
	}
	if len(parts) == 0 {
		parts = []string{"hardened"}
	}
	return s.version + "/" + strings.Join(parts, ",")
}

// laboratory is every configuration that is started: each dimension alone in every version,
// and the combinations in which one setting hides, or undoes, another.
func laboratory(versions []string) []setup {
	alone := []setup{
		{}, {anonymous: true},
		{client: "plain"}, {client: "both"}, {client: "tls"}, {client: "trusted-only"}, {client: "system-roots"}, {client: "auto-tls"},
		{crl: "der"}, {crl: "pem"}, {crl: "expired"}, {crl: "foreign"},
		{peer: "plain"}, {peer: "shared-ca"}, {peer: "shared-ca-cn"}, {peer: "shared-ca-hostname"}, {peer: "trusted-only"}, {peer: "auto-tls"}, {peer: "skip-san"},
		{metrics: "tls"},
		{pprof: "flag"}, {pprof: "debug-log"},
		{tls: "1.2"}, {tls: "1.3"}, {tls: "aead"},
		{cert: "expired"}, {cert: "due"}, {cert: "misnamed"},
		{split: "http"}, {split: "https"},
		{gateway: true}, {gateway: true, rbac: true},
		{client: "plain", whitelist: true},
	}
	together := []setup{
		{client: "plain", peer: "plain", anonymous: true, pprof: "flag", gateway: true},
		{client: "both", peer: "shared-ca", pprof: "debug-log"},
		{client: "tls", tls: "1.3", anonymous: true},
		{client: "tls", tls: "1.2", gateway: true, peer: "auto-tls"},
		{client: "trusted-only", tls: "1.3", peer: "shared-ca-cn", crl: "der"},
		{client: "system-roots", tls: "1.3", peer: "plain", anonymous: true},
		{client: "both", crl: "der", split: "", whitelist: true},
		{peer: "shared-ca", tls: "1.3", cert: "due", gateway: true},
		{split: "http", pprof: "flag", peer: "shared-ca"},
		{split: "https", crl: "der", gateway: true},
		{cert: "expired", anonymous: true},
		{peer: "shared-ca", given: "elsewhere"},
		{given: "peer-ca"},
		{given: "peer-ca", crl: "der", peer: "trusted-only"},
		{want13: true, tls: "1.2", metrics: "tls"},
		{want13: true, tls: "1.3"},
		{want13: true, peer: "plain"},
		{cert: "misnamed", tls: "aead", peer: "trusted-only"},
		{client: "auto-tls", peer: "auto-tls", anonymous: true},
		{client: "plain", rbac: true, gateway: true, peer: "plain"},
	}
	var all []setup
	add := func(version string, s setup) {
		s.version = version
		// 3.4.23 has neither flag (3.4.25), and whether it answers gRPC without TLS beside TLS is
		// another at each start.
		if strings.HasPrefix(version, "3.4.") && (s.tls != "" && s.tls != "aead" || s.split != "" || s.client == "both") {
			return
		}
		all = append(all, s)
	}
	for i, version := range versions {
		for _, s := range alone {
			add(version, s)
		}
		if strings.HasPrefix(version, "3.5") || strings.HasPrefix(version, "3.4") {
			all = append(all, setup{version: version, v2: true}, setup{version: version, v2: true, client: "plain"})
		}
		for j, s := range together {
			if j%len(versions) == i {
				add(version, s)
			}
		}
	}
	// The release that kubeadm 1.36 installs: a CRL does not hold on a gRPC port of its own (GHSA-3wh4-j44w-pg92).
	for _, s := range []setup{{}, {crl: "der"}, {crl: "der", split: "https"}} {
		s.version = etcdtest.Vulnerable
		all = append(all, s)
	}
	return all
}

// start runs the member of a setup and brings it into the state that the setup describes.
func (s setup) start(t *testing.T, site *site, program string) {
	t.Helper()
	s.prepare(t, site)
	config := etcdtest.Config{
		Name: "m0", Version: s.version, Program: program, HealthURL: "http://" + site.metrics + "/health",
		Args: append([]string{"--name=m0", "--data-dir=" + site.path("data"), "--logger=zap"}, s.flags(site)...),
	}
	if s.metrics == "tls" {
		config.HealthURL = "https://" + site.metrics + "/health"
		config.HealthTLS = &tls.Config{RootCAs: site.clientCA.Pool(), Certificates: []tls.Certificate{site.given}}
	}
	etcdtest.Run(t, config)
	if s.rbac {
		site.enableAuth(t, s.client == "plain")
	}
}

func (s setup) prepare(t *testing.T, site *site) {
	t.Helper()
	loopback := []net.IP{net.IPv4(127, 0, 0, 1)}
	switch s.cert {
	case "expired":
		site.serve(t, pki.LeafTemplate{IPs: loopback, NotAfter: site.now.Add(-time.Hour)})
	case "due":
		site.serve(t, pki.LeafTemplate{IPs: loopback, NotAfter: site.now.Add(6 * 24 * time.Hour)})
	case "misnamed":
		site.serve(t, pki.LeafTemplate{DNSNames: []string{"etcd.example.internal"}})
	}
	switch s.given {
	case "elsewhere":
		site.given = newLeaf(t, site.clientCA, pki.LeafTemplate{CommonName: "auditor", EKUs: bothEKUs, IPs: []net.IP{net.IPv4(192, 0, 2, 1)}})
	case "peer-ca":
		site.given = newLeaf(t, site.peerCA, pki.LeafTemplate{CommonName: "auditor", EKUs: bothEKUs})
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
	signer := newLeaf(t, s.clientCA, pki.LeafTemplate{CommonName: "crl"})
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
	if s.split != "" {
		endpoints = append(endpoints, collect.Endpoint{Address: site.http, Kind: audit.Client})
	}
	return endpoints
}

// faulty are certificates of the site's own CAs with one fault each.
func (s *site) faulty(t *testing.T) []collect.Faulty {
	t.Helper()
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	var all []collect.Faulty
	add := func(identity audit.Identity, ca *pki.Throwaway, template pki.LeafTemplate) {
		leaf := newLeaf(t, ca, template)
		all = append(all, collect.Faulty{Identity: identity, Certificate: &leaf})
	}
	add(audit.ExpiredCertificate, s.clientCA, pki.LeafTemplate{CommonName: "former", EKUs: client, NotAfter: s.now.Add(-time.Hour)})
	add(audit.ServersOnly, s.clientCA, pki.LeafTemplate{CommonName: "server", EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	add(audit.RevokedCertificate, s.clientCA, pki.LeafTemplate{CommonName: "thief", EKUs: client, Serial: revokedSerial()})
	return all
}

// elsewhere is a member's certificate, of the CA that the peer port of the setup trusts, for another address.
func (s setup) elsewhere(t *testing.T, site *site) collect.Faulty {
	t.Helper()
	ca := site.peerCA
	if strings.HasPrefix(s.peer, "shared-ca") {
		ca = site.clientCA
	}
	leaf := newLeaf(t, ca, pki.LeafTemplate{CommonName: "m1", EKUs: bothEKUs, IPs: []net.IP{net.IPv4(192, 0, 2, 1)}})
	return collect.Faulty{Identity: audit.ElsewhereMember, Certificate: &leaf}
}

// enableAuth turns etcd's authentication on, with a root user and one for the auditor's
// certificate that has no role. Only the tests write.
func (s *site) enableAuth(t *testing.T, plaintext bool) {
	t.Helper()
	base, client := "http://"+s.client, &http.Client{Timeout: time.Minute}
	if !plaintext {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.clientCA.Pool(), Certificates: []tls.Certificate{s.given}}}
		t.Cleanup(transport.CloseIdleConnections)
		base, client.Transport = "https://"+s.client, transport
	}
	gateway(t, client, base+"/v3/auth/user/add", `{"name":"root","password":"correct horse"}`)
	gateway(t, client, base+"/v3/auth/role/add", `{"name":"root"}`)
	gateway(t, client, base+"/v3/auth/user/grant", `{"user":"root","role":"root"}`)
	gateway(t, client, base+"/v3/auth/user/add", `{"name":"auditor","options":{"no_password":true}}`)
	gateway(t, client, base+"/v3/auth/enable", `{}`)
}
