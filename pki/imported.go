package pki

import (
	"crypto/x509"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// keepImported returns the plan in which each imported leaf keeps what it is for beyond the spec: its
// CN, its names and its extended key usages. Whoever relies on them may not know the spec. A renewed
// leaf keeps them too, until a renewal drops them with [Renewal.ForgetImport]: what its certificate no
// longer has does not come back.
func (p Plan) keepImported(dir string) (Plan, error) {
	entries, err := ReadLedger(dir)
	if err != nil {
		return p, err
	}
	imported := map[string]Entry{}
	for _, e := range entries {
		if e.Event == EventImport && e.Role != RoleCA {
			imported[e.Name] = e
		}
	}
	if len(imported) == 0 {
		return p, nil
	}
	p.Bundles = slices.Clone(p.Bundles)
	for i, b := range p.Bundles {
		b.Leaves = slices.Clone(b.Leaves)
		for j, l := range b.Leaves {
			e, known := imported[l.Name]
			if !known {
				continue
			}
			chain, err := ReadCertificates(filepath.Join(dir, filepath.FromSlash(b.Path), filepath.FromSlash(l.CertFile)))
			if err == nil { // otherwise it is a fault of its own
				b.Leaves[j] = l.keep(chain[0], e)
			}
		}
		p.Bundles[i] = b
	}
	return p, nil
}

// keepsAny reports whether a leaf has anything beyond the spec.
func (p Plan) keepsAny() bool {
	for l := range p.leaves() {
		if len(l.kept) > 0 {
			return true
		}
	}
	return false
}

// identityOf returns the ledger's description of a certificate that is not in the ledger.
func identityOf(cert *x509.Certificate) Entry { return newEntry("", "", "", "", cert, time.Time{}) }

// keep returns the leaf with the CN, names and extended key usages that its certificate has, if the
// certificate that was imported had them too.
func (l Leaf) keep(cert *x509.Certificate, imported Entry) Leaf {
	if cn := cert.Subject.CommonName; cn != "" && cn == imported.Subject && cn != l.CommonName {
		l.plannedCN, l.CommonName = l.CommonName, cn
		l.kept = append(l.kept, "CN="+cn)
	}
	got, _ := namesOf(cert)
	names := got.without(l.Names).filter(func(kind, name string) bool {
		text := name
		if kind == "email" {
			text = "email:" + name
		}
		return leftOut(kind, name) == "" && slices.Contains(imported.SANs, text)
	})
	l.Names, l.keptNames = l.Names.union(names), names
	l.kept = append(l.kept, names.typed()...)
	for i, eku := range bothAuth {
		had := len(imported.EKUs) == 0 || slices.ContainsFunc(imported.EKUs, func(name string) bool {
			return name == EKUNames(bothAuth)[i] || name == EKUNames([]x509.ExtKeyUsage{x509.ExtKeyUsageAny})[0]
		})
		if l.Role == RoleServer && had && allows(cert, eku) && !slices.Contains(l.EKUs, eku) {
			l.EKUs = append(slices.Clone(l.EKUs), eku)
			l.kept = append(l.kept, EKUNames(bothAuth)[i])
		}
	}
	return l
}

// describeKept tells, in words, what a leaf has beyond the spec; empty if it has nothing.
func describeKept(l Leaf) string {
	if len(l.kept) == 0 {
		return ""
	}
	return "keeps from its import, and not from the spec: " + strings.Join(l.kept, " ")
}
