// Package snapshot says which key encrypted every object in a file of etcd: a snapshot, a
// copy of a member's database, or a copy of its data dir. Beside the current revision it
// looks at all that the file still holds: older revisions, free pages, the write-ahead log.
// It opens files for reading only, takes no lock, and keeps no value.
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
	// WithoutResidue leaves out all but the revisions that the store has.
	WithoutResidue bool
	// WithoutDigest leaves the digest out, as if there were none.
	WithoutDigest bool
}

// Census reads a file or a data dir. What is damaged is read as far as it can be, and the
// census then says so; it fails when there is no database of etcd, when an etcd has it open,
// or when it was changed meanwhile.
func Census(ctx context.Context, path string, options Options) (audit.Census, error) {
	s, err := openSource(path)
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

// judge notes in the census whether it can be relied on.
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
	counter := newCounter(func(r etcddb.Revision) {
		if r.Current {
			current.AddSeal(r.Key, compared(classifier.Classify(r.Value)))
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

// compared leaves a part of the ciphertext to be compared with others. No two values have
// the same nonce, which comes first; only what KMS v1 has encrypted begins with a key that
// many have, and ends in ciphertext. A file is read faster when most of it is not looked at.
func compared(s census.Seal) census.Seal {
	if s.Provider == audit.KMSv1Provider {
		s.Sealed = s.Sealed[max(0, len(s.Sealed)-comparedBytes):]
	} else {
		s.Sealed = s.Sealed[:min(comparedBytes, len(s.Sealed))]
	}
	return s
}

// residue looks at all that is beside the revisions.
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
	if err := wal.scanFiles(ctx, s.wal); err != nil {
		return err
	}
	if err := left.scanFiles(ctx, s.left); err != nil {
		return err
	}
	c.Residue.FreePages, c.Residue.WAL, c.Residue.OldFiles = free.count(), wal.count(), left.count()
	return nil
}
