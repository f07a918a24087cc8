package rbac

import (
	"cmp"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/authpb"
)

// Access names the use of keys that a permission allows.
type Access string

// The accesses, in etcd's words.
const (
	Read      Access = "read"
	Write     Access = "write"
	ReadWrite Access = "readwrite"
)

// permType returns the access as it is in etcd's messages.
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

// KeyRange is a key, or the keys from Key up to End and without it, as etcd takes them. An empty End
// means Key alone, and an End of one zero byte means all keys from Key on.
type KeyRange struct {
	Key string `json:"key"`
	End string `json:"end,omitempty"`
}

// openEnd is the End of a range that has none.
const openEnd = "\x00"

// Prefix returns the range of every key that begins with p.
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

// Single returns the range of one key.
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

// bounds returns the first key of a range and the first key beyond it. open reports that there is
// none beyond.
func (k KeyRange) bounds() (from, to string, open bool) {
	switch k.End {
	case "":
		return k.Key, k.Key + openEnd, false
	case openEnd:
		return k.Key, "", true
	default:
		return k.Key, k.End, false
	}
}

// isCovered reports whether the ranges of have together hold all of want. etcd joins the ranges of
// all the roles of a user in this way (server/auth/range_perm_cache.go).
func isCovered(want KeyRange, have []KeyRange) bool {
	at, to, open := want.bounds()
	sorted := slices.SortedFunc(slices.Values(have), func(a, b KeyRange) int { return cmp.Compare(a.Key, b.Key) })
	for _, h := range sorted {
		from, end, endless := h.bounds()
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

// Permission allows a role one access to one range of keys.
type Permission struct {
	Access Access `json:"access"`
	KeyRange
}

func (p Permission) String() string { return string(p.Access) + " " + p.KeyRange.String() }

// Role is a named list of permissions. The role root needs none: etcd allows it everything.
type Role struct {
	Name        string       `json:"name"`
	Permissions []Permission `json:"permissions"`
}

// Request is one call of a method, with the keys that it touches. A call about a lease touches the
// keys that the lease is attached to.
type Request struct {
	Method Method
	Reads  []KeyRange
	Writes []KeyRange
	Own    bool // it asks about the caller's own user or role
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

// Caller describes who makes a request. The zero value has no certificate.
type Caller struct {
	Identified bool   // a client certificate was presented, whatever its CN
	User       bool   // there is a user of that CN
	Roles      []Role // of the user
}

// Allows reports whether etcd would allow a request while RBAC is enabled. It is false for a
// method that the release does not have.
func (r Rules) Allows(c Caller, request Request) bool {
	if slices.ContainsFunc(c.Roles, func(role Role) bool { return role.Name == RootRole }) {
		return r.Need(request.Method) != ""
	}
	switch r.Need(request.Method) {
	case Open:
		return true
	case Identified:
		return c.Identified
	case NeedsKeys:
		return c.mayTouch(request)
	case IdentifiedAndKeys:
		return c.Identified && c.mayTouch(request)
	case RootOrOwn:
		return c.User && request.Own
	case NeedsRoot:
	}
	return false
}

// mayTouch reports whether the roles of a caller allow it the keys of a request.
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
		if !isCovered(want, reads) {
			return false
		}
	}
	for _, want := range request.Writes {
		if !isCovered(want, writes) {
			return false
		}
	}
	return true
}
