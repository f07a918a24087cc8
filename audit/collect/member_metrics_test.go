package collect_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// A client port that speaks gRPC alone, as with k3s, serves no metrics: those of the member's metrics port count.
func TestMetricsOfTheMember(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t, etcdtest.V3_5, flags(s.clientMTLS(), "--listen-client-http-urls=https://"+s.http, s.peerMTLS()))
	now := time.Now()
	judge := func(endpoints []collect.Endpoint) map[string]audit.Result {
		t.Helper()
		listeners, err := collect.Collect(t.Context(), endpoints, collect.Config{Timeout: 10 * time.Second, Credentials: s.credentials(), Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		report := audit.Run(catalog.All(), slices.Concat(audit.Targets(listeners), audit.Targets(collect.Clusters(t.Context(), listeners, "", 0, now))))
		results := map[string]audit.Result{}
		for _, r := range report.Results {
			if r.CheckID == "db-size" || r.CheckID == "leader-changes" {
				results[r.CheckID] = r
			}
		}
		return results
	}
	alone, both := judge(s.endpoints(0)[:1]), judge(s.endpoints(0))
	for _, id := range []string{"db-size", "leader-changes"} {
		if alone[id].Verdict != audit.Unknown {
			t.Errorf("%s without the metrics port: %s, %s", id, alone[id].Verdict, alone[id].Evidence)
		}
		if both[id].Verdict != audit.Pass {
			t.Errorf("%s: %s, %s", id, both[id].Verdict, both[id].Evidence)
		}
	}
	if !strings.Contains(both["db-size"].Evidence, "GET /metrics of "+s.metrics) {
		t.Errorf("got %s", both["db-size"].Evidence)
	}
	// On a host with two members, nothing tells whose a metrics port is.
	other := s.beside(t)
	other.start(t, etcdtest.V3_5, flags(other.clientMTLS(), "--listen-client-http-urls=https://"+other.http, other.peerMTLS(), "--initial-cluster-token=other"))
	if two := judge(append(s.endpoints(0), other.endpoints(0)[0])); two["db-size"].Verdict != audit.Unknown {
		t.Errorf("db-size with two members: %s, %s", two["db-size"].Verdict, two["db-size"].Evidence)
	}
	settings, others := &audit.Settings{}, &audit.Settings{}
	told := append(s.endpoints(0), other.endpoints(0)[0], other.endpoints(0)[2])
	for i := range told {
		told[i].Settings = settings
		if i > 2 {
			told[i].Settings = others
		}
	}
	if two := judge(told); two["db-size"].Verdict != audit.Pass || !strings.Contains(two["db-size"].Evidence, other.metrics) {
		t.Errorf("db-size with the settings of two members: %s, %s", two["db-size"].Verdict, two["db-size"].Evidence)
	}
}
