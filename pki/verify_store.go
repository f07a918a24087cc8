package pki

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// Verify finds everything that is wrong with a store, with one [Finding] for each fault. It changes
// nothing. Faults do not stop it: it returns an error only for a store that it cannot read at all.
func (s *Store) Verify(c *cluster.Cluster, now time.Time) ([]Finding, error) {
	if _, err := os.ReadDir(s.Dir); err != nil {
		return nil, err
	}
	v := verification{store: s, plan: NewPlan(c), now: now, cas: authorities{}, closed: map[string]bool{}, imported: importedBy(s.Dir)}
	if plan, err := v.plan.keepImported(s.Dir); err == nil { // otherwise checkLedger says why
		v.plan = plan
	}
	v.checkAuthorities()
	v.checkFiles()
	v.checkLeaves()
	if entries, ok := v.checkLedgerFile(); ok {
		v.checkLedger(entries)
		v.checkBans(entries)
		v.checkLists(entries)
	}
	v.checkDuplicates()
	return v.findings.sortByPath(), nil
}

// verification is one run of Verify.
type verification struct {
	store    *Store
	plan     Plan
	now      time.Time
	findings findings

	cas      authorities     // those that could be read
	imported map[string]bool // what another tool made, by name and by the hashes of certificate and key
	seen     []onDisk
	storeUID int             // the owner of the store's folder
	closed   map[string]bool // the files that nobody may read here, by their path in the store
}

// onDisk is a certificate of the plan that is on disk.
type onDisk struct {
	name, path string
	cert       *x509.Certificate
	also       bool                // a CA that is trusted beside an authority
	lost       Fix                 // for a leaf whose key is missing; nil if the key is in the store
	leaf       *Leaf               // nil for an authority
	chain      []*x509.Certificate // of a leaf
}

// holder returns whose certificate it is.
func (c onDisk) holder() certificateHolder {
	if c.leaf != nil {
		return holderOf(*c.leaf)
	}
	return certificateHolder{authority: c.name}
}

// importedBy returns the names of the leaves that a store adopted, and the hashes of their certificates
// and keys. There are none if the ledger cannot be read, which is a finding of its own.
func importedBy(dir string) map[string]bool {
	known := map[string]bool{}
	entries, _ := ReadLedger(dir)
	for _, e := range entries {
		if e.Event == EventImport {
			known[e.CertHash], known[e.KeyHash], known[e.Name] = true, true, true
		}
	}
	return known
}

// checkText finds text and PEM blocks beside those that a file must have. etcdsec writes none, and the
// files of an imported PKI stay as they were. want is the content of the file without them.
func (v *verification) checkText(relative string, want []byte, imported bool, fix Fix) {
	data, err := durable.ReadFile(v.pathOf(relative), maxPEMSize)
	if err == nil && !imported && !bytes.Equal(removeBreaks(bytes.TrimSpace(data)), removeBreaks(bytes.TrimSpace(want))) {
		v.findings.add(relative, fix, "has text or PEM blocks that etcdsec did not write")
	}
}

// outlook returns when certificates would end that were signed now.
func (v *verification) outlook() outlook {
	cas := authorities{}
	for _, a := range v.plan.Authorities {
		if loaded := v.cas[a.Name]; loaded != nil {
			cas[a.Name] = loaded
		}
	}
	return outlook{plan: v.plan, cas: cas, now: v.now}
}

// pathOf returns the path of a file of the store.
func (v *verification) pathOf(relative string) string {
	return filepath.Join(v.store.Dir, filepath.FromSlash(relative))
}

// read returns the certificates of a file. A file that cannot be read is a finding.
func (v *verification) read(relative string, fix Fix) []*x509.Certificate {
	return v.readWith(ReadCertificates, relative, fix)
}

func (v *verification) readWith(read func(path string) ([]*x509.Certificate, error), relative string, fix Fix) []*x509.Certificate {
	certs, err := read(v.pathOf(relative))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		v.findings.add(relative, fix, "is missing")
	case err != nil:
		v.addUnreadable(relative, err, fix)
	}
	return certs
}

// addUnreadable adds the finding about a file of the plan that cannot be read. fix is for one that is
// damaged: what this user may not read is no worse for it.
func (v *verification) addUnreadable(relative string, err error, fix Fix) {
	if errors.Is(err, fs.ErrPermission) {
		v.closed[relative] = true
		fix = makeReadable()
	}
	v.findings.add(relative, fix, "cannot be read: %v", trimPath(err))
}

// makeReadable returns the fix for a file that this user may not read.
func makeReadable() Fix {
	return Fix{say("run this as a user who can read it, or make it readable to you")}
}

// restore returns the fix for a file that cannot be made again.
func (v *verification) restore() Fix {
	return Fix{say("restore it from a backup of the store; it cannot be made again")}
}

// recovery returns the fix for an authority that must be certified anew.
func (v *verification) recovery() Line { return paste("etcdsec pki recover %s", v.store.Dir) }

// renew returns the fix for everything that is due.
func (v *verification) renew() Line { return paste("etcdsec pki renew %s", v.store.Dir) }

// renewLeaf returns the fix for a certificate that must be signed again.
func (v *verification) renewLeaf(name string) Line {
	return paste("etcdsec pki renew %s %s", v.store.Dir, name)
}

// renewKey returns the fix for a key that must be replaced.
func (v *verification) renewKey(name string) Line {
	return paste("etcdsec pki renew %s %s --new-key", v.store.Dir, name)
}

// replacePair returns the fix for a leaf whose key is lost or damaged. It removes both files, because
// only a leaf that does not exist gets a new key without the old one.
func (v *verification) replacePair(b Bundle, l Leaf) Fix {
	return Fix{
		say("restore the key from a backup of the store, or make a new pair:"),
		paste("rm -f %s %s", v.pathOf(path.Join(b.Path, l.CertFile)), v.pathOf(path.Join(b.Path, l.KeyFile))),
		v.renewLeaf(l.Name),
	}
}

// checkKeyText is checkText for the file of a key.
func (v *verification) checkKeyText(relative string, key crypto.Signer, cert *x509.Certificate, fix Fix) {
	if want, err := encodeKey(key); err == nil {
		v.checkText(relative, want, v.imported[keyHash(cert)], fix)
	}
}

func (v *verification) checkLeaves() {
	for _, b := range v.plan.Bundles {
		issued := false
		for _, l := range b.Leaves {
			issued = v.checkLeaf(b, l) || issued
		}
		if issued {
			v.checkTrust(b)
		}
	}
}

// checkLeaf checks one leaf and its key, and reports whether its certificate exists.
func (v *verification) checkLeaf(b Bundle, l Leaf) bool {
	at := path.Join(b.Path, l.CertFile)
	chain := v.read(at, Fix{v.renewLeaf(l.Name)})
	if len(chain) == 0 {
		return false
	}
	imported := v.imported[certHash(chain[0])]
	one := l.CertFile == l.KeyFile
	if !one {
		v.checkText(at, encodeCertificates(chain...), imported, Fix{v.renewLeaf(l.Name)})
	}
	pub := chain[0].PublicKey
	keyAt := path.Join(b.Path, l.KeyFile)
	key, _, err := readKey(v.pathOf(keyAt)) // its mode is for files to judge
	switch {
	case err == nil:
		pub = key.Public()
		if one {
			v.checkText(at, l.joinFiles(encodeCertificates(chain...), key), imported, Fix{v.renewLeaf(l.Name)})
			break
		}
		v.checkKeyText(keyAt, key, chain[0], Fix{v.renewKey(l.Name)})
	case !l.LacksKey(err):
		v.addUnreadable(keyAt, err, v.replacePair(b, l))
	}
	seen := onDisk{name: l.Name, path: at, cert: chain[0], leaf: &l, chain: chain}
	if err != nil && l.LacksKey(err) {
		seen.lost = v.replacePair(b, l)
	}
	v.seen = append(v.seen, seen)
	root := v.cas[l.Root]
	if root == nil {
		return true // that the root is not there is a finding already
	}
	when := v.now
	if end := earliestEnd(chain); v.now.After(end) {
		v.findings.add(at, Fix{v.renewLeaf(l.Name)}, "%s", describeEnd(end, v.now))
		when = end
	} else if Due(chain, v.now) {
		v.findings.add(at, v.outlook().leafRemedy(v.store.Dir, l, end).fix(), "is due: %s", describeEnd(end, v.now))
	}
	for _, fault := range verifyLeaf(l, chain, root.trust(), pub, when) {
		v.findings.add(at, Fix{v.renewLeaf(l.Name)}, "%v", fault)
	}
	for i, name := range v.plan.issuersAbove(l) {
		issuer := v.cas[name]
		if issuer != nil && (i+1 >= len(chain) || !samePublicKey(chain[i+1].PublicKey, issuer.cert.PublicKey)) {
			v.findings.add(at, Fix{v.renewLeaf(l.Name)}, "its issuer %s was replaced", name)
		}
	}
	return true
}

func (v *verification) checkTrust(b Bundle) {
	for _, t := range b.Trust {
		at := path.Join(b.Path, t.Name)
		root := v.cas[t.Root]
		from := v.pathOf(v.plan.authority(t.Root).Path())
		write := paste("cp %s %s", filepath.Join(from, caCertName), v.pathOf(at))
		if root != nil && root.also != nil {
			write = paste("cat %s %s > %s", filepath.Join(from, caCertName), filepath.Join(from, alsoTrustedName), v.pathOf(at))
		}
		fix := Fix{write, say("then restart the programs that read it")}
		certs := v.readWith(ReadTrust, at, fix)
		if len(certs) > 0 {
			v.checkText(at, encodeCertificates(certs...), slices.ContainsFunc(b.Leaves, func(l Leaf) bool { return v.imported[l.Name] }), fix)
		}
		if root != nil && len(certs) > 0 {
			v.checkTrusted(at, t, certs, fix)
		}
	}
}

// checkTrusted compares the CAs of a trust file with those that its holder must trust.
func (v *verification) checkTrusted(at string, t TrustFile, certs []*x509.Certificate, fix Fix) {
	root := v.cas[t.Root]
	for _, want := range root.trust() {
		switch {
		case slices.ContainsFunc(certs, want.Equal):
		case want.Equal(root.cert):
			v.findings.add(at, fix, "is not the certificate of %s, which its holder must trust", t.Root)
			return
		default:
			v.findings.add(at, fix, "lacks the CA %q, which the others trust beside %s", nameOf(want), t.Root)
		}
	}
	for _, cert := range certs {
		if !slices.ContainsFunc(root.trust(), cert.Equal) {
			v.findings.add(at, fix, "trusts the CA %q too, which this store does not know", nameOf(cert))
		}
	}
}

// checkDuplicates finds keys and serial numbers that two certificates share. If members share a key,
// whoever steals it from one has both, and etcd's CRL check compares only the serial number.
func (v *verification) checkDuplicates() {
	keys, serials := map[string]onDisk{}, map[string]onDisk{}
	for _, c := range v.seen {
		if c.also {
			continue
		}
		if first, twice := keys[keyHash(c.cert)]; twice {
			v.findings.add(c.path, v.replaceKey(c), "has the same key as %s", first.path)
		} else {
			keys[keyHash(c.cert)] = c
		}
		if c.leaf == nil && isSelfSigned(c.cert) {
			continue // nobody presents a root, so no list is searched for it
		}
		serial := SerialString(c.cert.SerialNumber)
		if first, twice := serials[serial]; twice {
			v.findings.add(c.path, v.replaceCertificate(c), "has the same serial number as %s", first.path)
		} else {
			serials[serial] = c
		}
	}
}

// replaceCertificate returns the fix for a certificate that another one must replace.
func (v *verification) replaceCertificate(c onDisk) Fix {
	if c.leaf == nil {
		return Fix{say("replace the CA by one of a new store; a certificate of a CA cannot be changed")}
	}
	return Fix{v.renewLeaf(c.name)}
}

// replaceKey returns the fix for a certificate that needs another key.
func (v *verification) replaceKey(c onDisk) Fix {
	if c.leaf == nil {
		return v.replaceCertificate(c)
	}
	return Fix{v.renewKey(c.name)}
}
