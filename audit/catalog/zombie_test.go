package catalog_test

import (
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

// zombieFixtures returns fixtures of databases, with and without the running cluster that each belongs to.
func zombieFixtures(t *testing.T) []fixture {
	t.Helper()
	const one, two = 0x8e9e05c52164694d, 0x77edd50ec79a221a
	has := func(change func(*audit.Membership), ids ...uint64) *audit.Membership {
		m := &audit.Membership{}
		for _, id := range ids {
			m.Members = append(m.Members, audit.Member{ID: id, Name: "node3", PeerURLs: []string{"https://node3:2380"}})
		}
		if change != nil {
			change(m)
		}
		return m
	}
	raft := func(ids ...uint64) func(*audit.Membership) {
		return func(m *audit.Membership) { m.Raft = ids }
	}
	removed := func(m *audit.Membership) { m.Removed = []uint64{two} }
	file := func(m *audit.Membership, change func(*audit.SnapshotFile)) *audit.StoredData {
		return inFile(func(c *audit.Census) {
			c.Snapshot.Membership, c.Snapshot.ClusterVersion = m, "3.5.0"
			if change != nil {
				change(c.Snapshot)
			}
		}, resource("secrets", 0, by(k1, 5)))
	}
	cluster := func(version string, m *audit.Membership, change func(*audit.Listener)) *audit.EtcdCluster {
		client := changed(t, audit.Client, func(l *audit.Listener) {
			l.Version, l.Members = version, []audit.Member{{ID: one, Name: "etcd-0"}}
			if change != nil {
				change(l)
			}
		})
		c := &audit.EtcdCluster{Address: "cluster c", Now: fixtureTime, Listeners: []*audit.Listener{client}}
		c.Snapshots = &audit.Snapshots{Dir: "/backup", MaxAge: day, Membership: m}
		if m != nil {
			c.Snapshots.Files = []audit.Snapshot{{Name: "snap.db", Modified: fixtureTime}}
		}
		return c
	}
	unlisted := func(l *audit.Listener) { l.Members = nil }
	unread := func(m *audit.Membership) { m.Reason = "the file is damaged: page 7: cut off" }
	codes := []string{"77edd50ec79a221a"}
	const check = "member-zombie"
	return []fixture{
		{check: check, name: "a file in order", target: file(has(raft(one), one), nil), verdict: audit.Pass, evidence: "1 member"},
		{check: check, name: "a file with a removed one", target: file(has(removed, one, two), nil), verdict: audit.Fail, codes: codes, evidence: "https://node3:2380"},
		{check: check, name: "a file with one that raft does not have", target: file(has(raft(one), one, two), nil), verdict: audit.Fail, codes: codes, evidence: "raft does not have it"},
		{check: check, name: "a damaged file with a removed one", target: file(has(func(m *audit.Membership) { removed(m); unread(m) }, two), nil), verdict: audit.Fail, codes: codes},
		{check: check, name: "a damaged file", target: file(has(func(m *audit.Membership) { raft(one)(m); unread(m) }, one), nil), verdict: audit.Unknown, evidence: "damaged"},
		{check: check, name: "no member", target: file(has(raft(one)), nil), verdict: audit.Unknown, evidence: "no member"},
		{check: check, name: "a file without a configuration of raft", target: file(has(nil, one), nil), verdict: audit.Unknown, evidence: "--snapshot-dir"},
		{check: check, name: "a file of 3.4", target: file(has(nil, one), func(f *audit.SnapshotFile) { f.ClusterVersion = "" }), verdict: audit.Skip, evidence: "3.4"},
		{check: check, name: "a file whose members were not read", target: file(nil, nil), verdict: audit.Unknown},
		{check: check, name: "a running store", target: stored(nil), verdict: audit.Skip, evidence: "--snapshot"},

		{check: check, name: "a snapshot in order", target: cluster("3.5.20", has(raft(one), one), nil), verdict: audit.Pass, evidence: "snap.db"},
		{check: check, name: "one that raft does not have", target: cluster("3.5.20", has(raft(one), one, two), nil), verdict: audit.Fail, codes: codes},
		{check: check, name: "one that the member list does not have", target: cluster("3.5.20", has(nil, one, two), nil), verdict: audit.Fail, codes: codes, evidence: "the member list does not have it"},
		{check: check, name: "all in the member list", target: cluster("3.5.20", has(nil, one), nil), verdict: audit.Pass},
		{check: check, name: "one that was removed after the snapshot", target: cluster("3.5.20", has(raft(one, two), one, two), nil), verdict: audit.Pass},
		{check: check, name: "a member list that was not read", target: cluster("3.5.20", has(nil, one), unlisted), verdict: audit.Unknown, evidence: "the member list was not read"},
		{check: check, name: "no snapshot", target: cluster("3.5.20", nil, nil), verdict: audit.Unknown, evidence: "no complete snapshot in /backup"},
		{check: check, name: "no snapshot, upgraded", target: cluster("3.6.1", nil, nil), verdict: audit.Skip, evidence: "3.6"},
		{check: check, name: "upgraded with a zombie", target: cluster("3.6.1", has(raft(one), one, two), nil), verdict: audit.Fail, codes: codes},
		{check: check, name: "no version", target: cluster("", nil, nil), verdict: audit.Unknown},
	}
}
