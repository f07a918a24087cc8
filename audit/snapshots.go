package audit

import "time"

// Snapshots holds the snapshots of a cluster in their folder.
type Snapshots struct {
	Dir    string
	MaxAge time.Duration // how old the newest may be
	// Reason says why the folder could not be read; empty if it was.
	Reason string
	Files  []Snapshot // the newest first, up to the first complete one
}

// Snapshot is one file. Only its head was read, of a packed one unpacked.
type Snapshot struct {
	Name     string
	Modified time.Time
	Fault    string // why it is not a complete bbolt database; empty if it is
	Unread   bool   // it is packed or encrypted in a way that cannot be read here
}
