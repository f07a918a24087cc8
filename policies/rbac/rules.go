package rbac

import (
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
)

// Method is an RPC of etcd, as service.method. If an argument changes what etcd requires, each case
// is a method of its own.
type Method string

// The methods.
const (
	Range       Method = "KV.Range"
	RangeStream Method = "KV.RangeStream"
	Put         Method = "KV.Put"
	DeleteRange Method = "KV.DeleteRange"
	Txn         Method = "KV.Txn"
	Compact     Method = "KV.Compact"
	Watch       Method = "Watch.Watch"

	LeaseGrant      Method = "Lease.LeaseGrant"
	LeaseRevoke     Method = "Lease.LeaseRevoke"
	LeaseKeepAlive  Method = "Lease.LeaseKeepAlive"
	LeaseTimeToLive Method = "Lease.LeaseTimeToLive"
	LeaseLeases     Method = "Lease.LeaseLeases"

	MemberList    Method = "Cluster.MemberList"
	MemberAdd     Method = "Cluster.MemberAdd"
	MemberRemove  Method = "Cluster.MemberRemove"
	MemberUpdate  Method = "Cluster.MemberUpdate"
	MemberPromote Method = "Cluster.MemberPromote"

	Status     Method = "Maintenance.Status"
	AlarmGet   Method = "Maintenance.Alarm(get)"
	AlarmSet   Method = "Maintenance.Alarm(set)"
	Snapshot   Method = "Maintenance.Snapshot"
	Hash       Method = "Maintenance.Hash"
	HashKV     Method = "Maintenance.HashKV"
	Defragment Method = "Maintenance.Defragment"
	MoveLeader Method = "Maintenance.MoveLeader"
	Downgrade  Method = "Maintenance.Downgrade"

	AuthStatus           Method = "Auth.AuthStatus"
	AuthEnable           Method = "Auth.AuthEnable"
	AuthDisable          Method = "Auth.AuthDisable"
	Authenticate         Method = "Auth.Authenticate"
	UserAdd              Method = "Auth.UserAdd"
	UserGet              Method = "Auth.UserGet"
	UserList             Method = "Auth.UserList"
	UserDelete           Method = "Auth.UserDelete"
	UserChangePassword   Method = "Auth.UserChangePassword" //nolint:gosec // the name of a method
	UserGrantRole        Method = "Auth.UserGrantRole"
	UserRevokeRole       Method = "Auth.UserRevokeRole"
	RoleAdd              Method = "Auth.RoleAdd"
	RoleGet              Method = "Auth.RoleGet"
	RoleList             Method = "Auth.RoleList"
	RoleDelete           Method = "Auth.RoleDelete"
	RoleGrantPermission  Method = "Auth.RoleGrantPermission"
	RoleRevokePermission Method = "Auth.RoleRevokePermission"
)

// Need names what etcd requires of the caller of a method while RBAC is enabled.
type Need string

// The needs. The CN of a client's certificate counts as an identity even if no user has that name.
// So Identified refuses only a caller without a certificate: the JSON gateway, for whose requests
// etcd ignores the CN (server/auth/store.go, AuthInfoFromTLS).
const (
	Open       Need = "open"
	Identified Need = "identified"
	// NeedsKeys is permission to read or write each key of the request, or of the lease.
	NeedsKeys Need = "keys"
	// IdentifiedAndKeys is both: even a lease without keys requires an identity.
	IdentifiedAndKeys Need = "identified+keys"
	// RootOrOwn is role root, or a question about the caller's own user or role.
	RootOrOwn Need = "root or own"
	NeedsRoot Need = "root"
)

// milestone is a change of the rules: the first patch releases of 3.5 and 3.6 that have it, or
// never for a branch without it. Every release since 3.7.0 has it.
type milestone struct{ of35, of36 int }

const never = 1 << 30

var (
	sinceFirst = milestone{0, 0}
	// since36 is in every release of the branch 3.6.
	since36 = milestone{never, 0}
	// sinceFix has the fix of CVE-2026-33413. Before it, etcd did not check many methods at all.
	sinceFix = milestone{28, 9}
	// sinceListed opens MemberList and the reading of alarms again (etcd-io/etcd#21550).
	sinceListed = milestone{29, 10}
	// sinceStatus opens Status again (etcd-io/etcd#21663).
	sinceStatus = milestone{32, 12}
	since37     = milestone{never, never}
)

// isReachedBy reports whether a version has the change.
func (m milestone) isReachedBy(v cluster.Version) bool {
	switch {
	case v.Major > 3 || v.Minor >= 7:
		return true
	case v.Minor == 6:
		return v.Patch >= m.of36
	default:
		return v.Patch >= m.of35
	}
}

// step gives the need of a method since a milestone.
type step struct {
	since milestone
	need  Need
}

// rule gives the needs of one method over time. Before its first step the method does not exist.
type rule struct {
	method Method
	steps  []step
}

// rules returns the one table of what etcd requires, in the order of the methods above. It was read
// from etcd's server/etcdserver (v3_server.go, server.go, apply/auth.go, api/v3rpc) of 3.5.27,
// 3.5.31, 3.5.32, 3.5.35, 3.6.8 to 3.6.12, 3.6.16, 3.7.0 and 3.7.3, and TestRules measures it on
// real servers; 3.5.28 to 3.5.30 are told from etcd-io/etcd#21663 alone.
func rules() []rule {
	root := []step{{sinceFirst, NeedsRoot}}
	keys := []step{{sinceFirst, NeedsKeys}}
	return []rule{
		{Range, keys},
		{RangeStream, []step{{since37, NeedsKeys}}},
		{Put, keys},
		{DeleteRange, keys},
		{Txn, keys},
		{Compact, []step{{sinceFirst, Open}, {sinceFix, NeedsRoot}}},
		{Watch, keys},

		{LeaseGrant, []step{{sinceFirst, Open}, {sinceFix, Identified}}},
		{LeaseRevoke, []step{{sinceFirst, NeedsKeys}, {sinceFix, IdentifiedAndKeys}}},
		{LeaseKeepAlive, []step{{sinceFirst, Open}, {sinceFix, IdentifiedAndKeys}}},
		{LeaseTimeToLive, []step{{sinceFirst, NeedsKeys}, {sinceFix, IdentifiedAndKeys}}},
		{LeaseLeases, []step{{sinceFirst, Open}, {sinceFix, IdentifiedAndKeys}}},

		{MemberList, []step{{sinceFirst, Open}, {sinceFix, NeedsRoot}, {sinceListed, Identified}}},
		{MemberAdd, root},
		{MemberRemove, root},
		{MemberUpdate, root},
		{MemberPromote, root},

		{Status, []step{{sinceFirst, Open}, {since36, NeedsRoot}, {sinceFix, NeedsRoot}, {sinceStatus, Identified}}},
		{AlarmGet, []step{{sinceFirst, Open}, {sinceFix, NeedsRoot}, {sinceListed, Identified}}},
		{AlarmSet, []step{{sinceFirst, Open}, {sinceFix, NeedsRoot}}},
		{Snapshot, root},
		{Hash, root},
		{HashKV, root},
		{Defragment, root},
		{MoveLeader, []step{{sinceFirst, Open}, {since36, NeedsRoot}, {sinceFix, NeedsRoot}}},
		{Downgrade, []step{{sinceFirst, Open}, {since36, NeedsRoot}, {sinceFix, NeedsRoot}}},

		{AuthStatus, []step{{sinceFirst, NeedsRoot}, {since37, Open}}},
		{AuthEnable, root},
		{AuthDisable, root},
		{Authenticate, []step{{sinceFirst, Open}}},
		{UserAdd, root},
		{UserGet, []step{{sinceFirst, RootOrOwn}}},
		{UserList, root},
		{UserDelete, root},
		{UserChangePassword, root},
		{UserGrantRole, root},
		{UserRevokeRole, root},
		{RoleAdd, root},
		{RoleGet, []step{{sinceFirst, RootOrOwn}}},
		{RoleList, root},
		{RoleDelete, root},
		{RoleGrantPermission, root},
		{RoleRevokePermission, root},
	}
}

// MethodNeed gives the need of one method in one release.
type MethodNeed struct {
	Method Method `json:"method"`
	Need   Need   `json:"need"`
}

// Rules lists the needs of the methods of one release of etcd, in the order of the table. It leaves
// out the methods that the release does not have.
type Rules []MethodNeed

// RulesFor returns the rules of a release.
func RulesFor(v cluster.Version) Rules {
	var all Rules
	for _, r := range rules() {
		var need Need
		for _, s := range r.steps {
			if s.since.isReachedBy(v) {
				need = s.need
			}
		}
		if need != "" {
			all = append(all, MethodNeed{r.method, need})
		}
	}
	return all
}

// Need returns what a method requires; empty for a method that the release does not have.
func (r Rules) Need(m Method) Need {
	at := slices.IndexFunc(r, func(n MethodNeed) bool { return n.Method == m })
	if at < 0 {
		return ""
	}
	return r[at].Need
}

// Differing returns the methods for which two releases have different rules. It ignores a method
// that only one of them has: a plan that holds for both does not use it.
func (r Rules) Differing(other Rules) []Method {
	var methods []Method
	for _, n := range r {
		if theirs := other.Need(n.Method); theirs != "" && theirs != n.Need {
			methods = append(methods, n.Method)
		}
	}
	return methods
}
