package certificates

import (
	"bytes"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// trust lists the CAs whose clients a listener accepts, as it tells every caller: the subjects in its
// CertificateRequest. A subject is a name, not a key.
type trust struct {
	listener *audit.Listener
	names    [][]byte // raw subjects, sorted
	asks     bool     // it asks for a certificate; without names it does not say of which CA
	fault    string   // why all this is unknown; empty if it is known
}

// trustOf reads the trust of a listener. A listener without TLS asks for no certificate.
func trustOf(t *audit.Listener) trust {
	h := t.Agreed(audit.NoCertificate)
	switch {
	case h.CertificateRequested:
		return trust{listener: t, asks: true, names: namedCAs(t)}
	case t.HasNoTLS():
		return trust{listener: t}
	// The request comes before the certificate in TLS 1.3 and after it in TLS 1.2, where only
	// an answer proves that there was none.
	case h.State == audit.Answered, h.Version >= tls.VersionTLS13 && len(h.Chain) > 0:
		return trust{listener: t}
	}
	fault := t.Unreached()
	if fault == "" {
		fault = "TLS handshake: " + h.Reason
	}
	return trust{listener: t, fault: fmt.Sprintf("%s port %s: %s", t.Kind, t.Address, fault)}
}

// namedCAs returns, sorted, the names of the CAs that a listener named. A name that it lists twice is
// there twice; names that only some handshakes show are there too.
func namedCAs(t *audit.Listener) [][]byte {
	names := slices.SortedFunc(slices.Values(t.Agreed(audit.NoCertificate).AcceptableCAs), bytes.Compare)
	for _, h := range t.Handshakes {
		for _, name := range h.AcceptableCAs {
			if at, found := slices.BinarySearchFunc(names, name, bytes.Compare); !found {
				names = slices.Insert(names, at, name)
			}
		}
	}
	return names
}

func trustsOf(listeners []*audit.Listener) []trust {
	var all []trust
	for _, t := range listeners {
		all = append(all, trustOf(t))
	}
	return all
}

// union returns the names of all listeners, each once.
func union(trusts []trust) [][]byte {
	var names [][]byte
	for _, t := range trusts {
		names = append(names, t.names...)
	}
	slices.SortFunc(names, bytes.Compare)
	return slices.CompactFunc(names, bytes.Equal)
}

// containsName reports whether sorted names contain a name. A server can list thousands.
func containsName(sorted [][]byte, name []byte) bool {
	_, found := slices.BinarySearchFunc(sorted, name, bytes.Compare)
	return found
}

// firstFault returns why the trust of a listener is unknown; it is empty if all are known.
func firstFault(trusts []trust) string {
	for _, t := range trusts {
		if t.fault != "" {
			return t.fault
		}
	}
	return ""
}

// formatNames lists CA names for a reader, and shortens a long list.
func formatNames(names [][]byte) string {
	var shown []string
	for _, name := range names {
		if len(shown) == maxShown {
			return fmt.Sprintf("%s and %d more", strings.Join(shown, ", "), len(names)-maxShown)
		}
		shown = append(shown, formatName(name))
	}
	return strings.Join(shown, ", ")
}

func formatName(raw []byte) string {
	var sequence pkix.RDNSequence
	if rest, err := asn1.Unmarshal(raw, &sequence); err != nil || len(rest) > 0 {
		return fmt.Sprintf("%.50x (not a name)", raw)
	}
	var name pkix.Name
	name.FillFromRDNSequence(&sequence)
	return fmt.Sprintf("%.100q", name)
}
