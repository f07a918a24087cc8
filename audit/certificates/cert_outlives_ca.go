package certificates

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// CertOutlivesCA finds certificates that stop working before their own end, because their CA ends.
func CertOutlivesCA() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "cert-outlives-ca",
		Title:    "A served certificate ends after its issuer",
		Severity: audit.Medium,
		Rationale: "A chain is valid only until its first certificate ends. Whoever watches only the leaf's date is surprised by " +
			"the CA's: then all leaves fail on the same day, and renewing them under that CA does not help.",
		Method: "Compares the end of every certificate with the end of the one that signed it: in the served chain and, with " +
			"--cacert, the root above it.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Renew the CA first, then the certificates that it signed:"),
				audit.Paste("etcdsec pki recover %s --dry-run", p.Store()),
				audit.Paste("openssl s_client -connect %s -showcerts </dev/null 2>/dev/null | openssl x509 -noout -enddate", p.Asked()),
				audit.Paste("openssl x509 -noout -enddate -in ca.crt"),
			}
		},
		References: []string{"RFC 5280 6.1.3", "NIST 800-57 Part 1 5.3", "NIST 800-53 SC-12", "NIST 800-53 SC-17"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run:        judgeServed(judgeEnds),

		OneHandshake: true,
	})
}

func judgeEnds(t *audit.Listener, chain []*x509.Certificate) audit.Outcome {
	above := pathToRoot(t, chain)
	if len(above) == 1 {
		if selfIssued(chain[0]) {
			return audit.Skipped("the leaf is self-signed")
		}
		return audit.Skipped("the port does not serve the issuer, and the given CAs (--cacert) do not include it")
	}
	var findings []audit.Finding
	for i, cert := range above[:len(above)-1] {
		code, text := role(i, cert)
		if _, issuer := role(i+1, above[i+1]); cert.NotAfter.After(above[i+1].NotAfter) {
			findings = append(findings, audit.Finding{Code: code, Text: fmt.Sprintf("the %s ends on %s, after the %s, which ends on %s",
				text, cert.NotAfter.UTC().Format(time.RFC3339), issuer, above[i+1].NotAfter.UTC().Format(time.RFC3339))})
		}
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	_, last := role(len(above)-1, above[len(above)-1])
	return audit.Passed("no certificate ends after its issuer, up to the " + last)
}
