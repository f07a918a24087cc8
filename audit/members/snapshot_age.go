package members

import (
	"fmt"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// SnapshotAge finds clusters whose newest snapshot is too old, or of which there is none.
func SnapshotAge() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "snapshot-age",
		Title:    "There is no snapshot that is new enough",
		Severity: audit.High,
		Rationale: "When the quorum is lost for good, or somebody deletes what Kubernetes stores, the cluster is what the last " +
			"snapshot holds. Backup jobs fail in silence: a full disk, an expired certificate, a file that was cut off.",
		Method: "Looks for the newest file of --snapshot-dir that is a complete bbolt database, as it is or packed by gzip or zip, " +
			"whatever its name: a meta page with its checksum, and as many pages as it says. Its time is that of the file. Whether it can be restored, only a restore shows.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Take one now, and let a job take them:"),
				audit.Paste("etcdctl snapshot save snapshot.db --endpoints=https://MEMBER_ADDRESS:2379"),
				audit.Paste("etcdutl snapshot status snapshot.db"),
			}
		},
		References: []string{"NIST 800-53 CP-9", "NIST 800-53 CP-10", "BSI APP.4.4.A5", "PCI DSS 4.0.1 12.10.1"},
		Run:        runSnapshotAge,
	})
}

func runSnapshotAge(t *audit.EtcdCluster) audit.Outcome {
	s := t.Snapshots
	switch {
	case s == nil:
		return audit.Skipped("no folder of snapshots was given; add --snapshot-dir")
	case s.Reason != "":
		return audit.CouldNotTell(fmt.Sprintf("reading the snapshots in %s: %s", s.Dir, s.Reason))
	}
	var broken []string
	unread := "" // the newest one that may be good
	for _, file := range s.Files {
		if file.Fault != "" {
			broken = append(broken, fmt.Sprintf("%s is %s", file.Name, file.Fault))
			continue
		}
		age := t.Now.Sub(file.Modified).Round(time.Minute)
		if file.Unread {
			if unread == "" && age <= s.MaxAge {
				unread = fmt.Sprintf("%s is %s old, and packed or encrypted in a way that is not read here", file.Name, age)
			}
			continue
		}
		if age > s.MaxAge {
			if unread != "" {
				return audit.CouldNotTell(withBroken(unread, broken))
			}
			text := fmt.Sprintf("the newest snapshot, %s, is %s old, more than %s", file.Name, age, s.MaxAge)
			return audit.Failed(audit.Finding{Code: "too-old", Text: withBroken(text, broken)})
		}
		return audit.Passed(withBroken(fmt.Sprintf("%s is %s old", file.Name, age), broken))
	}
	if unread != "" {
		return audit.CouldNotTell(withBroken(unread, broken))
	}
	return audit.Failed(audit.Finding{Code: "none", Text: withBroken("no snapshot in "+s.Dir, broken)})
}

func withBroken(text string, broken []string) string {
	const most = 3
	if len(broken) > most {
		broken = append(broken[:most:most], fmt.Sprintf("%d more are no snapshots", len(broken)-most))
	}
	return strings.Join(append([]string{text}, broken...), "; ")
}
