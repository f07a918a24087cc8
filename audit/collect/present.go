package collect

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/clientcert"
	"github.com/etcdsec/etcdsec/internal/input"
)

// Faulty is a certificate that a port should refuse, although the port trusts its CA.
type Faulty struct {
	Identity    audit.Identity // one of FaultyIdentities
	Certificate *tls.Certificate
}

// faultWords returns an operator's words for each fault.
func faultWords() map[string]audit.Identity {
	return map[string]audit.Identity{
		"expired":      audit.ExpiredCertificate,
		"servers-only": audit.ServersOnly,
		"revoked":      audit.RevokedCertificate,
		"elsewhere":    audit.ElsewhereMember,
	}
}

// FaultWords returns an operator's words for the faults.
func FaultWords() []string { return slices.Sorted(maps.Keys(faultWords())) }

// FaultSyntaxError means that a faulty certificate is not written as FAULT=CERT,KEY, or is given
// twice.
type FaultSyntaxError struct {
	Written string
	Err     error
}

func (e *FaultSyntaxError) Error() string { return e.Written + ": " + e.Err.Error() }
func (e *FaultSyntaxError) Unwrap() error { return e.Err }

// LoadFaulty loads the certificates that an operator wrote as FAULT=CERT,KEY. FAULT is expired,
// servers-only, revoked or elsewhere, each at most once. The error is a [*FaultSyntaxError], or
// is about a file.
func LoadFaulty(files *input.Files, written []string) ([]Faulty, error) {
	var all []Faulty
	for _, w := range written {
		word, pair, _ := strings.Cut(w, "=")
		certPath, keyPath, both := strings.Cut(pair, ",")
		identity, known := faultWords()[word]
		switch {
		case !known || !both || certPath == "" || keyPath == "":
			words := strings.Join(FaultWords(), ", ")
			return nil, &FaultSyntaxError{Written: w, Err: fmt.Errorf("want FAULT=CERT,KEY, where FAULT is %s", words)}
		case slices.ContainsFunc(all, func(f Faulty) bool { return f.Identity == identity }):
			return nil, &FaultSyntaxError{Written: w, Err: errors.New("a certificate with that fault is given twice")}
		}
		loaded, err := clientcert.Pair(files, certPath, keyPath)
		if err != nil {
			return nil, err
		}
		all = append(all, Faulty{Identity: identity, Certificate: loaded})
	}
	return all, nil
}

// AddFaulty adds the certificates that exist and whose fault is not presented yet.
func AddFaulty(all []Faulty, more ...Faulty) []Faulty {
	for _, m := range more {
		given := slices.ContainsFunc(all, func(f Faulty) bool { return f.Identity == m.Identity })
		if m.Certificate != nil && !given {
			all = append(all, m)
		}
	}
	return all
}

// FaultyIdentities returns the faults that can be presented, each with the kind of port to which
// it is presented.
func FaultyIdentities() map[audit.Identity]audit.Kind {
	return map[audit.Identity]audit.Kind{
		audit.ExpiredCertificate: audit.Client,
		audit.ServersOnly:        audit.Client,
		audit.RevokedCertificate: audit.Client,
		audit.ElsewhereMember:    audit.Peer,
	}
}

// faultyClients returns the clients that the port should refuse because of a fault.
func (p *prober) faultyClients() []client {
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
