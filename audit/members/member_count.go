package members

import (
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// MemberCount finds clusters whose number of voting members is even, or one.
func MemberCount() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "member-count",
		Title:    "The number of voting members is even, or one",
		Severity: audit.Medium,
		Rationale: "A cluster works while more than half of its members do. An even number tolerates no more failures than the " +
			"odd number below it, and has one more member that can fail. A single member tolerates no failure: if it is " +
			"lost, the cluster is lost.",
		Method: "Counts the members of the member list that are not learners, because learners do not vote. A single member " +
			"has low severity: not every cluster must be highly available.",
		Remediation: func(p audit.Place) audit.Remediation {
			return append(addMember(p), removeMember(p, audit.Member{})...)
		},
		References: []string{"NIST 800-53 CP-10", "NIST 800-53 SC-24", "etcd FAQ: Why an odd number of cluster members?"},
		Run:        runMemberCount,
	})
}

func addMember(p audit.Place) audit.Remediation {
	return audit.Remediation{
		audit.Say("Run three or five voting members. Add one, first as a learner:"),
		audit.Paste("etcdctl member add %s --learner --peer-urls=https://%s:2380 --endpoints=%s", audit.StandIn("NAME"), audit.StandIn("ADDRESS"), p.Endpoint()),
	}
}

// removeMember returns the lines that remove a member. It may have no ID, if none is to be named.
func removeMember(p audit.Place, m audit.Member) audit.Remediation {
	advice := audit.Say("or remove one from an even number, but not the leader:")
	if m.ID != 0 {
		advice = audit.Say("or remove one from an even number, but not the leader, such as %s:", label(m))
	}
	return audit.Remediation{advice, audit.Paste("etcdctl member remove %s --endpoints=%s", idOf(m), p.Endpoint())}
}

// lastFollower returns the last voting member of a list that does not lead. It returns an empty one if
// nobody told the leader, or if a member told another one.
func lastFollower(t *audit.EtcdCluster, members []audit.Member) audit.Member {
	var leader uint64
	for _, l := range t.Of(audit.Client) {
		switch {
		case l.Status == nil || l.Status.Leader == 0:
		case leader != 0 && leader != l.Status.Leader:
			return audit.Member{}
		default:
			leader = l.Status.Leader
		}
	}
	if leader == 0 {
		return audit.Member{}
	}
	for _, m := range slices.Backward(members) {
		if !m.IsLearner && m.ID != leader {
			return m
		}
	}
	return audit.Member{}
}

func runMemberCount(t *audit.EtcdCluster) audit.Outcome {
	members := listMembers(t)
	if len(members) == 0 {
		return audit.CouldNotTell(whyNotListed(t))
	}
	voters := 0
	for _, m := range members {
		if !m.IsLearner {
			voters++
		}
	}
	switch {
	case voters == 1:
		o := audit.Failed(audit.Finding{Code: "single", Text: "one voting member tolerates no failure"})
		o.Severity = audit.Low
		o.Remediation = addMember(t.Place())
		return o
	case voters%2 == 0:
		o := audit.Failed(audit.Finding{Code: "even", Text: fmt.Sprintf("%d voting members tolerate the failure of %d, the same as %d", voters, (voters-1)/2, max(voters-1, 1))})
		o.Remediation = append(addMember(t.Place()), removeMember(t.Place(), lastFollower(t, members))...)
		return o
	default:
		return audit.Passed(fmt.Sprintf("%d voting members tolerate the failure of %d", voters, (voters-1)/2))
	}
}
