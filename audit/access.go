package audit

import (
	"slices"
	"strings"
)

// Refusal is why etcd refuses a caller, where its message says it. The gRPC code alone does
// not: "user name is empty" is an invalid argument, as many other things are.
type Refusal string

// The refusals, as etcd words them (api/v3rpc/rpctypes/error.go).
const (
	NoRefusal        Refusal = ""
	UserEmpty        Refusal = "etcdserver: user name is empty"
	UserNotFound     Refusal = "etcdserver: user name not found"
	InvalidToken     Refusal = "etcdserver: invalid auth token" //nolint:gosec // an error message
	PermissionDenied Refusal = "etcdserver: permission denied"
)

// RefusalOf reads the message of a gRPC status. It is NoRefusal for any message but those of
// the list.
func RefusalOf(message string) Refusal {
	switch r := Refusal(message); r {
	case UserEmpty, UserNotFound, InvalidToken, PermissionDenied:
		return r
	default:
		return NoRefusal
	}
}

// The codes of gRPC with which etcd refuses a caller.
const (
	invalidArgument   = 3
	permissionRefused = 7
	unauthenticated   = 16
)

// RefusesToken reports whether etcd's authentication, being on, refused the call's token.
func (r RPC) RefusesToken() bool {
	return r.State == Answered && r.Code == unauthenticated && r.Refusal == InvalidToken
}

// HasNoUser reports whether etcd's authentication, being on, saw no user behind the call.
func (r RPC) HasNoUser() bool {
	return r.State == Answered && r.Code == invalidArgument && r.Refusal == UserEmpty
}

// DeniesPermission reports whether etcd's authentication, being on, found that the user behind the
// call may not do that: where it is off, everything is permitted (server/auth/store.go, isOpPermitted).
func (r RPC) DeniesPermission() bool {
	return r.State == Answered && r.Code == permissionRefused && r.Refusal == PermissionDenied
}

// DeniesCaller reports whether etcd refused the call for want of credentials.
func (r RPC) DeniesCaller() bool {
	return r.State == Answered && (r.Code == permissionRefused || r.Code == unauthenticated) || r.HasNoUser()
}

// refusingAnyToken are the branches that refuse a token they never gave out whether
// authentication is on or off: since 3.5 it is not looked at where it is off
// (server/auth/store.go, AuthInfoFromCtx).
func refusingAnyToken() []string { return []string{"3.0.", "3.1.", "3.2.", "3.3.", "3.4."} }

// tokenTells reports whether the answer to an unknown token tells if authentication is on.
func (l *Listener) tokenTells() bool {
	return l.Version != "" && !slices.ContainsFunc(refusingAnyToken(), func(branch string) bool { return strings.HasPrefix(l.Version, branch) })
}

// Authentication reports whether etcd's own authentication of users is on, and how that was
// seen. Where it was not seen, known is false and seen says why.
func (l *Listener) Authentication() (on, known bool, seen string) {
	for _, call := range l.RPCs {
		switch {
		case call.RefusesToken() && l.tokenTells(), call.HasNoUser(), call.DeniesPermission():
			return true, true, call.Method + " " + string(call.Access) + " got " + call.Message
		case call.Method == BadTokenRangeRPC && call.State == Answered && call.Code == 0:
			return false, true, call.Method + " " + string(call.Access) + " is answered"
		case call.Method == RangeRPC && slices.Contains(Anonymous(), call.Access) && call.State == Answered && call.Code == 0:
			return false, true, call.Method + " " + string(call.Access) + " is answered to nobody"
		}
	}
	at := slices.IndexFunc(l.RPCs, func(r RPC) bool { return r.Method == BadTokenRangeRPC })
	switch {
	case at < 0:
		return false, false, "no call was let in"
	case l.RPCs[at].RefusesToken():
		return false, false, "etcd " + l.Version + " refuses an unknown token whether its authentication is on or off"
	case l.RPCs[at].State == Answered:
		return false, false, BadTokenRangeRPC + " got " + l.RPCs[at].Message
	default:
		return false, false, BadTokenRangeRPC + ": " + l.RPCs[at].Reason
	}
}
