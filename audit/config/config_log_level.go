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
		Rationale: "Profiling pages hand out memory, which may hold Secrets, and cost the member time whenever somebody asks. " +
			"--log-level=debug switches them on too, with traces of requests, whatever --enable-pprof says.",
		Method: "Reads the effective --enable-pprof and --log-level, and of releases before 3.5 --debug.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Leave both off, and restart the member:"),
				audit.Paste("--enable-pprof=false --log-level=info"),
			}
		},
		References: []string{"STIG V-242413", "NIST 800-53 CM-7", "NIST 800-53 SI-11", "etcd THREAT_MODEL.md: Non-Default & Test-Only Configuration"},
		Run:        askEtcd(pprofSetting, debugSetting),
	})
}

func pprofSetting(r *reading) {
	if r.enabled("enable-pprof") {
		r.found("pprof", "profiling pages are served: "+r.written("enable-pprof"))
		return
	}
	r.saw(r.written("enable-pprof"))
}

// debugSetting asks for the settings that make debug pages by the way. A release that is not
// known is taken for one that does.
func debugSetting(r *reading) {
	for _, d := range debugSwitches() {
		if r.value(d.flag) != d.value {
			continue
		}
		if heeds, known := within(r.settings.Version, d.releases); heeds || !known {
			r.found("debug", fmt.Sprintf("debug logs switch profiling pages and request traces on: %s", r.written(d.flag)))
		}
	}
	if len(r.findings) == 0 {
		r.saw(r.written("log-level"))
	}
}
