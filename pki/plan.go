// Package pki issues and verifies the certificates of an etcd cluster and its clients. The
// whole PKI is one table, the [Plan], derived from the cluster spec. The [Store] is the
// folder that holds what was issued, and its ledger records each certificate. A [Survey]
// compares the store with the plan, and [Store.Issue] signs what the survey asks for.
//
// The package prints nothing. It uses the network only to ask a [Remote], and the kernel's
// routes for [NodeAddresses].
package pki

import (
	"crypto/x509"
	"iter"
	"path"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// The authorities of a [Plan]. Each has a folder below authorities/.
const (
	ClientRoot    = "client-root"
	PeerRoot      = "peer-root"
	ServerIssuing = "server-issuing"
	ClientIssuing = "client-issuing"
	PeerIssuing   = "peer-issuing"
)

// The roles of certificates that no client holds. A client's role comes from the spec.
const (
	RoleCA            = "ca"
	RoleServer        = "server"
	RolePeer          = "peer"
	RoleGatewayClient = "gateway-client"
	RoleCRL           = "crl" // a revocation list
)

// Authority is one CA of the [Plan].
type Authority struct {
	Name     string
	Issuer   string // the authority that signs it; empty for a self-signed root
	EKUs     []x509.ExtKeyUsage
	Lifetime time.Duration

	constraints constraints
	pathLen     int
	anyPathLen  bool // whether a longer path length, or none, is right too
	external    *cluster.ExternalKey
}

// Path returns the path of the authority's bundle in the store.
func (a Authority) Path() string { return path.Join(authoritiesFolder, a.Name) }

// Leaf is one end-entity certificate of the [Plan].
type Leaf struct {
	ID         LeafID
	Name       string // of the ID, such as etcd-0/server or clients/backup
	Role       string // server, peer, gateway-client, or the role of a client in the spec
	CertFile   string // in the bundle: the leaf, then the CAs above it without the self-signed root
	KeyFile    string // may be CertFile, which then holds both
	CSRFile    string // the certificate request that "pki csr" makes beside the key; no store has it
	Issuer     string // the authority that signs it
	Root       string // the authority that those who verify the leaf trust
	CommonName string
	Names      Names
	EKUs       []x509.ExtKeyUsage

	plannedCN string   // the spec's CN, if an imported leaf keeps another one
	kept      []string // what an imported leaf has beyond the spec, in words
	keptNames Names    // the names of it
}

// Bundle is a folder with leaves and the roots that their holder trusts. It changes as a whole.
type Bundle struct {
	Path   string
	Trust  []TrustFile
	Leaves []Leaf
	CRLs   []RevocationFile

	shared []string // IP addresses in its names that belong to no member alone
}

// TrustFile is a root and the name of the file from which etcd or a client loads it.
type TrustFile struct{ Name, Root string }

// Plan is the whole PKI of a cluster as one table, each issuer before what it issues.
type Plan struct {
	Cluster      string
	SpecHash     string
	KeyAlgorithm cluster.KeyAlgorithm
	LeafLifetime time.Duration
	CRL          bool // whether members read revocation lists
	Authorities  []Authority
	Bundles      []Bundle
	Lists        []RevocationList
}

var (
	serverAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	clientAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	// A peer dials and is dialled with the same certificate.
	bothAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

// NewPlan derives the PKI of a cluster from its spec. There are two roots because etcd's peer port
// has no RBAC: a client whose certificate it accepts controls the cluster.
func NewPlan(c *cluster.Cluster) Plan {
	p := Plan{
		Cluster:      c.Name,
		SpecHash:     c.Hash(),
		KeyAlgorithm: c.PKI.KeyAlgorithm,
		LeafLifetime: c.PKI.LeafLifetime,
		CRL:          c.PKI.CRL,
	}
	issuers := p.planAuthorities(c)
	p.setExternal(c.PKI.ExternalKeys)
	p.Lists = append(p.Lists, RevocationList{Root: ClientRoot, Signer: issuers.client})
	if issuers.peerRoot != ClientRoot {
		p.Lists = append(p.Lists, RevocationList{Root: PeerRoot, Signer: issuers.peer})
	}
	for _, m := range c.Etcd.Members {
		p.Bundles = append(p.Bundles, memberBundle(c, m, issuers))
	}
	for _, client := range c.Clients {
		if !isHeldByMembers(c, client) {
			p.Bundles = append(p.Bundles, clientBundle(client, c.CommonName(client), issuers))
		}
	}
	return p
}

// issuers holds the name of the authority that signs each kind of leaf, and the root that peers
// trust.
type issuers struct{ server, client, peer, peerRoot string }

func (p *Plan) planAuthorities(c *cluster.Cluster) issuers {
	signsLeaves := c.PKI.Hierarchy != cluster.Issuing
	root := Authority{Name: ClientRoot, Lifetime: c.PKI.RootLifetime, anyPathLen: signsLeaves}
	if c.PKI.Hierarchy == cluster.Shared {
		p.Authorities = []Authority{root}
		return issuers{ClientRoot, ClientRoot, ClientRoot, ClientRoot}
	}
	peerRoot := Authority{Name: PeerRoot, Lifetime: c.PKI.RootLifetime, anyPathLen: signsLeaves}
	if c.PKI.Layout == cluster.LayoutKubeadm {
		// kubeadm verifies every leaf below etcd/ against its one etcd CA. Peers trust only
		// the CA below it, so that clients are no peers.
		peerRoot.Issuer = ClientRoot
		root.pathLen++
	}
	if c.PKI.Hierarchy == cluster.Single {
		p.Authorities = []Authority{root, peerRoot}
		return issuers{ClientRoot, ClientRoot, PeerRoot, PeerRoot}
	}
	root.pathLen++
	peerRoot.pathLen++
	members := permit(allMemberNames(c), c.PKI.PermittedNames)
	lifetime := c.PKI.IssuingLifetime
	p.Authorities = []Authority{
		root,
		{Name: ServerIssuing, Issuer: ClientRoot, EKUs: serverEKUs(c), Lifetime: lifetime, constraints: members},
		{Name: ClientIssuing, Issuer: ClientRoot, EKUs: clientAuth, Lifetime: lifetime, constraints: constraints{none: true}},
		peerRoot,
		{Name: PeerIssuing, Issuer: PeerRoot, EKUs: bothAuth, Lifetime: lifetime, constraints: members},
	}
	return issuers{ServerIssuing, ClientIssuing, PeerIssuing, PeerRoot}
}

// serverEKUs returns the extended key usages of server leaves. The gRPC gateway connects to its own
// client port with the server certificate, which then needs clientAuth too, unless
// --client-cert-file names another certificate (etcd-io/etcd#9785). The flags that etcdsec writes
// name another one.
func serverEKUs(c *cluster.Cluster) []x509.ExtKeyUsage {
	if c.Etcd.EnableGRPCGateway && !c.OwnFlags() {
		return bothAuth
	}
	return serverAuth
}

func allMemberNames(c *cluster.Cluster) Names {
	all := loopback()
	for _, m := range c.Etcd.Members {
		all = all.union(memberNames(c, m))
	}
	return all
}

// memberNames returns the names of a member's server and peer certificates. kubeadm requires the
// node's name among them, which is the member's (cmd/kubeadm/app/util/pkiutil, GetEtcdAltNames).
func memberNames(c *cluster.Cluster, m cluster.Member) Names {
	names := hostNames(m.Host).union(extraNames(m.ExtraNames)).union(extraNames(c.Etcd.ExtraNames))
	if c.PKI.Layout == cluster.LayoutKubeadm {
		names = names.union(Names{DNS: []string{m.Name}})
	}
	return names
}

func memberBundle(c *cluster.Cluster, m cluster.Member, by issuers) Bundle {
	names, files := memberNames(c, m), c.Files(m)
	b := Bundle{
		Path:  path.Join(nodesFolder, m.Name, "pki"),
		Trust: []TrustFile{{files.ClientCA, ClientRoot}},
	}
	if files.PeerCA != files.ClientCA {
		b.Trust = append(b.Trust, TrustFile{files.PeerCA, by.peerRoot})
	}
	for _, name := range c.Etcd.ExtraNames {
		if name.IP.IsValid() && !slices.Contains(m.IPs(), name.IP) {
			b.shared = append(b.shared, name.IP.String())
		}
	}
	peerList := by.peer
	if by.peerRoot == ClientRoot {
		peerList = by.client // there is one list
	}
	b.CRLs = []RevocationFile{
		newRevocationFile(files.ClientCRL, ClientRoot, by.client, c.PKI.CRL),
		newRevocationFile(files.PeerCRL, by.peerRoot, peerList, c.PKI.CRL),
	}
	add := func(role string, at cluster.KeyPair, id LeafID, l Leaf) {
		l.ID, l.Name = id, id.String()
		l.Role, l.CertFile, l.KeyFile, l.CSRFile = role, at.Cert, at.Key, files.Request(at)
		b.Leaves = append(b.Leaves, l)
	}
	server := Leaf{
		Issuer: by.server, Root: ClientRoot,
		CommonName: m.Name, Names: names, EKUs: serverEKUs(c),
	}
	onePair := files.Server == files.Peer // as with kubespray
	if onePair {
		server.EKUs = bothAuth
	}
	add(RoleServer, files.Server, LeafID{Member: m.Name, Role: RoleServer}, server)
	if !onePair {
		add(RolePeer, files.Peer, LeafID{Member: m.Name, Role: RolePeer}, Leaf{
			Issuer: by.peer, Root: by.peerRoot,
			CommonName: m.Name, Names: names, EKUs: bothAuth,
		})
	}
	if c.Etcd.EnableGRPCGateway && c.OwnFlags() {
		add(RoleGatewayClient, files.GatewayClient, LeafID{Member: m.Name, Role: RoleGatewayClient}, Leaf{
			Issuer: by.client, Root: ClientRoot,
			CommonName: m.Name, EKUs: clientAuth,
		})
	}
	for _, held := range files.Clients {
		for _, client := range c.Clients {
			if client.Name == held.Client {
				add(string(client.Role), held.KeyPair, LeafID{Member: m.Name, Client: client.Name}, Leaf{
					Issuer: by.client, Root: ClientRoot,
					CommonName: c.CommonName(client), EKUs: clientAuth,
				})
			}
		}
	}
	return b
}

// isHeldByMembers reports whether a client's certificates are in the members' bundles.
func isHeldByMembers(c *cluster.Cluster, client cluster.Client) bool {
	return len(c.Etcd.Members) > 0 && slices.ContainsFunc(c.Files(c.Etcd.Members[0]).Clients, func(held cluster.ClientFiles) bool {
		return held.Client == client.Name
	})
}

func clientBundle(c cluster.Client, commonName string, by issuers) Bundle {
	id := LeafID{Client: c.Name}
	return Bundle{
		Path:  path.Join(clientsFolder, c.Name),
		Trust: []TrustFile{{"ca.crt", ClientRoot}},
		Leaves: []Leaf{{
			ID: id, Name: id.String(), Role: string(c.Role), CertFile: "client.crt", KeyFile: "client.key", CSRFile: "client.csr",
			Issuer: by.client, Root: ClientRoot, CommonName: commonName, EKUs: clientAuth,
		}},
	}
}

// Find returns the leaves with a name, and their bundle. The name is that of a leaf
// ("etcd-0/server"), a member ("etcd-0", "nodes/etcd-0") or a client ("clients/backup", "backup").
func (p Plan) Find(name string) (Bundle, []Leaf, bool) {
	meant, err := chooseMeaning(name, func(yield func(certificateHolder) bool) {
		for l := range p.leaves() {
			if !yield(holderOf(l)) {
				return
			}
		}
	})
	if err != nil || meant == meansOther {
		return Bundle{}, nil, false // the spec gives no two holders one name
	}
	for _, b := range p.Bundles {
		var leaves []Leaf
		for _, l := range b.Leaves {
			if holderOf(l).meaningOf(name) == meant {
				leaves = append(leaves, l)
			}
		}
		if leaves != nil {
			return b, leaves, true
		}
	}
	return Bundle{}, nil, false
}

// leaves iterates over all leaves in plan order.
func (p Plan) leaves() iter.Seq[Leaf] {
	return func(yield func(Leaf) bool) {
		for _, b := range p.Bundles {
			for _, l := range b.Leaves {
				if !yield(l) {
					return
				}
			}
		}
	}
}

// authority returns the authority with a name, or a zero one.
func (p Plan) authority(name string) Authority {
	for _, a := range p.Authorities {
		if a.Name == name {
			return a
		}
	}
	return Authority{}
}

// issuersAbove returns the names of the authorities whose certificates follow a leaf in its file:
// from its issuer up to the one below the self-signed root, which verifiers already have.
func (p Plan) issuersAbove(l Leaf) []string {
	var names []string
	for a := p.authority(l.Issuer); a.Issuer != ""; a = p.authority(a.Issuer) {
		names = append(names, a.Name)
	}
	return names
}

// signsLeaves reports whether an authority signs leaves itself, without an issuing CA.
func (p Plan) signsLeaves(a Authority) bool {
	for l := range p.leaves() {
		if l.Issuer == a.Name {
			return true
		}
	}
	return false
}

// firstBelow returns the name of the first existing certificate that an authority signed or is the
// root of.
func (p Plan) firstBelow(authority string, there func(relative string) bool) string {
	for _, a := range p.Authorities {
		if a.Issuer == authority && there(a.Path()+"/ca.crt") {
			return a.Name
		}
	}
	for _, b := range p.Bundles {
		for _, l := range b.Leaves {
			if (l.Issuer == authority || l.Root == authority) && there(b.Path+"/"+l.CertFile) {
				return l.Name
			}
		}
	}
	return ""
}
