package rbac

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"
)

// Verdict is whether a request is let through.
type Verdict string

// The verdicts.
const (
	Allowed Verdict = "allowed"
	Denied  Verdict = "denied"
	Unknown Verdict = "unknown"
)

// Check is one request that was made with one certificate at one member.
type Check struct {
	Endpoint string  `json:"endpoint"`
	Client   string  `json:"client"`
	Source   string  `json:"source"`
	Request  string  `json:"request"`
	Planned  Verdict `json:"planned"`
	Measured Verdict `json:"measured"`
	Reason   string  `json:"reason,omitempty"` // of what is unknown
}

// OK says that the member did what the plan says.
func (c Check) OK() bool { return c.Planned == c.Measured }

// probes are the requests by which a certificate is tried. None has a lasting effect, whether
// the member lets it through or not:
//
//   - a Range reads one key's name, a Watch and a Snapshot end with the first message;
//   - a write is a transaction on a condition that is never true. etcd checks the permissions of
//     both its branches before it looks at the condition (server/etcdserver/apply/auth.go), and
//     a transaction that writes nothing makes no revision;
//   - Compact names a revision that will never come, LeaseGrant a time beyond etcd's limit of
//     9,000,000,000 s (server/lease/lessor.go): both are refused after the permission was checked.
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

// encode is a probe as etcd takes it.
func encode(r Request) (path string, m message, stream bool) {
	var k KeyRange
	if len(r.Reads) > 0 {
		k = r.Reads[0]
	}
	switch r.Method {
	case Range:
		return "KV/Range", message{}.text(1, k.Key).text(2, k.End).number(3, 1).number(8, 1), false
	case Txn:
		const equal, modRevision = 0, 2
		impossible := message{}.number(1, equal).number(2, modRevision).text(3, k.Key).number(6, math.MaxInt64)
		put := message{}.inner(2, message{}.text(1, k.Key))
		return "KV/Txn", message{}.inner(1, impossible).inner(2, put), false
	case Watch:
		return "Watch/Watch", message{}.inner(1, message{}.text(1, k.Key).text(2, k.End)), true
	case LeaseGrant:
		return "Lease/LeaseGrant", message{}.number(1, math.MaxInt64), false
	case Compact:
		return "KV/Compact", message{}.number(1, math.MaxInt64), false
	case Status:
		return "Maintenance/Status", nil, false
	case MemberList:
		return "Cluster/MemberList", nil, false
	case AlarmGet:
		return "Maintenance/Alarm", nil, false
	case Snapshot:
		return "Maintenance/Snapshot", nil, true
	case UserList:
		return "Auth/UserList", nil, false
	default:
		return "", nil, false
	}
}

// Verify presents every client's certificate to every member and compares what each probe gets
// with what the plan and the member's release say. RBAC has to be enabled.
func (l *Live) Verify(ctx context.Context, p Plan, members []Member, clients []Client) ([]Check, error) {
	var checks []Check
	for _, m := range members {
		rules := RulesOf(m.Version)
		admin := l.as(l.Admin, m.Endpoint)
		// A linearizable read comes after all that was written before it, the users included.
		_, err := admin.ask(ctx, "KV/Range", message{}.text(1, healthKey).number(3, 1).number(8, 1))
		admin.close()
		if err != nil {
			return checks, fmt.Errorf("verifying %s as %s: %w", m.Endpoint, quoted(l.Admin.CommonName()), err)
		}
		for _, c := range clients {
			checks = append(checks, l.try(ctx, p, rules, m.Endpoint, c)...)
			if ctx.Err() != nil {
				return checks, fmt.Errorf("verifying %s: %w", m.Endpoint, context.Cause(ctx))
			}
		}
	}
	return checks, nil
}

// try makes all probes with one certificate at one member.
func (l *Live) try(ctx context.Context, p Plan, rules Rules, endpoint string, c Client) []Check {
	m := l.as(c, endpoint)
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
	return checks
}

// probe is the verdict of one member on one request.
func (m *member) probe(ctx context.Context, request Request) (Verdict, error) {
	path, encoded, stream := encode(request)
	if path == "" {
		return Unknown, errors.New("there is no harmless request for it")
	}
	a, err := m.call(ctx, path, encoded, stream)
	switch {
	case err != nil:
		return Unknown, err
	case a.denied():
		return Denied, nil
	case a.code == statusOK && request.Method == Watch:
		return watchVerdict(a.body)
	case a.code == statusOK, request.Method == Compact && strings.HasSuffix(a.message, "required revision is a future revision"),
		request.Method == LeaseGrant && strings.HasSuffix(a.message, "too large lease TTL"):
		return Allowed, nil
	}
	return Unknown, a.err()
}

// watchVerdict reads the first WatchResponse: etcd refuses a watch by canceling it.
func watchVerdict(body []byte) (Verdict, error) {
	canceled, reason := false, ""
	err := fields(body, func(field protowire.Number, number uint64, bytes []byte) error {
		switch field {
		case 4:
			canceled = number != 0
		case 6:
			reason = string(bytes)
		}
		return nil
	})
	switch {
	case err != nil:
		return Unknown, err
	case !canceled:
		return Allowed, nil
	case refusal(reason):
		return Denied, nil
	default:
		return Unknown, errors.New(clean(reason))
	}
}
