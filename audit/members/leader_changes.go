package members

import (
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// normalChanges is the number of leader changes from which the check counts: a start and a rolling
// restart cause a few. The alert etcdHighNumberOfLeaderChanges of etcd's own monitoring mixin has
// the same limit.
const normalChanges = 4

// LeaderChanges finds clusters that change their leader too often.
func LeaderChanges() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "leader-changes",
		Title:    "The leader changes too often",
		Severity: audit.Medium,
		Rationale: "etcd writes nothing while there is no leader. Frequent elections mean that heartbeats are lost, because of a " +
			"slow disk, a network that drops packets between the members, or somebody who interferes with the peer port.",
		Method: "Reads etcd_server_leader_changes_seen_total and process_start_time_seconds from GET /metrics of each member. " +
			"Four changes or more are too many if they are more than one an hour, on average, since the process started.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Look at the disk (etcd_disk_wal_fsync_duration_seconds) and the network " +
					"(etcd_network_peer_round_trip_time_seconds) before you change the timeouts; set the timeouts to the same values on all members:"),
				audit.Paste("--heartbeat-interval=100 --election-timeout=1000"),
			}
		},
		References: []string{"NIST 800-53 SC-5", "NIST 800-53 SI-4", "etcd documentation: Tuning"},
		Run:        runLeaderChanges,
	})
}

func runLeaderChanges(t *audit.EtcdCluster) audit.Outcome {
	most, counted := "", 0
	highest := -1.0
	var findings []audit.Finding
	for _, listener := range t.Of(audit.Client, audit.Metrics) {
		changes, found := listener.Metrics.Value(audit.LeaderChangesMetric)
		up, known := listener.Metrics.Uptime(listener.Now)
		if !found || !known {
			continue
		}
		counted++
		text := fmt.Sprintf("%s saw %.0f changes of leader in %s", nameListener(t, listener), changes, up.Round(time.Second))
		if changes > highest {
			highest, most = changes, text
		}
		if changes >= normalChanges && changes > up.Hours() && len(findings) == 0 {
			findings = append(findings, audit.Finding{Code: "frequent", Text: text})
		}
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case counted == 0:
		return audit.CouldNotTell("no member's GET /metrics was read: " + whyNoMetrics(t))
	default:
		return audit.Passed(most)
	}
}

// whyNoMetrics returns why the audit read no metrics of any member.
func whyNoMetrics(cluster *audit.EtcdCluster) string {
	for _, t := range cluster.Of(audit.Client, audit.Metrics) {
		for _, page := range t.Pages {
			switch {
			case page.Path != "/metrics":
			case page.State == audit.Answered:
				return fmt.Sprintf("GET %s of %s got HTTP status %d", page.Path, t.Address, page.Status)
			case page.State != audit.Untried:
				return fmt.Sprintf("GET %s of %s: %s", page.Path, t.Address, page.Reason)
			}
		}
	}
	return whyNone(cluster, audit.StatusRPC)
}
