package collect_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// certificateFault is one way in which a port's leaf, or what is served with it, is made otherwise.
type certificateFault struct {
	name  string
	serve func(t *testing.T, s *site)
	// want are the verdicts that it changes, by "kind/check". Everything else stays as it is
	// with a leaf in order: a fault is found once, and nothing is found without one.
	want map[string]string
	// unverified: clients that verify the chain for serverAuth refuse it (crypto/x509), so the
	// audit asks nothing with the given certificate.
	unverified bool
	rsa        bool // the client port's key; which suites it has goes by it
}

// served finds the fault of a setup; the zero value is none.
func (s setup) served() certificateFault {
	faults := certificateFaults()
	at := slices.IndexFunc(faults, func(f certificateFault) bool { return f.name == s.cert })
	if at < 0 {
		return certificateFault{}
	}
	return faults[at]
}

// certificateFaults are served by CAs that began years ago and last for longer than any leaf but one.
func certificateFaults() []certificateFault {
	server := func(template func(s *site) throwaway.Leaf) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			t.Helper()
			s.writeChain(t, "server", newLeaf(t, s.clientCA, named(template(s))))
		}
	}
	with := func(template throwaway.Leaf) func(*testing.T, *site) {
		return server(func(*site) throwaway.Leaf { return template })
	}
	peer := func(template func(s *site) throwaway.Leaf) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			t.Helper()
			s.writeChain(t, "peer", newLeaf(t, s.peerCA, named(template(s))))
		}
	}
	below := func(certs func(leaf, issuing, root, other *x509.Certificate) []*x509.Certificate) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			t.Helper()
			issuing, err := s.clientCA.Issuing(throwaway.Config{CommonName: "issuing", NotBefore: s.now.Add(-day), NotAfter: s.now.Add(90 * day)})
			if err != nil {
				t.Fatal(err)
			}
			leaf := newLeaf(t, issuing, named(throwaway.Leaf{}))
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
	return []certificateFault{
		// In order.
		{name: "kubeadm-year", serve: both(
			// Older releases date a renewed leaf back to the beginning of its CA.
			server(func(s *site) throwaway.Leaf {
				return throwaway.Leaf{NotBefore: s.clientCA.Certificate().NotBefore, NotAfter: s.now.Add(364 * day)}
			}),
			peer(func(s *site) throwaway.Leaf {
				return throwaway.Leaf{NotBefore: s.peerCA.Certificate().NotBefore, NotAfter: s.now.Add(364 * day)}
			}))},
		{name: "rsa-2048", rsa: true, serve: func(t *testing.T, s *site) {
			t.Helper()
			s.writeChain(t, "server", newLeaf(t, s.clientCA, named(throwaway.Leaf{Key: rsaKey(t, 2048)})))
		}},
		{name: "ed25519", serve: func(t *testing.T, s *site) {
			t.Helper()
			_, key, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				t.Fatal(err)
			}
			s.writeChain(t, "server", newLeaf(t, s.clientCA, named(throwaway.Leaf{Key: key})))
		}},
		{name: "issuing-ca", serve: below(func(_, issuing, _, _ *x509.Certificate) []*x509.Certificate { return []*x509.Certificate{issuing} })},
		{name: "root-served", serve: below(func(_, issuing, root, _ *x509.Certificate) []*x509.Certificate {
			return []*x509.Certificate{issuing, root}
		})},

		{name: "not-yet-valid", unverified: true, want: map[string]string{"client/cert-expiry": "fail leaf-not-yet-valid"},
			serve: server(func(s *site) throwaway.Leaf { return throwaway.Leaf{NotBefore: s.now.Add(day)} })},
		{name: "ten-years", want: map[string]string{"client/cert-lifetime": "fail leaf"},
			serve: server(func(s *site) throwaway.Leaf {
				return throwaway.Leaf{NotBefore: s.now, NotAfter: s.now.Add(3650 * day)}
			})},
		{name: "peer-ten-years", want: map[string]string{"peer/cert-lifetime": "fail leaf"},
			serve: peer(func(s *site) throwaway.Leaf {
				return throwaway.Leaf{NotBefore: s.now, NotAfter: s.now.Add(3650 * day)}
			})},
		{name: "rsa-1024", rsa: true, want: map[string]string{"client/cert-key-strength": "fail leaf-rsa-short"},
			serve: func(t *testing.T, s *site) {
				t.Helper()
				s.writeChain(t, "server", newLeaf(t, s.clientCA, named(throwaway.Leaf{Key: rsaKey(t, 1024)})))
			}},
		{name: "ca-of-rsa-1024", want: map[string]string{"client/cert-key-strength": "fail root-rsa-short"}, // with --cacert
			serve: func(t *testing.T, s *site) {
				t.Helper()
				ca, err := throwaway.New(throwaway.Config{CommonName: "clients", NotBefore: s.now.Add(-day), NotAfter: s.now.Add(900 * day), Key: rsaKey(t, 1024)})
				if err != nil {
					t.Fatal(err)
				}
				s.clientCA = ca
				s.write(t, "ca.crt", ca.CertPEM())
				s.writeChain(t, "server", newLeaf(t, ca, named(throwaway.Leaf{})))
			}},
		{name: "sha1", unverified: true, serve: serveSHA1, // the CA of openssl is served, so the end of the leaf is compared with its own
			want: map[string]string{"client/cert-signature": "fail leaf", "client/cert-chain": "fail not-trusted"}},

		{name: "clients-only", unverified: true, want: map[string]string{"client/cert-eku": "fail no-server-auth"},
			serve: with(throwaway.Leaf{EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})},
		{name: "any-use", want: map[string]string{"client/cert-eku": "fail any"},
			serve: with(throwaway.Leaf{EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})},
		{name: "no-use", want: map[string]string{"client/cert-eku": "fail none"}, // RFC 5280 4.2.1.12: for everything
			serve: with(throwaway.Leaf{EKUs: []x509.ExtKeyUsage{}})},
		{name: "encipherment-only", // etcd and Go's clients do not look; RFC 8446 4.4.2.2 and RFC 8813 3 forbid it
			serve: with(throwaway.Leaf{KeyUsage: x509.KeyUsageKeyEncipherment}),
			want:  map[string]string{"client/cert-eku": "fail no-digital-signature"}},
		{name: "leaf-that-signs", serve: with(throwaway.Leaf{KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}),
			want: map[string]string{"client/cert-eku": "fail cert-sign", "client/cert-zlint": "fail leaf-e-ext-key-usage-cert-sign-without-ca"}},
		{name: "leaf-that-is-a-ca", serve: with(throwaway.Leaf{IsCA: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}),
			want: map[string]string{"client/cert-eku": "fail ca,cert-sign"}},
		{name: "peer-cannot-dial", want: map[string]string{"peer/cert-eku": "fail no-client-auth"},
			serve: peer(func(*site) throwaway.Leaf {
				return throwaway.Leaf{EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
			})},

		{name: "issuing-missing", unverified: true, want: map[string]string{"client/cert-chain": "fail not-trusted", "client/cert-outlives-ca": "skip"},
			serve: below(func(_, _, _, _ *x509.Certificate) []*x509.Certificate { return nil })},
		{name: "issuing-expired", unverified: true, serve: func(t *testing.T, s *site) {
			t.Helper()
			issuing, err := s.clientCA.Issuing(throwaway.Config{CommonName: "issuing", NotBefore: s.now.Add(-90 * day), NotAfter: s.now.Add(-time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			s.writeChain(t, "server", newLeaf(t, issuing, named(throwaway.Leaf{})), issuing.Certificate())
		}, want: map[string]string{"client/cert-expiry": "fail ca-expired", "client/cert-outlives-ca": "fail leaf"}},
		{name: "foreign-certificate", want: map[string]string{"client/cert-chain": "fail foreign-certificate"},
			serve: below(func(_, issuing, _, other *x509.Certificate) []*x509.Certificate {
				return []*x509.Certificate{other, issuing}
			})},
		{name: "out-of-order", want: map[string]string{"client/cert-chain": "fail order"},
			serve: below(func(_, issuing, root, _ *x509.Certificate) []*x509.Certificate {
				return []*x509.Certificate{root, issuing}
			})},
		{name: "peer-of-clients-ca", serve: func(t *testing.T, s *site) {
			t.Helper()
			s.writeChain(t, "peer", newLeaf(t, s.clientCA, named(throwaway.Leaf{})))
		}, want: map[string]string{"peer/cert-chain": "fail not-trusted-by-peers", "peer/cert-outlives-ca": "pass"}}, // the given CA signed it
		{name: "after-its-root", serve: server(func(s *site) throwaway.Leaf {
			return throwaway.Leaf{NotBefore: s.now.Add(-3 * 365 * day), NotAfter: s.clientCA.Certificate().NotAfter.Add(day)}
		}), want: map[string]string{"client/cert-lifetime": "fail leaf", "client/cert-outlives-ca": "fail leaf"}},

		{name: "key-of-the-peer", want: map[string]string{"cluster/cert-shared-key": "fail ports"},
			serve: func(t *testing.T, s *site) {
				t.Helper()
				s.writeChain(t, "server", newLeaf(t, s.clientCA, named(throwaway.Leaf{Key: s.peerKey(t)})))
			}},
		{name: "peers-ca-of-clients-name", want: map[string]string{"cluster/ca-name-collision": "fail keys"},
			serve: func(t *testing.T, s *site) {
				t.Helper()
				s.peerCA = newOldCA(t, s.clientCA.Certificate().Subject.CommonName, s.now)
				s.write(t, "peer-ca.crt", s.peerCA.CertPEM())
				s.writeChain(t, "peer", newLeaf(t, s.peerCA, named(throwaway.Leaf{})))
			}},
		// Of which a cluster shows that it is another CA.
		{name: "of-another-ca-of-its-name", unverified: true, want: map[string]string{"client/cert-chain": "fail not-trusted", "client/cert-outlives-ca": "skip"},
			serve: func(t *testing.T, s *site) {
				t.Helper()
				other := newOldCA(t, s.clientCA.Certificate().Subject.CommonName, s.now)
				s.writeChain(t, "server", newLeaf(t, other, named(throwaway.Leaf{})))
			}},
		// Trust, and not what is served: an old CA that was left in the file.
		{name: "old-client-ca-trusted", want: map[string]string{"cluster/ca-stale": "fail client"},
			serve: func(t *testing.T, s *site) {
				t.Helper()
				s.write(t, "ca.crt", append(s.clientCA.CertPEM(), newCA(t, "clients of before", s.now).CertPEM()...))
			}},
		{name: "old-peer-ca-trusted", want: map[string]string{"cluster/ca-stale": "fail peer"},
			serve: func(t *testing.T, s *site) {
				t.Helper()
				s.write(t, "peer-ca.crt", append(s.peerCA.CertPEM(), newCA(t, "peers of before", s.now).CertPEM()...))
			}},
		// Two certificates of one name: a rotation that kept the name. That the port trusts more
		// than it needs is seen; whether the keys are two is in the file alone.
		{name: "old-client-ca-of-its-name", want: map[string]string{"cluster/ca-stale": "fail client", "cluster/ca-name-collision": "unknown"},
			serve: func(t *testing.T, s *site) {
				t.Helper()
				s.write(t, "ca.crt", append(s.clientCA.CertPEM(), newCA(t, s.clientCA.Certificate().Subject.CommonName, s.now).CertPEM()...))
			}},
	}
}

// beganLongAgo puts CAs of long ago in the place of the site's, and leaves of 90 days below them.
func (s *site) beganLongAgo(t *testing.T) {
	t.Helper()
	s.clientCA, s.peerCA = newOldCA(t, "clients", s.now), newOldCA(t, "peers", s.now)
	s.write(t, "ca.crt", s.clientCA.CertPEM())
	s.write(t, "peer-ca.crt", s.peerCA.CertPEM())
	s.given = newLeaf(t, s.clientCA, throwaway.Leaf{CommonName: "auditor", EKUs: bothEKUs})
	s.serveGood(t)
}

const day = 24 * time.Hour

// named is a leaf of the member, for 90 days and both uses unless the template says otherwise.
func named(template throwaway.Leaf) throwaway.Leaf {
	template.CommonName, template.IPs = "m0", []net.IP{net.IPv4(127, 0, 0, 1)}
	if template.EKUs == nil { // an empty list is none
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

func newOldCA(tb testing.TB, name string, now time.Time) *throwaway.CA {
	tb.Helper()
	ca, err := throwaway.New(throwaway.Config{CommonName: name, NotBefore: now.Add(-4 * 365 * day), NotAfter: now.Add(16 * 365 * day)})
	if err != nil {
		tb.Fatal(err)
	}
	return ca
}

// waitServing waits until the client and the peer port listen: the metrics port says before that the member is healthy.
func (s *site) waitServing(t *testing.T) {
	t.Helper()
	for _, address := range []string{s.client, s.peer} {
		for deadline := time.Now().Add(time.Minute); ; {
			connection, err := net.DialTimeout("tcp", address, time.Second)
			if err == nil {
				_ = connection.Close()
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
}

// serveGood puts leaves in order in the place of both ports' certificates.
func (s *site) serveGood(tb testing.TB) {
	tb.Helper()
	s.writeChain(tb, "server", newLeaf(tb, s.clientCA, named(throwaway.Leaf{})))
	s.writeChain(tb, "peer", newLeaf(tb, s.peerCA, named(throwaway.Leaf{})))
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

// peerKey is the private key of the peer port.
func (s *site) peerKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	pair, err := tls.LoadX509KeyPair(s.path("peer.crt"), s.path("peer.key"))
	if err != nil {
		t.Fatal(err)
	}
	return pair.PrivateKey.(*ecdsa.PrivateKey)
}
