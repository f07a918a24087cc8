// Package cluster holds the cluster spec: the one document that lists the members, API
// servers and clients of an etcd cluster, and describes its keys, its encryption and its
// isolation. It loads strictly and reports every fault at once.
package cluster

import "github.com/etcdsec/etcdsec/internal/strictyaml"

// A spec must have this APIVersion and this Kind.
const (
	APIVersion = "etcdsec.dev/v1alpha1"
	Kind       = "Cluster"
)

// Config is the spec as the operator wrote it, strictly decoded but not yet validated.
// A zero value means "not given"; [New] fills in the defaults.
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

// EtcdConfig describes the etcd members and their common settings.
type EtcdConfig struct {
	Version           string `yaml:"version"`
	Runtime           string `yaml:"runtime"`
	ClientPort        int    `yaml:"clientPort"`
	PeerPort          int    `yaml:"peerPort"`
	MetricsPort       int    `yaml:"metricsPort"`
	PKIDir            string `yaml:"pkiDir"`
	DataDir           string `yaml:"dataDir"`
	TLSMinVersion     string `yaml:"tlsMinVersion"`
	EnableGRPCGateway bool   `yaml:"enableGRPCGateway"`
	// ExtraNames are names that the server and peer certificates of every member have in addition to
	// the member's addresses: those of a load balancer or a Service, wildcards, URIs.
	ExtraNames []string       `yaml:"extraNames"`
	Members    []MemberConfig `yaml:"members"`
}

// MemberConfig is one etcd member. The first address is the advertised one.
type MemberConfig struct {
	Name      string   `yaml:"name"`
	Addresses []string `yaml:"addresses"`
	// ExtraNames are more names for the member's certificates. Nothing listens on them.
	ExtraNames []string `yaml:"extraNames"`
	// Joining marks a member that joins a running cluster: etcd must be told not to bootstrap a
	// new one.
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
	// CommonName is the CN of its certificate, and the etcd user, if it is not the name.
	CommonName string `yaml:"commonName"`
}

// PKIConfig describes how to make keys and certificates. Lifetimes are Go durations in hours, such
// as 2160h.
type PKIConfig struct {
	KeyAlgorithm    string `yaml:"keyAlgorithm"`
	Hierarchy       string `yaml:"hierarchy"`
	Layout          string `yaml:"layout"`
	RootLifetime    string `yaml:"rootLifetime"`
	IssuingLifetime string `yaml:"issuingLifetime"`
	LeafLifetime    string `yaml:"leafLifetime"`
	// PermittedNames adds networks ("10.0.0.0/24") and domains ("etcd.example.internal", which
	// covers its subdomains) to the issuing CAs' name constraints, so that members can join later
	// without the root key.
	PermittedNames []string `yaml:"permittedNames"`
	// CRL lets members check revocation lists, which etcd reads at every handshake.
	CRL bool `yaml:"crl"`
	// ExternalKeys are the keys that a program holds, for example in an HSM.
	ExternalKeys []ExternalKeyConfig `yaml:"externalKeys"`
	// Files are the file names of layout custom.
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
	// Exclude lists resources that stay in plaintext although a wildcard of Resources covers them.
	Exclude []string `yaml:"exclude"`
	// Phase is encrypted, enabling or disabling.
	Phase string `yaml:"phase"`
	// Push is the argument vector of a command that copies {{.File}} to the API server {{.Name}} at
	// {{.Address}}, into the file from which it reads its encryption configuration. No shell runs
	// it. It must replace the file as a whole.
	Push []string `yaml:"push"`
}

// IsolationConfig lists who may reach etcd over the network, and what enforces it.
type IsolationConfig struct {
	Backends  []string `yaml:"backends"`
	Scrapers  []string `yaml:"scrapers"`
	Backups   []string `yaml:"backups"`
	PodCIDRs  []string `yaml:"podCIDRs"`
	NodeCIDRs []string `yaml:"nodeCIDRs"`
	// PodAddresses is "masqueraded" if Pods reach other nodes with the address of their own node,
	// and "routed" if they keep their own addresses.
	PodAddresses string `yaml:"podAddresses"`
	// MemberNodes are the labels, KEY=VALUE, that only the members' nodes have.
	MemberNodes []string   `yaml:"memberNodes"`
	Pods        PodsConfig `yaml:"pods"`
}

// PodsConfig selects the Pods that are members and the Pods that reach them, if etcd is on the Pod
// network. All others are known by address.
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

// RotationConfig holds the argument vectors of the commands that copy a bundle to a member's node
// and restart its etcd. No shell runs them.
type RotationConfig struct {
	Push    []string `yaml:"push"`
	Restart []string `yaml:"restart"`
}

// RBACConfig describes how a cluster uses etcd's users and roles. Without it, nothing is prepared for
// RBAC.
type RBACConfig struct {
	// Compaction is who compacts etcd: etcd or apiserver.
	Compaction string `yaml:"compaction"`
}
