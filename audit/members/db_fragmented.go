package members

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

const (
	// fragmentedSize is the smallest file that is worth the pause of a defragmentation.
	fragmentedSize = 100 * mib
	// leastInUse is the part of the file, in percent, that a healthy database uses. The alert
	// etcdDatabaseHighFragmentationRatio of etcd's own monitoring mixin has the same limit.
	leastInUse = 50
)

// DBFragmented finds database files that are mostly free space.
func DBFragmented() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "db-fragmented",
		Title:    "Most of the database file is free space",
		Severity: audit.Low,
		Rationale: "The whole file counts against the quota, so the alarm comes before the data needs the space. Free pages also " +
			"keep what was deleted or encrypted since, including Secrets in plaintext, until a defragmentation rewrites " +
			"the file.",
		Method: "Compares the size in use with the size of the file (both from Status). Files below 100 MiB are not worth it.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Defragment one member after another, the leader last; a member does not answer while it defragments:"),
				audit.Paste("etcdctl defrag --endpoints=%s", p.Endpoint()),
			}
		},
		References: []string{"NIST 800-53 SC-4", "NIST 800-53 SC-5", "etcd documentation: Maintenance, Defragmentation"},
		Applies:    audit.On(audit.Client),
		Run:        runDBFragmented,
	})
}

func runDBFragmented(t *audit.Listener) audit.Outcome {
	if t.Status == nil || t.Status.DBSize == 0 || t.Status.DBSizeInUse == 0 {
		return notReadOutcome(t, "the size", audit.StatusRPC)
	}
	file, used := t.Status.DBSize, t.Status.DBSizeInUse
	seen := fmt.Sprintf("%s of %s are in use", size(used), size(file))
	switch {
	case file < fragmentedSize:
		return audit.Passed(seen + ", which is too small to matter")
	case used < file/100*leastInUse:
		return audit.Failed(audit.Finding{Code: "free-space", Text: seen})
	default:
		return audit.Passed(seen)
	}
}
