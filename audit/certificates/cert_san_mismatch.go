package certificates

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// CertSANMismatch finds a leaf that does not name the host it serves.
func CertSANMismatch() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "cert-san-mismatch",
		Title:    "The served certificate does not name its host",
		Severity: audit.Medium,
		Rationale: "Clients that verify the server cannot connect, and people tell them to stop verifying; then everyone on the " +
			"path can act as the server. The other members refuse a peer whose SANs do not cover its address.",
		Method: "Compares the SANs of the leaf with the dialled host and, with a spec, with every address of the member.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Reissue the leaf with every address of the member in its SANs; etcd needs no restart:"),
				audit.Paste("etcdsec pki renew -f %s %s", p.Spec(), p.Store()),
				audit.Paste("openssl s_client -connect %s </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName", p.Asked()),
			}
		},
		References: []string{"NIST 800-52r2 3.2", "NIST 800-53 SC-17", "NIST 800-53 IA-5(2)", "RFC 9525"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run:        judgeServed(judgeSANs),

		OneHandshake: true,
	})
}

func judgeSANs(t *audit.Listener, chain []*x509.Certificate) audit.Outcome {
	if t.Socket != "" {
		return audit.Skipped("the address of a socket has no name for a certificate to cover")
	}
	dialled, _, _ := strings.Cut(hostOf(t.Address), "%") // a SAN has no zone
	names := slices.Concat([]string{dialled}, t.ExpectedNames)
	slices.Sort(names)
	names = slices.Compact(names)
	var missing []string
	for _, name := range names {
		if chain[0].VerifyHostname(name) != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return audit.Passed("the SANs cover " + strings.Join(names, ", "))
	}
	var findings []audit.Finding
	for _, name := range missing {
		findings = append(findings, audit.Finding{Code: name, Text: fmt.Sprintf("no SAN covers %s", name)})
	}
	last := &findings[len(findings)-1]
	last.Text += "; the certificate has " + sansOf(chain[0].DNSNames, chain[0].IPAddresses)
	return audit.Failed(findings...)
}

// maxShown limits how many names of a server's certificate go into a report.
const maxShown = 10

func sansOf(dnsNames []string, ips []net.IP) string {
	var all []string
	for _, name := range dnsNames {
		all = append(all, fmt.Sprintf("%.100q", name))
	}
	for _, ip := range ips {
		all = append(all, ip.String())
	}
	switch {
	case len(all) == 0:
		return "no SAN"
	case len(all) > maxShown:
		return fmt.Sprintf("%s and %d more", strings.Join(all[:maxShown], ", "), len(all)-maxShown)
	default:
		return strings.Join(all, ", ")
	}
}
