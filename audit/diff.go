package audit

import (
	"cmp"
	"slices"
	"time"
)

// Change is the way in which the answer to one question changed between two audits.
type Change string

// The changes; those that need action come first. Only a pass counts as fixed: a check that is skipped or
// no longer asked proves nothing.
const (
	Appeared  Change = "new"       // it fails and did not fail before, or its waiver has ended
	Shifted   Change = "changed"   // it failed and still fails, with other findings
	Obscured  Change = "unknown"   // it was known and is now unknown
	Unasked   Change = "unasked"   // it was known and was not asked, or a finding no longer arises
	Unchanged Change = "unchanged" // it failed and still fails, with the same findings
	Fixed     Change = "fixed"     // it failed and passes
)

// Changes returns all changes, in the order in which a diff lists them.
func Changes() []Change { return []Change{Appeared, Shifted, Obscured, Unasked, Unchanged, Fixed} }

// Answer is a [Verdict], or "waived" for a failure with a waiver, or "absent" if a report has no such
// result.
type Answer string

const (
	waived Answer = "waived"
	absent Answer = "absent"
)

// Diff lists what changed from one report to another.
type Diff struct {
	SchemaVersion int          `json:"schema_version"`
	Old           DiffSide     `json:"old"`
	New           DiffSide     `json:"new"`
	Changes       []Difference `json:"changes"`
	Summary       DiffSummary  `json:"summary"`
}

// DiffSide identifies one of the two reports of a diff.
type DiffSide struct {
	Tool       Tool      `json:"tool"`
	StartedAt  time.Time `json:"started_at"`
	FinishedAt time.Time `json:"finished_at"`
}

// Difference is one question whose answer is a finding or was known.
type Difference struct {
	Change   Change   `json:"change"`
	CheckID  string   `json:"check_id"`
	Target   string   `json:"target"`
	Host     string   `json:"host,omitempty"` // as of a Result, where a report is of several hosts
	Kind     Kind     `json:"kind"`
	Severity Severity `json:"severity"`
	Title    string   `json:"title"`
	Was      Answer   `json:"was"`
	Now      Answer   `json:"now"`
	Evidence string   `json:"evidence"` // the new report's, else the old one's
	// AddedCodes and RemovedCodes are the findings by which a changed result differs.
	AddedCodes     []string `json:"added_codes"`
	RemovedCodes   []string `json:"removed_codes"`
	OldFingerprint string   `json:"old_fingerprint"` // empty if there was no such result
	Fingerprint    string   `json:"fingerprint"`     // empty if there is no such result
}

// DiffSummary counts the changes.
type DiffSummary struct {
	New       int `json:"new"`
	Changed   int `json:"changed"`
	Unknown   int `json:"unknown"`
	Unasked   int `json:"unasked"`
	Unchanged int `json:"unchanged"`
	Fixed     int `json:"fixed"`
}

// Worse reports whether there is a new finding without a waiver.
func (d Difference) Worse() bool {
	if d.Now != Answer(Fail) {
		return false
	}
	// A changed finding without codes, of one of the first reports, may be anything.
	return d.Change == Appeared || d.Change == Shifted && (len(d.AddedCodes) > 0 || len(d.RemovedCodes) == 0)
}

// Lost reports whether a known answer is now unknown.
func (d Difference) Lost() bool { return d.Change == Obscured || d.Change == Unasked }

// Compare returns the changes from one report to a later one of the same targets. It leaves out
// questions that passed both times, and those that were never answered. If a report answers a question
// twice, as a merged one can, the worst answer counts.
func Compare(before, after Report) Diff {
	d := Diff{SchemaVersion: SchemaVersion, Old: sideOf(before), New: sideOf(after), Changes: []Difference{}}
	was, is := before.Results, after.Results
	// The name of a host may be that of a Pod, which is another one each time, and the first reports had none.
	if len(before.Hosts()) <= 1 && len(after.Hosts()) <= 1 {
		was, is = withoutHosts(was), withoutHosts(is)
	}
	then, now := worst(was), worst(is)
	for q, was := range then {
		d.add(was, now[q])
	}
	for q, is := range now {
		if _, found := then[q]; !found {
			d.add(nil, is)
		}
	}
	slices.SortFunc(d.Changes, func(a, b Difference) int {
		return cmp.Or(
			cmp.Compare(slices.Index(Changes(), a.Change), slices.Index(Changes(), b.Change)),
			cmp.Compare(a.Severity.Rank(), b.Severity.Rank()),
			cmp.Compare(a.Target, b.Target), cmp.Compare(a.Host, b.Host), cmp.Compare(a.CheckID, b.CheckID), cmp.Compare(a.Kind, b.Kind),
		)
	})
	return d
}

func sideOf(r Report) DiffSide { return DiffSide{r.Tool, r.StartedAt, r.FinishedAt} }

// worst maps each question to its result; of several answers it keeps the worst.
func worst(results []Result) map[question]*Result {
	order := []Answer{Answer(Skip), Answer(Pass), waived, Answer(Unknown), Answer(Fail)}
	weight := func(r *Result) int { return slices.Index(order, answerOf(r)) }
	byQuestion := make(map[question]*Result, len(results))
	for i := range results {
		q, r := questionOf(results[i]), &results[i]
		if known, found := byQuestion[q]; !found || weight(r) > weight(known) {
			byQuestion[q] = r
		}
	}
	return byQuestion
}

func answerOf(r *Result) Answer {
	switch {
	case r == nil:
		return absent
	case r.Verdict == Fail && r.Waiver != nil:
		return waived
	default:
		return Answer(r.Verdict)
	}
}

// add adds the change of one question, if there is any to report.
func (d *Diff) add(was, is *Result) {
	change, count := d.changeOf(was, is)
	if count == nil {
		return
	}
	*count++
	of := is
	if of == nil {
		of = was
	}
	e := Difference{
		Change: change, CheckID: of.CheckID, Target: of.Target, Host: of.Host, Kind: of.Kind, Severity: of.Severity, Title: of.Title,
		Was: answerOf(was), Now: answerOf(is), Evidence: of.Evidence, AddedCodes: []string{}, RemovedCodes: []string{},
	}
	if was != nil {
		e.OldFingerprint = was.Fingerprint
	}
	if is != nil {
		e.Fingerprint = is.Fingerprint
	}
	if change == Shifted {
		e.AddedCodes, e.RemovedCodes = without(is.Codes, was.Codes), without(was.Codes, is.Codes)
	}
	d.Changes = append(d.Changes, e)
}

func without(codes, others []string) []string {
	left := []string{}
	for _, code := range codes {
		if !slices.Contains(others, code) {
			left = append(left, code)
		}
	}
	return left
}

// changeOf returns the change and its counter; the counter is nil if there is no change to report.
func (d *Diff) changeOf(was, is *Result) (Change, *int) {
	then, now := answerOf(was), answerOf(is)
	failed, fails := then == Answer(Fail) || then == waived, now == Answer(Fail) || now == waived
	known := failed || then == Answer(Pass)
	switch {
	case fails && (!failed || then == waived && now != waived):
		return Appeared, &d.Summary.New
	case fails && was.Fingerprint != is.Fingerprint:
		return Shifted, &d.Summary.Changed
	case fails:
		return Unchanged, &d.Summary.Unchanged
	case known && now == Answer(Unknown):
		return Obscured, &d.Summary.Unknown
	case known && now == absent, failed && now == Answer(Skip):
		return Unasked, &d.Summary.Unasked
	case failed:
		return Fixed, &d.Summary.Fixed
	default:
		return "", nil
	}
}
