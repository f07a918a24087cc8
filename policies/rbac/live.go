package rbac

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/etcdsec/etcdsec/cluster"
)

// markerRole is there from before RBAC is enabled until every certificate was seen to work. It
// has no permissions and no user has it: it tells the next run that this one was killed between.
const markerRole = "etcdsec-unverified"

// Client is the holder of a certificate that is presented to the members.
type Client struct {
	Source      string // where the certificate is, for people
	Certificate *tls.Certificate
}

// CommonName is the etcd user that the certificate is.
func (c Client) CommonName() string {
	if c.Certificate == nil || c.Certificate.Leaf == nil {
		return ""
	}
	return c.Certificate.Leaf.Subject.CommonName
}

// Live is a running cluster and the administrator's certificate.
type Live struct {
	Endpoints []string       // host:port of the client port of every member
	Roots     *x509.CertPool // of the servers' certificates; nil is the operating system's
	Admin     Client
	Timeout   time.Duration // of one call; 0 is DefaultTimeout

	Narrate func(format string, args ...any) // nil: nobody listens
}

// Member is one member as it was found.
type Member struct {
	Endpoint string          `json:"endpoint"`
	Version  cluster.Version `json:"-"`
	Release  string          `json:"version"`
}

// State is what the users and roles of a cluster are.
type State struct {
	Members []Member `json:"members"`
	Enabled bool     `json:"enabled"`
	// Unverified says that a run enabled RBAC, or was about to, and did not come to its end.
	Unverified bool   `json:"unverified"`
	Users      []User `json:"users"`
	Roles      []Role `json:"roles"`
}

func (l *Live) as(c Client, endpoint string) *member {
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

// State asks every member for its version, and the first for the users and roles. A member that
// does not answer is an error: what holds for it cannot be told.
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
			faults = append(faults, fmt.Errorf("asking %s: it is of another cluster than %s", endpoint, s.Members[0].Endpoint))
		}
		clusterID = at.cluster
		asked[at.member] = true
		s.Members = append(s.Members, found)
	}
	if err := errors.Join(faults...); err != nil {
		return s, err
	}
	admin := l.as(l.Admin, l.Endpoints[0])
	defer admin.close()
	if err := everyMember(ctx, admin, asked); err != nil {
		return s, err
	}
	return s, s.read(ctx, admin)
}

// Users is State without the members, from the first of them that answers: what it takes to
// disable RBAC while others are down.
func (l *Live) Users(ctx context.Context) (State, error) {
	var faults []error
	for _, endpoint := range l.Endpoints {
		var s State
		admin := l.as(l.Admin, endpoint)
		err := s.read(ctx, admin)
		admin.close()
		if err == nil {
			return s, nil
		}
		faults = append(faults, err)
	}
	return State{}, errors.Join(faults...)
}

// identity is who answered.
type identity struct{ cluster, member uint64 }

func (l *Live) status(ctx context.Context, endpoint string) (Member, identity, error) {
	m := l.as(l.Admin, endpoint)
	defer m.close()
	body, err := m.ask(ctx, "Maintenance/Status", nil)
	if err != nil {
		return Member{}, identity{}, err
	}
	found, at := Member{Endpoint: endpoint}, identity{}
	err = fields(body, func(field protowire.Number, _ uint64, bytes []byte) error {
		switch field {
		case 1:
			return fields(bytes, func(field protowire.Number, number uint64, _ []byte) error {
				switch field {
				case 1:
					at.cluster = number
				case 2:
					at.member = number
				}
				return nil
			})
		case 2:
			found.Release = clean(string(bytes))
		}
		return nil
	})
	if err != nil {
		return found, at, err
	}
	found.Version, err = cluster.ParseVersion(found.Release)
	return found, at, err
}

// everyMember wants all members of the cluster among those that were asked: one that nobody
// asked may run another version, or ask for no certificate.
func everyMember(ctx context.Context, admin *member, asked map[uint64]bool) error {
	body, err := admin.ask(ctx, "Cluster/MemberList", message{}.number(1, 1))
	if err != nil {
		return fmt.Errorf("asking %s for the members: %w", admin.address, err)
	}
	return fields(body, func(field protowire.Number, _ uint64, bytes []byte) error {
		const members = 2
		if field != members {
			return nil
		}
		var id uint64
		var name string
		err := fields(bytes, func(field protowire.Number, number uint64, bytes []byte) error {
			switch field {
			case 1:
				id = number
			case 2:
				name = string(bytes)
			}
			return nil
		})
		if err == nil && !asked[id] {
			err = fmt.Errorf("asking %s for the members: %q (%x) is a member and not among the endpoints; every member has to be asked", admin.address, clean(name), id)
		}
		return err
	})
}

// ask is call for who wants the message alone.
func (m *member) ask(ctx context.Context, path string, request message) ([]byte, error) {
	a, err := m.call(ctx, path, request, false)
	if err != nil {
		return nil, err
	}
	return a.body, a.err()
}

// mostNames is far above the users of any cluster; each takes a call.
const mostNames = 2000

func (s *State) read(ctx context.Context, admin *member) error {
	body, err := admin.ask(ctx, "Auth/AuthStatus", nil)
	if err != nil {
		return fmt.Errorf("asking %s whether RBAC is enabled: %w", admin.address, err)
	}
	err = fields(body, func(field protowire.Number, number uint64, _ []byte) error {
		if field == 2 {
			s.Enabled = number != 0
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("asking %s whether RBAC is enabled: %w", admin.address, err)
	}
	users, err := names(ctx, admin, "Auth/UserList")
	if err != nil {
		return fmt.Errorf("asking %s for its users: %w", admin.address, err)
	}
	for _, name := range users {
		body, err := admin.ask(ctx, "Auth/UserGet", message{}.text(1, name))
		if err != nil {
			return fmt.Errorf("asking %s for user %q: %w", admin.address, name, err)
		}
		roles, err := texts(body, 2)
		if err != nil {
			return fmt.Errorf("asking %s for user %q: %w", admin.address, name, err)
		}
		s.Users = append(s.Users, User{Name: name, Roles: roles})
	}
	roles, err := names(ctx, admin, "Auth/RoleList")
	if err != nil {
		return fmt.Errorf("asking %s for its roles: %w", admin.address, err)
	}
	for _, name := range roles {
		if name == markerRole {
			s.Unverified = true
			continue
		}
		body, err := admin.ask(ctx, "Auth/RoleGet", message{}.text(1, name))
		if err != nil {
			return fmt.Errorf("asking %s for role %q: %w", admin.address, name, err)
		}
		permissions, err := permissions(body)
		if err != nil {
			return fmt.Errorf("asking %s for role %q: %w", admin.address, name, err)
		}
		s.Roles = append(s.Roles, Role{Name: name, Permissions: permissions})
	}
	return nil
}

func names(ctx context.Context, admin *member, path string) ([]string, error) {
	body, err := admin.ask(ctx, path, nil)
	if err != nil {
		return nil, err
	}
	all, err := texts(body, 2)
	if err == nil && len(all) > mostNames {
		err = fmt.Errorf("there are %d; no more than %d are read", len(all), mostNames)
	}
	slices.Sort(all)
	return all, err
}

// CheckVersions wants of every member the rules that the plan was made for.
func (p Plan) CheckVersions(members []Member) error {
	var faults []error
	for _, m := range members {
		differing := p.Rules.Differing(RulesOf(m.Version))
		if len(differing) == 0 {
			continue
		}
		faults = append(faults, fmt.Errorf("%s runs etcd %s, and the plan is for %s, which has other rules for %s", m.Endpoint, m.Release, p.Version, joined(differing)))
	}
	return errors.Join(faults...)
}

// CheckClient wants a user of the plan in the CN of a certificate.
func (p Plan) CheckClient(source string, leaf *x509.Certificate) error {
	name := leaf.Subject.CommonName
	if _, ok := p.User(name); ok {
		return nil
	}
	return fmt.Errorf("%s: its CN %q is no user of the plan; with RBAC etcd would refuse what it asks", source, clean(name))
}
