package pki

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Renewal tells which leaves to sign anew. The zero value renews none, and issues missing ones.
type Renewal struct {
	Due bool // leaves that are due, or differ from the plan
	All bool // every leaf
	// Names are leaves ("etcd-0/server"), members ("etcd-0") or clients ("clients/backup",
	// "backup"). When there are any, nothing else is renewed or issued.
	Names []string
	// NewKey makes a new key for each leaf. Otherwise a leaf keeps its key, so that a server can
	// read the old certificate or the new one at any time.
	NewKey bool
	// Requests are CSRs by their leaves. If it is not nil, only these leaves are signed, for
	// the keys of the CSRs.
	Requests map[LeafID]*x509.CertificateRequest
	// Jitter makes each leaf due earlier, by a part of it that depends on the serial number, so that
	// leaves of the same day do not all change on one day again.
	Jitter time.Duration
	// ListsOnly signs revocation lists and nothing else.
	ListsOnly bool
	// ForgetImport drops what imported leaves have beyond the spec: their CNs, names and uses.
	ForgetImport bool
	// Authorities also certifies CAs anew that expired or are due, and issuing CAs that differ from
	// the plan, with their existing keys.
	Authorities bool
}

// replacesIssuing reports whether the run replaces issuing CAs that are due, with all leaves
// below them. A run for some leaves only does not: the other leaves would keep the former issuer.
func (r Renewal) replacesIssuing() bool {
	return (r.Due || r.All) && len(r.Names) == 0 && r.Requests == nil && !r.ListsOnly
}

// newReason returns the ledger's reason for a leaf that did not exist before.
func (r Renewal) newReason() signReason {
	if r.Requests != nil {
		return reasonCSR
	}
	return reasonNew
}

// check refuses names that the plan does not have, and CSRs that do not match it.
func (r Renewal) check(plan Plan, entries []Entry, record revocationRecord) error {
	faults := r.unknownNames(plan)
	seen := map[string]string{}
	for l := range plan.leaves() {
		csr := r.Requests[l.ID]
		if csr == nil {
			continue
		}
		err := errors.Join(CheckRequest(l, csr), checkReuse(l, csr, entries, record))
		key := publicKeyHash(csr.PublicKey, csr.RawSubjectPublicKeyInfo)
		if first, twice := seen[key]; twice {
			err = errors.Join(err, fmt.Errorf("the request for %s has the same key", first))
		}
		seen[key] = l.Name
		if err != nil {
			faults = append(faults, fmt.Errorf("the request for %s: %w", l.Name, err))
		}
	}
	return errors.Join(faults...)
}

// unknownNames returns a fault for each name that the plan does not have.
func (r Renewal) unknownNames(plan Plan) []error {
	var faults []error
	for _, name := range r.Names {
		if _, _, known := plan.Find(name); !known {
			faults = append(faults, fmt.Errorf("the spec has no member, client or leaf %q", name))
		}
	}
	return faults
}

// resolved returns the renewal with the names of leaves in place of the names that a person gave. The
// plan must have all of them.
func (r Renewal) resolved(plan Plan) Renewal {
	var names []string
	for _, name := range r.Names {
		_, leaves, _ := plan.Find(name)
		for _, l := range leaves {
			names = append(names, l.Name)
		}
	}
	r.Names = names
	return r
}

// selects reports whether this run concerns a leaf.
func (r Renewal) selects(l Leaf) bool {
	if r.Requests != nil {
		return r.Requests[l.ID] != nil
	}
	return !r.ListsOnly && len(r.Names) == 0 || slices.Contains(r.Names, l.Name)
}

// leafNeed tells what a run does with a leaf that exists.
type leafNeed struct {
	cause string // why it must be renewed, in words; empty if it must not
	waits bool   // it is due, but ends with its issuer, so a new one would end no later
}

// findNeed tells whether a leaf must be renewed, and why. A banned one must, whatever the run is for.
func (r Renewal) findNeed(l Leaf, chain []*x509.Certificate, problems []string, b ban, o outlook) leafNeed {
	end := earliestEnd(chain)
	switch {
	case !r.selects(l):
		return leafNeed{}
	case b.banned():
		return leafNeed{cause: strings.Join(append([]string{b.cause}, problems...), "; ")}
	case r.Requests == nil && !r.Due && !r.All && len(r.Names) == 0:
		return leafNeed{}
	case len(problems) > 0:
		return leafNeed{cause: strings.Join(problems, "; ")}
	case r.Requests != nil:
		return leafNeed{cause: "for the key of a CSR; " + describeEnd(end, o.now)}
	case o.replacedAbove(l) != "":
		return leafNeed{cause: fmt.Sprintf("its issuer %s is replaced; %s", o.replacedAbove(l), describeEnd(end, o.now))}
	case r.All || len(r.Names) > 0:
		return leafNeed{cause: "asked for; " + describeEnd(end, o.now)}
	case !Due(chain, o.now.Add(r.jitterFor(chain))):
		return leafNeed{}
	case !o.leafIsCut(l, end):
		return leafNeed{cause: describeEnd(end, o.now)}
	case !Due(chain, o.now):
		return leafNeed{} // early by the jitter, and not better for it
	}
	return leafNeed{waits: true}
}

// reason returns the ledger's reason for a renewal.
func (r Renewal) reason(l Leaf, problems []string, b ban, o outlook) signReason {
	switch {
	case r.Requests != nil:
		return reasonCSR
	case b.banned():
		return reasonRevoked
	case len(problems) > 0:
		return reasonDeviates
	case o.replacedAbove(l) != "":
		return reasonIssuer
	case r.All || len(r.Names) > 0:
		return reasonAsked
	}
	return reasonDue
}

// jitterFor returns how much earlier a chain is due because of the jitter. It is at most a third of
// the chain's lifetime, so that a new chain is never due at once.
func (r Renewal) jitterFor(chain []*x509.Certificate) time.Duration {
	if r.Jitter <= 0 {
		return 0
	}
	sum := sha256.Sum256(chain[0].SerialNumber.Bytes())
	part := float64(binary.BigEndian.Uint32(sum[:4])) / (1 << 32)
	most := min(r.Jitter, earliestEnd(chain).Sub(chain[0].NotBefore)/3)
	return time.Duration(part * float64(most))
}

// earliestEnd returns the earliest NotAfter of a chain's certificates, when the chain ends.
func earliestEnd(chain []*x509.Certificate) time.Time {
	end := chain[0].NotAfter
	for _, cert := range chain[1:] {
		end = minTime(end, cert.NotAfter)
	}
	return end
}

// describeEnd tells, in words, how much lifetime is left, or when it ended.
func describeEnd(end, now time.Time) string {
	date := end.UTC().Format(time.DateOnly)
	if now.After(end) {
		return "expired on " + date
	}
	if left := end.Sub(now); left < 48*time.Hour {
		return fmt.Sprintf("%d hours left, until %s", int(left.Hours()), end.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("%d days left, until %s", int(end.Sub(now).Hours()/24), date)
}
