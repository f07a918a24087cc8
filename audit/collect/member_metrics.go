package collect

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// shareMetrics gives a client port that serves no metrics, as one that speaks gRPC alone, the
// metrics that its member serves on a port of their own.
func shareMetrics(listeners []*audit.Listener) {
	for _, l := range listeners {
		if l.Kind != audit.Client || l.Metrics != nil || l.MemberID == 0 {
			continue
		}
		if from := metricsPortOf(l, listeners); from != nil {
			l.Metrics, l.MetricsFrom = from.Metrics, from.Address
		}
	}
}

// metricsPortOf returns the metrics port of the member of a client port: the one with the same
// settings, or the only one on a host that has no other member. It is nil if nothing tells it.
func metricsPortOf(client *audit.Listener, listeners []*audit.Listener) *audit.Listener {
	var onHost []*audit.Listener
	for _, l := range listeners {
		if l.Kind != audit.Metrics || l.Metrics == nil {
			continue
		}
		if client.Settings != nil && l.Settings == client.Settings {
			return l
		}
		if l.Host() == client.Host() && (client.Settings == nil || l.Settings == nil) {
			onHost = append(onHost, l)
		}
	}
	other := slices.ContainsFunc(listeners, func(l *audit.Listener) bool {
		return l.Kind == audit.Client && l.Host() == client.Host() && l.MemberID != client.MemberID
	})
	if len(onHost) != 1 || other {
		return nil
	}
	return onHost[0]
}
