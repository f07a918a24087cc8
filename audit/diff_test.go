package audit_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/audit"
)

// answer is a report of one question, "" of none.
func answer(state string) audit.Report {
	outcomes := map[string]audit.Outcome{
		"pass": audit.Passed("x"), "skip": audit.Skipped("no TLS"), "unknown": audit.CouldNotTell("no answer"),
		"fail": failed("x"), "fail y": failed("y"), "fail x y": failed("x", "y"), "waived": failed("x"),
	}
	outcome, found := outcomes[state]
	if !found {
		return audit.Run(nil, nil)
	}
	check := audit.AsCheck(audit.ListenerCheck{ID: "one", Severity: audit.High, Applies: audit.On(audit.Client), Run: func(*audit.Listener) audit.Outcome { return outcome }})
	r := audit.Run([]audit.Check{check}, []audit.Target{&audit.Listener{Address: "a:1", Kind: audit.Client}})
	if state == "waived" {
		r.Waive([]audit.WaiverRule{until(1, "one", "*")}, today)
	}
	return r
}

// Every change of an answer, and what it makes of a gate.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		was, now string
		want     audit.Change // empty: nothing is said
		worse    bool
		lost     bool
	}{
		{was: "pass", now: "pass"},
		{was: "pass", now: "skip"},
		{was: "pass", now: "unknown", want: audit.Obscured, lost: true},
		{was: "pass", now: "fail", want: audit.Appeared, worse: true},
		{was: "pass", now: "waived", want: audit.Appeared},
		{was: "pass", now: "", want: audit.Unasked, lost: true},
		{was: "skip", now: "pass"},
		{was: "skip", now: "unknown"},
		{was: "skip", now: "fail", want: audit.Appeared, worse: true},
		{was: "skip", now: ""},
		{was: "unknown", now: "unknown"},
		{was: "unknown", now: "pass"},
		{was: "unknown", now: ""},
		{was: "unknown", now: "fail", want: audit.Appeared, worse: true},
		{was: "", now: "pass"},
		{was: "", now: "unknown"},
		{was: "", now: "fail", want: audit.Appeared, worse: true},
		{was: "fail", now: "pass", want: audit.Fixed},
		{was: "fail", now: "skip", want: audit.Unasked, lost: true},
		{was: "fail", now: "unknown", want: audit.Obscured, lost: true},
		{was: "fail", now: "", want: audit.Unasked, lost: true},
		{was: "fail", now: "fail", want: audit.Unchanged},
		{was: "fail", now: "fail y", want: audit.Shifted, worse: true},
		{was: "fail", now: "fail x y", want: audit.Shifted, worse: true},
		{was: "fail x y", now: "fail", want: audit.Shifted},
		{was: "fail", now: "waived", want: audit.Unchanged},
		{was: "waived", now: "waived", want: audit.Unchanged},
		{was: "waived", now: "fail", want: audit.Appeared, worse: true},
		{was: "waived", now: "fail x y", want: audit.Appeared, worse: true},
		{was: "waived", now: "pass", want: audit.Fixed},
		{was: "waived", now: "unknown", want: audit.Obscured, lost: true},
		{was: "waived", now: "", want: audit.Unasked, lost: true},
	} {
		t.Run(c.was+" to "+c.now, func(t *testing.T) {
			d := audit.Compare(answer(c.was), answer(c.now))
			if c.want == "" {
				if len(d.Changes) > 0 || d.Summary != (audit.DiffSummary{}) {
					t.Errorf("got %+v", d)
				}
				return
			}
			if len(d.Changes) != 1 {
				t.Fatalf("got %+v", d)
			}
			got := d.Changes[0]
			if got.Change != c.want || got.Worse() != c.worse || got.Lost() != c.lost {
				t.Errorf("got %s, worse %v, lost %v: %+v", got.Change, got.Worse(), got.Lost(), got)
			}
			if got.CheckID != "one" || got.Target != "a:1" || got.Kind != audit.Client {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestCompareOrder(t *testing.T) {
	before := verdicts(map[string]audit.Outcome{"a:1 one": failed("x"), "b:1 two": failed("x", "y"), "[::1]:1 one": failed("x")})
	after := verdicts(map[string]audit.Outcome{"a:1 one": failed("x"), "b:1 two": failed("y", "z"), "a:1 two": failed("x"), "b:1 one": failed("x")})
	d := audit.Compare(before, after)
	var got []string
	for _, c := range d.Changes {
		got = append(got, string(c.Change)+" "+c.Target+" "+c.CheckID)
	}
	want := []string{"new a:1 two", "new b:1 one", "changed b:1 two", "unchanged a:1 one", "fixed [::1]:1 one"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"z"}, d.Changes[2].AddedCodes); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"x"}, d.Changes[2].RemovedCodes); diff != "" {
		t.Error(diff)
	}
	if want := (audit.DiffSummary{New: 2, Changed: 1, Unchanged: 1, Fixed: 1}); d.Summary != want {
		t.Errorf("got %+v", d.Summary)
	}
}

// The worst of several answers counts, in whatever order they come.
func TestCompareMerged(t *testing.T) {
	both, _ := audit.Merge([]audit.Report{answer("pass"), answer("fail")})
	turned, _ := audit.Merge([]audit.Report{answer("fail"), answer("pass")})
	for name, merged := range map[string]audit.Report{"pass first": both, "fail first": turned} {
		if d := audit.Compare(answer("fail"), merged); d.Summary != (audit.DiffSummary{Unchanged: 1}) {
			t.Errorf("%s: %+v", name, d.Summary)
		}
	}
}

// The JSON of a diff is a contract as that of a report is.
func TestDiffFields(t *testing.T) {
	data, err := json.Marshal(audit.Compare(answer("pass"), answer("fail")))
	if err != nil {
		t.Fatal(err)
	}
	var decoded struct {
		SchemaVersion int `json:"schema_version"`
		Old, New      map[string]any
		Changes       []map[string]any
		Summary       map[string]int
	}
	if err := json.Unmarshal(data, &decoded); err != nil {
		t.Fatal(err)
	}
	if decoded.SchemaVersion != 1 || len(decoded.Old) != 3 || len(decoded.New) != 3 || len(decoded.Summary) != 6 || decoded.Summary["new"] != 1 {
		t.Errorf("got %s", data)
	}
	for _, field := range []string{
		"change", "check_id", "target", "kind", "severity", "title", "was", "now", "evidence",
		"added_codes", "removed_codes", "old_fingerprint", "fingerprint",
	} {
		if value, found := decoded.Changes[0][field]; !found || value == nil {
			t.Errorf("%s: %v", field, value)
		}
	}
}
