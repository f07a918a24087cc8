package kube

import (
	"fmt"
	"slices"
)

// Objects holds the objects of some files, in the files' order.
type Objects struct {
	NetworkPolicies        []NetworkPolicy
	ClusterNetworkPolicies []ClusterNetworkPolicy
	HostEndpoints          []HostEndpoint
	CalicoPolicies         []CalicoPolicy
	FelixConfigurations    []FelixConfiguration
	CiliumPolicies         []CiliumPolicy

	Pods       []Pod
	Nodes      []Node
	Namespaces []Namespace

	// Skipped lists the objects that are not judged.
	Skipped []Skipped
}

// Skipped is an object that is not judged, or not all of it.
type Skipped struct {
	File   string
	Kind   string // with its group, such as NetworkPolicy.extensions
	Name   string // with its namespace before a slash, where it has one
	Why    string
	Effect Effect
}

// Effect tells what an object that is not judged does to packets.
type Effect int

// The effects.
const (
	// Unrelated is an object of a kind that is not about packets.
	Unrelated Effect = iota
	// NoEffect is a policy that nothing enforces.
	NoEffect
	// ReadInPart is an object that has fields which are not known. It is judged with that doubt.
	ReadInPart
	// MayDecide is an object that might decide about packets. The other objects alone give no answer.
	MayDecide
)

// Append adds one object of a type of this package. It panics for any other type.
func (o *Objects) Append(object any) {
	switch object := object.(type) {
	case NetworkPolicy:
		o.NetworkPolicies = append(o.NetworkPolicies, object)
	case ClusterNetworkPolicy:
		o.ClusterNetworkPolicies = append(o.ClusterNetworkPolicies, object)
	case HostEndpoint:
		o.HostEndpoints = append(o.HostEndpoints, object)
	case CalicoPolicy:
		o.CalicoPolicies = append(o.CalicoPolicies, object)
	case FelixConfiguration:
		o.FelixConfigurations = append(o.FelixConfigurations, object)
	case CiliumPolicy:
		o.CiliumPolicies = append(o.CiliumPolicies, object)
	default:
		panic(fmt.Sprintf("kube: no list for a %T", object)) // a mistake of the caller
	}
}

// Add appends the objects of another set.
func (o *Objects) Add(other Objects) {
	o.NetworkPolicies = append(o.NetworkPolicies, other.NetworkPolicies...)
	o.ClusterNetworkPolicies = append(o.ClusterNetworkPolicies, other.ClusterNetworkPolicies...)
	o.HostEndpoints = append(o.HostEndpoints, other.HostEndpoints...)
	o.CalicoPolicies = append(o.CalicoPolicies, other.CalicoPolicies...)
	o.FelixConfigurations = append(o.FelixConfigurations, other.FelixConfigurations...)
	o.CiliumPolicies = append(o.CiliumPolicies, other.CiliumPolicies...)
	o.Pods = append(o.Pods, other.Pods...)
	o.Nodes = append(o.Nodes, other.Nodes...)
	o.Namespaces = append(o.Namespaces, other.Namespaces...)
	o.Skipped = append(o.Skipped, other.Skipped...)
}

// IsEmpty reports whether there is nothing that is about packets.
func (o *Objects) IsEmpty() bool {
	related := func(s Skipped) bool { return s.Effect != Unrelated }
	return len(o.NetworkPolicies)+len(o.ClusterNetworkPolicies)+len(o.HostEndpoints)+len(o.CalicoPolicies)+
		len(o.FelixConfigurations)+len(o.CiliumPolicies)+len(o.Pods)+len(o.Nodes)+len(o.Namespaces) == 0 &&
		!slices.ContainsFunc(o.Skipped, related)
}
