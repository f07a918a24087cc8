package members

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// MemberZombie finds databases that still have members which the cluster has removed.
func MemberZombie() audit.Check {
	return audit.Check{
		ID:       "member-zombie",
		Title:    "The database has members that the cluster does not have",
		Severity: audit.High,
		Rationale: "Up to 3.5, etcd takes its members from the v2 store, and from 3.6 on from the database. Old clusters and " +
			"restored ones may have members in the database that were removed long ago. After the upgrade to 3.6 they are " +
			"members again, and count for the quorum: the cluster stops.",
		Method: "Reads the buckets members and members_removed, and raft's configuration, from the newest complete snapshot in " +
			"--snapshot-dir, or from the file of a census. A member is a zombie if it is also among the removed ones, or if " +
			"raft does not have it. A database without raft's configuration is compared with the member list of the running " +
			"members. Only the database of the member that made the snapshot is judged.",
		Remediation: zombieRemediation,
		References: []string{
			"NIST 800-53 CM-3", "NIST 800-53 CP-10", "NIST 800-53 SI-2", "k3s-io/k3s#13485", "etcd-io/etcd#20967",
			"etcd blog 2025-12-21: Avoiding Zombie Cluster Members When Upgrading to etcd v3.6",
		},
		Applies: func(t audit.Target) bool {
			switch t := t.(type) {
			case *audit.EtcdCluster:
				return t.Snapshots != nil // snapshot-age says that none was given
			case *audit.StoredData:
				return true
			default:
				return false
			}
		},
		Run: func(t audit.Target) audit.Outcome {
			switch t := t.(type) {
			case *audit.EtcdCluster:
				return judgeClusterSnapshot(t)
			case *audit.StoredData:
				return judgeStoredMembers(t)
			default:
				return audit.CouldNotTell("neither a cluster nor a store")
			}
		},
	}
}

func zombieRemediation(p audit.Place) audit.Remediation {
	return audit.Remediation{
		audit.Say("Upgrade every member to 3.5.26 or later before 3.6: it removes them from the database when it starts. " +
			"When all are healthy, check a new snapshot of each member:"),
		audit.Paste("etcdctl endpoint status --cluster -w table --endpoints=%s", p.Endpoint()),
		audit.Paste("etcdctl snapshot save snapshot.db --endpoints=%s", p.Endpoint()),
		audit.Paste("etcdsec audit census --snapshot snapshot.db"),
		audit.Say("In a cluster that runs 3.6 already, remove each of them:"),
		audit.Paste("etcdctl member remove %s --endpoints=%s", p.Member(), p.Endpoint()),
	}
}

// judgeClusterSnapshot judges the newest snapshot of a running cluster.
func judgeClusterSnapshot(t *audit.EtcdCluster) audit.Outcome {
	s := t.Snapshots
	listed := listMembers(t)
	zombies, doubt := []audit.Finding(nil), ""
	switch {
	case s.Reason != "":
		doubt = fmt.Sprintf("reading the snapshots in %s: %s", s.Dir, s.Reason)
	case s.Membership == nil:
		doubt = "no complete snapshot in " + s.Dir
	default:
		zombies, doubt = findZombies(s.Membership, listed)
		if doubt == "" && s.Membership.Raft == nil && len(listed) == 0 {
			doubt = "the database does not have raft's configuration, and " + whyNotListed(t)
		}
		if doubt != "" {
			doubt = s.Complete() + ": " + doubt
		}
	}
	switch {
	case len(zombies) > 0:
		return audit.Failed(zombies...)
	case doubt == "":
		return audit.Passed(fmt.Sprintf("the cluster has all of the database in %s: %s", s.Complete(), countMembers(len(s.Membership.Members))))
	case runsDatabaseMembers(t):
		return audit.Skipped("every member runs 3.6 or later, which takes the members from the database: the upgrade is done")
	default:
		return audit.CouldNotTell(doubt)
	}
}

// runsDatabaseMembers reports whether every member runs a release that takes the members from the database.
func runsDatabaseMembers(t *audit.EtcdCluster) bool {
	clients := t.Of(audit.Client)
	for _, client := range clients {
		v, err := parseVersion(client.Version)
		if err != nil || slices.Compare(v.number[:], []int{3, 6}) < 0 {
			return false
		}
	}
	return len(clients) > 0
}

// judgeStoredMembers judges a file that a census has read.
func judgeStoredMembers(t *audit.StoredData) audit.Outcome {
	switch {
	case t.Census == nil:
		return audit.CouldNotTell("the store was not read")
	case t.Census.Snapshot == nil:
		return audit.Skipped("the census read a running etcd, which does not show its database; add --snapshot for a file")
	case t.Census.Snapshot.Membership == nil:
		return audit.CouldNotTell("the members in the database were not read")
	}
	f := t.Census.Snapshot
	zombies, doubt := findZombies(f.Membership, nil)
	switch {
	case len(zombies) > 0:
		return audit.Failed(zombies...)
	case doubt == "" && f.Membership.Raft == nil && f.ClusterVersion == "":
		return audit.Skipped("the database is of etcd 3.4 or earlier, from which no member goes to 3.6 at once; check it again with 3.5")
	case doubt == "" && f.Membership.Raft == nil:
		return audit.CouldNotTell("the database does not have raft's configuration; compare it with the running members: etcdsec audit run ENDPOINT --snapshot-dir DIR")
	case doubt != "":
		return audit.CouldNotTell(doubt)
	default:
		return audit.Passed("raft has all members of the database: " + countMembers(len(f.Membership.Members)))
	}
}

// findZombies returns a finding for each member of a database that the cluster does not have. If the
// database does not have raft's configuration, the member list counts, where there is one. doubt says why
// there may be others.
func findZombies(m *audit.Membership, listed []audit.Member) (zombies []audit.Finding, doubt string) {
	for _, member := range m.Members {
		inList := slices.ContainsFunc(listed, func(l audit.Member) bool { return l.ID == member.ID })
		why := ""
		switch {
		case slices.Contains(m.Removed, member.ID):
			why = "it is also among the removed members"
		case m.Raft != nil && !slices.Contains(m.Raft, member.ID):
			why = "raft does not have it"
		case m.Raft == nil && len(listed) > 0 && !inList:
			why = "the member list does not have it; if it was removed after the snapshot was taken, take a new one"
		}
		if why != "" {
			zombies = append(zombies, audit.Finding{
				Code: fmt.Sprintf("%x", member.ID),
				Text: fmt.Sprintf("the database has the member %x (%q, %q): %s", member.ID, shorten(member.Name), shorten(strings.Join(member.PeerURLs, ",")), why),
			})
		}
	}
	switch {
	case m.Reason != "":
		doubt = m.Reason
	case len(m.Members) == 0:
		doubt = "the database has no member"
	}
	return zombies, doubt
}

// shorten limits a text of a database in a finding.
func shorten(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "…"
	}
	return text
}
