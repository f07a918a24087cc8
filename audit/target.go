package audit

// Kind tells a listener, a cluster of listeners, and settings on a host apart.
type Kind string

// The kinds of target.
const (
	Client  Kind = "client"
	Peer    Kind = "peer"
	Metrics Kind = "metrics"

	APIServer Kind = "apiserver" // a kube-apiserver's secure port, of which only the CA names are read
	Kubelet   Kind = "kubelet"   // a kubelet's port, likewise

	Cluster Kind = "cluster" // what its listeners say when they are put side by side
	Config  Kind = "config"  // the settings of one etcd, and of the API server beside it, on a host
	Data    Kind = "data"    // what a store holds

	Encryption Kind = "encryption" // a file that says how kube-apiserver encrypts what it stores
	Policies   Kind = "policies"   // what isolates a cluster on the network
)

// Listeners returns the kinds of target that are one of etcd's ports.
func Listeners() []Kind { return []Kind{Client, Peer, Metrics} }

// Target is one thing that an audit looked at: a [Listener], an [EtcdCluster], [HostSettings]
// or [StoredData]. Each holds what was collected about it, and checks read nothing else.
type Target interface {
	Subject
	// Unreached returns why nothing is known of the target at all. It is empty where something
	// may be known.
	Unreached() string
	// SetPaths notes what the operator named, for the remediations.
	SetPaths(specPath, storeDir string)
	// SetObserver notes the name of the host from which the target was looked at.
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
