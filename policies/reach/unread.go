package reach

import (
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// The unread part of a policy makes every packet that it may concern unknown, because another reader
// of it may allow or deny the packet.

// notRead returns the words for a field that is not read here, or nothing if there is none.
func notRead(field string) string {
	if field == "" {
		return ""
	}
	return "has the field " + field + ", which is not read here"
}

// unreadReason returns the reason of a policy that is not read as a whole.
func unreadReason(engine cluster.Backend, policy, why string) *reason {
	return &reason{Decision: Decision{Kind: ByUnread, Engine: engine, Policy: policy, Rule: why}}
}

// unreadRule returns the verdict of a rule of which a field is not read.
func unreadRule(by *reason, why string) verdict { return cannotTell(by, by.words()+" "+why) }

// skippedOf returns the objects that were not judged and may decide, of one group of kinds: such as
// cilium.io.
func skippedOf(o *kube.Objects, groups ...string) []skippedPolicy {
	var list []skippedPolicy
	for _, s := range o.Skipped {
		kind, group, _ := strings.Cut(s.Kind, ".")
		if s.Effect != kube.MayDecide {
			continue
		}
		for _, g := range groups {
			if g != group {
				continue
			}
			namespace, _, ok := strings.Cut(s.Name, "/")
			if !ok {
				namespace = ""
			}
			list = append(list, skippedPolicy{kind: kind, namespace: namespace, name: s.Name, why: "is not judged: " + s.Why})
		}
	}
	return list
}

// skippedPolicy is a policy of which nothing is known but its name.
type skippedPolicy struct{ kind, namespace, name, why string }

func (s skippedPolicy) title() string { return s.kind + " " + s.name }

// foreignPolicies returns the reasons of policies that none of the engines here knows, and that may
// decide about any Pod.
func (e *evaluator) foreignPolicies() []*reason {
	var list []*reason
	known := []string{"networking.k8s.io", "policy.networking.k8s.io", "projectcalico.org", "crd.projectcalico.org", "cilium.io"}
	for _, s := range e.filters.Objects.Skipped {
		kind, group, _ := strings.Cut(s.Kind, ".")
		if s.Effect == kube.MayDecide && !slices.Contains(known, group) {
			list = append(list, unreadReason("", kind+"."+group+" "+s.Name, "is not judged: "+s.Why))
		}
	}
	return list
}
