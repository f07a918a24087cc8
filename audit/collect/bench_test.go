package collect_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// startThree starts a hardened cluster of three members and returns its client and peer endpoints.
func startThree(tb testing.TB, s *site) []collect.Endpoint {
	tb.Helper()
	ports := etcdtest.FreePorts(tb, 9)
	var cluster []string
	for i := range 3 {
		cluster = append(cluster, fmt.Sprintf("m%d=https://%s", i, address(ports[3*i+1])))
	}
	var configs []etcdtest.Config
	var endpoints []collect.Endpoint
	for i := range 3 {
		at := *s
		at.client, at.peer, at.metrics = address(ports[3*i]), address(ports[3*i+1]), address(ports[3*i+2])
		configs = append(configs, etcdtest.Config{
			Name: fmt.Sprintf("m%d", i), HealthURL: "http://" + at.metrics + "/health",
			Args: flags(at.clientMTLS(), at.peerMTLS(), fmt.Sprintf("--name=m%d", i), "--data-dir="+filepath.Join(s.dir, fmt.Sprintf("data%d", i)),
				"--listen-metrics-urls=http://"+at.metrics, "--initial-cluster="+strings.Join(cluster, ","), "--tls-min-version=TLS1.3", "--enable-grpc-gateway=false"),
		})
		endpoints = append(endpoints,
			collect.Endpoint{Address: at.client, Kind: audit.Client}, collect.Endpoint{Address: at.peer, Kind: audit.Peer})
	}
	etcdtest.Run(tb, configs...)
	return endpoints
}

// BenchmarkAudit is a whole audit of three real members, two ports each.
func BenchmarkAudit(b *testing.B) {
	s := newSite(b)
	endpoints := startThree(b, s)
	for b.Loop() {
		targets, err := collect.Collect(b.Context(), endpoints, collect.Config{Credentials: s.credentials(), Now: time.Now})
		if err != nil {
			b.Fatal(err)
		}
		for _, r := range audit.Run(catalog.All(), audit.Targets(targets)).Results {
			if r.Verdict == audit.Fail || r.Verdict == audit.Unknown {
				b.Errorf("%s: %s of %s: %s", r.Verdict, r.CheckID, r.Target, r.Evidence)
			}
		}
	}
}
