package members

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// trait is a property of a listener that should be the same for all members.
type trait struct {
	code, name string
	kinds      []audit.Kind
	of         func(*audit.Listener) string // empty if it is unknown
}

const patchTrait = "version"

func traits() []trait {
	all, client := audit.Listeners(), []audit.Kind{audit.Client}
	return []trait{
		{"listener", "whether something listens", []audit.Kind{audit.Metrics}, listenTrait},
		{"plaintext", "plaintext", all, plaintextTrait},
		{"client-certificate", "the client certificate", all, certificateDemand},
		{"tls-version", "the highest TLS version", all, highestTLS},
		{"tls-1.2", "TLS 1.2", all, lowerTLS},
		{"issuer", "the issuer of the served leaf", all, issuer},
		{"key", "the key of the served leaf", all, keyAlgorithm},
		{"trusted-cas", "the trusted client CAs", all, trustedCAs},
		{"metrics", "GET /metrics without credentials", []audit.Kind{audit.Client, audit.Metrics}, openMetrics},
		{"pprof", "GET /debug/pprof/", client, profilingTrait},
		{patchTrait, "the patch release", client, patchRelease},
		{"quota", "the quota", client, quotaTrait},
	}
}

func listenTrait(t *audit.Listener) string {
	switch {
	case t.NothingListens():
		return "nothing listens"
	case t.Reach.State == audit.Answered:
		return "something listens"
	default:
		return ""
	}
}

func plaintextTrait(t *audit.Listener) string {
	switch {
	case t.AnswersPlaintext():
		return "answered"
	case t.Plaintext.State == audit.Refused || t.Plaintext.State == audit.Closed:
		return "not answered"
	default:
		return ""
	}
}

func certificateDemand(t *audit.Listener) string {
	h := t.Agreed(audit.NoCertificate)
	admitted := t.Admits(audit.NoCertificate)
	switch {
	case t.HasNoTLS():
		return "no TLS"
	case admitted.Verdict == audit.Pass:
		return "required"
	case admitted.Verdict == audit.Fail && h.CertificateRequested:
		return "requested and not required"
	case admitted.Verdict == audit.Fail:
		return "not requested"
	default:
		return ""
	}
}

func highestTLS(t *audit.Listener) string {
	if version := t.Agreed(audit.NoCertificate).Version; version != 0 {
		return tls.VersionName(version)
	}
	return ""
}

// lowerTLS describes the handshake that offers no version above TLS 1.2. If the server refuses it
// before it agrees on a version, it refuses the version.
func lowerTLS(t *audit.Listener) string {
	h := t.HandshakeUpTo(tls.VersionTLS12)
	switch {
	case h.Version != 0:
		return "accepted"
	case h.RefusesOffer():
		return "refused"
	default:
		return ""
	}
}

func leaf(t *audit.Listener) *x509.Certificate {
	if chain := t.Agreed(audit.NoCertificate).Chain; len(chain) > 0 {
		return chain[0]
	}
	return nil
}

func issuer(t *audit.Listener) string {
	cert := leaf(t)
	switch {
	case cert == nil:
		return ""
	case slices.Equal(cert.RawIssuer, cert.RawSubject):
		return "itself"
	default:
		return fmt.Sprintf("%q", cert.Issuer)
	}
}

func keyAlgorithm(t *audit.Listener) string {
	if cert := leaf(t); cert != nil {
		return cert.PublicKeyAlgorithm.String()
	}
	return ""
}

func trustedCAs(t *audit.Listener) string {
	h := t.Agreed(audit.NoCertificate)
	if !h.CertificateRequested {
		return ""
	}
	names := make([]string, 0, len(h.AcceptableCAs))
	for _, raw := range h.AcceptableCAs {
		names = append(names, caName(raw))
	}
	if len(names) == 0 {
		return "any that the system trusts"
	}
	slices.Sort(names)
	return strings.Join(names, " and ")
}

// caName formats a raw subject for people.
func caName(raw []byte) string {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &sequence); err != nil || len(rest) > 0 {
		return fmt.Sprintf("%x", raw)
	}
	return fmt.Sprintf("%q", sequence)
}

func openMetrics(t *audit.Listener) string {
	seen := ""
	for _, access := range audit.Anonymous() {
		page := t.Page(access, "/metrics")
		switch {
		case page.Exposed():
			return "answered"
		case page.Withheld():
			seen = "refused"
		}
	}
	if seen == "" && !t.AnswersPlaintext() && t.Admits(audit.NoCertificate).Verdict == audit.Pass {
		return "refused"
	}
	return seen
}

func profilingTrait(t *audit.Listener) string {
	seen := ""
	for _, access := range append(audit.Anonymous(), audit.WithCredentials) {
		page := t.Page(access, "/debug/pprof/")
		switch {
		case page.Exposed():
			return "answered"
		case page.Withheld():
			seen = "not there"
		}
	}
	return seen
}

func patchRelease(t *audit.Listener) string { return t.Version }

func quotaTrait(t *audit.Listener) string {
	limit, seen, known := quota(t)
	switch {
	case !known:
		return ""
	case limit == 0:
		return "none (" + seen + ")"
	default:
		return size(limit)
	}
}
