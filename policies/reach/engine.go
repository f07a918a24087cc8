package reach

import (
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// engine is one implementation of policies. A function that it does not need is nil.
// [evaluator.podVerdict] combines the engines of Pods, because their effect together is a property of
// the pair.
type engine struct {
	backend cluster.Backend
	// compile reads the engine's policies from some objects. It calls note with the error of each
	// policy that the API server refuses, and leaves out the policy if note returns false.
	compile func(e *evaluator, o *kube.Objects, note func(error) bool)
	// selects adds the policies that select a Pod of the Pod network.
	selects func(e *evaluator, p *Pod, to *podPolicies)
	// judge returns what happens to a packet at a place. The verdict has no reason if the engine
	// does not decide about the packet.
	judge func(e *evaluator, at place) verdict
	// distinguish adds everything by which the engine's policies distinguish senders.
	distinguish func(s *signatures)
	// assumptions lists what the result depends on and the files do not show.
	assumptions func(e *evaluator) []string
	// words returns a decision in words; empty if the common words are enough.
	words func(d Decision) string
}

// engines lists the engines in the order in which a packet meets them at a place.
func engines() []engine {
	return []engine{networkPolicyEngine(), clusterPolicyEngine(), nftablesEngine(), calicoEngine(), ciliumEngine(), systemdEngine()}
}

// passage tells how a host handles a packet.
type passage int

const (
	fromPod         passage = iota + 1 // takes it from the Pod that sends it
	forwardsOut                        // forwards it from a Pod of its own to another host
	forwardsIn                         // forwards it from another host to a Pod of its own
	forwardsBetween                    // perhaps forwards it between two Pods of its own
	sends                              // sends it itself
	receives                           // receives it from another host
	receivesPod                        // receives it from a Pod of its own
	loops                              // sends it to itself
)

// place is a host that a packet passes, and the packet as it looks there.
type place struct {
	passage passage
	node    *Node
	member  string // the member whose unit sends or receives it, or empty
	conn    conn
}
