// Package waivers reads the file in which an operator accepts known findings, with the person
// responsible for each and the last day. Package audit applies the waivers.
package waivers

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

// APIVersion and Kind are the only values that a file may have.
const (
	APIVersion = "etcdsec.dev/v1alpha1"
	Kind       = "Waivers"
)

const (
	// maxSize has room for thousands of waivers.
	maxSize = 1 << 20

	// maxDays bounds the days until a waiver expires: a yearly review, and a month to do it.
	maxDays = 400

	day = 24 * time.Hour
)

// Config is the file as the operator wrote it, strictly decoded but not yet judged.
type Config struct {
	APIVersion string  `yaml:"apiVersion"`
	Kind       string  `yaml:"kind"`
	Waivers    []Entry `yaml:"waivers"`
}

// Entry is one waiver of the file.
type Entry struct {
	Check       string `yaml:"check"`       // the ID of a check
	Target      string `yaml:"target"`      // as audit.MatchGlob takes it
	Host        string `yaml:"host"`        // optional; as audit.MatchGlob takes it
	Fingerprint string `yaml:"fingerprint"` // optional
	Owner       string `yaml:"owner"`
	Reason      string `yaml:"reason"`
	Ticket      string `yaml:"ticket"`  // optional
	Expires     string `yaml:"expires"` // a day, the last on which it holds, in UTC
}

// Checks holds the checks that a waiver may name.
type Checks struct {
	IDs  []string
	Near func(id string) []string // those that somebody who typed id may have meant
}

// Read reads a file of waivers. name is the file's name in the faults; the error joins all of
// them, each a *strictyaml.Fault. An expired waiver is not a fault: package audit reports it with
// the finding.
func Read(name string, r io.Reader, checks Checks, now time.Time) ([]audit.WaiverRule, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("reading the waivers: %w", err)
	}
	if len(data) > maxSize {
		return nil, &strictyaml.Fault{File: name, Problem: "larger than 1 MiB; this is not a file of waivers"}
	}
	var config Config
	source, err := strictyaml.Decode(name, data, &config)
	if err != nil {
		return nil, err
	}
	v := validator{source: source, checks: checks, now: now}
	rules := v.rules(name, config)
	if err := errors.Join(v.faults...); err != nil {
		return nil, err
	}
	return rules, nil
}

type validator struct {
	source strictyaml.Source
	checks Checks
	now    time.Time
	faults []error
}

func (v *validator) fault(field, format string, a ...any) {
	v.faults = append(v.faults, v.source.Fault(field, format, a...))
}

func (v *validator) rules(name string, config Config) []audit.WaiverRule {
	if config.APIVersion != APIVersion {
		v.fault("apiVersion", "want %s, got %q", APIVersion, config.APIVersion)
	}
	if config.Kind != Kind {
		v.fault("kind", "want %s, got %q", Kind, config.Kind)
	}
	if config.Waivers == nil {
		v.fault("waivers", "is missing; a file without any says waivers: []")
	}
	rules := []audit.WaiverRule{}
	first := map[Entry]string{} // what is waived, to the field that waives it
	for i, e := range config.Waivers {
		field := fmt.Sprintf("waivers[%d]", i)
		rules = append(rules, audit.WaiverRule{
			Waiver:      audit.Waiver{Reason: v.text(field+".reason", e.Reason), Owner: v.text(field+".owner", e.Owner), Expires: v.expires(field+".expires", e.Expires)},
			CheckID:     v.check(field+".check", e.Check),
			Target:      v.text(field+".target", e.Target),
			Fingerprint: v.fingerprint(field+".fingerprint", e.Fingerprint),
			Origin:      fmt.Sprintf("%s:%d", name, v.source.Line(field)),
		})
		if e.Ticket != "" {
			rules[i].Ticket = v.text(field+".ticket", e.Ticket)
		}
		if e.Host != "" {
			rules[i].Host = v.text(field+".host", e.Host)
		}
		what := Entry{Check: e.Check, Target: e.Target, Host: e.Host, Fingerprint: e.Fingerprint}
		if other, twice := first[what]; twice {
			v.fault(field, "waives the same as %s on line %d", other, v.source.Line(other))
		} else {
			first[what] = field
		}
	}
	return rules
}

// text requires one line that is not empty: it is shown on terminals.
func (v *validator) text(field, s string) string {
	const most = 500
	switch {
	case strings.TrimSpace(s) == "":
		v.fault(field, "is missing")
	case strings.ContainsFunc(s, isControl):
		v.fault(field, "want one line without control characters")
	case len(s) > most:
		v.fault(field, "is longer than %d bytes; say more in the ticket", most)
	}
	return s
}

// isControl reports whether a terminal would obey the character or end a line there.
func isControl(r rune) bool {
	return r < ' ' || (r >= 0x7f && r < 0xa0) || r == '\u2028' || r == '\u2029' || r == '\ufffd'
}

func (v *validator) check(field, id string) string {
	switch near := v.checks.Near(id); {
	case id == "":
		v.fault(field, "is missing; `etcdsec audit list` has the IDs")
	case slices.Contains(v.checks.IDs, id):
	case len(near) > 0:
		v.fault(field, "no check has the ID %q; the nearest are %s", id, strings.Join(near, ", "))
	default:
		v.fault(field, "no check has the ID %q; `etcdsec audit list` has all", id)
	}
	return id
}

func (v *validator) fingerprint(field, s string) string {
	const digits = 32
	if s != "" && (len(s) != digits || strings.Trim(s, "0123456789abcdef") != "") {
		v.fault(field, "want 32 hexadecimal digits, as the JSON report has them, got %.60q", s)
	}
	return s
}

// expires returns the last second of the day: the waiver is still valid on it.
func (v *validator) expires(field, s string) time.Time {
	if s == "" {
		v.fault(field, "is missing; a waiver ends on a day, such as %s", v.now.UTC().AddDate(0, 3, 0).Format(time.DateOnly))
		return time.Time{}
	}
	date, err := time.Parse(time.DateOnly, s)
	if err != nil {
		v.fault(field, "want a day such as %s, got %.60q", v.now.UTC().AddDate(0, 3, 0).Format(time.DateOnly), s)
		return time.Time{}
	}
	if last := v.now.UTC().Truncate(day).Add(maxDays * day); date.After(last) {
		v.fault(field, "%s is more than %d days ahead; want %s or sooner, and look at it again then", s, maxDays, last.Format(time.DateOnly))
	}
	return date.Add(day - time.Second)
}
