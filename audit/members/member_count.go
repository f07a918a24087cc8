package members

import (
	"fmt"

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
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Run three or five voting members. Add one, first as a learner:"),
				audit.Paste("etcdctl member add NAME --learner --peer-urls=https://MEMBER_ADDRESS:2380"),
				audit.Say("or remove one from an even number, but not the leader:"),
				audit.Paste("etcdctl member remove MEMBER_ID"),
			}
		},
		References: []string{"NIST 800-53 CP-10", "NIST 800-53 SC-24", "etcd FAQ: Why an odd number of cluster members?"},
		Run:        runMemberCount,
	})
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
		return o
	case voters%2 == 0:
		return audit.Failed(audit.Finding{Code: "even", Text: fmt.Sprintf("%d voting members tolerate the failure of %d, the same as %d", voters, (voters-1)/2, max(voters-1, 1))})
	default:
		return audit.Passed(fmt.Sprintf("%d voting members tolerate the failure of %d", voters, (voters-1)/2))
	}
}
