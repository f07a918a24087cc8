package certificates

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// The smallest accepted keys: 112 bits of security for RSA, which NIST SP 800-131A allows until the
// end of 2030 and kubeadm uses; 256 bits for an elliptic curve.
const (
	leastRSA      = 2048
	leastCurve    = 256
	leastExponent = 1<<16 + 1 // FIPS 186-5 5.1

	// advisedRSA holds the bits that BSI TR-02102-1 wants since 2024 (3000 bits, as the next usual size).
	// A shorter key passes, and the evidence says this.
	advisedRSA = 3072
)

// CertKeyStrength finds keys so weak that an attacker can compute them from the certificate.
func CertKeyStrength() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "cert-key-strength",
		Title:    "A served certificate has a weak key",
		Severity: audit.High,
		Rationale: "Whoever computes the private key can act as the server, or as the CA: with a CA's key one can issue every " +
			"client certificate. RSA below 2048 bits is within reach of attackers who would want etcd's data.",
		Method: "Reads the public key of every served certificate and, with --cacert, of the root above: RSA of 2048 bits, " +
			"ECDSA of 256 bits and Ed25519 pass; DSA does not.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Reissue the certificate with a new, stronger key; if it is a CA, rotate it:"),
				audit.Paste("etcdsec pki renew %s --new-key    # a key of pki.keyAlgorithm in the spec, such as ecdsa-p256", p.Store()),
				audit.Paste("openssl ecparam -name prime256v1 -genkey -noout -out server.key"),
			}
		},
		References: []string{"NIST 800-131A 3", "NIST 800-52r2 3.2", "NIST 800-53 SC-12", "NIST 800-53 SC-13", "PCI DSS 4.0.1 4.2.1", "BSI TR-02102-1"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run:        judgeServed(judgeKeys),

		OneHandshake: true,
	})
}

func judgeKeys(t *audit.Listener, chain []*x509.Certificate) audit.Outcome {
	var findings []audit.Finding
	var seen []string
	unknown := ""
	for i, cert := range withRoot(t, chain) {
		code, text := role(i, cert)
		key, fault := weakness(cert)
		switch {
		case key == "":
			unknown = fmt.Sprintf("the key of the %s has an unknown algorithm", text)
		case fault != "":
			findings = append(findings, audit.Finding{Code: code + "-" + fault, Text: fmt.Sprintf("the %s has the key %s", text, key)})
		default:
			seen = append(seen, code+" "+key)
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

// withRoot returns the served chain, followed by the root if a given root verifies it.
func withRoot(t *audit.Listener, chain []*x509.Certificate) []*x509.Certificate {
	above := pathToRoot(t, chain)
	if root := above[len(above)-1]; len(above) > 1 && selfIssued(root) && !slices.ContainsFunc(chain, root.Equal) {
		return append(slices.Clip(chain), root)
	}
	return chain
}

// weakness describes a key and its fault. key is empty if the algorithm is unknown.
func weakness(cert *x509.Certificate) (key, fault string) {
	switch public := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		bits := public.N.BitLen()
		key = fmt.Sprintf("RSA %d", bits)
		switch {
		case bits < leastRSA:
			return key, "rsa-short"
		case public.E < leastExponent:
			return fmt.Sprintf("%s with the exponent %d", key, public.E), "rsa-exponent"
		case bits < advisedRSA:
			key += fmt.Sprintf(" (BSI TR-02102-1 advises %d)", advisedRSA)
		}
		return key, ""
	case *ecdsa.PublicKey:
		key = "ECDSA " + public.Curve.Params().Name
		if public.Curve.Params().BitSize < leastCurve {
			return key, "curve-short"
		}
		return key, ""
	case ed25519.PublicKey:
		return "Ed25519", ""
	default:
		if cert.PublicKeyAlgorithm == x509.DSA {
			return "DSA", "dsa"
		}
		return "", ""
	}
}
