package audit

// Status holds what Maintenance Status says of a member (etcd api/etcdserverpb StatusResponse).
// Sizes are in bytes. A field that the member's version does not send is zero.
type Status struct {
	Version          string
	DBSize           int64 // of the file
	DBSizeInUse      int64
	DBSizeQuota      int64 // 3.6 and later
	Leader           uint64
	RaftIndex        uint64
	RaftTerm         uint64
	RaftAppliedIndex uint64
	Errors           []string
	IsLearner        bool
	StorageVersion   string // 3.6 and later
}
