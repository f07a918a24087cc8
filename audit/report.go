package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// SchemaVersion is the version of the JSON report. Fields are added without a new version; none is changed or removed.
const SchemaVersion = 1

// ToolName names the tool in every report that is made here.
const ToolName = "etcdsec"

// Report is the result of an audit.
type Report struct {
	SchemaVersion int       `json:"schema_version"`
	Tool          Tool      `json:"tool"`
	StartedAt     time.Time `json:"started_at"`
	FinishedAt    time.Time `json:"finished_at"`
	Results       []Result  `json:"results"`
	Summary       Summary   `json:"summary"`
	Inventory     Inventory `json:"inventory"`
	// Shard is the part of the targets in this report; nil if it has all of them.
	Shard *Shard `json:"shard,omitempty"`
}

// Shard is one of Count parts of a list of targets. Index counts from 0, as Kubernetes does
// for an Indexed Job.
type Shard struct {
	Index int `json:"index"`
	Count int `json:"count"`
}

// Tool identifies the program that made a report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Result is the verdict of one check on one target.
type Result struct {
	CheckID string `json:"check_id"`
	Target  string `json:"target"`
	// Host is set if Target, such as 127.0.0.1:2379 or a path, means something different on every host.
	Host      string   `json:"host,omitempty"`
	Kind      Kind     `json:"kind"`
	Verdict   Verdict  `json:"verdict"`
	Severity  Severity `json:"severity"`
	Title     string   `json:"title"`
	Rationale string   `json:"rationale"`
	Evidence  string   `json:"evidence"`
	// RemediationText is Remediation in one string, for readers of the JSON.
	RemediationText string      `json:"remediation"`
	Remediation     Remediation `json:"remediation_lines"`
	References      []string    `json:"references"`
	Codes           []string    `json:"codes"` // of the findings, sorted
	// Fingerprint is equal in two reports when the same check finds the same things on the same target.
	// It does not tell hosts apart: the name of a host may be that of a Pod, another one each time.
	Fingerprint string `json:"fingerprint"`
	// Waiver is set on a failed result that somebody accepts; the verdict does not change.
	Waiver *Waiver `json:"waiver"`
}

// Summary counts the verdicts. A failed result with a waiver counts only as waived.
type Summary struct {
	Pass    int `json:"pass"`
	Fail    int `json:"fail"`
	Unknown int `json:"unknown"`
	Skip    int `json:"skip"`
	Waived  int `json:"waived"`
}

// Run judges every [Target] with every [Check] that applies to it. Results are in the order of the
// targets, then of the checks. The caller adds the tool and the times.
func Run(checks []Check, targets []Target) Report {
	results := make([][]Result, len(targets))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(targets)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(targets)); i = next.Add(1) - 1 {
				if _, ok := targets[i].(*EtcdCluster); !ok {
					results[i] = judge(checks, targets[i])
				}
			}
		})
	}
	wg.Wait()
	for i, t := range targets {
		if _, ok := t.(*EtcdCluster); ok { // it looks at the others
			results[i] = judge(checks, t)
		}
	}
	return reportOf(slices.Concat(results...), TakeInventory(targets))
}

// RunOn does the same as [Run] for subjects that are not targets of the audit, one after another.
func RunOn[S Subject](checks []CheckOf[S], subjects []S) Report {
	var results []Result
	for _, s := range subjects {
		results = append(results, judge(checks, s)...)
	}
	return reportOf(results, Inventory{Listeners: []InventoryListener{}})
}

func reportOf(results []Result, inventory Inventory) Report {
	results = append([]Result{}, results...) // JSON has a list, even if it is empty
	return Report{SchemaVersion: SchemaVersion, Results: results, Summary: summarize(results), Inventory: inventory}
}

// judge runs every check that applies to a subject.
func judge[S Subject](checks []CheckOf[S], subject S) []Result {
	var results []Result
	for _, c := range checks {
		if !c.applies(subject) {
			continue
		}
		o := c.Run(subject)
		if t, ok := any(subject).(Target); ok && o.Verdict == Unknown {
			if reason := t.Unreached(); reason != "" {
				o.Evidence = reason
			}
		}
		results = append(results, resultOf(c.About(), subject, o))
	}
	return results
}

// resultOf returns the [Result] of a check, its subject and its outcome.
func resultOf(c About, subject Subject, o Outcome) Result {
	address, kind := subject.Identity()
	r := Result{
		CheckID:    c.ID,
		Target:     address,
		Verdict:    o.Verdict,
		Severity:   c.Severity,
		Title:      c.Title,
		Evidence:   o.Evidence,
		References: c.References,
		Kind:       kind,
		Rationale:  c.Rationale,
		Codes:      []string{},
	}
	if o.Severity != "" {
		r.Severity = o.Severity
	}
	place := subject.Place()
	r.Host, r.Remediation = place.OnHost, remediationOf(c, o, place)
	r.RemediationText = r.Remediation.String()
	var seen []string
	for _, f := range o.Findings {
		if f.Text != "" {
			seen = append(seen, f.Text)
		}
		r.Codes = append(r.Codes, f.Code)
	}
	if len(seen) > 0 {
		r.Evidence = strings.Join(seen, "; ")
	}
	slices.Sort(r.Codes)
	r.Codes = slices.Compact(r.Codes)
	r.Fingerprint = fingerprint(r)
	return r
}

// fingerprint identifies the findings of a result. It leaves out the evidence, which contains days and
// counts, and the verdict: a result without codes has no finding.
func fingerprint(r Result) string {
	parts := append([]string{r.CheckID, r.Target}, r.Codes...)
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// summarize counts the results by verdict.
func summarize(results []Result) Summary {
	var s Summary
	for _, r := range results {
		s.add(r)
	}
	return s
}

func (s *Summary) add(r Result) {
	switch r.Verdict {
	case Pass:
		s.Pass++
	case Fail:
		if r.Waiver != nil {
			s.Waived++
		} else {
			s.Fail++
		}
	case Skip:
		s.Skip++
	case Unknown:
		s.Unknown++
	}
}
