package audit

// Status holds a member's answer to Maintenance Status (etcd api/etcdserverpb StatusResponse).
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
	Alarms           []Alarm // those that the cluster has raised, each once
	IsLearner        bool
	StorageVersion   string // 3.6 and later
}

// Alarm is a type of alarm that a cluster raises.
type Alarm string

// The alarms, as etcd names them (api/etcdserverpb AlarmType).
const (
	NoSpace      Alarm = "NOSPACE" // the database has reached its quota
	Corrupt      Alarm = "CORRUPT" // the members do not hold the same data
	UnknownAlarm Alarm = "UNKNOWN" // another one, of a later etcd
)
