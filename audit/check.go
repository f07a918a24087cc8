// Package audit judges what was collected about an etcd cluster: its listeners, its settings on hosts and
// its stored data. A [Check] is a value; its Run is a pure function of a [Target], so that the same
// observations always give the same verdict. [Run] makes a [Report] of checks and targets. Package
// collect makes the observations.
package audit

import "slices"

// Severity ranks a finding by its value to an attacker.
type Severity string

// The severities. Critical: everyone who reaches the port can read, write or own the cluster.
// High: an attacker needs one more step, or one more credential. Medium: helps an attack, or
// breaks on its own in time. Low: hygiene.
const (
	Critical Severity = "critical"
	High     Severity = "high"
	Medium   Severity = "medium"
	Low      Severity = "low"
)

// Severities returns all severities, the worst first.
func Severities() []Severity { return []Severity{Critical, High, Medium, Low} }

// Rank returns the index of a severity in [Severities]: 0 for the worst, -1 for an unknown one.
func (s Severity) Rank() int { return slices.Index(Severities(), s) }

// Verdict is the answer of a check about a target.
type Verdict string

// The verdicts. An unknown result never counts as a pass: the audit could not make the observation.
const (
	Pass    Verdict = "pass"
	Fail    Verdict = "fail"
	Skip    Verdict = "skip" // the question does not arise for this target
	Unknown Verdict = "unknown"
)

// Verdicts returns all verdicts.
func Verdicts() []Verdict { return []Verdict{Pass, Fail, Skip, Unknown} }

// Subject is something that checks judge: a target of the audit, a file, a set of policies.
type Subject interface {
	Identity() (address string, kind Kind) // as a [Result] names it
	Place() Place                          // where its findings must be fixed
}

// CheckOf is one question about subjects of one type.
type CheckOf[S Subject] struct {
	ID          string                  // kebab-case; never changes once released
	Title       string                  // what is wrong when it fails
	Severity    Severity                // of a finding, unless the outcome has its own
	Rationale   string                  // why this matters
	Method      string                  // how the check tests it
	Remediation func(Place) Remediation // what to do; with an empty Place, for any subject
	References  []string

	Applies func(S) bool // nil means every subject
	Run     func(S) Outcome

	// OneHandshake marks a check that uses only the handshake without a certificate.
	OneHandshake bool
}

// Check is one question about the targets of an audit. [AsCheck] makes it.
type Check = CheckOf[Target]

// The checks of each kind of target.
type (
	ListenerCheck = CheckOf[*Listener]
	ClusterCheck  = CheckOf[*EtcdCluster]
	SettingsCheck = CheckOf[*HostSettings]
	DataCheck     = CheckOf[*StoredData]
)

// AsCheck returns a check of one kind of target as a [Check], which applies to no other kind.
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

// About describes a check, without the function that judges.
type About struct {
	ID, Title   string
	Severity    Severity
	Rationale   string
	Method      string
	Remediation func(Place) Remediation
	References  []string
}

// About returns the description of the check.
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

// applies reports whether a check applies to a subject.
func (c CheckOf[S]) applies(subject S) bool { return c.Applies == nil || c.Applies(subject) }

// On returns an Applies that accepts listeners of the given kinds.
func On(kinds ...Kind) func(*Listener) bool {
	return func(l *Listener) bool { return slices.Contains(kinds, l.Kind) }
}

// Finding is one fault of a target. Its code is stable, its text is for people. The text is empty if
// the text of another finding covers it.
type Finding struct {
	Code string
	Text string
}

// Outcome holds the conclusion of a check about its subject.
type Outcome struct {
	Verdict     Verdict
	Evidence    string      // of a pass, a skip or an unknown result
	Findings    []Finding   // of a fail
	Remediation Remediation // replaces the check's, if the target allows more exact advice
	Severity    Severity    // replaces the check's, if the findings deserve another one; empty otherwise
}

// Passed returns the outcome of a check that found no fault; evidence says what it saw.
func Passed(evidence string) Outcome { return Outcome{Verdict: Pass, Evidence: evidence} }

// Skipped returns the outcome if the question does not arise. This needs evidence: for a missing or
// late answer, use [CouldNotTell].
func Skipped(reason string) Outcome { return Outcome{Verdict: Skip, Evidence: reason} }

// CouldNotTell returns the outcome if an observation is missing.
func CouldNotTell(reason string) Outcome { return Outcome{Verdict: Unknown, Evidence: reason} }

// Failed returns the outcome of at least one finding.
func Failed(findings ...Finding) Outcome { return Outcome{Verdict: Fail, Findings: findings} }
