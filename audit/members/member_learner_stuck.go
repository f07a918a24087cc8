package members

import (
	"fmt"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// maxLearnerTime is far longer than a learner needs to receive the largest database, of 8 GiB.
const maxLearnerTime = time.Hour

// MemberLearnerStuck finds members that have been learners for too long.
func MemberLearnerStuck() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "member-learner-stuck",
		Title:    "A member has been a learner for too long",
		Severity: audit.Low,
		Rationale: "A learner holds all the data but does not vote: the cluster tolerates no more failures than without it, " +
			"although its operators count on it. Without this check, they notice a replacement that was not promoted when " +
			"the next member fails.",
		Method: "Looks for learners in the member list, and for the start time of their process in GET /metrics. A voting " +
			"member never becomes a learner again, so a learner has been one at least since its process started: more than " +
			"an hour is too long.",
		Remediation: func(p audit.Place) audit.Remediation { return promote(p, audit.Member{}) },
		References:  []string{"NIST 800-53 CP-10", "NIST 800-53 CM-6", "etcd documentation: Learner"},
		Run:         runMemberLearnerStuck,
	})
}

// promote returns the lines for learners. A member without an ID stands for any.
func promote(p audit.Place, learners ...audit.Member) audit.Remediation {
	r := audit.Remediation{audit.Say("Promote the learner, or find out what keeps it from catching up:")}
	for _, m := range learners {
		r = append(r, audit.Paste("etcdctl member promote %s --endpoints=%s", idOf(m), p.Endpoint()))
	}
	return append(r, audit.Paste("etcdctl endpoint status --cluster -w table --endpoints=%s", p.Endpoint()))
}

func runMemberLearnerStuck(t *audit.EtcdCluster) audit.Outcome {
	members := listMembers(t)
	if len(members) == 0 {
		return audit.CouldNotTell(whyNotListed(t))
	}
	var findings []audit.Finding
	var stuck []audit.Member
	var seen, doubts []string
	for _, m := range members {
		if !m.IsLearner {
			continue
		}
		since, known := uptime(t, m)
		switch {
		case !known:
			doubts = append(doubts, label(m)+" is a learner; its GET /metrics was not read, so the time is unknown")
		case since > maxLearnerTime:
			stuck = append(stuck, m)
			findings = append(findings, audit.Finding{Code: code(m), Text: fmt.Sprintf("%s has been a learner for %s at least", label(m), since.Round(time.Minute))})
		default:
			seen = append(seen, fmt.Sprintf("%s is a learner whose process started %s ago", label(m), since.Round(time.Second)))
		}
	}
	switch {
	case len(findings) > 0:
		o := audit.Failed(findings...)
		o.Remediation = promote(t.Place(), stuck...)
		return o
	case len(doubts) > 0:
		return audit.CouldNotTell(strings.Join(doubts, "; "))
	case len(seen) > 0:
		return audit.Passed(strings.Join(seen, "; "))
	default:
		return audit.Passed(fmt.Sprintf("none of the %d members is a learner", len(members)))
	}
}

// uptime returns how long the process of a member has run, according to its metrics.
func uptime(cluster *audit.EtcdCluster, m audit.Member) (time.Duration, bool) {
	for _, t := range cluster.Of(audit.Client) {
		if of, known := owner(cluster, t); !known || of.ID != m.ID {
			continue
		}
		if up, known := t.Metrics.Uptime(t.Now); known {
			return up, true
		}
	}
	return 0, false
}
