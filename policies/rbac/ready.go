package rbac

import (
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// A LearnerError means that a member is a learner. It does not answer the requests that try a
// certificate, so nothing can be proven there.
type LearnerError struct {
	Endpoint string // empty if it is not among those that were asked
	Name     string // empty if it was asked
	ID       uint64
}

func (e *LearnerError) Error() string {
	if e.Endpoint != "" {
		return fmt.Sprintf("asking %s: the member (%x) is a learner, at which nothing can be proven", e.Endpoint, e.ID)
	}
	return fmt.Sprintf("member %q (%x) is a learner, at which nothing can be proven", makeLegible(e.Name), e.ID)
}

// An OpenMemberError means that a member accepts clients without a certificate. It then ignores the CN
// of every certificate, and with RBAC it refuses every client and the administrator too.
type OpenMemberError struct{ Endpoint string }

func (e *OpenMemberError) Error() string {
	return "asking " + e.Endpoint + ": it accepts a client without a certificate, so with RBAC it would refuse everybody"
}

// CheckReady checks whatever would make [Live.Apply] fail after its first change and can be known
// before: passwords that cannot be removed, alarms, members without a leader, members that ask for no
// certificate or ignore the names in them, and certificates that a member refuses. It changes nothing.
func (l *Live) CheckReady(ctx context.Context, p Plan, s State, clients []Client) error {
	faults := []error{p.checkPasswords(s, l.Admin), l.checkAlarms(ctx)}
	for _, m := range s.Members {
		faults = append(faults, l.checkMember(ctx, m.Endpoint, clients))
	}
	return errors.Join(faults...)
}

// checkAlarms returns an error for each alarm. While there is one, etcd refuses the writes that try a
// certificate.
func (l *Live) checkAlarms(ctx context.Context) error {
	admin, err := l.connect(l.Admin, l.Endpoints[0])
	if err != nil {
		return err
	}
	defer admin.close()
	var faults []error
	err = admin.call(ctx, func(ctx context.Context) error {
		answer, err := admin.client.AlarmList(ctx)
		if err != nil {
			return err
		}
		faults = nil
		for _, a := range answer.Alarms {
			faults = append(faults, fmt.Errorf("etcd has an alarm, %s of member %x, and refuses writes until it is cleared", a.GetAlarm(), a.GetMemberID()))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("asking %s for alarms: %w", admin.address, err)
	}
	return errors.Join(faults...)
}

// checkMember checks that a member has a leader, accepts the certificates, and accepts nobody without
// one.
func (l *Live) checkMember(ctx context.Context, endpoint string, clients []Client) error {
	if err := l.catchUp(ctx, endpoint); err != nil {
		return fmt.Errorf("asking %s: %w", endpoint, err)
	}
	var faults []error
	for _, c := range clients {
		if err := l.present(ctx, endpoint, c); err != nil {
			faults = append(faults, fmt.Errorf("presenting %s (%s) to %s: %w", c.Source, quote(c.CommonName()), endpoint, err))
		}
	}
	if l.present(ctx, endpoint, Client{}) == nil {
		faults = append(faults, &OpenMemberError{endpoint})
	} else if err := l.checkNames(ctx, endpoint); err != nil {
		faults = append(faults, err)
	}
	return errors.Join(faults...)
}

// present returns an error if a member does not let a client ask. A refusal of the request counts as
// an answer.
func (l *Live) present(ctx context.Context, endpoint string, c Client) error {
	m, err := l.connect(c, endpoint)
	if err != nil {
		return err
	}
	defer m.close()
	err = m.call(ctx, func(ctx context.Context) error {
		_, err := m.client.Get(ctx, healthKey, clientv3.WithSerializable(), clientv3.WithLimit(1), clientv3.WithKeysOnly())
		return err
	})
	if isRefusal(err) {
		return nil
	}
	return err
}
