package data

import (
	"fmt"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// SnapshotIntegrity finds snapshots that are not as etcd wrote them.
func SnapshotIntegrity() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "snapshot-integrity",
		Title:    "The snapshot is damaged or was changed",
		Severity: audit.High,
		Rationale: "A restore refuses a damaged snapshot, on the day when nothing else is left. With --skip-hash-check, it " +
			"restores a store of which a part is missing or was replaced by somebody else.",
		Method: "Compares the SHA-256 that etcd appends to a snapshot with the SHA-256 of its content, and follows every page " +
			"of the database: checksums of the meta pages, numbers, bounds and order of all others, and every revision in " +
			"them.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Take another snapshot, check it, and find out what happened to this one:"),
				audit.Paste("etcdctl snapshot save snapshot.db --endpoints=%s", p.Endpoint()),
				audit.Paste("etcdsec audit census --snapshot snapshot.db"),
			}
		},
		References: []string{"NIST 800-53 CP-9(1)", "NIST 800-53 CP-10", "NIST 800-53 SI-7", "BSI APP.4.4.A5", "PCI DSS 4.0.1 12.10.1"},
		Run:        runSnapshotIntegrity,
	})
}

func runSnapshotIntegrity(t *audit.StoredData) audit.Outcome {
	f, why := fileOf(t)
	if f == nil {
		return why
	}
	var findings []audit.Finding
	if f.Digest == audit.DigestDiffers {
		findings = append(findings, audit.Finding{Code: "digest", Text: "the SHA-256 at its end does not match its content"})
	}
	if f.FaultCount > 0 {
		text := strings.Join(f.Faults[:min(len(f.Faults), 3)], "; ")
		if more := f.FaultCount - min(len(f.Faults), 3); more > 0 {
			text += fmt.Sprintf("; and %d more", more)
		}
		findings = append(findings, audit.Finding{Code: "structure", Text: text})
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case f.Intact():
		return audit.Passed(fmt.Sprintf("its SHA-256 matches, and all %d pages are valid", f.Pages))
	case t.Census.Source != f.Path:
		return audit.Skipped("the database of a member has no SHA-256; its pages are valid")
	default:
		return audit.CouldNotTell("it has no SHA-256, like a copy of member/snap/db: its pages are valid, but somebody may have changed its values")
	}
}

// fileOf returns the file that was read, or the outcome if none was.
func fileOf(t *audit.StoredData) (*audit.SnapshotFile, audit.Outcome) {
	switch {
	case t.Census == nil:
		return nil, audit.CouldNotTell("the store was not read")
	case t.Census.Snapshot == nil:
		return nil, audit.Skipped("the census read a running etcd; add --snapshot for a file")
	}
	return t.Census.Snapshot, audit.Outcome{}
}
