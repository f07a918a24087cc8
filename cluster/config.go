// Package cluster holds the cluster spec: the one document that lists the members, API
// servers and clients of an etcd cluster, and describes its keys, its encryption and its
// isolation. It loads strictly and reports every fault at once.
package cluster

import "github.com/etcdsec/etcdsec/internal/strictyaml"

// APIVersion and Kind are the only ones that a spec may have.
const (
	APIVersion = "etcdsec.dev/v1alpha1"
	Kind       = "Cluster"
)

// Config is the spec as the operator wrote it, strictly decoded but not yet validated.
// A zero value means "not given"; New fills in the defaults.
type Config struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   Metadata `yaml:"metadata"`
	Spec       Spec     `yaml:"spec"`

	source strictyaml.Source
}

// Metadata names the cluster.
type Metadata struct {
	Name string `yaml:"name"`
}

// Spec is the body of the document.
type Spec struct {
	Etcd       EtcdConfig       `yaml:"etcd"`
	APIServers []HostConfig     `yaml:"apiServers"`
	Clients    []ClientConfig   `yaml:"clients"`
	PKI        PKIConfig        `yaml:"pki"`
	Encryption EncryptionConfig `yaml:"encryption"`
	Isolation  IsolationConfig  `yaml:"isolation"`
	Rotation   RotationConfig   `yaml:"rotation"`
	RBAC       RBACConfig       `yaml:"rbac"`
}

// EtcdConfig describes the etcd members and what all of them share.
type EtcdConfig struct {
	Version           string         `yaml:"version"`
	Runtime           string         `yaml:"runtime"`
	ClientPort        int            `yaml:"clientPort"`
	PeerPort          int            `yaml:"peerPort"`
	MetricsPort       int            `yaml:"metricsPort"`
	PKIDir            string         `yaml:"pkiDir"`
	DataDir           string         `yaml:"dataDir"`
	TLSMinVersion     string         `yaml:"tlsMinVersion"`
	EnableGRPCGateway bool           `yaml:"enableGRPCGateway"`
	Members           []MemberConfig `yaml:"members"`
}

// MemberConfig is one etcd member. The first address is the advertised one.
type MemberConfig struct {
	Name      string   `yaml:"name"`
	Addresses []string `yaml:"addresses"`
	// Joining is set on a member that is added to a cluster which already runs:
	// etcd must then be told not to bootstrap a new one.
	Joining bool `yaml:"joining"`
	// Node is the name of the Kubernetes node that the member runs on.
	Node string `yaml:"node"`
}

// HostConfig is an API server's host.
type HostConfig struct {
	Name      string   `yaml:"name"`
	Addresses []string `yaml:"addresses"`
}

// ClientConfig is one holder of a client certificate.
type ClientConfig struct {
	Name string `yaml:"name"`
	Role string `yaml:"role"`
}

// PKIConfig describes how keys and certificates are made. Lifetimes are Go durations in hours, such as 2160h.
type PKIConfig struct {
	KeyAlgorithm    string `yaml:"keyAlgorithm"`
	Hierarchy       string `yaml:"hierarchy"`
	Layout          string `yaml:"layout"`
	RootLifetime    string `yaml:"rootLifetime"`
	IssuingLifetime string `yaml:"issuingLifetime"`
	LeafLifetime    string `yaml:"leafLifetime"`
	// PermittedNames widens the issuing CAs' name constraints beyond the members
	// listed, so that members can join later without the root key: networks
	// ("10.0.0.0/24") and domains ("etcd.example.internal", which covers its subdomains).
	PermittedNames []string `yaml:"permittedNames"`
	// CRL lets members check revocation lists, which etcd reads at every handshake.
	CRL bool `yaml:"crl"`
	// ExternalKeys are those that a program has, such as that of an HSM.
	ExternalKeys []ExternalKeyConfig `yaml:"externalKeys"`
	// Files are the names of layout custom.
	Files FilesConfig `yaml:"files"`
}

// ExternalKeyConfig names the program that signs with an authority's key: an argument vector,
// never given to a shell, and the names of the environment variables that it may see.
type ExternalKeyConfig struct {
	Authority string   `yaml:"authority"`
	Exec      []string `yaml:"exec"`
	Key       string   `yaml:"key"`
	Env       []string `yaml:"env"`
}

// EncryptionConfig describes how kube-apiserver encrypts what it stores.
type EncryptionConfig struct {
	Provider  string   `yaml:"provider"`
	Socket    string   `yaml:"socket"`
	Resources []string `yaml:"resources"`
	// Exclude names what stays in plaintext although a wildcard of Resources covers it.
	Exclude []string `yaml:"exclude"`
	// Phase is encrypted, enabling or disabling.
	Phase string `yaml:"phase"`
	// Push is an argument vector that brings {{.File}} to where the API server {{.Name}} at
	// {{.Address}} reads its encryption configuration. It is never given to a shell, and must
	// replace the file as a whole.
	Push []string `yaml:"push"`
}

// IsolationConfig lists who may reach etcd over the network, and what enforces it.
type IsolationConfig struct {
	Backends  []string `yaml:"backends"`
	Scrapers  []string `yaml:"scrapers"`
	Backups   []string `yaml:"backups"`
	PodCIDRs  []string `yaml:"podCIDRs"`
	NodeCIDRs []string `yaml:"nodeCIDRs"`
	// PodAddresses is masqueraded where a Pod reaches nodes with the address of its own node,
	// and routed where it keeps its own.
	PodAddresses string `yaml:"podAddresses"`
	// MemberNodes are the labels, KEY=VALUE, that the members' nodes have and no others.
	MemberNodes []string   `yaml:"memberNodes"`
	Pods        PodsConfig `yaml:"pods"`
}

// PodsConfig selects the Pods that are the members and those that reach them, if etcd is on
// the Pod network. Everybody else is known by address.
type PodsConfig struct {
	Etcd      PodSelectorConfig `yaml:"etcd"`
	APIServer PodSelectorConfig `yaml:"apiServer"`
	Scraper   PodSelectorConfig `yaml:"scraper"`
	Backup    PodSelectorConfig `yaml:"backup"`
}

// PodSelectorConfig selects Pods of one namespace by their labels, KEY=VALUE.
type PodSelectorConfig struct {
	Namespace string   `yaml:"namespace"`
	Labels    []string `yaml:"labels"`
}

// RotationConfig gives the argument vectors, one per member, that bring a bundle to
// its node and restart its etcd. They are never given to a shell.
type RotationConfig struct {
	Push    []string `yaml:"push"`
	Restart []string `yaml:"restart"`
}

// RBACConfig describes how a cluster uses etcd's users and roles. Without it nothing is
// prepared for them.
type RBACConfig struct {
	// Compaction is who compacts etcd: etcd or apiserver.
	Compaction string `yaml:"compaction"`
}
