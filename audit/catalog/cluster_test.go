package catalog_test

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

const mib = 1 << 20

// member is the client port of member i of n in order, as the collector sees it with credentials.
func member(t *testing.T, i, n int) *audit.Listener {
	t.Helper()
	host := fmt.Sprintf("192.0.2.%d", i+1)
	target := hardened(t, audit.Client)
	target.Address, target.RemoteIP = net.JoinHostPort(host, "2379"), netip.MustParseAddr(host)
	target.Version, target.GivenName = "3.6.16", "auditor"
	target.ClusterID, target.MemberID = 0xc1, uint64(i+1)
	target.Members = nil
	target.Metrics = &audit.MemberMetrics{
		Values: map[string]float64{
			audit.LeaderChangesMetric: 1, audit.QuotaMetric: 2048 * mib,
			audit.StartTimeMetric: float64(fixtureTime.Add(-10 * time.Hour).Unix()),
		},
		ActivePeers: map[uint64]bool{},
	}
	for m := range n {
		host := fmt.Sprintf("192.0.2.%d", m+1)
		target.Members = append(target.Members, audit.Member{
			ID: uint64(m + 1), Name: fmt.Sprintf("etcd-%d", m),
			PeerURLs: []string{"https://" + host + ":2380"}, ClientURLs: []string{"https://" + host + ":2379"},
		})
		if m != i {
			target.Metrics.ActivePeers[uint64(m+1)] = true
		}
	}
	target.Status = &audit.Status{Version: "3.6.16", DBSize: 200 * mib, DBSizeInUse: 190 * mib, DBSizeQuota: 2048 * mib, Leader: 1}
	target.Distance = time.Millisecond
	for _, method := range []string{audit.StatusRPC, audit.MemberListRPC, audit.RangeRPC, audit.BadTokenRangeRPC} {
		target.RPCs = append(target.RPCs, audit.RPC{Attempt: answered, Access: audit.WithCredentials, Method: method, Keys: 42, Took: 3 * time.Millisecond})
	}
	return target
}

// rpc finds the call to change.
func rpc(t *testing.T, target *audit.Listener, method string) *audit.RPC {
	t.Helper()
	for i, call := range target.RPCs {
		if call.Access == audit.WithCredentials && call.Method == method {
			return &target.RPCs[i]
		}
	}
	t.Fatalf("no %s", method)
	return nil
}

// clusterOf is n members in order, with their peer and metrics ports, and a change of it.
func clusterOf(t *testing.T, n int, change func(c *audit.EtcdCluster)) *audit.EtcdCluster {
	t.Helper()
	c := &audit.EtcdCluster{Address: "cluster c1", Now: fixtureTime}
	for i := range n {
		client := member(t, i, n)
		peer := hardened(t, audit.Peer)
		peer.Address = net.JoinHostPort(client.RemoteIP.String(), "2380")
		metrics := plaintextOnly(audit.Metrics)
		metrics.Address = "127.0.0.1:2381"
		metrics.Pages = []audit.Page{{Attempt: answered, Access: audit.InPlaintext, Path: "/metrics", Status: 200}}
		c.Listeners = append(c.Listeners, client, peer, metrics)
	}
	if change != nil {
		change(c)
	}
	return c
}

// gone makes a member one whose ports are not reached.
func gone(c *audit.EtcdCluster, i int, reach audit.Attempt) {
	for _, kind := range audit.Listeners() {
		old := c.Of(kind)[i]
		*old = audit.Listener{Address: old.Address, Kind: kind, Now: fixtureTime, Reach: reach}
	}
}

var refusedPort = audit.Attempt{State: audit.Refused, Reason: "connection refused"}

func clusterFixtures(t *testing.T) []fixture {
	t.Helper()
	three := func(change func(c *audit.EtcdCluster)) *audit.EtcdCluster { return clusterOf(t, 3, change) }
	ofAll := func(change func(client *audit.Listener)) *audit.EtcdCluster {
		return three(func(c *audit.EtcdCluster) {
			for _, client := range c.Of(audit.Client) {
				change(client)
			}
		})
	}
	silentCluster := three(func(c *audit.EtcdCluster) {
		for i := range 3 {
			gone(c, i, silent)
		}
	})
	unseen := func(c *audit.EtcdCluster) { // nobody's metrics tell of a member
		for _, client := range c.Of(audit.Client) {
			client.Metrics = nil
		}
	}
	learner := func(started time.Duration) *audit.EtcdCluster {
		return ofAll(func(client *audit.Listener) {
			client.Members[2].IsLearner = true
			client.Metrics.Values[audit.StartTimeMetric] = float64(fixtureTime.Add(-started).Unix())
		})
	}
	changes := func(n float64) *audit.EtcdCluster {
		return ofAll(func(client *audit.Listener) { client.Metrics.Values[audit.LeaderChangesMetric] = n })
	}
	snapshots := func(s audit.Snapshots) *audit.EtcdCluster {
		s.Dir, s.MaxAge = "/backup", 24*time.Hour
		return three(func(c *audit.EtcdCluster) { c.Snapshots = &s })
	}
	unread := audit.Snapshot{Name: "x.db.zst", Modified: fixtureTime, Unread: true}
	fresh := audit.Snapshot{Name: "b.db", Modified: fixtureTime.Add(-time.Hour)}
	old := audit.Snapshot{Name: "a.db", Modified: fixtureTime.Add(-25 * time.Hour)}
	broken := audit.Snapshot{Name: "c.db", Modified: fixtureTime, Fault: "cut off"}
	return []fixture{
		{check: "member-count", name: "three", target: three(nil), verdict: audit.Pass, evidence: "the failure of 1"},
		{check: "member-count", name: "one", target: clusterOf(t, 1, nil), verdict: audit.Fail, codes: []string{"single"}},
		{check: "member-count", name: "two", target: clusterOf(t, 2, nil), verdict: audit.Fail, codes: []string{"even"}, evidence: "the failure of 0, the same as 1"},
		{check: "member-count", name: "four", target: clusterOf(t, 4, nil), verdict: audit.Fail, codes: []string{"even"}, evidence: "the failure of 1, the same as 3"},
		{check: "member-count", name: "two and a learner", target: learner(time.Minute), verdict: audit.Fail, codes: []string{"even"}},
		{check: "member-count", name: "silent", target: silentCluster, verdict: audit.Unknown, evidence: "no answer"},

		{check: "member-unhealthy", name: "all there", target: three(nil), verdict: audit.Pass, evidence: "3 members"},
		{check: "member-unhealthy", name: "port closed", verdict: audit.Fail, codes: []string{"etcd-2-down"}, evidence: "nothing listens",
			target: three(func(c *audit.EtcdCluster) { unseen(c); gone(c, 2, refusedPort) })},
		{check: "member-unhealthy", name: "port closed to the auditor only", verdict: audit.Pass,
			target: three(func(c *audit.EtcdCluster) { gone(c, 2, refusedPort) })},
		{check: "member-unhealthy", name: "silent, and its peers have no connection", verdict: audit.Fail, codes: []string{"etcd-2-down"}, evidence: "none of the audited members",
			target: three(func(c *audit.EtcdCluster) {
				gone(c, 2, silent)
				c.Of(audit.Client)[0].Metrics.ActivePeers[3] = false
				c.Of(audit.Client)[1].Metrics.ActivePeers[3] = false
			})},
		{check: "member-unhealthy", name: "silent to the auditor only", verdict: audit.Pass,
			target: three(func(c *audit.EtcdCluster) { gone(c, 2, silent) })},
		{check: "member-unhealthy", name: "not audited, and its peers see it", verdict: audit.Pass,
			target: three(func(c *audit.EtcdCluster) { c.Listeners = c.Listeners[:3] })},
		{check: "member-unhealthy", name: "not audited, and nobody tells", verdict: audit.Unknown, evidence: "was not audited",
			target: three(func(c *audit.EtcdCluster) { c.Listeners = c.Listeners[:3]; unseen(c) })},
		{check: "member-unhealthy", name: "silent, and nobody tells", verdict: audit.Unknown, evidence: `member "etcd-2": the port was not reached`,
			target: three(func(c *audit.EtcdCluster) { unseen(c); gone(c, 2, silent) })},
		{check: "member-unhealthy", name: "no leader", verdict: audit.Fail, codes: []string{"etcd-0-no-leader", "etcd-1-no-leader", "etcd-2-no-leader"},
			target: ofAll(func(client *audit.Listener) { client.Status.Leader = 0 })},
		{check: "member-unhealthy", name: "never started", verdict: audit.Fail, codes: []string{"3-unstarted"}, evidence: "192.0.2.3:2380",
			target: ofAll(func(client *audit.Listener) { client.Members[2].Name = "" })},
		{check: "member-unhealthy", name: "silent", target: silentCluster, verdict: audit.Unknown},

		{check: "member-learner-stuck", name: "no learner", target: three(nil), verdict: audit.Pass},
		{check: "member-learner-stuck", name: "a new one", target: learner(time.Minute), verdict: audit.Pass, evidence: "1m0s ago"},
		{check: "member-learner-stuck", name: "an old one", target: learner(2 * time.Hour), verdict: audit.Fail, codes: []string{"etcd-2"}, evidence: "2h0m0s"},
		{check: "member-learner-stuck", name: "no metrics of it", verdict: audit.Unknown, evidence: "GET /metrics",
			target: ofAll(func(client *audit.Listener) { client.Members[2].IsLearner, client.Metrics = true, nil })},

		{check: "version-skew", name: "one minor", verdict: audit.Pass, evidence: "3.6.x",
			target: three(func(c *audit.EtcdCluster) { c.Of(audit.Client)[1].Version = "3.6.15" })},
		{check: "version-skew", name: "two minors", verdict: audit.Fail, codes: []string{"minor"}, evidence: `member "etcd-1" runs 3.5.35`,
			target: three(func(c *audit.EtcdCluster) { c.Of(audit.Client)[1].Version = "3.5.35" })},
		{check: "version-skew", name: "one is silent", verdict: audit.Unknown, evidence: "no answer",
			target: three(func(c *audit.EtcdCluster) { gone(c, 1, silent) })},
		{check: "version-skew", name: "one is silent, two differ", verdict: audit.Fail, codes: []string{"minor"},
			target: three(func(c *audit.EtcdCluster) { gone(c, 1, silent); c.Of(audit.Client)[2].Version = "3.7.3" })},

		{check: "alarm-active", name: "none", target: three(nil), verdict: audit.Pass, evidence: "3 members"},
		{check: "alarm-active", name: "both, told by all", verdict: audit.Fail, codes: []string{"corrupt", "nospace"},
			target: ofAll(func(client *audit.Listener) {
				client.Status.Alarms = []audit.Alarm{audit.NoSpace, audit.Corrupt}
			})},
		{check: "alarm-active", name: "one that is new", verdict: audit.Fail, codes: []string{"unknown"},
			target: ofAll(func(client *audit.Listener) { client.Status.Alarms = []audit.Alarm{audit.UnknownAlarm} })},
		{check: "alarm-active", name: "no Status", target: silentCluster, verdict: audit.Unknown},

		{check: "leader-changes", name: "one", target: changes(1), verdict: audit.Pass, evidence: "1 changes of leader in 10h"},
		{check: "leader-changes", name: "four in ten hours", target: changes(4), verdict: audit.Pass},
		{check: "leader-changes", name: "eleven in ten hours", target: changes(11), verdict: audit.Fail, codes: []string{"frequent"}},
		{check: "leader-changes", name: "no metrics", verdict: audit.Unknown, evidence: "HTTP status 500",
			target: ofAll(func(client *audit.Listener) {
				client.Metrics = nil
				client.Pages = append(client.Pages, audit.Page{Attempt: answered, Access: audit.WithCredentials, Path: "/metrics", Status: 500})
			})},

		{check: "snapshot-age", name: "not asked for", target: three(nil), verdict: audit.Skip, evidence: "--snapshot-dir"},
		{check: "snapshot-age", name: "fresh", target: snapshots(audit.Snapshots{Files: []audit.Snapshot{fresh}}), verdict: audit.Pass, evidence: "b.db is 1h0m0s old"},
		{check: "snapshot-age", name: "fresh, below a broken one", target: snapshots(audit.Snapshots{Files: []audit.Snapshot{broken, fresh}}), verdict: audit.Pass, evidence: "c.db is cut off"},
		{check: "snapshot-age", name: "old, below a broken one", target: snapshots(audit.Snapshots{Files: []audit.Snapshot{broken, old}}), verdict: audit.Fail, codes: []string{"too-old"}, evidence: "25h0m0s"},
		{check: "snapshot-age", name: "fresh in a form that is not read", target: snapshots(audit.Snapshots{Files: []audit.Snapshot{unread, old}}), verdict: audit.Unknown, evidence: "x.db.zst"},
		{check: "snapshot-age", name: "only in a form that is not read", target: snapshots(audit.Snapshots{Files: []audit.Snapshot{unread}}), verdict: audit.Unknown, evidence: "x.db.zst"},
		{check: "snapshot-age", name: "fresh beside a form that is not read", target: snapshots(audit.Snapshots{Files: []audit.Snapshot{unread, fresh}}), verdict: audit.Pass, evidence: "b.db"},
		{check: "snapshot-age", name: "all broken", target: snapshots(audit.Snapshots{Files: []audit.Snapshot{broken, broken, broken, broken, broken}}), verdict: audit.Fail, codes: []string{"none"}, evidence: "2 more"},
		{check: "snapshot-age", name: "empty", target: snapshots(audit.Snapshots{}), verdict: audit.Fail, codes: []string{"none"}, evidence: "/backup"},
		{check: "snapshot-age", name: "unreadable", target: snapshots(audit.Snapshots{Reason: "permission denied"}), verdict: audit.Unknown, evidence: "permission denied"},
	}
}

func driftFixtures(t *testing.T) []fixture {
	t.Helper()
	second := func(kind audit.Kind, change func(listener *audit.Listener)) *audit.EtcdCluster {
		return clusterOf(t, 3, func(c *audit.EtcdCluster) { change(c.Of(kind)[1]) })
	}
	drift := func(name, evidence string, target *audit.EtcdCluster, codes ...string) fixture {
		return fixture{check: "member-drift", name: name, target: target, verdict: audit.Fail, codes: codes, evidence: evidence}
	}
	otherIssuer := chain(t, 10*day, 80*day)
	otherIssuer[0].Issuer = pkix.Name{CommonName: "another CA"}
	return []fixture{
		{check: "member-drift", name: "alike", target: clusterOf(t, 3, nil), verdict: audit.Pass, evidence: "3 members have the same values"},
		{check: "member-drift", name: "alone", target: clusterOf(t, 1, nil), verdict: audit.Skip, evidence: "one member"},
		{check: "member-drift", name: "one is silent", target: clusterOf(t, 3, func(c *audit.EtcdCluster) { gone(c, 1, silent) }), verdict: audit.Unknown, evidence: "no answer"},
		{check: "member-drift", name: "one may have pages alone", verdict: audit.Unknown, evidence: "speaks gRPC was not seen",
			target: second(audit.Client, func(listener *audit.Listener) {
				listener.Plaintext.Attempt, listener.Version = answered, "3.6.15"
				listener.RPCs = []audit.RPC{{Attempt: silent, Access: audit.WithCredentials, Method: audit.StatusRPC}}
			})},
		{check: "member-drift", name: "all are silent", verdict: audit.Unknown,
			target: clusterOf(t, 2, func(c *audit.EtcdCluster) { gone(c, 0, silent); gone(c, 1, silent) })},
		drift("plaintext", `plaintext of the client port: member "etcd-1": answered, the others: not answered`,
			second(audit.Client, func(listener *audit.Listener) { listener.Plaintext.Attempt = answered }),
			"client-plaintext"),
		drift("no certificate on a peer port", "not requested, the others: required",
			second(audit.Peer, func(listener *audit.Listener) {
				h := handshake(listener, audit.NoCertificate)
				h.Attempt, h.CertificateRequested, h.AcceptableCAs = answered, false, nil
			}), "peer-client-certificate"),
		drift("TLS 1.2 too", "accepted, the others: refused", second(audit.Client, func(listener *audit.Listener) {
			listener.Handshakes[2].Version = tls.VersionTLS12
		}), "client-tls-1.2"),
		drift("another trusted CA", "the trusted client CAs", second(audit.Client, func(listener *audit.Listener) {
			handshake(listener, audit.NoCertificate).AcceptableCAs = [][]byte{{0x30, 0}, {0x31}}
		}), "client-trusted-cas"),
		drift("another issuer", `"CN=another CA", the others: "CN=fixture"`, second(audit.Peer, func(listener *audit.Listener) {
			handshake(listener, audit.NoCertificate).Chain = otherIssuer
		}), "peer-issuer"),
		drift("pprof", "answered, the others: not there", second(audit.Client, func(listener *audit.Listener) {
			listener.Pages[0].Status = 200
		}), "client-pprof"),
		drift("patch release", `the patch release of the client port: member "etcd-1": 3.6.15, the others: 3.6.16`,
			second(audit.Client, func(listener *audit.Listener) { listener.Version = "3.6.15" }), "client-version"),
		drift("quota", "1.0 GiB, the others: 2.0 GiB", second(audit.Client, func(listener *audit.Listener) {
			listener.Status.DBSizeQuota = 1 << 30
		}), "client-quota"),
		drift("metrics off", "nothing listens, the others: something listens", second(audit.Metrics, func(listener *audit.Listener) {
			*listener = audit.Listener{Address: listener.Address, Kind: audit.Metrics, Reach: refusedPort}
		}), "metrics-listener"),
		drift("two that differ", `member "etcd-0": 3.6.16, member "etcd-1": 3.6.15`,
			clusterOf(t, 2, func(c *audit.EtcdCluster) { c.Of(audit.Client)[1].Version = "3.6.15" }), "client-version"),
		{check: "member-drift", name: "a minor release is version-skew's", verdict: audit.Pass,
			target: second(audit.Client, func(listener *audit.Listener) { listener.Version = "3.5.35" })},
	}
}

func sizeFixtures(t *testing.T) []fixture {
	t.Helper()
	with := func(change func(s *audit.Status)) *audit.Listener {
		target := member(t, 0, 1)
		change(target.Status)
		return target
	}
	metricsOnly := func(quota float64) *audit.Listener {
		target := with(func(s *audit.Status) { s.DBSizeQuota = 0 })
		target.Metrics.Values[audit.QuotaMetric] = quota
		return target
	}
	noMetrics := with(func(s *audit.Status) { s.DBSizeQuota = 0 })
	noMetrics.Metrics = nil
	took := func(d time.Duration) *audit.Listener {
		target := member(t, 0, 1)
		for i := range target.RPCs {
			target.RPCs[i].Took = d
		}
		return target
	}
	oneSlow := member(t, 0, 1)
	rpc(t, oneSlow, audit.StatusRPC).Took = time.Second
	far := took(250 * time.Millisecond)
	far.Distance = 200 * time.Millisecond
	return []fixture{
		{check: "db-size", name: "a tenth of the quota", target: member(t, 0, 1), verdict: audit.Pass, evidence: "200.0 MiB of a quota of 2.0 GiB (Status)"},
		{check: "db-size", name: "by metrics", target: metricsOnly(2048 * mib), verdict: audit.Pass, evidence: "(GET /metrics)"},
		{check: "db-size", name: "near by metrics", target: metricsOnly(250 * mib), verdict: audit.Fail, codes: []string{"near-quota"}},
		{check: "db-size", name: "no quota, by metrics", target: metricsOnly(-1), verdict: audit.Pass, evidence: "no quota"},
		{check: "db-size", name: "no quota, by Status", target: with(func(s *audit.Status) { s.DBSizeQuota = 1<<63 - 1 }), verdict: audit.Pass, evidence: "no quota"},
		{check: "db-size", name: "near", target: with(func(s *audit.Status) { s.DBSize = 1639 * mib }), verdict: audit.Fail, codes: []string{"near-quota"}},
		{check: "db-size", name: "too large", target: with(func(s *audit.Status) { s.DBSize, s.DBSizeQuota = 9<<30, 20<<30 }), verdict: audit.Fail, codes: []string{"too-large"}},
		{check: "db-size", name: "no quota was read", target: noMetrics, verdict: audit.Unknown, evidence: "quota was not read"},
		{check: "db-size", name: "no Status", target: hardened(t, audit.Client), verdict: audit.Unknown},

		{check: "db-fragmented", name: "in use", target: member(t, 0, 1), verdict: audit.Pass},
		{check: "db-fragmented", name: "free", target: with(func(s *audit.Status) { s.DBSizeInUse = 90 * mib }), verdict: audit.Fail, codes: []string{"free-space"}, evidence: "90.0 MiB of 200.0 MiB"},
		{check: "db-fragmented", name: "free, and small", target: with(func(s *audit.Status) { s.DBSize, s.DBSizeInUse = 99*mib, mib }), verdict: audit.Pass, evidence: "too small"},
		{check: "db-fragmented", name: "no Status", target: hardened(t, audit.Client), verdict: audit.Unknown},

		{check: "request-latency", name: "quick", target: member(t, 0, 1), verdict: audit.Pass, evidence: "3 calls"},
		{check: "request-latency", name: "one slow call", target: oneSlow, verdict: audit.Pass},
		{check: "request-latency", name: "slow", target: took(150 * time.Millisecond), verdict: audit.Fail, codes: []string{"slow"}, evidence: "150ms"},
		{check: "request-latency", name: "far away", target: far, verdict: audit.Pass, evidence: "the network to the auditor takes 200ms"},
		{check: "request-latency", name: "no call", target: hardened(t, audit.Client), verdict: audit.Unknown},

		{check: "version-eol", name: "3.6", target: member(t, 0, 1), verdict: audit.Pass, evidence: "gets fixes"},
		{check: "version-eol", name: "3.4", target: changed(t, audit.Client, func(target *audit.Listener) { target.Version = "3.4.45" }), verdict: audit.Fail,
			codes: []string{"end-of-life"}, evidence: "since 2026-06-01"},
		{check: "version-eol", name: "3.2", target: changed(t, audit.Client, func(target *audit.Listener) { target.Version = "3.2.32" }), verdict: audit.Fail, codes: []string{"end-of-life"}},
		{check: "version-eol", name: "too new to know", target: changed(t, audit.Client, func(target *audit.Listener) { target.Version = "3.8.0" }), verdict: audit.Unknown, evidence: "--advisories"},
	}
}
