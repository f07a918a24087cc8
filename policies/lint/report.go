package lint

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// Report is a proof, and the findings of the checks. It is printed as JSON without a change; fields
// are only ever added.
type Report struct {
	SchemaVersion int    `json:"schema_version"`
	Cluster       string `json:"cluster"`
	reach.Proof
	// Judged names the sources of the filters: files, or the backends that were rendered.
	Judged   []string       `json:"judged"`
	Findings []audit.Result `json:"findings"` // that fail or are unknown
	Skipped  []Skipped      `json:"skipped"`
}

// Skipped is an object that was not judged.
type Skipped struct {
	File string `json:"file"`
	Kind string `json:"kind"`
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Prove follows the packets of a subject and runs the given checks on its policies. judged names
// the sources of the filters.
func Prove(s *Subject, checks []Check, judged []string) Report {
	r := Report{
		SchemaVersion: 1, Cluster: s.Name, Judged: judged, Findings: []audit.Result{}, Skipped: []Skipped{},
		Proof: reach.Prove(s.Intent, s.Topology, s.Filters, audit.Place{SpecPath: s.SpecPath}),
	}
	for _, result := range Run(checks, s).Results {
		if result.Verdict == audit.Fail || result.Verdict == audit.Unknown {
			r.Findings = append(r.Findings, result)
		}
	}
	for _, o := range s.Filters.Objects.Skipped {
		r.Skipped = append(r.Skipped, Skipped{o.File, o.Kind, o.Name, o.Why})
	}
	return r
}

// Undecided reports whether something is unknown, or no flow was judged.
func (r Report) Undecided() bool {
	return len(r.Unknown) > 0 || len(r.Flows) == 0 ||
		slices.ContainsFunc(r.Findings, func(f audit.Result) bool { return f.Verdict == audit.Unknown })
}

// Fails reports whether an invariant is violated, or a check of that severity or a worse one fails.
func (r Report) Fails(failOn audit.Severity) bool {
	return len(r.Violations) > 0 || slices.ContainsFunc(r.Findings, func(f audit.Result) bool {
		return f.Verdict == audit.Fail && f.Severity.Rank() <= failOn.Rank()
	})
}
