package certificates

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// maxChain is how much of a served chain is judged. A leaf, an issuing CA, a cross-signed
// root and the root itself are four; a server that sends dozens wants to keep us busy.
const maxChain = 10

// servedChain is the chain of the first handshake that got as far as the certificate.
func servedChain(t *audit.Listener) []*x509.Certificate {
	for _, h := range t.Handshakes {
		if len(h.Chain) > 0 {
			return h.Chain[:min(len(h.Chain), maxChain)]
		}
	}
	return nil
}

// judgeServed is the Run of a check that judges what a port serves over TLS.
func judgeServed(judge func(*audit.Listener, []*x509.Certificate) audit.Outcome) func(*audit.Listener) audit.Outcome {
	return func(t *audit.Listener) audit.Outcome {
		return t.OverTLS(func(h audit.Handshake) audit.Outcome {
			chain := servedChain(t)
			if len(chain) == 0 {
				return audit.CouldNotTell(whyNoCertificate(h))
			}
			return judge(t, chain)
		})
	}
}

func whyNoCertificate(h audit.Handshake) string {
	if h.Reason == "" {
		return "the server showed no certificate"
	}
	return "the server showed no certificate: " + h.Reason
}

// servedPath is the part of a served chain that leads upwards from the leaf, each certificate
// signed by the next, in whatever order it was served.
func servedPath(chain []*x509.Certificate) []*x509.Certificate {
	upwards := slices.Clip(chain[:1])
	for !selfIssued(upwards[len(upwards)-1]) {
		at := slices.IndexFunc(chain, func(c *x509.Certificate) bool {
			return !slices.ContainsFunc(upwards, c.Equal) && signedBy(upwards[len(upwards)-1], c)
		})
		if at < 0 {
			break
		}
		upwards = append(upwards, chain[at])
	}
	return upwards
}

// pathToRoot is the leaf and the CAs above it as far as they are known: to the root if the
// chain verifies by the given ones, else what of the served chain leads upwards.
func pathToRoot(t *audit.Listener, chain []*x509.Certificate) []*x509.Certificate {
	if t.Roots != nil {
		if found, err := t.Verify(chain); err == nil {
			return found
		}
	}
	return servedPath(chain)
}

// signedBy reports whether parent signed cert. A signature of an algorithm that crypto/x509
// does not check any more counts by the names alone.
func signedBy(cert, parent *x509.Certificate) bool {
	if !bytes.Equal(cert.RawIssuer, parent.RawSubject) {
		return false
	}
	err := parent.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature)
	_, insecure := errors.AsType[x509.InsecureAlgorithmError](err)
	return err == nil || insecure || errors.Is(err, x509.ErrUnsupportedAlgorithm)
}

// selfIssued reports whether a certificate bears the name of its issuer, as a root does.
func selfIssued(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawSubject, cert.RawIssuer)
}

// role begins the code of a finding about one certificate of a chain, and its text.
func role(i int, cert *x509.Certificate) (code, text string) {
	switch {
	case i == 0:
		return "leaf", fmt.Sprintf("leaf %.100q", cert.Subject)
	case selfIssued(cert):
		return "root", fmt.Sprintf("root %.100q", cert.Subject)
	default:
		return "ca", fmt.Sprintf("issuing CA %.100q", cert.Subject)
	}
}
