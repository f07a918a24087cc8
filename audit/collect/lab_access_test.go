package collect_test

import (
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki/throwaway"
)

// Whose certificate is given where etcd's authentication is on. All but the last two are
// users: root, one whose role reads every key, one whose role reads a few, one without a role.
const (
	root     = "root"
	reader   = "reader"
	narrow   = "narrow"
	idle     = "idle"
	nobody   = "nobody"   // a common name that no user has
	nameless = "nameless" // no common name
)

func users() []string { return []string{root, reader, narrow, idle, nobody, nameless} }

const rootPassword = "correct horse"

// user is the given certificate's, without a SAN.
func (s setup) user() throwaway.Leaf {
	switch s.rbac {
	case "":
		return throwaway.Leaf{CommonName: "auditor", EKUs: bothEKUs}
	case nameless:
		return throwaway.Leaf{EKUs: bothEKUs}
	default:
		return throwaway.Leaf{CommonName: s.rbac, EKUs: bothEKUs}
	}
}

// enableAuth makes the users and switches authentication on. Only the tests write.
func enableAuth(t *testing.T, client *clientv3.Client) {
	t.Helper()
	ctx := t.Context()
	grant := func(role, from, to string) error {
		_, err := client.RoleGrantPermission(ctx, role, from, to, clientv3.PermissionType(clientv3.PermRead))
		return err
	}
	add := func(user string, roles ...string) error {
		options := &clientv3.UserAddOptions{NoPassword: user != root}
		password := ""
		if user == root {
			password = rootPassword
		}
		if _, err := client.UserAddWithOptions(ctx, user, password, options); err != nil {
			return err
		}
		for _, role := range roles {
			if _, err := client.RoleAdd(ctx, role); err != nil {
				return err
			}
			if _, err := client.UserGrantRole(ctx, user, role); err != nil {
				return err
			}
		}
		return nil
	}
	for _, step := range []func() error{
		func() error { _, err := client.Put(ctx, "key", "value"); return err },
		func() error { return add(root, "root") },
		func() error { return add(reader, "reads-all") },
		func() error { return grant("reads-all", "\x00", clientv3.GetPrefixRangeEnd("")) },
		func() error { return add(narrow, "reads-little") },
		func() error { return grant("reads-little", "/registry/", "/registry0") },
		func() error { return add(idle) },
		func() error { _, err := client.AuthEnable(ctx); return err },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
}

// Facts about etcd's authentication.

// looksAtNames: a certificate's common name is a user only where client-cert-auth is on; a
// trusted CA file alone verifies certificates and takes no name (server/etcdserver/v3_server.go,
// AuthInfoFromCtx).
func (s setup) looksAtNames() bool { return s.client == "" || s.client == "both" }

// asUser: the given certificate gets in as somebody, who need not exist.
func (s setup) asUser() bool { return s.rbac != "" && s.credentialed() && s.looksAtNames() }

// listsForAll: CVE-2026-33413, the member list is given to callers without a user.
func (s setup) listsForAll() bool { return s.older("3.5") || s.version == etcdtest.Vulnerable }

// listed: the member list is read, and with it which cluster this is. Where it is not open to
// all, a name suffices, whether or not a user has it (server/etcdserver/api/v3rpc/auth.go, requireAuthInfo).
func (s setup) listed() bool {
	return s.readable() && (s.rbac == "" || s.asUser() || s.listsForAll())
}

// statusRead: Status is open to all in 3.4, root's alone in 3.6.0 to 3.6.11, and takes any
// name in the releases after (server/etcdserver/api/v3rpc/maintenance.go).
func (s setup) statusRead() bool {
	switch {
	case !s.readable(), s.rbac == "", s.older("3.5"):
		return s.readable()
	case s.version == etcdtest.Vulnerable:
		return s.asUser() && s.rbac == root
	default:
		return s.asUser()
	}
}

// clustered: there is a cluster to speak about: the member told which, or the caller said so.
func (s setup) clustered() bool { return s.listed() || s.rbac != "" }

// readsAll: a Range over every key is answered to the given certificate.
func (s setup) readsAll() bool {
	return s.credentialed() && (s.rbac == "" || s.looksAtNames() && (s.rbac == root || s.rbac == reader))
}

// tellsAuthentication: whether it is on shows in how an unknown token is refused, but for 3.4,
// which refuses one in either case; there it shows where somebody reads without a user, or is
// refused for the lack of a user or of a permission (server/auth/store.go, isOpPermitted).
func (s setup) tellsAuthentication() bool {
	return s.readable() && (!s.older("3.5") || s.everybody() || s.rbac != "" && s.credentialed() && !s.readsAll())
}

// expectAccess returns what is seen of etcd's own authentication, which only the rbac setups have on.
func (s setup) expectAccess(want map[string]string) {
	if !s.clustered() {
		return
	}
	set := func(check, verdict string) { want["cluster/"+check] = verdict }
	checks := []string{"auth-disabled", "auth-root-role", "auth-overbroad-role", "auth-cn-unmapped", "auth-unauthenticated-rpc"}
	if !s.tellsAuthentication() {
		for _, check := range checks {
			set(check, "unknown")
		}
		return
	}
	if s.rbac != "" {
		set("auth-disabled", "pass")
		set("auth-unauthenticated-rpc", when(s.listsForAll(), "fail member-list", "pass"))
		s.expectUser(set)
		return
	}
	for _, check := range checks {
		set(check, "skip")
	}
	off := fails(when(s.client == "system-roots", "any-ca", ""), when(s.everybody(), "no-certificate", ""),
		when(want["peer/peer-accepts-client-cert"] == "fail accepted", "shared-ca", ""))
	set("auth-disabled", when(off == "fail ", "pass", off))
}

// expectUser returns what is seen of the user of the given certificate, which is asked where
// certificates are looked at.
func (s setup) expectUser(set func(check, verdict string)) {
	switch {
	case !s.credentialed():
		set("auth-root-role", "skip")
		set("auth-overbroad-role", "skip")
		set("auth-cn-unmapped", "skip")
	case s.readsAll():
		// A role on every key and the role root look alike; root itself goes by its name.
		set("auth-root-role", when(s.rbac == root, "fail root", "skip"))
		set("auth-overbroad-role", "fail whole-keyspace")
		set("auth-cn-unmapped", "pass")
	default:
		set("auth-root-role", "pass")
		set("auth-overbroad-role", "pass")
		// A narrow role and no such user both get "permission denied", but from a Status that looks for the user.
		set("auth-cn-unmapped", when(s.rbac == nameless, "fail no-name", when(!s.looksAtNames(), "fail not-looked-at",
			when(s.rbac == nobody && s.version == etcdtest.Vulnerable, "fail no-such-user", "skip"))))
	}
}
