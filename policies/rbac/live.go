package rbac

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/etcdsec/etcdsec/cluster"
)

// markerRole exists in etcd from before a run enables RBAC until every certificate has passed. If a
// run is killed in between, the next one finds it. It has no permissions, and no user has it.
const markerRole = "etcdsec-unverified"

// Live is a running cluster, and the administrator who changes it.
type Live struct {
	Endpoints []string       // host:port of the client port of every member
	Roots     *x509.CertPool // verify the servers' certificates; nil means the operating system's
	Admin     Client
	Timeout   time.Duration // bounds one call; 0 means DefaultTimeout

	Narrate func(format string, args ...any) // is told of each step; may be nil
}

// Member describes one member of a cluster, as it answered.
type Member struct {
	Endpoint string          `json:"endpoint"`
	Version  cluster.Version `json:"-"`
	Release  string          `json:"version"`
}

// State holds the users and roles of a running cluster.
type State struct {
	Members []Member `json:"members"`
	Enabled bool     `json:"enabled"`
	// Unverified reports whether a run that enabled RBAC, or was about to, did not finish.
	Unverified bool   `json:"unverified"`
	Users      []User `json:"users"`
	Roles      []Role `json:"roles"`
}

// connect prepares a connection to one member with the certificate of a client.
func (l *Live) connect(c Client, endpoint string) (*member, error) {
	config := &tls.Config{RootCAs: l.Roots, MinVersion: tls.VersionTLS12}
	if c.Certificate != nil {
		config.Certificates = []tls.Certificate{*c.Certificate}
	}
	return newMember(endpoint, config, l.Timeout)
}

func (l *Live) narrate(format string, args ...any) {
	if l.Narrate != nil {
		l.Narrate(format, args...)
	}
}

// State asks every member for its version, and the first one for the users and roles. A member that
// does not answer is an error, because nobody knows which rules it has. A learner is a *LearnerError.
func (l *Live) State(ctx context.Context) (State, error) {
	var s State
	if len(l.Endpoints) == 0 {
		return s, errors.New("asking etcd: there is no endpoint")
	}
	var faults []error
	asked := map[uint64]bool{}
	var clusterID uint64
	for _, endpoint := range l.Endpoints {
		found, at, err := l.status(ctx, endpoint)
		if err != nil {
			faults = append(faults, fmt.Errorf("asking %s: %w", endpoint, err))
			continue
		}
		if clusterID != 0 && at.cluster != clusterID {
			faults = append(faults, fmt.Errorf("asking %s: it belongs to another cluster than %s", endpoint, s.Members[0].Endpoint))
		}
		clusterID = at.cluster
		asked[at.member] = true
		if at.learner {
			faults = append(faults, &LearnerError{Endpoint: endpoint, ID: at.member})
		}
		s.Members = append(s.Members, found)
	}
	if err := errors.Join(faults...); err != nil {
		return s, err
	}
	admin, err := l.connect(l.Admin, l.Endpoints[0])
	if err != nil {
		return s, err
	}
	defer admin.close()
	if err := checkEveryMember(ctx, admin, asked); err != nil {
		return s, err
	}
	if err := s.read(ctx, admin); err != nil {
		return s, err
	}
	return s, s.readPasswords(ctx, admin)
}

// Users reads the users and roles from the first member that answers. Disabling RBAC needs no more,
// and works while other members are down.
func (l *Live) Users(ctx context.Context) (State, error) {
	var faults []error
	for _, endpoint := range l.Endpoints {
		s, err := l.readUsersFrom(ctx, endpoint)
		if err == nil {
			return s, nil
		}
		faults = append(faults, err)
	}
	return State{}, errors.Join(faults...)
}

func (l *Live) readUsersFrom(ctx context.Context, endpoint string) (State, error) {
	var s State
	admin, err := l.connect(l.Admin, endpoint)
	if err != nil {
		return s, err
	}
	defer admin.close()
	return s, s.read(ctx, admin)
}

// identity holds the IDs of the cluster and of the member that answered.
type identity struct {
	cluster, member uint64
	learner         bool
}

func (l *Live) status(ctx context.Context, endpoint string) (Member, identity, error) {
	m, err := l.connect(l.Admin, endpoint)
	if err != nil {
		return Member{}, identity{}, err
	}
	defer m.close()
	var answer *pb.StatusResponse
	err = m.call(ctx, func(ctx context.Context) (err error) {
		answer, err = m.status(ctx)
		return err
	})
	if err != nil {
		return Member{}, identity{}, err
	}
	found := Member{Endpoint: endpoint, Release: makeLegible(answer.GetVersion())}
	at := identity{answer.GetHeader().GetClusterId(), answer.GetHeader().GetMemberId(), answer.GetIsLearner()}
	found.Version, err = cluster.ParseVersion(found.Release)
	return found, at, err
}

// checkEveryMember checks that every member of the cluster was asked. A member that was not may run
// another version, or accept clients without a certificate.
func checkEveryMember(ctx context.Context, admin *member, asked map[uint64]bool) error {
	var list *clientv3.MemberListResponse
	err := admin.call(ctx, func(ctx context.Context) (err error) {
		list, err = admin.client.MemberList(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("asking %s for the members: %w", admin.address, err)
	}
	for _, m := range list.Members {
		if m.GetIsLearner() {
			return fmt.Errorf("asking %s for the members: %w", admin.address, &LearnerError{Name: m.GetName(), ID: m.GetID()})
		}
		if !asked[m.GetID()] {
			return fmt.Errorf("asking %s for the members: member %q (%x) is not among the endpoints; name every member", admin.address, makeLegible(m.GetName()), m.GetID())
		}
	}
	return nil
}

// maxNames limits the users and the roles, because each takes a call. No cluster has so many.
const maxNames = 2000

// read fills in the users and roles, and whether RBAC is enabled.
func (s *State) read(ctx context.Context, admin *member) error {
	if err := s.readEnabled(ctx, admin); err != nil {
		return fmt.Errorf("asking %s whether RBAC is enabled: %w", admin.address, err)
	}
	if err := s.readUsers(ctx, admin); err != nil {
		return fmt.Errorf("asking %s for its users: %w", admin.address, err)
	}
	if err := s.readRoles(ctx, admin); err != nil {
		return fmt.Errorf("asking %s for its roles: %w", admin.address, err)
	}
	return nil
}

func (s *State) readEnabled(ctx context.Context, admin *member) error {
	return admin.call(ctx, func(ctx context.Context) error {
		answer, err := admin.client.AuthStatus(ctx)
		if err == nil {
			s.Enabled = answer.Enabled
		}
		return err
	})
}

func (s *State) readUsers(ctx context.Context, admin *member) error {
	var names []string
	err := admin.call(ctx, func(ctx context.Context) error {
		answer, err := admin.client.UserList(ctx)
		if err == nil {
			names, err = sortNames(answer.Users)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		user := User{Name: name, Roles: []string{}}
		err := admin.call(ctx, func(ctx context.Context) error {
			answer, err := admin.client.UserGet(ctx, name)
			if err == nil {
				user.Roles = append([]string{}, answer.Roles...)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("user %q: %w", name, err)
		}
		s.Users = append(s.Users, user)
	}
	return nil
}

func (s *State) readRoles(ctx context.Context, admin *member) error {
	var names []string
	err := admin.call(ctx, func(ctx context.Context) error {
		answer, err := admin.client.RoleList(ctx)
		if err == nil {
			names, err = sortNames(answer.Roles)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == markerRole {
			s.Unverified = true
			continue
		}
		role := Role{Name: name}
		err := admin.call(ctx, func(ctx context.Context) error {
			answer, err := admin.client.RoleGet(ctx, name)
			if err == nil {
				role.Permissions, err = permissionsFrom(answer.Perm)
			}
			return err
		})
		if err != nil {
			return fmt.Errorf("role %q: %w", name, err)
		}
		s.Roles = append(s.Roles, role)
	}
	return nil
}

// sortNames sorts the names of users or roles, and refuses too many.
func sortNames(names []string) ([]string, error) {
	if len(names) > maxNames {
		return nil, fmt.Errorf("there are %d; no more than %d are read", len(names), maxNames)
	}
	return slices.Sorted(slices.Values(names)), nil
}

// permissionsFrom converts the permissions of a role, as etcd answers them.
func permissionsFrom(answer []*authpb.Permission) ([]Permission, error) {
	all := []Permission{}
	for _, p := range answer {
		access, ok := accessFrom(p.GetPermType())
		if !ok {
			return nil, fmt.Errorf("a permission has the type %d, which etcd does not have", p.GetPermType())
		}
		all = append(all, Permission{Access: access, KeyRange: KeyRange{Key: string(p.GetKey()), End: string(p.GetRangeEnd())}})
	}
	return all, nil
}

// A VersionError means that the release of a member has other rules than the release of the plan.
type VersionError struct {
	Endpoint  string
	Release   string   // of the member
	Planned   string   // the release of the plan
	Differing []Method // whose rules are not the same
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("%s runs etcd %s, and the plan is for %s, which has other rules for %s", e.Endpoint, e.Release, e.Planned, join(e.Differing))
}

// CheckVersions checks that every member has the rules of the plan. The error joins a *VersionError
// for each member that has others.
func (p Plan) CheckVersions(members []Member) error {
	var faults []error
	for _, m := range members {
		if differing := p.Rules.Differing(RulesFor(m.Version)); len(differing) > 0 {
			faults = append(faults, &VersionError{Endpoint: m.Endpoint, Release: m.Release, Planned: p.Version, Differing: differing})
		}
	}
	return errors.Join(faults...)
}
