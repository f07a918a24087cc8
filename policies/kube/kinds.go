package kube

import "strings"

// reading tells how the objects of one kind are read.
type reading struct {
	read func(d *decoder, data []byte) error
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

// explainUnread returns why a kind is not read, and whether it might decide about packets.
func explainUnread(group, version, kind string) (decides bool, why string) {
	switch {
	case group == "extensions" && kind == "NetworkPolicy":
		return false, "extensions/" + version + " was removed in Kubernetes 1.16, so it does nothing; write networking.k8s.io/v1"
	case strings.HasPrefix(kind, "Staged"):
		return false, "it is staged: Calico shows what it would do, and enforces nothing"
	case group == "networking.k8s.io" && kind == "NetworkPolicy", group == "policy.networking.k8s.io":
		return true, group + "/" + version + " is not known here"
	case (group == "projectcalico.org" || group == "crd.projectcalico.org") &&
		(kind == "Tier" || strings.HasSuffix(kind, "NetworkSet") || kind == "Profile" || strings.HasSuffix(kind, "NetworkPolicy")):
		return true, "what it decides is not known here"
	case group == "cilium.io" && (strings.HasSuffix(kind, "NetworkPolicy") || kind == "CiliumCIDRGroup"):
		return true, "what it decides is not known here"
	}
	return false, "it does not say who reaches whom"
}
