package reach

import (
	"fmt"

	"github.com/etcdsec/etcdsec/cluster"
)

// Kind tells why a packet passes or is stopped.
type Kind string

// The kinds of decisions. JSON has them; they never change.
const (
	ByRule          Kind = "rule"            // a rule that matches
	ByDefaultDeny   Kind = "default-deny"    // policies apply, and none of their rules matches
	ByNoDeny        Kind = "no-deny"         // policies apply, and none of their rules stops it
	ByFailsafe      Kind = "failsafe"        // a port that Felix leaves open whatever policies say
	ByProfile       Kind = "profile"         // the profile of a host endpoint, in place of a policy
	ByNoProfile     Kind = "no-profile"      // a host endpoint with neither a policy nor a profile
	ByHostAction    Kind = "host-action"     // Calico leaves what a Pod sends to its own host to a setting
	ByOwnHost       Kind = "own-host"        // a host and itself
	ByOwnNode       Kind = "own-node"        // a node and a Pod on it
	ByNoPolicy      Kind = "no-policy"       // no policy selects the Pod
	ByOtherPolicies Kind = "other-policies"  // the policies of the Pod are about other directions or ports
	ByNothing       Kind = "nothing"         // there is no filter in the way
	ByUnclear       Kind = "unclear"         // an object that may decide, and nothing tells how
	ByUnclearPods   Kind = "unclear-pods"    // a policy of Cilium that may select the Pod
	ByUnclearHost   Kind = "unclear-host"    // a host endpoint that may be that of the address
	ByUnknownRules  Kind = "rules-not-given" // a node whose ruleset nobody gave
	ByTranslation   Kind = "translation"     // a rule that gives it another destination (NAT)

	ByUnread Kind = "unread" // a policy that has a field, or is of a kind, that is not read

	ByNoFamily       Kind = "no-family"         // sender and member have no address of one family
	ByUnknownAddress Kind = "address-not-known" // a node whose address the files do not have
)

// Decision names the rule that decides about a packet. Which fields are set depends on Kind and Engine.
type Decision struct {
	Kind Kind `json:"kind"`
	// Engine enforces it. What no filter decides has none.
	Engine cluster.Backend `json:"engine,omitempty"`
	// Policy names the object by kind, namespace and name; of systemd, the unit.
	Policy string `json:"policy,omitempty"`
	// More counts further policies that apply and decide the same.
	More int `json:"more,omitempty"`
	// Rule is its place in the policy, such as ingress[0]; of nftables, what nft lists; of systemd, the setting.
	Rule   string `json:"rule,omitempty"`
	Action string `json:"action,omitempty"` // Allow, Deny or Accept; empty where rules have none
	Egress bool   `json:"egress,omitempty"` // it is about what is sent, not received
	Tier   string `json:"tier,omitempty"`   // of Calico
	Hook   string `json:"hook,omitempty"`   // of nftables: input, forward, prerouting and so on
	To     string `json:"to,omitempty"`     // the other destination, of a translation
	// Port and Network are those of a failsafe port; without a network it is open to everybody.
	Port    uint16 `json:"port,omitempty"`
	Network string `json:"network,omitempty"`
	Node    string `json:"node,omitempty"`
	Pod     string `json:"pod,omitempty"` // namespace/name
	Member  string `json:"member,omitempty"`

	// afterNetworkPolicies: the policy is a NetworkPolicy, and Calico read it before its own.
	afterNetworkPolicies bool
}

// String returns the decision in words: those of its engine, or else the common ones.
func (d Decision) String() string {
	for _, engine := range engines() {
		if engine.backend != d.Engine || engine.words == nil {
			continue
		}
		if text := engine.words(d); text != "" {
			return text
		}
	}
	switch d.Kind {
	case ByRule:
		if d.Action == "" {
			return d.Policy + " " + d.Rule
		}
		return d.Policy + " " + d.Rule + " " + d.Action
	case ByDefaultDeny:
		return d.policies() + ", no " + direction(d.Egress) + " rule"
	case ByNoDeny:
		return "no rule of " + d.policies() + " denies it"
	case ByOwnHost:
		return "it stays on its own host"
	case ByOwnNode:
		return d.Node + " is the Pod's own node, which always reaches it"
	case ByNoPolicy:
		return "no policy selects the Pod " + d.Pod
	case ByOtherPolicies:
		return "no policy that selects the Pod " + d.Pod + " is about it"
	case ByUnclear:
		return d.Policy
	case ByUnread:
		return d.Policy + " " + d.Rule
	case ByNoFamily:
		return "they have no address of one family: " + d.Rule
	case ByUnknownAddress:
		return "the files do not have the address of " + d.Node + " that the members see: give its Node object (kubectl get nodes -o json)"
	default: // the others are of one engine
		return "nothing filters it"
	}
}

// policies names the first policy and counts the others.
func (d Decision) policies() string {
	if d.More > 0 {
		return fmt.Sprintf("%s and %d more", d.Policy, d.More)
	}
	return d.Policy
}

func direction(egress bool) string {
	if egress {
		return "egress"
	}
	return "ingress"
}

// withoutSender clears what names the sender and its node, so that the decisions about two
// senders can be compared.
func (d Decision) withoutSender(s *source) Decision {
	if d.Pod != "" && s.pod != nil && d.Pod == s.pod.String() {
		d.Pod = ""
	}
	if s.node != nil && d.Node == s.node.Name {
		d.Node = ""
	}
	return d
}
