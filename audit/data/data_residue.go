package data

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// Residue finds data that compaction and defragmentation would remove from a file.
func Residue() audit.Check {
	return audit.AsCheck(audit.DataCheck{
		ID:       "data-residue",
		Title:    "Free pages or old files hold plaintext, or data of an old key",
		Severity: audit.Medium,
		Rationale: "Overwritten and deleted data stays in the file: as an older revision until compaction, on free pages until " +
			"defragmentation, and in the write-ahead log until enough new entries replace it. Whoever has the disk, or any " +
			"snapshot of it, can read the plaintext from before encryption, and can decrypt data with a key that was " +
			"discarded for a reason.",
		Method: "Searches every page that the current state does not use, the unused ends of the other pages, and the " +
			"write-ahead log and old databases of a data dir. Looks for the beginnings of values as kube-apiserver writes " +
			"them, and for the etcd key next to them. A key is old if --config or --key-name lists it after another one, " +
			"or not at all.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("First rewrite every object. Then compact, defragment one member after another, and wait until etcd has replaced the " +
					"write-ahead log, which takes several times --snapshot-count writes. Then take new snapshots and " +
					"destroy the old ones:"),
				audit.Paste("etcdctl compact %s --physical --endpoints=%s", p.Revision(), p.Endpoint()),
				audit.Paste("etcdctl defrag --endpoints=%s", p.Endpoints()),
			}
		},
		References: []string{"NIST 800-53 SC-4", "NIST 800-53 MP-6", "NIST 800-53 SC-12", "PCI DSS 4.0.1 3.2.1", "canonical/microk8s#2532"},
		Run:        runResidue,
	})
}

func runResidue(t *audit.StoredData) audit.Outcome {
	f, why := fileOf(t)
	if f == nil {
		return why
	}
	residue := t.Census.Residue
	if residue == nil {
		return audit.CouldNotTell("only the current revision was read")
	}
	r := &reading{census: t.Census}
	var unplaced, candidates, scanned int64
	for _, in := range residue.Places() {
		scanned += in.Count.Scanned
		unplaced += in.Count.Unplaced.Values
		candidates += in.Count.Unplaced.Candidates
		for _, resource := range in.Count.Resources {
			if in.Count != &residue.Revisions { // those are in snapshot-plaintext
				r.findPlaintext(in.Code, in.Name, resource)
			}
			r.findOldKeys(in, resource)
		}
	}
	switch {
	case len(r.findings) > 0:
		return audit.Failed(r.findings...)
	case residue.Reason != "":
		return audit.CouldNotTell(residue.Reason)
	case t.Census.Objects == 0 && t.Census.Outside > 0:
		return audit.CouldNotTell(fmt.Sprintf("none of the %s is an object of an API server; set --etcd-prefix to their prefix", count(t.Census.Outside, "key")))
	case r.unclear != "":
		return audit.CouldNotTell(r.unclear)
	case unplaced > 0:
		return audit.CouldNotTell(fmt.Sprintf("%s could not be identified: their keys are not below --etcd-prefix", count(unplaced, "value")))
	case candidates > 0:
		return audit.CouldNotTell(fmt.Sprintf("%s may be the beginning of a value whose key is overwritten", count(candidates, "place")))
	default:
		return audit.Passed(fmt.Sprintf("found nothing in the %d bytes outside the current revision", scanned))
	}
}

// findOldKeys adds a finding for each writer that should not, or no longer, write a resource.
func (r *reading) findOldKeys(in audit.ResiduePlace, resource audit.ResourceCensus) {
	rule, found := r.census.Rule(resource)
	if !found {
		return
	}
	for _, w := range resource.Writers {
		r.noteAmbiguity(rule, resource.Resource, w)
		if indexOf(rule, w.Writer) != 0 {
			r.addFinding(fmt.Sprintf("%s-%s-%s", in.Code, resource.Resource, audit.ShowName(w.Key)), "%s of %s with %s in %s",
				count(w.Objects, "value"), resource.Resource, w.Writer, in.Name)
		}
	}
}
