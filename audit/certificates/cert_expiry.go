// Package certificates holds the checks of the certificates that etcd's ports serve.
package certificates

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

const day = 24 * time.Hour

// CertExpiry finds certificates that are expired, not yet valid, or due for renewal.
func CertExpiry() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "cert-expiry",
		Title:    "A served certificate is expired or due",
		Severity: audit.High,
		Rationale: "When a certificate expires, open connections continue and new ones fail. The outage comes with the next " +
			"restart, often days later, and stops the API server too.",
		Method: "Reads the whole chain that the server sends, in every handshake of the audit. A certificate is due when less than a third of its lifetime is left; " +
			"for a leaf, the lifetime counts as 398 days at most. For a root in the chain, only the end counts.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Renew the certificate in place; etcd reads it again at the next handshake, without a restart:"),
				audit.Paste("etcdsec pki renew %s    # a store of etcdsec, or: etcdsec pki import", p.Store()),
				audit.Paste("kubeadm certs renew etcd-server && kubeadm certs renew etcd-peer"),
				audit.Paste("openssl s_client -connect %s </dev/null 2>/dev/null | openssl x509 -noout -dates", p.Asked()),
			}
		},
		References: []string{"NIST 800-53 SC-12", "NIST 800-53 SC-17", "NIST 800-53 IA-5(2)", "RFC 5280 4.1.2.5"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run:        judgeServed(func(t *audit.Listener, chain []*x509.Certificate) audit.Outcome { return judgeExpiry(t.Now, chain) }),

		OneHandshake: true,
	})
}

func judgeExpiry(now time.Time, chain []*x509.Certificate) audit.Outcome {
	var findings []audit.Finding
	first := chain[0]
	for i, cert := range chain {
		if cert.NotAfter.Before(first.NotAfter) {
			first = cert
		}
		if f, bad := judgeExpiryOf(now, cert, i == 0); bad {
			findings = append(findings, f)
		}
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	return audit.Passed(fmt.Sprintf("%d days left, until %s", int(first.NotAfter.Sub(now)/day), first.NotAfter.UTC().Format(time.DateOnly)))
}

func judgeExpiryOf(now time.Time, cert *x509.Certificate, leaf bool) (audit.Finding, bool) {
	name := fmt.Sprintf("issuing CA %q", cert.Subject)
	code := "ca-"
	if leaf {
		name, code = fmt.Sprintf("leaf %q", cert.Subject), "leaf-"
	}
	lifetime, left := cert.NotAfter.Sub(cert.NotBefore), cert.NotAfter.Sub(now)
	root := !leaf && bytes.Equal(cert.RawSubject, cert.RawIssuer)
	switch {
	case left < 0:
		return audit.Finding{Code: code + "expired", Text: fmt.Sprintf("%s expired %d days ago, on %s", name, int(-left/day), cert.NotAfter.UTC().Format(time.RFC3339))}, true
	case now.Before(cert.NotBefore):
		return audit.Finding{Code: code + "not-yet-valid", Text: fmt.Sprintf("%s is not valid before %s", name, cert.NotBefore.UTC().Format(time.RFC3339))}, true
	case root:
		// A verifier uses the root of its own trust bundle, not the one in the chain.
		return audit.Finding{}, false
	case leaf && left >= min(lifetime, longestLeaf)/3:
		// Older kubeadm dates a renewed leaf back to the beginning of its CA, years ago.
		return audit.Finding{}, false
	case left < lifetime/3:
		return audit.Finding{Code: code + "due", Text: fmt.Sprintf("%s has %s left, until %s", name, leftOf(left, lifetime), cert.NotAfter.UTC().Format(time.DateOnly))}, true
	default:
		return audit.Finding{}, false
	}
}

// leftOf returns the rest of a lifetime in days, or in hours if it has few days.
func leftOf(left, lifetime time.Duration) string {
	if lifetime < 4*day {
		return fmt.Sprintf("%d of %d hours", int(left.Hours()), int(lifetime.Hours()))
	}
	return fmt.Sprintf("%d of %d days", int(left/day), int(lifetime/day))
}
