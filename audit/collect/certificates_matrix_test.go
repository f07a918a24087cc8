package collect_test

import (
	"cmp"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki"
)

// compareCertificates compares the verdicts of the checks of certificates. What is not in
// want must pass, but for the peers' root, which is neither served nor given.
func compareCertificates(t *testing.T, report audit.Report, want map[string]string) {
	t.Helper()
	compared := 0
	for _, r := range report.Results {
		key := string(r.Kind) + "/" + r.CheckID
		if !strings.HasPrefix(r.CheckID, "cert-") || r.Kind == audit.Cluster {
			continue
		}
		compared++
		wanted := cmp.Or(want[key], "pass ")
		if want[key] == "" && key == "peer/cert-outlives-ca" {
			wanted = "skip --cacert"
		}
		verdict, detail, _ := strings.Cut(wanted, " ")
		got, matches := r.Evidence, strings.Contains(r.Evidence, detail)
		if r.Verdict == audit.Fail {
			got = strings.Join(r.Codes, ",")
			matches = got == detail
		}
		if string(r.Verdict) != verdict || !matches {
			t.Errorf("%s: %s %q, want %q (%s)", key, r.Verdict, got, wanted, r.Evidence)
		}
	}
	if compared == 0 {
		t.Error("no check of certificates")
	}
}

// certificateCase is what a member serves and what the audit says of it. Where the given
// roots do not verify the leaf, the audit asks the member nothing with the given client.
type certificateCase struct {
	name  string
	serve func(t *testing.T, s *site)
	want  map[string]string
}

func certificateCases() []certificateCase {
	server := func(template func(s *site) pki.LeafTemplate) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			t.Helper()
			s.writeChain(t, "server", newLeaf(t, s.clientCA, named(template(s))))
		}
	}
	peer := func(template pki.LeafTemplate) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			t.Helper()
			s.writeChain(t, "peer", newLeaf(t, s.peerCA, named(template)))
		}
	}
	below := func(certs func(leaf, issuing, root, other *x509.Certificate) []*x509.Certificate) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			t.Helper()
			issuing, err := s.clientCA.Issuing(pki.ThrowawayConfig{CommonName: "issuing", NotBefore: s.now.Add(-day), NotAfter: s.now.Add(90 * day)})
			if err != nil {
				t.Fatal(err)
			}
			leaf := newLeaf(t, issuing, named(pki.LeafTemplate{}))
			s.writeChain(t, "server", leaf, certs(leaf.Leaf, issuing.Certificate(), s.clientCA.Certificate(), s.peerCA.Certificate())...)
		}
	}
	both := func(a, b func(*testing.T, *site)) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			t.Helper()
			a(t, s)
			b(t, s)
		}
	}
	return []certificateCase{
		{name: "kubeadm's year", serve: both(
			// Older releases date a renewed leaf back to the beginning of its CA.
			server(func(s *site) pki.LeafTemplate {
				return pki.LeafTemplate{NotBefore: s.clientCA.Certificate().NotBefore, NotAfter: s.now.Add(364 * day)}
			}),
			func(t *testing.T, s *site) {
				t.Helper()
				s.writeChain(t, "peer", newLeaf(t, s.peerCA, named(pki.LeafTemplate{NotBefore: s.peerCA.Certificate().NotBefore, NotAfter: s.now.Add(364 * day)})))
			},
		)},
		{name: "RSA 2048", serve: func(t *testing.T, s *site) {
			t.Helper()
			s.writeChain(t, "server", newLeaf(t, s.clientCA, named(pki.LeafTemplate{Key: rsaKey(t, 2048)})))
		}},
		{name: "issuing CA", serve: below(func(_, issuing, _, _ *x509.Certificate) []*x509.Certificate { return []*x509.Certificate{issuing} }),
			want: map[string]string{"client/cert-outlives-ca": "pass"}},

		{name: "ten years", serve: server(func(s *site) pki.LeafTemplate {
			return pki.LeafTemplate{NotBefore: s.now, NotAfter: s.now.Add(3650 * day)}
		}),
			want: map[string]string{"client/cert-lifetime": "fail leaf"}},
		{name: "RSA 1024", serve: func(t *testing.T, s *site) {
			t.Helper()
			s.writeChain(t, "server", newLeaf(t, s.clientCA, named(pki.LeafTemplate{Key: rsaKey(t, 1024)})))
		}, want: map[string]string{"client/cert-key-strength": "fail leaf-rsa-short"}},
		{name: "SHA-1", serve: serveSHA1,
			want: map[string]string{"client/cert-signature": "fail leaf", "client/cert-chain": "fail not-trusted", "client/cert-outlives-ca": "pass"}},
		{name: "client of its own only",
			serve: server(func(*site) pki.LeafTemplate {
				return pki.LeafTemplate{EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
			}),
			want: map[string]string{"client/cert-eku": "fail no-server-auth"}},
		{name: "any use", serve: server(func(*site) pki.LeafTemplate { return pki.LeafTemplate{EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}} }),
			want: map[string]string{"client/cert-eku": "fail any"}},
		{name: "a leaf that signs", serve: server(func(*site) pki.LeafTemplate {
			return pki.LeafTemplate{EKUs: bothEKUs, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
		}), want: map[string]string{"client/cert-eku": "fail cert-sign", "client/cert-zlint": "fail leaf-e-ext-key-usage-cert-sign-without-ca"}},
		{name: "peer that cannot dial", serve: peer(pki.LeafTemplate{EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}),
			want: map[string]string{"peer/cert-eku": "fail no-client-auth"}},
		{name: "issuing CA missing", serve: below(func(_, _, _, _ *x509.Certificate) []*x509.Certificate { return nil }),
			want: map[string]string{"client/cert-chain": "fail not-trusted", "client/cert-outlives-ca": "skip --cacert"}},
		{name: "foreign certificate", serve: below(func(_, issuing, _, other *x509.Certificate) []*x509.Certificate {
			return []*x509.Certificate{other, issuing}
		}), want: map[string]string{"client/cert-chain": "fail foreign-certificate"}},
		{name: "out of order", serve: below(func(_, issuing, root, _ *x509.Certificate) []*x509.Certificate {
			return []*x509.Certificate{root, issuing}
		}), want: map[string]string{"client/cert-chain": "fail order"}},
		{name: "peer of the clients' CA", serve: func(t *testing.T, s *site) {
			t.Helper()
			s.writeChain(t, "peer", newLeaf(t, s.clientCA, named(pki.LeafTemplate{})))
		}, want: map[string]string{"peer/cert-chain": "fail not-trusted-by-peers", "peer/cert-outlives-ca": "pass"}},
		{name: "leaf after its root", serve: server(func(s *site) pki.LeafTemplate {
			return pki.LeafTemplate{NotBefore: s.now.Add(-3 * 365 * day), NotAfter: s.clientCA.Certificate().NotAfter.Add(day)}
		}), want: map[string]string{"client/cert-lifetime": "fail leaf", "client/cert-outlives-ca": "fail leaf"}},
	}
}

const day = 24 * time.Hour

// Each release serves each certificate as it is, and the audit finds what is wrong with it
// and nothing else. One member is enough: etcd reads the files again at every handshake.
func TestServedCertificates(t *testing.T) {
	for _, version := range etcdtest.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			// CAs that began years ago and last for longer than any leaf but one.
			s.clientCA, s.peerCA = newOldCA(t, "clients", s.now), newOldCA(t, "peers", s.now)
			s.write(t, "ca.crt", s.clientCA.CertPEM())
			s.write(t, "peer-ca.crt", s.peerCA.CertPEM())
			s.given = newLeaf(t, s.clientCA, pki.LeafTemplate{CommonName: "auditor", EKUs: bothEKUs})
			s.serveGood(t)
			s.start(t, version, flags(s.clientMTLS(), s.peerMTLS()))
			s.waitServing(t)
			for _, c := range certificateCases() {
				t.Run(c.name, func(t *testing.T) {
					s.serveGood(t)
					c.serve(t, s)
					compareCertificates(t, runAudit(t, s.endpoints(0)[:2], s.credentials()), c.want)
				})
			}
		})
	}
}

// named is a leaf of the member, for 90 days and both uses unless the template says otherwise.
func named(template pki.LeafTemplate) pki.LeafTemplate {
	template.CommonName, template.IPs = "m0", []net.IP{net.IPv4(127, 0, 0, 1)}
	if template.EKUs == nil {
		template.EKUs = bothEKUs
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-day)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = template.NotBefore.Add(90 * day)
	}
	return template
}

func newOldCA(tb testing.TB, name string, now time.Time) *pki.Throwaway {
	tb.Helper()
	ca, err := pki.NewThrowaway(pki.ThrowawayConfig{CommonName: name, NotBefore: now.Add(-4 * 365 * day), NotAfter: now.Add(16 * 365 * day)})
	if err != nil {
		tb.Fatal(err)
	}
	return ca
}

// waitServing waits until both ports have shown a certificate. etcd opens them after the
// metrics port that says it is healthy, and ends if it finds a file then that is half written.
func (s *site) waitServing(tb testing.TB) {
	tb.Helper()
	for _, address := range []string{s.client, s.peer} {
		for deadline := time.Now().Add(time.Minute); ; {
			_, err := collect.Served(tb.Context(), address, time.Second)
			if err == nil {
				break
			}
			if time.Now().After(deadline) {
				tb.Fatal(err)
			}
		}
	}
}

// serveGood puts leaves in order in the place of both ports' certificates.
func (s *site) serveGood(tb testing.TB) {
	tb.Helper()
	s.writeChain(tb, "server", newLeaf(tb, s.clientCA, named(pki.LeafTemplate{})))
	s.writeChain(tb, "peer", newLeaf(tb, s.peerCA, named(pki.LeafTemplate{})))
}

// writeChain writes a leaf of any key, and the certificates that are served after it.
func (s *site) writeChain(tb testing.TB, name string, leaf tls.Certificate, after ...*x509.Certificate) {
	tb.Helper()
	keyDER, err := x509.MarshalPKCS8PrivateKey(leaf.PrivateKey)
	if err != nil {
		tb.Fatal(err)
	}
	chainPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Certificate[0]})
	for _, cert := range after {
		chainPEM = append(chainPEM, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw})...)
	}
	s.write(tb, name+".crt", chainPEM)
	s.write(tb, name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}))
}

func rsaKey(tb testing.TB, bits int) *rsa.PrivateKey {
	tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

// serveSHA1 has the server's leaf signed over SHA-1 by openssl: crypto/x509 does not do
// that any more. The CA is openssl's too, and served, so that it is seen who signed.
func serveSHA1(t *testing.T, s *site) {
	t.Helper()
	openssl := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), "openssl", args...)
		cmd.Dir = s.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %v: %v\n%s", args, err, out)
		}
	}
	const curve = "ec_paramgen_curve:prime256v1"
	openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", curve, "-nodes", "-keyout", "sha1-ca.key", "-out", "sha1-ca.crt", "-subj", "/CN=sha1", "-days", "300")
	openssl("req", "-newkey", "ec", "-pkeyopt", curve, "-nodes", "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=m0",
		"-addext", "subjectAltName=IP:127.0.0.1", "-addext", "extendedKeyUsage=serverAuth,clientAuth", "-addext", "keyUsage=critical,digitalSignature")
	openssl("x509", "-req", "-sha1", "-in", "server.csr", "-CA", "sha1-ca.crt", "-CAkey", "sha1-ca.key", "-CAcreateserial", "-copy_extensions", "copy", "-days", "90", "-out", "server.crt")
	served, err := os.ReadFile(s.path("server.crt"))
	if err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(s.path("sha1-ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	s.write(t, "server.crt", append(served, ca...))
}
