package audit_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
)

var today = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// verdicts judges targets "a:1" … by the checks "one" and "two" as the outcomes say, by
// "target check"; what is not in them passes.
func verdicts(outcomes map[string]audit.Outcome) audit.Report {
	check := func(id string) audit.Check {
		return audit.AsCheck(audit.ListenerCheck{
			ID: id, Severity: audit.High, Applies: audit.On(audit.Client),
			Run: func(t *audit.Listener) audit.Outcome {
				if o, found := outcomes[t.Address+" "+id]; found {
					return o
				}
				return audit.Passed("x")
			},
		})
	}
	return audit.Run([]audit.Check{check("one"), check("two")}, audit.Targets([]*audit.Listener{
		{Address: "a:1", Kind: audit.Client}, {Address: "b:1", Kind: audit.Client}, {Address: "[::1]:1", Kind: audit.Client},
	}))
}

func failed(codes ...string) audit.Outcome {
	var findings []audit.Finding
	for _, code := range codes {
		findings = append(findings, audit.Finding{Code: code, Text: "seen " + code})
	}
	return audit.Failed(findings...)
}

// until is a rule that holds for so many days more.
func until(days int, check, target string) audit.WaiverRule {
	return audit.WaiverRule{
		CheckID: check, Target: target, Origin: "waivers.yaml:1",
		Waiver: audit.Waiver{Reason: "known", Owner: "team", Ticket: "SEC-1", Expires: today.AddDate(0, 0, days)},
	}
}

func TestWaive(t *testing.T) {
	found := verdicts(map[string]audit.Outcome{"a:1 one": failed("x")})
	fingerprint := found.Results[0].Fingerprint
	exact := func(r audit.WaiverRule, fingerprint string) audit.WaiverRule {
		r.Fingerprint = fingerprint
		return r
	}
	for name, c := range map[string]struct {
		outcomes map[string]audit.Outcome
		rules    []audit.WaiverRule
		waived   []string // "target check"
		unused   []string // parts of why
		evidence string   // of a:1 one, where it is not waived
	}{
		"none":                  {outcomes: map[string]audit.Outcome{"a:1 one": failed("x")}, evidence: "seen x"},
		"one":                   {outcomes: map[string]audit.Outcome{"a:1 one": failed("x"), "b:1 one": failed("x")}, rules: []audit.WaiverRule{until(1, "one", "a:1")}, waived: []string{"a:1 one"}},
		"a glob":                {outcomes: map[string]audit.Outcome{"a:1 one": failed("x"), "b:1 one": failed("x"), "b:1 two": failed("x")}, rules: []audit.WaiverRule{until(1, "one", "?:1")}, waived: []string{"a:1 one", "b:1 one"}},
		"an IPv6 target":        {outcomes: map[string]audit.Outcome{"[::1]:1 two": failed("x")}, rules: []audit.WaiverRule{until(1, "two", "[::1]:1")}, waived: []string{"[::1]:1 two"}},
		"the fingerprint":       {outcomes: map[string]audit.Outcome{"a:1 one": failed("x")}, rules: []audit.WaiverRule{exact(until(1, "one", "*"), fingerprint)}, waived: []string{"a:1 one"}},
		"another finding":       {outcomes: map[string]audit.Outcome{"a:1 one": failed("x", "y")}, rules: []audit.WaiverRule{exact(until(1, "one", "a:1"), fingerprint)}, unused: []string{"its fingerprint is "}, evidence: "seen x; seen y"},
		"the last second":       {outcomes: map[string]audit.Outcome{"a:1 one": failed("x")}, rules: []audit.WaiverRule{until(0, "one", "a:1")}, waived: []string{"a:1 one"}},
		"expired":               {outcomes: map[string]audit.Outcome{"a:1 one": failed("x")}, rules: []audit.WaiverRule{until(-1, "one", "a:1")}, evidence: "seen x; its waiver expired on 2026-11-19: known (team, SEC-1)"},
		"expired and another":   {outcomes: map[string]audit.Outcome{"a:1 one": failed("x")}, rules: []audit.WaiverRule{until(-1, "one", "a:1"), until(1, "one", "*")}, waived: []string{"a:1 one"}},
		"two, both needed":      {outcomes: map[string]audit.Outcome{"a:1 one": failed("x")}, rules: []audit.WaiverRule{until(1, "one", "*"), until(2, "one", "a:1")}, waived: []string{"a:1 one"}},
		"a pass":                {rules: []audit.WaiverRule{until(1, "one", "a:1")}, unused: []string{"the check fails on none of its targets"}, evidence: "x"},
		"a pass, expired":       {rules: []audit.WaiverRule{until(-1, "one", "a:1")}, unused: []string{"it expired on 2026-11-19, and"}, evidence: "x"},
		"an unknown is not":     {outcomes: map[string]audit.Outcome{"a:1 one": audit.CouldNotTell("no answer")}, rules: []audit.WaiverRule{until(1, "one", "a:1")}, evidence: "no answer"},
		"a skip":                {outcomes: map[string]audit.Outcome{"a:1 one": audit.Skipped("no TLS")}, rules: []audit.WaiverRule{until(1, "one", "a:1")}, unused: []string{"fails on none of its targets"}, evidence: "no TLS"},
		"no such target":        {rules: []audit.WaiverRule{until(1, "one", "c:1")}, unused: []string{"no audited target matches it"}, evidence: "x"},
		"a check not asked":     {rules: []audit.WaiverRule{until(1, "three", "a:1")}, evidence: "x"},
		"one unused of several": {outcomes: map[string]audit.Outcome{"a:1 one": failed("x")}, rules: []audit.WaiverRule{until(1, "two", "a:1"), until(1, "one", "a:1")}, waived: []string{"a:1 one"}, unused: []string{"fails on none of its targets"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := verdicts(c.outcomes)
			before := r.Summary
			var unused []string
			for _, u := range r.Waive(c.rules, today) {
				unused = append(unused, u.Why)
			}
			if len(unused) != len(c.unused) {
				t.Errorf("unused: %q, want %q", unused, c.unused)
			}
			for i := range min(len(unused), len(c.unused)) {
				if !strings.Contains(unused[i], c.unused[i]) {
					t.Errorf("unused: %q, want %q in it", unused[i], c.unused[i])
				}
			}
			var waived []string
			for _, result := range r.Results {
				if result.Waiver == nil {
					continue
				}
				waived = append(waived, result.Target+" "+result.CheckID)
				if result.Verdict != audit.Fail || result.Waiver.Owner != "team" {
					t.Errorf("%+v", result)
				}
			}
			if diff := cmp.Diff(c.waived, waived); diff != "" {
				t.Error(diff)
			}
			want := before
			want.Fail, want.Waived = before.Fail-len(waived), len(waived)
			if r.Summary != want {
				t.Errorf("%+v, want %+v", r.Summary, want)
			}
			if c.evidence != "" && r.Results[0].Evidence != c.evidence {
				t.Errorf("evidence %q, want %q", r.Results[0].Evidence, c.evidence)
			}
		})
	}
}

// The rules of a later call take the place of the earlier, and a note is made once.
func TestWaiveAgain(t *testing.T) {
	r := verdicts(map[string]audit.Outcome{"a:1 one": failed("x"), "b:1 one": failed("x")})
	r.Waive([]audit.WaiverRule{until(1, "one", "a:1"), until(-1, "one", "b:1")}, today)
	r.Waive([]audit.WaiverRule{until(-1, "one", "b:1")}, today)
	if r.Summary.Waived != 0 || r.Summary.Fail != 2 || strings.Count(r.Results[2].Evidence, "expired") != 1 {
		t.Errorf("%+v, %q", r.Summary, r.Results[2].Evidence)
	}
}
