package config

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// LogLevel finds settings that switch debug pages on.
func LogLevel() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-log-level",
		Title:    "Debug logs or profiling are on",
		Severity: audit.Medium,
		Rationale: "Profiling pages show memory, which can hold Secrets, and each request for one costs the member time. " +
			"--log-level=debug switches them on too, with traces of requests, whatever --enable-pprof says.",
		Method: "Reads the effective --enable-pprof and --log-level, and --debug in releases before 3.5.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Switch both off, and restart the member:"),
				audit.Paste("--enable-pprof=false --log-level=info"),
			}
		},
		References: []string{"STIG V-242413", "NIST 800-53 CM-7", "NIST 800-53 SI-11", "etcd THREAT_MODEL.md: Non-Default & Test-Only Configuration"},
		Run:        askEtcd(checkPprof, checkDebug),
	})
}

func checkPprof(r *reading) {
	if r.enabled("enable-pprof") {
		r.addFinding("pprof", "etcd serves profiling pages: "+r.describe("enable-pprof"))
		return
	}
	r.addEvidence(r.describe("enable-pprof"))
}

// checkDebug checks for settings that also switch on debug pages. It assumes that an unknown release
// does this.
func checkDebug(r *reading) {
	for _, d := range debugSwitches() {
		if r.value(d.flag) != d.value {
			continue
		}
		if heeds, known := inSpans(r.settings.Version, d.releases); heeds || !known {
			r.addFinding("debug", fmt.Sprintf("debug logs switch profiling pages and request traces on: %s", r.describe(d.flag)))
		}
	}
	if len(r.findings) == 0 {
		r.addEvidence(r.describe("log-level"))
	}
}
