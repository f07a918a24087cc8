package rbac

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/etcd/api/v3/authpb"
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/protobuf/proto"
)

// What is written by field number is what etcd's own package reads.
func TestMessages(t *testing.T) {
	_, probe, _ := encode(Request{Method: Txn, Reads: []KeyRange{Single("k")}})
	_, read, _ := encode(Request{Method: Range, Reads: []KeyRange{Prefix("/registry/")}})
	_, watched, _ := encode(Request{Method: Watch, Reads: []KeyRange{Prefix("/registry/")}})
	for name, c := range map[string]struct {
		got  message
		want proto.Message
	}{
		"RoleGrantPermission": {
			message{}.text(1, "r").inner(2, permission(Permission{ReadWrite, Prefix("/registry/")})),
			&pb.AuthRoleGrantPermissionRequest{Name: "r", Perm: &authpb.Permission{PermType: authpb.Permission_READWRITE, Key: []byte("/registry/"), RangeEnd: []byte("/registry0")}},
		},
		"UserAdd": {
			message{}.text(1, "u").inner(3, message{}.number(1, 1)),
			&pb.AuthUserAddRequest{Name: "u", Options: &authpb.UserAddOptions{NoPassword: true}},
		},
		"a read":  {read, &pb.RangeRequest{Key: []byte("/registry/"), RangeEnd: []byte("/registry0"), Limit: 1, KeysOnly: true}},
		"a watch": {watched, &pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("/registry/"), RangeEnd: []byte("/registry0")}}}},
		"a write that is never made": {probe, &pb.TxnRequest{
			Compare: []*pb.Compare{{Target: pb.Compare_MOD, Result: pb.Compare_EQUAL, Key: []byte("k"), TargetUnion: &pb.Compare_ModRevision{ModRevision: math.MaxInt64}}},
			Success: []*pb.RequestOp{{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: []byte("k")}}}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.want.ProtoReflect().New().Interface()
			if err := proto.Unmarshal(c.got, got); err != nil || !proto.Equal(got, c.want) {
				t.Errorf("%v is %v, want %v", err, got, c.want)
			}
		})
	}
}

func TestPermissionsRead(t *testing.T) {
	want := []Permission{{Read, Single("health")}, {Write, Prefix("a")}, {ReadWrite, KeyRange{"\x00", "\x00"}}}
	response := &pb.AuthRoleGetResponse{Header: &pb.ResponseHeader{Revision: 7}}
	for i, p := range want {
		response.Perm = append(response.Perm, &authpb.Permission{PermType: authpb.Permission_Type(i), Key: []byte(p.Key), RangeEnd: []byte(p.End)})
	}
	b, err := proto.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	got, err := permissions(b)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// No bytes of a server make the readers panic, and what they read of a role is written back the same.
func FuzzAnswers(f *testing.F) {
	seeds := []proto.Message{
		&pb.AuthRoleGetResponse{Perm: []*authpb.Permission{{PermType: authpb.Permission_READWRITE, Key: []byte("k"), RangeEnd: []byte("l")}}},
		&pb.AuthUserListResponse{Users: []string{"a", "b"}},
		&pb.WatchResponse{Created: true, Canceled: true, CancelReason: "etcdserver: permission denied"},
		&pb.StatusResponse{Header: &pb.ResponseHeader{ClusterId: 1, MemberId: 2}, Version: "3.6.16"},
	}
	for _, seed := range seeds {
		b, err := proto.Marshal(seed)
		if err != nil || len(b) == 0 {
			f.Fatal("an empty seed", err)
		}
		f.Add(message(b).frame())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, stream := range []bool{true, false} {
			body, err := readMessage(bytes.NewReader(data), stream)
			if err != nil || body == nil {
				continue
			}
			if len(body) > len(data) {
				t.Fatalf("%d bytes of %d", len(body), len(data))
			}
			_, _ = texts(body, 2)     // no panic
			_, _ = watchVerdict(body) // no panic
			all, err := permissions(body)
			if err != nil {
				continue
			}
			var again message
			for _, p := range all {
				again = again.inner(2, permission(p))
			}
			if back, err := permissions(again); err != nil || !cmp.Equal(all, back) {
				t.Fatalf("%v is %v, %v", all, back, err)
			}
		}
	})
}
