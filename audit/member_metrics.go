package audit

import "time"

// MemberMetrics holds the few values of GET /metrics that a check reads.
type MemberMetrics struct {
	// Values are by name. One that the page does not have, or not as a plain number, is not in it.
	Values map[string]float64
	// ActivePeers says of other members, by ID, whether this one has a connection to them
	// (etcd_network_active_peers).
	ActivePeers map[uint64]bool
}

// The metrics that are read, all without labels. etcd has had them since 3.4.
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

// Uptime returns how long the process has run at a time; false if that was not read.
func (m *MemberMetrics) Uptime(now time.Time) (time.Duration, bool) {
	started, found := m.Value(StartTimeMetric)
	if !found {
		return 0, false
	}
	return now.Sub(time.Unix(int64(started), 0)), true
}
