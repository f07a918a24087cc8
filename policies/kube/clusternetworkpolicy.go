package kube

// ClusterNetworkPolicy is the kind of policy.networking.k8s.io/v1alpha2
// (sigs.k8s.io/network-policy-api v0.2.0, apis/v1alpha2). Its subjects are Pods of the Pod network;
// those on the host network are never among them.
type ClusterNetworkPolicy struct {
	TypeMeta
	Metadata ObjectMeta               `json:"metadata"`
	Spec     ClusterNetworkPolicySpec `json:"spec"`
	Partial
}

// ClusterNetworkPolicySpec is judged before NetworkPolicies in tier Admin and after them in
// tier Baseline, by rising priority; the first rule that matches decides.
type ClusterNetworkPolicySpec struct {
	Tier     string               `json:"tier"`
	Priority int32                `json:"priority"`
	Subject  ClusterPolicySubject `json:"subject"`
	Ingress  []ClusterIngressRule `json:"ingress,omitempty"`
	Egress   []ClusterEgressRule  `json:"egress,omitempty"`
}

// ClusterPolicySubject has one of its fields set.
type ClusterPolicySubject struct {
	Namespaces *LabelSelector `json:"namespaces,omitempty"`
	Pods       *NamespacedPod `json:"pods,omitempty"`
}

// NamespacedPod selects Pods of namespaces.
type NamespacedPod struct {
	NamespaceSelector LabelSelector `json:"namespaceSelector"`
	PodSelector       LabelSelector `json:"podSelector"`
}

// ClusterIngressRule accepts, denies or passes on to the next tier.
type ClusterIngressRule struct {
	Name      string                  `json:"name,omitempty"`
	Action    string                  `json:"action"` // Accept, Deny, Pass
	From      []ClusterIngressPeer    `json:"from"`
	Protocols []ClusterPolicyProtocol `json:"protocols,omitempty"`
}

// ClusterIngressPeer has one of its fields set.
type ClusterIngressPeer struct {
	Namespaces *LabelSelector `json:"namespaces,omitempty"`
	Pods       *NamespacedPod `json:"pods,omitempty"`
}

// ClusterEgressRule accepts, denies or passes on to the next tier.
type ClusterEgressRule struct {
	Name      string                  `json:"name,omitempty"`
	Action    string                  `json:"action"`
	To        []ClusterEgressPeer     `json:"to"`
	Protocols []ClusterPolicyProtocol `json:"protocols,omitempty"`
}

// ClusterEgressPeer has one of its fields set.
type ClusterEgressPeer struct {
	Namespaces  *LabelSelector `json:"namespaces,omitempty"`
	Pods        *NamespacedPod `json:"pods,omitempty"`
	Nodes       *LabelSelector `json:"nodes,omitempty"`
	Networks    []string       `json:"networks,omitempty"`
	DomainNames []string       `json:"domainNames,omitempty"`
}

// ClusterPolicyProtocol has one of its fields set.
type ClusterPolicyProtocol struct {
	TCP                  *ClusterPolicyTransport `json:"tcp,omitempty"`
	UDP                  *ClusterPolicyTransport `json:"udp,omitempty"`
	SCTP                 *ClusterPolicyTransport `json:"sctp,omitempty"`
	DestinationNamedPort string                  `json:"destinationNamedPort,omitempty"`
}

// ClusterPolicyTransport limits destination ports.
type ClusterPolicyTransport struct {
	DestinationPort *ClusterPolicyPort `json:"destinationPort,omitempty"`
}

// ClusterPolicyPort has one of its fields set.
type ClusterPolicyPort struct {
	Number int32      `json:"number,omitempty"`
	Range  *PortRange `json:"range,omitempty"`
}

// PortRange includes both ends.
type PortRange struct {
	Start int32 `json:"start"`
	End   int32 `json:"end"`
}
