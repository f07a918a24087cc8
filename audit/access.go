package audit

import (
	"slices"
	"strings"
)

// Refusal is the reason why etcd refuses a caller, as its message tells it. The gRPC code is not
// enough: "user name is empty" is an invalid argument, like many other errors.
type Refusal string

// The refusals, as etcd words them (api/v3rpc/rpctypes/error.go).
const (
	NoRefusal        Refusal = ""
	UserEmpty        Refusal = "etcdserver: user name is empty"
	UserNotFound     Refusal = "etcdserver: user name not found"
	InvalidToken     Refusal = "etcdserver: invalid auth token" //nolint:gosec // an error message
	PermissionDenied Refusal = "etcdserver: permission denied"
)

// RefusalOf returns the [Refusal] in the message of a gRPC status, or [NoRefusal] for any other message.
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

// RefusesToken reports whether etcd refused the call's token, as it does with authentication on.
func (r RPC) RefusesToken() bool {
	return r.State == Answered && r.Code == unauthenticated && r.Refusal == InvalidToken
}

// HasNoUser reports whether etcd found no user for the call, as it does with authentication on.
func (r RPC) HasNoUser() bool {
	return r.State == Answered && r.Code == invalidArgument && r.Refusal == UserEmpty
}

// DeniesPermission reports whether etcd found that the call's user lacks the permission. With
// authentication off, everything is permitted (server/auth/store.go, isOpPermitted).
func (r RPC) DeniesPermission() bool {
	return r.State == Answered && r.Code == permissionRefused && r.Refusal == PermissionDenied
}

// DeniesCaller reports whether etcd refused the call because of its missing or wrong credentials.
func (r RPC) DeniesCaller() bool {
	return r.State == Answered && (r.Code == permissionRefused || r.Code == unauthenticated) || r.HasNoUser()
}

// refusingAnyToken returns the branches that refuse an unknown token whether authentication is on or
// off. Since 3.5, etcd ignores the token if authentication is off (server/auth/store.go,
// AuthInfoFromCtx).
func refusingAnyToken() []string { return []string{"3.0.", "3.1.", "3.2.", "3.3.", "3.4."} }

// tokenTells reports whether the answer to an unknown token shows if authentication is on.
func (l *Listener) tokenTells() bool {
	return l.Version != "" && !slices.ContainsFunc(refusingAnyToken(), func(branch string) bool { return strings.HasPrefix(l.Version, branch) })
}

// Authentication reports whether etcd's own authentication of users is on, and which answer shows it.
// If no answer shows it, known is false and seen gives the reason.
func (l *Listener) Authentication() (on, known bool, seen string) {
	for _, call := range l.RPCs {
		switch {
		case call.RefusesToken() && l.tokenTells(), call.HasNoUser(), call.DeniesPermission():
			return true, true, call.Method + " " + string(call.Access) + " got " + call.Message
		case call.Method == BadTokenRangeRPC && call.State == Answered && call.Code == 0:
			return false, true, call.Method + " " + string(call.Access) + " got an answer"
		case call.Method == RangeRPC && slices.Contains(Anonymous(), call.Access) && call.State == Answered && call.Code == 0:
			return false, true, call.Method + " " + string(call.Access) + " got an answer without a user"
		}
	}
	at := slices.IndexFunc(l.RPCs, func(r RPC) bool { return r.Method == BadTokenRangeRPC })
	switch {
	case at < 0:
		return false, false, "the server accepted no call"
	case l.RPCs[at].RefusesToken():
		return false, false, "etcd " + l.Version + " refuses an unknown token whether its authentication is on or off"
	case l.RPCs[at].State == Answered:
		return false, false, BadTokenRangeRPC + " got " + l.RPCs[at].Message
	default:
		return false, false, BadTokenRangeRPC + ": " + l.RPCs[at].Reason
	}
}
