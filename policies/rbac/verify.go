package rbac

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Verdict is the answer of etcd to the question whether a request is allowed.
type Verdict string

// The verdicts.
const (
	Allowed Verdict = "allowed"
	Denied  Verdict = "denied"
	Unknown Verdict = "unknown"
)

// Check is one request, made with one certificate at one member.
type Check struct {
	Endpoint string  `json:"endpoint"`
	Client   string  `json:"client"`
	Source   string  `json:"source"`
	Request  string  `json:"request"`
	Planned  Verdict `json:"planned"`
	Measured Verdict `json:"measured"`
	Reason   string  `json:"reason,omitempty"` // why Measured is Unknown
}

// OK reports whether the member did what the plan says.
func (c Check) OK() bool { return c.Planned == c.Measured }

// probes returns the requests that try a certificate. None has a lasting effect, whether the member
// allows it or not:
//
//   - a Range reads the name of one key, a Watch and a Snapshot end with the first message;
//   - a write is a transaction on a condition that is never true. etcd checks the permissions of
//     both its branches before it looks at the condition (server/etcdserver/apply/auth.go), and
//     a transaction that writes nothing makes no revision;
//   - Compact names a revision that will never come, and LeaseGrant a time beyond etcd's limit of
//     9,000,000,000 s (server/lease/lessor.go). etcd refuses both after it has checked the permission.
func probes(prefix string) []Request {
	all, every := Prefix(prefix), KeyRange{openEnd, openEnd}
	one, revision, health := Single(prefix+"etcdsec-rbac-probe"), Single(compactRevKey), Single(healthKey)
	write := func(k KeyRange) Request {
		return Request{Method: Txn, Reads: []KeyRange{k}, Writes: []KeyRange{k}}
	}
	return []Request{
		{Method: Range, Reads: []KeyRange{health}},
		{Method: Range, Reads: []KeyRange{all}},
		{Method: Range, Reads: []KeyRange{revision}},
		{Method: Range, Reads: []KeyRange{every}},
		write(one), write(revision), write(health),
		{Method: Watch, Reads: []KeyRange{all}},
		{Method: Watch, Reads: []KeyRange{every}},
		{Method: LeaseGrant},
		{Method: Compact},
		{Method: Status},
		{Method: MemberList},
		{Method: AlarmGet},
		{Method: Snapshot},
		{Method: UserList},
	}
}

// Verify presents every client's certificate to every member, and compares the verdict of each probe
// with the plan and the rules of the member's release. It also tries to log in as every user of the
// plan, none of which has a password. RBAC must be enabled. The error means that a
// member could not be asked; what was allowed or denied is in the checks.
func (l *Live) Verify(ctx context.Context, p Plan, members []Member, clients []Client) ([]Check, error) {
	var checks []Check
	for _, m := range members {
		rules := RulesFor(m.Version)
		if err := l.catchUp(ctx, m.Endpoint); err != nil {
			return checks, fmt.Errorf("verifying %s as %s: %w", m.Endpoint, quote(l.Admin.CommonName()), err)
		}
		tried, err := l.tryPasswords(ctx, p, m.Endpoint)
		checks = append(checks, tried...)
		if err != nil {
			return checks, fmt.Errorf("verifying %s: %w", m.Endpoint, err)
		}
		for _, c := range clients {
			tried, err := l.try(ctx, p, rules, m.Endpoint, c)
			checks = append(checks, tried...)
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				return checks, fmt.Errorf("verifying %s: %w", m.Endpoint, err)
			}
		}
	}
	return checks, nil
}

// catchUp waits until a member has everything that was written before, the users included. A
// linearizable read is answered only then.
func (l *Live) catchUp(ctx context.Context, endpoint string) error {
	admin, err := l.connect(l.Admin, endpoint)
	if err != nil {
		return err
	}
	defer admin.close()
	return admin.call(ctx, func(ctx context.Context) error {
		_, err := admin.client.Get(ctx, healthKey, clientv3.WithLimit(1), clientv3.WithKeysOnly())
		return err
	})
}

// try sends all probes with one certificate to one member.
func (l *Live) try(ctx context.Context, p Plan, rules Rules, endpoint string, c Client) ([]Check, error) {
	m, err := l.connect(c, endpoint)
	if err != nil {
		return nil, err
	}
	defer m.close()
	var checks []Check
	for _, request := range probes(p.Prefix) {
		check := Check{Endpoint: endpoint, Client: c.CommonName(), Source: c.Source, Request: request.String(), Planned: Denied}
		if rules.Allows(p.Caller(c.CommonName()), request) {
			check.Planned = Allowed
		}
		var err error
		if check.Measured, err = m.probe(ctx, request); err != nil {
			check.Reason = err.Error()
		}
		checks = append(checks, check)
	}
	return checks, nil
}

// probe returns the verdict of one member on one request. The error says why it is Unknown.
func (m *member) probe(ctx context.Context, request Request) (Verdict, error) {
	err := m.call(ctx, func(ctx context.Context) error { return m.attempt(ctx, request) })
	switch {
	case err == nil:
		return Allowed, nil
	case isRefusal(err):
		return Denied, nil
	// etcd refuses the argument, and so it has let the caller through.
	case request.Method == Compact && errors.Is(err, rpctypes.ErrFutureRev), request.Method == LeaseGrant && errors.Is(err, rpctypes.ErrLeaseTTLTooLarge):
		return Allowed, nil
	}
	return Unknown, err
}

// attempt sends the harmless request of a probe.
func (m *member) attempt(ctx context.Context, r Request) error {
	var k KeyRange
	if len(r.Reads) > 0 {
		k = r.Reads[0]
	}
	var err error
	switch r.Method {
	case Range:
		_, err = m.client.Get(ctx, k.Key, clientv3.WithRange(k.End), clientv3.WithLimit(1), clientv3.WithKeysOnly())
	case Txn:
		never := clientv3.Compare(clientv3.ModRevision(k.Key), "=", int64(math.MaxInt64))
		_, err = m.client.Txn(ctx).If(never).Then(clientv3.OpPut(k.Key, "")).Commit()
	case Watch:
		return m.watch(ctx, k)
	case LeaseGrant:
		_, err = m.client.Grant(ctx, math.MaxInt64)
	case Compact:
		_, err = m.client.Compact(ctx, math.MaxInt64)
	case Status:
		_, err = m.status(ctx)
	case MemberList:
		_, err = m.client.MemberList(ctx, clientv3.WithSerializable())
	case AlarmGet:
		_, err = m.client.AlarmList(ctx)
	case Snapshot:
		return m.snapshot(ctx)
	case UserList:
		_, err = m.client.UserList(ctx)
	default:
		return fmt.Errorf("there is no harmless request for %s", r.Method)
	}
	return err
}

// Three requests use etcd's generated stubs on the connection of client/v3, and not its methods: its
// Status opens a new connection for each call, its Watch begins again on its own, and its Snapshot
// reads on after the first message.

func (m *member) status(ctx context.Context) (*pb.StatusResponse, error) {
	return pb.NewMaintenanceClient(m.client.ActiveConnection()).Status(ctx, &pb.StatusRequest{})
}

// watch reads the first message of a watch. etcd refuses a watch by canceling it.
func (m *member) watch(ctx context.Context, k KeyRange) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // and so the stream ends
	stream, err := pb.NewWatchClient(m.client.ActiveConnection()).Watch(ctx)
	if err != nil {
		return err
	}
	create := &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte(k.Key), RangeEnd: []byte(k.End)}}
	// A stream that has ended says why when it is read.
	if err := stream.Send(&pb.WatchRequest{RequestUnion: create}); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	answer, err := stream.Recv()
	switch {
	case err != nil:
		return err
	case answer.GetCanceled():
		return watchError(answer.GetCancelReason())
	case !answer.GetCreated():
		return errors.New("etcd answered a watch, and did not begin it")
	}
	return nil
}

// snapshot reads the first message of a snapshot.
func (m *member) snapshot(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // and so the stream ends
	stream, err := pb.NewMaintenanceClient(m.client.ActiveConnection()).Snapshot(ctx, &pb.SnapshotRequest{})
	if err != nil {
		return err
	}
	_, err = stream.Recv()
	return err
}
