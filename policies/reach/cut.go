package reach

import (
	"slices"

	"github.com/etcdsec/etcdsec/policies"
)

// Cut is a host where policies block traffic that has nothing to do with etcd.
type Cut struct {
	Node      string
	Calico    bool // and not Cilium
	DecidedBy string
}

// kubeletPort stands for the ports that other nodes' API servers need.
const kubeletPort = 10250

// Cuts returns the members' hosts whose kubelet another member's host can no longer reach. The cause
// is a host endpoint without a policy that lets other traffic in, or default deny.
func Cuts(i *policies.Intent, t Topology, filters policies.Filters) []Cut {
	e, _ := newEvaluator(i, t, filters) // Prove says what could not be taken
	e.makeTargets()
	var cuts []Cut
	for _, m := range e.targets {
		others := slices.DeleteFunc(slices.Clone(e.targets), func(o target) bool { return o.node == m.node })
		if m.pod != nil || len(others) == 0 || len(m.addrs) == 0 {
			continue
		}
		from := sameFamily(others[0].addrs, m.addrs[0])
		if len(from) == 0 {
			continue
		}
		c := conn{src: end{node: others[0].node, addr: from[0]}, dst: end{node: m.node, addr: m.addrs[0]}, port: kubeletPort}
		if v := e.calicoHostVerdict(m.node, c, false, false); !v.allowed && v.unknown == "" {
			cuts = append(cuts, Cut{m.node.Name, true, v.by.words()})
		}
		if v := e.ciliumHost(m.node, c, false); !v.allowed && v.unknown == "" {
			cuts = append(cuts, Cut{m.node.Name, false, v.by.words()})
		}
	}
	return cuts
}
