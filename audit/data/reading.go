// Package data holds the checks of the stored data: which key encrypted each object.
package data

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// reading collects the results of one check of a census.
type reading struct {
	census   *audit.Census
	findings []audit.Finding
	severity audit.Severity // of the findings, if it is not the check's
	arose    bool           // the question arose
	unclear  string         // why it is unknown which key encrypted some objects; empty if it is known
	passed   string         // the evidence if there is no finding
	skipped  string         // the evidence if the question did not arise
}

func (r *reading) addFinding(code, format string, args ...any) {
	r.arose = true
	r.findings = append(r.findings, audit.Finding{Code: code, Text: fmt.Sprintf(format, args...)})
}

// judgeCensus returns the Run of a check of a census. Findings count even if part of the store was not
// read; without findings, the result is then unknown.
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
			return audit.CouldNotTell("the census did not read the whole store: " + c.Reason)
		case c.Objects == 0 && c.Outside > 0:
			return audit.CouldNotTell(fmt.Sprintf("none of the %s is an object of an API server; set --etcd-prefix to their prefix", count(c.Outside, "key")))
		case c.Objects == 0:
			return audit.CouldNotTell("there is no object of an API server: the store is empty, it is not that of Kubernetes, or its API servers have an --etcd-prefix of their own")
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

// joinNames lists the first few of many objects.
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

// indexOf returns the position of a writer in a rule: 0 is the current writer, and -1 means that it is not in the rule.
func indexOf(rule audit.EncryptionRule, w audit.Writer) int {
	return slices.IndexFunc(rule.Writers, func(known audit.Writer) bool {
		return known.Matches(w)
	})
}

// noteAmbiguity notes that another writer may have encrypted some objects of a writer: names such
// as "a" and "a:b" give the same prefix if the ciphertext begins with "b:". If the other writer is
// in the rule, all ambiguous objects count. If nobody named it, only those count for which chance
// is no likely explanation.
func (r *reading) noteAmbiguity(rule audit.EncryptionRule, resource string, w audit.WriterCount) {
	if w.Ambiguous == 0 {
		return
	}
	for _, other := range rule.Writers {
		if other.Provider == audit.AnyProvider {
			other.Provider = w.Provider
		}
		if w.Nests(other) {
			r.unclear = fmt.Sprintf("%s of %s may belong to %s or to %s: one name begins with the other", count(w.Ambiguous, "object"), resource, w.Writer, other)
			return
		}
	}
	if w.InDoubt > 0 {
		r.unclear = fmt.Sprintf("%s of %s may belong to %s, or to a key whose name goes on behind a colon or ends before it; give --config, or --key-name, with all keys that ever encrypted",
			count(w.InDoubt, "object"), resource, w.Writer)
	}
}

// encrypts reports whether a rule encrypts the objects that it covers.
func encrypts(rule audit.EncryptionRule) bool {
	return rule.Writers[0].Provider != audit.IdentityProvider
}

// rewriteCommand is the command that makes the API server rewrite objects.
const rewriteCommand = "kubectl get secrets --all-namespaces -o json | kubectl replace -f -"
