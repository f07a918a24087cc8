package collect_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// clusterLaboratory is every cluster that is started.
func clusterLaboratory() []clusterSetup {
	var all []clusterSetup
	for _, version := range etcdtest.Versions() {
		hardened := setup{version: version, tls: "1.3", crl: "der"}
		withUsers := hardened
		withUsers.rbac = narrow
		all = append(all,
			clusterSetup{name: "reference", quick: true, members: alike(hardened, 3), reference: true},
			clusterSetup{name: "reference with users", members: alike(withUsers, 3), reference: true},
			clusterSetup{name: "stopped", quick: version == etcdtest.V3_6, members: alike(hardened, 3), event: stopLast, want: lastStopped(3)},
			clusterSetup{name: "stopped and not audited", members: alike(hardened, 3), audited: 2, event: stopLast,
				// The metrics of the others count their connections to it.
				want: map[string]string{"cluster/member-unhealthy": "fail m2-down"}},
		)
		all = append(all, databases(version)...)
	}
	return append(all, differences()...)
}

func alike(s setup, n int) []setup {
	var all []setup
	for range n {
		all = append(all, s)
	}
	return all
}

// stopLast stops the last member, and waits until the others have lost their connections to it.
func stopLast(t *testing.T, r *ring) {
	last := len(r.members) - 1
	status, err := r.clients[last].Status(t.Context(), r.clients[last].Endpoints()[0])
	if err != nil {
		t.Fatal(err)
	}
	r.members[last].Kill()
	lost := fmt.Sprintf("Remote=\"%x\"} 0\n", status.Header.MemberId)
	for i, at := range r.sites[:last] {
		r.until(t, "the connection to a stopped member is lost", func(context.Context) bool {
			return strings.Contains(activePeers(at.metricsPage(t, r.setups[i].metricsTLS(at))), lost)
		})
	}
	// Of a new leader, which the others elect where it was the leader that stopped. Until their election timeout
	// they still name that one, and the election adds a raft entry.
	r.until(t, "there is a leader that runs", func(ctx context.Context) bool {
		for _, client := range r.clients[:last] {
			if now, err := client.Status(ctx, client.Endpoints()[0]); err != nil || now.Leader == 0 || now.Leader == status.Header.MemberId {
				return false
			}
		}
		return true
	})
}

func activePeers(page string) string {
	var lines string
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "etcd_network_active_peers{") {
			lines += line
		}
	}
	return lines
}

// lastStopped returns what is said where nothing listens any more on the ports of the last of n members.
func lastStopped(n int) map[string]string {
	m := fmt.Sprintf("m%d", n-1)
	want := map[string]string{
		m + "/client/*": "unknown", m + "/peer/*": "unknown",
		m + "/metrics/*":                 "skip", // a metrics listener need not exist
		m + "/metrics/metrics-exposed":   "pass",
		m + "/metrics/metrics-plaintext": "pass",
		"cluster/member-unhealthy":       "fail " + m + "-down",
		"cluster/member-drift":           "fail metrics-listener", // the others have one
	}
	// What speaks of all members does not pass on the word of the others.
	for _, check := range []string{"version-skew", "ca-stale", "ca-name-collision", "cert-shared-key"} {
		want["cluster/"+check] = "unknown"
	}
	return want
}

// databases are single members with much in their store.
func databases(version string) []clusterSetup {
	one := setup{version: version, quota: "4194304"}
	large := setup{version: version}
	return []clusterSetup{
		{name: "full", quick: version == etcdtest.V3_6, members: []setup{one}, want: map[string]string{
			"cluster/alarm-active": "fail nospace", "m0/client/db-size": "fail near-quota",
		}, event: func(t *testing.T, r *ring) {
			if err := r.fill(t, 64<<10, 1000); err == nil || !strings.Contains(err.Error(), "database space exceeded") {
				t.Fatalf("no end of space: %v", err)
			}
		}},
		{name: "nearly full", members: []setup{one}, want: map[string]string{"m0/client/db-size": "fail near-quota"},
			event: func(t *testing.T, r *ring) {
				// 3.5 MiB of 4, and no alarm: that comes when the next value does not fit.
				if err := r.fill(t, 64<<10, 56); err != nil {
					t.Fatal(err)
				}
				r.sized(t, func(s *clientv3.StatusResponse) bool { return s.DbSize >= 3500<<10 })
			}},
		{name: "large", members: []setup{large}, event: func(t *testing.T, r *ring) { r.large(t) }},
		{name: "emptied", quick: version == etcdtest.V3_6, members: []setup{large}, want: map[string]string{"m0/client/db-fragmented": "fail free-space"},
			event: func(t *testing.T, r *ring) {
				r.large(t)
				deleted, err := r.clients[0].Delete(t.Context(), "key", clientv3.WithPrefix())
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.clients[0].Compact(t.Context(), deleted.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
					t.Fatal(err)
				}
				r.sized(t, func(s *clientv3.StatusResponse) bool { return s.DbSizeInUse < s.DbSize/4 })
			}},
	}
}

// fill writes so many values, to the first that is refused.
func (r *ring) fill(t *testing.T, size, values int) error {
	t.Helper()
	value := strings.Repeat("x", size)
	for i := range values {
		if _, err := r.clients[0].Put(t.Context(), fmt.Sprintf("key%d", i), value); err != nil {
			return err
		}
	}
	return nil
}

// large is a database of more than 100 MiB, from where on fragmentation matters, all of it in use.
func (r *ring) large(t *testing.T) {
	t.Helper()
	if err := r.fill(t, 1<<20, 110); err != nil {
		t.Fatal(err)
	}
	r.sized(t, func(s *clientv3.StatusResponse) bool { return s.DbSize > 105<<20 })
}

// sized waits until the store has written its file: it does so some time after a put.
func (r *ring) sized(t *testing.T, is func(*clientv3.StatusResponse) bool) {
	t.Helper()
	r.until(t, "the database has its size", func(ctx context.Context) bool {
		status, err := r.clients[0].Status(ctx, r.clients[0].Endpoints()[0])
		return err == nil && is(status)
	})
}

// differences are clusters that are not of the right number, or not alike, or not alone.
func differences() []clusterSetup {
	v35, v36, v37 := setup{version: etcdtest.V3_5}, setup{version: etcdtest.V3_6}, setup{version: etcdtest.V3_7}
	vulnerable := setup{version: etcdtest.Vulnerable}
	plain, plainPeer, metricsTLS := v36, v36, v36
	plain.client, plainPeer.peer, metricsTLS.metrics = "plain", "plain", "tls"
	changed := v36
	changed.tls, changed.pprof, changed.quota = "1.3", "flag", "4294967296"
	imitated := v36
	imitated.cert = "of-another-ca-of-its-name"
	return []clusterSetup{
		{name: "two", members: alike(v36, 2)},
		{name: "four", members: alike(v37, 4)},
		{name: "a learner", members: alike(v36, 3), learner: true, want: learnerServes(2)},
		{name: "a learner since two hours", quick: true, members: alike(v36, 2), learner: true, later: 2 * time.Hour,
			want: merged(learnerServes(1), map[string]string{"cluster/member-learner-stuck": "fail m1"})},
		{name: "a learner that never started", quick: true, members: alike(v35, 2), learner: true, unstarted: true, audited: 1,
			want: map[string]string{"cluster/member-learner-stuck": "unknown"}, // since when is not known
			wantOf: func(t *testing.T, r *ring) map[string]string {
				list, err := r.clients[0].MemberList(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range list.Members {
					if m.Name == "" {
						return map[string]string{"cluster/member-unhealthy": fmt.Sprintf("fail %x-unstarted", m.ID)}
					}
				}
				t.Fatal("every member has started")
				return nil
			}},

		{name: "3.5 and 3.6", quick: true, members: []setup{v35, v36, v36}, want: map[string]string{"cluster/version-skew": "fail minor"}},
		{name: "3.6 and 3.7", members: []setup{v36, v37, v37}, want: map[string]string{"cluster/version-skew": "fail minor"}},
		{name: "3.6.8 and 3.6.16", members: []setup{v36, vulnerable, v36}, want: map[string]string{"cluster/member-drift": "fail client-version"}},

		{name: "one of other flags", quick: true, members: []setup{v36, changed, v36}, want: map[string]string{
			"cluster/member-drift": "fail client-tls-1.2,client-pprof,client-quota,peer-tls-1.2",
		}},
		{name: "one in plaintext", members: []setup{v36, plain, metricsTLS}, want: map[string]string{
			"cluster/auth-disabled": "fail no-certificate",
			"cluster/member-drift": "fail client-plaintext,client-client-certificate,client-metrics," +
				"metrics-plaintext,metrics-client-certificate,metrics-metrics",
		}},
		{name: "peers in plaintext", members: alike(plainPeer, 3)},

		{name: "one pair of files for all", quick: true, members: alike(v36, 3), want: map[string]string{"cluster/cert-shared-key": "fail members"},
			files: func(t *testing.T, sites []*site) {
				for _, at := range sites[1:] {
					for _, name := range []string{"server.crt", "server.key"} {
						data, err := os.ReadFile(sites[0].path(name))
						if err != nil {
							t.Fatal(err)
						}
						at.write(t, name, data)
					}
				}
			}},
		{name: "one with the old CA", quick: true, members: alike(v36, 2), want: map[string]string{
			"cluster/ca-stale": "fail client,client-differs", "cluster/member-drift": "fail client-trusted-cas",
		}, files: func(t *testing.T, sites []*site) {
			at := sites[1]
			at.write(t, "ca.crt", append(at.clientCA.CertPEM(), newCA(t, "clients of before", at.now).CertPEM()...))
		}},
		// One's leaf is of another CA of the name: nobody who verifies it asks it anything.
		{name: "two CAs of one name", members: []setup{v36, v36, imitated}, want: map[string]string{
			"cluster/ca-name-collision": "fail keys", "cluster/version-skew": "unknown",
			"cluster/member-drift": "unknown", // what was read of the others was not of this one
		}},

		{name: "leaders moved", quick: true, members: alike(v36, 3), want: map[string]string{"cluster/leader-changes": "fail frequent"},
			event: func(t *testing.T, r *ring) {
				for range 4 {
					r.moveLeader(t)
				}
			}},
		{name: "leader moved once", members: alike(v37, 3), event: func(t *testing.T, r *ring) { r.moveLeader(t) }},

		{name: "a CA of its own", members: alike(v36, 1), want: map[string]string{"cluster/ca-unique": "pass"},
			beside: func(t *testing.T, r *ring) []collect.Endpoint {
				now := r.sites[0].now
				return []collect.Endpoint{kubernetesPort(t, audit.APIServer, newCA(t, "kubernetes", now), newCA(t, "front-proxy-ca", now))}
			}},
		{name: "the API server's CA", quick: true, members: alike(v36, 3), want: map[string]string{
			"cluster/ca-unique": "fail client-apiserver", "cluster/auth-disabled": "fail shared-ca",
		}, beside: func(t *testing.T, r *ring) []collect.Endpoint {
			return []collect.Endpoint{kubernetesPort(t, audit.APIServer, r.sites[0].clientCA)}
		}},
		{name: "a kubelet with the peers' CA", members: alike(v37, 1), want: map[string]string{"cluster/ca-unique": "fail peer-kubelet"},
			beside: func(t *testing.T, r *ring) []collect.Endpoint {
				return []collect.Endpoint{kubernetesPort(t, audit.Kubelet, r.sites[0].peerCA)}
			}},

		{name: "a new snapshot", members: alike(v36, 1), snapshots: snapshot(nil), want: map[string]string{"cluster/snapshot-age": "pass", "cluster/member-zombie": "pass"}},
		{name: "an old snapshot", quick: true, members: alike(v36, 1), want: map[string]string{"cluster/snapshot-age": "fail too-old", "cluster/member-zombie": "pass"},
			snapshots: snapshot(func(path string) error {
				before := time.Now().Add(-2 * day)
				return os.Chtimes(path, before, before)
			})},
		{name: "half a snapshot", members: alike(v36, 1), want: map[string]string{"cluster/snapshot-age": "fail none", "cluster/member-zombie": "skip"},
			snapshots: snapshot(func(path string) error {
				info, err := os.Stat(path)
				if err != nil {
					return err
				}
				return os.Truncate(path, info.Size()/2)
			})},
		{name: "no snapshot", members: alike(v36, 1), want: map[string]string{"cluster/snapshot-age": "fail none", "cluster/member-zombie": "skip"},
			snapshots: snapshot(os.Remove)},
	}
}

// learnerServes: a learner answers Status and serializable reads, and no MemberList
// (server/etcdserver/api/v3rpc/util.go, isRPCSupportedForLearner).
func learnerServes(member int) map[string]string {
	return map[string]string{fmt.Sprintf("m%d/client/member-url-plaintext", member): "unknown"}
}

// snapshot takes one of the running member, and then changes it.
func snapshot(change func(path string) error) func(t *testing.T, r *ring) string {
	return func(t *testing.T, r *ring) string {
		stream, err := r.clients[0].Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(stream)
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		path := filepath.Join(dir, "snapshot.db")
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if change != nil {
			if err := change(path); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
}
