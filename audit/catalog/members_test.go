package catalog_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

func memberFixtures(t *testing.T) []fixture {
	t.Helper()
	in := func(change func(*audit.Listener)) *audit.Listener { return changed(t, audit.Client, change) }
	running := func(version string) *audit.Listener {
		return in(func(target *audit.Listener) { target.Version = version })
	}
	// behaving is a version with authentication, and what it makes of a MemberList without a user.
	behaving := func(version string, code int, message string) *audit.Listener {
		return in(func(target *audit.Listener) {
			target.Version = version
			target.RPCs = append(target.RPCs, audit.RPC{Attempt: answered, Access: audit.WithCredentials, Method: audit.BadTokenMemberListRPC, Code: code, Message: message, Refusal: audit.RefusalOf(message)})
		})
	}
	advertising := func(peer, client string) *audit.Listener {
		return in(func(target *audit.Listener) {
			target.Members = append(target.Members, audit.Member{Name: "etcd-1", PeerURLs: []string{peer}, ClientURLs: []string{client}})
		})
	}
	unread := func(call audit.RPC) *audit.Listener {
		return in(func(target *audit.Listener) {
			target.Members, target.Version = nil, ""
			target.RPCs = append(target.RPCs, call)
		})
	}
	denied := audit.RPC{Attempt: answered, Access: audit.WithCredentials, Method: audit.MemberListRPC, Code: 7, Message: "etcdserver: permission denied", Refusal: audit.PermissionDenied}
	untrusted := in(func(target *audit.Listener) {
		target.Members, target.Version = nil, ""
		handshake(target, audit.GivenCertificate).TrustFault = "the server does not verify against --cacert: x"
	})
	const h = "https://192.0.2.2:2379"
	return []fixture{
		{check: "member-url-plaintext", name: "https", target: advertising(h, h), verdict: audit.Pass, evidence: "2 members"},
		{check: "member-url-plaintext", name: "peer", target: advertising("http://192.0.2.2:2380", h), verdict: audit.Fail, codes: []string{"etcd-1-peer"}},
		{check: "member-url-plaintext", name: "client", target: advertising(h, "HTTP://192.0.2.2:2379"), verdict: audit.Fail, codes: []string{"etcd-1-client"}},
		{check: "member-url-plaintext", name: "denied", target: unread(denied), verdict: audit.Unknown, evidence: "permission denied"},
		{check: "member-url-plaintext", name: "server not verified", target: untrusted, verdict: audit.Unknown, evidence: "--cacert"},

		{check: "version-vulnerable", name: "newest 3.5", target: running("3.5.35"), verdict: audit.Pass},
		{check: "version-vulnerable", name: "newest 3.6", target: running("3.6.16"), verdict: audit.Pass, evidence: "2026-11-20"},
		{check: "version-vulnerable", name: "newest 3.7", target: running("3.7.3"), verdict: audit.Pass},
		{check: "version-vulnerable", name: "3.7.0", target: running("3.7.0"), verdict: audit.Fail, evidence: "fixed in 3.7.1",
			codes: []string{"CVE-2026-73499", "CVE-2026-73500", "GHSA-hrxh-6v49-42gf"}},
		{check: "version-vulnerable", name: "a pre-release of the fix", target: running("3.7.1-rc.0"), verdict: audit.Fail,
			codes: []string{"CVE-2026-73499", "CVE-2026-73500", "GHSA-hrxh-6v49-42gf"}},
		{check: "version-vulnerable", name: "one before the fix of the CRL", target: running("3.5.32"), verdict: audit.Fail,
			codes: []string{"CVE-2026-73499", "CVE-2026-73500", "GHSA-hrxh-6v49-42gf"}},
		{check: "version-vulnerable", name: "3.5.31", target: running("3.5.31"), verdict: audit.Fail, evidence: "control plane",
			codes: []string{"CVE-2026-73499", "CVE-2026-73500", "GHSA-3wh4-j44w-pg92", "GHSA-hrxh-6v49-42gf"}},
		{check: "version-vulnerable", name: "end of life", target: running("3.4.45"), verdict: audit.Fail, evidence: "no fix in this branch",
			codes: []string{"CVE-2026-73499", "CVE-2026-73500", "GHSA-3wh4-j44w-pg92", "GHSA-hrxh-6v49-42gf"}},
		{check: "version-vulnerable", name: "rebuilt", target: running("3.7.0-2"), verdict: audit.Fail, evidence: "probable",
			codes: []string{"CVE-2026-73499", "CVE-2026-73500", "GHSA-hrxh-6v49-42gf"}},
		{check: "version-vulnerable", name: "rebuilt, after the fix", target: running("3.7.1+dfsg1-2"), verdict: audit.Pass},
		{check: "version-vulnerable", name: "rebuilt, seen to be fixed", target: behaving("3.6.9-0ubuntu1", 16, "etcdserver: invalid auth token"), verdict: audit.Fail,
			codes: []string{"CVE-2026-44283", "CVE-2026-73499", "CVE-2026-73500", "GHSA-3wh4-j44w-pg92", "GHSA-hrxh-6v49-42gf"}},
		{check: "version-vulnerable", name: "vulnerable by its number, seen to be fixed", target: behaving("3.6.8", 16, "etcdserver: invalid auth token"), verdict: audit.Fail,
			codes: []string{"CVE-2026-33186", "CVE-2026-33343", "CVE-2026-44283", "CVE-2026-73499", "CVE-2026-73500", "GHSA-3wh4-j44w-pg92", "GHSA-hrxh-6v49-42gf"}},
		{check: "version-vulnerable", name: "rebuilt, seen to be vulnerable", target: behaving("3.6.8-1", 0, ""), verdict: audit.Fail, evidence: "confirmed by the member's behaviour",
			codes: []string{"CVE-2026-33186", "CVE-2026-33343", "CVE-2026-33413", "CVE-2026-44283", "CVE-2026-73499", "CVE-2026-73500", "GHSA-3wh4-j44w-pg92", "GHSA-hrxh-6v49-42gf"}},
		{check: "version-vulnerable", name: "too new to know", target: running("3.8.0"), verdict: audit.Unknown, evidence: "newer"},
		{check: "version-vulnerable", name: "not a version", target: running("banana"), verdict: audit.Unknown, evidence: "banana"},
		{check: "version-vulnerable", name: "not read", target: unread(audit.RPC{}), verdict: audit.Unknown, evidence: "--cacert"},
	}
}
