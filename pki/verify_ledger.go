package pki

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// checkLedgerFile checks the ledger's own files, and returns its entries if they can be read.
func (v *verification) checkLedgerFile() (entries []Entry, ok bool) {
	l, err := readLedger(v.store.Dir)
	if err == nil {
		err = l.checkHead(v.store.Dir)
	}
	if err != nil {
		fix := Fix{say("restore it from a backup of the store")}
		if errors.Is(err, fs.ErrPermission) {
			fix = makeReadable()
		}
		v.findings.add(ledgerName, fix, "%v", trimPath(err))
		return nil, false
	}
	if l.torn {
		v.findings.add(ledgerName, Fix{say("the next run that signs removes it")}, "ends in half a line, because a run was killed")
	}
	if _, err := os.Lstat(filepath.Join(v.store.Dir, headName)); errors.Is(err, fs.ErrNotExist) {
		v.findings.add(headName, Fix{say("the next run that signs writes it again")}, "is missing, so nobody would notice if lines were removed from the ledger's end")
	}
	return l.entries, true
}

// checkLedger compares the ledger with the certificates on disk.
func (v *verification) checkLedger(entries []Entry) {
	last := map[certificateHolder]Entry{}
	byHash := map[string]bool{}
	revoked := recordOf(entries).certificates
	for _, e := range entries {
		if e.isCertificate() {
			last[e.holder()] = e
			byHash[e.CertHash] = true
		}
	}
	gaps := v.checkGaps(entries)
	for _, c := range v.seen {
		hash := certHash(c.cert)
		v.checkSerial(c, entries)
		switch {
		case !byHash[hash] && gaps[c.path]: // a finding already
		case !byHash[hash] && c.leaf == nil:
			v.findings.add(c.path, Fix{say("find out where it comes from; if nobody put it there on purpose:"), v.restore()[0]}, "is not in the ledger: this store did not issue it, or the ledger has lost its line")
		case !byHash[hash]:
			v.findings.add(c.path, Fix{say("find out where it comes from, and renew it:"), v.renewLeaf(c.name)}, "is not in the ledger: this store did not issue it, or the ledger has lost its line")
		case last[c.holder()].CertHash != hash && last[c.holder()].Role == RoleCA:
			v.findings.add(c.path, Fix{say("a run was killed before it wrote the certificate; the next run makes another:"), v.renew()}, "is not the last one issued for %s, which has serial number %s", c.name, last[c.holder()].Serial)
		case last[c.holder()].CertHash != hash:
			v.findings.add(c.path, Fix{v.renewLeaf(c.name)}, "is not the last one issued for %s, which has serial number %s", c.name, last[c.holder()].Serial)
		case c.lost != nil && !last[c.holder()].KeyOnNode:
			v.findings.add(c.path, c.lost, "its key was made in this store and is missing")
		}
		delete(last, c.holder())
	}
	for _, a := range v.plan.Authorities {
		if v.closed[path.Join(a.Path(), caCertName)] {
			delete(last, certificateHolder{authority: a.Name})
		}
	}
	for _, b := range v.plan.Bundles {
		for _, l := range b.Leaves {
			if v.closed[path.Join(b.Path, l.CertFile)] {
				delete(last, holderOf(l)) // it may be there
			}
		}
	}
	for _, e := range entries {
		_, lost := last[e.holder()]
		_, revoked := revoked[e.CertHash]
		if lost && last[e.holder()].CertHash == e.CertHash && v.now.Before(e.NotAfter) && !revoked {
			revoke := Fix{say("if nobody holds it any more:"), paste("etcdsec pki revoke %s %s", v.store.Dir, e.Serial)}
			if former := v.formerBundle(e.holder().leaf); former != "" {
				v.findings.add(former, append(revoke, paste("rm -r %s", v.pathOf(former))), "is not in the spec any more, but holds %s with serial number %s, which is valid until %s", e.Name, e.Serial, e.NotAfter.Format(time.DateOnly))
				delete(last, e.holder())
				continue
			}
			v.findings.add(ledgerName, revoke,
				"%s with serial number %s is valid until %s, but is not on disk", e.Name, e.Serial, e.NotAfter.Format(time.DateOnly))
			delete(last, e.holder())
		}
	}
}

// checkGaps finds what the files have and the ledger lacks: whatever keeps runs from signing. It returns
// the paths of these files.
func (v *verification) checkGaps(entries []Entry) map[string]bool {
	paths := map[string]bool{}
	found := v.store.findGaps(v.plan, v.cas, entries)
	all := !slices.ContainsFunc(found, func(g gap) bool { return g.entry.Event == "" })
	for _, g := range found {
		paths[g.path] = true
		fix := Fix{say("nothing is signed until the store is restored: its authorities and its ledger from one backup")}
		switch {
		case g.entry.Event != "" && all:
			fix = Fix{
				say("nothing is signed until the ledger has it; restore the ledger from a newer backup, or if this store did make the file, record it:"),
				paste("etcdsec pki recover --ledger %s", v.store.Dir),
			}
		case g.entry.Event != "":
			fix = Fix{say("first restore what this store did not issue; then:"), paste("etcdsec pki recover --ledger %s", v.store.Dir)}
		}
		v.findings.add(g.path, fix, "%s", g.cause)
	}
	return paths
}

// checkSerial finds a certificate with a serial number that the ledger has for another one: the lists
// and etcd know certificates by nothing else.
func (v *verification) checkSerial(c onDisk, entries []Entry) {
	if c.also || c.leaf == nil && isSelfSigned(c.cert) {
		return
	}
	hash, serial := certHash(c.cert), SerialString(c.cert.SerialNumber)
	for _, e := range entries {
		if e.isCertificate() && e.Serial == serial && e.CertHash != hash {
			v.findings.add(c.path, v.replaceCertificate(c), "has the serial number %s, which the ledger has for another certificate of %s", serial, e.Name)
			return
		}
	}
}

// checkBans finds every place in which a revoked certificate or a compromised key is still in use, and
// the certificates of a compromised key that are not revoked themselves: no list has them.
func (v *verification) checkBans(entries []Entry) {
	record, o := recordOf(entries), v.outlook()
	for _, c := range v.seen {
		b := record.banOf(c.cert)
		if c.leaf != nil && !b.banned() {
			b = record.banAbove(c.chain)
		}
		switch {
		case !b.banned():
		case c.also:
			v.findings.add(c.path, Fix{say("remove it from all trusted CA files and from %s, and restart whoever trusts it", alsoTrustedName)}, "%s", b.cause)
		case c.leaf == nil:
			v.findings.add(c.path, o.bannedAuthorityRemedy(v.store.Dir, v.plan.authority(c.name)).fix(), "%s", b.cause)
		default:
			v.findings.add(c.path, o.banRemedy(v.store.Dir, *c.leaf, b, c.lost == nil).fix(), "%s", b.cause)
		}
	}
	for _, e := range entries {
		stolen, compromised := record.keys[e.KeyHash]
		_, revoked := record.certificates[e.CertHash]
		if e.isCertificate() && compromised && !revoked && v.now.Before(e.NotAfter) &&
			!slices.ContainsFunc(v.seen, func(c onDisk) bool { return certHash(c.cert) == e.CertHash }) {
			v.findings.add(ledgerName, Fix{paste("etcdsec pki revoke %s %s --reason %s", v.store.Dir, e.Serial, stolen.Reason)},
				"%s with serial number %s is valid until %s and not revoked, but has the key of serial number %s, which was revoked: %s", e.Name, e.Serial, e.NotAfter.Format(time.DateOnly), stolen.Serial, stolen.Reason)
		}
	}
}

// formerBundle returns the path of the bundle of a member or client that the spec does not have any
// more; empty if the plan has the bundle, or the bundle is gone.
func (v *verification) formerBundle(id LeafID) string {
	bundle := path.Join(nodesFolder, id.Member, "pki")
	if id.Member == "" {
		bundle = path.Join(clientsFolder, id.Client)
	}
	if id == (LeafID{}) || slices.ContainsFunc(v.plan.Bundles, func(b Bundle) bool { return b.Path == bundle }) {
		return ""
	}
	if there, err := exists(v.pathOf(bundle)); err == nil && !there {
		return ""
	}
	return bundle
}

// checkLists compares the revocation lists with the ledger, and the bundles with the lists.
func (v *verification) checkLists(entries []Entry) {
	lists, err := v.store.surveyLists(v.outlook(), entries)
	if err != nil {
		return // a file that cannot be read is a finding already
	}
	for _, step := range lists.steps {
		v.findings.add(path.Join(step.Path, step.File), Fix{v.renew()}, "is not the revocation list that the ledger requires: %s", step.Detail)
	}
	for _, list := range lists.all {
		if !v.plan.CRL && len(list.entries) > 0 {
			fix := Fix{say("set spec.pki.crl: true in the spec, run etcdsec bootstrap, and restart the members with the new configuration")}
			if list.obstacle != "" {
				fix = Fix{say("%s", list.obstacle)}
			}
			v.findings.add(ledgerName, fix,
				"%d certificates below %s are revoked and have not expired, but no member reads the list", len(list.entries), list.Root)
		}
	}
}
