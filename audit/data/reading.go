// Package data holds the checks of what a store holds: which key encrypted every object.
package data

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// reading collects what one check sees in a census.
type reading struct {
	census   *audit.Census
	findings []audit.Finding
	severity audit.Severity // of the findings, if it is not the check's
	arose    bool           // the question arose
	unclear  string         // why it cannot be told which key encrypted some objects; empty if it can
	passed   string         // what is said where nothing was found
	skipped  string         // what is said where the question did not arise
}

func (r *reading) addFinding(code, format string, args ...any) {
	r.arose = true
	r.findings = append(r.findings, audit.Finding{Code: code, Text: fmt.Sprintf(format, args...)})
}

// judgeCensus runs a check on what is known of a store. What was found counts although the rest of the
// store was not read; that nothing was found does not.
func judgeCensus(look func(*reading)) func(*audit.StoredData) audit.Outcome {
	return func(t *audit.StoredData) audit.Outcome {
		c := t.Census
		if c == nil {
			return audit.CouldNotTell("the store was not read")
		}
		r := &reading{census: c}
		look(r)
		switch {
		case len(r.findings) > 0:
			o := audit.Failed(r.findings...)
			o.Severity = r.severity
			return o
		case !c.Complete:
			return audit.CouldNotTell("the store was not read to its end: " + c.Reason)
		case c.Objects == 0 && c.Outside > 0:
			return audit.CouldNotTell(fmt.Sprintf("none of the %s is an object of an API server; --etcd-prefix says where they are", count(c.Outside, "key")))
		case c.Objects == 0:
			return audit.Skipped("the store is empty")
		case !r.arose:
			return audit.Skipped(r.skipped)
		case r.unclear != "":
			return audit.CouldNotTell(r.unclear)
		default:
			return audit.Passed(r.passed)
		}
	}
}

// count returns a number with what it counts.
func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// joinNames lists some objects of many.
func joinNames(names []string, all int64) string {
	const most = 5
	if len(names) == 0 {
		return ""
	}
	text := strings.Join(names[:min(len(names), most)], ", ")
	if more := all - int64(min(len(names), most)); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return " (" + text + ")"
}

// indexOf returns the position of a writer among those of a rule: 0 is the one that writes, -1 none of them.
func indexOf(rule audit.EncryptionRule, w audit.Writer) int {
	return slices.IndexFunc(rule.Writers, func(known audit.Writer) bool {
		return known.Matches(w)
	})
}

// noteAmbiguity notes that some objects of a writer may be of another one of the rule: their names,
// such as "a" and "a:b", make the same prefix where ciphertext begins with "b:".
func (r *reading) noteAmbiguity(rule audit.EncryptionRule, resource string, w audit.WriterCount) {
	if w.Ambiguous == 0 {
		return
	}
	for _, other := range rule.Writers {
		if other.Provider == audit.AnyProvider {
			other.Provider = w.Provider
		}
		if w.Nests(other) {
			r.unclear = fmt.Sprintf("%s of %s may be of %s or of %s: the name of the one begins with that of the other", count(w.Ambiguous, "object"), resource, w.Writer, other)
			return
		}
	}
}

// encrypts reports whether objects that are written under a rule are encrypted.
func encrypts(rule audit.EncryptionRule) bool {
	return rule.Writers[0].Provider != audit.IdentityProvider
}

// rewriteCommand holds the lines that let the API server write objects anew.
const rewriteCommand = "kubectl get secrets --all-namespaces -o json | kubectl replace -f -"
