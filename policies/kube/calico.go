package kube

// CalicoAPIVersion is the API version of all of Calico's objects (github.com/projectcalico/api,
// pkg/apis/projectcalico/v3).
const CalicoAPIVersion = "projectcalico.org/v3"

// HostEndpoint makes policies apply to interfaces of a node. Without a profile or policy that lets
// traffic in, the node is cut off, except for the failsafe ports.
type HostEndpoint struct {
	TypeMeta
	Metadata ObjectMeta       `json:"metadata"`
	Spec     HostEndpointSpec `json:"spec"`
	Partial
}

// HostEndpointSpec names the node and the interface: "*" is all of them.
type HostEndpointSpec struct {
	Node          string   `json:"node,omitempty"`
	InterfaceName string   `json:"interfaceName,omitempty"`
	ExpectedIPs   []string `json:"expectedIPs,omitempty"`
	Profiles      []string `json:"profiles,omitempty"`
	// Ports have names. They open and close nothing.
	Ports []CalicoEndpointPort `json:"ports,omitempty"`
}

// CalicoEndpointPort gives a port of a host a name.
type CalicoEndpointPort struct {
	Name     string      `json:"name"`
	Protocol IntOrString `json:"protocol"`
	Port     uint16      `json:"port"`
}

// CalicoPolicy is a GlobalNetworkPolicy, or a NetworkPolicy of Calico's own, which selects only Pods
// of its namespace.
type CalicoPolicy struct {
	TypeMeta
	Metadata ObjectMeta       `json:"metadata"`
	Spec     CalicoPolicySpec `json:"spec"`
	Partial
}

// CalicoPolicySpec applies to the host endpoints and Pods that the selectors select. Policies are
// judged by rising order; the first rule that matches decides. If any policy of a tier applies and
// no rule matches, the packet is denied.
type CalicoPolicySpec struct {
	Tier                   string       `json:"tier,omitempty"`
	Order                  *float64     `json:"order,omitempty"`
	Selector               string       `json:"selector,omitempty"`
	NamespaceSelector      string       `json:"namespaceSelector,omitempty"`
	ServiceAccountSelector string       `json:"serviceAccountSelector,omitempty"`
	Types                  []string     `json:"types,omitempty"`
	Ingress                []CalicoRule `json:"ingress,omitempty"`
	Egress                 []CalicoRule `json:"egress,omitempty"`
	ApplyOnForward         bool         `json:"applyOnForward,omitempty"`
	PreDNAT                bool         `json:"preDNAT,omitempty"`
	DoNotTrack             bool         `json:"doNotTrack,omitempty"`
	// PerformanceHints tell Felix when to prepare a policy. They decide nothing.
	PerformanceHints []string `json:"performanceHints,omitempty"`
}

// CalicoRule allows, denies, logs or passes on to the next tier.
type CalicoRule struct {
	Action      string        `json:"action"`
	IPVersion   *int          `json:"ipVersion,omitempty"`
	Protocol    *IntOrString  `json:"protocol,omitempty"`
	NotProtocol *IntOrString  `json:"notProtocol,omitempty"`
	Source      *CalicoEntity `json:"source,omitempty"`
	Destination *CalicoEntity `json:"destination,omitempty"`
	ICMP        *CalicoICMP   `json:"icmp,omitempty"` // of a rule whose protocol is ICMP or ICMPv6
	NotICMP     *CalicoICMP   `json:"notICMP,omitempty"`
	// Metadata describes the rule for people.
	Metadata *CalicoRuleMetadata `json:"metadata,omitempty"`
}

// CalicoICMP selects messages of ICMP.
type CalicoICMP struct {
	Type *int `json:"type,omitempty"`
	Code *int `json:"code,omitempty"`
}

// CalicoRuleMetadata has annotations.
type CalicoRuleMetadata struct {
	Annotations map[string]string `json:"annotations,omitempty"`
}

// CalicoEntity is one end of a packet; every condition that is given must hold.
type CalicoEntity struct {
	Nets              []string          `json:"nets,omitempty"`
	NotNets           []string          `json:"notNets,omitempty"`
	Selector          string            `json:"selector,omitempty"`
	NotSelector       string            `json:"notSelector,omitempty"`
	NamespaceSelector string            `json:"namespaceSelector,omitempty"`
	Ports             []CalicoPortRange `json:"ports,omitempty"`
	NotPorts          []CalicoPortRange `json:"notPorts,omitempty"`
}

// CalicoPortRange is a number, "FIRST:LAST" or a name, as it was written.
type CalicoPortRange = IntOrString

// FelixConfiguration configures all nodes if its name is default, and one node if it is node.NAME.
type FelixConfiguration struct {
	TypeMeta
	Metadata ObjectMeta             `json:"metadata"`
	Spec     FelixConfigurationSpec `json:"spec"`
}

// FelixConfigurationSpec has the ports that host endpoints leave open, whatever the policies are. By
// default they are tcp 22, udp 68, tcp 179, 2379, 2380, 5473, 6443, 6666 and 6667 from anywhere
// (projectcalico/calico felix/config/config_params.go).
type FelixConfigurationSpec struct {
	FailsafeInboundHostPorts  *[]FailsafePort `json:"failsafeInboundHostPorts,omitempty"`
	FailsafeOutboundHostPorts *[]FailsafePort `json:"failsafeOutboundHostPorts,omitempty"`
}

// FailsafePort is a port from one network, or from anywhere.
type FailsafePort struct {
	Protocol string `json:"protocol"`
	Port     uint16 `json:"port"`
	Net      string `json:"net,omitempty"`
}
