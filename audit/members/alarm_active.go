package members

import (
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// AlarmActive finds alarms that the cluster has raised.
func AlarmActive() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "alarm-active",
		Title:    "The cluster has raised an alarm",
		Severity: audit.High,
		Rationale: "NOSPACE: the database has reached its quota, and etcd accepts no writes until the alarm is disarmed: " +
			"Kubernetes stops. CORRUPT: the members do not hold the same data, and an answer depends on which member gives " +
			"it.",
		Method: "Reads the errors in Maintenance Status, which include the alarms. Does not make the Alarm call, because it " +
			"writes to the log of the cluster.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("NOSPACE: free space, then disarm:"),
				audit.Paste("etcdctl compact %s --endpoints=%s && etcdctl defrag --cluster --endpoints=%s && etcdctl alarm disarm --endpoints=%s",
					p.Revision(), p.Endpoint(), p.Endpoint(), p.Endpoint()),
				audit.Say("CORRUPT: find the member that differs, remove it, and add it again with an empty data dir:"),
				audit.Paste("etcdctl endpoint hashkv --cluster --endpoints=%s", p.Endpoint()),
			}
		},
		References: []string{"NIST 800-53 SI-7", "NIST 800-53 CP-10", "NIST 800-53 AU-5", "etcd documentation: Maintenance, Space quota"},
		Run:        runAlarmActive,
	})
}

func runAlarmActive(t *audit.EtcdCluster) audit.Outcome {
	var findings []audit.Finding
	seen := map[audit.Alarm]bool{}
	asked := 0
	for _, client := range t.Of(audit.Client) {
		if client.Status == nil {
			continue
		}
		asked++
		for _, alarm := range client.Status.Alarms {
			if seen[alarm] {
				continue // every member tells the alarms of all
			}
			seen[alarm] = true
			findings = append(findings, audit.Finding{Code: strings.ToLower(string(alarm)), Text: nameListener(t, client) + " reports the alarm " + string(alarm)})
		}
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case asked == 0:
		return audit.CouldNotTell("Status was not read: " + whyNone(t, audit.StatusRPC))
	default:
		return audit.Passed("no alarm in the Status of " + countMembers(asked))
	}
}
