package report_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/report"
)

// Each result has its state against the baseline, and what is fixed is absent; what is not
// asked any more is open.
func TestSARIFBaseline(t *testing.T) {
	t.Parallel()
	checks := func(outcomes map[string]audit.Outcome) []audit.Check {
		var all []audit.Check
		for _, id := range slices.Sorted(maps.Keys(outcomes)) {
			all = append(all, check(id, audit.High, audit.Client, map[string]audit.Outcome{"10.0.0.1:2379": outcomes[id]}))
		}
		return all
	}
	targets := []audit.Target{&audit.Listener{Address: "10.0.0.1:2379", Kind: audit.Client}}
	fails := func(code string) audit.Outcome { return audit.Failed(audit.Finding{Code: code, Text: "seen " + code}) }
	pass, unknown := audit.Passed("in order"), audit.CouldNotTell("no answer")
	before := stamped(audit.Run(checks(map[string]audit.Outcome{
		"same": fails("a"), "other": fails("a"), "mended": fails("a"), "hidden": fails("a"), "dropped": fails("a"), "dark": unknown, "fresh": pass, "fine": pass,
	}), targets))
	after := stamped(audit.Run(checks(map[string]audit.Outcome{
		"same": fails("a"), "other": fails("b"), "mended": pass, "hidden": unknown, "dark": unknown, "fresh": fails("a"), "fine": pass, "blind": unknown,
	}), targets))
	after.StartedAt = before.FinishedAt

	var out bytes.Buffer
	if err := (report.SARIF{Baseline: &before}).Render(&out, after); err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := compile(t, "sarif-2.1.0.json").Validate(document); err != nil {
		t.Error(err)
	}
	var log struct {
		Runs []struct {
			BaselineGUID      string
			AutomationDetails struct{ GUID string }
			Results           []struct{ RuleID, BaselineState, Kind string }
		}
	}
	if err := json.Unmarshal(out.Bytes(), &log); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range log.Runs[0].Results {
		got[r.RuleID] = r.BaselineState + " " + r.Kind
	}
	want := map[string]string{
		"same": "unchanged ", "other": "updated ", "mended": "absent ", "hidden": "updated open", "dropped": "updated open",
		"dark": "unchanged open", "fresh": "new ", "blind": "new open",
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if got[id] != want[id] && got[id] != want[id]+"fail" {
			t.Errorf("%s: %q, want %q", id, got[id], want[id])
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %v", got)
	}

	// The baseline is the run that its own rendering names.
	var first bytes.Buffer
	if err := (report.SARIF{}).Render(&first, before); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if !bytes.Contains(first.Bytes(), []byte(`"guid": "`+run.BaselineGUID+`"`)) || run.BaselineGUID == run.AutomationDetails.GUID {
		t.Errorf("baseline %s of run %s", run.BaselineGUID, run.AutomationDetails.GUID)
	}
}
