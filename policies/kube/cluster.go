package kube

// Pod holds those fields of a Pod that matter for its packets (v1). Dumps have far more fields, so
// unknown fields of Pods, nodes and namespaces are ignored.
type Pod struct {
	TypeMeta
	Metadata ObjectMeta `json:"metadata"`
	Spec     PodSpec    `json:"spec"`
	Status   PodStatus  `json:"status"`
}

// PodSpec tells where a Pod runs and which of its ports have names.
type PodSpec struct {
	NodeName       string      `json:"nodeName,omitempty"`
	HostNetwork    bool        `json:"hostNetwork,omitempty"`
	InitContainers []Container `json:"initContainers,omitempty"`
	Containers     []Container `json:"containers,omitempty"`
}

// Container has ports.
type Container struct {
	Ports []ContainerPort `json:"ports,omitempty"`
}

// ContainerPort gives a port a name.
type ContainerPort struct {
	Name          string `json:"name,omitempty"`
	ContainerPort int32  `json:"containerPort"`
	Protocol      string `json:"protocol,omitempty"`
}

// PodStatus has a Pod's addresses. A Pod that has Succeeded or Failed has none.
type PodStatus struct {
	Phase  string  `json:"phase,omitempty"`
	PodIP  string  `json:"podIP,omitempty"`
	PodIPs []PodIP `json:"podIPs,omitempty"`
}

// PodIP is an address.
type PodIP struct {
	IP string `json:"ip"`
}

// Node holds those fields of a node that matter for its packets (v1).
type Node struct {
	TypeMeta
	Metadata ObjectMeta `json:"metadata"`
	Spec     NodeSpec   `json:"spec"`
	Status   NodeStatus `json:"status"`
}

// NodeSpec has the networks of a node's Pods.
type NodeSpec struct {
	PodCIDR  string   `json:"podCIDR,omitempty"`
	PodCIDRs []string `json:"podCIDRs,omitempty"`
}

// NodeStatus has a node's addresses.
type NodeStatus struct {
	Addresses []NodeAddress `json:"addresses,omitempty"`
}

// NodeAddress is an address of type InternalIP, ExternalIP, Hostname and others.
type NodeAddress struct {
	Type    string `json:"type"`
	Address string `json:"address"`
}

// Namespace has labels (v1).
type Namespace struct {
	TypeMeta
	Metadata ObjectMeta `json:"metadata"`
}
