package collect_test

import (
	"net"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/netns"
)

// The metrics are in order on the loopback address, and a finding on another one.
func TestMetricsOnTheNetwork(t *testing.T) {
	const outside, alsoOutside = "10.99.0.1", "10.99.0.2"
	if !netns.Inside(t, outside+"/32", alsoOutside+"/32") {
		return
	}
	for _, version := range etcdtest.Versions() {
		t.Run(version, func(t *testing.T) {
			s := newSite(t)
			local := s.metrics
			_, port, _ := strings.Cut(s.metrics, ":")
			open := net.JoinHostPort(outside, port)
			secured := net.JoinHostPort(alsoOutside, port)
			s.start(t, version, flags(s.clientMTLS(), s.peerMTLS(), "--listen-metrics-urls=http://"+local+",http://"+open+",https://"+secured))
			endpoints := []collect.Endpoint{{Address: local, Kind: audit.Metrics}, {Address: open, Kind: audit.Metrics}, {Address: secured, Kind: audit.Metrics}}
			want := map[string]audit.Verdict{
				"metrics-exposed " + local: audit.Pass, "metrics-plaintext " + local: audit.Pass,
				"metrics-exposed " + open: audit.Fail, "metrics-plaintext " + open: audit.Fail,
				// A listener with TLS has the client port's, which asks for certificates.
				"metrics-exposed " + secured: audit.Pass, "metrics-plaintext " + secured: audit.Pass,
			}
			for _, r := range runAudit(t, endpoints, s.credentials()).Results {
				key := r.CheckID + " " + r.Target
				if verdict, asked := want[key]; asked && r.Verdict != verdict {
					t.Errorf("%s: %s, want %s: %s", key, r.Verdict, verdict, r.Evidence)
				}
				delete(want, key)
			}
			if len(want) > 0 {
				t.Errorf("no results: %v", want)
			}
		})
	}
}
