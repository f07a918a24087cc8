package members

import (
	"fmt"
	"math"

	"github.com/etcdsec/etcdsec/audit"
)

const (
	mib = 1 << 20
	gib = 1 << 30

	// recommendedSize is the largest that etcd's documentation suggests (System limits).
	recommendedSize = 8 * gib
	// nearQuota is the part of the quota, in percent, above which the next burst of writes
	// can raise the alarm: Kubernetes compacts the database every five minutes, but only a
	// defragmentation makes it smaller.
	nearQuota = 80
)

// DBSize finds databases that are near their quota, or too large.
func DBSize() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "db-size",
		Title:    "The database is near its quota, or above 8 GiB",
		Severity: audit.Medium,
		Rationale: "A database that reaches its quota accepts no more writes until somebody frees space and disarms the alarm: " +
			"everyone who can create objects can stop the control plane in this way. Above 8 GiB, a member takes too long " +
			"to start, to send a snapshot and to be replaced.",
		Method: "Compares the size of the database file (Status) with the quota: dbSizeQuota of Status in 3.6 and later, and " +
			"otherwise etcd_server_quota_backend_bytes of GET /metrics. From 80 percent on it is near.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Free space, find out what fills it, and only then raise the quota:"),
				audit.Paste("etcdctl compact %s --endpoints=%s && etcdctl defrag --endpoints=%s", p.Revision(), p.Endpoint(), p.Endpoint()),
				audit.Paste("--quota-backend-bytes=8589934592 --auto-compaction-retention=1h"),
			}
		},
		References: []string{"NIST 800-53 SC-5", "NIST 800-53 AU-4", "NIST 800-53 CP-2(2)", "etcd documentation: System limits"},
		Applies:    audit.On(audit.Client),
		Run:        runDBSize,
	})
}

func runDBSize(t *audit.Listener) audit.Outcome {
	if t.Status == nil || t.Status.DBSize == 0 {
		return notReadOutcome(t, "the size", audit.StatusRPC)
	}
	used := t.Status.DBSize
	limit, seen, known := quota(t)
	var findings []audit.Finding
	if known && limit > 0 && used >= limit/100*nearQuota {
		findings = append(findings, audit.Finding{Code: "near-quota", Text: fmt.Sprintf("the database has %s of a quota of %s (%s)", size(used), size(limit), seen)})
	}
	if used > recommendedSize {
		findings = append(findings, audit.Finding{Code: "too-large", Text: fmt.Sprintf("the database has %s, more than %s", size(used), size(recommendedSize))})
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case !known:
		return audit.CouldNotTell(fmt.Sprintf("the database has %s; its quota was not read: neither Status nor GET /metrics has it", size(used)))
	case limit == 0:
		return audit.Passed(fmt.Sprintf("the database has %s; there is no quota (%s)", size(used), seen))
	default:
		return audit.Passed(fmt.Sprintf("the database has %s of a quota of %s (%s)", size(used), size(limit), seen))
	}
}

// quota returns the quota of a member in bytes, 0 if it has none, and where it was read.
func quota(t *audit.Listener) (limit int64, seen string, known bool) {
	if t.Status != nil && t.Status.DBSizeQuota > 0 {
		limit, seen = t.Status.DBSizeQuota, "Status"
	} else {
		value, found := t.Metrics.Value(audit.QuotaMetric)
		if !found || value == 0 {
			return 0, "", false
		}
		limit, seen = int64(min(value, math.MaxInt64/2)), "GET /metrics"
		if t.MetricsFrom != "" {
			seen += " of " + t.MetricsFrom
		}
	}
	// A negative --quota-backend-bytes is none. Status carries it as a huge number.
	if limit < 0 || limit > math.MaxInt64/2 {
		limit = 0
	}
	return limit, seen, true
}

// size formats a number of bytes for people.
func size(bytes int64) string {
	switch {
	case bytes >= gib:
		return fmt.Sprintf("%.1f GiB", float64(bytes)/gib)
	case bytes >= mib:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/mib)
	default:
		return fmt.Sprintf("%.1f KiB", float64(bytes)/1024)
	}
}
