package audit

import "time"

// MemberMetrics holds the few values of GET /metrics that a check reads.
type MemberMetrics struct {
	// Values holds the metrics by name. A metric that is missing, or is not a plain number, is left out.
	Values map[string]float64
	// ActivePeers tells, by member ID, whether this member has a connection to another one
	// (etcd_network_active_peers).
	ActivePeers map[uint64]bool
}

// The metrics that the checks read, all without labels. etcd has had them since 3.4.
const (
	LeaderChangesMetric = "etcd_server_leader_changes_seen_total"
	QuotaMetric         = "etcd_server_quota_backend_bytes" // negative where --quota-backend-bytes switches it off
	StartTimeMetric     = "process_start_time_seconds"
)

// Value returns a metric by its name; false if it, or the whole page, was not read.
func (m *MemberMetrics) Value(name string) (float64, bool) {
	if m == nil {
		return 0, false
	}
	value, found := m.Values[name]
	return value, found
}

// Uptime returns how long the process had run at a given time; false if this was not read.
func (m *MemberMetrics) Uptime(now time.Time) (time.Duration, bool) {
	started, found := m.Value(StartTimeMetric)
	if !found {
		return 0, false
	}
	return now.Sub(time.Unix(int64(started), 0)), true
}
