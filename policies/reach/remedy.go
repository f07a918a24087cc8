package reach

import (
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
)

// remedy is a way to fix a flow that contradicts the intent.
type remedy struct {
	kind    remedyKind
	backend cluster.Backend // of addBackend
}

type remedyKind int

const (
	letIn remedyKind = iota + 1
	shareFamily
	letPodIn
	narrowFailsafe
	useStrictCilium
	addBackend
	endTranslation
)

// remedyFor chooses how to fix a flow.
func (e *evaluator) remedyFor(f Flow) remedy {
	switch {
	case f.Decision.Kind == ByNoFamily:
		return remedy{kind: shareFamily}
	case !f.Allowed && f.SeenAs != f.FromAddr:
		return remedy{kind: letPodIn}
	case !f.Allowed:
		return remedy{kind: letIn}
	case f.Decision.Kind == ByTranslation:
		return remedy{kind: endTranslation}
	case f.Decision.Kind == ByFailsafe:
		return remedy{kind: narrowFailsafe}
	case f.FromClass == ClassNode && f.Decision.Kind == ByNoDeny && f.Decision.Engine == cluster.BackendCilium:
		return remedy{kind: useStrictCilium}
	}
	return remedy{addBackend, e.missingBackend(f)}
}

// missingBackend returns the backend that would stop a flow that the others let through.
func (e *evaluator) missingBackend(f Flow) cluster.Backend {
	switch {
	case e.intent.Runtime == cluster.Hosted:
		return cluster.BackendNetworkPolicy
	case f.FromClass == ClassPod && f.Decision.Kind == ByHostAction:
		return cluster.BackendClusterNetworkPolicy
	}
	return cluster.BackendNftables
}

// lines writes a remedy for a flow. The place has the path of the spec.
func (r remedy) lines(f Flow, backends []cluster.Backend, place audit.Place) audit.Remediation {
	spec := place.Spec()
	switch r.kind {
	case letIn:
		return audit.Remediation{
			audit.Say("let %s reach %s on TCP %d in what decides, or render it anew:", f.SeenAs, f.ToAddr, f.Port),
			audit.Paste("etcdsec policies render -f %s", spec),
		}
	case shareFamily:
		return audit.Remediation{audit.Say("give %s and %s an address of one family, IPv4 or IPv6, and write it into the spec", f.From, f.To)}
	case letPodIn:
		return audit.Remediation{audit.Say("%s is a Pod and seen as %s, its node: let it run on the host network of a node that is let in, "+
			"or say spec.isolation.podAddresses: routed if Pods keep their addresses", f.FromAddr, f.SeenAs)}
	case narrowFailsafe:
		return audit.Remediation{
			audit.Say("set failsafeInboundHostPorts of the FelixConfiguration, which stand before every policy:"),
			audit.Paste("etcdsec policies render --backend calico -f %s", spec),
		}
	case useStrictCilium:
		return audit.Remediation{
			audit.Say("shut out the hosts of other nodes, by labels that Cilium has to be told to know:"),
			audit.Paste("etcdsec policies render --backend cilium --strict -f %s", spec),
		}
	case endTranslation:
		return audit.Remediation{audit.Say("remove the rule that gives TCP %d of %s another destination, such as a published port of a container, "+
			"or drop the packets before it, in a chain of hook prerouting and priority raw: the input hook does not see them", f.Port, f.ToAddr)}
	case addBackend:
	}
	if slices.Contains(backends, r.backend) {
		return audit.Remediation{audit.Paste("etcdsec policies render --backend %s -f %s   # and apply it beside what lets this pass", string(r.backend), spec)}
	}
	return audit.Remediation{
		audit.Say("add %s to spec.isolation.backends, and apply it:", r.backend),
		audit.Paste("etcdsec policies render --backend %s -f %s", string(r.backend), spec),
	}
}

// sentence joins the lines of a remediation for the field "fix" of a proof.
func sentence(r audit.Remediation) string {
	texts := make([]string, 0, len(r))
	for _, line := range r {
		texts = append(texts, line.Text)
	}
	return strings.Join(texts, " ")
}
