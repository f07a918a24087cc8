package catalog_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

var noSuch = audit.Attempt{State: audit.Refused, Reason: `TLS alert "handshake failure"`}

// hellosOfTLS13 are those of a port in order that speaks TLS 1.3 only.
func hellosOfTLS13() []audit.Hello {
	return append([]audit.Hello{{Attempt: oldTLS, Version: tls.VersionTLS12, Offer: audit.StrongSuites, VersionRefused: true}},
		audit.Hello{Attempt: answered, Version: tls.VersionTLS13, Offer: audit.PostQuantumGroups, Chosen: []audit.Choice{{Suite: tls.TLS_AES_128_GCM_SHA256, Group: uint16(tls.X25519MLKEM768)}}},
		audit.Hello{Attempt: noSuch, Version: tls.VersionTLS13, Offer: audit.WeakSuites},
		audit.Hello{Attempt: noSuch, Version: tls.VersionTLS13, Offer: audit.WeakGroups},
	)
}

// hellosOfBoth are those of one that speaks TLS 1.2 too.
func hellosOfBoth() []audit.Hello {
	return append(hellosOfTLS13()[1:],
		audit.Hello{Attempt: answered, Version: tls.VersionTLS12, Offer: audit.StrongSuites, Chosen: []audit.Choice{strongChoice()}},
		audit.Hello{Attempt: noSuch, Version: tls.VersionTLS12, Offer: audit.WeakSuites},
		audit.Hello{Attempt: noSuch, Version: tls.VersionTLS12, Offer: audit.WeakGroups},
	)
}

func strongChoice() audit.Choice {
	return audit.Choice{Suite: tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, Group: uint16(tls.X25519), SecureRenegotiation: true}
}

func transportFixtures(t *testing.T) []fixture {
	t.Helper()
	in := func(hellos []audit.Hello, change func(*audit.Listener)) *audit.Listener {
		return changed(t, audit.Client, func(target *audit.Listener) {
			target.Hellos = hellos
			if change != nil {
				change(target)
			}
		})
	}
	// hello changes one question of a port that speaks both versions.
	hello := func(version uint16, offer audit.Offer, attempt audit.Attempt, choices ...audit.Choice) *audit.Listener {
		return in(hellosOfBoth(), func(target *audit.Listener) {
			at := slices.IndexFunc(target.Hellos, func(h audit.Hello) bool { return h.Version == version && h.Offer == offer })
			target.Hellos[at].Attempt, target.Hellos[at].Chosen = attempt, choices
		})
	}
	// behind puts a port after another one of the same etcd.
	behind := func(target, earlier *audit.Listener) *audit.Listener {
		target.Earlier = []*audit.Listener{earlier}
		return target
	}
	suite := func(id uint16) audit.Choice { return audit.Choice{Suite: id} }
	group := func(id uint16) audit.Choice {
		return audit.Choice{Suite: tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, Group: id}
	}
	// silentOld did not answer in TLS 1.2 at all, and in TLS 1.3 is in order.
	silentOld := in(append(hellosOfTLS13()[1:], audit.Hello{Attempt: silent, Version: tls.VersionTLS12, Offer: audit.StrongSuites}), nil)
	// neither refuses every ClientHello of TLS 1.3, so that no refusal means anything.
	neither := in([]audit.Hello{
		hellosOfTLS13()[0],
		{Attempt: noSuch, Version: tls.VersionTLS13, Offer: audit.PostQuantumGroups},
		{Attempt: noSuch, Version: tls.VersionTLS13, Offer: audit.StrongSuites},
		{Attempt: noSuch, Version: tls.VersionTLS13, Offer: audit.WeakSuites},
		{Attempt: noSuch, Version: tls.VersionTLS13, Offer: audit.WeakGroups},
	}, nil)
	// ancient refuses both, for it agrees to TLS 1.1 and no more.
	ancient := in([]audit.Hello{
		{Attempt: oldTLS, Version: tls.VersionTLS12, Offer: audit.StrongSuites, VersionRefused: true},
		{Attempt: oldTLS, Version: tls.VersionTLS13, Offer: audit.PostQuantumGroups, VersionRefused: true},
	}, func(target *audit.Listener) { target.Handshakes[1].Version = tls.VersionTLS11 })
	classic := in(slices.Concat([]audit.Hello{hellosOfTLS13()[0],
		{Attempt: noSuch, Version: tls.VersionTLS13, Offer: audit.PostQuantumGroups},
		{Attempt: answered, Version: tls.VersionTLS13, Offer: audit.StrongSuites, Chosen: []audit.Choice{{Suite: tls.TLS_AES_128_GCM_SHA256, Group: uint16(tls.X25519)}}},
	}, hellosOfTLS13()[2:]), nil)
	tls12 := in(append(hellosOfBoth()[3:], audit.Hello{Attempt: oldTLS, Version: tls.VersionTLS13, Offer: audit.PostQuantumGroups, VersionRefused: true}), nil)

	fixtures := []fixture{
		{check: "tls-weak-cipher", name: "1.3 only", target: hardened(t, audit.Peer), verdict: audit.Pass, evidence: "TLS 1.2 is refused; TLS 1.3 is accepted with TLS_AES_128_GCM_SHA256"},
		{check: "tls-weak-cipher", name: "both versions", target: in(hellosOfBoth(), nil), verdict: audit.Pass, evidence: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"},
		{check: "tls-weak-cipher", name: "1.2 only", target: tls12, verdict: audit.Pass, evidence: "TLS 1.3 is refused"},
		{check: "tls-weak-cipher", name: "CBC and 3DES", verdict: audit.Fail, codes: []string{"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"}, evidence: "blocks of 64 bits",
			target: hello(tls.VersionTLS12, audit.WeakSuites, noSuch, suite(tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA), suite(tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA))},
		{check: "tls-weak-cipher", name: "one found, then silence", verdict: audit.Fail, codes: []string{"TLS_RSA_WITH_RC4_128_SHA"},
			target: hello(tls.VersionTLS12, audit.WeakSuites, silent, suite(tls.TLS_RSA_WITH_RC4_128_SHA))},
		{check: "tls-weak-cipher", name: "1.3 without encryption", verdict: audit.Fail, codes: []string{"TLS_SHA256_SHA256"},
			target: hello(tls.VersionTLS13, audit.WeakSuites, answered, suite(0xC0B4))},
		{check: "tls-weak-cipher", name: "another port of the etcd has it", verdict: audit.Skip, evidence: "192.0.2.1:2379 has the finding",
			target: behind(hello(tls.VersionTLS12, audit.WeakSuites, noSuch, suite(tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA)), hello(tls.VersionTLS12, audit.WeakSuites, noSuch, suite(tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA)))},
		{check: "tls-weak-cipher", name: "another port of the etcd does not have it", verdict: audit.Fail, codes: []string{"TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"},
			target: behind(hello(tls.VersionTLS12, audit.WeakSuites, noSuch, suite(tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA)), hello(tls.VersionTLS12, audit.WeakSuites, silent))},
		{check: "tls-weak-cipher", name: "no answer", target: hello(tls.VersionTLS12, audit.WeakSuites, silent), verdict: audit.Unknown, evidence: "TLS 1.2 with weak suites only: no answer within 3s"},
		{check: "tls-weak-cipher", name: "closed", target: hello(tls.VersionTLS13, audit.WeakSuites, ended), verdict: audit.Unknown, evidence: "TLS 1.3 with weak suites only: the connection was closed"},
		{check: "tls-weak-cipher", name: "silent to TLS 1.2", target: silentOld, verdict: audit.Unknown, evidence: "TLS 1.2 with strong suites: no answer"},
		{check: "tls-weak-cipher", name: "every hello refused", target: neither, verdict: audit.Unknown, evidence: "handshake failure"},
		{check: "tls-weak-cipher", name: "TLS 1.1 only", target: ancient, verdict: audit.Unknown, evidence: "neither"},

		{check: "tls-key-exchange", name: "1.3 only", target: hardened(t, audit.Client), verdict: audit.Pass, evidence: "X25519MLKEM768"},
		{check: "tls-key-exchange", name: "both versions", target: in(hellosOfBoth(), nil), verdict: audit.Pass, evidence: "TLS 1.2 is accepted with x25519; TLS 1.3 is accepted with X25519MLKEM768"},
		{check: "tls-key-exchange", name: "a long prime", target: hello(tls.VersionTLS12, audit.WeakGroups, noSuch, audit.Choice{Suite: 0x9E, PrimeBits: 2048}), verdict: audit.Pass, evidence: "a prime of 2048 bits"},
		{check: "tls-key-exchange", name: "weak curves", verdict: audit.Fail, codes: []string{"secp192r1", "secp224r1"},
			target: hello(tls.VersionTLS12, audit.WeakGroups, noSuch, group(0x13), group(0x15))},
		{check: "tls-key-exchange", name: "preferred to a strong curve", verdict: audit.Fail, codes: []string{"secp224r1"},
			target: hello(tls.VersionTLS12, audit.StrongSuites, answered, group(0x15))},
		{check: "tls-key-exchange", name: "1.3", verdict: audit.Fail, codes: []string{"secp224r1"}, target: hello(tls.VersionTLS13, audit.WeakGroups, answered, group(0x15))},
		{check: "tls-key-exchange", name: "a short prime", verdict: audit.Fail, codes: []string{"short-prime"}, evidence: "1024 bits",
			target: hello(tls.VersionTLS12, audit.WeakGroups, noSuch, audit.Choice{Suite: 0x9E, PrimeBits: 1024})},
		{check: "tls-key-exchange", name: "no answer", target: hello(tls.VersionTLS12, audit.WeakGroups, silent), verdict: audit.Unknown, evidence: "TLS 1.2 with weak groups only: no answer within 3s"},
		{check: "tls-key-exchange", name: "every hello refused", target: neither, verdict: audit.Unknown, evidence: "handshake failure"},

		{check: "tls-post-quantum", name: "chosen", target: hardened(t, audit.Client), verdict: audit.Pass, evidence: "X25519MLKEM768"},
		{check: "tls-post-quantum", name: "classic groups only", target: classic, verdict: audit.Fail, codes: []string{"no-hybrid-group"}, evidence: "x25519"},
		{check: "tls-post-quantum", name: "1.2 only", target: tls12, verdict: audit.Fail, codes: []string{"no-tls1.3"}},
		{check: "tls-post-quantum", name: "every hello refused", target: neither, verdict: audit.Unknown, evidence: "handshake failure"},
		{check: "tls-post-quantum", name: "no answer", target: hello(tls.VersionTLS13, audit.PostQuantumGroups, silent), verdict: audit.Unknown, evidence: "no answer"},

		{check: "tls-renegotiation", name: "1.3 only", target: hardened(t, audit.Client), verdict: audit.Pass, evidence: "TLS 1.3 has no renegotiation"},
		{check: "tls-renegotiation", name: "both versions", target: in(hellosOfBoth(), nil), verdict: audit.Pass, evidence: "renegotiation_info"},
		{check: "tls-renegotiation", name: "no extension", target: hello(tls.VersionTLS12, audit.StrongSuites, answered, group(0x17)), verdict: audit.Fail, codes: []string{"not-bound"}},
		{check: "tls-renegotiation", name: "silent to TLS 1.2", target: silentOld, verdict: audit.Unknown, evidence: "TLS 1.2: no answer"},
		{check: "tls-renegotiation", name: "TLS 1.1", target: ancient, verdict: audit.Unknown, evidence: "accepts TLS 1.1"},
		{check: "tls-renegotiation", name: "silent to TLS 1.1", verdict: audit.Unknown, evidence: "up to TLS 1.1: no answer",
			target: in(hellosOfTLS13(), func(target *audit.Listener) { target.Handshakes[1].Attempt = silent })},

		{check: "tls-compression", name: "1.3 only", target: hardened(t, audit.Client), verdict: audit.Pass, evidence: "TLS 1.3 has no compression"},
		{check: "tls-compression", name: "both versions", target: in(hellosOfBoth(), nil), verdict: audit.Pass, evidence: "no compression"},
		{check: "tls-compression", name: "deflate", verdict: audit.Fail, codes: []string{"compressed"},
			target: hello(tls.VersionTLS12, audit.StrongSuites, answered, audit.Choice{Suite: 0xC02F, Group: 0x17, Compression: 1})},
		{check: "tls-compression", name: "silent to TLS 1.2", target: silentOld, verdict: audit.Unknown, evidence: "TLS 1.2: no answer"},
	}
	for _, check := range []string{"tls-weak-cipher", "tls-key-exchange", "tls-post-quantum", "tls-renegotiation", "tls-compression", "tls-auto-cert"} {
		fixtures = append(fixtures,
			fixture{check: check, name: "plaintext", target: plaintextOnly(audit.Peer), verdict: audit.Skip},
			fixture{check: check, name: "nothing sent", verdict: audit.Unknown, target: in(nil, func(target *audit.Listener) {
				target.Handshakes = []audit.Handshake{{Attempt: alert, Presented: audit.NoCertificate, SpokeTLS: true}}
			})},
		)
	}
	return append(fixtures, autoCertFixtures(t)...)
}

func autoCertFixtures(t *testing.T) []fixture {
	t.Helper()
	serving := func(kind audit.Kind, curve elliptic.Curve, name pkix.Name) *audit.Listener {
		cert := selfIssued(t, curve, name)
		return changed(t, kind, func(target *audit.Listener) {
			for i := range target.Handshakes {
				target.Handshakes[i].Chain = []*x509.Certificate{cert}
			}
		})
	}
	etcd := pkix.Name{Organization: []string{"etcd"}}
	return []fixture{
		{check: "tls-auto-cert", name: "of a CA", target: hardened(t, audit.Client), verdict: audit.Pass, evidence: "fixture"},
		{check: "tls-auto-cert", name: "auto-tls", target: serving(audit.Client, elliptic.P521(), etcd), verdict: audit.Fail, codes: []string{"auto-tls"}, evidence: "--auto-tls"},
		{check: "tls-auto-cert", name: "peer-auto-tls", target: serving(audit.Peer, elliptic.P521(), etcd), verdict: audit.Fail, codes: []string{"auto-tls"}, evidence: "--peer-auto-tls"},
		{check: "tls-auto-cert", name: "self-issued with a name", verdict: audit.Pass,
			target: serving(audit.Client, elliptic.P521(), pkix.Name{Organization: []string{"etcd"}, CommonName: "etcd-0"})},
		{check: "tls-auto-cert", name: "self-issued on another curve", target: serving(audit.Client, elliptic.P256(), etcd), verdict: audit.Pass},
		{check: "tls-auto-cert", name: "no handshake", verdict: audit.Unknown,
			target: changed(t, audit.Client, func(target *audit.Listener) {
				target.Handshakes = []audit.Handshake{{Attempt: silent, Presented: audit.NoCertificate}}
			})},
	}
}

// selfIssued is a certificate that is its own issuer.
func selfIssued(t *testing.T, curve elliptic.Curve, name pkix.Name) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: name, NotBefore: fixtureTime.Add(-time.Hour), NotAfter: fixtureTime.Add(365 * day)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}
