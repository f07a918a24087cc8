package listeners

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// PeerAcceptsClientCert finds a peer port that accepts a client as a member.
func PeerAcceptsClientCert() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "peer-accepts-client-cert",
		Title:    "The peer port accepts a client's certificate",
		Severity: audit.High,
		Rationale: "The peer port ignores RBAC, so every client certificate that it accepts, even a read-only one, controls the " +
			"cluster. This happens wherever one CA signs both clients and peers, as kubeadm's does.",
		Method: "Presents the given client certificate to the peer port and sends GET /version and GET /members over HTTP/1.1.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give the peers a CA of their own, or name the members that the port accepts; restart the member:"),
				audit.Paste("--peer-trusted-ca-file=peer-ca.crt"),
				audit.Paste("--peer-cert-allowed-hostname=%s", audit.StandIn("MEMBER_NAME")),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.7", "CIS Kubernetes Benchmark v2.0.1 2.7", "NIST 800-53 AC-6", "NIST 800-53 IA-3", "etcd-io/etcd#8262", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Applies:    audit.On(audit.Peer),
		Run:        runPeerAcceptsClientCert,
	})
}

func runPeerAcceptsClientCert(t *audit.Listener) audit.Outcome {
	if t.AnswersPlaintext() {
		return audit.Failed(audit.Finding{Code: "plaintext", Text: "the port answers everybody without TLS, so a client too"})
	}
	anonymous, given := t.Agreed(audit.NoCertificate), t.Handshake(audit.GivenCertificate)
	if _, admitted := t.Admitted(audit.NoCertificate); admitted {
		return audit.Failed(audit.Finding{Code: "no-certificate", Text: "the port lets everybody in, so a client too"})
	}
	switch given.State {
	case audit.Answered:
		text := "the given client certificate is let in"
		if page := t.Page(audit.WithCredentials, "/members"); page.State == audit.Answered {
			text += fmt.Sprintf("; GET /members got HTTP status %d", page.Status)
		}
		return audit.Failed(audit.Finding{Code: "accepted", Text: text})
	case audit.Refused:
		return t.Admits(audit.GivenCertificate)
	case audit.Closed:
		// etcd closes without an alert when the certificate is of a trusted CA but its SANs
		// are not the caller's address, or it is revoked (reference: client/pkg/transport/listener_tls.go).
		return audit.CouldNotTell("the given client certificate: " + given.Reason +
			"; etcd does this if it trusts the CA but the SANs do not match: compare --peer-trusted-ca-file with --trusted-ca-file")
	case audit.Unclear:
		return audit.CouldNotTell("the given client certificate: " + given.Reason)
	default:
		if !anonymous.SpokeTLS {
			return audit.CouldNotTell("TLS handshake: " + anonymous.Reason)
		}
		return audit.CouldNotTell("no client certificate was given: add --cert and --key of a client of etcd")
	}
}
