package audit

import "time"

// Snapshots holds the snapshots of a cluster in their folder.
type Snapshots struct {
	Dir    string
	MaxAge time.Duration // how old the newest may be
	// Reason says why the folder could not be read; empty if it was.
	Reason string
	Files  []Snapshot // the newest first, up to the first complete one

	Membership *Membership // of the database in the complete one; nil if there is none
}

// Complete returns the name of the newest complete snapshot; empty if there is none.
func (s *Snapshots) Complete() string {
	for _, file := range s.Files {
		if file.Fault == "" && !file.Unread {
			return file.Name
		}
	}
	return ""
}

// Snapshot is one file. Of its content, its head was read, of a packed one unpacked.
type Snapshot struct {
	Name     string
	Modified time.Time
	Fault    string // why it is not a complete bbolt database; empty if it is
	Unread   bool   // it is packed or encrypted in a way that cannot be read here
}
