package certificates

import (
	"crypto/x509"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// longestLeaf is a year and a month of overlap, and the longest lifetime that the
// CA/Browser Forum allowed from 2020 to 2026 (Baseline Requirements 6.3.2).
const longestLeaf = 398 * day

// CertLifetime finds leaves that are valid for years.
func CertLifetime() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "cert-lifetime",
		Title:    "A served leaf is valid for far more than a year",
		Severity: audit.Medium,
		Rationale: "A stolen key is useful for as long as its certificate is valid, and etcd reads no revocation list by default. " +
			"A renewal that happens once in ten years is one that nobody has practised.",
		Method: "Compares the lifetime of the leaf, and what is left of it, with 398 days. If a leaf begins at the same time " +
			"as its CA, only what is left counts: older kubeadm releases date every renewed leaf back to the beginning of " +
			"the CA.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Reissue the leaf for a year or less, and renew it with a timer:"),
				audit.Paste("etcdsec pki renew %s    # a store of etcdsec; its leaves are valid for 90 days", p.Store()),
				audit.Paste("kubeadm certs renew etcd-server && kubeadm certs renew etcd-peer"),
				audit.Paste("openssl s_client -connect %s </dev/null 2>/dev/null | openssl x509 -noout -dates", p.Asked()),
			}
		},
		References: []string{"NIST 800-57 Part 1 5.3.6", "NIST 800-53 SC-12", "NIST 800-53 SC-17", "CA/Browser Forum BR 6.3.2"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run:        judgeServed(judgeLifetime),

		OneHandshake: true,
	})
}

func judgeLifetime(t *audit.Listener, chain []*x509.Certificate) audit.Outcome {
	leaf := chain[0]
	whole, left := leaf.NotAfter.Sub(leaf.NotBefore), leaf.NotAfter.Sub(t.Now)
	switch above := pathToRoot(t, chain)[1:]; {
	case left > longestLeaf:
		return audit.Failed(audit.Finding{Code: "leaf", Text: fmt.Sprintf("the leaf is valid for another %d days, until %s; %d days are enough",
			left/day, leaf.NotAfter.UTC().Format(time.DateOnly), longestLeaf/day)})
	case whole <= longestLeaf:
		return audit.Passed(fmt.Sprintf("the leaf is valid for %d days", whole/day))
	case len(above) == 0:
		return audit.Passed(fmt.Sprintf("the leaf has %d of %d days left; without its CA (--cacert) its date of issue is uncertain", left/day, whole/day))
	case leaf.NotBefore.Equal(above[0].NotBefore):
		return audit.Passed(fmt.Sprintf("the leaf has %d days left; it begins on %s, as its CA does", left/day, leaf.NotBefore.UTC().Format(time.DateOnly)))
	default:
		return audit.Failed(audit.Finding{Code: "leaf", Text: fmt.Sprintf("the leaf was issued for %d days; %d days are enough", whole/day, longestLeaf/day)})
	}
}
