package certificates

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// CertChain finds served chains that do not lead to a trusted CA.
func CertChain() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "cert-chain",
		Title:    "The served chain does not lead to the trusted CA",
		Severity: audit.Medium,
		Rationale: "If some clients can complete a chain and others cannot, connections fail where nobody expects it, and people " +
			"react by turning verification off. A member that serves a leaf of another CA was forgotten in a rotation, or " +
			"is not etcd.",
		Method: "Verifies the client port's chain against the CAs given with --cacert or --pki, whatever the date and the use. " +
			"A peer's chain must lead to a CA that the same port says it trusts, because members verify each other with " +
			"the same file. Every served certificate must belong to the chain and be in its order (RFC 5246 7.4.2).",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Serve the leaf, then its issuing CA, and nothing else; etcd reads the file again at the next handshake:"),
				audit.Paste("etcdsec pki verify %s", p.Store()),
				audit.Paste("openssl verify -CAfile ca.crt -untrusted issuing.crt server.crt"),
				audit.Paste("openssl s_client -connect %s -showcerts </dev/null", p.Asked()),
			}
		},
		References: []string{"RFC 5280 6.1", "RFC 8446 4.4.2", "NIST 800-52r2 3.2", "NIST 800-53 SC-17", "NIST 800-53 IA-5(2)"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run:        judgeServed(judgeChain),

		OneHandshake: true,
	})
}

func judgeChain(t *audit.Listener, chain []*x509.Certificate) audit.Outcome {
	findings := findDisorder(chain)
	names := t.Agreed(audit.NoCertificate).AcceptableCAs
	trusted := "" // by whom
	switch {
	case t.Kind != audit.Peer && t.Roots != nil:
		trusted = ", up to a given CA"
		if _, err := t.Verify(chain); err != nil {
			text := explainUntrusted(chain, err)
			if t.RootsUnused {
				text = "no server of this audit has a certificate of the given CAs, which may be those of another cluster; " + text
			}
			findings = append(findings, audit.Finding{Code: "not-trusted", Text: text})
		}
	case t.Kind == audit.Peer && len(names) > 0:
		trusted = ", up to a CA that the peers trust"
		if !leadsTo(servedPath(chain), names) {
			findings = append(findings, audit.Finding{Code: "not-trusted-by-peers", Text: fmt.Sprintf(
				"the chain ends at the issuer %.100q, but the port says that it trusts %s: the other members refuse this one", top(chain).Issuer, formatNames(names))})
		}
	case selfIssued(chain[0]):
		findings = append(findings, audit.Finding{Code: "self-signed", Text: fmt.Sprintf("the leaf %.100q is signed by itself and by no CA", chain[0].Subject)})
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	return audit.Passed(fmt.Sprintf("certificates in order: %d%s", len(chain), trusted))
}

// findDisorder finds served certificates that do not belong to the chain, or are in the wrong place.
func findDisorder(chain []*x509.Certificate) []audit.Finding {
	var findings []audit.Finding
	upwards := servedPath(chain)
	for _, cert := range chain {
		if slices.ContainsFunc(upwards, cert.Equal) {
			continue
		}
		// The same CA in another certificate is a second way up: a cross-signed root.
		if slices.ContainsFunc(upwards, func(c *x509.Certificate) bool { return sameKey(c, cert) && bytes.Equal(c.RawSubject, cert.RawSubject) }) {
			continue
		}
		findings = append(findings, audit.Finding{Code: "foreign-certificate", Text: fmt.Sprintf("the port serves %.100q, which signed no certificate of the chain", cert.Subject)})
	}
	var served []*x509.Certificate
	for _, cert := range chain {
		if slices.ContainsFunc(upwards, cert.Equal) {
			served = append(served, cert)
		}
	}
	if !slices.EqualFunc(served, upwards, (*x509.Certificate).Equal) {
		findings = append(findings, audit.Finding{Code: "order", Text: "the certificates are in the wrong order: each must be followed by the one that signed it"})
	}
	return findings
}

// sameKey reports whether two certificates have one key, however it is encoded in them.
func sameKey(a, b *x509.Certificate) bool { return bytes.Equal(encodedKey(a), encodedKey(b)) }

// leadsTo reports whether one of the certificates has the name of a trusted CA, or was issued by one.
func leadsTo(upwards []*x509.Certificate, names [][]byte) bool {
	return slices.ContainsFunc(upwards, func(cert *x509.Certificate) bool {
		return slices.ContainsFunc(names, func(name []byte) bool {
			return bytes.Equal(name, cert.RawIssuer) || bytes.Equal(name, cert.RawSubject)
		})
	})
}

func top(chain []*x509.Certificate) *x509.Certificate {
	upwards := servedPath(chain)
	return upwards[len(upwards)-1]
}

// explainUntrusted describes an error of crypto/x509 and names the end of the chain.
func explainUntrusted(chain []*x509.Certificate, err error) string {
	for i, cert := range servedPath(chain) {
		if _, text := role(i, cert); slices.Contains(brokenAlgorithms(), cert.SignatureAlgorithm) && !selfIssued(cert) {
			return fmt.Sprintf("the chain cannot be verified: the %s is signed by %s, which clients refuse", text, cert.SignatureAlgorithm)
		}
	}
	if _, unknown := errors.AsType[x509.UnknownAuthorityError](err); unknown {
		if selfIssued(top(chain)) {
			return fmt.Sprintf("the chain ends at %.100q, which is not one of the given CAs", top(chain).Subject)
		}
		return fmt.Sprintf("the chain ends at the issuer %.100q, and none of the given CAs signed it: an issuing CA is missing, or the chain belongs to another PKI", top(chain).Issuer)
	}
	return fmt.Sprintf("the chain does not verify against the given CAs: %.200q", err.Error())
}
