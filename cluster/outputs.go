package cluster

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// Output is a file that etcdsec makes in a member's pkiDir: one of [Files], or a file whose name is derived
// from it, which is a certificate request or the signer of a revocation list.
type Output struct {
	Name  string // slash-separated, below pkiDir
	Field string // of spec.pki.files, such as server.cert; empty for a derived name
	For   string // for a derived name, the field of the file from which it is derived
}

// what returns the output in the words of an error.
func (o Output) what() string {
	switch {
	case o.Field != "":
		return filesField + o.Field
	case strings.HasSuffix(o.For, "CRL"):
		return "the signer of " + filesField + o.For
	}
	return "the certificate request of " + filesField + o.For
}

// pairOfField is a [KeyPair] and its field of spec.pki.files.
type pairOfField struct {
	field string
	KeyPair
}

// pairs returns the pairs of certificates and keys, each once.
func (f Files) pairs() []pairOfField {
	pairs := []pairOfField{{"server", f.Server}}
	if !f.shared || f.Peer != f.Server {
		pairs = append(pairs, pairOfField{"peer", f.Peer})
	}
	pairs = append(pairs, pairOfField{"gatewayClient", f.GatewayClient})
	for i, c := range f.Clients {
		pairs = append(pairs, pairOfField{fmt.Sprintf("clients[%d]", i), c.KeyPair})
	}
	return pairs
}

// named returns the files of the spec that have a name. A file with two purposes that may have both, such
// as that of a certificate and its key, is there once.
func (f Files) named() []Output {
	files := []Output{{Name: f.ClientCA, Field: "clientCA"}}
	if !f.shared || f.PeerCA != f.ClientCA {
		files = append(files, Output{Name: f.PeerCA, Field: "peerCA"})
	}
	for _, p := range f.pairs() {
		files = append(files, Output{Name: p.Cert, Field: p.field + ".cert"})
		if p.Key != p.Cert {
			files = append(files, Output{Name: p.Key, Field: p.field + ".key"})
		}
	}
	files = append(files, Output{Name: f.ClientCRL, Field: "clientCRL"}, Output{Name: f.PeerCRL, Field: "peerCRL"})
	return slices.DeleteFunc(files, func(o Output) bool { return o.Name == "" })
}

// Request returns the name of the certificate request of a pair: that of the certificate with .csr in place
// of its extension. Where that name is taken, because of server.crt beside server.pem, it is .csr behind the
// whole name.
func (f Files) Request(p KeyPair) string {
	short := shortRequest(p)
	taken := slices.ContainsFunc(f.named(), func(o Output) bool { return o.Name == short }) ||
		slices.ContainsFunc(f.pairs(), func(other pairOfField) bool { return other.KeyPair != p && shortRequest(other.KeyPair) == short })
	if taken {
		return p.Cert + ".csr"
	}
	return short
}

func shortRequest(p KeyPair) string { return strings.TrimSuffix(p.Cert, path.Ext(p.Cert)) + ".csr" }

// Outputs returns every file that etcdsec makes in a member's pkiDir. In a valid spec, no two of them have
// one name, and none is a folder of another.
func (f Files) Outputs() []Output {
	outputs := f.named()
	for _, p := range f.pairs() {
		if p.Cert != "" {
			outputs = append(outputs, Output{Name: f.Request(p.KeyPair), For: p.field + ".cert"})
		}
	}
	for _, list := range []Output{{Name: f.ClientCRL, For: "clientCRL"}, {Name: f.PeerCRL, For: "peerCRL"}} {
		if list.Name != "" {
			outputs = append(outputs, Output{Name: SignerFile(list.Name), For: list.For})
		}
	}
	return outputs
}

// SignerFile returns the name of the file of the CA that signs a revocation list, beside the list's.
func SignerFile(crl string) string { return crl + ".signer.crt" }

// longestFileName leaves room in the 255 bytes of a file name for what temporary files and symlinks have
// besides.
const longestFileName = 200

// outputs checks that no two outputs of a member have one name. Names can differ as the spec has them, and be
// equal for a member: server-{{.Name}}.crt and server-etcd-0.crt.
func (v *validator) outputs(files Files, members []Member) {
	told := map[string]bool{}
	fault := func(o Output, format string, a ...any) {
		field := o.Field
		if field == "" {
			field = o.For
		}
		if !told[field] { // once, not for each member
			v.fault(filesField+field, format, a...)
		}
		told[field] = true
	}
	for _, m := range members {
		outputs := files.expand(m.Name).Outputs()
		for i, o := range outputs {
			if slices.ContainsFunc(strings.Split(o.Name, "/"), func(part string) bool { return len(part) > longestFileName }) {
				fault(o, "%s of member %s has a name that is longer than %d characters: %q", o.what(), m.Name, longestFileName, o.Name)
			}
			for _, other := range outputs[:i] {
				switch {
				case o.Name == other.Name && o.Field == "":
					fault(o, "%s and %s of member %s have the same name, %q", o.what(), other.what(), m.Name, o.Name)
				case o.Name == other.Name:
					fault(o, "%s has the same name, %q", other.what(), o.Name)
				case isBelow(o.Name, other.Name):
					fault(o, "%q of member %s would be in %q, but that is a file: %s", o.Name, m.Name, other.Name, other.what())
				case isBelow(other.Name, o.Name):
					fault(o, "%q of member %s would be a file, but %s is in a folder of that name: %q", o.Name, m.Name, other.what(), other.Name)
				}
			}
		}
	}
}

// ConfigPath is where the unit of a member finds etcd's configuration on its node.
const ConfigPath = "/etc/etcd/etcd.conf.yaml"

// configFile checks that the configuration has its path on the node for itself.
func (v *validator) configFile(c *Cluster) {
	if c.Etcd.Runtime != Systemd {
		return
	}
	for _, m := range c.Etcd.Members {
		pki, data := c.Etcd.PKIDir(m), c.Etcd.DataDir(m)
		for _, of := range []struct{ field, dir string }{{"spec.etcd.pkiDir", pki}, {"spec.etcd.dataDir", data}} {
			if of.dir == ConfigPath || isBelow(of.dir, ConfigPath) {
				v.fault(of.field, "%s is not a folder: it is the configuration of etcd", ConfigPath)
			}
		}
		for _, o := range c.PKI.files.expand(m.Name).Outputs() {
			if at := path.Join(pki, o.Name); at == ConfigPath || isBelow(at, ConfigPath) {
				v.fault("spec.pki.files", "%s would be %s, which is the configuration of etcd", o.what(), at)
			}
		}
	}
}

// sharedNodes checks the folders of members that the spec puts on one node.
func (v *validator) sharedNodes(c *Cluster) {
	if c.Etcd.Runtime == Hosted {
		return // each Pod has folders of its own
	}
	type folder struct{ name, dir string }
	foldersOf := func(m Member) []folder {
		return []folder{{"pkiDir", c.Etcd.PKIDir(m)}, {"dataDir", c.Etcd.DataDir(m)}}
	}
	for i, m := range c.Etcd.Members {
		for _, other := range c.Etcd.Members[:i] {
			if m.Node != other.Node {
				continue
			}
			for _, mine := range foldersOf(m) {
				for _, others := range foldersOf(other) {
					if mine.dir == others.dir || isBelow(mine.dir, others.dir) || isBelow(others.dir, mine.dir) {
						v.fault(fmt.Sprintf("spec.etcd.members[%d]", i), "its %s is %s, and the %s of %s on the same node %s is %s: write {{.Name}} into spec.etcd.%s, or give each member a node of its own", mine.name, mine.dir, others.name, other.Name, m.Node, others.dir, mine.name)
					}
				}
			}
		}
	}
}
