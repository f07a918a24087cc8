package audit

import "time"

// The procedures that the audit calls. None of them writes or makes a raft entry.
const (
	RangeRPC      = "Range"      // serializable, keys only, limit 1
	StatusRPC     = "Status"     // of Maintenance
	MemberListRPC = "MemberList" // not linearizable

	// GatewayRange is Range as JSON, to a gateway that a GET has found.
	GatewayRange = "Range through the JSON gateway"

	// With a token that no server issued. etcd ignores it if authentication is off, and refuses it
	// before it reads anything if authentication is on.
	BadTokenRangeRPC      = "Range with an invalid token"
	BadTokenMemberListRPC = "MemberList with an invalid token" // only where the Range was refused
)

// GatewayPath is the path of Range on a JSON gateway.
const GatewayPath = "/v3/kv/range"

// RPC is one gRPC call.
type RPC struct {
	Attempt
	Access  Access
	Method  string
	Code    int           // the gRPC status, if Answered; 0 is OK
	NotGRPC bool          // Answered in HTTP/2, but not as gRPC answers
	Message string        // the server's for people, where Code is not 0
	Refusal Refusal       // the meaning of Message, if it is one of etcd's
	Keys    int64         // the number of keys according to a Range
	Took    time.Duration // from the request to the end of the answer, on an open connection; 0 if not Answered
}
