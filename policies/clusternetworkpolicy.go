package policies

import (
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// maxNetworks is the largest number of networks that a peer may have (sigs.k8s.io/network-policy-api v0.2.0).
const maxNetworks = 25

func clusterNetworkPolicyBackend() Backend {
	b := Backend{
		Name: cluster.BackendClusterNetworkPolicy, Summary: "keeps Pods from the members; in addition to one of the above",
		form: objectsForm{},
		normal: func(o kube.Objects) (all []normalObject) {
			for _, p := range o.ClusterNetworkPolicies {
				all = append(all, newNormalObject(p.TypeMeta, p.Metadata, p.Spec, "spec.ingress", "spec.egress"))
			}
			return all
		},
	}
	b.render = func(i *Intent, _ RenderOptions) (Rendered, error) {
		documents, err := clusterNetworkPolicy(i)
		if err != nil {
			return Rendered{}, err
		}
		return renderDocuments(i, b.Name, documents)
	}
	b.files = objectFiles(b.Name)
	return b
}

// clusterNetworkPolicy renders a policy that keeps Pods from members on the host network. It
// applies only to Pods, so it complements a backend that filters on the members' hosts.
func clusterNetworkPolicy(i *Intent) ([]document, error) {
	if err := i.refusePodClients(cluster.BackendClusterNetworkPolicy, "its subjects are Pods by label and never by address"); err != nil {
		return nil, err
	}
	var peers []kube.ClusterEgressPeer
	for networks := range slices.Chunk(networkTexts(hosts(i.MemberAddrs())), maxNetworks) {
		peers = append(peers, kube.ClusterEgressPeer{Networks: networks})
	}
	var protocols []kube.ClusterPolicyProtocol
	for _, p := range i.Ports.All() {
		port := &kube.ClusterPolicyPort{Number: int32(p)}
		protocols = append(protocols, kube.ClusterPolicyProtocol{TCP: &kube.ClusterPolicyTransport{DestinationPort: port}})
	}
	return []document{{
		why: `No Pod reaches the members, whatever address its node gives it. It is no isolation by itself: hosts,
Pods on the host network and what is outside of the cluster are not its subjects. Add nftables,
calico or cilium, or drop-ins of systemd. It needs a network that has this API.

Pods that are to reach etcd all the same: a policy of your own with a lower priority, their labels
as its subject and action Accept.`,
		object: kube.ClusterNetworkPolicy{
			TypeMeta: kube.TypeMeta{APIVersion: "policy.networking.k8s.io/v1alpha2", Kind: "ClusterNetworkPolicy"},
			Metadata: i.managed(i.Cluster + "-no-pod-to-etcd"),
			Spec: kube.ClusterNetworkPolicySpec{
				Tier: "Admin", Priority: 10,
				Subject: kube.ClusterPolicySubject{Namespaces: &kube.LabelSelector{}},
				Egress:  []kube.ClusterEgressRule{{Name: "no-pod-to-etcd", Action: "Deny", To: peers, Protocols: protocols}},
			},
		},
		notes: []note{{"spec.subject", "Every Pod of the Pod network."}},
	}}, nil
}
