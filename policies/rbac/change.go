package rbac

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Change is one call that brings the users and roles nearer to the plan.
type Change struct {
	Text string // what is done, for people

	call func(context.Context, clientv3.Auth) error
	// done is how etcd says that it is so already; nil for a change that it makes again. A call
	// that is repeated, because its answer was lost, may have been heard the first time.
	done error
}

func addRole(name string) Change {
	return Change{"add role " + name, func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.RoleAdd(ctx, name)
		return err
	}, rpctypes.ErrRoleAlreadyExist}
}

func deleteRole(name string) Change {
	return Change{"delete role " + name, func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.RoleDelete(ctx, name)
		return err
	}, rpctypes.ErrRoleNotFound}
}

func grantPermission(role string, p Permission) Change {
	return Change{fmt.Sprintf("grant role %s %s", role, p), func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.RoleGrantPermission(ctx, role, p.Key, p.End, clientv3.PermissionType(p.Access.permType()))
		return err
	}, nil}
}

func revokePermission(role string, p Permission) Change {
	return Change{fmt.Sprintf("revoke of role %s %s", role, quoted(p.String())), func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.RoleRevokePermission(ctx, role, p.Key, p.End)
		return err
	}, rpctypes.ErrPermissionNotGranted}
}

func addUser(name string) Change {
	return Change{"add user " + name + " without a password", func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.UserAddWithOptions(ctx, name, "", &clientv3.UserAddOptions{NoPassword: true})
		return err
	}, rpctypes.ErrUserAlreadyExist}
}

func deleteUser(name string) Change {
	return Change{"delete user " + name, func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.UserDelete(ctx, name)
		return err
	}, rpctypes.ErrUserNotFound}
}

func grantRole(user, role string) Change {
	return Change{fmt.Sprintf("grant user %s role %s", user, role), func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.UserGrantRole(ctx, user, role)
		return err
	}, nil}
}

func revokeRole(user, role string) Change {
	return Change{fmt.Sprintf("revoke of user %s role %s", user, quoted(role)), func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.UserRevokeRole(ctx, user, role)
		return err
	}, rpctypes.ErrRoleNotGranted}
}

func enable() Change {
	return Change{"enable RBAC", func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.AuthEnable(ctx)
		return err
	}, nil}
}

func disable() Change {
	return Change{"disable RBAC", func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.AuthDisable(ctx)
		return err
	}, nil}
}

// markUnverified begins a run that enables RBAC; unmark ends it.
func markUnverified() Change {
	c := addRole(markerRole)
	c.Text = "mark that what follows is not verified"
	return c
}

func unmark() Change {
	c := deleteRole(markerRole)
	c.Text = "take away the mark"
	return c
}

// Changes are what is missing or too much, in an order in which nobody loses what the plan gives
// while they are made. Users and roles that the plan does not name stay; Extra lists them.
func (p Plan) Changes(s State) []Change {
	var all, last []Change
	for _, role := range p.Roles {
		have, exists := find(s.Roles, role.Name)
		if !exists {
			all = append(all, addRole(role.Name))
		}
		give, take := role.changes(have)
		all, last = append(all, give...), append(last, take...)
	}
	for _, user := range p.Users {
		var have User
		if at := slices.IndexFunc(s.Users, func(u User) bool { return u.Name == user.Name }); at >= 0 {
			have = s.Users[at]
		} else {
			all = append(all, addUser(user.Name))
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
			give = append(give, grantPermission(r.Name, want))
		}
	}
	if r.Name == RootRole {
		return give, nil // its permissions are nothing beside what it may without
	}
	for _, given := range have.Permissions {
		// A grant of another access to the same keys takes this one's place.
		if !slices.ContainsFunc(r.Permissions, func(want Permission) bool { return want.KeyRange == given.KeyRange }) {
			take = append(take, revokePermission(r.Name, given))
		}
	}
	return give, take
}

// changes make of the user that is there this one.
func (u User) changes(have User) (give, take []Change) {
	for _, role := range u.Roles {
		if !slices.Contains(have.Roles, role) {
			give = append(give, grantRole(u.Name, role))
		}
	}
	for _, role := range have.Roles {
		if !slices.Contains(u.Roles, role) {
			take = append(take, revokeRole(u.Name, role))
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
			all = append(all, deleteUser(user.Name))
		}
	}
	for _, role := range p.Roles {
		if _, ok := find(s.Roles, role.Name); ok {
			all = append(all, deleteRole(role.Name))
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
