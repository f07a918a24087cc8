package rbac

import (
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
)

// Method is an RPC of etcd, as service.method. Where an argument changes what etcd asks for,
// each case is a method of its own.
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

// Need is what etcd asks of the caller of a method, with RBAC enabled.
type Need string

// The needs. The CN of a client's certificate counts as an identity whether there is a user
// of that name or not, so that Identified keeps out nobody but who has no certificate: the
// JSON gateway, for whose requests etcd ignores the CN (server/auth/store.go, AuthInfoFromTLS).
const (
	Open       Need = "open"
	Identified Need = "identified"
	// OfKeys is the permission to read or write each key of the request, or of the lease.
	OfKeys Need = "keys"
	// IdentifiedAndKeys are both: a lease without keys wants an identity still.
	IdentifiedAndKeys Need = "identified+keys"
	// RootOrOwn is role root, or a question for the caller's own user or role.
	RootOrOwn Need = "root or own"
	NeedsRoot Need = "root"
)

// milestone is a change of the rules: the patch releases of 3.5 and 3.6 that first had it,
// and never for a branch that ended without. Every release since 3.7.0 has it.
type milestone struct{ of35, of36 int }

const never = 1 << 30

var (
	always = milestone{0, 0}
	// since36 came with a new branch.
	since36 = milestone{never, 0}
	// checked is the fix of CVE-2026-33413: until then, many methods were not checked at all.
	checked = milestone{28, 9}
	// listed let MemberList and the reading of alarms be again (etcd-io/etcd#21550).
	listed = milestone{29, 10}
	// stated let Status be again (etcd-io/etcd#21663).
	stated  = milestone{32, 12}
	since37 = milestone{never, never}
)

func (m milestone) reached(v cluster.Version) bool {
	switch {
	case v.Major > 3 || v.Minor >= 7:
		return true
	case v.Minor == 6:
		return v.Patch >= m.of36
	default:
		return v.Patch >= m.of35
	}
}

// step is what a method needs since a milestone.
type step struct {
	since milestone
	need  Need
}

// rule is one method's. Before its first step the method is not there.
type rule struct {
	method Method
	steps  []step
}

// rules is the one table of what etcd asks for, in the order of the methods above. It was read
// from etcd's server/etcdserver (v3_server.go, server.go, apply/auth.go, api/v3rpc) of 3.5.27,
// 3.5.31, 3.5.32, 3.5.35, 3.6.8 to 3.6.12, 3.6.16, 3.7.0 and 3.7.3, and TestRules measures it on
// real servers; 3.5.28 to 3.5.30 are told from etcd-io/etcd#21663 alone.
func rules() []rule {
	root := []step{{always, NeedsRoot}}
	keys := []step{{always, OfKeys}}
	return []rule{
		{Range, keys},
		{RangeStream, []step{{since37, OfKeys}}},
		{Put, keys},
		{DeleteRange, keys},
		{Txn, keys},
		{Compact, []step{{always, Open}, {checked, NeedsRoot}}},
		{Watch, keys},

		{LeaseGrant, []step{{always, Open}, {checked, Identified}}},
		{LeaseRevoke, []step{{always, OfKeys}, {checked, IdentifiedAndKeys}}},
		{LeaseKeepAlive, []step{{always, Open}, {checked, IdentifiedAndKeys}}},
		{LeaseTimeToLive, []step{{always, OfKeys}, {checked, IdentifiedAndKeys}}},
		{LeaseLeases, []step{{always, Open}, {checked, IdentifiedAndKeys}}},

		{MemberList, []step{{always, Open}, {checked, NeedsRoot}, {listed, Identified}}},
		{MemberAdd, root},
		{MemberRemove, root},
		{MemberUpdate, root},
		{MemberPromote, root},

		{Status, []step{{always, Open}, {since36, NeedsRoot}, {checked, NeedsRoot}, {stated, Identified}}},
		{AlarmGet, []step{{always, Open}, {checked, NeedsRoot}, {listed, Identified}}},
		{AlarmSet, []step{{always, Open}, {checked, NeedsRoot}}},
		{Snapshot, root},
		{Hash, root},
		{HashKV, root},
		{Defragment, root},
		{MoveLeader, []step{{always, Open}, {since36, NeedsRoot}, {checked, NeedsRoot}}},
		{Downgrade, []step{{always, Open}, {since36, NeedsRoot}, {checked, NeedsRoot}}},

		{AuthStatus, []step{{always, NeedsRoot}, {since37, Open}}},
		{AuthEnable, root},
		{AuthDisable, root},
		{Authenticate, []step{{always, Open}}},
		{UserAdd, root},
		{UserGet, []step{{always, RootOrOwn}}},
		{UserList, root},
		{UserDelete, root},
		{UserChangePassword, root},
		{UserGrantRole, root},
		{UserRevokeRole, root},
		{RoleAdd, root},
		{RoleGet, []step{{always, RootOrOwn}}},
		{RoleList, root},
		{RoleDelete, root},
		{RoleGrantPermission, root},
		{RoleRevokePermission, root},
	}
}

// MethodNeed is one line of a version's rules.
type MethodNeed struct {
	Method Method `json:"method"`
	Need   Need   `json:"need"`
}

// Rules are what one release of etcd asks for, in the order of the table. A method that the
// release does not have is not among them.
type Rules []MethodNeed

// RulesOf are the rules of a release.
func RulesOf(v cluster.Version) Rules {
	var all Rules
	for _, r := range rules() {
		var need Need
		for _, s := range r.steps {
			if s.since.reached(v) {
				need = s.need
			}
		}
		if need != "" {
			all = append(all, MethodNeed{r.method, need})
		}
	}
	return all
}

// Need is what a method needs; empty for one that the release does not have.
func (r Rules) Need(m Method) Need {
	at := slices.IndexFunc(r, func(n MethodNeed) bool { return n.Method == m })
	if at < 0 {
		return ""
	}
	return r[at].Need
}

// Differing are the methods for which two releases do not ask the same. A method that only one
// of them has makes no difference to who uses neither.
func (r Rules) Differing(other Rules) []Method {
	var methods []Method
	for _, n := range r {
		if theirs := other.Need(n.Method); theirs != "" && theirs != n.Need {
			methods = append(methods, n.Method)
		}
	}
	return methods
}
