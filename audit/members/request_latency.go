package members

import (
	"fmt"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// slowAnswer is the time of a request above which etcd logs a warning (--warning-apply-duration).
const slowAnswer = 100 * time.Millisecond

// RequestLatency finds members that take long to answer.
func RequestLatency() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "request-latency",
		Title:    "A member takes long to answer",
		Severity: audit.Low,
		Rationale: "The measured calls wait for no other member and no disk. A member that answers them slowly lacks processor " +
			"time or memory. It may be the next one to miss its heartbeats, and then the cluster loses its leader.",
		Method: "Takes the median of the audit's own reads (a serializable Range, Status, MemberList) on open connections, " +
			"granted or refused. Subtracts the time of the fastest TCP connection, which is the auditor's way through the " +
			"network. Load on the auditor's machine counts as the member's.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Find out what the member lacks: processor time, memory, a disk of its own. Measure from an idle machine near it:"),
				audit.Paste("etcdctl endpoint health --endpoints=%s", p.Endpoint()),
			}
		},
		References: []string{"NIST 800-53 SC-5", "NIST 800-53 AU-5", "etcd documentation: Hardware recommendations"},
		Applies:    audit.On(audit.Client),
		Run:        runRequestLatency,
	})
}

func runRequestLatency(t *audit.Listener) audit.Outcome {
	var took []time.Duration
	for _, call := range t.RPCs {
		measured := call.Method == audit.RangeRPC || call.Method == audit.StatusRPC || call.Method == audit.MemberListRPC
		// Another error may come quickly because the member does nothing.
		if measured && call.State == audit.Answered && (call.Code == 0 || call.DeniesCaller()) {
			took = append(took, call.Took)
		}
	}
	if len(took) == 0 {
		return notReadOutcome(t, "the time of a call", audit.StatusRPC)
	}
	slices.Sort(took)
	median := took[(len(took)-1)/2]
	own := max(median-t.Distance, 0)
	seen := fmt.Sprintf("the median of %d calls is %s; the network to the auditor takes %s of it",
		len(took), median.Round(time.Millisecond/10), min(t.Distance, median).Round(time.Millisecond/10))
	if own > slowAnswer {
		return audit.Failed(audit.Finding{Code: "slow", Text: seen})
	}
	return audit.Passed(seen)
}
