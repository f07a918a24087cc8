package rbac

import (
	"fmt"
	"slices"
	"strings"
)

// Change is one call that brings the users and roles nearer to the plan.
type Change struct {
	Text string // what is done, for people

	path    string
	request message
	// done is how etcd says that it is so already: a call that is repeated, because its answer
	// was lost, may have been heard the first time.
	done string
}

// The answers of etcd's api/v3rpc/rpctypes/error.go to what is so already.
const (
	roleExists   = "role name already exists"
	roleMissing  = "role name not found"
	userExists   = "user name already exists"
	userMissing  = "user name not found"
	notGranted   = "permission is not granted to the role"
	roleNotGiven = "role is not granted to the user"
)

// Changes are what is missing or too much, in an order in which nobody loses what the plan gives
// while they are made. Users and roles that the plan does not name stay; Extra lists them.
func (p Plan) Changes(s State) []Change {
	var all, last []Change
	for _, role := range p.Roles {
		have, exists := find(s.Roles, role.Name)
		if !exists {
			all = append(all, Change{"add role " + role.Name, "Auth/RoleAdd", message{}.text(1, role.Name), roleExists})
		}
		give, take := role.changes(have)
		all, last = append(all, give...), append(last, take...)
	}
	for _, user := range p.Users {
		var have User
		if at := slices.IndexFunc(s.Users, func(u User) bool { return u.Name == user.Name }); at >= 0 {
			have = s.Users[at]
		} else {
			noPassword := message{}.number(1, 1)
			all = append(all, Change{"add user " + user.Name + " without a password", "Auth/UserAdd", message{}.text(1, user.Name).inner(3, noPassword), userExists})
		}
		give, take := user.changes(have)
		all, last = append(all, give...), append(last, take...)
	}
	return append(all, last...)
}

// changes make of the role that is there this one.
func (r Role) changes(have Role) (give, take []Change) {
	for _, want := range r.Permissions {
		if !slices.Contains(have.Permissions, want) {
			give = append(give, Change{
				fmt.Sprintf("grant role %s %s", r.Name, want),
				"Auth/RoleGrantPermission", message{}.text(1, r.Name).inner(2, permission(want)), "",
			})
		}
	}
	if r.Name == RootRole {
		return give, nil // its permissions are nothing beside what it may without
	}
	for _, given := range have.Permissions {
		// A grant of another access to the same keys takes this one's place.
		if !slices.ContainsFunc(r.Permissions, func(want Permission) bool { return want.KeyRange == given.KeyRange }) {
			take = append(take, Change{
				fmt.Sprintf("revoke of role %s %s", r.Name, quoted(given.String())),
				"Auth/RoleRevokePermission", message{}.text(1, r.Name).text(2, given.Key).text(3, given.End), notGranted,
			})
		}
	}
	return give, take
}

// changes make of the user that is there this one.
func (u User) changes(have User) (give, take []Change) {
	for _, role := range u.Roles {
		if !slices.Contains(have.Roles, role) {
			give = append(give, Change{fmt.Sprintf("grant user %s role %s", u.Name, role), "Auth/UserGrantRole", message{}.text(1, u.Name).text(2, role), ""})
		}
	}
	for _, role := range have.Roles {
		if !slices.Contains(u.Roles, role) {
			take = append(take, Change{
				fmt.Sprintf("revoke of user %s role %s", u.Name, quoted(role)),
				"Auth/UserRevokeRole", message{}.text(1, u.Name).text(2, role), roleNotGiven,
			})
		}
	}
	return give, take
}

// Extra are the users and roles that the plan does not name.
func (p Plan) Extra(s State) []string {
	var all []string
	for _, user := range s.Users {
		if _, ok := p.User(user.Name); !ok {
			all = append(all, fmt.Sprintf("user %s (roles: %s)", quoted(user.Name), quoted(strings.Join(user.Roles, ", "))))
		}
	}
	for _, role := range s.Roles {
		if _, ok := p.Role(role.Name); !ok {
			all = append(all, "role "+quoted(role.Name))
		}
	}
	return all
}

// Removal takes the users and roles of the plan away again.
func (p Plan) Removal(s State) []Change {
	var all []Change
	for _, user := range p.Users {
		if slices.ContainsFunc(s.Users, func(u User) bool { return u.Name == user.Name }) {
			all = append(all, Change{"delete user " + user.Name, "Auth/UserDelete", message{}.text(1, user.Name), userMissing})
		}
	}
	for _, role := range p.Roles {
		if _, ok := find(s.Roles, role.Name); ok {
			all = append(all, Change{"delete role " + role.Name, "Auth/RoleDelete", message{}.text(1, role.Name), roleMissing})
		}
	}
	return all
}

func find(roles []Role, name string) (Role, bool) {
	at := slices.IndexFunc(roles, func(r Role) bool { return r.Name == name })
	if at < 0 {
		return Role{}, false
	}
	return roles[at], true
}

// quoted is a name of the server's as it is where it is plain, and quoted otherwise.
func quoted(s string) string {
	q := fmt.Sprintf("%q", s)
	if len(s) > 0 && q[1:len(q)-1] == s {
		return s
	}
	return q
}

func joined[T ~string](all []T) string {
	var b strings.Builder
	for i, s := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(s))
	}
	return b.String()
}
