package members

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// MemberDrift finds members whose listeners behave differently from those of their peers.
func MemberDrift() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "member-drift",
		Title:    "The configuration of a member differs from its peers",
		Severity: audit.Medium,
		Rationale: "All members hold the same data, so the cluster is as open as its weakest member, and a change that forgot one " +
			"member usually causes this. A difference is also the first sign of a node that somebody changed by hand.",
		Method: "Compares the members' ports: plaintext, the client certificate, TLS versions, the issuer and key of the " +
			"served leaf, trusted CAs, metrics, pprof, the patch release and the quota. Names the values that no other " +
			"member has.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give the member the same flags and files as the others, from one spec, and restart it:"),
				audit.Paste("etcdsec bootstrap -f %s %s", p.Spec(), p.Store()),
				audit.Paste("etcdsec pki verify %s", p.Store()),
			}
		},
		References: []string{"NIST 800-53 CM-2", "NIST 800-53 CM-6", "NIST 800-53 CM-6(1)"},
		Run:        runMemberDrift,
	})
}

func runMemberDrift(t *audit.EtcdCluster) audit.Outcome {
	var findings []audit.Finding
	var doubts []string
	compared, most := 0, 0
	groups, unsorted := groupListeners(t)
	for _, l := range unsorted {
		doubts = append(doubts, unreachedOr(l, fmt.Sprintf("whether the %s port of %s speaks gRPC was not seen: %s", l.Kind, nameListener(t, l), whyNot(l, audit.StatusRPC))))
	}
	for _, listeners := range groups {
		kind := listeners[0].Kind
		most = max(most, len(listeners))
		if len(listeners) < 2 {
			continue
		}
		for _, trait := range traits() {
			if !slices.Contains(trait.kinds, kind) || (trait.code == patchTrait && len(minors(t)) > 1) {
				continue // version-skew says it
			}
			f, doubt, known := trait.compare(t, listeners, kind)
			if f.Code != "" {
				findings = append(findings, f)
			}
			if doubt != "" && !slices.Contains(doubts, doubt) {
				doubts = append(doubts, doubt)
			}
			if known {
				compared++
			}
		}
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case most < 2 && len(doubts) > 0:
		return audit.CouldNotTell(strings.Join(doubts, "; "))
	case most == 0:
		return audit.CouldNotTell("no listener was audited")
	case most == 1:
		return audit.Skipped("only one member was audited, so there is nothing to compare it with")
	case compared == 0 && len(doubts) == 0:
		return audit.CouldNotTell("no trait of any member is known: " + whyNone(t, audit.StatusRPC))
	case len(doubts) > 0:
		return audit.CouldNotTell(strings.Join(doubts, "; "))
	default:
		return audit.Passed(fmt.Sprintf("the listeners of %d members have the same values for %d traits", most, compared))
	}
}

// groupListeners groups the listeners of a cluster by purpose. The HTTP listeners of
// --listen-client-http-urls form a group of their own. Among several client ports, those that
// were too late to show which of the two they are go into no group.
func groupListeners(cluster *audit.EtcdCluster) (groups [][]*audit.Listener, unsorted []*audit.Listener) {
	for _, kind := range audit.Listeners() {
		var calls, pages []*audit.Listener
		for _, t := range cluster.Of(kind) {
			switch {
			case t.Socket != "": // a second way to a member, which may have TLS or not
			case kind == audit.Client && servesPagesOnly(t):
				pages = append(pages, t)
			case kind == audit.Client && len(cluster.Of(kind)) > 1 && mayServePagesOnly(t):
				unsorted = append(unsorted, t)
			default:
				calls = append(calls, t)
			}
		}
		for _, group := range [][]*audit.Listener{calls, pages} {
			if len(group) > 0 {
				groups = append(groups, group)
			}
		}
	}
	return groups, unsorted
}

// mayServePagesOnly reports whether a listener answered no call, and some so late or so oddly
// that it may have pages and no gRPC.
func mayServePagesOnly(t *audit.Listener) bool {
	late := false
	for _, call := range t.RPCs {
		if call.State == audit.Answered && !call.NotGRPC {
			return false
		}
		late = late || call.State == audit.Unclear
	}
	return late
}

// compare compares a trait between several listeners of one kind.
func (r trait) compare(cluster *audit.EtcdCluster, listeners []*audit.Listener, kind audit.Kind) (f audit.Finding, doubt string, known bool) {
	counts := map[string]int{}
	unseen := -1
	for i, t := range listeners {
		if value := r.of(t); value != "" {
			counts[value]++
		} else {
			unseen = i
		}
	}
	switch {
	case len(counts) == 0:
		return audit.Finding{}, "", false
	case len(counts) == 1 && unseen >= 0:
		t := listeners[unseen]
		return audit.Finding{}, unreachedOr(t, fmt.Sprintf("%s of the %s port of %s is unknown", r.name, kind, nameListener(cluster, t))), true
	case len(counts) == 1:
		return audit.Finding{}, "", true
	}
	usual := ""
	for _, t := range listeners {
		if value := r.of(t); value != "" && 2*counts[value] > len(listeners) {
			usual = value
		}
	}
	var odd []string
	for _, t := range listeners {
		if value := r.of(t); value != "" && value != usual {
			odd = append(odd, fmt.Sprintf("%s: %s", nameListener(cluster, t), value))
		}
	}
	text := fmt.Sprintf("%s of the %s port: %s", r.name, kind, strings.Join(odd, ", "))
	if usual != "" {
		text += ", the others: " + usual
	}
	return audit.Finding{Code: string(kind) + "-" + r.code, Text: text}, "", true
}
