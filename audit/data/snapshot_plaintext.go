package data

import (
	"github.com/etcdsec/etcdsec/audit"
)

// SnapshotPlaintext finds files that give away, once restored or read, what is to be encrypted.
func SnapshotPlaintext() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "snapshot-plaintext",
		Title:    "A snapshot has objects in plaintext that are to be encrypted",
		Severity: audit.High,
		Rationale: "A snapshot leaves the machine, and is kept for longer than any key. Encryption that was turned on since " +
			"changes nothing in it, and neither does compaction: who reads the file, or restores it and asks for an older revision, has them.",
		Method: "Reads the first bytes of every value of the current revision, and of all older ones that compaction had not " +
			"removed when the snapshot was taken. What else is in the file is in data-residue.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Treat what it names as disclosed to everybody who could read the file: replace those credentials. Then take a " +
					"snapshot that is free of them, and destroy this one with its copies:"),
				audit.Paste("etcdctl compact REVISION --endpoints=%s", p.Endpoints()),
				audit.Paste("etcdctl defrag --endpoints=%s", p.Endpoints()),
				audit.Paste("etcdctl snapshot save snapshot.db --endpoints=%s", p.Endpoints()),
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
		r.passed = "neither the current revision nor an older one has plaintext of what is to be encrypted"
		r.skipped = "there are no Secrets, and nothing else is to be encrypted"
	})(t)
}

// findPlaintext adds a finding if a resource that is to be encrypted is not, in one place of a file.
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

// mustBeEncrypted reports whether plaintext of a resource is wrong that was found beside the current revision.
// That it is encrypted there says the same as that it was.
func (r *reading) mustBeEncrypted(resource audit.ResourceCensus) bool {
	for _, current := range r.census.Resources {
		if current.Resource == resource.Resource && mustBeEncrypted(r.census, current) {
			return true
		}
	}
	return mustBeEncrypted(r.census, resource)
}

// uniqueNames returns the names without repetitions: a place may have an object many times.
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
