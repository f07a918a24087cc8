package rbac

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Change is one call to etcd. Each brings its users and roles nearer to the plan.
type Change struct {
	Text string // says what the call does, for people

	call func(context.Context, clientv3.Auth) error
	// done is the error by which etcd says that the change is made already; nil if etcd makes it
	// again without an error. When an answer is lost and the call repeated, etcd may have made the
	// change the first time.
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
	return Change{fmt.Sprintf("grant %s to role %s", p, role), func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.RoleGrantPermission(ctx, role, p.Key, p.End, clientv3.PermissionType(p.Access.permType()))
		return err
	}, nil}
}

func revokePermission(role string, p Permission) Change {
	return Change{fmt.Sprintf("revoke %s from role %s", quote(p.String()), role), func(ctx context.Context, auth clientv3.Auth) error {
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
	return Change{fmt.Sprintf("grant role %s to user %s", role, user), func(ctx context.Context, auth clientv3.Auth) error {
		_, err := auth.UserGrantRole(ctx, user, role)
		return err
	}, nil}
}

func revokeRole(user, role string) Change {
	return Change{fmt.Sprintf("revoke role %s from user %s", quote(role), user), func(ctx context.Context, auth clientv3.Auth) error {
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
	c.Text = "mark RBAC as not verified"
	return c
}

func unmark() Change {
	c := deleteRole(markerRole)
	c.Text = "remove the mark"
	return c
}

// Changes returns the calls that bring a cluster to the plan. They grant first and revoke last, so
// that nobody loses in between what the plan grants, but for a user that has a password, or may have
// one: it is deleted and added again. They keep the users and roles that the plan does not name; Extra
// lists them.
func (p Plan) Changes(s State) []Change {
	var all, last []Change
	for _, role := range p.Roles {
		have, exists := findRole(s.Roles, role.Name)
		if !exists {
			all = append(all, addRole(role.Name))
		}
		give, take := role.diff(have)
		all, last = append(all, give...), append(last, take...)
	}
	for _, user := range p.Users {
		var have User
		if at := slices.IndexFunc(s.Users, func(u User) bool { return u.Name == user.Name }); at >= 0 {
			have = s.Users[at]
			if have.Password != PasswordNone {
				all = append(all, replaceUser(have, user.Roles))
				continue
			}
		} else {
			all = append(all, addUser(user.Name))
		}
		give, take := user.diff(have)
		all, last = append(all, give...), append(last, take...)
	}
	return append(all, last...)
}

// diff returns the calls that turn the role in etcd into r: what to give first, and what to take last.
func (r Role) diff(have Role) (give, take []Change) {
	for _, want := range r.Permissions {
		if !slices.Contains(have.Permissions, want) {
			give = append(give, grantPermission(r.Name, want))
		}
	}
	if r.Name == RootRole {
		return give, nil // etcd lets it do everything, whatever its permissions
	}
	for _, given := range have.Permissions {
		// A grant of another access to the same keys takes this one's place.
		if !slices.ContainsFunc(r.Permissions, func(want Permission) bool { return want.KeyRange == given.KeyRange }) {
			take = append(take, revokePermission(r.Name, given))
		}
	}
	return give, take
}

// diff returns the calls that turn the user in etcd into u: what to give first, and what to take last.
func (u User) diff(have User) (give, take []Change) {
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

// Extra lists the users and roles of etcd that the plan does not name, for people.
func (p Plan) Extra(s State) []string {
	var all []string
	for _, user := range s.Users {
		if _, ok := p.User(user.Name); !ok {
			text := fmt.Sprintf("user %s (roles: %s", quote(user.Name), quote(strings.Join(user.Roles, ", ")))
			if user.Password == PasswordSet {
				text += "; it has a password"
			}
			all = append(all, text+")")
		}
	}
	for _, role := range s.Roles {
		if _, ok := p.Role(role.Name); !ok {
			all = append(all, "role "+quote(role.Name))
		}
	}
	return all
}

// Removal returns the calls that delete the users and roles of the plan.
func (p Plan) Removal(s State) []Change {
	var all []Change
	for _, user := range p.Users {
		if slices.ContainsFunc(s.Users, func(u User) bool { return u.Name == user.Name }) {
			all = append(all, deleteUser(user.Name))
		}
	}
	for _, role := range p.Roles {
		if _, ok := findRole(s.Roles, role.Name); ok {
			all = append(all, deleteRole(role.Name))
		}
	}
	return all
}

// findRole finds a role by its name.
func findRole(roles []Role, name string) (Role, bool) {
	at := slices.IndexFunc(roles, func(r Role) bool { return r.Name == name })
	if at < 0 {
		return Role{}, false
	}
	return roles[at], true
}

// quote returns a name from the server, in quotes unless it is plain.
func quote(s string) string {
	q := fmt.Sprintf("%q", s)
	if len(s) > 0 && q[1:len(q)-1] == s {
		return s
	}
	return q
}

// join joins names with commas.
func join[T ~string](all []T) string {
	var b strings.Builder
	for i, s := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(s))
	}
	return b.String()
}
