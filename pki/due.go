package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/agekey"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// Due reports whether a chain, leaf first, must be renewed at the given time: when a third of its
// lifetime is left, or less. A chain lives from the NotBefore of its first certificate to the
// earliest NotAfter of all its certificates.
//
// One rule serves leaves, issuing CAs and roots. An issuing CA that is replaced when it is due
// gives each leaf below it a new lifetime before that leaf itself is due: a leaf that ends with its
// issuer began later, so its last third is shorter.
func Due(chain []*x509.Certificate, now time.Time) bool {
	return !dueAt(chain).After(now)
}

// dueAt returns from when on a chain is [Due].
func dueAt(chain []*x509.Certificate) time.Time {
	end := earliestEnd(chain)
	return end.Add(-end.Sub(chain[0].NotBefore) / 3)
}

// DueDate tells when a certificate is due.
type DueDate struct {
	Name string    `json:"name"`
	At   time.Time `json:"at"`
}

// NextDue returns the certificate of a store that is due first after the given time; nil if none is.
func NextDue(dir string, c *cluster.Cluster, now time.Time) *DueDate {
	var next *DueDate
	for _, row := range StoreStatus(dir, c, now) {
		if len(row.Chain) == 0 {
			continue
		}
		if at := dueAt(row.Chain).UTC(); at.After(now) && (next == nil || at.Before(next.At)) {
			next = &DueDate{Name: row.Name, At: at}
		}
	}
	return next
}

// outlook tells when the certificates end that a run makes. A certificate that ends with its issuer
// is not signed again by that issuer: it would be due again, and signed again, in each run until the
// issuer ends.
type outlook struct {
	plan     Plan
	cas      authorities // those in the store
	now      time.Time
	certify  map[string]signReason // the authorities that get a certificate
	replaced map[string]bool       // those of them that get a new key
}

// caEnd returns when an authority's certificate ends after the run.
func (o outlook) caEnd(name string) time.Time {
	_, certified := o.certify[name]
	if there := o.cas[name]; there != nil && !certified {
		return there.cert.NotAfter
	}
	return o.newCAEnd(o.plan.authority(name))
}

// newCAEnd returns when an authority's certificate ends if it is made now.
func (o outlook) newCAEnd(a Authority) time.Time {
	end := o.now.Add(a.Lifetime).Truncate(time.Second)
	if a.Issuer != "" {
		end = minTime(end, o.caEnd(a.Issuer))
	}
	return end
}

// newLeafEnd returns when a leaf ends if it is signed now.
func (o outlook) newLeafEnd(l Leaf) time.Time {
	return minTime(o.now.Add(o.plan.LeafLifetime).Truncate(time.Second), o.caEnd(l.Issuer))
}

// isCut reports whether a certificate ends with its issuer, so that a new one would end no later. A
// certificate that lives longer than the spec wants, as another tool's may, is not cut: the new one
// is shorter, and ends before its issuer.
func isCut(end, newEnd, issuerEnd time.Time) bool {
	return !newEnd.After(end) && !newEnd.Before(issuerEnd)
}

// caIsCut reports whether an authority's present certificate ends with its issuer.
func (o outlook) caIsCut(a Authority) bool {
	return a.Issuer != "" && isCut(o.cas[a.Name].cert.NotAfter, o.newCAEnd(a), o.caEnd(a.Issuer))
}

// leafIsCut reports whether a leaf that ends at the given time ends with its issuer.
func (o outlook) leafIsCut(l Leaf, end time.Time) bool {
	return isCut(end, o.newLeafEnd(l), o.caEnd(l.Issuer))
}

// limiting returns the authority that decides when an authority ends: itself, or the highest one
// above it that ends at the same time.
func (o outlook) limiting(name string) Authority {
	a := o.plan.authority(name)
	for a.Issuer != "" && !o.caEnd(a.Issuer).After(o.caEnd(a.Name)) {
		a = o.plan.authority(a.Issuer)
	}
	return a
}

// replacedAbove returns the name of the first authority above a leaf that gets a new key; empty if
// none does.
func (o outlook) replacedAbove(l Leaf) string {
	for _, name := range o.plan.issuersAbove(l) {
		if o.replaced[name] {
			return name
		}
	}
	return ""
}

// describeCut tells, in words, that a new leaf gets less than the lifetime of the spec; empty if it
// does not.
func (o outlook) describeCut(l Leaf) string {
	if end := o.newLeafEnd(l); end.Before(o.now.Add(o.plan.LeafLifetime).Truncate(time.Second)) {
		return fmt.Sprintf("shorter than the spec's %s: it ends with %s on %s", formatLifetime(o.plan.LeafLifetime), o.limiting(l.Issuer).Name, end.UTC().Format(time.DateOnly))
	}
	return ""
}

// formatLifetime writes a lifetime in days, or in hours if it is short.
func formatLifetime(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return formatDays(d)
}

// Remedy tells how to renew a certificate that is due.
type Remedy struct {
	// Person means that no scheduled run can do it: it needs a key that is not available, or a
	// restart of everything that trusts a root.
	Person  bool   `json:"person"`
	Why     string `json:"why,omitempty"` // what a person must bring or know; empty if a scheduled run does it
	Command string `json:"command"`       // what to run

	incomplete bool // the command has the stand-in FILE for a file that only a person can name
}

// String joins why and command.
func (r Remedy) String() string {
	if r.Why == "" {
		return r.Command
	}
	return r.Why + ": " + r.Command
}

// fix returns the remedy as a [Fix].
func (r Remedy) fix() Fix {
	command := Line{Text: r.Command, Paste: !r.incomplete}
	if r.Why == "" {
		return Fix{command}
	}
	return Fix{say("%s:", r.Why), command}
}

// remedyFor returns how to renew an authority of the store in dir that is due.
func (o outlook) remedyFor(dir string, a Authority) Remedy {
	if !a.isRoot() && o.caIsCut(a) {
		// Only a new end of the root can move its end.
		root := o.limiting(a.Issuer)
		r := o.remedyFor(dir, root)
		r.Why = fmt.Sprintf("it ends with %s; %s", root.Name, r.Why)
		return r
	}
	if !a.isRoot() {
		return keyRemedy(dir, "renew", o.plan.authority(a.Issuer))
	}
	if root := o.cas[a.Name]; root != nil && a.Issuer == "" && !isSelfSigned(root.cert) {
		return Remedy{
			Person:  true,
			Why:     fmt.Sprintf("another CA, %q, signed it: ask that CA for a new certificate of the same key, import it, then bring it to all members and clients and restart them one by one", root.cert.Issuer.String()),
			Command: fmt.Sprintf("etcdsec pki import authority -f %s %s %s=FILE", shellword.Path(filepath.Join(dir, SpecName)), shellword.Path(dir), a.Name),

			incomplete: true,
		}
	}
	r := keyRemedy(dir, "recover", o.plan.signerOf(a))
	r.Person = true
	r.Why = joinDetails("members and clients read it at their start, so bring the new files to all of them and restart them one by one before it ends", r.Why)
	return r
}

// deviationRemedy returns how to make an authority as the plan wants it.
func (o outlook) deviationRemedy(dir string, a Authority) Remedy {
	if a.isRoot() {
		return newStoreRemedy("a root cannot be changed", dir)
	}
	r := keyRemedy(dir, "recover", o.plan.authority(a.Issuer))
	r.Person = true
	r.Why = joinDetails("a new certificate for its key", r.Why)
	return r
}

// bannedAuthorityRemedy returns how to replace an authority that must not stay in use.
func (o outlook) bannedAuthorityRemedy(dir string, a Authority) Remedy {
	if a.isRoot() {
		return newStoreRemedy("only another root can take its place", dir)
	}
	return keyRemedy(dir, "renew", o.plan.authority(a.Issuer))
}

// newStoreRemedy returns how to replace a root: by the root of a new store.
func newStoreRemedy(why, dir string) Remedy {
	spec := shellword.Path(filepath.Join(dir, SpecName))
	return Remedy{
		Person:     true,
		Why:        why + ": make a new store, and bring its bundles to all members and clients at once",
		Command:    "etcdsec bootstrap -f " + spec + " NEW-STORE",
		incomplete: true,
	}
}

// keyRemedy returns the command to run, which needs an authority's key.
func keyRemedy(dir, verb string, signer Authority) Remedy {
	place := placeOfKey(dir, signer)
	return Remedy{
		Person:  place.needsPerson,
		Why:     place.describe(signer),
		Command: fmt.Sprintf("etcdsec pki %s %s%s", verb, shellword.Path(dir), place.flag),

		incomplete: place.flag != "",
	}
}

// keyPlace tells where an authority's key is and what opens it.
type keyPlace struct {
	needsPerson bool
	what        string // about the key; empty if it is available
	flag        string // for the command, with a space in front
}

func (p keyPlace) describe(a Authority) string {
	if p.what == "" {
		return ""
	}
	return fmt.Sprintf("the key of %s %s", a.Name, p.what)
}

// placeOfKey finds an authority's key without opening it. It assumes that a program which holds the
// key will use it; the run that asks the program finds out.
func placeOfKey(dir string, a Authority) keyPlace {
	at := filepath.Join(dir, filepath.FromSlash(a.Path()))
	if a.external != nil {
		return keyPlace{}
	}
	if there, err := exists(filepath.Join(at, caKeyName)); err != nil {
		return keyPlace{needsPerson: true, what: fmt.Sprintf("cannot be looked for: %v", err)}
	} else if there {
		return keyPlace{}
	}
	data, err := durable.ReadFile(filepath.Join(at, encryptedKeyName), agekey.MaxFileSize)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return keyPlace{needsPerson: true, what: fmt.Sprintf("cannot be read: %v", err)}
	case err != nil:
		return keyPlace{needsPerson: true, what: fmt.Sprintf("is not in the store; put %s back for one run", path.Join(a.Path(), caKeyName))}
	}
	if byPassphrase, err := agekey.HasPassphrase(data); err == nil && byPassphrase {
		return keyPlace{needsPerson: true, what: "is encrypted", flag: " --root-key-passphrase-file FILE"}
	}
	return keyPlace{needsPerson: true, what: "is encrypted", flag: " --root-key-identity FILE"}
}
