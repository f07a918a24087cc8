package audit_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

func checkOf(o audit.Outcome) audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID: "some-check", Severity: audit.High,
		Remediation: func(audit.Place) audit.Remediation { return audit.Remediation{audit.Say("the check's")} },
		Applies:     audit.On(audit.Client),
		Run:         func(*audit.Listener) audit.Outcome { return o },
	})
}

func resultOf(t *testing.T, address string, o audit.Outcome) audit.Result {
	t.Helper()
	report := audit.Run([]audit.Check{checkOf(o)}, []audit.Target{&audit.Listener{Address: address, Kind: audit.Client}})
	if len(report.Results) != 1 {
		t.Fatalf("%d results", len(report.Results))
	}
	return report.Results[0]
}

// A fingerprint is what a waiver and a diff hold on to: it follows the findings, not their words.
func TestFingerprint(t *testing.T) {
	const here, there = "a:1", "b:1"
	one, two := audit.Finding{Code: "one", Text: "x"}, audit.Finding{Code: "two", Text: "y"}
	reworded := audit.Finding{Code: "one", Text: "another day"}
	base := resultOf(t, here, audit.Failed(one, two)).Fingerprint
	if got := resultOf(t, here, audit.Failed(two, reworded)).Fingerprint; got != base {
		t.Error("the order or the words change it")
	}
	for name, other := range map[string]audit.Result{
		"target":   resultOf(t, there, audit.Failed(one, two)),
		"findings": resultOf(t, here, audit.Failed(one)),
		"pass":     resultOf(t, here, audit.Passed("x")),
	} {
		if other.Fingerprint == base {
			t.Errorf("another %s has the same", name)
		}
	}
}

func TestRun(t *testing.T) {
	peer := &audit.Listener{Address: "p:1", Kind: audit.Peer}
	client := &audit.Listener{Address: "c:1", Kind: audit.Client}
	passing, failing := checkOf(audit.Passed("x")), checkOf(audit.Failed(audit.Finding{Code: "c", Text: "y"}))
	failing.ID = "other-check"
	report := audit.Run([]audit.Check{failing, passing}, []audit.Target{peer, client})
	var got []string
	for _, r := range report.Results {
		got = append(got, r.Target+" "+r.CheckID)
	}
	if len(got) != 2 || got[0] != "c:1 other-check" || got[1] != "c:1 some-check" {
		t.Errorf("got %q", got)
	}
	if want := (audit.Summary{Pass: 1, Fail: 1}); report.Summary != want {
		t.Errorf("got %+v", report.Summary)
	}
}
