// Package snapshot finds out which key encrypted each object in a file of etcd: a snapshot, a
// copy of a member's database, or a copy of its data dir. It reads the current revision and
// everything else that the file still holds: older revisions, free pages, the write-ahead log. It
// opens files for reading only, takes no lock, and keeps no value.
package snapshot

import (
	"context"
	"errors"
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
	"github.com/etcdsec/etcdsec/internal/etcddb"
)

// Options say how to read.
type Options struct {
	Layout census.Layout
	// Known are the writers of a configuration; others are recognised by the pattern of their names.
	Known []audit.Writer
	// WithoutResidue reads only the revisions of the store, and not the rest of the file.
	WithoutResidue bool
	// WithoutDigest ignores the digest, as if there were none.
	WithoutDigest bool
}

// Census reads a file or a data dir. It reads a damaged file as far as possible, and says so in
// the census. It fails if there is no database of etcd, if an etcd has it open, or if it changed
// during the census.
func Census(ctx context.Context, path string, options Options) (audit.Census, error) {
	s, err := openSource(ctx, path)
	if err != nil {
		return audit.Census{}, err
	}
	defer s.close()
	c, err := s.census(ctx, options)
	if err == nil && s.db.Changed() {
		err = errors.New("it was changed while it was read; copy it first, and read the copy")
	}
	if err != nil {
		return audit.Census{}, fmt.Errorf("reading %s: %w", s.db.Path, err)
	}
	c.Source = path
	return *c, nil
}

func (s *source) census(ctx context.Context, options Options) (*audit.Census, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	data, digest := etcddb.SplitDigest(s.db.Data)
	if options.WithoutDigest {
		digest = nil
	}

	// The digest takes as long as the census does, so that it is checked beside it. This has
	// to end before the mapping does.
	type checked struct {
		digest etcddb.Digest
		err    error
	}
	done := make(chan checked, 1)
	go func() {
		var c checked
		c.err = etcddb.Guard(func() (err error) {
			c.digest, err = etcddb.CheckDigest(ctx, data, digest)
			return err
		})
		done <- c
	}()

	c := &audit.Census{}
	err := etcddb.Guard(func() error { return s.read(ctx, c, data, options) })
	if err != nil {
		cancel()
	}
	check := <-done
	if err != nil {
		return nil, err
	}
	if check.err != nil {
		return nil, check.err
	}
	c.Snapshot.Digest = digestNames()[check.digest]
	c.Snapshot.Path, c.Snapshot.Size = s.db.Path, s.db.Info.Size()
	judge(c)
	return c, nil
}

// judge notes in the census whether it is reliable.
func judge(c *audit.Census) {
	f := c.Snapshot
	switch {
	case f.Partial:
		c.Reason = "the file is damaged, and this is what could be read of it: " + f.Faults[0]
	case f.Digest == audit.DigestDiffers:
		c.Reason = "the SHA-256 at the end of the file is not that of its content: it was damaged or changed after etcd wrote it"
	default:
		c.Complete = true
	}
}

// digestNames returns the names of digests in a report.
func digestNames() map[etcddb.Digest]string {
	return map[etcddb.Digest]string{
		etcddb.DigestAbsent: audit.DigestAbsent, etcddb.DigestMatches: audit.DigestMatches, etcddb.DigestDiffers: audit.DigestDiffers,
	}
}

func (s *source) read(ctx context.Context, c *audit.Census, data []byte, options Options) error {
	d, err := etcddb.Open(ctx, data)
	if err != nil {
		return err
	}
	classifier := census.NewClassifier(options.Known)
	current := census.NewTally(options.Layout, options.Known...)
	older := current.Fork().WithoutCopies()
	counter := newCounter(ctx, func(r etcddb.Revision) {
		if r.Current {
			current.AddSeal(r.Key, comparedPart(classifier.Classify(r.Value)))
		} else {
			older.Add(r.Key, r.Value)
		}
	})
	var store etcddb.Store
	err = etcddb.Guard(func() (err error) {
		store, err = d.Read(ctx, counter.add)
		return err
	})
	if err := errors.Join(err, counter.end()); err != nil {
		return err
	}
	*c = current.Census()
	c.Revision = store.Revision
	c.Snapshot = &audit.SnapshotFile{
		PageSize: d.PageSize(), Pages: int64(d.Pages()), Revisions: store.Revisions, //nolint:gosec // a file has not that many pages
		CompactRevision: store.CompactRevision, StorageVersion: store.StorageVersion, ClusterVersion: store.ClusterVersion,
		Membership: membershipOf(store.Membership),
	}
	if !options.WithoutResidue {
		if err := s.residue(ctx, c, d, func() *remains { return newRemains(options, current) }); err != nil {
			return err
		}
		c.Residue.Revisions = countOf(older.Census())
	}
	c.Snapshot.Faults, c.Snapshot.FaultCount = d.Faults.First, d.Faults.Count
	c.Snapshot.Partial = d.Faults.Count > 0
	return nil
}

// comparedBytes hold the nonce of a value and some of its ciphertext.
const comparedBytes = 64

// comparedPart returns the part of the ciphertext that is compared with others. The nonce comes
// first, and no two values have the same. Values of KMS v1 are different: they begin with a key
// that many values share, and end in ciphertext. Reading only this part is faster.
func comparedPart(s census.Seal) census.Seal {
	if s.Provider == audit.KMSv1Provider {
		s.Sealed = s.Sealed[max(0, len(s.Sealed)-comparedBytes):]
	} else {
		s.Sealed = s.Sealed[:min(comparedBytes, len(s.Sealed))]
	}
	return s
}

// residue counts everything except the current revisions.
func (s *source) residue(ctx context.Context, c *audit.Census, d *etcddb.Database, nothing func() *remains) error {
	c.Residue = &audit.Residue{}
	if d.Faults.Count > 0 {
		c.Residue.Reason = "the file is damaged: pages that the damage hides are counted as free"
	}
	free, wal, left := nothing(), nothing(), nothing()
	pages, err := free.scanUnused(ctx, d)
	if err != nil {
		return err
	}
	c.Snapshot.FreePages = pages
	if err := wal.scanFiles(ctx, s.wal, 0); err != nil {
		return err
	}
	if err := left.scanFiles(ctx, s.left, d.PageSize()); err != nil {
		return err
	}
	c.Residue.FreePages, c.Residue.WAL, c.Residue.OldFiles = free.count(), wal.count(), left.count()
	return nil
}
