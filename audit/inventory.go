package audit

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/hex"
	"fmt"
	"slices"
	"time"
)

// Inventory lists observations in addition to the verdicts: the certificates that every port serves and
// the CAs whose clients it says it accepts. New versions only add fields.
type Inventory struct {
	Listeners []InventoryListener `json:"listeners"`
}

// InventoryListener describes one port by what it showed of itself.
type InventoryListener struct {
	Target  string `json:"target"`
	Host    string `json:"host,omitempty"` // as of a Result
	Kind    Kind   `json:"kind"`
	Cluster string `json:"cluster,omitempty"` // as Clusters names it; empty if it is unknown
	Version string `json:"version,omitempty"` // of the server, as it says itself

	Plaintext bool `json:"plaintext"` // it answers without TLS
	TLS       bool `json:"tls"`
	// RequestsCertificate reports whether it asks a TLS client for a certificate, and AcceptedCAs
	// whose: the subjects of the CAs that it names. Asking without a name means the CAs of its host.
	RequestsCertificate bool     `json:"requests_certificate"`
	AcceptedCAs         []string `json:"accepted_cas"`

	Certificates []ServedCertificate `json:"certificates"` // the chain as it is sent, the leaf first
	// OtherChains are further chains that it sent in other handshakes of the same audit, each once.
	OtherChains [][]ServedCertificate `json:"other_chains,omitempty"`
}

// Chains returns all chains that the port sent, each once. None is empty.
func (l InventoryListener) Chains() [][]ServedCertificate {
	all := append([][]ServedCertificate{l.Certificates}, l.OtherChains...)
	return slices.DeleteFunc(all, func(chain []ServedCertificate) bool { return len(chain) == 0 })
}

// ServedCertificate is one certificate of a chain that a port sends.
type ServedCertificate struct {
	Position  int       `json:"position"` // 0 is the leaf
	Subject   string    `json:"subject"`
	Issuer    string    `json:"issuer"`
	SANs      []string  `json:"sans"`   // at most maxNames, and the number of further ones
	Serial    string    `json:"serial"` // hexadecimal
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	SKID      string    `json:"skid"` // hexadecimal; empty if there is none
	AKID      string    `json:"akid"`
	SHA256    string    `json:"sha256"` // of the DER
	Key       string    `json:"key"`    // such as "ECDSA P-256" or "RSA 3072"
	CA        bool      `json:"ca"`
}

// maxNames limits the lists of names, because whoever runs the port decides their length.
const maxNames = 32

// TakeInventory returns the [Inventory] of the listeners among the targets, in the targets' order.
func TakeInventory(targets []Target) Inventory {
	var listeners []*Listener
	for _, t := range targets {
		if l, ok := t.(*Listener); ok {
			listeners = append(listeners, l)
		}
	}
	inventory := Inventory{Listeners: []InventoryListener{}}
	clusters := Clusters(listeners)
	for _, t := range targets {
		switch t := t.(type) {
		case *Listener:
			inventory.Listeners = append(inventory.Listeners, describe(t, clusters))
		case *StoredData: // the report of a census has always named its store here
			inventory.Listeners = append(inventory.Listeners, InventoryListener{
				Target: t.Address, Host: t.Place().OnHost, Kind: Data, AcceptedCAs: []string{}, Certificates: []ServedCertificate{},
			})
		}
	}
	return inventory
}

// describe returns what a listener showed of itself.
func describe(t *Listener, clusters []*EtcdCluster) InventoryListener {
	l := InventoryListener{
		Target:       t.Address,
		Host:         t.Place().OnHost,
		Kind:         t.Kind,
		Version:      t.Version,
		Plaintext:    t.AnswersPlaintext(),
		AcceptedCAs:  []string{},
		Certificates: []ServedCertificate{},
	}
	for _, c := range clusters {
		if slices.Contains(c.Listeners, t) {
			l.Cluster = c.Address
		}
	}
	var accepted [][]byte
	for _, h := range t.Handshakes {
		l.TLS = l.TLS || h.SpokeTLS
		l.RequestsCertificate = l.RequestsCertificate || h.CertificateRequested
		if len(accepted) == 0 {
			accepted = h.AcceptableCAs
		}
	}
	for i, chain := range t.Chains() {
		if i == 0 {
			l.Certificates = served(chain)
		} else {
			l.OtherChains = append(l.OtherChains, served(chain))
		}
	}
	for _, raw := range accepted {
		l.AcceptedCAs = append(l.AcceptedCAs, nameOf(raw))
	}
	l.AcceptedCAs = shortenNames(l.AcceptedCAs)
	return l
}

func served(chain []*x509.Certificate) []ServedCertificate {
	certificates := []ServedCertificate{}
	for i, cert := range chain {
		sum := sha256.Sum256(cert.Raw)
		certificates = append(certificates, ServedCertificate{
			Position:  i,
			Subject:   nameOf(cert.RawSubject),
			Issuer:    nameOf(cert.RawIssuer),
			SANs:      shortenNames(sansOf(cert)),
			Serial:    cert.SerialNumber.Text(16),
			NotBefore: cert.NotBefore.UTC(),
			NotAfter:  cert.NotAfter.UTC(),
			SKID:      hex.EncodeToString(cert.SubjectKeyId),
			AKID:      hex.EncodeToString(cert.AuthorityKeyId),
			SHA256:    hex.EncodeToString(sum[:]),
			Key:       keyOf(cert),
			CA:        cert.BasicConstraintsValid && cert.IsCA,
		})
	}
	return certificates
}

func sansOf(cert *x509.Certificate) []string {
	sans := slices.Concat(cert.DNSNames, cert.EmailAddresses)
	for _, ip := range cert.IPAddresses {
		sans = append(sans, ip.String())
	}
	for _, uri := range cert.URIs {
		sans = append(sans, uri.String())
	}
	return sans
}

func shortenNames(names []string) []string {
	if len(names) == 0 {
		return []string{}
	}
	if more := len(names) - maxNames; more > 0 {
		return append(slices.Clone(names[:maxNames]), fmt.Sprintf("and %d more", more))
	}
	return names
}

// nameOf returns the RFC 2253 form of an encoded name. Names are compared in this form, so that an
// issuer and an accepted CA are equal if their encodings are.
func nameOf(raw []byte) string {
	var name pkix.RDNSequence
	rest, err := asn1.Unmarshal(raw, &name)
	switch {
	case err != nil || len(rest) > 0:
		return fmt.Sprintf("not a name: %x", raw[:min(len(raw), maxNames)])
	case len(name) == 0 || bytes.Equal(raw, []byte{0x30, 0}):
		return "the empty name"
	default:
		return name.String()
	}
}

func keyOf(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d", key.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	default:
		return cert.PublicKeyAlgorithm.String()
	}
}
