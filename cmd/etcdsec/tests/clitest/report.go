package clitest

import (
	"encoding/json"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// ResultOf returns the only result of a check in a report as JSON.
func ResultOf(t testing.TB, report, check string) audit.Result {
	t.Helper()
	var r audit.Report
	if err := json.Unmarshal([]byte(report), &r); err != nil {
		t.Fatalf("%v in %s", err, report)
	}
	var found []audit.Result
	for _, result := range r.Results {
		if result.CheckID == check {
			found = append(found, result)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d results of %s", len(found), check)
	}
	return found[0]
}
