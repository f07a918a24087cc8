package certificates

import (
	"bytes"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// CANameCollision finds two CAs that have the same name.
func CANameCollision() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "ca-name-collision",
		Title:    "Two CAs of the cluster have the same name",
		Severity: audit.Low,
		Rationale: "Verifiers look for an issuer by its name, and clients choose their certificate by the names that the server " +
			"lists. If two CAs share a name, programs try the wrong key or certificate, and people install the wrong file. " +
			"A rotation to a CA with the same name ends in refused handshakes.",
		Method: "Compares the CAs above the leaves of all ports: by public key if the CA's certificate is served or given, and " +
			"otherwise by the authority key identifier in the certificates that it signed. A name that a port lists twice " +
			"means two certificates; only the files show whether they have the same key.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give each CA a unique name when you next create it; etcdsec puts a hash of the key into the name:"),
				audit.Paste("etcdsec pki verify %s", p.Store()),
				audit.Paste("openssl storeutl -noout -text -certs ca.crt | grep -A1 -E 'Subject:|Subject Key Identifier'"),
			}
		},
		References: []string{"RFC 5280 4.1.2.6", "RFC 5280 4.2.1.1", "NIST 800-53 SC-17", "NIST 800-53 CM-6"},
		Run:        runCANameCollision,
	})
}

// authority holds what one port shows of a CA.
type authority struct {
	name  []byte // raw subject
	key   []byte // SubjectPublicKeyInfo; nil if its certificate is unknown
	keyID []byte // nil if it is unknown
	port  string
}

func runCANameCollision(t *audit.EtcdCluster) audit.Outcome {
	ports := t.Of(audit.Client, audit.Peer)
	if len(ports) == 0 {
		return audit.CouldNotTell("no port of etcd was asked")
	}
	var known []authority
	fault := ""
	for _, port := range ports {
		chains := servedChains(port)
		for _, chain := range chains {
			known = append(known, authoritiesOf(port, chain)...)
		}
		switch {
		case len(chains) > 0:
		case !port.HasNoTLS() && fault == "":
			fault = fmt.Sprintf("%s port %s: %s", port.Kind, port.Address, whyNoChain(port))
		}
	}
	if findings := collisions(known); len(findings) > 0 {
		return audit.Failed(findings...)
	}
	if twice := findListedTwice(trustsOf(ports)); twice != "" && fault == "" {
		fault = twice
	}
	switch {
	case fault != "":
		return audit.CouldNotTell(fault)
	case len(known) == 0:
		return audit.Skipped("no port serves a leaf that a CA signed")
	default:
		var names [][]byte
		for _, ca := range known {
			names = append(names, ca.name)
		}
		slices.SortFunc(names, bytes.Compare)
		return audit.Passed("each name belongs to one CA: " + formatNames(slices.CompactFunc(names, bytes.Equal)))
	}
}

// authoritiesOf returns the CAs above a leaf: those whose certificates are known, then the issuer of
// the last one, of which only the name and the key ID are known.
func authoritiesOf(port *audit.Listener, chain []*x509.Certificate) []authority {
	var found []authority
	address := fmt.Sprintf("%s port %s", port.Kind, port.Address)
	above := pathToRoot(port, chain)
	for _, ca := range above[1:] {
		found = append(found, authority{name: ca.RawSubject, key: encodedKey(ca), keyID: ca.SubjectKeyId, port: address})
	}
	if last := above[len(above)-1]; !selfIssued(last) {
		found = append(found, authority{name: last.RawIssuer, keyID: last.AuthorityKeyId, port: address})
	}
	return found
}

// encodedKey returns a key in the one encoding that crypto/x509 gives it, because certificates can have
// others of the same key.
func encodedKey(cert *x509.Certificate) []byte {
	der, err := x509.MarshalPKIXPublicKey(cert.PublicKey)
	if err != nil {
		return cert.RawSubjectPublicKeyInfo // of a kind that crypto/x509 does not know
	}
	return der
}

// collisions returns one finding for each name that two CAs have.
func collisions(known []authority) []audit.Finding {
	var findings []audit.Finding
	var named [][]byte
	for i, b := range known {
		for _, a := range known[:i] {
			if !a.differs(b) || slices.ContainsFunc(named, func(name []byte) bool { return bytes.Equal(name, b.name) }) {
				continue
			}
			named = append(named, b.name)
			findings = append(findings, audit.Finding{Code: "keys", Text: fmt.Sprintf("the CA %s has the key %[3]s on the %[2]s, and the key %[5]s on the %[4]s",
				formatName(b.name), a.port, a.formatKey(), b.port, b.formatKey())})
		}
	}
	return findings
}

// differs reports whether two CAs have one name and, for certain, two keys. Key IDs of one key
// can differ by how they are computed, so the keys themselves are compared where both are known.
func (a authority) differs(b authority) bool {
	switch {
	case !bytes.Equal(a.name, b.name):
		return false
	case a.key != nil && b.key != nil:
		return !bytes.Equal(a.key, b.key)
	default:
		return len(a.keyID) > 0 && len(b.keyID) > 0 && !bytes.Equal(a.keyID, b.keyID)
	}
}

func (a authority) formatKey() string {
	if len(a.keyID) == 0 {
		return "without a key ID"
	}
	return hex.EncodeToString(a.keyID[:min(len(a.keyID), 32)])
}

// findListedTwice names a port that trusts two certificates with one name; it returns "" if there is none.
func findListedTwice(trusts []trust) string {
	for _, t := range trusts {
		for i := 1; i < len(t.names); i++ {
			if bytes.Equal(t.names[i], t.names[i-1]) {
				return fmt.Sprintf("%s port %s trusts two certificates with the CA name %s; only its file shows whether they have the same key",
					t.listener.Kind, t.listener.Address, formatName(t.names[i]))
			}
		}
	}
	return ""
}
