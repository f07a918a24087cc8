package collect_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

const (
	strongSuites = "--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384," +
		"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"

	// weakByDefault lists what etcd agrees to with an ECDSA key when it is told neither its suites
	// nor TLS 1.3: Go's own choice (crypto/tls/defaults.go of Go 1.26).
	weakByDefault = "fail TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA"
	// weakByDefaultRSA is the same with an RSA key, and weakBefore122 the same of Go before 1.22,
	// which still had the key exchange of RSA alone, and before 1.23, which had 3DES.
	weakByDefaultRSA = "fail TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA"
	weakBefore122    = "fail TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA,TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA," +
		"TLS_RSA_WITH_3DES_EDE_CBC_SHA,TLS_RSA_WITH_AES_128_CBC_SHA,TLS_RSA_WITH_AES_128_GCM_SHA256,TLS_RSA_WITH_AES_256_CBC_SHA,TLS_RSA_WITH_AES_256_GCM_SHA384"
)

// serveRSA makes the server's and the peer's leaf anew with an RSA key. They are of no CA, which
// a server does not mind.
func (s *site) serveRSA(t *testing.T) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "m0"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: s.now.Add(-time.Hour), NotAfter: s.now.Add(90 * 24 * time.Hour), ExtKeyUsage: bothEKUs,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"server", "peer"} {
		s.write(t, name+".crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
		s.write(t, name+".key", pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
	}
}

// tlsCase is a real member and what the TLS checks must say of its client and peer ports.
type tlsCase struct {
	name    string
	prepare func(t *testing.T, s *site)
	args    func(s *site) []string
	want    map[string]string // by check; what is not in it must pass
	// everyVersion runs it on each etcd release and not only on 3.6.
	everyVersion bool
}

func tlsCases() []tlsCase {
	hardened := func(more ...string) func(*site) []string {
		return func(s *site) []string { return flags(s.clientMTLS(), s.peerMTLS(), more) }
	}
	rsaKey := func(t *testing.T, s *site) {
		t.Helper()
		s.serveRSA(t)
	}
	return []tlsCase{
		{
			name: "every weak suite of Go", everyVersion: true, prepare: rsaKey,
			args: hardened("--cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_RSA_WITH_RC4_128_SHA,TLS_RSA_WITH_3DES_EDE_CBC_SHA," +
				"TLS_RSA_WITH_AES_256_GCM_SHA384,TLS_RSA_WITH_AES_128_CBC_SHA,TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,TLS_ECDHE_RSA_WITH_RC4_128_SHA"),
			want: map[string]string{"tls-weak-cipher": "fail TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,TLS_ECDHE_RSA_WITH_RC4_128_SHA," +
				"TLS_RSA_WITH_3DES_EDE_CBC_SHA,TLS_RSA_WITH_AES_128_CBC_SHA,TLS_RSA_WITH_AES_256_GCM_SHA384,TLS_RSA_WITH_RC4_128_SHA"},
		},
		{
			name: "an RSA key by default", everyVersion: true, prepare: rsaKey, args: hardened(),
			want: map[string]string{"tls-weak-cipher": weakByDefaultRSA},
		},
		{
			name: "TLS 1.2 only", everyVersion: true, args: hardened("--tls-min-version=TLS1.2", "--tls-max-version=TLS1.2", strongSuites),
			want: map[string]string{"tls-post-quantum": "fail no-tls1.3"},
		},
		{
			name: "made by etcd", everyVersion: true,
			args: func(s *site) []string {
				return flags(s.clientURLs("https://"+s.client, "https://"+s.client), "--auto-tls", s.peerURLs("https"), "--peer-auto-tls", "--tls-min-version=TLS1.3")
			},
			want: map[string]string{"tls-auto-cert": "fail auto-tls"},
		},
		{
			// etcd goes by the files, whatever the flags say.
			name: "auto-tls beside files", args: hardened("--auto-tls", "--peer-auto-tls", "--tls-min-version=TLS1.3"),
		},
	}
}

func TestTLSOfRealEtcd(t *testing.T) {
	for _, version := range etcdtest.Versions() {
		for _, c := range tlsCases() {
			if version != etcdtest.V3_6 && !c.everyVersion {
				continue
			}
			t.Run(version+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				if c.prepare != nil {
					c.prepare(t, s)
				}
				s.start(t, version, c.args(s))
				compareTLS(t, runAudit(t, s.endpoints(0)[:2], collect.Credentials{}), c.want)
			})
		}
	}
}

// The groups are those that the server has, not those of its version.
func TestPostQuantumTurnedOff(t *testing.T) {
	t.Setenv("GODEBUG", "tlsmlkem=0")
	s := newSite(t)
	s.start(t, etcdtest.V3_7, flags(s.clientMTLS(), s.peerMTLS(), strongSuites))
	compareTLS(t, runAudit(t, s.endpoints(0)[:2], collect.Credentials{}), map[string]string{"tls-post-quantum": "fail no-hybrid-group"})
}

// A metrics listener with https is one of the client's kind.
func TestTLSOfMetrics(t *testing.T) {
	s := newSite(t)
	secured := address(etcdtest.FreePort(t))
	s.start(t, etcdtest.V3_6, flags(s.clientMTLS(), s.peerMTLS(), "--listen-metrics-urls=http://"+s.metrics+",https://"+secured))
	report := runAudit(t, []collect.Endpoint{{Address: secured, Kind: audit.Metrics}}, collect.Credentials{})
	compareTLS(t, report, map[string]string{"tls-weak-cipher": weakByDefault})
}

// compareTLS compares the verdicts of the checks of suites, groups and certificates.
func compareTLS(t *testing.T, report audit.Report, want map[string]string) {
	t.Helper()
	checks := []string{"tls-weak-cipher", "tls-key-exchange", "tls-post-quantum", "tls-auto-cert", "tls-renegotiation", "tls-compression"}
	compared := 0
	for _, r := range report.Results {
		if !slices.Contains(checks, r.CheckID) {
			continue
		}
		compared++
		wanted, special := want[r.CheckID]
		if !special {
			wanted = "pass"
		}
		verdict, detail, _ := strings.Cut(wanted, " ")
		if r.Verdict != audit.Verdict(verdict) || (verdict == "fail" && strings.Join(r.Codes, ",") != detail) || !strings.Contains(r.Evidence, map[bool]string{true: detail}[verdict == "unknown"]) {
			t.Errorf("%s of %s: %s %v (%s), want %s", r.CheckID, r.Target, r.Verdict, r.Codes, r.Evidence, wanted)
		}
	}
	if compared == 0 || compared%len(checks) != 0 {
		t.Errorf("%d results", compared)
	}
}
