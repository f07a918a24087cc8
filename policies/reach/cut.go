package reach

import "github.com/etcdsec/etcdsec/policies"

// Cut is a host where policies block traffic that has nothing to do with etcd.
type Cut struct {
	Node      string
	Calico    bool // and not Cilium
	DecidedBy string
	Unknown   string // why it is not known whether they do
}

// kubeletPort stands for the ports that other nodes' API servers need.
const kubeletPort = 10250

// Cuts returns the members' hosts whose kubelet another host can no longer reach: that of another
// member, of an API server, or another node. The cause is a host endpoint without a policy that lets
// other traffic in, or default deny.
func Cuts(i *policies.Intent, t Topology, filters policies.Filters) []Cut {
	e, _ := newEvaluator(i, t, filters) // Prove says what could not be taken
	e.makeTargets()
	var cuts []Cut
	for _, m := range e.targets {
		if m.pod != nil {
			continue
		}
		c, ok := e.kubeletCaller(m)
		if !ok {
			why := "no other host has an address of the family of " + m.name
			cuts = append(cuts, Cut{Node: m.node.Name, Unknown: why}, Cut{Node: m.node.Name, Calico: true, Unknown: why})
			continue
		}
		for _, calico := range []bool{true, false} {
			v := e.ciliumHost(m.node, c, false)
			if calico {
				v = e.calicoHostVerdict(m.node, c, false, false)
			}
			if !v.allowed {
				cuts = append(cuts, Cut{m.node.Name, calico, v.by.words(), v.unknown})
			}
		}
	}
	return cuts
}

// kubeletCaller returns a connection from another host to the kubelet on a member's host.
func (e *evaluator) kubeletCaller(m target) (conn, bool) {
	others := make([]*Node, 0, len(e.targets)+len(e.intent.APIServers)+1)
	for _, o := range e.targets {
		others = append(others, o.node)
	}
	for _, s := range e.intent.APIServers {
		others = append(others, e.hostNode(s))
	}
	for _, other := range append(others, e.worker()) {
		if other == nil || other == m.node {
			continue
		}
		for _, to := range m.addrs {
			if from := sameFamily(other.Addrs, to); len(from) > 0 {
				return conn{src: end{node: other, addr: from[0]}, dst: end{node: m.node, addr: to}, port: kubeletPort}, true
			}
		}
	}
	return conn{}, false
}
