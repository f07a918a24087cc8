package kube

import "encoding/json"

// CiliumPolicy is a CiliumClusterwideNetworkPolicy, or a CiliumNetworkPolicy, which has a
// namespace (cilium.io/v2; github.com/cilium/cilium pkg/policy/api v1.20).
type CiliumPolicy struct {
	TypeMeta
	Metadata ObjectMeta   `json:"metadata"`
	Spec     *CiliumRule  `json:"spec,omitempty"`
	Specs    []CiliumRule `json:"specs,omitempty"`
	Partial
}

// CiliumRule applies to Pods or, with NodeSelector, to nodes. If it has rules for a direction, it
// turns on default deny for that direction, unless EnableDefaultDeny is false. A deny wins over an
// allow.
type CiliumRule struct {
	EndpointSelector  *LabelSelector     `json:"endpointSelector,omitempty"`
	NodeSelector      *LabelSelector     `json:"nodeSelector,omitempty"`
	Ingress           []CiliumIngress    `json:"ingress,omitempty"`
	IngressDeny       []CiliumIngress    `json:"ingressDeny,omitempty"`
	Egress            []CiliumEgress     `json:"egress,omitempty"`
	EgressDeny        []CiliumEgress     `json:"egressDeny,omitempty"`
	EnableDefaultDeny *CiliumDefaultDeny `json:"enableDefaultDeny,omitempty"`
	Description       string             `json:"description,omitempty"`
	// Labels and Log describe the rule to people and in logs.
	Labels []json.RawMessage          `json:"labels,omitempty"`
	Log    map[string]json.RawMessage `json:"log,omitempty"`
}

// CiliumDefaultDeny turns default deny on or off. A direction that is not set is on if it has rules.
type CiliumDefaultDeny struct {
	Ingress *bool `json:"ingress,omitempty"`
	Egress  *bool `json:"egress,omitempty"`
}

// CiliumIngress has one of the From lists, and ToPorts. Without a From list it covers everybody.
type CiliumIngress struct {
	FromEndpoints []LabelSelector  `json:"fromEndpoints,omitempty"`
	FromEntities  []string         `json:"fromEntities,omitempty"`
	FromNodes     []LabelSelector  `json:"fromNodes,omitempty"`
	FromCIDR      []string         `json:"fromCIDR,omitempty"`
	FromCIDRSet   []CiliumCIDR     `json:"fromCIDRSet,omitempty"`
	ToPorts       []CiliumPortRule `json:"toPorts,omitempty"`
	ICMPs         []CiliumICMP     `json:"icmps,omitempty"`
}

// CiliumEgress is CiliumIngress for the other direction.
type CiliumEgress struct {
	ToEndpoints []LabelSelector  `json:"toEndpoints,omitempty"`
	ToEntities  []string         `json:"toEntities,omitempty"`
	ToNodes     []LabelSelector  `json:"toNodes,omitempty"`
	ToCIDR      []string         `json:"toCIDR,omitempty"`
	ToCIDRSet   []CiliumCIDR     `json:"toCIDRSet,omitempty"`
	ToPorts     []CiliumPortRule `json:"toPorts,omitempty"`
	ICMPs       []CiliumICMP     `json:"icmps,omitempty"`
}

// CiliumCIDR is a network except some networks in it.
type CiliumCIDR struct {
	CIDR   string   `json:"cidr"`
	Except []string `json:"except,omitempty"`
}

// CiliumPortRule has ports. With Rules, a proxy also judges what is said over the connection, such as
// a question to DNS.
type CiliumPortRule struct {
	Ports []CiliumPort               `json:"ports,omitempty"`
	Rules map[string]json.RawMessage `json:"rules,omitempty"`
}

// CiliumICMP selects messages of ICMP. An entry that has some is about no other protocol.
type CiliumICMP struct {
	Fields []json.RawMessage `json:"fields,omitempty"`
}

// CiliumPort is a port, by number or name, or a range of them up to EndPort.
type CiliumPort struct {
	Port     string `json:"port"`
	EndPort  int32  `json:"endPort,omitempty"`
	Protocol string `json:"protocol,omitempty"`
}
