package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
)

// Foreign holds the certificates and keys that another tool made, from one member's folder.
type Foreign struct {
	Member string
	Dir    string

	Server, Peer     []*x509.Certificate // leaf first
	ClientCA, PeerCA *x509.Certificate
	Clients          map[string]*x509.Certificate // by the base of their file in the layout
	Modes            map[string]os.FileMode       // of keys, by file
	withKey          []string                     // the certificate files that hold a key too
	files            []durable.File
	caKeys           map[string][]byte // PEM, by the authority's certificate file
}

// DetectLayout finds out which tool made a folder.
func DetectLayout(dir string) (cluster.Layout, error) {
	for _, l := range []cluster.Layout{cluster.LayoutKubeadm, cluster.LayoutK3s, cluster.LayoutKOps} {
		f := cluster.FilesOf(l)
		if found, err := hasFiles(dir, f.ClientCA, f.Server.Cert, f.Peer.Cert); err != nil || found {
			return l, err
		}
	}
	return "", fmt.Errorf("%s is not a PKI of kubeadm (etcd/ca.crt, etcd/server.crt, etcd/peer.crt), k3s (server-ca.crt, server-client.crt, peer-server-client.crt) or etcd-manager (clients/ca.crt, clients/server.crt, peers/me.crt); for other file names, give a spec with layout: custom", dir)
}

// hasFiles reports whether a folder has all the files. It returns an error if it may not look.
func hasFiles(dir string, names ...string) (bool, error) {
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		if errors.Is(err, fs.ErrPermission) {
			return false, err
		}
		if err != nil || !info.Mode().IsRegular() {
			return false, nil //nolint:nilerr // it is another tool's folder, or none
		}
	}
	return true, nil
}

// ReadForeign reads a member's folder by the file names of a layout. It changes nothing there.
func ReadForeign(member, dir string, f cluster.Files) (*Foreign, error) {
	p := &Foreign{Member: member, Dir: dir, Clients: map[string]*x509.Certificate{}, Modes: map[string]os.FileMode{}, caKeys: map[string][]byte{}}
	var faults []error
	one := func(name string, required bool) []*x509.Certificate {
		certs, err := p.addCertificates(name, required)
		faults = append(faults, err)
		return certs
	}
	p.ClientCA = firstCertificate(one(f.ClientCA, true))
	p.Server = one(f.Server.Cert, true)
	faults = append(faults, p.addKey(f.Server.Key), p.addKey(f.Peer.Key), p.addCAKey(f.ClientCA))
	p.Peer = one(f.Peer.Cert, true)
	p.PeerCA = p.ClientCA
	if f.PeerCA != f.ClientCA {
		if ca := firstCertificate(one(f.PeerCA, false)); ca != nil {
			p.PeerCA = ca
			faults = append(faults, p.addCAKey(f.PeerCA))
		}
	}
	for _, c := range f.Clients {
		if leaf := firstCertificate(one(c.Cert, false)); leaf != nil {
			p.Clients[c.Client] = leaf
			faults = append(faults, p.addKey(c.Key))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("reading %s's PKI: %w", member, err)
	}
	return p, nil
}

func firstCertificate(certs []*x509.Certificate) *x509.Certificate {
	if len(certs) == 0 {
		return nil
	}
	return certs[0]
}

func (p *Foreign) addCertificates(name string, required bool) ([]*x509.Certificate, error) {
	data, err := readForeign(p.Dir, name)
	if err != nil {
		return nil, err
	}
	if data == nil {
		if required {
			return nil, fmt.Errorf("%s does not exist", filepath.Join(p.Dir, name))
		}
		return nil, nil
	}
	certs, err := ParseCertificates(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(p.Dir, name), err)
	}
	file := durable.File{Name: name, Mode: 0o644, Data: data}
	if bytes.Contains(data, []byte(pemKeySuffix+"-----")) {
		file.Mode = 0o600
		p.withKey = append(p.withKey, name)
	}
	p.files = append(p.files, file)
	return certs, nil
}

// addKey reads a leaf's key, if it exists; it may be only on its node.
func (p *Foreign) addKey(name string) error {
	data, err := p.readKey(name)
	if err != nil || data == nil {
		return err
	}
	p.files = append(p.files, durable.File{Name: name, Mode: 0o600, Data: data})
	return nil
}

func (p *Foreign) addCAKey(certName string) error {
	name := certName[:len(certName)-len(filepath.Ext(certName))] + ".key"
	data, err := p.readKey(name)
	if data != nil {
		p.caKeys[certName] = data
	}
	return err
}

func (p *Foreign) readKey(name string) ([]byte, error) {
	data, err := readForeign(p.Dir, name)
	if err != nil || data == nil {
		return nil, err
	}
	if _, err := ParseKey(data); err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(p.Dir, name), err)
	}
	info, err := os.Stat(filepath.Join(p.Dir, filepath.FromSlash(name)))
	if err != nil {
		return nil, err
	}
	p.Modes[name] = info.Mode().Perm()
	return data, nil
}

// AdoptForeign returns the [Adoption] that takes over the PKI in the members' folders.
func AdoptForeign(c *cluster.Cluster, plan Plan, members []*Foreign) (Adoption, error) {
	adoption := Adoption{Authorities: map[string]AdoptedCA{}, Bundles: map[string][]durable.File{}}
	var faults []error
	take := func(name string, cert *x509.Certificate, keyPEM []byte, from string) {
		adopted, ok := adoption.Authorities[name]
		switch {
		case !ok:
			adopted = AdoptedCA{Certificate: cert, KeyPEM: keyPEM}
		case !adopted.Certificate.Equal(cert):
			faults = append(faults, fmt.Errorf("the members trust different roots: %s has %q, another has %q; give all members the same root first", from, cert.Subject, adopted.Certificate.Subject))
		case adopted.KeyPEM == nil:
			adopted.KeyPEM = keyPEM
		}
		adoption.Authorities[name] = adopted
	}
	for _, p := range members {
		m, ok := c.Member(p.Member)
		if !ok {
			faults = append(faults, fmt.Errorf("the spec has no member %q", p.Member))
			continue
		}
		files := c.Files(m)
		take(ClientRoot, p.ClientCA, p.caKeys[files.ClientCA], p.Member)
		if plan.authority(PeerRoot).Name != "" {
			take(PeerRoot, p.PeerCA, p.caKeys[files.PeerCA], p.Member)
		}
		adoption.Bundles["nodes/"+p.Member+"/pki"] = p.files
	}
	return adoption, errors.Join(faults...)
}

// keyAlgorithmOf returns the algorithm of a key, as the spec names it. For a key that no spec can
// have, it returns false and the algorithm to use instead.
func keyAlgorithmOf(cert *x509.Certificate) (cluster.KeyAlgorithm, bool) {
	switch key := cert.PublicKey.(type) {
	case *ecdsa.PublicKey:
		switch key.Curve {
		case elliptic.P256():
			return cluster.ECDSAP256, true
		case elliptic.P384():
			return cluster.ECDSAP384, true
		}
	case *rsa.PublicKey:
		switch bits := key.N.BitLen(); {
		case bits >= 4096:
			return cluster.RSA4096, true
		case bits >= 3072:
			return cluster.RSA3072, true
		}
	case ed25519.PublicKey:
		return cluster.Ed25519, true
	}
	return cluster.ECDSAP256, false
}

// Trust tells which CA one port of the members trusts, and which certificates that CA lets in.
type Trust struct {
	Port   string   `json:"port"`    // client or peer
	CA     string   `json:"ca"`      // its CN
	LetsIn []string `json:"lets_in"` // certificates that the port accepts from a caller
}

// TrustGraph verifies every certificate of the members as that of a caller on both ports, as etcd
// does: by the CA that the port trusts, for client authentication.
func TrustGraph(members []*Foreign) []Trust {
	if len(members) == 0 {
		return nil
	}
	ports := []Trust{{Port: "client", CA: members[0].ClientCA.Subject.CommonName}, {Port: "peer", CA: members[0].PeerCA.Subject.CommonName}}
	for i, ca := range []*x509.Certificate{members[0].ClientCA, members[0].PeerCA} {
		for _, p := range members {
			for _, name := range sortedNames(p.leaves()) {
				leaf := p.leaves()[name]
				if verifyChain(leaf, ca, x509.ExtKeyUsageClientAuth, leaf[0].NotBefore) == nil {
					ports[i].LetsIn = append(ports[i].LetsIn, p.Member+"/"+name)
				}
			}
		}
	}
	return ports
}

// leaves returns a member's certificates with their chains, by their purpose.
func (p *Foreign) leaves() map[string][]*x509.Certificate {
	leaves := map[string][]*x509.Certificate{"server": p.Server, "peer": p.Peer}
	for name, leaf := range p.Clients {
		leaves[name] = []*x509.Certificate{leaf}
	}
	return leaves
}

// Weaknesses returns the weak spots of a foreign PKI that works. dir is the store that takes it over.
func Weaknesses(dir string, members []*Foreign, now time.Time) []Finding {
	f := weaknesses{dir: dir, now: now}
	if len(members) == 0 {
		return f.sortByPath()
	}
	p := members[0]
	if p.ClientCA.Equal(p.PeerCA) {
		f.add("ca", Fix{say("replace it by two roots, or set etcd's --peer-cert-allowed-hostname")}, "one CA for clients and peers: the peer port, which has no RBAC, accepts every client's certificate")
	}
	f.checkCA("client CA", p.ClientCA)
	if !p.ClientCA.Equal(p.PeerCA) {
		f.checkCA("peer CA", p.PeerCA)
	}
	keys := map[string]string{}
	for _, p := range members {
		for _, name := range sortedNames(p.caKeys) {
			f.add(p.Member+"/"+name, Fix{say("remove the key from the node: the store has it now")}, "the CA's key is on the node: whoever controls the node can make any certificate")
		}
		for _, name := range sortedNames(p.Modes) {
			if p.Modes[name]&0o077 != 0 {
				f.add(p.Member+"/"+name, Fix{paste("chmod 600 %s", filepath.Join(p.Dir, filepath.FromSlash(name))), f.renewKeys(p)}, "has mode %04o, so others may have read the key", p.Modes[name])
			}
		}
		for _, name := range p.withKey {
			f.add(p.Member+"/"+name, Fix{say("the next renewal writes the certificate alone:"), f.renewKeys(p)}, "has a private key in the certificate's file: every program that reads the one has the other")
		}
		leaves := map[string]*x509.Certificate{"server": p.Server[0], "peer": p.Peer[0]}
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

func (f *weaknesses) checkCA(name string, ca *x509.Certificate) {
	replace := Fix{say("replace the CA; until then it works as before")}
	if ca.MaxPathLen < 0 {
		f.add(name, replace, "%q has no path length: it can sign other CAs", ca.Subject.CommonName)
	}
	if ca.KeyUsage&x509.KeyUsageCRLSign == 0 {
		f.add(name, replace, "%q cannot sign revocation lists", ca.Subject.CommonName)
	}
	if Due([]*x509.Certificate{ca}, f.now) {
		f.add(name, replace, "%q: %s", ca.Subject.CommonName, describeEnd(ca.NotAfter, f.now))
	}
	if _, strong := keyAlgorithmOf(ca); !strong {
		f.add(name, replace, "%q has a weak key, %s", ca.Subject.CommonName, DescribeKey(ca))
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
	ca := p.ClientCA
	if name == "peer" {
		ca = p.PeerCA
	}
	if leaf.NotAfter.After(ca.NotAfter) {
		f.add(at, renew, "outlives its CA, which ends on %s", ca.NotAfter.Format(time.DateOnly))
	}
	if Due([]*x509.Certificate{leaf}, f.now) {
		f.add(at, renew, "%s", describeEnd(leaf.NotAfter, f.now))
	}
	if _, strong := keyAlgorithmOf(leaf); !strong {
		f.add(at, Fix{f.renewKeys(p)}, "has a weak key, %s", DescribeKey(leaf))
	}
	if name == "server" && slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		f.add(at, Fix{say("turn the gRPC gateway off in the spec, then:"), f.renew(p)}, "is a client certificate too, for the gRPC gateway: it logs in as etcd user %q", leaf.Subject.CommonName)
	}
}
