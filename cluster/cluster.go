package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Runtime names what runs etcd on a node.
type Runtime string

// The runtimes.
const (
	StaticPod Runtime = "static-pod"
	Systemd   Runtime = "systemd"
	Hosted    Runtime = "hosted" // etcd on the Pod network
)

// Runtimes returns every runtime, in the order in which help names them.
func Runtimes() []Runtime { return []Runtime{StaticPod, Systemd, Hosted} }

// Role names the purpose of a client's certificate. `etcdsec rbac` derives its permissions from it.
type Role string

// The roles.
const (
	RoleKubernetes  Role = "kubernetes"
	RoleHealthcheck Role = "healthcheck"
	RoleMonitoring  Role = "monitoring"
	RoleAuditor     Role = "auditor"
	RoleBackup      Role = "backup"
	RoleRoot        Role = "root"
)

// Roles returns every role.
func Roles() []Role {
	return []Role{RoleKubernetes, RoleHealthcheck, RoleMonitoring, RoleAuditor, RoleBackup, RoleRoot}
}

// KeyAlgorithm names the algorithm and size of every key of a cluster.
type KeyAlgorithm string

// The key algorithms.
const (
	ECDSAP256 KeyAlgorithm = "ecdsa-p256"
	ECDSAP384 KeyAlgorithm = "ecdsa-p384"
	RSA3072   KeyAlgorithm = "rsa-3072"
	RSA4096   KeyAlgorithm = "rsa-4096"
	Ed25519   KeyAlgorithm = "ed25519"
)

// KeyAlgorithms returns every key algorithm.
func KeyAlgorithms() []KeyAlgorithm {
	return []KeyAlgorithm{ECDSAP256, ECDSAP384, RSA3072, RSA4096, Ed25519}
}

// Hierarchy tells which CAs are between a root and the leaves.
type Hierarchy string

// The hierarchies.
const (
	// Issuing has issuing CAs between them, which rotate without a restart.
	Issuing Hierarchy = "issuing"
	// Single lets the roots sign leaves. Every rotation of a signing key is then a
	// rotation of a root, and restarts every member.
	Single Hierarchy = "single"
	// Shared is kubeadm's: one root signs everything and both ports trust it, so the peer port
	// accepts every client's certificate too. It is only for clusters that already have it.
	Shared Hierarchy = "shared"
)

// Hierarchies returns every hierarchy.
func Hierarchies() []Hierarchy { return []Hierarchy{Issuing, Single, Shared} }

// Compaction names who compacts etcd. Since etcd 3.5.28 and 3.6.9 only role root may do it, and
// kube-apiserver needs that role for nothing else.
type Compaction string

// The compactions. If the spec does not mention RBAC, it is empty: the API servers compact, as they
// do by default.
const (
	CompactionByEtcd      Compaction = "etcd"
	CompactionByAPIServer Compaction = "apiserver"
)

// AutoCompactionRetention is the history that etcd keeps if it compacts itself: the same as
// kube-apiserver keeps by default.
const AutoCompactionRetention = "5m"

// RBAC describes how the cluster uses etcd's users and roles.
type RBAC struct{ Compaction Compaction }

// Cluster is a valid spec with every default filled in. Make one with [New] or [Load].
type Cluster struct {
	Name       string
	Etcd       Etcd
	APIServers []Host
	Clients    []Client // the default ones first, then the spec's in its order
	PKI        PKI
	Encryption EncryptionConfig
	Isolation  Isolation
	Rotation   RotationConfig
	RBAC       RBAC

	commonNames map[string]string // of the clients for which the spec has one, by their names

	// Warnings are about settings that are allowed but unwise.
	Warnings []string
	// YAML is the unchanged document.
	YAML []byte
}

// Hash identifies the spec: the SHA-256 of the document, in hexadecimal.
func (c *Cluster) Hash() string {
	sum := sha256.Sum256(c.YAML)
	return hex.EncodeToString(sum[:])
}

// Etcd holds the members and their common settings.
type Etcd struct {
	Version           Version
	Runtime           Runtime
	ClientPort        uint16
	PeerPort          uint16
	MetricsPort       uint16
	pkiDir, dataDir   string
	TLSMinVersion     uint16 // tls.VersionTLS12 or tls.VersionTLS13
	EnableGRPCGateway bool
	ExtraNames        []Name // in the certificates of every member
	Members           []Member
}

// Version is an etcd release.
type Version struct{ Major, Minor, Patch int }

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Compare returns a negative number if v is older than w, and 0 if they are equal.
func (v Version) Compare(w Version) int {
	return slices.Compare([]int{v.Major, v.Minor, v.Patch}, []int{w.Major, w.Minor, w.Patch})
}

// Host has a name and addresses.
type Host struct {
	Name      string
	Addresses []Address
}

// IPs returns the host's IP addresses, in the spec's order.
func (h Host) IPs() []netip.Addr {
	var ips []netip.Addr
	for _, a := range h.Addresses {
		if a.IP.IsValid() {
			ips = append(ips, a.IP)
		}
	}
	return ips
}

// DNSNames returns the host's DNS names, in the spec's order.
func (h Host) DNSNames() []string {
	var names []string
	for _, a := range h.Addresses {
		if a.DNS != "" {
			names = append(names, a.DNS)
		}
	}
	return names
}

// Member is one etcd member.
type Member struct {
	Host
	ExtraNames []Name // in the member's certificates, in addition to its addresses
	Joining    bool
	Node       string // Kubernetes node; default: the API server with the same address, or the member's name
}

// Advertised returns the address that peers and clients use.
func (m Member) Advertised() Address { return m.Addresses[0] }

// PKIDir returns the folder of the certificates on the member's node.
func (e Etcd) PKIDir(m Member) string { return expandName(e.pkiDir, m.Name) }

// DataDir returns etcd's data dir on the member's node.
func (e Etcd) DataDir(m Member) string { return expandName(e.dataDir, m.Name) }

// Client is one holder of a client certificate. Its name is the certificate's CN and, with RBAC, the
// etcd user, unless the spec gives a CN; see [Cluster.CommonName].
type Client struct {
	Name string
	Role Role
}

// PKI holds the settings for keys and certificates.
type PKI struct {
	KeyAlgorithm    KeyAlgorithm
	Hierarchy       Hierarchy
	Layout          Layout
	RootLifetime    time.Duration
	IssuingLifetime time.Duration
	LeafLifetime    time.Duration
	PermittedNames  []Range
	CRL             bool // members check revocation lists
	ExternalKeys    []ExternalKey

	files Files // with {{.Name}} for the member's name
}

// ExternalKey names the program that signs with an authority's key.
type ExternalKey struct {
	Authority string // client-root, peer-root or an issuing CA
	Exec      []string
	Key       string // the program's name for the key
	Env       []string
}

// CommonName returns the CN of a client's certificate, which is its etcd user.
func (c *Cluster) CommonName(client Client) string {
	if cn, ok := c.commonNames[client.Name]; ok {
		return cn
	}
	return client.Name
}

// Member returns the member with a name.
func (c *Cluster) Member(name string) (Member, bool) {
	at := slices.IndexFunc(c.Etcd.Members, func(m Member) bool { return m.Name == name })
	if at < 0 {
		return Member{}, false
	}
	return c.Etcd.Members[at], true
}
