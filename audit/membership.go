package audit

// Membership holds what a database of etcd tells about the members of its cluster. From 3.6 on, etcd takes
// the members from it.
type Membership struct {
	Members []Member // as far as the database has them, with their peer URLs
	Removed []uint64 // the IDs of those that it says were removed
	Raft    []uint64 // the IDs of raft's voters and learners; nil if the database does not have them
	Reason  string   // why some of it is unknown; empty if all of it was read
}
