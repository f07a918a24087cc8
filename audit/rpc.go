package audit

import "time"

// The procedures that are called. None of them writes or makes a raft entry.
const (
	RangeRPC      = "Range"      // serializable, keys only, limit 1
	StatusRPC     = "Status"     // of Maintenance
	MemberListRPC = "MemberList" // not linearizable

	// GatewayRange is Range as JSON, to a gateway that a GET has found.
	GatewayRange = "Range through the JSON gateway"

	// With a token that no server gave out. Where etcd's authentication is off, it is not
	// looked at; where it is on, it is refused before anything is read.
	BadTokenRangeRPC      = "Range with an invalid token"
	BadTokenMemberListRPC = "MemberList with an invalid token" // only where the Range was refused
)

// RPC is one gRPC call.
type RPC struct {
	Attempt
	Access  Access
	Method  string
	Code    int           // the gRPC status, if Answered; 0 is OK
	NotGRPC bool          // Answered in HTTP/2, but not as gRPC answers
	Message string        // the server's for people, where Code is not 0
	Refusal Refusal       // what Message says, where it is etcd's own
	Keys    int64         // how many keys a Range said there are
	Took    time.Duration // from the request to the end of the answer, on an open connection; 0 if not Answered
}
