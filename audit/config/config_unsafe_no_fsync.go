package config

import "github.com/etcdsec/etcdsec/audit"

// UnsafeNoFsync finds an etcd that does not wait for its disk.
func UnsafeNoFsync() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-unsafe-no-fsync",
		Title:    "etcd acknowledges writes before they are on disk",
		Severity: audit.High,
		Rationale: "With --unsafe-no-fsync, a power failure loses writes that etcd has acknowledged. A member that forgets its " +
			"votes can lose or fork the data of the whole cluster.",
		Method: "Reads the effective --unsafe-no-fsync, which no benchmark and no probe over the network can see.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Remove the flag, and restart the member:"),
				audit.Paste("--unsafe-no-fsync=false"),
			}
		},
		References: []string{"NIST 800-53 CP-10", "NIST 800-53 SI-7"},
		Run: askEtcd(func(r *reading) {
			if r.enabled("unsafe-no-fsync") {
				r.addFinding("no-fsync", "etcd does not wait for its disk: "+r.describe("unsafe-no-fsync"))
				return
			}
			r.addEvidence(r.describe("unsafe-no-fsync"))
		}),
	})
}
