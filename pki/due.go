package pki

import (
	"crypto/x509"
	"fmt"
	"path"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/internal/agekey"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// Due reports whether a chain, leaf first, is to be renewed at the given time: with a third of
// its lifetime left, or less. A chain lives from when its first certificate begins to when the
// first of all its certificates ends.
//
// One rule serves leaves, issuing CAs and roots. An issuing CA that is replaced when it is due
// gives each leaf below it a new lifetime before that leaf is due by itself: a leaf that was cut
// to the end of its issuer began later, and so has a shorter third.
func Due(chain []*x509.Certificate, now time.Time) bool {
	end := earliestEnd(chain)
	return end.Sub(now) <= end.Sub(chain[0].NotBefore)/3
}

// outlook says when certificates would end that a run makes. One that was cut to the end of its
// issuer is not signed again below it: it would be due again, and be signed again, in each run
// until that issuer ends.
type outlook struct {
	plan     Plan
	cas      authorities // as the store has them
	now      time.Time
	certify  map[string]signReason // the authorities that get a certificate
	replaced map[string]bool       // those of them that get it for a new key
}

// caEnd returns when an authority's certificate ends after the run.
func (o outlook) caEnd(name string) time.Time {
	_, certified := o.certify[name]
	if there := o.cas[name]; there != nil && !certified {
		return there.cert.NotAfter
	}
	return o.newCAEnd(o.plan.authority(name))
}

// newCAEnd returns when a certificate would end that an authority got now.
func (o outlook) newCAEnd(a Authority) time.Time {
	end := o.now.Add(a.Lifetime).Truncate(time.Second)
	if a.Issuer != "" {
		end = minTime(end, o.caEnd(a.Issuer))
	}
	return end
}

// newLeafEnd returns when a leaf would end that was signed now.
func (o outlook) newLeafEnd(l Leaf) time.Time {
	return minTime(o.now.Add(o.plan.LeafLifetime).Truncate(time.Second), o.caEnd(l.Issuer))
}

// isCut reports whether signing again what ends at the given time would help nobody: the new one
// would end no later, because its issuer ends then. A certificate that lives longer than the spec
// wants, as another tool's may, is not cut: the new one is shorter, and ends on its own.
func isCut(end, newEnd, issuerEnd time.Time) bool {
	return !newEnd.After(end) && !newEnd.Before(issuerEnd)
}

// caIsCut reports whether an authority's certificate that is there ends with its issuer.
func (o outlook) caIsCut(a Authority) bool {
	return a.Issuer != "" && isCut(o.cas[a.Name].cert.NotAfter, o.newCAEnd(a), o.caEnd(a.Issuer))
}

// leafIsCut reports whether a leaf that ends at the given time does so with its issuer.
func (o outlook) leafIsCut(l Leaf, end time.Time) bool {
	return isCut(end, o.newLeafEnd(l), o.caEnd(l.Issuer))
}

// limiting returns the authority whose end is also that of an authority: itself, or the highest
// one above it that ends when it does.
func (o outlook) limiting(name string) Authority {
	a := o.plan.authority(name)
	for a.Issuer != "" && !o.caEnd(a.Issuer).After(o.caEnd(a.Name)) {
		a = o.plan.authority(a.Issuer)
	}
	return a
}

// replacedAbove names the first authority behind a leaf that gets a new key; empty if none does.
func (o outlook) replacedAbove(l Leaf) string {
	for _, name := range o.plan.issuersAbove(l) {
		if o.replaced[name] {
			return name
		}
	}
	return ""
}

// describeCut says that a new leaf gets less than the lifetime of the spec; empty if it does not.
func (o outlook) describeCut(l Leaf) string {
	if end := o.newLeafEnd(l); end.Before(o.now.Add(o.plan.LeafLifetime).Truncate(time.Second)) {
		return fmt.Sprintf("shorter than the spec's %s: it ends with %s on %s", formatLifetime(o.plan.LeafLifetime), o.limiting(l.Issuer).Name, end.UTC().Format(time.DateOnly))
	}
	return ""
}

// formatLifetime writes a lifetime in days, or in hours where it is short.
func formatLifetime(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return formatDays(d)
}

// Remedy says how a certificate that is due is renewed.
type Remedy struct {
	// Person means that no scheduled run can do it: it takes a key that is not at hand, or the
	// restart of what trusts a root.
	Person  bool   `json:"person"`
	Why     string `json:"why,omitempty"` // what a person has to bring or to know; empty if a scheduled run does it
	Command string `json:"command"`       // what to run

	incomplete bool // FILE stands in the command for a file that only a person can name
}

// String joins why and command.
func (r Remedy) String() string {
	if r.Why == "" {
		return r.Command
	}
	return r.Why + ": " + r.Command
}

// fix returns the remedy of a finding.
func (r Remedy) fix() Fix {
	command := Line{Text: r.Command, Paste: !r.incomplete}
	if r.Why == "" {
		return Fix{command}
	}
	return Fix{say("%s:", r.Why), command}
}

// remedyFor returns how an authority of the store in dir that is due is renewed.
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
	r := keyRemedy(dir, "recover", o.plan.signerOf(a))
	r.Person = true
	r.Why = joinDetails("members and clients read it at their start, so bring the new files to all of them and restart them one by one before it ends", r.Why)
	return r
}

// keyRemedy returns what to run with an authority's key.
func keyRemedy(dir, verb string, signer Authority) Remedy {
	place := placeOfKey(dir, signer)
	return Remedy{
		Person:  place.needsPerson,
		Why:     place.describe(signer),
		Command: fmt.Sprintf("etcdsec pki %s %s%s", verb, shellword.Path(dir), place.flag),

		incomplete: place.flag != "",
	}
}

// keyPlace says where an authority's key is and what opens it.
type keyPlace struct {
	needsPerson bool
	what        string // about the key; empty if it is at hand
	flag        string // for the command, with a space in front
}

func (p keyPlace) describe(a Authority) string {
	if p.what == "" {
		return ""
	}
	return fmt.Sprintf("the key of %s %s", a.Name, p.what)
}

// placeOfKey finds an authority's key without opening it. A program that has the key is taken to
// give it; the run that asks it finds out.
func placeOfKey(dir string, a Authority) keyPlace {
	at := filepath.Join(dir, filepath.FromSlash(a.Path()))
	if a.external != nil || exists(filepath.Join(at, caKeyName)) {
		return keyPlace{}
	}
	data, err := durable.ReadFile(filepath.Join(at, encryptedKeyName), agekey.MaxFileSize)
	if err != nil {
		return keyPlace{needsPerson: true, what: fmt.Sprintf("is not in the store; put %s back for one run", path.Join(a.Path(), caKeyName))}
	}
	if byPassphrase, err := agekey.HasPassphrase(data); err == nil && byPassphrase {
		return keyPlace{needsPerson: true, what: "is encrypted", flag: " --root-key-passphrase-file FILE"}
	}
	return keyPlace{needsPerson: true, what: "is encrypted", flag: " --root-key-identity FILE"}
}
