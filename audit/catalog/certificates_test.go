package catalog_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

func certificateFixtures(t *testing.T) []fixture {
	t.Helper()
	in := func(change func(*audit.Listener)) *audit.Listener { return changed(t, audit.Client, change) }
	serving := func(certs ...*x509.Certificate) *audit.Listener {
		return in(func(target *audit.Listener) {
			for i := range target.Handshakes {
				if len(target.Handshakes[i].Chain) > 0 {
					target.Handshakes[i].Chain = certs
				}
			}
		})
	}
	lasting := func(before, after time.Duration) *audit.Listener { return serving(chain(t, before, after)...) }
	withIssuer := func(before, after time.Duration) *audit.Listener {
		root := newFixtureCA(t, 1000*day, 1000*day)
		leaf := chain(t, 10*day, 80*day)[0]
		issuing, err := x509.ParseCertificate(newIssuing(t, root, before, after))
		if err != nil {
			t.Fatal(err)
		}
		return serving(leaf, issuing)
	}
	agreeing := func(minimum uint16, highest ...uint16) *audit.Listener {
		return in(func(target *audit.Listener) {
			target.MinTLSVersion = minimum
			for i, h := range target.Handshakes {
				for _, version := range highest {
					if h.MaxVersion == version {
						target.Handshakes[i].Attempt, target.Handshakes[i].Version = alert, version
					}
				}
			}
		})
	}
	return []fixture{
		{check: "tls-version-min", name: "1.3 only", target: agreeing(tls.VersionTLS13), verdict: audit.Pass, evidence: "TLS 1.3"},
		{check: "tls-version-min", name: "1.2", target: agreeing(0, tls.VersionTLS12), verdict: audit.Pass, evidence: "TLS 1.2"},
		{check: "tls-version-min", name: "1.2 where 1.3 is wanted", target: agreeing(tls.VersionTLS13, tls.VersionTLS12), verdict: audit.Fail, codes: []string{"tls1.2"}},
		{check: "tls-version-min", name: "1.1", target: agreeing(0, tls.VersionTLS11, tls.VersionTLS12), verdict: audit.Fail, codes: []string{"tls1.1"}},
		{check: "tls-version-min", name: "plaintext", target: plaintextOnly(audit.Peer), verdict: audit.Skip},
		{check: "tls-version-min", name: "old hello times out", verdict: audit.Unknown,
			target: in(func(target *audit.Listener) { target.Handshakes[1].Attempt = silent })},

		{check: "cert-expiry", name: "expired in another handshake", verdict: audit.Fail, codes: []string{"leaf-expired"}, evidence: "the handshakes differ",
			target: in(func(target *audit.Listener) { target.Handshakes[5].Chain = chain(t, 90*day, -2*day) })},
		{check: "cert-expiry", name: "expired before a page", verdict: audit.Fail, codes: []string{"leaf-expired"}, evidence: "the handshakes differ",
			target: in(func(target *audit.Listener) { target.OtherChains = [][]*x509.Certificate{chain(t, 90*day, -2*day)} })},
		{check: "cert-expiry", name: "renewed during the audit", verdict: audit.Pass, evidence: "the handshakes differ",
			target: in(func(target *audit.Listener) { target.OtherChains = [][]*x509.Certificate{chain(t, 0, 90*day)} })},
		{check: "cert-expiry", name: "fresh", target: lasting(10*day, 80*day), verdict: audit.Pass, evidence: "80 days left, until 2027-02-08"},
		{check: "cert-expiry", name: "a third and a bit", target: lasting(60*day, 31*day), verdict: audit.Pass},
		{check: "cert-expiry", name: "less than a third", target: lasting(61*day, 29*day), verdict: audit.Fail, codes: []string{"leaf-due"}, evidence: "29 of 90 days"},
		{check: "cert-expiry", name: "a new one of a week", target: lasting(time.Hour, 6*day), verdict: audit.Pass},
		{check: "cert-expiry", name: "two days left of a week", target: lasting(5*day, 2*day), verdict: audit.Fail, codes: []string{"leaf-due"}, evidence: "2 of 7 days"},
		{check: "cert-expiry", name: "a new one of a day", target: lasting(time.Hour, 23*time.Hour), verdict: audit.Pass},
		{check: "cert-expiry", name: "the end of a day", target: lasting(17*time.Hour, 7*time.Hour), verdict: audit.Fail, codes: []string{"leaf-due"}, evidence: "7 of 24 hours"},
		{check: "cert-expiry", name: "expired", target: lasting(90*day, -2*day), verdict: audit.Fail, codes: []string{"leaf-expired"}, evidence: "2 days ago"},
		{check: "cert-expiry", name: "not yet valid", target: lasting(-day, 80*day), verdict: audit.Fail, codes: []string{"leaf-not-yet-valid"}},
		{check: "cert-expiry", name: "issuing CA fresh", target: withIssuer(10*day, 300*day), verdict: audit.Pass, evidence: "80 days left"},
		{check: "cert-expiry", name: "issuing CA due", target: withIssuer(300*day, 65*day), verdict: audit.Fail, codes: []string{"ca-due"}},
		{check: "cert-expiry", name: "root in the chain", target: serving(chain(t, 10*day, 80*day)[0], newFixtureCA(t, 3000*day, 650*day).Certificate()), verdict: audit.Pass},
		{check: "cert-expiry", name: "expired root in the chain", target: serving(chain(t, 10*day, 80*day)[0], newFixtureCA(t, 3000*day, -day).Certificate()), verdict: audit.Fail, codes: []string{"ca-expired"}},
		{check: "cert-expiry", name: "no handshake", verdict: audit.Unknown,
			target: in(func(target *audit.Listener) {
				target.Handshakes = []audit.Handshake{{Attempt: silent, Presented: audit.NoCertificate}}
			})},
		{check: "cert-expiry", name: "alert before the certificate", verdict: audit.Unknown, evidence: "no certificate",
			target: in(func(target *audit.Listener) {
				target.Handshakes = []audit.Handshake{{Attempt: alert, Presented: audit.NoCertificate, SpokeTLS: true}}
			})},

		{check: "cert-san-mismatch", name: "covered", target: hardened(t, audit.Client), verdict: audit.Pass, evidence: "192.0.2.1"},
		{check: "cert-san-mismatch", name: "every name covered", verdict: audit.Pass, evidence: "192.0.2.1, etcd-0.example.internal",
			target: in(func(target *audit.Listener) { target.ExpectedNames = []string{"192.0.2.1", "etcd-0.example.internal"} })},
		{check: "cert-san-mismatch", name: "other address", verdict: audit.Fail, codes: []string{"192.0.2.9"}, evidence: `"etcd-0.example.internal", 192.0.2.1`,
			target: in(func(target *audit.Listener) { target.Address = "192.0.2.9:2379" })},
		{check: "cert-san-mismatch", name: "a name of the spec", verdict: audit.Fail, codes: []string{"etcd-1.example.internal"},
			target: in(func(target *audit.Listener) { target.ExpectedNames = []string{"etcd-1.example.internal"} })},
		{check: "cert-san-mismatch", name: "IPv6", verdict: audit.Fail, codes: []string{"::1"},
			target: in(func(target *audit.Listener) { target.Address = "[::1]:2379" })},
		{check: "cert-san-mismatch", name: "no handshake", verdict: audit.Unknown,
			target: in(func(target *audit.Listener) {
				target.Handshakes = []audit.Handshake{{Attempt: silent, Presented: audit.NoCertificate}}
			})},
	}
}

func newFixtureCA(t *testing.T, before, after time.Duration) *throwaway.CA {
	t.Helper()
	ca, err := throwaway.New(throwaway.Config{CommonName: "fixture", NotBefore: fixtureTime.Add(-before), NotAfter: fixtureTime.Add(after)})
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// newIssuing is the DER of a certificate below root that stands for an issuing CA.
func newIssuing(t *testing.T, root *throwaway.CA, before, after time.Duration) []byte {
	t.Helper()
	issuing, err := root.Leaf(throwaway.Leaf{CommonName: "issuing", NotBefore: fixtureTime.Add(-before), NotAfter: fixtureTime.Add(after)})
	if err != nil {
		t.Fatal(err)
	}
	return issuing.Certificate[0]
}
