package pki

import (
	"bytes"
	"crypto/x509"
	"maps"
	"path/filepath"
	"slices"
	"time"
)

// Weaknesses returns the weak spots of a foreign PKI that works. dir is the store that takes it over.
func Weaknesses(dir string, members []*Foreign, now time.Time) []Finding {
	f := weaknesses{dir: dir, now: now}
	if len(members) == 0 {
		return f.sortByPath()
	}
	p := members[0]
	if samePublicKey(p.ClientCA.PublicKey, p.PeerCA.PublicKey) {
		f.add("ca", Fix{say("replace it by two roots, or set etcd's --peer-cert-allowed-hostname")}, "one CA for clients and peers: the peer port, which has no RBAC, accepts every client's certificate")
	}
	f.checkTrust("client CA", p.ClientTrust, members, func(p *Foreign) []*x509.Certificate { return p.ClientTrust })
	if !sameCertificates(p.ClientTrust, p.PeerTrust) {
		f.checkTrust("peer CA", p.PeerTrust, members, func(p *Foreign) []*x509.Certificate { return p.PeerTrust })
	}
	keys := map[string]string{}
	for _, p := range members {
		for _, name := range sortedNames(p.caKeys) {
			remove := say("remove the key from the node: the store has it now")
			if key, err := ParseKey(p.caKeys[name]); err == nil && !samePublicKey(key.Public(), p.ClientCA.PublicKey) && !samePublicKey(key.Public(), p.PeerCA.PublicKey) {
				remove = say("remove the key from the node, and keep it elsewhere: the store does not sign with this CA")
			}
			f.add(p.Member+"/"+name, Fix{remove}, "the CA's key is on the node: whoever controls the node can make any certificate")
		}
		for _, name := range sortedNames(p.Modes) {
			if p.Modes[name]&0o077 != 0 {
				f.add(p.Member+"/"+name, Fix{paste("chmod 600 %s", filepath.Join(p.Dir, filepath.FromSlash(name))), f.renewKeys(p)}, "has mode %04o, so others may have read the key", p.Modes[name])
			}
		}
		for _, name := range p.withKey {
			f.add(p.Member+"/"+name, Fix{say("name a file of its own for the key, in etcd's flags and the spec; then make a new key:"), f.renewKeys(p)}, "has a private key in the certificate's file: every program that reads the one has the other")
		}
		leaves := map[string]*x509.Certificate{"server": p.Server[0], "peer": p.Peer[0]}
		if p.Server[0].Equal(p.Peer[0]) {
			delete(leaves, "server")
			f.add(p.Member+"/server", Fix{say("give server and peer files of their own, in the spec and in etcd's flags, then:"), f.renewKeys(p)}, "is the peer's certificate too: whoever has the key that answers clients is a member")
		}
		maps.Copy(leaves, p.Clients)
		for _, name := range sortedNames(leaves) {
			f.checkLeaf(p, name, leaves[name])
			if other, twice := keys[keyHash(leaves[name])]; twice {
				f.add(p.Member+"/"+name, Fix{f.renewKeys(p)}, "has the same key as %s", other)
			}
			keys[keyHash(leaves[name])] = p.Member + "/" + name
		}
	}
	return f.sortByPath()
}

// weaknesses collects the weak spots of a foreign PKI.
type weaknesses struct {
	findings
	dir string // of the store that takes it over
	now time.Time
}

func (f *weaknesses) renew(p *Foreign) Line {
	return paste("etcdsec pki renew %s %s", f.dir, p.Member)
}

func (f *weaknesses) renewKeys(p *Foreign) Line {
	return paste("etcdsec pki renew %s %s --new-key", f.dir, p.Member)
}

// checkTrust checks the CAs that a port of the members trusts.
func (f *weaknesses) checkTrust(name string, trust []*x509.Certificate, members []*Foreign, of func(*Foreign) []*x509.Certificate) {
	all := slices.Clone(trust)
	for _, p := range members {
		for _, ca := range of(p) {
			if !slices.ContainsFunc(all, ca.Equal) {
				all = append(all, ca)
			}
		}
	}
	for i, ca := range all {
		f.checkCA(name, ca)
		if slices.ContainsFunc(all[:i], func(other *x509.Certificate) bool { return bytes.Equal(other.RawSubject, ca.RawSubject) }) {
			f.add(name, Fix{say("replace one of them by a CA with a name of its own")}, "%q is the name of several trusted CAs: a program that finds issuers by name may take the wrong one", nameOf(ca))
		}
		for _, p := range members {
			if !slices.ContainsFunc(of(p), ca.Equal) {
				f.add(p.Member, Fix{say("give it the same trusted CAs as the others, then restart it")}, "does not trust the %s %q, which other members trust", name, nameOf(ca))
			}
		}
	}
	if len(all) > 1 {
		names := make([]string, len(all))
		for i, ca := range all {
			names[i] = nameOf(ca)
		}
		f.add(name, Fix{say("remove those that signed nothing in use from the trusted CA files of all members and clients, and from also-trusted.crt in the store; then restart the members one by one")},
			"%d CAs are trusted, %q: whoever has the key of one of them gets in", len(all), names)
	}
}

func (f *weaknesses) checkCA(name string, ca *x509.Certificate) {
	replace := Fix{say("replace the CA; until then it works as before")}
	switch {
	case ca.Version < 3:
		f.add(name, replace, "%q is a certificate of X.509 v%d: nothing in it says that it is a CA, or what it may do", nameOf(ca), ca.Version)
	case ca.MaxPathLen < 0:
		f.add(name, replace, "%q has no path length: it can sign other CAs", nameOf(ca))
	}
	switch {
	case ca.Version < 3:
	case ca.KeyUsage == 0:
		f.add(name, replace, "%q has no key usage: it may be used for everything", nameOf(ca))
	case ca.KeyUsage&x509.KeyUsageCRLSign == 0:
		f.add(name, replace, "%q cannot sign revocation lists", nameOf(ca))
	}
	if !isSelfSigned(ca) {
		f.add(name, Fix{say("ask the CA that signed it for a new certificate before it ends; nobody can renew it here")}, "%q is no root: %q signed it. etcd trusts it as it is, but openssl, for one, wants its root too", nameOf(ca), ca.Issuer.String())
	}
	if hash, weak := weakHash(ca.SignatureAlgorithm); weak {
		f.add(name, replace, "%q is signed with %s: etcd does not look at the signature of a trusted CA, but other programs refuse it", nameOf(ca), hash)
	}
	if Due([]*x509.Certificate{ca}, f.now) {
		f.add(name, replace, "%q: %s", nameOf(ca), describeEnd(ca.NotAfter, f.now))
	}
	if hasWeakKey(ca) {
		f.add(name, replace, "%q has a weak key, %s", nameOf(ca), describeWeakKey(ca))
	}
}

// weakHash reports whether a signature uses a hash for which crypto/x509 refuses it, and names the hash.
func weakHash(algorithm x509.SignatureAlgorithm) (string, bool) {
	switch algorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		return "SHA-1", true
	case x509.MD5WithRSA, x509.MD2WithRSA:
		return "MD5", true
	default:
		return "", false
	}
}

// maxLeafLifetime is the lifetime that the CA/Browser Forum once allowed. A leaf that a timer renews
// needs far less.
const maxLeafLifetime = 398 * 24 * time.Hour

func (f *weaknesses) checkLeaf(p *Foreign, name string, leaf *x509.Certificate) {
	at := p.Member + "/" + name
	renew := Fix{f.renew(p)}
	if len(leaf.Subject.Organization) > 0 {
		f.add(at, renew, "has the organization %q: etcd ignores it, and kube-apiserver treats it as a group", leaf.Subject.Organization)
	}
	if leaf.NotAfter.Sub(leaf.NotBefore) > maxLeafLifetime {
		f.add(at, renew, "is valid for %d days", int(leaf.NotAfter.Sub(leaf.NotBefore).Hours()/24))
	}
	trust := p.ClientTrust
	if name == "peer" {
		trust = p.PeerTrust
	}
	ca := chooseCA(trust, nil, []*x509.Certificate{leaf})
	if leaf.NotAfter.After(ca.NotAfter) {
		f.add(at, renew, "outlives its CA, which ends on %s", ca.NotAfter.Format(time.DateOnly))
	}
	if Due([]*x509.Certificate{leaf}, f.now) {
		f.add(at, renew, "%s", describeEnd(leaf.NotAfter, f.now))
	}
	if hasWeakKey(leaf) {
		f.add(at, Fix{f.renewKeys(p)}, "has a weak key, %s", describeWeakKey(leaf))
	}
	if name == "server" && slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		f.add(at, Fix{say("turn the gRPC gateway off in the spec, then:"), f.renew(p)}, "is a client certificate too, for the gRPC gateway: it logs in as etcd user %q", leaf.Subject.CommonName)
	}
}
