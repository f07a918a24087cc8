package collect

import (
	"bytes"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// activePeersMetric has the labels Local and Remote: IDs of members, in hexadecimal.
const activePeersMetric = "etcd_network_active_peers"

// noteMetrics keeps the values of a page of metrics. It ignores an incomplete page: a missing
// value would look like a statement of the member.
func noteMetrics(t *audit.Listener, page page) {
	if page.Path == "/metrics" && page.State == audit.Answered && page.fault == nil && page.Status == http.StatusOK && t.Metrics == nil {
		t.Metrics = memberMetrics(page.body)
	}
}

// memberMetrics reads a page, or its beginning, in the text format of Prometheus 0.0.4, which is
// etcd's default. It reads only the wanted names, and ignores a value that is malformed or occurs
// twice.
func memberMetrics(body []byte) *audit.MemberMetrics {
	wanted := []string{audit.LeaderChangesMetric, audit.QuotaMetric, audit.StartTimeMetric}
	m := &audit.MemberMetrics{Values: map[string]float64{}, ActivePeers: map[uint64]bool{}}
	var twice []string
	for len(body) > 0 {
		line, rest, whole := bytes.Cut(body, []byte("\n"))
		if !whole {
			break // the end was cut off, perhaps in a number
		}
		body = rest
		if len(line) > maxText {
			continue
		}
		name, text, found := strings.Cut(string(line), " ")
		if !found || strings.HasPrefix(name, "#") {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		if err != nil || math.IsNaN(value) || math.IsInf(value, 0) {
			continue
		}
		if labels, found := strings.CutPrefix(name, activePeersMetric); found {
			if id, ok := remoteMember(labels); ok && len(m.ActivePeers) < maxMembers {
				m.ActivePeers[id] = value > 0
			}
			continue
		}
		if !slices.Contains(wanted, name) {
			continue
		}
		if _, again := m.Values[name]; again {
			twice = append(twice, name)
		}
		m.Values[name] = value
	}
	for _, name := range twice {
		delete(m.Values, name)
	}
	return m
}

// remoteMember reads the ID in {Local="8e9e05c52164694d",Remote="91bc3c398fb3c146"}.
func remoteMember(labels string) (uint64, bool) {
	_, remote, found := strings.Cut(labels, `,Remote="`)
	hex, closed := strings.CutSuffix(remote, `"}`)
	if !found || !closed {
		return 0, false
	}
	id, err := strconv.ParseUint(hex, 16, 64)
	return id, err == nil
}
