package listeners

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// ClientSystemRoots finds a client port that trusts the CAs of the operating system.
func ClientSystemRoots() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "client-system-roots",
		Title:    "The client port trusts every public CA",
		Severity: audit.Critical,
		Rationale: "--client-cert-auth without --trusted-ca-file makes etcd verify its clients against the CAs of the operating " +
			"system: whoever buys a certificate from any of them can read and write the whole store. The flags look right.",
		Method: "Reads the names of the CAs that the server sends when it asks for a certificate. etcd names every CA of its " +
			"--trusted-ca-file, and none without that flag.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Name the client CA, and restart the member:"),
				audit.Paste("--trusted-ca-file=ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.2", "CIS Kubernetes Benchmark v2.0.1 2.2", "CIS Kubernetes Benchmark v1.12 2.7", "CIS Kubernetes Benchmark v2.0.1 2.7", "STIG V-242423", "NIST 800-53 SC-17", "NIST 800-53 IA-5(2)", "RFC 8446 4.2.4", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Applies:    audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(h audit.Handshake) audit.Outcome { return judgeSystemRoots(t, h) })
		},
	})
}

func judgeSystemRoots(t *audit.Listener, anonymous audit.Handshake) audit.Outcome {
	for _, h := range t.Handshakes {
		if h.CertificateRequested && len(h.AcceptableCAs) > 0 {
			return audit.Passed(fmt.Sprintf("the server names %d trusted CA(s)", len(h.AcceptableCAs)))
		}
	}
	if anonymous.State == audit.Refused && anonymous.CertificateRequested {
		return audit.Failed(audit.Finding{Code: "no-names", Text: "the server requires a certificate and names no CA: it trusts the CAs of the operating system"})
	}
	if anonymous.State == audit.Answered {
		return audit.Skipped("the server requires no certificate")
	}
	return audit.CouldNotTell("the server did not ask for a certificate: " + anonymous.Reason)
}
