// Package rbac plans, applies and proves the users and roles of etcd. Each client of the spec gets a
// user without a password, which etcd knows by the CN of the client's certificate. A user gets the
// permissions that its work needs by the rules of the cluster's release of etcd, and no others.
//
// [NewPlan] plans without asking anybody. [Live] reads, changes and proves a running cluster; it asks
// each member on its own, through etcd's own client.
package rbac

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// RootUser and RootRole are the user and the role that etcd itself knows. It enables RBAC only if the
// user exists and has the role.
const (
	RootUser = "root"
	RootRole = "root"
)

// DefaultPrefix is kube-apiserver's default for --etcd-prefix.
const DefaultPrefix = "/registry"

// healthKey is the key that `etcdctl endpoint health` reads.
const healthKey = "health"

// User is a user of etcd. Its name is the CN of a certificate; it has no password.
type User struct {
	Name  string   `json:"name"`
	Roles []string `json:"roles"`
	// Client is the role that the spec gives the client. It is empty for etcd's own user root, if no
	// client has that name.
	Client cluster.Role `json:"client_role,omitempty"`
	// Password is known only of a user of etcd; it is empty in a plan.
	Password Password `json:"password,omitempty"`
}

// Plan lists the users and roles that a cluster needs. Its JSON fields are only ever added to.
type Plan struct {
	SchemaVersion int `json:"schema_version"`

	Cluster    string             `json:"cluster"`
	Version    string             `json:"etcd_version"`
	Prefix     string             `json:"prefix"`
	Compaction cluster.Compaction `json:"compaction"`
	Roles      []Role             `json:"roles"`
	Users      []User             `json:"users"`
	// Consequences tells in sentences what changes for whom, and which flags etcd and
	// kube-apiserver need.
	Consequences []string `json:"consequences"`
	Rules        Rules    `json:"rules"`
}

// A Refusal tells why a plan would break the cluster, and what to do instead.
type Refusal struct{ Problem, Fix string }

func (r *Refusal) Error() string { return strings.Join(r.ErrorLines(), "\n") }

// ErrorLines returns the lines of the error: the problem, and the fix behind two spaces.
func (r *Refusal) ErrorLines() []string { return []string{r.Problem, "  " + r.Fix} }

// PrefixError means that a text cannot be kube-apiserver's --etcd-prefix.
type PrefixError struct{ Prefix, Problem, Instead string }

func (e *PrefixError) Error() string { return fmt.Sprintf("%q: %s", e.Prefix, e.Problem) }

// CheckPrefix returns an error if every key has the prefix, or none of kube-apiserver's has.
func CheckPrefix(prefix string) *PrefixError {
	switch bare := strings.Trim(prefix, "/"); {
	case bare == "":
		return &PrefixError{prefix, "want the beginning of kube-apiserver's keys, not that of every key", DefaultPrefix}
	case !strings.HasPrefix(prefix, "/"):
		return &PrefixError{prefix, "want the beginning of kube-apiserver's keys, each of which begins with a slash", "/" + bare}
	}
	return nil
}

// NewPlan plans the users and roles of a cluster whose members run the given version of etcd. prefix
// is kube-apiserver's --etcd-prefix; empty means its default. The error joins every *Refusal; the
// plan is returned with it.
func NewPlan(c *cluster.Cluster, version cluster.Version, prefix string) (Plan, error) {
	if prefix == "" {
		prefix = DefaultPrefix
	}
	p := Plan{
		SchemaVersion: 1, Cluster: c.Name, Version: version.String(), Prefix: keyPrefix(prefix),
		Compaction: c.RBAC.Compaction, Rules: RulesFor(version),
	}
	p.Roles = leastRoles(p.Prefix)
	for _, client := range c.Clients {
		p.Users = append(p.Users, User{Name: c.CommonName(client), Roles: rolesFor(client.Role, p.Compaction), Client: client.Role})
	}
	if !slices.ContainsFunc(p.Users, func(u User) bool { return u.Name == RootUser }) {
		p.Users = append(p.Users, User{Name: RootUser, Roles: []string{RootRole}})
	}
	p.Roles = slices.DeleteFunc(p.Roles, func(r Role) bool {
		return !slices.ContainsFunc(p.Users, func(u User) bool { return slices.Contains(u.Roles, r.Name) })
	})
	p.Consequences = p.listConsequences(c)
	return p, p.check(c, version)
}

// leastRoles returns every role, with the least permissions that its work needs.
func leastRoles(prefix string) []Role {
	return []Role{
		{Name: RootRole, Permissions: []Permission{}},
		{Name: string(cluster.RoleKubernetes), Permissions: []Permission{
			{ReadWrite, Prefix(prefix)}, {ReadWrite, Single(compactRevKey)},
		}},
		{Name: string(cluster.RoleHealthcheck), Permissions: []Permission{{Read, Single(healthKey)}}},
		{Name: string(cluster.RoleAuditor), Permissions: []Permission{{Read, Prefix(prefix)}}},
	}
}

// rolesFor returns the roles of etcd for a client of a role of the spec.
func rolesFor(role cluster.Role, compaction cluster.Compaction) []string {
	switch role {
	case cluster.RoleRoot, cluster.RoleBackup: // Snapshot is for root alone
		return []string{RootRole}
	case cluster.RoleKubernetes:
		if compaction == cluster.CompactionByAPIServer {
			return []string{RootRole}
		}
		return []string{string(role)}
	case cluster.RoleHealthcheck, cluster.RoleAuditor:
		return []string{string(role)}
	case cluster.RoleMonitoring: // /metrics and /health know no users
	}
	return []string{}
}

// Role finds a role by its name.
func (p Plan) Role(name string) (Role, bool) {
	at := slices.IndexFunc(p.Roles, func(r Role) bool { return r.Name == name })
	if at < 0 {
		return Role{}, false
	}
	return p.Roles[at], true
}

// User finds a user by its name.
func (p Plan) User(name string) (User, bool) {
	at := slices.IndexFunc(p.Users, func(u User) bool { return u.Name == name })
	if at < 0 {
		return User{}, false
	}
	return p.Users[at], true
}

// Caller returns how etcd sees the holder of a certificate with that CN, under the plan.
func (p Plan) Caller(commonName string) Caller {
	user, known := p.User(commonName)
	c := Caller{Identified: true, User: known}
	for _, name := range user.Roles {
		if role, ok := p.Role(name); ok {
			c.Roles = append(c.Roles, role)
		}
	}
	return c
}

// check returns the Refusals of a plan.
func (p Plan) check(c *cluster.Cluster, version cluster.Version) error {
	var faults []error
	refuse := func(problem, fix string) { faults = append(faults, &Refusal{problem, fix}) }
	if !slices.ContainsFunc(c.Clients, func(client cluster.Client) bool { return client.Role == cluster.RoleRoot }) {
		refuse("spec.clients: no client has role root: nobody could administer etcd or disable RBAC again",
			"add to spec.clients: - {name: root, role: root}   # then: etcdsec pki issue -f cluster.yaml DIR")
	}
	if p.Compaction == "" {
		refuse("spec.rbac.compaction: is missing: API servers compact etcd every five minutes, which takes role root since etcd 3.5.28 and 3.6.9; without compaction the database grows until etcd refuses writes (etcd-io/etcd#8458)",
			"set spec.rbac.compaction: etcd, or apiserver to give kube-apiserver role root")
	}
	for _, client := range c.Clients {
		if client.Role != cluster.RoleKubernetes || p.Compaction == "" {
			continue
		}
		for _, request := range apiServerRequests(p.Prefix, p.Compaction == cluster.CompactionByAPIServer) {
			if p.Rules.Allows(p.Caller(c.CommonName(client)), request) {
				continue
			}
			refuse(fmt.Sprintf("user %s: etcd %s allows %s only for role root, and kube-apiserver needs it", c.CommonName(client), version, request),
				"upgrade etcd to 3.5.32, 3.6.12 or newer, or set spec.rbac.compaction: apiserver, which gives kube-apiserver role root")
		}
	}
	return errors.Join(faults...)
}

// listConsequences returns the consequences of a plan, the most important ones first.
func (p Plan) listConsequences(c *cluster.Cluster) []string {
	var all []string
	say := func(format string, args ...any) { all = append(all, fmt.Sprintf(format, args...)) }
	kubernetes := clientNames(c, cluster.RoleKubernetes)
	switch p.Compaction {
	case cluster.CompactionByEtcd:
		say("etcd compacts itself: every member runs with --auto-compaction-mode=periodic --auto-compaction-retention=%s, and every kube-apiserver with --etcd-compaction-interval=0. Where either is missing, kube-apiserver logs errors or the database fills.", cluster.AutoCompactionRetention)
		say("an API server does not learn what etcd compacted: from its watch cache it may answer the next page of a list at a revision that etcd no longer has (k8s.io/apiserver pkg/storage/cacher/compactor.go).")
		say("%s only reads and writes %s and %s.", kubernetes, Prefix(p.Prefix), compactRevKey)
	case cluster.CompactionByAPIServer:
		say("kube-apiserver continues to compact etcd, and needs role root for it: %s has this role. Whoever holds its certificate owns etcd, as without RBAC; only the other clients are limited.", kubernetes)
	}
	if backups := clientNames(c, cluster.RoleBackup); backups != "" {
		say("%s has role root, because etcd gives snapshots only to this role. Guard its key like the root key, or take backups with `etcdutl` from a copy of the data dir.", backups)
	}
	if p.Rules.Need(Status) == NeedsRoot {
		say("etcd %s allows Status only for role root: health checks and audits that ask for it are refused (3.5.32, 3.6.12 and newer answer every client).", p.Version)
	}
	if monitoring := clientNames(c, cluster.RoleMonitoring); monitoring != "" {
		say("%s gets a user without a role: /metrics and /health need a certificate, but no user.", monitoring)
	}
	if c.Etcd.EnableGRPCGateway {
		say("the JSON gateway (spec.etcd.enableGRPCGateway) no longer works: etcd ignores the CN of its certificate, and these users have no password to log in with.")
	}
	if c.PKI.Hierarchy == cluster.Shared {
		say("RBAC has a hole here: spec.pki.hierarchy is shared, so every client's certificate opens the peer port, where RBAC has no effect.")
	} else {
		say("RBAC does not limit peers: whoever holds a member's peer certificate reads and writes everything.")
	}
	say("each certificate needs the CN of its user. A certificate with another CN is refused, except for what etcd %s allows everyone: %s.", p.Version, p.Rules.listOpen())
	return all
}

// listOpen lists the methods that every certificate of a trusted CA may call.
func (r Rules) listOpen() string {
	var methods []string
	for _, n := range r {
		if n.Need == Open || n.Need == Identified {
			methods = append(methods, string(n.Method))
		}
	}
	return strings.Join(methods, ", ")
}

// clientNames lists the users of the clients with a role.
func clientNames(c *cluster.Cluster, role cluster.Role) string {
	var names []string
	for _, client := range c.Clients {
		if client.Role == role {
			names = append(names, c.CommonName(client))
		}
	}
	return strings.Join(names, ", ")
}
