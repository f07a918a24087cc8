package kube

// NetworkPolicy is the kind of networking.k8s.io/v1 (k8s.io/api/networking/v1/types.go). It never
// selects a Pod on the host network.
type NetworkPolicy struct {
	TypeMeta
	Metadata ObjectMeta        `json:"metadata"`
	Spec     NetworkPolicySpec `json:"spec"`
	Partial
}

// NetworkPolicySpec allows only what it lists, in the directions of PolicyTypes. If there are none,
// the API server fills in Ingress, and Egress if there are rules for it.
type NetworkPolicySpec struct {
	PodSelector LabelSelector `json:"podSelector"`
	PolicyTypes []string      `json:"policyTypes,omitempty"`
	Ingress     []IngressRule `json:"ingress,omitempty"`
	Egress      []EgressRule  `json:"egress,omitempty"`
}

// IngressRule lets in what comes from one of From to one of Ports. An empty list matches everything.
type IngressRule struct {
	From  []Peer       `json:"from,omitempty"`
	Ports []PolicyPort `json:"ports,omitempty"`
}

// EgressRule is IngressRule for the other direction.
type EgressRule struct {
	To    []Peer       `json:"to,omitempty"`
	Ports []PolicyPort `json:"ports,omitempty"`
}

// Peer is either an IPBlock or Pods: those of the policy's namespace, or those of the namespaces
// that NamespaceSelector selects.
type Peer struct {
	PodSelector       *LabelSelector `json:"podSelector,omitempty"`
	NamespaceSelector *LabelSelector `json:"namespaceSelector,omitempty"`
	IPBlock           *IPBlock       `json:"ipBlock,omitempty"`
}

// IPBlock is a network except some networks in it.
type IPBlock struct {
	CIDR   string   `json:"cidr"`
	Except []string `json:"except,omitempty"`
}

// PolicyPort is a port, or a range of ports up to EndPort. The default Protocol is TCP.
type PolicyPort struct {
	Protocol string       `json:"protocol,omitempty"`
	Port     *IntOrString `json:"port,omitempty"`
	EndPort  *int32       `json:"endPort,omitempty"`
}
