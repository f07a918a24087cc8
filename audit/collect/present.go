package collect

import (
	"crypto/tls"

	"github.com/etcdsec/etcdsec/audit"
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
