package members

import (
	"fmt"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// SnapshotAge finds clusters whose newest snapshot is too old, or that have none.
func SnapshotAge() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "snapshot-age",
		Title:    "No snapshot is new enough",
		Severity: audit.High,
		Rationale: "If the quorum is lost for good, or somebody deletes what Kubernetes stores, the last snapshot is all that is " +
			"left. Backup jobs fail silently: because of a full disk, an expired certificate, or a file that was cut off.",
		Method: "Looks for the newest file in --snapshot-dir that is a complete bbolt database, as it is or packed by gzip or " +
			"zip, whatever its name: a meta page with a valid checksum, and as many pages as it says. Its age comes from the " +
			"time of the file. Only a restore can show whether it can be restored.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Take one now, and let a job take them regularly:"),
				audit.Paste("etcdctl snapshot save snapshot.db --endpoints=%s", p.Endpoint()),
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
				return audit.CouldNotTell(appendBroken(unread, broken))
			}
			text := fmt.Sprintf("the newest snapshot, %s, is %s old, more than %s", file.Name, age, s.MaxAge)
			return audit.Failed(audit.Finding{Code: "too-old", Text: appendBroken(text, broken)})
		}
		return audit.Passed(appendBroken(fmt.Sprintf("%s is %s old", file.Name, age), broken))
	}
	if unread != "" {
		return audit.CouldNotTell(appendBroken(unread, broken))
	}
	return audit.Failed(audit.Finding{Code: "none", Text: appendBroken("no snapshot in "+s.Dir, broken)})
}

func appendBroken(text string, broken []string) string {
	const most = 3
	if len(broken) > most {
		broken = append(broken[:most:most], fmt.Sprintf("%d more are no snapshots", len(broken)-most))
	}
	return strings.Join(append([]string{text}, broken...), "; ")
}
