package catalog_test

import (
	"crypto/tls"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

func listenerFixtures(t *testing.T) []fixture {
	t.Helper()
	in := func(change func(*audit.Listener)) *audit.Listener { return changed(t, audit.Client, change) }
	noCertificate := func(attempt audit.Attempt) func(*audit.Listener) {
		return func(target *audit.Listener) { handshake(target, audit.NoCertificate).Attempt = attempt }
	}
	httpOnly := func(more ...audit.RPC) *audit.Listener {
		target := plaintextOnly(audit.Client)
		target.Pages = []audit.Page{
			{Attempt: answered, Access: audit.InPlaintext, Path: "/version", Status: 200},
			{Attempt: answered, Access: audit.InPlaintext, Path: audit.GatewayPath, Status: 404},
		}
		target.RPCs = append([]audit.RPC{
			{Attempt: notHTTP2, Access: audit.InPlaintext, Method: audit.RangeRPC},
			{Attempt: ended, Access: audit.InPlaintext, Method: audit.MemberListRPC},
		}, more...)
		target.Version, target.VersionFrom = "3.6.16", "GET /version in plaintext"
		return target
	}
	gateway := func(target *audit.Listener, attempt audit.Attempt, status int) *audit.Listener {
		target.Pages[1].Attempt, target.Pages[1].Status = attempt, status
		return target
	}
	closing := func(target *audit.Listener) *audit.Listener {
		for i := range target.RPCs {
			target.RPCs[i].Attempt = ended
		}
		return target
	}
	once := func(target *audit.Listener) *audit.Listener {
		target.RPCs = target.RPCs[:1]
		return target
	}
	strange := func(target *audit.Listener) *audit.Listener {
		target.Version, target.VersionFrom = "", ""
		return target
	}
	// A server without a key for TLS 1.3 turns everybody away there, whatever they present; what
	// it does over TLS 1.2 counts, if anything.
	keyless := audit.Attempt{State: audit.Refused, Alert: 40, Reason: `TLS alert "handshake failure"`}
	without13 := func(kind audit.Kind, in12 audit.Handshake) *audit.Listener {
		return changed(t, kind, func(target *audit.Listener) {
			in12.Presented, in12.MaxVersion, in12.SpokeTLS = audit.NoCertificate, tls.VersionTLS12, true
			target.Handshakes = []audit.Handshake{
				{Attempt: keyless, Presented: audit.NoCertificate, SpokeTLS: true}, in12,
				{Attempt: keyless, Presented: audit.GivenCertificate, SpokeTLS: true},
			}
		})
	}
	faulty := audit.Attempt{State: audit.Refused, Alert: 80, Reason: `TLS alert "internal error"`}
	letIn := audit.Handshake{Attempt: answered, Version: tls.VersionTLS12}
	turnedAway := audit.Handshake{Attempt: alert, Version: tls.VersionTLS12, CertificateRequested: true}
	return []fixture{
		{check: "client-cert-required", name: "let in over TLS 1.2 alone", verdict: audit.Fail, codes: []string{"optional"},
			target: in(func(target *audit.Listener) {
				target.Handshakes[2] = audit.Handshake{Attempt: answered, Presented: audit.NoCertificate, MaxVersion: tls.VersionTLS12, SpokeTLS: true, Version: tls.VersionTLS12, CertificateRequested: true}
			})},
		{check: "client-cert-required", name: "a fault of the server", target: in(noCertificate(faulty)), verdict: audit.Unknown, evidence: "not about certificates"},
		{check: "client-foreign-ca", name: "a fault of the server", verdict: audit.Unknown, evidence: "not about certificates",
			target: in(func(target *audit.Listener) { handshake(target, audit.ForeignCA).Attempt = faulty })},
		{check: "peer-accepts-client-cert", name: "a fault of the server", verdict: audit.Unknown, evidence: "not about certificates",
			target: changed(t, audit.Peer, func(target *audit.Listener) { handshake(target, audit.GivenCertificate).Attempt = faulty })},
		{check: "tls-version-min", name: "a fault of the server", verdict: audit.Unknown, evidence: "internal error",
			target: in(func(target *audit.Listener) { target.Handshakes[1].Attempt = faulty })},
		{check: "client-cert-required", name: "let in over TLS 1.2", target: without13(audit.Client, letIn), verdict: audit.Fail, codes: []string{"not-requested"}},
		{check: "client-cert-required", name: "turned away over TLS 1.2", target: without13(audit.Client, turnedAway), verdict: audit.Pass},
		{check: "client-cert-required", name: "no version agreed", target: without13(audit.Client, audit.Handshake{Attempt: keyless}), verdict: audit.Unknown, evidence: "before it agreed on a version"},
		{check: "client-anonymous-read", name: "let in over TLS 1.2", target: without13(audit.Client, letIn), verdict: audit.Unknown},
		{check: "peer-cert-required", name: "let in over TLS 1.2", target: without13(audit.Peer, letIn), verdict: audit.Fail, codes: []string{"not-requested"}},
		{check: "peer-accepts-client-cert", name: "no version agreed", target: without13(audit.Peer, turnedAway), verdict: audit.Unknown, evidence: "before it agreed on a version"},
		{check: "member-url-plaintext", name: "HTTP only", target: httpOnly(), verdict: audit.Skip, evidence: "HTTP only"},
		{check: "member-url-plaintext", name: "HTTP, and every call closed", target: closing(httpOnly()), verdict: audit.Skip, evidence: "HTTP only"},
		{check: "member-url-plaintext", name: "HTTP, and one call closed", target: once(closing(httpOnly())), verdict: audit.Unknown},
		{check: "member-url-plaintext", name: "HTTP that is not etcd's", target: strange(httpOnly()), verdict: audit.Unknown},
		{check: "member-url-plaintext", name: "HTTP, and a call times out", verdict: audit.Unknown,
			target: httpOnly(audit.RPC{Attempt: silent, Access: audit.InPlaintext, Method: audit.StatusRPC})},
		{check: "client-plaintext", name: "TLS only", target: hardened(t, audit.Client), verdict: audit.Pass, evidence: "wants TLS"},
		{check: "client-plaintext", name: "HTTP and gRPC", target: plaintextOnly(audit.Client), verdict: audit.Fail, codes: []string{"h2c", "http1"}},
		{check: "client-plaintext", name: "HTTP beside TLS", verdict: audit.Fail, codes: []string{"http1"}, evidence: "TLS and plaintext",
			target: in(func(target *audit.Listener) { target.Plaintext.Attempt, target.Plaintext.Status = answered, 421 })},
		{check: "client-plaintext", name: "gRPC beside TLS", verdict: audit.Fail, codes: []string{"h2c"},
			target: in(func(target *audit.Listener) { target.RPCs[0].Attempt, target.RPCs[0].Code = answered, 3 })},
		{check: "client-plaintext", name: "HTTP times out", verdict: audit.Unknown, evidence: "HTTP/1.1",
			target: in(func(target *audit.Listener) { target.Plaintext.Attempt = silent })},
		{check: "client-plaintext", name: "gRPC times out", verdict: audit.Unknown, evidence: "gRPC",
			target: in(func(target *audit.Listener) { target.RPCs[0].Attempt = silent })},
		{check: "client-plaintext", name: "closes everything", verdict: audit.Unknown, evidence: "neither",
			target: in(func(target *audit.Listener) {
				target.Plaintext.Attempt = ended
				*handshake(target, audit.NoCertificate) = audit.Handshake{Attempt: ended, Presented: audit.NoCertificate}
			})},

		{check: "client-anonymous-read", name: "refused", target: hardened(t, audit.Client), verdict: audit.Pass, evidence: "alert"},
		{check: "client-anonymous-read", name: "plaintext", target: plaintextOnly(audit.Client), verdict: audit.Fail, codes: []string{"h2c"}, evidence: "42 keys"},
		{check: "client-anonymous-read", name: "TLS", target: anonymous(t, audit.Client), verdict: audit.Fail, codes: []string{"tls"}, evidence: "7 keys"},
		{check: "client-anonymous-read", name: "authentication on", verdict: audit.Pass, evidence: "user name is empty",
			target: in(func(target *audit.Listener) {
				target.RPCs[0].Attempt, target.RPCs[0].Code, target.RPCs[0].Refusal = answered, 3, audit.UserEmpty
				target.RPCs[0].Message = string(audit.UserEmpty)
			})},
		{check: "client-anonymous-read", name: "no leader", verdict: audit.Unknown, evidence: "no leader",
			target: in(func(target *audit.Listener) {
				target.RPCs[0].Attempt, target.RPCs[0].Code, target.RPCs[0].Message = answered, 14, "etcdserver: no leader"
			})},
		{check: "client-anonymous-read", name: "through the gateway alone", verdict: audit.Fail, codes: []string{"gateway-http"}, evidence: "JSON gateway",
			target: gateway(httpOnly(audit.RPC{Attempt: answered, Access: audit.InPlaintext, Method: audit.GatewayRange, Keys: 3}), answered, 501)},
		{check: "client-anonymous-read", name: "the gateway wants a user", verdict: audit.Pass, evidence: "user name is empty",
			target: gateway(httpOnly(audit.RPC{Attempt: answered, Access: audit.InPlaintext, Method: audit.GatewayRange, Code: 3, Message: string(audit.UserEmpty), Refusal: audit.UserEmpty}), answered, 400)},
		{check: "client-anonymous-read", name: "HTTP without a gateway", target: httpOnly(), verdict: audit.Pass, evidence: "HTTP only"},
		{check: "client-anonymous-read", name: "HTTP, and the gateway closes the connection", target: gateway(httpOnly(), ended, 0), verdict: audit.Unknown, evidence: "without an answer"},
		{check: "client-anonymous-read", name: "HTTP, and the gateway has a fault", verdict: audit.Unknown, evidence: "503",
			target: gateway(httpOnly(audit.RPC{Attempt: answered, Access: audit.InPlaintext, Method: audit.GatewayRange, Code: 2, Message: "HTTP status 503 without a JSON body"}), answered, 503)},
		{check: "client-anonymous-read", name: "handshake times out", verdict: audit.Unknown, target: in(noCertificate(silent))},

		{check: "client-cert-required", name: "refused", target: hardened(t, audit.Client), verdict: audit.Pass},
		{check: "client-cert-required", name: "not requested", target: anonymous(t, audit.Client), verdict: audit.Fail, codes: []string{"not-requested"}},
		{check: "client-cert-required", name: "optional", target: in(noCertificate(answered)), verdict: audit.Fail, codes: []string{"optional"}},
		{check: "client-cert-required", name: "plaintext", target: plaintextOnly(audit.Client), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "client-cert-required", name: "closed, the given one let in", target: in(noCertificate(ended)), verdict: audit.Pass, evidence: "the given certificate is let in"},
		{check: "client-cert-required", name: "closed, nothing let in", verdict: audit.Unknown, evidence: "--cert",
			target: in(func(target *audit.Listener) {
				handshake(target, audit.NoCertificate).Attempt = ended
				handshake(target, audit.GivenCertificate).Attempt = ended
			})},
		{check: "client-cert-required", name: "times out", target: in(noCertificate(silent)), verdict: audit.Unknown},

		{check: "client-foreign-ca", name: "refused", target: hardened(t, audit.Client), verdict: audit.Pass, evidence: "trusted CA's name is refused"},
		{check: "client-foreign-ca", name: "not requested", target: anonymous(t, audit.Client), verdict: audit.Fail, codes: []string{"not-requested"}},
		{check: "client-foreign-ca", name: "any CA", verdict: audit.Fail, codes: []string{"foreign-ca", "same-name-ca"},
			target: in(func(target *audit.Listener) {
				handshake(target, audit.ForeignCA).Attempt = answered
				handshake(target, audit.ForeignCASameName).Attempt = answered
			})},
		{check: "client-foreign-ca", name: "same name", verdict: audit.Fail, codes: []string{"same-name-ca"},
			target: in(func(target *audit.Listener) { handshake(target, audit.ForeignCASameName).Attempt = answered })},
		{check: "client-foreign-ca", name: "plaintext", target: plaintextOnly(audit.Client), verdict: audit.Skip, evidence: "no TLS"},
		{check: "client-foreign-ca", name: "plaintext, and the handshake times out", target: slowTLS(plaintextOnly(audit.Client)), verdict: audit.Unknown, evidence: "no answer"},
		{check: "client-foreign-ca", name: "plaintext, and the answer is not TLS", target: garbledTLS(plaintextOnly(audit.Client)), verdict: audit.Skip, evidence: "no TLS"},
		{check: "client-foreign-ca", name: "one times out", verdict: audit.Unknown,
			target: in(func(target *audit.Listener) { handshake(target, audit.ForeignCASameName).Attempt = silent })},
	}
}

func presentedFixtures(t *testing.T) []fixture {
	t.Helper()
	expiredAlert := audit.Attempt{State: audit.Refused, Alert: audit.CertificateExpired, Reason: `TLS alert "expired certificate"`}
	bad := audit.Attempt{State: audit.Refused, Alert: 42, Reason: `TLS alert "bad certificate"`}
	with := func(kind audit.Kind, presented audit.Identity, attempts ...audit.Attempt) *audit.Listener {
		return changed(t, kind, func(target *audit.Listener) {
			for _, attempt := range attempts {
				target.Handshakes = append(target.Handshakes, audit.Handshake{Attempt: attempt, Presented: presented, SpokeTLS: true, Version: tls.VersionTLS13, CertificateRequested: true})
			}
		})
	}
	client := func(presented audit.Identity, attempt audit.Attempt) *audit.Listener {
		return with(audit.Client, presented, attempt)
	}
	nothingLetIn := func(target *audit.Listener) *audit.Listener {
		handshake(target, audit.GivenCertificate).Attempt = unknownCA
		return target
	}
	alike := with(audit.Client, audit.RevokedCertificate, unknownCA)
	handshake(alike, audit.GivenCertificate).Attempt = silent
	alone := with(audit.Client, audit.RevokedCertificate, unknownCA)
	handshake(alone, audit.GivenCertificate).Attempt = unknownCA
	handshake(alone, audit.ForeignCA).Attempt = silent
	noTLSAnswer := changed(t, audit.Client, func(target *audit.Listener) {
		target.Handshakes = []audit.Handshake{{Attempt: silent, Presented: audit.NoCertificate}}
	})
	noPeer := changed(t, audit.Peer, func(target *audit.Listener) {
		target.Handshakes = []audit.Handshake{{Attempt: silent, Presented: audit.NoCertificate}}
	})
	unnamed := changed(t, audit.Client, func(target *audit.Listener) {
		for i := range target.Handshakes {
			target.Handshakes[i].AcceptableCAs = nil
		}
	})
	return []fixture{
		{check: "client-expired-cert", name: "refused for its expiry", target: client(audit.ExpiredForeign, expiredAlert), verdict: audit.Pass, evidence: "expired"},
		{check: "client-expired-cert", name: "refused for its CA", target: client(audit.ExpiredForeign, unknownCA), verdict: audit.Skip, evidence: "--mint"},
		{check: "client-expired-cert", name: "of the trusted CA, refused", target: client(audit.ExpiredCertificate, expiredAlert), verdict: audit.Pass},
		{check: "client-expired-cert", name: "of the trusted CA, let in", target: client(audit.ExpiredCertificate, answered), verdict: audit.Fail, codes: []string{"accepted"}},
		{check: "client-expired-cert", name: "of a foreign CA, let in", target: client(audit.ExpiredForeign, answered), verdict: audit.Fail, codes: []string{"accepted"}},
		{check: "client-expired-cert", name: "not requested", target: anonymous(t, audit.Client), verdict: audit.Fail, codes: []string{"not-requested"}},
		{check: "client-expired-cert", name: "times out", target: client(audit.ExpiredForeign, silent), verdict: audit.Unknown},
		{check: "client-expired-cert", name: "plaintext", target: plaintextOnly(audit.Client), verdict: audit.Skip},

		{check: "client-wrong-eku", name: "refused", target: client(audit.ServersOnly, bad), verdict: audit.Pass, evidence: "bad certificate"},
		{check: "client-wrong-eku", name: "let in", target: client(audit.ServersOnly, answered), verdict: audit.Fail, codes: []string{"accepted"}},
		{check: "client-wrong-eku", name: "refused for its CA", target: nothingLetIn(client(audit.ServersOnly, unknownCA)), verdict: audit.Skip, evidence: "foreign CA"},
		{check: "client-wrong-eku", name: "none to present", target: hardened(t, audit.Client), verdict: audit.Skip, evidence: "--mint"},
		{check: "client-wrong-eku", name: "not requested", target: anonymous(t, audit.Client), verdict: audit.Fail, codes: []string{"not-requested"}},
		{check: "client-wrong-eku", name: "times out", target: client(audit.ServersOnly, silent), verdict: audit.Unknown},

		{check: "client-revoked-cert", name: "refused, the given one times out", target: alike, verdict: audit.Unknown, evidence: "the given client certificate"},
		{check: "client-revoked-cert", name: "refused, the foreign CA times out", target: alone, verdict: audit.Unknown, evidence: "foreign CA"},
		{check: "client-revoked-cert", name: "closed, the given one let in", target: client(audit.RevokedCertificate, ended), verdict: audit.Pass, evidence: "closed connection"},
		{check: "client-revoked-cert", name: "closed, nothing let in", target: nothingLetIn(client(audit.RevokedCertificate, ended)), verdict: audit.Unknown},
		{check: "client-revoked-cert", name: "let in", target: client(audit.RevokedCertificate, answered), verdict: audit.Fail, codes: []string{"accepted"}},
		{check: "client-revoked-cert", name: "none to present", target: hardened(t, audit.Client), verdict: audit.Skip, evidence: "--present revoked"},

		{check: "client-system-roots", name: "names its CA", target: hardened(t, audit.Client), verdict: audit.Pass},
		{check: "client-system-roots", name: "names none", target: unnamed, verdict: audit.Fail, codes: []string{"no-names"}},
		{check: "client-system-roots", name: "names none and goes on without", verdict: audit.Skip,
			target: changed(t, audit.Client, func(target *audit.Listener) {
				h := handshake(target, audit.NoCertificate)
				target.Handshakes = []audit.Handshake{{Attempt: answered, Presented: audit.NoCertificate, SpokeTLS: true, CertificateRequested: true, Chain: h.Chain}}
			})},
		{check: "client-system-roots", name: "not requested", target: anonymous(t, audit.Client), verdict: audit.Skip},
		{check: "client-system-roots", name: "times out", target: noTLSAnswer, verdict: audit.Unknown},

		{check: "peer-foreign-ca", name: "refused", target: hardened(t, audit.Peer), verdict: audit.Pass, evidence: "foreign CA"},
		{check: "peer-foreign-ca", name: "let in", verdict: audit.Fail, codes: []string{"foreign-ca"},
			target: changed(t, audit.Peer, func(target *audit.Listener) { handshake(target, audit.ForeignCA).Attempt = answered })},
		{check: "peer-foreign-ca", name: "not requested", target: anonymous(t, audit.Peer), verdict: audit.Fail, codes: []string{"not-requested"}},
		{check: "peer-foreign-ca", name: "times out", target: noPeer, verdict: audit.Unknown},

		{check: "peer-wrong-san", name: "closed twice", target: with(audit.Peer, audit.ElsewhereMember, ended, ended), verdict: audit.Pass, evidence: "2 times out of 2"},
		{check: "peer-wrong-san", name: "closed once", target: with(audit.Peer, audit.ElsewhereMember, ended), verdict: audit.Unknown},
		{check: "peer-wrong-san", name: "refused for its name", target: with(audit.Peer, audit.ElsewhereMember, bad, bad), verdict: audit.Pass},
		{check: "peer-wrong-san", name: "let in", target: with(audit.Peer, audit.ElsewhereMember, ended, answered), verdict: audit.Fail, codes: []string{"accepted"}},
		{check: "peer-wrong-san", name: "times out", target: with(audit.Peer, audit.ElsewhereMember, silent, ended), verdict: audit.Unknown},
		{check: "peer-wrong-san", name: "none to present", target: hardened(t, audit.Peer), verdict: audit.Skip, evidence: "--mint"},
		{check: "peer-wrong-san", name: "not requested", target: anonymous(t, audit.Peer), verdict: audit.Fail, codes: []string{"not-requested"}},
	}
}

func peerFixtures(t *testing.T) []fixture {
	t.Helper()
	in := func(change func(*audit.Listener)) *audit.Listener { return changed(t, audit.Peer, change) }
	given := func(attempt audit.Attempt) *audit.Listener {
		return in(func(target *audit.Listener) { handshake(target, audit.GivenCertificate).Attempt = attempt })
	}
	return []fixture{
		{check: "peer-plaintext", name: "TLS only", target: hardened(t, audit.Peer), verdict: audit.Pass},
		{check: "peer-plaintext", name: "plaintext", target: plaintextOnly(audit.Peer), verdict: audit.Fail, codes: []string{"http1"}},
		{check: "peer-plaintext", name: "times out", verdict: audit.Unknown,
			target: in(func(target *audit.Listener) { target.Plaintext.Attempt = silent })},

		{check: "peer-cert-required", name: "refused", target: hardened(t, audit.Peer), verdict: audit.Pass, evidence: "foreign"},
		{check: "peer-cert-required", name: "not requested", target: anonymous(t, audit.Peer), verdict: audit.Fail, codes: []string{"not-requested"}},
		{check: "peer-cert-required", name: "any CA", verdict: audit.Fail, codes: []string{"foreign-ca"},
			target: in(func(target *audit.Listener) { handshake(target, audit.ForeignCA).Attempt = answered })},
		{check: "peer-cert-required", name: "plaintext", target: plaintextOnly(audit.Peer), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "peer-cert-required", name: "closed", verdict: audit.Unknown,
			target: in(func(target *audit.Listener) { handshake(target, audit.NoCertificate).Attempt = ended })},

		{check: "peer-accepts-client-cert", name: "refused", target: hardened(t, audit.Peer), verdict: audit.Pass, evidence: "unknown certificate authority"},
		{check: "peer-accepts-client-cert", name: "accepted", verdict: audit.Fail, codes: []string{"accepted"}, evidence: "/members got HTTP status 200",
			target: in(func(target *audit.Listener) {
				handshake(target, audit.GivenCertificate).Attempt = answered
				target.Pages = append(target.Pages, audit.Page{Attempt: answered, Access: audit.WithCredentials, Path: "/members", Status: 200})
			})},
		{check: "peer-accepts-client-cert", name: "everybody", target: anonymous(t, audit.Peer), verdict: audit.Fail, codes: []string{"no-certificate"}},
		{check: "peer-accepts-client-cert", name: "plaintext", target: plaintextOnly(audit.Peer), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "peer-accepts-client-cert", name: "none given", verdict: audit.Unknown, evidence: "--cert",
			target: in(func(target *audit.Listener) { target.Handshakes = target.Handshakes[:5] })},
		{check: "peer-accepts-client-cert", name: "closed", target: given(ended), verdict: audit.Unknown, evidence: "--peer-trusted-ca-file"},
		{check: "peer-accepts-client-cert", name: "times out", target: given(silent), verdict: audit.Unknown},
	}
}

// slowTLS is a target whose handshakes were not answered in time.
func slowTLS(target *audit.Listener) *audit.Listener {
	for i := range target.Handshakes {
		target.Handshakes[i].Attempt = silent
	}
	return target
}

// garbledTLS is a target that answers a handshake in another protocol.
func garbledTLS(target *audit.Listener) *audit.Listener {
	for i := range target.Handshakes {
		target.Handshakes[i].Attempt = audit.Attempt{State: audit.Unclear, Cause: audit.NotSpoken, Reason: "the answer is not TLS"}
	}
	return target
}
