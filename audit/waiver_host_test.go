package audit_test

import (
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// ofHost returns the report of one host, with a finding on its loopback port, one on a port for others and
// one on a socket.
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

// A waiver of a target that every host has is for the host that it names, where a report has several.
func TestWaiveOfAHost(t *testing.T) {
	mine := ofHost("cp-0").Results[0].Fingerprint
	for name, c := range map[string]struct {
		target, host, fingerprint string
		alone, merged             int // findings waived in the report of cp-0, and in that of cp-0 and cp-1
		unused                    string
	}{
		"no host":                  {target: "127.0.0.1:1", alone: 1, unused: `name the host, as in host: cp-0, or host: "*" for all`},
		"its host":                 {target: "127.0.0.1:1", host: "cp-0", alone: 1, merged: 1},
		"a pattern":                {target: "127.0.0.1:*", host: "cp-?", alone: 1, merged: 2},
		"every host":               {target: "127.0.0.1:1", host: "*", alone: 1, merged: 2},
		"another host":             {target: "127.0.0.1:1", host: "cp-2", unused: "is on another host, cp-0"},
		"its fingerprint":          {target: "127.0.0.1:1", fingerprint: mine, alone: 1, unused: "name the host"},
		"a socket":                 {target: "unix:///run/s", host: "cp-0", alone: 1, merged: 1},
		"a socket of any host":     {target: "unix:///run/s", alone: 1, unused: "name the host"},
		"a target of the network":  {target: "10.0.0.11:1", alone: 1, merged: 1},
		"everything, everywhere":   {target: "*", alone: 3, merged: 5},
		"everything of a host":     {target: "*", host: "cp-0", alone: 2, merged: 2},
		"a host where none counts": {target: "10.0.0.11:1", host: "cp-0", unused: "leave out host"},
	} {
		t.Run(name, func(t *testing.T) {
			rule := until(1, "one", c.target)
			rule.Host, rule.Fingerprint = c.host, c.fingerprint
			alone := ofHost("cp-0")
			alone.Waive([]audit.WaiverRule{rule}, today)
			merged, _ := audit.Merge([]audit.Report{ofHost("cp-0"), ofHost("cp-1")})
			unused := merged.Waive([]audit.WaiverRule{rule}, today)
			if alone.Summary.Waived != c.alone || merged.Summary.Waived != c.merged {
				t.Errorf("%d and %d are waived, want %d and %d", alone.Summary.Waived, merged.Summary.Waived, c.alone, c.merged)
			}
			if (len(unused) > 0) != (c.unused != "") || len(unused) > 0 && !strings.Contains(unused[0].Why, c.unused) {
				t.Errorf("unused %+v, want %q", unused, c.unused)
			}
		})
	}
	// The name of a host may be that of a Pod, which is another one each time.
	if d := audit.Compare(ofHost("pod-a"), ofHost("pod-b")); d.Summary.Changed != 0 || d.Summary.Unchanged != 3 {
		t.Errorf("got %+v", d.Summary)
	}
}
