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
		Title:    "Authentication is off, and no client CA of its own makes up for it",
		Severity: audit.Medium,
		Rationale: "With authentication off, as in Kubernetes, etcd has no users: every certificate of the client CA is root and " +
			"reads, writes and deletes everything. That is in order as long as the CA signs for nobody but the API servers and " +
			"the operators of etcd. Where another listener trusts the same CA, its clients are root too.",
		Method: "Calls Range with a token that the server never gave out: it is refused where authentication is on, and not " +
			"looked at where it is off. Then looks for client ports that ask for no certificate, for peer ports that let the " +
			"given client certificate in, and for API servers and kubelets that name a CA of the client CA's name in the handshake.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give etcd a client CA of its own, and sign nothing with it that is not to be root:"),
				audit.Paste("etcdsec bootstrap -f %s %s", p.Spec(), p.Store()),
				audit.Paste("--client-cert-auth --trusted-ca-file=etcd-client-ca.crt"),
				audit.Say("or make a user for each common name, and then:"),
				audit.Paste("etcdctl auth enable"),
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
			doubts = append(doubts, client.Address+": whether it answers gRPC without a certificate was not seen")
		case open == audit.Fail:
			add("no-certificate", "authentication is off, and %s asks for no certificate: whoever reaches it is root", client.Address)
		case h.CertificateRequested && len(h.AcceptableCAs) == 0:
			add("any-ca", "authentication is off, and %s names no client CA: every certificate of a CA that the system trusts is root", client.Address)
		}
		for _, other := range t.Of(audit.APIServer, audit.Kubelet) {
			if sharesName(other, h.AcceptableCAs) {
				add("shared-ca", "authentication is off, and the %s port %s trusts a CA of the name of %s's client CA: its clients are root",
					other.Kind, other.Address, client.Address)
			}
		}
	}
	for _, peer := range t.Of(audit.Peer) {
		// Names prove nothing here: the certificate was tried.
		if peer.Admits(audit.NoCertificate).Verdict == audit.Pass && peer.Admits(audit.GivenCertificate).Verdict == audit.Fail {
			add("shared-ca", "authentication is off, and the peer port %s lets a client certificate in: one CA signs for clients and members, and every certificate of it is root", peer.Address)
		}
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case len(doubts) > 0:
		return audit.CouldNotTell("authentication is off, and of " + strings.Join(doubts, "; "))
	}
	return audit.Passed("authentication is off, so every certificate of the client CA is root; no other audited listener was seen to trust that CA")
}

// readableByAnybody returns Fail for a client port that gives the store to callers without a
// certificate, Pass for one that does not, and Unknown where an answer came too late to tell. A
// port for HTTP alone gives the store away only by a gateway.
func readableByAnybody(t *audit.Listener) audit.Verdict {
	verdict := audit.Pass
	for _, access := range audit.Anonymous() {
		if call := t.RPC(access, audit.GatewayRange); call.State == audit.Answered && call.Code == 0 {
			return audit.Fail
		}
		open := access == audit.InPlaintext && t.AnswersPlaintext() || access == audit.WithoutCertificate && t.Agreed(audit.NoCertificate).State == audit.Answered
		switch {
		case !open || t.HTTPOnly(access):
		case slices.ContainsFunc(t.RPCs, func(r audit.RPC) bool { return r.Access == access && r.Cause == audit.TimedOut }) && !speaksGRPC(t, access):
			verdict = audit.Unknown
		default:
			return audit.Fail
		}
	}
	return verdict
}

// speaksGRPC reports whether a call with an access was answered as gRPC answers.
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
