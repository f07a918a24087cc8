package rbac

import (
	"cmp"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/authpb"
)

// Access is what a permission lets its holder do with keys.
type Access string

// The accesses, in etcd's words.
const (
	Read      Access = "read"
	Write     Access = "write"
	ReadWrite Access = "readwrite"
)

// permType is the access as etcd's messages have it.
func (a Access) permType() authpb.Permission_Type {
	switch a {
	case Write:
		return authpb.Permission_WRITE
	case ReadWrite:
		return authpb.Permission_READWRITE
	case Read:
	}
	return authpb.Permission_READ
}

// accessFrom is the inverse of permType; ok is false for a type that etcd does not have.
func accessFrom(t authpb.Permission_Type) (access Access, ok bool) {
	for _, access := range []Access{Read, Write, ReadWrite} {
		if access.permType() == t {
			return access, true
		}
	}
	return "", false
}

// KeyRange is a key, or the keys from Key to End, as etcd takes them: an End of one zero byte is
// the end of all keys, and an empty one is Key alone.
type KeyRange struct {
	Key string `json:"key"`
	End string `json:"end,omitempty"`
}

// openEnd is a range end without an end.
const openEnd = "\x00"

// Prefix is every key that begins with p.
func Prefix(p string) KeyRange {
	end := []byte(p)
	for i := len(end) - 1; i >= 0; i-- {
		if end[i] < 0xff {
			end[i]++
			return KeyRange{Key: p, End: string(end[:i+1])}
		}
	}
	return KeyRange{Key: p, End: openEnd}
}

// Single is one key.
func Single(key string) KeyRange { return KeyRange{Key: key} }

func (k KeyRange) String() string {
	switch {
	case k.End == "":
		return k.Key
	case k.Key == openEnd && k.End == openEnd:
		return "every key"
	case k == Prefix(k.Key):
		return k.Key + "*"
	case k.End == openEnd:
		return "from " + k.Key
	default:
		return k.Key + " to " + k.End
	}
}

// interval is the range half-open: End is the first key beyond, and open says there is none.
func (k KeyRange) interval() (from, to string, open bool) {
	switch k.End {
	case "":
		return k.Key, k.Key + openEnd, false
	case openEnd:
		return k.Key, "", true
	default:
		return k.Key, k.End, false
	}
}

// covered says whether ranges together hold all of another, as etcd joins those of all the roles
// of a user (server/auth/range_perm_cache.go).
func covered(want KeyRange, have []KeyRange) bool {
	at, to, open := want.interval()
	sorted := slices.SortedFunc(slices.Values(have), func(a, b KeyRange) int { return cmp.Compare(a.Key, b.Key) })
	for _, h := range sorted {
		from, end, endless := h.interval()
		if from > at {
			return false
		}
		if endless {
			return true
		}
		at = max(at, end)
		if !open && at >= to {
			return true
		}
	}
	return false
}

// Permission is one of a role's.
type Permission struct {
	Access Access `json:"access"`
	KeyRange
}

func (p Permission) String() string { return string(p.Access) + " " + p.KeyRange.String() }

// Role is a named list of permissions. The role root needs none: etcd lets it do everything.
type Role struct {
	Name        string       `json:"name"`
	Permissions []Permission `json:"permissions"`
}

// Request is one call of a method, with the keys that it touches. Those of a call about a lease
// are the keys that the lease is attached to.
type Request struct {
	Method Method
	Reads  []KeyRange
	Writes []KeyRange
	Own    bool // a question for the caller's own user or role
}

func (r Request) String() string {
	var touched []string
	for _, k := range r.Reads {
		touched = append(touched, k.String())
	}
	for _, k := range r.Writes {
		if !slices.Contains(r.Reads, k) {
			touched = append(touched, k.String())
		}
	}
	return strings.TrimSpace(string(r.Method) + " " + strings.Join(touched, ", "))
}

// Caller is who makes a request. The zero value is who has no certificate.
type Caller struct {
	Identified bool   // a client certificate was presented, whatever its CN
	User       bool   // there is a user of that CN
	Roles      []Role // of the user
}

// Allows is what etcd would answer with RBAC enabled. A method that the release does not have
// is allowed to nobody.
func (r Rules) Allows(c Caller, request Request) bool {
	if slices.ContainsFunc(c.Roles, func(role Role) bool { return role.Name == RootRole }) {
		return r.Need(request.Method) != ""
	}
	switch r.Need(request.Method) {
	case Open:
		return true
	case Identified:
		return c.Identified
	case OfKeys:
		return c.mayTouch(request)
	case IdentifiedAndKeys:
		return c.Identified && c.mayTouch(request)
	case RootOrOwn:
		return c.User && request.Own
	case NeedsRoot:
	}
	return false
}

func (c Caller) mayTouch(request Request) bool {
	var reads, writes []KeyRange
	for _, role := range c.Roles {
		for _, p := range role.Permissions {
			if p.Access != Write {
				reads = append(reads, p.KeyRange)
			}
			if p.Access != Read {
				writes = append(writes, p.KeyRange)
			}
		}
	}
	for _, want := range request.Reads {
		if !covered(want, reads) {
			return false
		}
	}
	for _, want := range request.Writes {
		if !covered(want, writes) {
			return false
		}
	}
	return true
}
