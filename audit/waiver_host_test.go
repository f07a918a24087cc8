package audit_test

import (
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// ofHost is a report of one host, whose loopback port and whose port for others have a finding.
func ofHost(name string) audit.Report {
	check := audit.AsCheck(audit.ListenerCheck{
		ID: "one", Severity: audit.High, Applies: audit.On(audit.Client),
		Run: func(*audit.Listener) audit.Outcome { return failed("x") },
	})
	targets := audit.Targets([]*audit.Listener{{Address: "127.0.0.1:1", Kind: audit.Client}, {Address: "10.0.0.11:1", Kind: audit.Client}, {Address: "unix:///run/s", Socket: "/run/s", Kind: audit.Client}})
	for _, t := range targets {
		t.SetObserver(name)
	}
	return audit.Run([]audit.Check{check}, targets)
}

// A waiver of a target that every host has is for the host that it names.
func TestWaiveOfAHost(t *testing.T) {
	mine := ofHost("cp-0").Results[0].Fingerprint
	for name, c := range map[string]struct {
		target, host, fingerprint string
		waived                    int
		unused                    string
	}{
		"no host":                  {target: "127.0.0.1:1", unused: `name the host, as in host: cp-0, or host: "*" for all`},
		"its host":                 {target: "127.0.0.1:1", host: "cp-0", waived: 1},
		"a pattern":                {target: "127.0.0.1:*", host: "cp-?", waived: 1},
		"every host":               {target: "127.0.0.1:1", host: "*", waived: 1},
		"another host":             {target: "127.0.0.1:1", host: "cp-1", unused: "is on another host, cp-0"},
		"its fingerprint":          {target: "127.0.0.1:1", fingerprint: mine, waived: 1},
		"a socket":                 {target: "unix:///run/s", host: "cp-0", waived: 1},
		"a socket of any host":     {target: "unix:///run/s", unused: "name the host"},
		"a target of the network":  {target: "10.0.0.11:1", waived: 1},
		"everything, everywhere":   {target: "*", waived: 3},
		"everything of a host":     {target: "*", host: "cp-0", waived: 2},
		"a host where none counts": {target: "10.0.0.11:1", host: "cp-0", unused: "leave out host"},
	} {
		t.Run(name, func(t *testing.T) {
			rule := until(1, "one", c.target)
			rule.Host, rule.Fingerprint = c.host, c.fingerprint
			r := ofHost("cp-0")
			unused := r.Waive([]audit.WaiverRule{rule}, today)
			if r.Summary.Waived != c.waived {
				t.Errorf("%d are waived, want %d", r.Summary.Waived, c.waived)
			}
			if (len(unused) > 0) != (c.unused != "") || len(unused) > 0 && !strings.Contains(unused[0].Why, c.unused) {
				t.Errorf("unused %+v, want %q", unused, c.unused)
			}
		})
	}
	if other := ofHost("cp-1").Results; other[0].Fingerprint == mine || other[1].Fingerprint != ofHost("cp-0").Results[1].Fingerprint {
		t.Error("fingerprints tell the host of a target, or do not")
	}
	// The name of a host may be that of a Pod, which is another one each time.
	if d := audit.Compare(ofHost("pod-a"), ofHost("pod-b")); d.Summary.Changed != 0 || d.Summary.Unchanged != 3 {
		t.Errorf("got %+v", d.Summary)
	}
}
