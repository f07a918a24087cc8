package certificates

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// CertOutlivesCA finds certificates whose end is not the day on which they stop to work.
func CertOutlivesCA() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "cert-outlives-ca",
		Title:    "A served certificate ends after its issuer",
		Severity: audit.Medium,
		Rationale: "The chain ends with its first certificate, so who watches the leaf's date is surprised by the CA's: then " +
			"all leaves fail on the same day, and a renewal by that CA does not help.",
		Method: "Compares the end of every certificate with that of the one that signed it: in the served chain and, with " +
			"--cacert, the root above it.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Renew the CA first, then what it signed:"),
				audit.Paste("etcdsec pki rotate issuing %s    # of a root: etcdsec pki rotate root %s", p.Store(), p.Store()),
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
			return audit.Skipped("the leaf has no issuer but itself")
		}
		return audit.Skipped("the issuer is not served, and not among the given CAs (--cacert)")
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
