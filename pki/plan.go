// Package pki issues and verifies the certificates of an etcd cluster and its clients.
// The whole PKI is one table, the Plan, derived from the cluster spec; the Store is the
// folder that holds what was issued, and the Ledger says what that was. The package uses
// no network and says nothing to the user.
package pki

import (
	"crypto/x509"
	"path"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
)

// The authorities of a plan, which are folders below authorities/.
const (
	ClientRoot    = "client-root"
	PeerRoot      = "peer-root"
	ServerIssuing = "server-issuing"
	ClientIssuing = "client-issuing"
	PeerIssuing   = "peer-issuing"
)

// Authority is one CA of the plan.
type Authority struct {
	Name     string
	Issuer   string // the authority that signs it; empty for a root
	EKUs     []x509.ExtKeyUsage
	Lifetime time.Duration

	constraints constraints
	pathLen     int
}

// Path is the authority's bundle in the store.
func (a Authority) Path() string { return path.Join("authorities", a.Name) }

// Leaf is one end-entity certificate of the plan.
type Leaf struct {
	Name       string // unique in the plan, such as etcd-0/server or clients/backup
	Role       string // server, peer, gateway-client, or the role of a client in the spec
	Base       string // the files are Base.crt, with the issuing CA behind the leaf, and Base.key
	Issuer     string // the authority that signs it
	Root       string // the authority that verifiers trust
	CommonName string
	Names      Names
	EKUs       []x509.ExtKeyUsage
}

// Bundle is a folder of leaves and of what their holder trusts. It changes as a whole.
type Bundle struct {
	Path   string
	Trust  []TrustFile
	Leaves []Leaf
}

// TrustFile is a root certificate under the name by which etcd or a client loads it.
type TrustFile struct{ Name, Root string }

// Plan is the whole PKI of a cluster as one table, issuers before what they issue.
type Plan struct {
	Cluster      string
	SpecHash     string
	KeyAlgorithm cluster.KeyAlgorithm
	LeafLifetime time.Duration
	Authorities  []Authority
	Bundles      []Bundle
}

var (
	serverAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	clientAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	// A peer dials and is dialled with the same certificate.
	bothAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
)

// NewPlan derives the PKI of a cluster. There are two roots because etcd's peer port
// obeys no RBAC: a client certificate that the peer port accepts owns the cluster.
func NewPlan(c *cluster.Cluster) Plan {
	p := Plan{
		Cluster:      c.Name,
		SpecHash:     c.Hash(),
		KeyAlgorithm: c.PKI.KeyAlgorithm,
		LeafLifetime: c.PKI.LeafLifetime,
	}
	issuers := p.planAuthorities(c)
	for _, m := range c.Etcd.Members {
		p.Bundles = append(p.Bundles, memberBundle(c, m, issuers))
	}
	for _, client := range c.Clients {
		p.Bundles = append(p.Bundles, clientBundle(client, issuers))
	}
	return p
}

// issuers says which authority signs which kind of leaf.
type issuers struct{ server, client, peer string }

func (p *Plan) planAuthorities(c *cluster.Cluster) issuers {
	if c.PKI.Hierarchy == cluster.Single {
		p.Authorities = []Authority{
			{Name: ClientRoot, Lifetime: c.PKI.RootLifetime},
			{Name: PeerRoot, Lifetime: c.PKI.RootLifetime},
		}
		return issuers{server: ClientRoot, client: ClientRoot, peer: PeerRoot}
	}
	members := permit(allMemberNames(c), c.PKI.PermittedNames)
	p.Authorities = []Authority{
		{Name: ClientRoot, Lifetime: c.PKI.RootLifetime, pathLen: 1},
		{Name: ServerIssuing, Issuer: ClientRoot, EKUs: serverAuth, Lifetime: c.PKI.IssuingLifetime, constraints: members},
		{Name: ClientIssuing, Issuer: ClientRoot, EKUs: clientAuth, Lifetime: c.PKI.IssuingLifetime, constraints: constraints{none: true}},
		{Name: PeerRoot, Lifetime: c.PKI.RootLifetime, pathLen: 1},
		{Name: PeerIssuing, Issuer: PeerRoot, EKUs: bothAuth, Lifetime: c.PKI.IssuingLifetime, constraints: members},
	}
	return issuers{server: ServerIssuing, client: ClientIssuing, peer: PeerIssuing}
}

func allMemberNames(c *cluster.Cluster) Names {
	all := loopback()
	for _, m := range c.Etcd.Members {
		all = all.union(hostNames(m.Host))
	}
	return all
}

func memberBundle(c *cluster.Cluster, m cluster.Member, by issuers) Bundle {
	names := hostNames(m.Host)
	b := Bundle{
		Path:  path.Join("nodes", m.Name, "pki"),
		Trust: []TrustFile{{"ca.crt", ClientRoot}, {"peer-ca.crt", PeerRoot}},
		Leaves: []Leaf{
			{Name: m.Name + "/server", Role: "server", Base: "server", Issuer: by.server, Root: ClientRoot, CommonName: m.Name, Names: names, EKUs: serverAuth},
			{Name: m.Name + "/peer", Role: "peer", Base: "peer", Issuer: by.peer, Root: PeerRoot, CommonName: m.Name, Names: names, EKUs: bothAuth},
		},
	}
	if c.Etcd.EnableGRPCGateway {
		// The gRPC gateway dials its own client port with the server certificate, so that
		// leaf would need clientAuth too unless --client-cert-file is set (etcd-io/etcd#9785).
		b.Leaves = append(b.Leaves, Leaf{
			Name: m.Name + "/gateway-client", Role: "gateway-client", Base: "gateway-client",
			Issuer: by.client, Root: ClientRoot, CommonName: m.Name, EKUs: clientAuth,
		})
	}
	return b
}

func clientBundle(c cluster.Client, by issuers) Bundle {
	return Bundle{
		Path:  path.Join("clients", c.Name),
		Trust: []TrustFile{{"ca.crt", ClientRoot}},
		Leaves: []Leaf{
			{Name: "clients/" + c.Name, Role: string(c.Role), Base: "client", Issuer: by.client, Root: ClientRoot, CommonName: c.Name, EKUs: clientAuth},
		},
	}
}

// firstBelow is the first certificate that is there and that an authority signed or vouches for.
func (p Plan) firstBelow(authority string, there func(relative string) bool) string {
	for _, a := range p.Authorities {
		if a.Issuer == authority && there(a.Path()+"/ca.crt") {
			return a.Name
		}
	}
	for _, b := range p.Bundles {
		for _, l := range b.Leaves {
			if (l.Issuer == authority || l.Root == authority) && there(b.Path+"/"+l.Base+".crt") {
				return l.Name
			}
		}
	}
	return ""
}
