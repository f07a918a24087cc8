package policies_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// labMatrix is the proof of the loaded rules.
type labMatrix struct {
	site   *policiesSite
	proofs map[*labHost]reach.Proof
}

func (s *policiesSite) matrix() labMatrix {
	return labMatrix{s, map[*labHost]reach.Proof{}}
}

// flow finds a connection of the laboratory in the proof of its sender.
func (m labMatrix) flow(t *testing.T, f labFlow) reach.Flow {
	t.Helper()
	proof, ok := m.proofs[f.from]
	if !ok {
		proof = m.site.prove(f.from)
		m.proofs[f.from] = proof
		if len(proof.Unknown) > 0 {
			t.Errorf("%s: unknown: %q", f.from.name, proof.Unknown)
		}
	}
	return findFlow(t, proof, f)
}

// findFlow finds a connection of the laboratory in the proof of its sender.
func findFlow(t *testing.T, proof reach.Proof, f labFlow) reach.Flow {
	t.Helper()
	for _, p := range proof.Flows {
		from := p.FromAddr == f.from.addrs[0] || p.FromAddr == f.from.addrs[1]
		if f.from.name == "outsider" { // one address stands for all of them
			from = p.FromClass == reach.ClassOutside && p.FromAddr.Is4() == f.dst.Is4()
		}
		if from && p.ToAddr == f.dst && p.Port == f.port {
			return p
		}
	}
	t.Errorf("%s: not in the matrix", f)
	return reach.Flow{}
}

// prove returns the proof for a cluster with the nodes of the laboratory and one other sender: a proof
// merges senders with equal results, and the test needs each one separately.
func (s *policiesSite) prove(from *labHost) reach.Proof {
	intent := *s.intent
	intent.PodAddresses = cluster.Routed
	if from.masqueraded {
		intent.PodAddresses = cluster.Masqueraded
	}
	var dump kube.Objects
	filters := policies.Filters{Rules: policies.NftablesForward(&intent)} // of nodes that are not here
	node := from
	if from.node != nil {
		node = from.node
		pod := kube.Pod{Metadata: kube.ObjectMeta{Namespace: "default", Name: from.name}, Spec: kube.PodSpec{NodeName: node.name}}
		for _, a := range from.addrs {
			pod.Status.PodIPs = append(pod.Status.PodIPs, kube.PodIP{IP: a.String()})
		}
		dump.Pods = append(dump.Pods, pod)
	}
	for _, h := range s.hosts {
		switch h.name {
		case "scraper", "backup", "outsider":
			continue // no nodes
		case "worker", "node":
			if h != node {
				continue
			}
		}
		n := kube.Node{Metadata: kube.ObjectMeta{Name: h.name}}
		for _, a := range h.addrs {
			n.Status.Addresses = append(n.Status.Addresses, kube.NodeAddress{Type: "InternalIP", Address: a.String()})
		}
		dump.Nodes = append(dump.Nodes, n)
		filters.NodeRules = append(filters.NodeRules, policies.NodeRules{Node: h.name, Rules: h.rules})
	}
	return reach.Prove(&intent, reach.NewTopology(&intent, dump), filters, audit.Place{})
}
