package members

import (
	"fmt"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// MemberUnhealthy finds listed members that do not take part.
func MemberUnhealthy() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "member-unhealthy",
		Title:    "A member of the cluster is down or has no leader",
		Severity: audit.High,
		Rationale: "Each member that does not take part brings the cluster nearer to losing its quorum. Without a quorum etcd " +
			"writes nothing: no Pod is scheduled, no lease renewed. A member that never started counts against the quorum " +
			"too.",
		Method: "Asks every audited member for its Status, and looks for a leader in it. For each listed member, the port must " +
			"listen, and another member must have a connection to it (etcd_network_active_peers of GET /metrics). The " +
			"second test also covers members that were not audited.",
		Remediation: func(p audit.Place) audit.Remediation { return replaceMembers(p, audit.Member{}) },
		References:  []string{"NIST 800-53 CP-10", "NIST 800-53 SC-5", "NIST 800-53 SI-13"},
		Run:         runMemberUnhealthy,
	})
}

// replaceMembers returns the lines for members that are down. A member without an ID stands for any.
func replaceMembers(p audit.Place, down ...audit.Member) audit.Remediation {
	r := audit.Remediation{
		audit.Say("Find out which member is down and why, then start it again, or replace it:"),
		audit.Paste("etcdctl endpoint health --cluster --endpoints=%s", p.Endpoint()),
	}
	for _, m := range down {
		r = append(r, audit.Paste("etcdctl member remove %s --endpoints=%s    # if it will not come back, before you add another", idOf(m), p.Endpoint()))
	}
	return r
}

func runMemberUnhealthy(t *audit.EtcdCluster) audit.Outcome {
	members := listMembers(t)
	if len(members) == 0 {
		return audit.CouldNotTell(whyNotListed(t))
	}
	var findings []audit.Finding
	var down []audit.Member
	var doubts []string
	for _, m := range members {
		switch f, doubt := health(t, m); {
		case f.Code != "":
			findings, down = append(findings, f), append(down, m)
		case doubt != "":
			doubts = append(doubts, label(m)+": "+doubt)
		}
	}
	switch {
	case len(findings) > 0:
		o := audit.Failed(findings...)
		o.Remediation = replaceMembers(t.Place(), down...)
		return o
	case len(doubts) > 0:
		return audit.CouldNotTell(strings.Join(doubts, "; "))
	default:
		return audit.Passed(fmt.Sprintf("%d members take part", len(members)))
	}
}

// health returns a finding or a doubt about a member, or neither if the member takes part.
func health(cluster *audit.EtcdCluster, m audit.Member) (finding audit.Finding, doubt string) {
	found := func(what, text string) (audit.Finding, string) {
		return audit.Finding{Code: code(m) + "-" + what, Text: label(m) + " " + text}, ""
	}
	if m.Name == "" {
		return found("unstarted", "is listed and has never started")
	}
	own := "its client port was not audited"
	connected, asked := connections(cluster, m)
	for _, t := range cluster.Of(audit.Client) {
		if of, known := owner(cluster, t); !known || of.ID != m.ID {
			continue
		}
		switch {
		case t.Status != nil && t.Status.Leader == 0:
			return found("no-leader", "knows no leader")
		case t.Status != nil:
			return audit.Finding{}, ""
		case t.NothingListens() && connected == 0: // else it is the auditor who is turned away
			return found("down", "is down: nothing listens at "+t.Address)
		case t.Unreached() != "":
			own = t.Unreached()
		default:
			own = "Status was not read: " + whyNot(t, audit.StatusRPC)
		}
	}
	switch {
	case connected > 0:
		return audit.Finding{}, ""
	case asked > 0:
		return found("down", fmt.Sprintf("is down or cut off: none of the audited members has a connection to it (%s)", own))
	default:
		return audit.Finding{}, own + ", and no other member's metrics mention it"
	}
}

// connections returns how many members' metrics mention m, and how many of these have a connection to it.
func connections(cluster *audit.EtcdCluster, m audit.Member) (connected, asked int) {
	for _, t := range cluster.Of(audit.Client, audit.Metrics) {
		if t.Metrics == nil {
			continue
		}
		active, told := t.Metrics.ActivePeers[m.ID]
		if told {
			asked++
		}
		if active {
			connected++
		}
	}
	return connected, asked
}
