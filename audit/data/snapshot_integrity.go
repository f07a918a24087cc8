package data

import (
	"fmt"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// SnapshotIntegrity finds files that are not what etcd wrote.
func SnapshotIntegrity() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "snapshot-integrity",
		Title:    "The snapshot is damaged or was changed",
		Severity: audit.High,
		Rationale: "A restore refuses it, on the day when nothing else is left; or, with --skip-hash-check, brings back a store " +
			"of which part is missing or is somebody else's.",
		Method: "Compares the SHA-256 that etcd appends to a snapshot with that of its content, and follows every page of the " +
			"database: checksums of the meta pages, numbers, bounds and order of all others, and every revision in them.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Take another snapshot, look at it, and find out what happened to this one:"),
				audit.Paste("etcdctl snapshot save snapshot.db --endpoints=%s", p.Endpoints()),
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
		findings = append(findings, audit.Finding{Code: "digest", Text: "the SHA-256 at its end is not that of its content"})
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
		return audit.Passed(fmt.Sprintf("its SHA-256 matches, and all %d pages are in order", f.Pages))
	case t.Census.Source != f.Path:
		return audit.Skipped("the database of a member carries no SHA-256; its pages are in order")
	default:
		return audit.CouldNotTell("it carries no SHA-256, as a copy of member/snap/db does not: its pages are in order, its values may be anything")
	}
}

// fileOf returns the file that was read, or the outcome if none was.
func fileOf(t *audit.StoredData) (*audit.SnapshotFile, audit.Outcome) {
	switch {
	case t.Census == nil:
		return nil, audit.CouldNotTell("the store was not read")
	case t.Census.Snapshot == nil:
		return nil, audit.Skipped("a running etcd was asked; add --snapshot for a file")
	}
	return t.Census.Snapshot, audit.Outcome{}
}
