package kube

// Pod is what of a Pod concerns its packets (v1). A dump of a cluster has far more in it, so
// unknown fields of these three are left alone.
type Pod struct {
	TypeMeta
	Metadata ObjectMeta `json:"metadata"`
	Spec     PodSpec    `json:"spec"`
	Status   PodStatus  `json:"status"`
}

// PodSpec says where a Pod is and which of its ports have names.
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

// PodStatus has a Pod's addresses. One that has Succeeded or Failed has none any more.
type PodStatus struct {
	Phase  string  `json:"phase,omitempty"`
	PodIP  string  `json:"podIP,omitempty"`
	PodIPs []PodIP `json:"podIPs,omitempty"`
}

// PodIP is an address.
type PodIP struct {
	IP string `json:"ip"`
}

// Node is what of a node concerns its packets (v1).
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
