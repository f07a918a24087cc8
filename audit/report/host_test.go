package report_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// The reports of two hosts, each with a port at the same address, tell the hosts apart.
func TestHostOfATarget(t *testing.T) {
	of := func(host string) audit.Report {
		check := audit.AsCheck(audit.ListenerCheck{
			ID: "one", Title: "A fault", Severity: audit.High,
			Run: func(*audit.Listener) audit.Outcome { return audit.Failed(audit.Finding{Code: "x", Text: "seen"}) },
		})
		l := &audit.Listener{Address: "127.0.0.1:2381", Kind: audit.Metrics}
		l.SetObserver(host)
		return audit.Run([]audit.Check{check}, []audit.Target{l})
	}
	for format, want := range map[string]string{"sarif": `"host": "cp-0"`, "openreports": "host: cp-0", "oscal": `"value": "cp-0"`} {
		one, other := string(render(t, format, of("cp-0"))), string(render(t, format, of("cp-1")))
		if !strings.Contains(one, want) || strings.Contains(other, want) {
			t.Errorf("%s does not name the host of a target: %s", format, one)
		}
	}
	// What code scanning and OSCAL know a finding by tells them apart too.
	for format, name := range map[string]string{"sarif": `"partialFingerprints": \{[^}]*\}`, "oscal": `"risks": \[\s*\{\s*"uuid": "[^"]*"`} {
		id := regexp.MustCompile(name)
		one, other := id.Find(render(t, format, of("cp-0"))), id.Find(render(t, format, of("cp-1")))
		if one == nil || bytes.Equal(one, other) {
			t.Errorf("%s: a finding of two hosts is known by %q and %q", format, one, other)
		}
	}
}
