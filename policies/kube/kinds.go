package kube

import (
	"slices"
	"strings"
)

// reading tells how the objects of one kind are read.
type reading struct {
	// read adds an object, and returns which of its fields are not known.
	read func(d *decoder, data []byte) (Unread, error)
	// lenient ignores the fields that do not matter for packets. An object that cannot be read so is
	// an error of the file; one that cannot be read strictly is skipped.
	lenient bool
}

// kinds returns how each known kind is read: strictly, in part or, where it became
// another kind, with a conversion.
func kinds() map[TypeMeta]reading {
	cilium := readStrictly(func(o *Objects) *[]CiliumPolicy { return &o.CiliumPolicies })
	admin := readWith(decodeAdmin, func(o *Objects) *[]ClusterNetworkPolicy { return &o.ClusterNetworkPolicies })
	table := map[TypeMeta]reading{
		{"v1", "Pod"}:       readSome(podFields(), func(o *Objects) *[]Pod { return &o.Pods }),
		{"v1", "Node"}:      readSome(nodeFields(), func(o *Objects) *[]Node { return &o.Nodes }),
		{"v1", "Namespace"}: readSome(namespaceFields(), func(o *Objects) *[]Namespace { return &o.Namespaces }),

		{"networking.k8s.io/v1", "NetworkPolicy"}: readStrictly(func(o *Objects) *[]NetworkPolicy { return &o.NetworkPolicies }),

		{"policy.networking.k8s.io/v1alpha2", "ClusterNetworkPolicy"}:       readStrictly(func(o *Objects) *[]ClusterNetworkPolicy { return &o.ClusterNetworkPolicies }),
		{"policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy"}:         admin,
		{"policy.networking.k8s.io/v1alpha1", "BaselineAdminNetworkPolicy"}: admin,

		{"cilium.io/v2", "CiliumNetworkPolicy"}:            cilium,
		{"cilium.io/v2", "CiliumClusterwideNetworkPolicy"}: cilium,
	}
	// kubectl shows Calico's objects under the second name where Calico's own API server is not
	// there. They have the same shape.
	for _, version := range []string{CalicoAPIVersion, "crd.projectcalico.org/v1"} {
		policy := readWith(decodeCalicoPolicy, func(o *Objects) *[]CalicoPolicy { return &o.CalicoPolicies })
		table[TypeMeta{version, "GlobalNetworkPolicy"}] = policy
		table[TypeMeta{version, "NetworkPolicy"}] = policy
		table[TypeMeta{version, "HostEndpoint"}] = readWith(decodeHostEndpoint, func(o *Objects) *[]HostEndpoint { return &o.HostEndpoints })
		table[TypeMeta{version, "FelixConfiguration"}] = readWith(decodeFelix, func(o *Objects) *[]FelixConfiguration { return &o.FelixConfigurations })
	}
	return table
}

// explainUnread returns what a kind that is not read does to packets, and why it is not read.
func explainUnread(group, version, kind string) (Effect, string) {
	switch {
	case group == "extensions" && kind == "NetworkPolicy":
		return NoEffect, "extensions/" + version + " was removed in Kubernetes 1.16, so it does nothing; write networking.k8s.io/v1"
	case strings.HasPrefix(kind, "Staged"):
		return NoEffect, "it is staged: Calico shows what it would do, and enforces nothing"
	case group == "networking.k8s.io" && kind == "NetworkPolicy", group == "policy.networking.k8s.io":
		return MayDecide, group + "/" + version + " is not known here"
	case strings.HasSuffix(kind, "NetworkPolicy"), slices.Contains(unreadKinds(), kind+"."+group):
		return MayDecide, "what it decides is not known here"
	}
	return Unrelated, "it does not say who reaches whom"
}

// unreadKinds lists the kinds beside the NetworkPolicies of every group that may decide about packets.
func unreadKinds() []string {
	var kinds []string
	for _, group := range []string{"projectcalico.org", "crd.projectcalico.org"} {
		for _, kind := range []string{"Tier", "GlobalNetworkSet", "NetworkSet", "Profile"} {
			kinds = append(kinds, kind+"."+group)
		}
	}
	return append(kinds, "CiliumCIDRGroup.cilium.io", "Tier.crd.antrea.io", "EgressFirewall.k8s.ovn.org", "AuthorizationPolicy.security.istio.io")
}
