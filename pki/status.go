package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// State is the verdict on a certificate at one time.
type State string

// The states. If several of them apply to a certificate, it has the last one of this list.
const (
	StateOK          State = "ok"
	StateDue         State = "due" // a third of its lifetime is left, or less
	StateWrongNames  State = "wrong-names"
	StateWrongIssuer State = "wrong-issuer"
	StateNotYetValid State = "not-yet-valid"
	StateExpired     State = "expired"
	StateUnreadable  State = "unreadable"
)

// States returns every [State], the best first.
func States() []State {
	return []State{StateOK, StateDue, StateWrongNames, StateWrongIssuer, StateNotYetValid, StateExpired, StateUnreadable}
}

// Status is one certificate and its [State]. The CAs that follow a leaf in its file belong to it: it
// ends when the first of them ends.
type Status struct {
	Source string // the file or endpoint
	Name   string // in the plan of a store; otherwise that of the file
	Role   string // ca, server, client, peer, or the role of a client in the spec
	Chain  []*x509.Certificate
	State  State
	Detail string
}

// Judge returns the state of a chain, only by its dates, and why. An empty chain is unreadable.
func Judge(chain []*x509.Certificate, now time.Time) (State, string) {
	if len(chain) == 0 {
		return StateUnreadable, "there is no certificate"
	}
	for _, cert := range chain {
		if now.Before(cert.NotBefore) {
			return StateNotYetValid, fmt.Sprintf("%q is valid from %s", cert.Subject.CommonName, cert.NotBefore.UTC().Format(time.RFC3339))
		}
	}
	end := earliestEnd(chain)
	detail := ""
	if end.Before(chain[0].NotAfter) {
		detail = fmt.Sprintf("a CA in its file ends on %s", end.UTC().Format(time.DateOnly))
	}
	if now.After(end) {
		return StateExpired, detail
	}
	for _, cert := range chain {
		if Due(cert, now) {
			return StateDue, detail
		}
	}
	return StateOK, ""
}

// Ends returns the time when the first certificate of the chain ends. Without a chain it is the zero
// time.
func (s Status) Ends() time.Time {
	if len(s.Chain) == 0 {
		return time.Time{}
	}
	return earliestEnd(s.Chain)
}

// DescribeKey returns a public key's algorithm and size.
func DescribeKey(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		return key.Curve.Params().Name
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA-%d", key.N.BitLen())
	case ed25519.PublicKey:
		return "Ed25519"
	}
	return cert.PublicKeyAlgorithm.String()
}

// SANs returns the names of a certificate, IP addresses first.
func SANs(cert *x509.Certificate) []string {
	names, _ := namesOf(cert)
	return names.Strings()
}

// StoreStatus returns the state of every certificate of a store's [Plan], in plan order. It reads
// without the store's lock, because bundles change as a whole.
func StoreStatus(dir string, c *cluster.Cluster, now time.Time) []Status {
	plan := NewPlan(c)
	cas := authorities{}
	var rows []Status
	for _, a := range plan.Authorities {
		path := filepath.Join(dir, filepath.FromSlash(a.Path()), caCertName)
		row := Status{Source: path, Name: a.Name, Role: RoleCA}
		certs, err := ReadCertificates(path)
		if err == nil {
			row.Chain = certs[:1]
			row.State, row.Detail = Judge(row.Chain, now)
			var issuer *x509.Certificate
			if by := cas[a.Issuer]; by != nil {
				issuer = by.cert
			}
			if faults := caFaults(certs[0], issuer, nil); len(faults) > 0 {
				row.State, row.Detail = StateWrongIssuer, joinFaults(faults)
			}
			cas[a.Name] = &ca{Authority: a, cert: certs[0]}
		}
		rows = append(rows, row.withError(err))
	}
	for _, b := range plan.Bundles {
		for _, l := range b.Leaves {
			rows = append(rows, leafStatus(plan, cas, filepath.Join(dir, filepath.FromSlash(b.Path), filepath.FromSlash(l.CertFile)), l, now))
		}
	}
	return rows
}

// withError returns the row. If err is not nil, the row is unreadable, with err as its detail.
func (s Status) withError(err error) Status {
	if err != nil {
		s.State, s.Detail = StateUnreadable, trimPath(err).Error()
	}
	return s
}

// leafStatus returns the state of a leaf of a store's plan.
func leafStatus(plan Plan, cas authorities, path string, l Leaf, now time.Time) Status {
	row := Status{Source: path, Name: l.Name, Role: l.Role}
	chain, err := ReadCertificates(path)
	if err != nil {
		return row.withError(err)
	}
	row.Chain = chain
	row.State, row.Detail = Judge(chain, now)
	if row.State == StateExpired || row.State == StateNotYetValid {
		return row
	}
	if replaced := plan.replacedIssuers(l, chain, cas); len(replaced) > 0 {
		row.State, row.Detail = StateWrongIssuer, fmt.Sprintf("its issuer %s was replaced", replaced[0])
		return row
	}
	if root := cas[l.Root]; root != nil {
		for _, eku := range l.EKUs {
			if err := verifyChain(chain, root.cert, eku, now); err != nil {
				row.State, row.Detail = StateWrongIssuer, err.Error()
				return row
			}
		}
	}
	if faults := verifyNames(l, chain[0]); len(faults) > 0 {
		row.State, row.Detail = StateWrongNames, joinFaults(faults)
	}
	return row
}
