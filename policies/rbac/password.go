package rbac

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Password tells whether somebody can log in as a user of etcd with a password. Whoever knows it needs
// no certificate of that user.
type Password string

// What is known about the password of a user. etcd tells only while RBAC is enabled.
const (
	PasswordUnknown Password = "unknown"
	PasswordSet     Password = "set"
	PasswordNone    Password = "none"
)

// readPasswords fills in whether the users have passwords.
func (s *State) readPasswords(ctx context.Context, admin *member) error {
	for i := range s.Users {
		user := &s.Users[i]
		user.Password = PasswordUnknown
		if !s.Enabled {
			continue
		}
		has, err := admin.hasPassword(ctx, user.Name)
		if err != nil {
			return fmt.Errorf("asking %s whether user %s has a password: %w", admin.address, quote(user.Name), err)
		}
		user.Password = PasswordNone
		if has {
			user.Password = PasswordSet
		}
	}
	return nil
}

// hasPassword tries to log in as a user with a password that nobody has. etcd answers differently for
// a user without a password, and changes nothing. RBAC must be enabled.
func (m *member) hasPassword(ctx context.Context, user string) (bool, error) {
	err := m.call(ctx, func(ctx context.Context) error {
		_, err := m.client.Authenticate(ctx, user, rand.Text())
		return err
	})
	switch {
	case err == nil, errors.Is(err, rpctypes.ErrAuthFailed):
		return true, nil
	case isNoPasswordUser(err):
		return false, nil
	}
	return false, err
}

// isNoPasswordUser reports whether an error says that a user has no password. etcd sends this one
// without a code (server/auth/store.go: ErrNoPasswordUser), so that only its text tells.
func isNoPasswordUser(err error) bool {
	s, ok := status.FromError(err)
	return ok && s.Code() == codes.Unknown && s.Message() == "auth: authentication failed, password was given for no password user"
}

// tryPasswords tries at one member to log in as every user of the plan.
func (l *Live) tryPasswords(ctx context.Context, p Plan, endpoint string) ([]Check, error) {
	admin, err := l.connect(l.Admin, endpoint)
	if err != nil {
		return nil, err
	}
	defer admin.close()
	var checks []Check
	for _, user := range p.Users {
		check := Check{Endpoint: endpoint, Client: user.Name, Source: "a password", Request: "log in with a password", Planned: Denied, Measured: Denied}
		has, err := admin.hasPassword(ctx, user.Name)
		switch {
		case err != nil:
			check.Measured, check.Reason = Unknown, err.Error()
		case has:
			check.Measured = Allowed
		}
		checks = append(checks, check)
	}
	return checks, nil
}

// replaceUser deletes a user and adds it again, without a password and with some roles only. It is the
// only way: etcd takes a password away from nobody. The tokens of the user end with it.
func replaceUser(have User, roles []string) Change {
	text := "replace user " + have.Name + ", which has a password"
	if have.Password != PasswordSet {
		text = "replace user " + have.Name + ", which may have a password"
	}
	return Change{text, func(ctx context.Context, auth clientv3.Auth) error {
		// In between the user is missing, so this is no time to stop. etcd may have made each
		// change already, when an answer was lost and the call is repeated.
		ctx = context.WithoutCancel(ctx)
		steps := []Change{deleteUser(have.Name), addUser(have.Name)}
		for _, role := range roles {
			steps = append(steps, grantRole(have.Name, role))
		}
		for _, step := range steps {
			err := rpctypes.Error(step.call(ctx, auth))
			if err != nil && (step.done == nil || !errors.Is(err, step.done)) {
				return err
			}
		}
		return nil
	}, nil}
}

// A PasswordError means that a user of the plan has a password that cannot be removed while RBAC is
// enabled: etcd does not delete root then, and an administrator who deletes the own user cannot add
// it again.
type PasswordError struct{ User string }

func (e *PasswordError) Error() string {
	return fmt.Sprintf("user %s has a password, so whoever knows it needs no certificate; it cannot be removed while RBAC is enabled", quote(e.User))
}

// checkPasswords returns a *PasswordError for each password that Apply could not remove.
func (p Plan) checkPasswords(s State, admin Client) error {
	var faults []error
	for _, user := range s.Users {
		_, planned := p.User(user.Name)
		stays := slices.Contains([]string{RootUser, admin.CommonName()}, user.Name)
		if planned && stays && s.Enabled && user.Password == PasswordSet {
			faults = append(faults, &PasswordError{user.Name})
		}
	}
	return errors.Join(faults...)
}
