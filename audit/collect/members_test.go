package collect_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki"
)

// Three hardened members have no finding; one that is stopped is found, also by an audit of the others.
func TestThreeMembers(t *testing.T) {
	for _, version := range etcdtest.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			r := startRing(t, memberChange{version: version}, memberChange{version: version}, memberChange{version: version})
			of := func(n int) func() audit.Report {
				return func() audit.Report { return auditClusters(t, r.listeners(n), r.credentials(), r.now) }
			}
			report := of(3)()
			if report.Summary.Fail+report.Summary.Unknown > 0 {
				for _, result := range report.Results {
					if result.Verdict == audit.Fail || result.Verdict == audit.Unknown {
						t.Errorf("%s %s: %s %s", result.Target, result.CheckID, result.Verdict, result.Evidence)
					}
				}
			}
			wantCheck(t, report, "member-count", "pass the failure of 1")
			wantCheck(t, report, "member-drift", "pass the listeners of 3 members")
			wantCheck(t, report, "auth-disabled", "pass every certificate of the client CA is root")
			wantCheck(t, of(1)(), "member-unhealthy", "pass 3 members") // as the first one's metrics tell

			r.members[2].Kill()
			report = eventually(t, of(3), "member-unhealthy", "fail m2-down")
			wantCheck(t, report, "version-skew", "unknown connection refused")
			wantCheck(t, report, "member-drift", "fail metrics-listener")
			report = eventually(t, of(2), "member-unhealthy", "fail m2-down")
			if got := resultOf(t, report, "member-unhealthy").Evidence; !strings.Contains(got, "none of the audited members has a connection") {
				t.Errorf("got %q", got)
			}
		})
	}
}

// Members of two releases and several configurations differ in what is seen of them.
func TestDifferentMembers(t *testing.T) {
	t.Parallel()
	r := startRing(t,
		memberChange{version: etcdtest.V3_6},
		memberChange{version: etcdtest.V3_5, flags: func(at *site) []string {
			other := newCA(t, "another CA", at.now)
			at.writePair(t, "other", newLeaf(t, other, pki.LeafTemplate{CommonName: "m1", EKUs: bothEKUs, IPs: []net.IP{net.IPv4(127, 0, 0, 1)}}))
			at.write(t, "both-ca.crt", append(at.clientCA.CertPEM(), other.CertPEM()...))
			return []string{"--enable-pprof", "--quota-backend-bytes=4294967296", "--tls-min-version=TLS1.3",
				"--cert-file=" + at.path("other.crt"), "--key-file=" + at.path("other.key"), "--trusted-ca-file=" + at.path("both-ca.crt")}
		}},
		memberChange{version: etcdtest.V3_6},
	)
	pool := r.credentials()
	pool.Roots = nil // one of the servers has another CA
	report := auditClusters(t, r.listeners(3), pool, r.now)
	wantCheck(t, report, "version-skew", "fail minor")
	wantCheck(t, report, "member-drift", "fail client-issuer,client-pprof,client-quota,client-tls-1.2,client-trusted-cas,peer-tls-1.2")
	if got := resultOf(t, report, "member-drift").Evidence; !strings.Contains(got, `the quota of the client port: member "m1": 4.0 GiB, the others: 2.0 GiB`) {
		t.Errorf("got %s", got)
	}

	wantCheck(t, report, "leader-changes", "pass changes of leader")
	for range 4 {
		moveLeader(t, r)
	}
	wantCheck(t, auditClusters(t, r.listeners(1), pool, r.now), "leader-changes", "fail frequent")
}

// moveLeader hands the leadership to another member.
func moveLeader(t *testing.T, r *ring) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		for _, at := range r.sites {
			client := at.insecure(t)
			status, err := client.Status(ctx, "https://"+at.client)
			if err != nil || status.Header.MemberId != status.Leader {
				continue
			}
			list, err := client.MemberList(ctx)
			if err != nil {
				continue
			}
			for _, m := range list.Members {
				if m.ID == status.Leader {
					continue
				}
				if _, err := client.MoveLeader(ctx, m.ID); err == nil {
					return
				}
			}
		}
	}
	t.Fatal("no leader could be moved")
}

// insecure is etcd without the verification of the server.
func (s *site) insecure(t *testing.T) *clientv3.Client {
	t.Helper()
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{"https://" + s.client}, Logger: quiet(),
		TLS: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{s.given}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// A learner is in order for an hour.
func TestLearner(t *testing.T) {
	t.Parallel()
	r := startRing(t, memberChange{})
	client := r.sites[0].etcd(t)
	ports := etcdtest.FreePorts(t, 3)
	at := *r.site
	at.client, at.peer, at.metrics = address(ports[0]), address(ports[1]), address(ports[2])
	r.sites = append(r.sites, &at)
	if _, err := client.MemberAddAsLearner(t.Context(), []string{"https://" + at.peer}); err != nil {
		t.Fatal(err)
	}
	first := auditClusters(t, r.listeners(1), r.credentials(), r.now)
	if got := resultOf(t, first, "member-unhealthy"); got.Verdict != audit.Fail || !strings.Contains(got.Evidence, "never started") {
		t.Errorf("got %+v", got)
	}
	wantCheck(t, first, "member-learner-stuck", "unknown is a learner")

	initial := fmt.Sprintf("m0=https://%s,m1=https://%s", r.sites[0].peer, at.peer)
	config := r.config(1, memberChange{flags: func(*site) []string { return []string{"--initial-cluster-state=existing"} }}, initial)
	etcdtest.Run(t, config)
	now := func(at time.Time) func() audit.Report {
		return func() audit.Report { return auditClusters(t, r.listeners(2), r.credentials(), at) }
	}
	report := eventually(t, now(r.now), "member-learner-stuck", "pass is a learner whose process started")
	wantCheck(t, report, "member-count", "fail single")
	wantCheck(t, report, "member-unhealthy", "pass 2 members")
	wantCheck(t, now(r.now.Add(2*time.Hour))(), "member-learner-stuck", "fail m1")
}

// A database that is full raises the alarm; one that was emptied is fragmented.
func TestDatabase(t *testing.T) {
	for _, version := range etcdtest.Versions() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.start(t, version, flags(s.clientMTLS(), s.peerMTLS(), "--quota-backend-bytes=4194304"))
			client := s.etcd(t)
			value := strings.Repeat("x", 64<<10) // the alarm comes when the next one does not fit
			var err error
			for i := 0; err == nil && i < 1000; i++ {
				_, err = client.Put(t.Context(), fmt.Sprintf("key%d", i), value)
			}
			if err == nil || !strings.Contains(err.Error(), "database space exceeded") {
				t.Fatalf("no end of space: %v", err)
			}
			report := auditClusters(t, s.endpoints(0), s.credentials(), s.now)
			wantCheck(t, report, "alarm-active", "fail nospace")
			wantCheck(t, report, "db-size", "fail near-quota")
			wantCheck(t, report, "db-fragmented", "pass too little to matter")

			checkSnapshot(t, client)
		})
	}
}

// checkSnapshot takes a snapshot of a real member, which is complete until it is cut off.
func checkSnapshot(t *testing.T, client *clientv3.Client) {
	t.Helper()
	stream, err := client.Snapshot(t.Context())
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
	if s := collect.Snapshots(dir, time.Hour); s.Reason != "" || len(s.Files) != 1 || s.Files[0].Fault != "" {
		t.Errorf("got %+v", s)
	}
	if err := os.Truncate(path, int64(len(data)/2)); err != nil {
		t.Fatal(err)
	}
	if s := collect.Snapshots(dir, time.Hour); len(s.Files) != 1 || !strings.Contains(s.Files[0].Fault, "cut off") {
		t.Errorf("got %+v", s)
	}
}

func TestFragmentedDatabase(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t, etcdtest.V3_6, flags(s.clientMTLS(), s.peerMTLS(), "--unsafe-no-fsync"))
	client := s.etcd(t)
	value := strings.Repeat("x", 1<<20)
	for i := range 110 {
		if _, err := client.Put(t.Context(), fmt.Sprintf("key%d", i), value); err != nil {
			t.Fatal(err)
		}
	}
	now := func() audit.Report { return auditClusters(t, s.endpoints(0), s.credentials(), s.now) }
	eventually(t, now, "db-fragmented", "pass in use")
	deleted, err := client.Delete(t.Context(), "key", clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Compact(t.Context(), deleted.Header.Revision, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	eventually(t, now, "db-fragmented", "fail free-space")
}

// A member that takes its time is slow; the way to it is not.
func TestSlowMember(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start(t, etcdtest.V3_6, flags(s.clientPlain(), s.peerMTLS()))
	slow := startFaulty(t, func(_ *faultyServer, c net.Conn) { relaySlowly(c, s.client, 300*time.Millisecond) })
	defer slow.stop()
	targets, err := collect.Collect(t.Context(), []collect.Endpoint{{Address: slow.address, Kind: audit.Client}},
		collect.Config{Timeout: 10 * time.Second, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	wantCheck(t, audit.Run(catalog.All(), targets), "request-latency", "fail slow")
	report := auditClusters(t, s.endpoints(0)[:1], collect.Credentials{}, s.now)
	wantCheck(t, report, "request-latency", "pass the median of 3 calls")
}

// relaySlowly passes what comes from the server on after a pause.
func relaySlowly(c net.Conn, address string, pause time.Duration) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		_, _ = io.Copy(server, c)
		_ = server.(*net.TCPConn).CloseWrite()
	}()
	buffer := make([]byte, 64<<10)
	for {
		n, err := server.Read(buffer)
		timer := time.NewTimer(pause)
		<-timer.C
		if _, writeErr := io.Copy(c, bytes.NewReader(buffer[:n])); err != nil || writeErr != nil {
			return
		}
	}
}
