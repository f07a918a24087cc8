package catalog_test

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// fixture is a target and what one check makes of it.
type fixture struct {
	check, name string
	target      audit.Target
	verdict     audit.Verdict
	codes       []string       // sorted
	evidence    string         // a part of it
	severity    audit.Severity // of a finding, where it is not the check's; not compared if empty
}

var fixtureTime = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

func fixtures(t *testing.T) []fixture {
	t.Helper()
	return slices.Concat(listenerFixtures(t), presentedFixtures(t), peerFixtures(t), exposureFixtures(t), transportFixtures(t), certificateFixtures(t), chainFixtures(t), authorityFixtures(t), memberFixtures(t), zombieFixtures(t),
		clusterFixtures(t), driftFixtures(t), sizeFixtures(t), accessFixtures(t),
		configFixtures(t), crlFixtures(t), apiServerFixtures(t), sandboxFixtures(t), intentFixtures(t), fileFixtures(t), dataFixtures(), snapshotFixtures())
}

// chain is a leaf for 192.0.2.1 and etcd-0.example.internal with a CA as issuer, so long before and after fixtureTime.
func chain(t *testing.T, before, after time.Duration) []*x509.Certificate {
	t.Helper()
	ca, err := throwaway.New(throwaway.Config{CommonName: "fixture", NotBefore: fixtureTime.Add(-1000 * day), NotAfter: fixtureTime.Add(1000 * day)})
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf(throwaway.Leaf{
		CommonName: "etcd-0", IPs: []net.IP{net.IPv4(192, 0, 2, 1)}, DNSNames: []string{"etcd-0.example.internal"},
		NotBefore: fixtureTime.Add(-before), NotAfter: fixtureTime.Add(after),
	})
	if err != nil {
		t.Fatal(err)
	}
	return []*x509.Certificate{leaf.Leaf}
}

var (
	alert     = audit.Attempt{State: audit.Refused, Alert: 116, Reason: `TLS alert "certificate required"`}
	unknownCA = audit.Attempt{State: audit.Refused, Alert: 48, Reason: `TLS alert "unknown certificate authority"`}
	oldTLS    = audit.Attempt{State: audit.Refused, Alert: audit.ProtocolVersion, Reason: `TLS alert "protocol version not supported"`}
	answered  = audit.Attempt{State: audit.Answered}
	ended     = audit.Attempt{State: audit.Closed, Reason: "the connection was closed without an answer"}
	silent    = audit.Attempt{State: audit.Unclear, Cause: audit.TimedOut, Reason: "no answer within 3s"}
	wantsTLS  = audit.Attempt{State: audit.Refused, Cause: audit.NotSpoken, Reason: "HTTP 400: the server wants TLS"}
	notHTTP2  = audit.Attempt{State: audit.Refused, Cause: audit.NotSpoken, Reason: "the answer is not HTTP/2"}
)

// hardened is a target of a kind that is in order, as the collector sees it with credentials.
func hardened(t *testing.T, kind audit.Kind) *audit.Listener {
	t.Helper()
	served := chain(t, 10*day, 80*day)
	seen := audit.Handshake{SpokeTLS: true, Version: tls.VersionTLS13, CertificateRequested: true, AcceptableCAs: [][]byte{{0x30, 0}}, Chain: served}
	with := func(attempt audit.Attempt, presented audit.Identity) audit.Handshake {
		h := seen
		h.Attempt, h.Presented = attempt, presented
		return h
	}
	given := with(answered, audit.GivenCertificate)
	if kind == audit.Peer {
		given.Attempt = unknownCA
	}
	target := &audit.Listener{
		Address: "192.0.2.1:2379", Kind: kind, Now: fixtureTime,
		Reach: answered, RemoteIP: netip.MustParseAddr("192.0.2.1"),
		Plaintext: audit.Page{Attempt: wantsTLS, Access: audit.InPlaintext, Path: "/version"},
		Handshakes: []audit.Handshake{
			with(alert, audit.NoCertificate),
			{Attempt: oldTLS, Presented: audit.NoCertificate, MaxVersion: tls.VersionTLS11, SpokeTLS: true},
			{Attempt: oldTLS, Presented: audit.NoCertificate, MaxVersion: tls.VersionTLS12, SpokeTLS: true},
			with(unknownCA, audit.ForeignCA),
			with(unknownCA, audit.ForeignCASameName),
			given,
		},
		Hellos: hellosOfTLS13(),
	}
	if kind == audit.Client {
		target.RPCs = []audit.RPC{{Attempt: ended, Access: audit.InPlaintext, Method: audit.RangeRPC}}
		target.Version, target.VersionFrom = "3.6.16", "Status"
		target.Members = []audit.Member{{Name: "etcd-0", PeerURLs: []string{"https://192.0.2.1:2380"}, ClientURLs: []string{"https://192.0.2.1:2379"}}}
		for _, path := range []string{"/debug/pprof/", "/debug/requests"} {
			target.Pages = append(target.Pages, audit.Page{Attempt: answered, Access: audit.WithCredentials, Path: path, Status: 404})
		}
	}
	return target
}

// changed is hardened with a change.
func changed(t *testing.T, kind audit.Kind, change func(*audit.Listener)) *audit.Listener {
	t.Helper()
	target := hardened(t, kind)
	change(target)
	return target
}

// handshake finds the one to change.
func handshake(t *audit.Listener, presented audit.Identity) *audit.Handshake {
	at := slices.IndexFunc(t.Handshakes, func(h audit.Handshake) bool { return h.Presented == presented && h.MaxVersion == 0 })
	return &t.Handshakes[at]
}

// plaintextOnly is a target of a kind that has no TLS at all.
func plaintextOnly(kind audit.Kind) *audit.Listener {
	target := &audit.Listener{
		Address: "192.0.2.1:2379", Kind: kind, Now: fixtureTime, Reach: answered, RemoteIP: netip.MustParseAddr("192.0.2.1"),
		Plaintext:  audit.Page{Attempt: answered, Access: audit.InPlaintext, Path: "/version", Status: 200},
		Handshakes: []audit.Handshake{{Attempt: ended, Presented: audit.NoCertificate}},
	}
	if kind == audit.Client {
		target.RPCs = []audit.RPC{{Attempt: answered, Access: audit.InPlaintext, Method: audit.RangeRPC, Keys: 42}}
	}
	return target
}

// anonymous is a TLS target that asks for no certificate.
func anonymous(t *testing.T, kind audit.Kind) *audit.Listener {
	t.Helper()
	return changed(t, kind, func(target *audit.Listener) {
		h := handshake(target, audit.NoCertificate)
		h.Attempt, h.CertificateRequested, h.AcceptableCAs = answered, false, nil
		target.Handshakes = target.Handshakes[:3]
		target.RPCs = append(target.RPCs, audit.RPC{Attempt: answered, Access: audit.WithoutCertificate, Method: audit.RangeRPC, Keys: 7})
	})
}
