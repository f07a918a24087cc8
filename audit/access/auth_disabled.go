package access

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// AuthDisabled finds clusters in which more than etcd's own clients are root.
func AuthDisabled() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "auth-disabled",
		Title:    "Authentication is off, and etcd has no client CA of its own",
		Severity: audit.Medium,
		Rationale: "With authentication off, as in Kubernetes, etcd has no users: every certificate of the client CA is root, and " +
			"can read, write and delete everything. This is safe as long as the CA signs only for the API servers and the " +
			"operators of etcd. If another listener trusts the same CA, the clients of that listener are root too.",
		Method: "Calls Range with a token that the server never issued. etcd refuses it if authentication is on, and ignores " +
			"it if authentication is off. Then looks for client ports that ask for no certificate, for peer ports that " +
			"accept the given client certificate, and for API servers and kubelets that name, in the handshake, a CA with " +
			"the name of the client CA.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give etcd a client CA of its own, and sign with it only certificates that may be root:"),
				audit.Paste("etcdsec bootstrap -f %s %s", p.Spec(), p.Store()),
				audit.Paste("--client-cert-auth --trusted-ca-file=etcd-client-ca.crt"),
				audit.Say("or create a user for each common name, and then:"),
				audit.Paste("etcdctl auth enable --endpoints=%s", p.Endpoint()),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.7", "CIS Kubernetes Benchmark v2.0.1 2.7", "NIST 800-53 AC-3", "NIST 800-53 AC-6", "PCI DSS 4.0.1 7.2.1", "etcd THREAT_MODEL.md: The Authentication & Authorization Boundary"},
		Run:        runAuthDisabled,
	})
}

func runAuthDisabled(t *audit.EtcdCluster) audit.Outcome {
	on, seen, missing := authentication(t)
	switch {
	case missing != "":
		return audit.CouldNotTell(missing)
	case on:
		return audit.Passed("authentication is on: " + seen)
	}
	var findings []audit.Finding
	var doubts []string
	add := func(code, format string, args ...any) {
		if !slices.ContainsFunc(findings, func(f audit.Finding) bool { return f.Code == code }) {
			findings = append(findings, audit.Finding{Code: code, Text: fmt.Sprintf(format, args...)})
		}
	}
	for _, client := range t.Of(audit.Client) {
		h, open := client.Agreed(audit.NoCertificate), readableByAnybody(client)
		switch {
		case open == audit.Unknown:
			doubts = append(doubts, client.Address+": could not see whether it answers gRPC without a certificate")
		case open == audit.Fail:
			add("no-certificate", "authentication is off, and %s asks for no certificate: everyone who reaches it is root", client.Address)
		case h.CertificateRequested && len(h.AcceptableCAs) == 0:
			add("any-ca", "authentication is off, and %s names no client CA: every certificate of a CA that the system trusts is root", client.Address)
		}
		for _, other := range t.Of(audit.APIServer, audit.Kubelet) {
			if sharesName(other, h.AcceptableCAs) {
				add("shared-ca", "authentication is off, and the %s port %s trusts a CA with the name of %s's client CA: its clients are root",
					other.Kind, other.Address, client.Address)
			}
		}
	}
	for _, peer := range t.Of(audit.Peer) {
		// Names prove nothing here: the certificate was tried.
		if peer.Admits(audit.NoCertificate).Verdict == audit.Pass && peer.Admits(audit.GivenCertificate).Verdict == audit.Fail {
			add("shared-ca", "authentication is off, and the peer port %s accepts a client certificate: one CA signs for clients and members, and each of its certificates is root", peer.Address)
		}
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case len(doubts) > 0:
		return audit.CouldNotTell("authentication is off; " + strings.Join(doubts, "; "))
	}
	return audit.Passed("authentication is off, so every certificate of the client CA is root; no other audited listener seems to trust that CA")
}

// readableByAnybody returns Fail for a client port that lets callers without a certificate read the
// store, Pass for one that does not, and Unknown if an answer is missing that decides. A port that
// speaks only HTTP exposes the store only through a gateway.
func readableByAnybody(t *audit.Listener) audit.Verdict {
	verdict := audit.Pass
	for _, access := range audit.Anonymous() {
		if call := t.RPC(access, audit.GatewayRange); call.State == audit.Answered && call.Code == 0 {
			return audit.Fail
		}
		_, admitted := t.Admitted(audit.NoCertificate)
		open := access == audit.InPlaintext && t.AnswersPlaintext() || access == audit.WithoutCertificate && admitted
		switch {
		case !open:
		case t.HTTPOnly(access):
			if gateway := t.RPC(access, audit.GatewayRange); !t.HasNoGateway(access) && !gateway.DeniesCaller() {
				verdict = audit.Unknown
			}
		case slices.ContainsFunc(t.RPCs, func(r audit.RPC) bool { return r.Access == access && r.Cause == audit.TimedOut }) && !speaksGRPC(t, access):
			verdict = audit.Unknown
		default:
			return audit.Fail
		}
	}
	return verdict
}

// speaksGRPC reports whether a call with an access got a gRPC answer.
func speaksGRPC(t *audit.Listener, access audit.Access) bool {
	return slices.ContainsFunc(t.RPCs, func(r audit.RPC) bool {
		return r.Access == access && r.Method != audit.GatewayRange && r.State == audit.Answered && !r.NotGRPC
	})
}

// sharesName reports whether a listener trusts a CA of the same name as one of cas, which are raw subjects.
func sharesName(t *audit.Listener, cas [][]byte) bool {
	return slices.ContainsFunc(t.Agreed(audit.NoCertificate).AcceptableCAs, func(ca []byte) bool {
		return slices.ContainsFunc(cas, func(own []byte) bool { return bytes.Equal(own, ca) })
	})
}
