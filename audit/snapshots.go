package audit

import "time"

// Snapshots are the files of the folder in which somebody keeps the snapshots of a cluster.
type Snapshots struct {
	Dir    string
	MaxAge time.Duration // how old the newest may be
	// Reason says why the folder could not be read; empty if it was.
	Reason string
	Files  []Snapshot // the newest first, to the first that is complete
}

// Snapshot is one file. Only its head was read, of a packed one unpacked.
type Snapshot struct {
	Name     string
	Modified time.Time
	Fault    string // why it is no complete bbolt database; empty if it is one
	Unread   bool   // it is packed or encrypted in a way that is not read here
}
