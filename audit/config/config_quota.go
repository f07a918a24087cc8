package config

import (
	"fmt"
	"strconv"

	"github.com/etcdsec/etcdsec/audit"
)

// largestQuota is the largest quota that etcd suggests (MaxQuotaBytes in server/storage/quota.go).
const largestQuota = 8 << 30

// Quota finds an etcd whose database can grow without a sensible limit.
func Quota() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-quota",
		Title:    "The database can grow without a sensible limit",
		Severity: audit.Medium,
		Rationale: "The quota stops a client that writes without end before the disk is full. A full disk stops the member and " +
			"can damage its log; a database far above 8 GiB restarts and recovers too slowly.",
		Method: "Reads the effective --quota-backend-bytes. A negative value means no quota; 0, or no value, means etcd's " +
			"default of 2 GiB; etcd suggests at most 8 GiB.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Set a quota that fits on the disk, and restart the member:"),
				audit.Paste("--quota-backend-bytes=8589934592"),
			}
		},
		References: []string{"NIST 800-53 SC-5", "NIST 800-53 AU-4", "NIST 800-53 CM-6"},
		Run:        askEtcd(checkQuota),
	})
}

func checkQuota(r *reading) {
	const flag = "quota-backend-bytes"
	var bytes int64
	if value := r.value(flag); value != "" {
		var err error
		if bytes, err = strconv.ParseInt(value, 0, 64); err != nil {
			r.addDoubt(fmt.Sprintf("--%s: %q is not a number of bytes", flag, value))
			return
		}
	}
	switch {
	case bytes < 0:
		r.addFinding("no-quota", "there is no quota: "+r.describe(flag))
	case bytes > largestQuota:
		r.addFinding("too-large", fmt.Sprintf("the quota is above %d GiB: %s", largestQuota>>30, r.describe(flag)))
	case bytes == 0:
		r.addEvidence("the quota is etcd's default of 2 GiB: " + r.describe(flag))
	default:
		r.addEvidence(r.describe(flag))
	}
}
