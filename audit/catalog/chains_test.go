package catalog_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// chainFixtures are about the chain that one port serves.
func chainFixtures(t *testing.T) []fixture {
	t.Helper()
	root := newFixtureCA(t, 1000*day, 1000*day)
	issuing := issuingBelow(t, root, throwaway.Config{CommonName: "issuing"})
	leaf := leafOf(t, issuing, throwaway.Leaf{})
	fixtures := slices.Concat(lifetimeFixtures(t), strengthFixtures(t), usesFixtures(t), outlivesFixtures(t), orderFixtures(t))
	unsigned := func(algorithm x509.SignatureAlgorithm, certs ...*x509.Certificate) []*x509.Certificate {
		// crypto/x509 does not sign by these algorithms any more, so the parsed field is set.
		first := *certs[0]
		first.SignatureAlgorithm = algorithm
		return append([]*x509.Certificate{&first}, certs[1:]...)
	}
	misnumbered := *leaf
	misnumbered.Raw = slices.Clone(leaf.Raw)
	misnumbered.Raw[0]++
	fixtures = append(fixtures,
		fixture{check: "cert-signature", name: "SHA-256", target: serving(t, audit.Client, leaf, issuing.Certificate()), verdict: audit.Pass, evidence: "leaf ECDSA-SHA256, ca ECDSA-SHA256"},
		fixture{check: "cert-signature", name: "SHA-1 leaf", target: serving(t, audit.Client, unsigned(x509.SHA1WithRSA, leaf)...), verdict: audit.Fail, codes: []string{"leaf"}, evidence: "SHA1-RSA"},
		fixture{check: "cert-signature", name: "MD5 issuing CA", target: serving(t, audit.Peer, append([]*x509.Certificate{leaf}, unsigned(x509.MD5WithRSA, issuing.Certificate())...)...), verdict: audit.Fail, codes: []string{"ca"}},
		fixture{check: "cert-signature", name: "SHA-1 root", target: serving(t, audit.Client, append([]*x509.Certificate{leaf}, unsigned(x509.SHA1WithRSA, root.Certificate())...)...), verdict: audit.Pass},
		fixture{check: "cert-signature", name: "new algorithm", target: serving(t, audit.Client, unsigned(x509.UnknownSignatureAlgorithm, leaf)...), verdict: audit.Unknown, evidence: "unknown algorithm"},

		fixture{check: "cert-zlint", name: "in order", target: serving(t, audit.Client, leaf, issuing.Certificate(), root.Certificate()), verdict: audit.Pass, evidence: "certificates linted: 3"},
		fixture{check: "cert-zlint", name: "Ed25519", target: serving(t, audit.Client, leafOf(t, issuing, throwaway.Leaf{Key: edKey(t)})), verdict: audit.Pass},
		fixture{check: "cert-zlint", name: "RSA", target: serving(t, audit.Client, leafOf(t, issuing, throwaway.Leaf{Key: rsaKey(t, 2048)})), verdict: audit.Pass},
		fixture{check: "cert-zlint", name: "nobody named", target: serving(t, audit.Client, nobody(t, issuing)), verdict: audit.Fail, codes: []string{"leaf-e-subject-empty-without-san"}, evidence: "RFC 5280: 4.2 & 4.2.1.6"},
		fixture{check: "cert-zlint", name: "certSign of a leaf", target: serving(t, audit.Client, leafOf(t, issuing, throwaway.Leaf{KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign})),
			verdict: audit.Fail, codes: []string{"leaf-e-ext-key-usage-cert-sign-without-ca"}},
		fixture{check: "cert-zlint", name: "not parsed", target: serving(t, audit.Client, &misnumbered), verdict: audit.Unknown, evidence: "linting the leaf"},
	)
	for _, check := range []string{"cert-lifetime", "cert-key-strength", "cert-signature", "cert-eku", "cert-chain", "cert-outlives-ca", "cert-zlint"} {
		fixtures = append(fixtures,
			fixture{check: check, name: "plaintext", target: plaintextOnly(audit.Client), verdict: audit.Skip},
			fixture{check: check, name: "silent", verdict: audit.Unknown, evidence: "no answer",
				target: &audit.Listener{Address: "192.0.2.1:2379", Kind: audit.Client, Now: fixtureTime, Reach: answered,
					Handshakes: []audit.Handshake{{Attempt: silent, Presented: audit.NoCertificate}}}},
			fixture{check: check, name: "reset before the certificate", verdict: audit.Unknown, evidence: "closed without an answer",
				target: &audit.Listener{Address: "192.0.2.1:2379", Kind: audit.Peer, Now: fixtureTime, Reach: answered,
					Handshakes: []audit.Handshake{{Attempt: ended, Presented: audit.NoCertificate, SpokeTLS: true}}}},
		)
	}
	return fixtures
}

func lifetimeFixtures(t *testing.T) []fixture {
	t.Helper()
	ca := newFixtureCA(t, 1000*day, 3000*day)
	lasting := func(before, after time.Duration) *x509.Certificate {
		return leafOf(t, ca, throwaway.Leaf{NotBefore: fixtureTime.Add(-before), NotAfter: fixtureTime.Add(after)})
	}
	return []fixture{
		{check: "cert-lifetime", name: "90 days", target: serving(t, audit.Client, lasting(10*day, 80*day)), verdict: audit.Pass, evidence: "90 days"},
		{check: "cert-lifetime", name: "kubeadm's year", target: serving(t, audit.Peer, lasting(0, 365*day)), verdict: audit.Pass, evidence: "365 days"},
		{check: "cert-lifetime", name: "kubeadm's year, dated back to its CA", target: given(serving(t, audit.Client, lasting(1000*day, 364*day)), ca), verdict: audit.Pass, evidence: "as its CA does"},
		{check: "cert-lifetime", name: "kubeadm's year, dated back to a CA not seen", target: serving(t, audit.Client, lasting(1000*day, 364*day)), verdict: audit.Pass, evidence: "364 of 1364 days left"},
		{check: "cert-lifetime", name: "398 days", target: serving(t, audit.Client, lasting(0, 398*day)), verdict: audit.Pass},
		{check: "cert-lifetime", name: "399 days", target: serving(t, audit.Client, lasting(0, 399*day)), verdict: audit.Fail, codes: []string{"leaf"}, evidence: "another 399 days"},
		{check: "cert-lifetime", name: "the last year of ten", target: given(serving(t, audit.Client, lasting(900*day, 300*day)), ca), verdict: audit.Fail, codes: []string{"leaf"}, evidence: "issued for 1200 days"},
		{check: "cert-lifetime", name: "a century", target: serving(t, audit.Client, lasting(0, 36500*day)), verdict: audit.Fail, codes: []string{"leaf"}},

		{check: "cert-expiry", name: "kubeadm's year, dated back to its CA", target: serving(t, audit.Client, lasting(1000*day, 364*day)), verdict: audit.Pass},
		{check: "cert-expiry", name: "ten years, a third of a year left", target: serving(t, audit.Client, lasting(1000*day, 120*day)), verdict: audit.Fail, codes: []string{"leaf-due"}},
	}
}

func strengthFixtures(t *testing.T) []fixture {
	t.Helper()
	ca := newFixtureCA(t, 1000*day, 1000*day)
	keyed := func(key crypto.Signer) *x509.Certificate { return leafOf(t, ca, throwaway.Leaf{Key: key}) }
	short, long := rsaKey(t, 1024), rsaKey(t, 3072)
	weakCA, err := throwaway.New(throwaway.Config{CommonName: "weak", NotBefore: fixtureTime.Add(-day), NotAfter: fixtureTime.Add(day), Key: short})
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	odd := func(algorithm x509.PublicKeyAlgorithm, public any) *x509.Certificate { // keys for which crypto/x509 makes no certificate
		cert := *keyed(nil)
		cert.PublicKeyAlgorithm, cert.PublicKey = algorithm, public
		return &cert
	}
	return []fixture{
		{check: "cert-key-strength", name: "P-256", target: serving(t, audit.Client, keyed(nil), ca.Certificate()), verdict: audit.Pass, evidence: "leaf ECDSA P-256, root ECDSA P-256"},
		{check: "cert-key-strength", name: "RSA 3072", target: serving(t, audit.Client, keyed(long)), verdict: audit.Pass, evidence: "leaf RSA 3072"},
		{check: "cert-key-strength", name: "kubeadm's RSA 2048", target: serving(t, audit.Peer, keyed(rsaKey(t, 2048))), verdict: audit.Pass, evidence: "advises 3072"},
		{check: "cert-key-strength", name: "Ed25519", target: serving(t, audit.Client, keyed(edKey(t))), verdict: audit.Pass, evidence: "leaf Ed25519"},
		{check: "cert-key-strength", name: "RSA 1024", target: serving(t, audit.Client, keyed(short)), verdict: audit.Fail, codes: []string{"leaf-rsa-short"}, evidence: "RSA 1024"},
		{check: "cert-key-strength", name: "RSA 1024 of the given root", target: given(serving(t, audit.Client, leafOf(t, weakCA, throwaway.Leaf{})), weakCA), verdict: audit.Fail, codes: []string{"root-rsa-short"}},
		{check: "cert-key-strength", name: "P-224", target: serving(t, audit.Client, keyed(curve)), verdict: audit.Fail, codes: []string{"leaf-curve-short"}},
		{check: "cert-key-strength", name: "exponent 3", target: serving(t, audit.Client, odd(x509.RSA, &rsa.PublicKey{N: long.N, E: 3})), verdict: audit.Fail, codes: []string{"leaf-rsa-exponent"}},
		{check: "cert-key-strength", name: "DSA", target: serving(t, audit.Client, keyed(nil), odd(x509.DSA, nil)), verdict: audit.Fail, codes: []string{"ca-dsa"}},
		{check: "cert-key-strength", name: "new algorithm", target: serving(t, audit.Client, odd(x509.UnknownPublicKeyAlgorithm, nil)), verdict: audit.Unknown, evidence: "unknown algorithm"},
	}
}

func usesFixtures(t *testing.T) []fixture {
	t.Helper()
	ca := newFixtureCA(t, 1000*day, 1000*day)
	server, client := x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth
	with := func(ekus ...x509.ExtKeyUsage) *x509.Certificate {
		return leafOf(t, ca, throwaway.Leaf{EKUs: ekus})
	}
	leaf := func(template throwaway.Leaf) *x509.Certificate {
		template.EKUs = []x509.ExtKeyUsage{server}
		return leafOf(t, ca, template)
	}
	set := func(target *audit.Listener, flag, value string) *audit.Listener {
		target.Settings = &audit.Settings{Values: map[string]audit.Setting{flag: {Value: value, Source: "flag"}}}
		return target
	}
	unasked := serving(t, audit.Peer, with(server))
	for i := range unasked.Handshakes {
		unasked.Handshakes[i].CertificateRequested = false
	}
	forServers := issuingBelow(t, ca, throwaway.Config{CommonName: "servers", EKUs: []x509.ExtKeyUsage{server}})
	forClients := issuingBelow(t, ca, throwaway.Config{CommonName: "clients", EKUs: []x509.ExtKeyUsage{client}})
	below := func(issuing *throwaway.CA) []*x509.Certificate {
		return []*x509.Certificate{leafOf(t, issuing, throwaway.Leaf{EKUs: []x509.ExtKeyUsage{server, client}}), issuing.Certificate()}
	}
	return []fixture{
		{check: "cert-eku", name: "server", target: serving(t, audit.Client, with(server)), verdict: audit.Pass, evidence: "for serverAuth"},
		{check: "cert-eku", name: "server for the gateway", target: serving(t, audit.Client, with(server, client)), verdict: audit.Pass, evidence: "serverAuth and clientAuth"},
		{check: "cert-eku", name: "gateway on", target: set(serving(t, audit.Client, with(server, client)), "enable-grpc-gateway", "true"), verdict: audit.Pass},
		{check: "cert-eku", name: "gateway off", target: set(serving(t, audit.Client, with(server, client)), "enable-grpc-gateway", "false"), verdict: audit.Fail, codes: []string{"client-auth"}},
		{check: "cert-eku", name: "gateway with its own", target: set(serving(t, audit.Client, with(server, client)), "client-cert-file", "/x.crt"), verdict: audit.Fail, codes: []string{"client-auth"}},
		{check: "cert-eku", name: "client for a server", target: serving(t, audit.Client, with(client)), verdict: audit.Fail, codes: []string{"no-server-auth"}},
		{check: "cert-eku", name: "peer", target: serving(t, audit.Peer, with(server, client)), verdict: audit.Pass},
		{check: "cert-eku", name: "peer that cannot dial", target: serving(t, audit.Peer, with(server)), verdict: audit.Fail, codes: []string{"no-client-auth"}},
		{check: "cert-eku", name: "peer that dials with another", target: set(serving(t, audit.Peer, with(server)), "peer-client-cert-file", "/x.crt"), verdict: audit.Pass},
		{check: "cert-eku", name: "peer that is asked for none", target: unasked, verdict: audit.Pass},
		{check: "cert-eku", name: "any", target: serving(t, audit.Client, with(x509.ExtKeyUsageAny)), verdict: audit.Fail, codes: []string{"any"}},
		{check: "cert-eku", name: "none", target: serving(t, audit.Client, with()), verdict: audit.Fail, codes: []string{"none"}},
		{check: "cert-eku", name: "a CA", target: serving(t, audit.Client, leaf(throwaway.Leaf{IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature})),
			verdict: audit.Fail, codes: []string{"ca", "cert-sign"}},
		{check: "cert-eku", name: "no digitalSignature", target: serving(t, audit.Client, leaf(throwaway.Leaf{KeyUsage: x509.KeyUsageKeyEncipherment})), verdict: audit.Fail, codes: []string{"no-digital-signature"}},
		{check: "cert-eku", name: "issuing CA for servers", target: serving(t, audit.Client, below(forServers)...), verdict: audit.Pass},
		{check: "cert-eku", name: "peer of an issuing CA for servers", target: serving(t, audit.Peer, below(forServers)...), verdict: audit.Fail, codes: []string{"issuer-no-client-auth"}},
		{check: "cert-eku", name: "server of an issuing CA for clients", target: serving(t, audit.Client, below(forClients)...), verdict: audit.Fail, codes: []string{"issuer-no-server-auth"}},
	}
}

func outlivesFixtures(t *testing.T) []fixture {
	t.Helper()
	root, expired := newFixtureCA(t, 1000*day, 100*day), newFixtureCA(t, 1000*day, -day)
	short := issuingBelow(t, root, throwaway.Config{CommonName: "short", NotAfter: fixtureTime.Add(50 * day)})
	long := issuingBelow(t, root, throwaway.Config{CommonName: "long", NotAfter: fixtureTime.Add(200 * day)})
	until := func(ca *throwaway.CA, after time.Duration) *x509.Certificate {
		return leafOf(t, ca, throwaway.Leaf{NotAfter: fixtureTime.Add(after)})
	}
	return []fixture{
		{check: "cert-outlives-ca", name: "issuing CA served", target: serving(t, audit.Client, until(short, 50*day), short.Certificate()), verdict: audit.Pass, evidence: `issuing CA "CN=short"`},
		{check: "cert-outlives-ca", name: "root given", target: given(serving(t, audit.Client, until(root, 90*day)), root), verdict: audit.Pass, evidence: `root "CN=fixture"`},
		{check: "cert-outlives-ca", name: "after the issuing CA", target: serving(t, audit.Client, until(short, 51*day), short.Certificate()), verdict: audit.Fail, codes: []string{"leaf"}},
		{check: "cert-outlives-ca", name: "after the root", target: given(serving(t, audit.Client, until(root, 101*day)), root), verdict: audit.Fail, codes: []string{"leaf"}},
		{check: "cert-outlives-ca", name: "issuing CA after the root", target: given(serving(t, audit.Client, until(long, 90*day), long.Certificate()), root), verdict: audit.Fail, codes: []string{"ca"}},
		{check: "cert-outlives-ca", name: "root expired", target: given(serving(t, audit.Client, until(expired, 90*day)), expired), verdict: audit.Fail, codes: []string{"leaf"}},
		{check: "cert-outlives-ca", name: "another root given", target: given(serving(t, audit.Client, until(root, 101*day)), expired), verdict: audit.Skip},
		{check: "cert-outlives-ca", name: "leaf alone", target: serving(t, audit.Peer, until(short, 51*day)), verdict: audit.Skip, evidence: "--cacert"},
	}
}

func orderFixtures(t *testing.T) []fixture {
	t.Helper()
	root, other := newFixtureCA(t, 1000*day, 1000*day), newFixtureCA(t, 1000*day, 1000*day)
	issuing := issuingBelow(t, root, throwaway.Config{CommonName: "issuing"})
	leaf, peer := leafOf(t, issuing, throwaway.Leaf{}), leafOf(t, root, throwaway.Leaf{})
	expired := leafOf(t, root, throwaway.Leaf{NotBefore: fixtureTime.Add(-100 * day), NotAfter: fixtureTime.Add(-day)})
	sha1 := *peer
	sha1.SignatureAlgorithm = x509.SHA1WithRSA
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	next, err := throwaway.New(throwaway.Config{CommonName: "next", NotBefore: fixtureTime.Add(-day), NotAfter: fixtureTime.Add(1000 * day), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	crossed := issuingBelow(t, root, throwaway.Config{CommonName: "next", Key: key})
	nextLeaf := leafOf(t, next, throwaway.Leaf{})
	naming := func(target *audit.Listener, cas ...*throwaway.CA) *audit.Listener {
		target.Handshakes[0].AcceptableCAs = subjectsOf(cas)
		return target
	}
	own := newSelfSigned(t)
	return []fixture{
		{check: "cert-chain", name: "in order", target: serving(t, audit.Client, leaf, issuing.Certificate()), verdict: audit.Pass, evidence: "in order: 2"},
		{check: "cert-chain", name: "with the root", target: given(serving(t, audit.Client, leaf, issuing.Certificate(), root.Certificate()), root), verdict: audit.Pass, evidence: "up to a given CA"},
		{check: "cert-chain", name: "to the given root", target: given(serving(t, audit.Client, leaf, issuing.Certificate()), root), verdict: audit.Pass},
		{check: "cert-chain", name: "expired, and to the given root", target: given(serving(t, audit.Client, expired), root), verdict: audit.Pass},
		{check: "cert-chain", name: "issuing CA missing", target: given(serving(t, audit.Client, leaf), root), verdict: audit.Fail, codes: []string{"not-trusted"}, evidence: `"CN=issuing"`},
		{check: "cert-chain", name: "issuing CA missing, no root given", target: serving(t, audit.Client, leaf), verdict: audit.Pass, evidence: "in order: 1"},
		{check: "cert-chain", name: "no server of the audit", target: unused(given(serving(t, audit.Client, leaf), root)), verdict: audit.Fail, codes: []string{"not-trusted"}, evidence: "may be those of another cluster"},
		{check: "cert-chain", name: "another root of the same name", target: given(serving(t, audit.Client, leaf, issuing.Certificate()), other), verdict: audit.Fail, codes: []string{"not-trusted"}},
		{check: "cert-chain", name: "SHA-1", target: given(serving(t, audit.Client, &sha1), other), verdict: audit.Fail, codes: []string{"not-trusted"}, evidence: "signed by SHA1-RSA"},
		{check: "cert-chain", name: "out of order", target: serving(t, audit.Client, leaf, root.Certificate(), issuing.Certificate()), verdict: audit.Fail, codes: []string{"order"}},
		{check: "cert-chain", name: "leaf twice", target: serving(t, audit.Client, leaf, leaf, issuing.Certificate()), verdict: audit.Fail, codes: []string{"order"}},
		{check: "cert-chain", name: "foreign certificate", target: serving(t, audit.Client, leaf, issuing.Certificate(), other.Certificate()), verdict: audit.Fail, codes: []string{"foreign-certificate"}, evidence: `"CN=fixture"`},
		{check: "cert-chain", name: "cross-signed", target: given(serving(t, audit.Client, nextLeaf, crossed.Certificate()), root), verdict: audit.Pass},
		{check: "cert-chain", name: "cross-signed, beside the new root", target: given(serving(t, audit.Client, nextLeaf, next.Certificate(), crossed.Certificate()), root), verdict: audit.Pass},
		{check: "cert-chain", name: "self-signed", target: serving(t, audit.Client, own.Certificate()), verdict: audit.Fail, codes: []string{"self-signed"}},
		{check: "cert-chain", name: "self-signed, pinned", target: given(serving(t, audit.Client, own.Certificate()), own), verdict: audit.Pass},

		{check: "cert-chain", name: "peer", target: naming(serving(t, audit.Peer, peer), root), verdict: audit.Pass, evidence: "the peers trust"},
		{check: "cert-chain", name: "peer below an issuing CA", target: naming(serving(t, audit.Peer, leaf, issuing.Certificate()), next, root), verdict: audit.Pass},
		{check: "cert-chain", name: "peer of another CA than --cacert", target: given(naming(serving(t, audit.Peer, peer), root), next), verdict: audit.Pass},
		{check: "cert-chain", name: "peer that its peers do not trust", target: naming(serving(t, audit.Peer, peer), next), verdict: audit.Fail, codes: []string{"not-trusted-by-peers"}, evidence: `"CN=next"`},
		{check: "cert-chain", name: "peer without its issuing CA", target: naming(serving(t, audit.Peer, leaf), root), verdict: audit.Fail, codes: []string{"not-trusted-by-peers"}},
	}
}

// serving is a hardened target of a kind that serves other certificates.
func serving(t *testing.T, kind audit.Kind, certs ...*x509.Certificate) *audit.Listener {
	t.Helper()
	return changed(t, kind, func(target *audit.Listener) {
		for i := range target.Handshakes {
			if len(target.Handshakes[i].Chain) > 0 {
				target.Handshakes[i].Chain = certs
			}
		}
	})
}

// given is a target whose operator gave a root.
func given(target *audit.Listener, root *throwaway.CA) *audit.Listener {
	target.Roots = root.Pool()
	return target
}

func unused(target *audit.Listener) *audit.Listener {
	target.RootsUnused = true
	return target
}

// leafOf is a leaf for 192.0.2.1; without times it lives for 90 days.
func leafOf(t *testing.T, ca *throwaway.CA, template throwaway.Leaf) *x509.Certificate {
	t.Helper()
	template.CommonName, template.IPs = "etcd-0", []net.IP{net.IPv4(192, 0, 2, 1)}
	if template.NotBefore.IsZero() {
		template.NotBefore = fixtureTime.Add(-10 * day)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = fixtureTime.Add(80 * day)
	}
	leaf, err := ca.Leaf(template)
	if err != nil {
		t.Fatal(err)
	}
	return leaf.Leaf
}

// issuingBelow is an issuing CA; without times it lives for a year.
func issuingBelow(t *testing.T, root *throwaway.CA, config throwaway.Config) *throwaway.CA {
	t.Helper()
	config.NotBefore = fixtureTime.Add(-65 * day)
	if config.NotAfter.IsZero() {
		config.NotAfter = fixtureTime.Add(300 * day)
	}
	issuing, err := root.Issuing(config)
	if err != nil {
		t.Fatal(err)
	}
	return issuing
}

// nobody is a leaf without a subject and without names.
func nobody(t *testing.T, ca *throwaway.CA) *x509.Certificate {
	t.Helper()
	leaf, err := ca.Leaf(throwaway.Leaf{EKUs: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	if err != nil {
		t.Fatal(err)
	}
	return leaf.Leaf
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func edKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// newSelfSigned is a certificate that is its own CA, as --auto-tls makes it.
func newSelfSigned(t *testing.T) *throwaway.CA {
	t.Helper()
	return newFixtureCA(t, day, 300*day)
}

func subjectsOf(cas []*throwaway.CA) [][]byte {
	var subjects [][]byte
	for _, ca := range cas {
		subjects = append(subjects, ca.Certificate().RawSubject)
	}
	return subjects
}
