package certificates

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// CertSignature finds certificates whose signature uses a broken hash.
func CertSignature() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "cert-signature",
		Title:    "A served certificate is signed with MD5 or SHA-1",
		Severity: audit.High,
		Rationale: "An attacker can create two certificates with the same MD5 or SHA-1 hash, so a harmless request to the CA " +
			"yields a signature for a harmful one. Clients built with Go 1.18 or later, such as the API server, refuse " +
			"such a chain.",
		Method: "Reads the signature algorithm of the leaf and of every served CA. The signature of a root over itself proves " +
			"nothing and is left out.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Reissue the named certificates with SHA-256 or better; no key has to change:"),
				audit.Paste("etcdsec pki renew %s", p.Store()),
				audit.Paste("openssl x509 -req -sha256 -in server.csr -CA ca.crt -CAkey ca.key -copy_extensions copy -days 365 -out " +
					"server.crt"),
			}
		},
		References: []string{"NIST 800-131A 9", "NIST 800-52r2 3.2", "NIST 800-53 SC-13", "NIST 800-53 SC-17", "BSI TR-02102-1", "golang/go#41682"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run:        judgeServed(judgeSignatures),

		OneHandshake: true,
	})
}

// brokenAlgorithms returns the signature algorithms whose hash has known collisions.
func brokenAlgorithms() []x509.SignatureAlgorithm {
	return []x509.SignatureAlgorithm{x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1}
}

func judgeSignatures(_ *audit.Listener, chain []*x509.Certificate) audit.Outcome {
	var findings []audit.Finding
	var seen []string
	unknown := ""
	for i, cert := range chain {
		if i > 0 && selfIssued(cert) {
			continue
		}
		code, text := role(i, cert)
		switch algorithm := cert.SignatureAlgorithm; {
		case slices.Contains(brokenAlgorithms(), algorithm):
			findings = append(findings, audit.Finding{Code: code, Text: fmt.Sprintf("the %s is signed with %s", text, algorithm)})
		case algorithm == x509.UnknownSignatureAlgorithm:
			unknown = fmt.Sprintf("the %s is signed with an unknown algorithm", text)
		default:
			seen = append(seen, fmt.Sprintf("%s %s", code, algorithm))
		}
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case unknown != "":
		return audit.CouldNotTell(unknown)
	default:
		return audit.Passed(strings.Join(seen, ", "))
	}
}
