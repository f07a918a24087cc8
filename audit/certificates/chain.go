package certificates

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// maxChain limits how many served certificates are judged. A leaf, an issuing CA, a cross-signed
// root and the root itself are four; a server that sends dozens wants to keep the audit busy.
const maxChain = 10

// servedChains returns the different chains that a port served.
func servedChains(t *audit.Listener) [][]*x509.Certificate {
	chains := t.Chains()
	for i, chain := range chains {
		chains[i] = chain[:min(len(chain), maxChain)]
	}
	return chains
}

// judgeServed returns the Run of a check that judges every chain that a port serves over TLS.
func judgeServed(judge func(*audit.Listener, []*x509.Certificate) audit.Outcome) func(*audit.Listener) audit.Outcome {
	return func(t *audit.Listener) audit.Outcome {
		return t.OverTLS(func(h audit.Handshake) audit.Outcome {
			chains := servedChains(t)
			if len(chains) == 0 {
				return audit.CouldNotTell(whyNoCertificate(h))
			}
			outcomes := make([]audit.Outcome, len(chains))
			for i, chain := range chains {
				outcomes[i] = judge(t, chain)
			}
			return worst(outcomes, chains)
		})
	}
}

// worst joins the outcomes of all chains of a port: it fails if one fails, and passes only if each
// passes or is skipped and one passes. It says so if the chains differ.
func worst(outcomes []audit.Outcome, chains [][]*x509.Certificate) audit.Outcome {
	if len(outcomes) == 1 {
		return outcomes[0]
	}
	differ := fmt.Sprintf("the handshakes differ: the port served %d chains, whose leaves have the serial numbers %s", len(chains), serials(chains))
	var findings []audit.Finding
	joined := outcomes[0]
	for _, o := range outcomes {
		for _, f := range o.Findings {
			if !slices.ContainsFunc(findings, func(known audit.Finding) bool { return known.Code == f.Code }) {
				findings = append(findings, f)
			}
		}
		if rank(o.Verdict) < rank(joined.Verdict) {
			joined = o
		}
	}
	if len(findings) == 0 {
		joined.Evidence += "; " + differ
		return joined
	}
	findings[0].Text += " (" + differ + ")"
	joined.Findings = findings
	return joined
}

// rank orders verdicts: the lower one decides.
func rank(v audit.Verdict) int {
	return slices.Index([]audit.Verdict{audit.Fail, audit.Unknown, audit.Pass, audit.Skip}, v)
}

// serials returns the serial numbers of the leaves, in hexadecimal.
func serials(chains [][]*x509.Certificate) string {
	var all []string
	for _, chain := range chains {
		serial := fmt.Sprintf("%.40x", chain[0].SerialNumber)
		if !slices.Contains(all, serial) {
			all = append(all, serial)
		}
	}
	return strings.Join(all, ", ")
}

func whyNoCertificate(h audit.Handshake) string {
	if h.Reason == "" {
		return "the server showed no certificate"
	}
	return "the server showed no certificate: " + h.Reason
}

// servedPath returns the part of a served chain that leads upwards from the leaf: each certificate is
// signed by the next, whatever the order in which they were served.
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

// pathToRoot returns the leaf and the known CAs above it: up to the root if the chain verifies
// against the given roots, and otherwise the part of the served chain that leads upwards.
func pathToRoot(t *audit.Listener, chain []*x509.Certificate) []*x509.Certificate {
	if t.Roots != nil {
		if found, err := t.Verify(chain); err == nil {
			return found
		}
	}
	return servedPath(chain)
}

// signedBy reports whether parent signed cert. If crypto/x509 no longer checks
// the signature's algorithm, only the names count.
func signedBy(cert, parent *x509.Certificate) bool {
	if !bytes.Equal(cert.RawIssuer, parent.RawSubject) {
		return false
	}
	err := parent.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature)
	_, insecure := errors.AsType[x509.InsecureAlgorithmError](err)
	return err == nil || insecure || errors.Is(err, x509.ErrUnsupportedAlgorithm)
}

// selfIssued reports whether a certificate has the name of its issuer, as a root does.
func selfIssued(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawSubject, cert.RawIssuer)
}

// role returns the beginning of a finding's code and text for one certificate of a chain.
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
