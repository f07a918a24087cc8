package data

import (
	"github.com/etcdsec/etcdsec/audit"
)

// SnapshotPlaintext finds snapshots with plaintext of objects that must be encrypted.
func SnapshotPlaintext() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "snapshot-plaintext",
		Title:    "A snapshot holds objects in plaintext that must be encrypted",
		Severity: audit.High,
		Rationale: "A snapshot leaves the machine, and people keep it longer than any key. Encryption that was turned on later " +
			"changes nothing in it, and neither does compaction: whoever reads the file, or restores it and asks for an " +
			"older revision, gets the objects.",
		Method: "Reads the first bytes of every value of the current revision, and of all older revisions that compaction had " +
			"not removed when the snapshot was taken. data-residue covers the rest of the file.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Assume that everybody who could read the file knows the named objects: replace those credentials. Then take a " +
					"snapshot without them, and destroy this one and its copies:"),
				audit.Paste("etcdctl compact %s --endpoints=%s", p.Revision(), p.Endpoint()),
				audit.Paste("etcdctl defrag --endpoints=%s", p.Endpoints()),
				audit.Paste("etcdctl snapshot save snapshot.db --endpoints=%s", p.Endpoint()),
			}
		},
		References: []string{"NIST 800-53 CP-9(8)", "NIST 800-53 SC-28", "NIST 800-53 SC-28(1)", "PCI DSS 4.0.1 3.5.1", "BSI APP.4.4.A5"},
		Run:        runSnapshotPlaintext,
	})
}

func runSnapshotPlaintext(t *audit.StoredData) audit.Outcome {
	f, why := fileOf(t)
	if f == nil {
		return why
	}
	return judgeCensus(func(r *reading) {
		for _, resource := range r.census.Resources {
			r.findPlaintext("current", "the current revision", resource)
		}
		if r.census.Residue != nil {
			for _, resource := range r.census.Residue.Revisions.Resources {
				r.findPlaintext("revisions", "older revisions", resource)
			}
		}
		r.passed = "neither the current revision nor an older one has plaintext of objects that must be encrypted"
		r.skipped = "there are no Secrets, and nothing else must be encrypted"
	})(t)
}

// findPlaintext adds a finding if one place of a file has plaintext of a resource that must be encrypted.
func (r *reading) findPlaintext(code, place string, resource audit.ResourceCensus) {
	if !r.mustBeEncrypted(resource) {
		return
	}
	r.arose = true
	if resource.Plaintext > 0 {
		r.addFinding(code+"-"+resource.Resource, "%s of %s in plaintext in %s%s", count(resource.Plaintext, "value"), resource.Resource, place,
			joinNames(uniqueNames(resource.PlaintextObjects), resource.Plaintext))
	}
}

// mustBeEncrypted reports whether a resource outside the current revision must not be in plaintext. It
// must not if the current revision says so, or if the place itself has encrypted objects of it.
func (r *reading) mustBeEncrypted(resource audit.ResourceCensus) bool {
	for _, current := range r.census.Resources {
		if current.Resource == resource.Resource && mustBeEncrypted(r.census, current) {
			return true
		}
	}
	return mustBeEncrypted(r.census, resource)
}

// uniqueNames returns the names without duplicates: one place can hold an object many times.
func uniqueNames(names []string) []string {
	seen := map[string]bool{}
	var once []string
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			once = append(once, name)
		}
	}
	return once
}
