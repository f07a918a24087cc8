package rbac

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// call is a request of the table with the real call that makes it, by etcd's own client.
type call struct {
	request Request
	make    func(ctx context.Context, c *grpc.ClientConn) error
}

// laboratory is a cluster with every user of a plan, to measure its rules.
type laboratory struct {
	t     *testing.T
	admin *clientv3.Client
}

// lease is a new one, attached to a key.
func (l *laboratory) lease(ctx context.Context, key string) int64 {
	l.t.Helper()
	ctx = metadata.NewOutgoingContext(ctx, nil) // it is the administrator who asks
	granted, err := l.admin.Grant(ctx, 3600)
	if err != nil {
		l.t.Fatal(err)
	}
	if key != "" {
		if _, err := l.admin.Put(ctx, key, "", clientv3.WithLease(granted.ID)); err != nil {
			l.t.Fatal(err)
		}
	}
	return int64(granted.ID)
}

// calls are one call or more of each method. Where a call of root's would break what comes
// after, its argument is one that etcd refuses after it checked the permission.
func (l *laboratory) calls() []call {
	const prefix = "/registry/"
	one, all, health, revision := Single(prefix+"x"), Prefix(prefix), Single("health"), Single("compact_rev_key")
	every := KeyRange{"\x00", "\x00"}
	beside := KeyRange{prefix + "x", "/registry1"} // begins inside of the prefix and ends outside
	var calls []call
	add := func(r Request, f func(ctx context.Context, c *grpc.ClientConn) error) {
		calls = append(calls, call{r, f})
	}

	for _, k := range []KeyRange{one, all, health, revision, every, beside} {
		key, end := []byte(k.Key), []byte(k.End)
		reads := []KeyRange{k}
		add(Request{Method: Range, Reads: reads}, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := pb.NewKVClient(c).Range(ctx, &pb.RangeRequest{Key: key, RangeEnd: end, Limit: 1})
			return err
		})
		add(Request{Method: RangeStream, Reads: reads}, func(ctx context.Context, c *grpc.ClientConn) error {
			stream, err := pb.NewKVClient(c).RangeStream(ctx, &pb.RangeRequest{Key: key, RangeEnd: end})
			if err == nil {
				_, err = stream.Recv()
			}
			return err
		})
		add(Request{Method: Txn, Reads: reads}, func(ctx context.Context, c *grpc.ClientConn) error {
			op := &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key, RangeEnd: end}}}
			_, err := pb.NewKVClient(c).Txn(ctx, &pb.TxnRequest{Success: []*pb.RequestOp{op}})
			return err
		})
		add(Request{Method: Watch, Reads: reads}, func(ctx context.Context, c *grpc.ClientConn) error { return watch(ctx, c, key, end) })
		add(Request{Method: DeleteRange, Writes: reads}, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := pb.NewKVClient(c).DeleteRange(ctx, &pb.DeleteRangeRequest{Key: key, RangeEnd: end})
			return err
		})
	}
	for _, k := range []KeyRange{one, health, revision} {
		key, both := []byte(k.Key), []KeyRange{k}
		add(Request{Method: Put, Writes: both}, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := pb.NewKVClient(c).Put(ctx, &pb.PutRequest{Key: key})
			return err
		})
		add(Request{Method: Put, Reads: both, Writes: both}, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := pb.NewKVClient(c).Put(ctx, &pb.PutRequest{Key: key, PrevKv: true})
			return err
		})
		add(Request{Method: Txn, Reads: both, Writes: both}, func(ctx context.Context, c *grpc.ClientConn) error {
			compare := &pb.Compare{Key: key, Target: pb.Compare_MOD, TargetUnion: &pb.Compare_ModRevision{ModRevision: math.MaxInt64}}
			put := &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key}}}
			_, err := pb.NewKVClient(c).Txn(ctx, &pb.TxnRequest{Compare: []*pb.Compare{compare}, Success: []*pb.RequestOp{put}})
			return err
		})
	}
	add(Request{Method: Compact}, func(ctx context.Context, c *grpc.ClientConn) error {
		_, err := pb.NewKVClient(c).Compact(ctx, &pb.CompactionRequest{Revision: math.MaxInt64})
		return err
	})
	return append(calls, append(l.leaseCalls(), append(l.memberCalls(), append(maintenanceCalls(), authCalls()...)...)...)...)
}

func watch(ctx context.Context, c *grpc.ClientConn, key, end []byte) error {
	stream, err := pb.NewWatchClient(c).Watch(ctx)
	if err != nil {
		return err
	}
	create := &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: key, RangeEnd: end}}
	if err := stream.Send(&pb.WatchRequest{RequestUnion: create}); err != nil {
		return err
	}
	response, err := stream.Recv()
	if err == nil && response.GetCanceled() {
		err = errors.New(response.GetCancelReason())
	}
	return err
}

func (l *laboratory) leaseCalls() []call {
	const inside = "/registry/leased"
	calls := []call{
		{Request{Method: LeaseGrant}, func(ctx context.Context, c *grpc.ClientConn) error {
			_, err := pb.NewLeaseClient(c).LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: 60})
			return err
		}},
		{Request{Method: LeaseLeases, Reads: []KeyRange{Single(inside)}}, func(ctx context.Context, c *grpc.ClientConn) error {
			l.lease(ctx, inside)
			_, err := pb.NewLeaseClient(c).LeaseLeases(ctx, &pb.LeaseLeasesRequest{})
			return err
		}},
	}
	for _, key := range []string{"", inside} {
		var keys []KeyRange
		if key != "" {
			keys = []KeyRange{Single(key)}
		}
		calls = append(calls,
			call{Request{Method: LeaseRevoke, Writes: keys}, func(ctx context.Context, c *grpc.ClientConn) error {
				_, err := pb.NewLeaseClient(c).LeaseRevoke(ctx, &pb.LeaseRevokeRequest{ID: l.lease(ctx, key)})
				return err
			}},
			call{Request{Method: LeaseKeepAlive, Writes: keys}, func(ctx context.Context, c *grpc.ClientConn) error {
				stream, err := pb.NewLeaseClient(c).LeaseKeepAlive(ctx)
				if err == nil {
					err = stream.Send(&pb.LeaseKeepAliveRequest{ID: l.lease(ctx, key)})
				}
				if err == nil {
					_, err = stream.Recv()
				}
				return err
			}},
			call{Request{Method: LeaseTimeToLive, Reads: keys}, func(ctx context.Context, c *grpc.ClientConn) error {
				_, err := pb.NewLeaseClient(c).LeaseTimeToLive(ctx, &pb.LeaseTimeToLiveRequest{ID: l.lease(ctx, key), Keys: key != ""})
				return err
			}})
	}
	return calls
}

// settle waits until raft has taken note of the last change of the members. etcd answers a change
// once it has applied it itself, and tells raft afterwards (server/etcdserver/raft.go: applyc comes
// before Advance); until then raft drops the next change without a word (raft.go:
// alreadyPending), and that one is never answered. A linearizable read is answered by a later turn
// of the same loop, so that it comes after.
func (l *laboratory) settle(ctx context.Context) error {
	_, err := l.admin.Get(metadata.NewOutgoingContext(ctx, nil), healthKey) // it is the administrator who asks
	return err
}

func (l *laboratory) memberCalls() []call {
	in := func(f func(ctx context.Context, c pb.ClusterClient) error) func(context.Context, *grpc.ClientConn) error {
		return func(ctx context.Context, c *grpc.ClientConn) error {
			if err := l.settle(ctx); err != nil {
				return fmt.Errorf("waiting for raft: %w", err)
			}
			return f(ctx, pb.NewClusterClient(c))
		}
	}
	const nobody = 1
	return []call{
		{Request{Method: MemberList}, in(func(ctx context.Context, c pb.ClusterClient) error {
			_, err := c.MemberList(ctx, &pb.MemberListRequest{})
			return err
		})},
		{Request{Method: MemberAdd}, in(func(ctx context.Context, c pb.ClusterClient) error {
			list, err := c.MemberList(metadata.NewOutgoingContext(context.WithoutCancel(ctx), nil), &pb.MemberListRequest{})
			if err != nil {
				return err // it is denied to who may not add either
			}
			_, err = c.MemberAdd(ctx, &pb.MemberAddRequest{PeerURLs: list.GetMembers()[0].GetPeerURLs()})
			return err
		})},
		{Request{Method: MemberRemove}, in(func(ctx context.Context, c pb.ClusterClient) error {
			_, err := c.MemberRemove(ctx, &pb.MemberRemoveRequest{ID: nobody})
			return err
		})},
		{Request{Method: MemberUpdate}, in(func(ctx context.Context, c pb.ClusterClient) error {
			_, err := c.MemberUpdate(ctx, &pb.MemberUpdateRequest{ID: nobody, PeerURLs: []string{"http://127.0.0.1:1"}})
			return err
		})},
		{Request{Method: MemberPromote}, in(func(ctx context.Context, c pb.ClusterClient) error {
			_, err := c.MemberPromote(ctx, &pb.MemberPromoteRequest{ID: nobody})
			return err
		})},
	}
}

func maintenanceCalls() []call {
	in := func(f func(ctx context.Context, c pb.MaintenanceClient) error) func(context.Context, *grpc.ClientConn) error {
		return func(ctx context.Context, c *grpc.ClientConn) error { return f(ctx, pb.NewMaintenanceClient(c)) }
	}
	return []call{
		{Request{Method: Status}, in(func(ctx context.Context, c pb.MaintenanceClient) error {
			_, err := c.Status(ctx, &pb.StatusRequest{})
			return err
		})},
		{Request{Method: AlarmGet}, in(func(ctx context.Context, c pb.MaintenanceClient) error {
			_, err := c.Alarm(ctx, &pb.AlarmRequest{})
			return err
		})},
		{Request{Method: AlarmSet}, in(func(ctx context.Context, c pb.MaintenanceClient) error {
			_, err := c.Alarm(ctx, &pb.AlarmRequest{Action: pb.AlarmRequest_DEACTIVATE, Alarm: pb.AlarmType_NOSPACE, MemberID: 1})
			return err
		})},
		{Request{Method: Snapshot}, in(func(ctx context.Context, c pb.MaintenanceClient) error {
			stream, err := c.Snapshot(ctx, &pb.SnapshotRequest{})
			for err == nil {
				_, err = stream.Recv()
			}
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		})},
		{Request{Method: Hash}, in(func(ctx context.Context, c pb.MaintenanceClient) error {
			_, err := c.Hash(ctx, &pb.HashRequest{})
			return err
		})},
		{Request{Method: HashKV}, in(func(ctx context.Context, c pb.MaintenanceClient) error {
			_, err := c.HashKV(ctx, &pb.HashKVRequest{})
			return err
		})},
		{Request{Method: Defragment}, in(func(ctx context.Context, c pb.MaintenanceClient) error {
			_, err := c.Defragment(ctx, &pb.DefragmentRequest{})
			return err
		})},
		{Request{Method: MoveLeader}, in(func(ctx context.Context, c pb.MaintenanceClient) error {
			_, err := c.MoveLeader(ctx, &pb.MoveLeaderRequest{TargetID: 1})
			return err
		})},
		{Request{Method: Downgrade}, in(func(ctx context.Context, c pb.MaintenanceClient) error {
			_, err := c.Downgrade(ctx, &pb.DowngradeRequest{Action: pb.DowngradeRequest_CANCEL})
			return err
		})},
	}
}

// authCalls change nothing that is: root's own are refused as bad administration.
func authCalls() []call {
	in := func(m Method, f func(ctx context.Context, c pb.AuthClient) error) call {
		return call{Request{Method: m}, func(ctx context.Context, c *grpc.ClientConn) error { return f(ctx, pb.NewAuthClient(c)) }}
	}
	own := func(c call) call { c.request.Own = true; return c }
	return []call{
		in(AuthStatus, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.AuthStatus(ctx, &pb.AuthStatusRequest{})
			return err
		}),
		in(AuthEnable, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.AuthEnable(ctx, &pb.AuthEnableRequest{})
			return err
		}),
		in(Authenticate, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.Authenticate(ctx, &pb.AuthenticateRequest{Name: "nobody", Password: "wrong"})
			return err
		}),
		in(UserAdd, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.UserAdd(ctx, &pb.AuthUserAddRequest{Name: RootUser, Options: &authpb.UserAddOptions{NoPassword: true}})
			return err
		}),
		in(UserGet, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.UserGet(ctx, &pb.AuthUserGetRequest{Name: RootUser})
			return err
		}),
		own(in(UserGet, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.UserGet(ctx, &pb.AuthUserGetRequest{Name: callerOf(ctx).name})
			return err
		})),
		in(UserList, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.UserList(ctx, &pb.AuthUserListRequest{})
			return err
		}),
		in(UserDelete, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.UserDelete(ctx, &pb.AuthUserDeleteRequest{Name: RootUser})
			return err
		}),
		in(UserChangePassword, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.UserChangePassword(ctx, &pb.AuthUserChangePasswordRequest{Name: "scratch", Password: "another"})
			return err
		}),
		in(UserGrantRole, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.UserGrantRole(ctx, &pb.AuthUserGrantRoleRequest{User: RootUser, Role: RootRole})
			return err
		}),
		in(UserRevokeRole, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.UserRevokeRole(ctx, &pb.AuthUserRevokeRoleRequest{Name: RootUser, Role: RootRole})
			return err
		}),
		in(RoleAdd, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.RoleAdd(ctx, &pb.AuthRoleAddRequest{Name: RootRole})
			return err
		}),
		in(RoleGet, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.RoleGet(ctx, &pb.AuthRoleGetRequest{Role: RootRole})
			return err
		}),
		own(in(RoleGet, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.RoleGet(ctx, &pb.AuthRoleGetRequest{Role: callerOf(ctx).role})
			return err
		})),
		in(RoleList, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.RoleList(ctx, &pb.AuthRoleListRequest{})
			return err
		}),
		in(RoleDelete, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.RoleDelete(ctx, &pb.AuthRoleDeleteRequest{Role: RootRole})
			return err
		}),
		in(RoleGrantPermission, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.RoleGrantPermission(ctx, &pb.AuthRoleGrantPermissionRequest{Name: "nothing", Perm: &authpb.Permission{Key: []byte("k")}})
			return err
		}),
		in(RoleRevokePermission, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.RoleRevokePermission(ctx, &pb.AuthRoleRevokePermissionRequest{Role: "nothing", Key: []byte("not granted")})
			return err
		}),
		// The last: with root's certificate it disables RBAC.
		in(AuthDisable, func(ctx context.Context, c pb.AuthClient) error {
			_, err := c.AuthDisable(ctx, &pb.AuthDisableRequest{})
			return err
		}),
	}
}

// asking is who makes a call: the CN, and the first role of its user.
type asking struct{ name, role string }

type askingKey struct{}

func callerOf(ctx context.Context) asking { a, _ := ctx.Value(askingKey{}).(asking); return a }
