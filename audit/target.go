package audit

// Kind is the kind of a target, such as a listener, a cluster or the settings on a host.
type Kind string

// The kinds of target.
const (
	Client  Kind = "client"
	Peer    Kind = "peer"
	Metrics Kind = "metrics"

	APIServer Kind = "apiserver" // a kube-apiserver's secure port, from which the audit reads only the CA names
	Kubelet   Kind = "kubelet"   // a kubelet's port, likewise

	Cluster Kind = "cluster" // all its listeners, compared with each other
	Config  Kind = "config"  // the settings of one etcd, and of the API server on the same host
	Data    Kind = "data"    // the stored data

	Encryption Kind = "encryption" // a file that configures how kube-apiserver encrypts stored objects
	Policies   Kind = "policies"   // the policies that isolate a cluster on the network
)

// Listeners returns the kinds of target that are one of etcd's ports.
func Listeners() []Kind { return []Kind{Client, Peer, Metrics} }

// Target is one thing that an audit looked at: a [Listener], an [EtcdCluster], [HostSettings]
// or [StoredData]. Each holds what was collected about it; a [Check] reads nothing else.
type Target interface {
	Subject
	// Unreached returns why nothing is known about the target. It is empty if something may be known.
	Unreached() string
	// SetPaths sets the files that the operator named, for the remediations.
	SetPaths(specPath, storeDir string)
	// SetObserver sets the name of the host on which the target was observed.
	SetObserver(name string)
}

// Targets returns targets of one kind as a list to which others can be added.
func Targets[T Target](of []T) []Target {
	targets := make([]Target, len(of))
	for i, t := range of {
		targets[i] = t
	}
	return targets
}

// Paths holds the files that the operator named.
type Paths struct {
	SpecPath string // the cluster spec; empty if none was named
	StoreDir string // the store; empty if none was named
}

// SetPaths implements Target.
func (p *Paths) SetPaths(specPath, storeDir string) { p.SpecPath, p.StoreDir = specPath, storeDir }
