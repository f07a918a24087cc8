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
	"github.com/etcdsec/etcdsec/internal/shellword"
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
	// StateRevoked means that the certificate was revoked, or another one with the same key because
	// the key was stolen.
	StateRevoked    State = "revoked"
	StateUnreadable State = "unreadable"
)

// States returns every [State], the best first.
func States() []State {
	return []State{StateOK, StateDue, StateWrongNames, StateWrongIssuer, StateNotYetValid, StateExpired, StateRevoked, StateUnreadable}
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
	// Remedy tells how to renew a certificate of a store that is due; nil for the others.
	Remedy *Remedy
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
	if Due(chain, now) {
		return StateDue, detail
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
	o := outlook{plan: NewPlan(c), cas: authorities{}, now: now}
	if plan, err := o.plan.keepImported(dir); err == nil { // a damaged ledger is for verify to report
		o.plan = plan
	}
	var rows []Status
	entries, err := ReadLedger(dir)
	if err != nil {
		// Nothing else tells which of the certificates are revoked.
		rows = append(rows, Status{Source: filepath.Join(dir, ledgerName), Name: ledgerName}.withError(err))
	}
	record := recordOf(entries)
	for _, a := range o.plan.Authorities {
		path := filepath.Join(dir, filepath.FromSlash(a.Path()), caCertName)
		row := Status{Source: path, Name: a.Name, Role: RoleCA}
		certs, err := ReadCertificates(path)
		if err == nil {
			row.Chain = certs[:1]
			row.State, row.Detail = Judge(row.Chain, now)
			var issuer *x509.Certificate
			if by := o.cas[a.Issuer]; by != nil {
				issuer = by.cert
			}
			loaded := &ca{Authority: a, cert: certs[0]}
			loaded.also, err = readAlsoTrusted(dir, a)
			o.cas[a.Name] = loaded
			row = row.judgeAuthority(dir, o, a, issuer, record.banOf(certs[0]))
		}
		rows = append(rows, row.withError(err))
		rows = append(rows, alsoTrustedStatus(dir, o.cas[a.Name], now)...)
	}
	for _, b := range o.plan.Bundles {
		drifted, err := (&Store{Dir: dir}).trustDrift(b, o.cas)
		for _, l := range b.Leaves {
			at := filepath.Join(dir, filepath.FromSlash(b.Path))
			row := leafStatus(o, filepath.Join(at, filepath.FromSlash(l.CertFile)), l)
			var banned ban
			if len(row.Chain) > 0 {
				if banned = record.banOf(row.Chain[0]); !banned.banned() {
					banned = record.banAbove(row.Chain)
				}
			}
			switch {
			case banned.banned():
				row.State, row.Detail = StateRevoked, joinDetails(banned.cause, row.Detail)
				keyHere, err := exists(filepath.Join(at, filepath.FromSlash(l.KeyFile)))
				row = row.withRemedy(o.banRemedy(dir, l, banned, keyHere)).withError(err)
			case row.State == StateDue:
				row = row.withRemedy(o.leafRemedy(dir, l, row.Ends()))
			case row.State == StateOK && err != nil:
				row = row.withError(err)
			case row.State == StateOK && len(drifted) > 0:
				row.State, row.Detail = StateWrongIssuer, describeDrift(drifted[0])
			case row.State == StateOK:
				row.Detail = joinDetails(row.Detail, describeKept(l))
			}
			rows = append(rows, row)
		}
	}
	return rows
}

// judgeAuthority returns the row of an authority with the state that its plan, its issuer and the
// ledger give it.
func (s Status) judgeAuthority(dir string, o outlook, a Authority, issuer *x509.Certificate, b ban) Status {
	cert := s.Chain[0]
	faults, deviations := caFaults(cert, issuer, nil), caDeviations(a, cert)
	switch {
	case b.banned():
		s.State, s.Detail = StateRevoked, joinDetails(b.cause, s.Detail)
		return s.withRemedy(o.bannedAuthorityRemedy(dir, a))
	case len(faults) > 0:
		s.State, s.Detail = StateWrongIssuer, joinFaults(faults)
	case s.State == StateExpired || s.State == StateNotYetValid:
	case len(deviations) > 0:
		s.State, s.Detail = StateWrongNames, joinFaults(deviations)
		return s.withRemedy(o.deviationRemedy(dir, a))
	case s.State == StateDue:
		return s.withRemedy(o.remedyFor(dir, a))
	}
	return s
}

// alsoTrustedStatus returns the rows of the CAs that are trusted beside an authority. They are never
// due: nothing here renews them.
func alsoTrustedStatus(dir string, of *ca, now time.Time) []Status {
	if of == nil {
		return nil
	}
	var rows []Status
	for i, cert := range of.also {
		row := Status{Source: filepath.Join(dir, filepath.FromSlash(of.Path()), alsoTrustedName), Name: alsoTrustedEntry(of.Authority, i), Role: RoleCA, Chain: []*x509.Certificate{cert}}
		if row.State, _ = Judge(row.Chain, now); row.State == StateDue {
			row.State = StateOK
		}
		row.Detail = "trusted beside " + of.Name + "; its key is not in this store"
		rows = append(rows, row)
	}
	return rows
}

// alsoTrustedEntry returns the name of a CA that is trusted beside an authority, for the ledger.
func alsoTrustedEntry(a Authority, i int) string { return fmt.Sprintf("trusted/%s-%d", a.Name, i+1) }

// withRemedy returns the row with what to do about it.
func (s Status) withRemedy(r Remedy) Status {
	s.Remedy, s.Detail = &r, joinDetails(s.Detail, r.String())
	return s
}

// stateRemedy returns how to renew a leaf that is due or banned.
func (o outlook) stateRemedy(dir string, l Leaf, state leafState) Remedy {
	if state.ban.banned() {
		return o.banRemedy(dir, l, state.ban, state.key != nil)
	}
	return o.leafRemedy(dir, l, earliestEnd(state.chain))
}

// banRemedy returns how to replace a leaf that must not stay in use. keyHere means that its key is in
// the store.
func (o outlook) banRemedy(dir string, l Leaf, b ban, keyHere bool) Remedy {
	if b.compromised && !keyHere {
		return nodeKeyRemedy(l)
	}
	return keyRemedy(dir, "renew", o.plan.authority(l.Issuer))
}

// nodeKeyRemedy returns how to replace a key that is only on its node.
func nodeKeyRemedy(l Leaf) Remedy {
	return Remedy{
		Person:     true,
		Why:        "its key is only on its node; make a new one there, and bring its request to etcdsec pki sign",
		Command:    "etcdsec pki csr -f cluster.yaml " + shellword.Path(l.Name) + " ./new",
		incomplete: true,
	}
}

// leafRemedy returns how to renew a leaf that is due and ends at the given time.
func (o outlook) leafRemedy(dir string, l Leaf, end time.Time) Remedy {
	if !o.leafIsCut(l, end) {
		return keyRemedy(dir, "renew", o.plan.authority(l.Issuer))
	}
	limiting := o.limiting(l.Issuer)
	r := o.remedyFor(dir, limiting)
	r.Why = joinDetails("it ends with "+limiting.Name, r.Why)
	return r
}

// withError returns the row. If err is not nil, the row is unreadable, with err as its detail.
func (s Status) withError(err error) Status {
	if err != nil {
		s.State, s.Detail = StateUnreadable, trimPath(err).Error()
	}
	return s
}

// leafStatus returns the state of a leaf of a store's plan.
func leafStatus(o outlook, path string, l Leaf) Status {
	plan, cas, now := o.plan, o.cas, o.now
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
			if err := verifyChainTo(chain, root.trust(), eku, now); err != nil {
				row.State, row.Detail = StateWrongIssuer, err.Error()
				return row
			}
		}
	}
	if faults := verifyContent(l, chain[0], chain[0].PublicKey); len(faults) > 0 {
		row.State, row.Detail = StateWrongNames, joinFaults(faults)
		return row
	}
	if root := cas[l.Root]; root != nil {
		if faults := verifyNestingBelow(chain, root.trust()); len(faults) > 0 {
			row.State, row.Detail = StateWrongIssuer, joinFaults(faults)
		}
	}
	return row
}
