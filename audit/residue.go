package audit

// Residue counts the data in a file outside its current revision, which compaction and then
// defragmentation would remove.
type Residue struct {
	Reason string `json:"reason,omitempty"` // why not all of it was read, or not all of it is residue

	Revisions ResidueCount `json:"revisions"`  // older revisions that are not compacted yet
	FreePages ResidueCount `json:"free_pages"` // pages that are free, and the unused ends of pages
	WAL       ResidueCount `json:"wal"`        // the write-ahead log, of a data dir
	// OldFiles counts the other files of a data dir: the databases that a leader has sent, and the
	// files that a killed defragmentation or download left behind.
	OldFiles ResidueCount `json:"old_files"`
}

// ResidueCount counts the values in one place. One object may be there many times.
type ResidueCount struct {
	Scanned   int64         `json:"scanned"` // bytes that were searched
	Values    int64         `json:"values"`  // of API servers, in plaintext or encrypted
	Bytes     int64         `json:"bytes"`   // of the values whose length is known
	Plaintext int64         `json:"plaintext"`
	Writers   []WriterCount `json:"writers"`
	// PlaintextObjects are the first objects whose plaintext was seen, as "resource namespace/name".
	PlaintextObjects []string `json:"plaintext_objects,omitempty"`

	Resources []ResourceCensus `json:"resources,omitempty"` // of the values with a key next to them
	Unplaced  Unplaced         `json:"unplaced"`
}

// Unplaced counts the values with a key that is not an object's.
type Unplaced struct {
	Values    int64         `json:"values"`
	Plaintext int64         `json:"plaintext"`
	Writers   []WriterCount `json:"writers,omitempty"`
	// Candidates counts places without a key next to them that look like the beginning of a value: the
	// page with the key has been overwritten since, or the bytes are in a value. They are in no other
	// count.
	Candidates int64 `json:"candidates,omitempty"`
}

// Places returns the places that were searched for residue, with names for people.
func (r *Residue) Places() []ResiduePlace {
	return []ResiduePlace{
		{Name: "older revisions", Code: "revisions", Count: &r.Revisions},
		{Name: "free pages", Code: "free-pages", Count: &r.FreePages},
		{Name: "the write-ahead log", Code: "wal", Count: &r.WAL},
		{Name: "old files of the data dir", Code: "old-files", Count: &r.OldFiles},
	}
}

// ResiduePlace is a place that was searched for residue.
type ResiduePlace struct {
	Name, Code string
	Count      *ResidueCount
}

// The digests of a SnapshotFile.
const (
	DigestMatches = "matches"
	DigestDiffers = "differs"
	DigestAbsent  = "absent" // a copy of a member's database has none
)

// SnapshotFile describes the file of a snapshot.
type SnapshotFile struct {
	Path   string `json:"path"` // of the database
	Size   int64  `json:"size"` // in bytes, with the digest
	Digest string `json:"digest"`

	Faults     []string `json:"faults,omitempty"` // of its structure; the first of them
	FaultCount int      `json:"fault_count"`
	Partial    bool     `json:"partial"` // some of it could not be read

	PageSize  int   `json:"page_size"`
	Pages     int64 `json:"pages"`
	FreePages int64 `json:"free_pages"`

	Revisions       int64 `json:"revisions"`        // all that are kept, deletions included
	CompactRevision int64 `json:"compact_revision"` // the last that compaction was asked to remove; 0 if it never was

	// StorageVersion is of the format, from etcd 3.6 on, and ClusterVersion of the members;
	// empty where the file does not say.
	StorageVersion string `json:"storage_version,omitempty"`
	ClusterVersion string `json:"cluster_version,omitempty"`

	Membership *Membership `json:"-"` // that the database has; nil if it was not read
}

// Intact reports whether every byte of the file is as etcd wrote it. Without a digest this is unknown,
// and Intact returns false.
func (f *SnapshotFile) Intact() bool {
	return f.Digest == DigestMatches && f.FaultCount == 0 && !f.Partial
}
