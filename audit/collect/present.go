package collect

import (
	"crypto/tls"
	"crypto/x509"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/pki"
)

// Faulty is a certificate that a port should refuse although it is of a CA that it trusts.
type Faulty struct {
	Identity    audit.Identity // one of FaultyIdentities
	Certificate *tls.Certificate
}

// FaultyIdentities are the faults that can be presented, with the kind of port at which each is.
func FaultyIdentities() map[audit.Identity]audit.Kind {
	return map[audit.Identity]audit.Kind{
		audit.ExpiredCertificate: audit.Client,
		audit.ServersOnly:        audit.Client,
		audit.RevokedCertificate: audit.Client,
		audit.ElsewhereMember:    audit.Peer,
	}
}

// faulty are the clients with a fault that the port is to refuse.
func (p *prober) faulty() []client {
	var clients []client
	dates := false
	for _, f := range p.config.Faulty {
		if FaultyIdentities()[f.Identity] != p.endpoint.Kind {
			continue
		}
		dates = dates || f.Identity == audit.ExpiredCertificate
		c := client{presented: f.Identity, certificate: f.Certificate}
		clients = append(clients, c)
		if f.Identity == audit.ElsewhereMember {
			clients = append(clients, c) // a closed connection says more the second time
		}
	}
	if p.endpoint.Kind == audit.Client && !dates {
		clients = append(clients, client{presented: audit.ExpiredForeign, certificate: p.expired})
	}
	return clients
}

// newStranger is the certificate of a CA that nobody trusts. A nil name is its own; else
// it claims to be issued by the CA of that raw subject.
func newStranger(rawSubject []byte, now time.Time) (*tls.Certificate, error) {
	ca, err := pki.NewThrowaway(pki.ThrowawayConfig{
		CommonName: "etcdsec audit: not to be trusted",
		RawSubject: rawSubject,
		NotBefore:  now.Add(-time.Hour),
		NotAfter:   now.Add(24 * time.Hour),
	})
	if err != nil {
		return nil, err
	}
	// No SAN: etcd's peer port compares the SANs of a client with its address, and skips
	// that for a certificate without any. Only the CA is to be judged here. The CN tells
	// who reads the server's log what this was.
	leaf, err := ca.Leaf(pki.LeafTemplate{
		CommonName: "etcdsec-audit",
		EKUs:       []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	if err != nil {
		return nil, err
	}
	return &leaf, nil
}
