package collect_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/netns"
)

// The metrics are in order on the loopback address, and a finding on another one.
func TestMetricsOnTheNetwork(t *testing.T) {
	const outside = "10.99.0.1"
	if !netns.Inside(t, outside+"/32") {
		return
	}
	for _, version := range etcdtest.Versions() {
		t.Run(version, func(t *testing.T) {
			s := newSite(t)
			local := s.metrics
			exposed := outside + s.metrics[len("127.0.0.1"):]
			s.start(t, version, flags(s.clientMTLS(), s.peerMTLS(), "--listen-metrics-urls=http://"+local+",http://"+exposed))
			report := runAudit(t, []collect.Endpoint{{Address: local, Kind: audit.Metrics}, {Address: exposed, Kind: audit.Metrics}}, s.credentials())
			want := map[string]audit.Verdict{local: audit.Pass, exposed: audit.Fail}
			seen := 0
			for _, r := range report.Results {
				if r.CheckID == "metrics-exposed" {
					seen++
					if r.Verdict != want[r.Target] {
						t.Errorf("%s: %s, want %s: %s", r.Target, r.Verdict, want[r.Target], r.Evidence)
					}
				}
			}
			if seen != 2 {
				t.Errorf("%d results", seen)
			}
		})
	}
}
