package pki

import (
	"bytes"
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/goodkey"
)

// Foreign holds the certificates and keys that another tool made, from one member's folder.
type Foreign struct {
	Member string
	Dir    string

	Server, Peer     []*x509.Certificate // leaf first
	ClientCA, PeerCA *x509.Certificate   // of those that each port trusts, the one to sign with
	// ClientTrust and PeerTrust are all the CAs that each port trusts.
	ClientTrust, PeerTrust []*x509.Certificate
	Clients                map[string]*x509.Certificate // by the base of their file in the layout
	Modes                  map[string]os.FileMode       // of keys, by file
	withKey                []string                     // the certificate files that hold a key too
	files                  []durable.File
	caKeys                 map[string][]byte // PEM, by the authority's certificate file
	clientCAKey, peerCAKey []byte            // of caKeys
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
	one := func(name string, required bool, parse func([]byte) ([]*x509.Certificate, error)) []*x509.Certificate {
		certs, err := p.addCertificates(name, required, parse)
		faults = append(faults, err)
		return certs
	}
	p.ClientTrust = one(f.ClientCA, true, ParseTrust)
	p.Server = one(f.Server.Cert, true, ParseCertificates)
	faults = append(faults, p.addKey(f.Server.Key), p.addKey(f.Peer.Key), p.addCAKey(f.ClientCA))
	p.Peer = one(f.Peer.Cert, true, ParseCertificates)
	p.PeerTrust = p.ClientTrust
	if f.PeerCA != f.ClientCA {
		if trust := one(f.PeerCA, false, ParseTrust); trust != nil {
			p.PeerTrust = trust
			faults = append(faults, p.addCAKey(f.PeerCA))
		}
	}
	for _, c := range f.Clients {
		if leaf := firstCertificate(one(c.Cert, false, ParseCertificates)); leaf != nil {
			p.Clients[c.Client] = leaf
			faults = append(faults, p.addKey(c.Key))
		}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, fmt.Errorf("reading %s's PKI: %w", member, err)
	}
	p.clientCAKey, p.peerCAKey = p.caKeys[f.ClientCA], p.caKeys[f.PeerCA]
	p.ClientCA = chooseCA(p.ClientTrust, p.clientCAKey, p.Server)
	p.PeerCA = p.ClientCA
	if f.PeerCA != f.ClientCA && !sameCertificates(p.PeerTrust, p.ClientTrust) {
		p.PeerCA = chooseCA(p.PeerTrust, p.peerCAKey, p.Peer)
	}
	return p, nil
}

// chooseCA returns the one of the trusted CAs that is to sign: the newest of those whose key is known,
// otherwise of those that signed the leaf, otherwise the first. keyPEM may be nil.
func chooseCA(trust []*x509.Certificate, keyPEM []byte, leaf []*x509.Certificate) *x509.Certificate {
	var public crypto.PublicKey
	if key, err := ParseKey(keyPEM); err == nil {
		public = key.Public()
	}
	for _, fits := range []func(*x509.Certificate) bool{
		func(c *x509.Certificate) bool { return samePublicKey(c.PublicKey, public) && mayCertify(c) },
		func(c *x509.Certificate) bool { return leaf[0].CheckSignatureFrom(c) == nil },
		func(c *x509.Certificate) bool {
			return verifyChain(leaf, c, x509.ExtKeyUsageAny, leaf[0].NotBefore) == nil
		},
	} {
		var chosen *x509.Certificate
		for _, c := range trust {
			if fits(c) && (chosen == nil || c.NotBefore.After(chosen.NotBefore)) {
				chosen = c
			}
		}
		if chosen != nil {
			return chosen
		}
	}
	return trust[0]
}

// agreeOnCAs gives all members the same CA to sign with, if the trusted CA files of all have it: first
// one whose key a member has.
func agreeOnCAs(members []*Foreign) {
	agree := func(of func(*Foreign) (**x509.Certificate, []*x509.Certificate), keyOf func(*Foreign) []byte) {
		candidates := slices.Clone(members)
		slices.SortStableFunc(candidates, func(a, b *Foreign) int { return cmp.Compare(min(len(keyOf(b)), 1), min(len(keyOf(a)), 1)) })
		for _, candidate := range candidates {
			chosen, _ := of(candidate)
			ca := *chosen
			if slices.ContainsFunc(members, func(p *Foreign) bool { _, trust := of(p); return !slices.ContainsFunc(trust, ca.Equal) }) {
				continue
			}
			for _, p := range members {
				mine, _ := of(p)
				*mine = ca
			}
			return
		}
	}
	agree(func(p *Foreign) (**x509.Certificate, []*x509.Certificate) { return &p.ClientCA, p.ClientTrust }, func(p *Foreign) []byte { return p.clientCAKey })
	if !slices.ContainsFunc(members, func(p *Foreign) bool { return !sameCertificates(p.PeerTrust, p.ClientTrust) }) {
		for _, p := range members {
			p.PeerCA = p.ClientCA
		}
		return
	}
	agree(func(p *Foreign) (**x509.Certificate, []*x509.Certificate) { return &p.PeerCA, p.PeerTrust }, func(p *Foreign) []byte { return p.peerCAKey })
}

func firstCertificate(certs []*x509.Certificate) *x509.Certificate {
	if len(certs) == 0 {
		return nil
	}
	return certs[0]
}

func (p *Foreign) addCertificates(name string, required bool, parse func([]byte) ([]*x509.Certificate, error)) ([]*x509.Certificate, error) {
	data, _, err := readForeign(p.Dir, name)
	if err != nil {
		return nil, err
	}
	if data == nil {
		if required {
			return nil, fmt.Errorf("%s does not exist", filepath.Join(p.Dir, name))
		}
		return nil, nil
	}
	certs, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(p.Dir, name), err)
	}
	file := durable.File{Name: name, Mode: 0o644, Data: data}
	if bytes.Contains(data, []byte(pemKeySuffix+"-----")) {
		file.Mode = 0o600
		if !slices.Contains(p.withKey, name) {
			p.withKey = append(p.withKey, name)
		}
	}
	p.files = replaceFiles(p.files, file)
	return certs, nil
}

// addKey reads a leaf's key, if it exists; it may be only on its node.
func (p *Foreign) addKey(name string) error {
	data, err := p.readKey(name)
	if err != nil || data == nil {
		return err
	}
	p.files = replaceFiles(p.files, durable.File{Name: name, Mode: 0o600, Data: data})
	return nil
}

func (p *Foreign) addCAKey(certName string) error {
	extension := filepath.Ext(certName)
	base := strings.TrimSuffix(certName, extension)
	for _, name := range []string{base + ".key", base + "-key" + extension} { // the latter is cfssl's
		data, err := p.readKey(name)
		if err != nil {
			return err
		}
		if data != nil {
			p.caKeys[certName] = data
			return nil
		}
	}
	return nil
}

func (p *Foreign) readKey(name string) ([]byte, error) {
	data, info, err := readForeign(p.Dir, name)
	if err != nil || data == nil {
		return nil, err
	}
	_, err = ParseKey(data)
	if errors.Is(err, errNoKey) && slices.ContainsFunc(p.files, func(f durable.File) bool { return f.Name == name }) {
		return nil, nil // the file of a certificate and its key has only the certificate
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", filepath.Join(p.Dir, name), err)
	}
	p.Modes[name] = info.Mode
	return data, nil
}

// AdoptForeign returns the [Adoption] that takes over the PKI in the members' folders.
func AdoptForeign(c *cluster.Cluster, plan Plan, members []*Foreign) (Adoption, error) {
	adoption := Adoption{Authorities: map[string]AdoptedCA{}, Bundles: map[string][]durable.File{}}
	var faults []error
	take := func(name string, cert *x509.Certificate, trust []*x509.Certificate, keyPEM []byte, from string) {
		adopted, ok := adoption.Authorities[name]
		if pub, err := ParseKey(keyPEM); err == nil && !samePublicKey(pub.Public(), cert.PublicKey) && slices.ContainsFunc(trust, func(c *x509.Certificate) bool { return samePublicKey(pub.Public(), c.PublicKey) }) {
			keyPEM = nil // it is the key of another CA that is trusted here
		}
		switch {
		case !ok:
			adopted = AdoptedCA{Certificate: cert, KeyPEM: keyPEM}
		case !adopted.Certificate.Equal(cert):
			faults = append(faults, fmt.Errorf("the members trust different roots: %s has %q, another has %q; give all members a common root first", from, cert.Subject, adopted.Certificate.Subject))
		case adopted.KeyPEM == nil:
			adopted.KeyPEM = keyPEM
		}
		for _, c := range trust {
			if !c.Equal(adopted.Certificate) && !slices.ContainsFunc(adopted.Also, c.Equal) {
				adopted.Also = append(adopted.Also, c)
			}
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
		take(ClientRoot, p.ClientCA, p.ClientTrust, p.caKeys[files.ClientCA], p.Member)
		if plan.authority(PeerRoot).Name != "" {
			take(PeerRoot, p.PeerCA, p.PeerTrust, p.caKeys[files.PeerCA], p.Member)
		}
		adoption.Bundles["nodes/"+p.Member+"/pki"] = p.files
	}
	return adoption, errors.Join(faults...)
}

// hasWeakKey reports whether a certificate's key is weaker than any that a spec can have.
func hasWeakKey(cert *x509.Certificate) bool {
	algorithm, known := keyAlgorithmOf(cert)
	return !known && algorithm == cluster.ECDSAP256 || goodkey.Check(cert.PublicKey) != nil
}

// describeWeakKey returns a certificate's weak key in words: its algorithm and size, and what is wrong
// with it if that is anything else.
func describeWeakKey(cert *x509.Certificate) string {
	if err := goodkey.Check(cert.PublicKey); err != nil {
		return fmt.Sprintf("%s: %v", DescribeKey(cert), err)
	}
	return DescribeKey(cert)
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
		case elliptic.P521():
			return cluster.ECDSAP384, false
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

// Trust tells which CAs one port of the members trusts, and which certificates they let in.
type Trust struct {
	Port   string   `json:"port"`           // client or peer
	CA     string   `json:"ca"`             // the CN of the CA that signs
	Also   []string `json:"also,omitempty"` // the CNs of the other CAs that the port trusts
	LetsIn []string `json:"lets_in"`        // certificates that the port accepts from a caller
}

// TrustGraph verifies every certificate of the members as that of a caller on both ports, as etcd
// does: by the CAs that the port trusts, for client authentication.
func TrustGraph(members []*Foreign) []Trust {
	if len(members) == 0 {
		return nil
	}
	first := members[0]
	ports := []Trust{{Port: "client", CA: nameOf(first.ClientCA)}, {Port: "peer", CA: nameOf(first.PeerCA)}}
	for i, trust := range [][]*x509.Certificate{first.ClientTrust, first.PeerTrust} {
		for _, ca := range trust {
			if !ca.Equal([]*x509.Certificate{first.ClientCA, first.PeerCA}[i]) {
				ports[i].Also = append(ports[i].Also, nameOf(ca))
			}
		}
		for _, p := range members {
			for _, name := range sortedNames(p.leaves()) {
				leaf := p.leaves()[name]
				if verifyChainTo(leaf, trust, x509.ExtKeyUsageClientAuth, leaf[0].NotBefore) == nil {
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
