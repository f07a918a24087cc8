// Package audit judges what was collected about the listeners of an etcd cluster.
// A check is a value; its Run is a pure function of a target, so that the same
// observations always give the same verdict. Package collect makes the observations.
package audit

import "slices"

// Severity ranks a finding by what it is worth to an attacker.
type Severity string

// The severities. Critical: who reaches the port reads, writes or owns the cluster.
// High: one more step, or one more credential, is needed. Medium: helps an attack, or
// breaks on its own in time. Low: hygiene.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
)

// Severities returns all severities, the worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low} }

// Rank returns the place of a severity among Severities: 0 for the worst, -1 for one that is not known.
func (s Severity) Rank() int { return slices.Index(Severities(), s) }

// Verdict is the answer of a check to a target.
type Verdict string

// The verdicts. Unknown is neither pass nor fail: the observation could not be made.
const (
	Pass    Verdict = "pass"
	Fail    Verdict = "fail"
	Skip    Verdict = "skip" // what the check is about does not exist on this target
	Unknown Verdict = "unknown"
)

// Verdicts returns all verdicts.
func Verdicts() []Verdict { return []Verdict{Pass, Fail, Skip, Unknown} }

// Subject is something that checks judge: a target of the audit, a file, a set of policies.
type Subject interface {
	Identity() (address string, kind Kind) // as a result names it
	Place() Place                          // where its findings are to be mended
}

// CheckOf is one question that is asked of subjects of one type.
type CheckOf[S Subject] struct {
	ID          string                  // kebab-case; never changes once released
	Title       string                  // what is wrong when it fails
	Severity    Severity                // of a finding, unless the outcome has its own
	Rationale   string                  // why that matters
	Method      string                  // how it is tested
	Remediation func(Place) Remediation // what to do; with an empty Place, for any subject
	References  []string

	Applies func(S) bool // nil: to every subject
	Run     func(S) Outcome

	// OneHandshake says that the check looks at nothing but the handshake without a certificate.
	OneHandshake bool
}

// Check is one question that is asked of targets of the audit. It is made by AsCheck.
type Check = CheckOf[Target]

// The checks of each kind of target.
type (
	ListenerCheck = CheckOf[*Listener]
	ClusterCheck  = CheckOf[*EtcdCluster]
	SettingsCheck = CheckOf[*HostSettings]
	DataCheck     = CheckOf[*StoredData]
)

// AsCheck returns a check of one kind of target as a Check, which applies to no other kind.
func AsCheck[T Target](c CheckOf[T]) Check {
	return Check{
		ID: c.ID, Title: c.Title, Severity: c.Severity, Rationale: c.Rationale, Method: c.Method,
		Remediation: c.Remediation, References: c.References, OneHandshake: c.OneHandshake,
		Applies: func(t Target) bool {
			of, ok := t.(T)
			return ok && c.applies(of)
		},
		Run: func(t Target) Outcome { return c.Run(t.(T)) }, // Applies is asked first
	}
}

// About describes a check, without what judges.
type About struct {
	ID, Title   string
	Severity    Severity
	Rationale   string
	Method      string
	Remediation func(Place) Remediation
	References  []string
}

// About returns what is known of the check before it judges anything.
func (c CheckOf[S]) About() About {
	return About{c.ID, c.Title, c.Severity, c.Rationale, c.Method, c.Remediation, c.References}
}

// About returns a itself.
func (a About) About() About { return a }

// Abouts describes checks, in their order.
func Abouts[S Subject](checks []CheckOf[S]) []About {
	abouts := make([]About, len(checks))
	for i, c := range checks {
		abouts[i] = c.About()
	}
	return abouts
}

// applies reports whether a check is about a subject.
func (c CheckOf[S]) applies(subject S) bool { return c.Applies == nil || c.Applies(subject) }

// On returns an Applies that accepts listeners of the given kinds.
func On(kinds ...Kind) func(*Listener) bool {
	return func(l *Listener) bool { return slices.Contains(kinds, l.Kind) }
}

// Finding is one thing wrong with a target. Its code is stable, its text is for people; it is empty
// where the text of another finding tells this one too.
type Finding struct {
	Code string
	Text string
}

// Outcome holds the conclusion of a check about its subject.
type Outcome struct {
	Verdict     Verdict
	Evidence    string      // of a pass, a skip or an unknown
	Findings    []Finding   // of a fail
	Remediation Remediation // in place of the check's, where the target says more exactly what to do
	Severity    Severity    // in place of the check's, where what was found is worth less; empty if it is not
}

// Passed returns the outcome for a subject that is in order; evidence says how that was seen.
func Passed(evidence string) Outcome { return Outcome{Verdict: Pass, Evidence: evidence} }

// Skipped returns the outcome where the question does not arise. It needs evidence of that: a
// missing or late answer is CouldNotTell.
func Skipped(reason string) Outcome { return Outcome{Verdict: Skip, Evidence: reason} }

// CouldNotTell returns the outcome where an observation is missing.
func CouldNotTell(reason string) Outcome { return Outcome{Verdict: Unknown, Evidence: reason} }

// Failed returns the outcome of at least one finding.
func Failed(findings ...Finding) Outcome { return Outcome{Verdict: Fail, Findings: findings} }
