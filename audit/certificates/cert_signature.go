package certificates

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// CertSignature finds certificates that are signed over a broken hash.
func CertSignature() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "cert-signature",
		Title:    "A served certificate is signed over MD5 or SHA-1",
		Severity: audit.High,
		Rationale: "Two certificates of one MD5 or SHA-1 can be made, so a harmless request to the CA gets a signature for a " +
			"harmful one. Clients built with Go 1.18 or later refuse such a chain, the API server among them.",
		Method: "Reads the signature algorithm of the leaf and of every CA that is served. The signature of a root over itself " +
			"proves nothing to anybody and is left out.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Reissue what is named with SHA-256 or better; no key has to change:"),
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

// brokenAlgorithms are the algorithms whose hash no longer stands for what was hashed.
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
			findings = append(findings, audit.Finding{Code: code, Text: fmt.Sprintf("the %s is signed by %s", text, algorithm)})
		case algorithm == x509.UnknownSignatureAlgorithm:
			unknown = fmt.Sprintf("the %s is signed by an algorithm that is not known here", text)
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
