package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/internal/shellword"
)

func (v *verification) checkAuthorities() {
	for _, a := range v.plan.Authorities {
		at := path.Join(a.Path(), caCertName)
		certs := v.read(at, v.restore())
		if len(certs) == 0 {
			continue
		}
		cert := certs[0]
		v.checkText(at, encodeCertificates(certs...), false, v.restore())
		loaded := &ca{Authority: a, cert: cert}
		v.cas[a.Name] = loaded
		v.seen = append(v.seen, onDisk{name: a.Name, path: at, cert: cert})
		v.checkAlsoTrusted(loaded)
		if len(certs) > 1 {
			v.findings.add(at, v.restore(), "holds %d certificates, want only the authority's own", len(certs))
		}
		var issuer *x509.Certificate
		if by := v.cas[a.Issuer]; by != nil {
			issuer = by.cert
		}
		for _, fault := range caFaults(cert, issuer, nil) {
			v.findings.add(at, v.restore(), "%v", fault)
		}
		for _, fault := range caDates(cert, v.now) {
			v.findings.add(at, Fix{v.recovery()}, "%v", fault)
		}
		if Due(certs[:1], v.now) && !v.now.After(cert.NotAfter) {
			remedy := v.outlook().remedyFor(v.store.Dir, a)
			v.findings.add(at, remedy.fix(), "is due: %s", describeEnd(cert.NotAfter, v.now))
		}
		fix := Fix{v.recovery(), say("it makes a new certificate for the authority's key")}
		if a.isRoot() {
			fix = Fix{say("a root cannot be changed: replace it by the root of a new store")}
		}
		for _, deviation := range issuingDeviations(a, cert) {
			v.findings.add(at, fix, "%v", deviation)
		}
		v.checkAuthorityKey(a, cert)
	}
}

// checkAlsoTrusted reads the CAs that are trusted beside an authority.
func (v *verification) checkAlsoTrusted(of *ca) {
	at := path.Join(of.Path(), alsoTrustedName)
	var err error
	if of.also, err = readAlsoTrusted(v.store.Dir, of.Authority); err != nil {
		v.addUnreadable(at, err, v.restore())
		return
	}
	if of.also == nil {
		return
	}
	v.checkText(at, encodeCertificates(of.also...), false, v.restore())
	for i, cert := range of.also {
		v.seen = append(v.seen, onDisk{name: alsoTrustedEntry(of.Authority, i), path: at, cert: cert, also: true})
	}
}

func (v *verification) checkAuthorityKey(a Authority, cert *x509.Certificate) {
	at := path.Join(a.Path(), caKeyName)
	switch former, err := v.store.formerKey(a); {
	case err != nil:
		v.findings.add(a.Path(), makeReadable(), "cannot be searched for former keys: %v", err)
	case former == "":
	case a.isRoot():
		v.findings.add(former, Fix{say("the next run that signs removes it:"), v.renew()}, "is a root's key in plain text: a run was killed before it removed the key")
	default:
		v.findings.add(former, Fix{say("the next run removes it:"), v.renew()}, "is the key of a former %s: a run was killed before it removed the key", a.Name)
	}
	key, _, err := readKey(v.pathOf(at)) // its mode is for files to judge
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !a.isRoot() && a.external == nil {
			v.findings.add(at, v.restore(), "is missing: nothing can be renewed without it")
		}
		return // a root's is better kept elsewhere
	case err != nil:
		v.addUnreadable(at, err, v.restore())
		return
	case !samePublicKey(key.Public(), cert.PublicKey):
		v.findings.add(at, v.restore(), "is not the key of %s next to it", caCertName)
	}
	v.checkKeyText(at, key, cert, v.restore())
	if a.isRoot() {
		use, advice := "only making or renewing a CA needs it", "remove it from this machine, or encrypt it to your own recipient:"
		if v.plan.signsLeaves(a) {
			use, advice = "it also signs the leaves, so every renewal needs it", "encrypt it to your own recipient; each renewal then needs --root-key-identity FILE:"
		}
		v.findings.add(at, Fix{say("%s", advice), say("etcdsec pki renew %s --root-key-recipient age1…", shellword.Path(v.store.Dir))},
			"is a root's key in plain text; %s", use)
		v.findings[len(v.findings)-1].Note = v.isYoung()
	}
}

// youth is how long a new store may have its roots' keys in plain text before that is a fault: an operator
// needs them for the first hours at most.
const youth = 24 * time.Hour

// isYoung reports whether the first entry of the ledger is younger than [youth].
func (v *verification) isYoung() bool {
	l, err := readLedger(v.store.Dir)
	return err == nil && len(l.entries) > 0 && v.now.Before(l.entries[0].Time.Add(youth))
}

// constraintDeviations returns how an issuing CA's name constraints differ from the plan: the CA may
// sign names that the cluster does not have, or may not sign some that it has.
func constraintDeviations(want Authority, cert *x509.Certificate) []error {
	var planned x509.Certificate
	want.constraints.apply(&planned)
	var faults []error
	if planned.PermittedDNSDomainsCritical && !cert.PermittedDNSDomainsCritical {
		faults = append(faults, errors.New("has no critical name constraints"))
	}
	if got, want := constraintNames(cert), constraintNames(&planned); got != want {
		faults = append(faults, fmt.Errorf("has the name constraints %s, want %s", got, want))
	}
	return faults
}

// constraintNames writes the name constraints of a CA. Their order has no meaning.
func constraintNames(cert *x509.Certificate) string {
	var names []string
	for _, n := range cert.PermittedIPRanges {
		names = append(names, n.String())
	}
	names = append(names, cert.PermittedDNSDomains...)
	for _, n := range cert.ExcludedIPRanges {
		names = append(names, "not "+n.String())
	}
	for _, n := range cert.ExcludedDNSDomains {
		names = append(names, fmt.Sprintf("not %q", n))
	}
	slices.Sort(names)
	return "[" + strings.Join(slices.Compact(names), " ") + "]"
}
