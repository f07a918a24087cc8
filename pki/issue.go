package pki

import (
	"context"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// Backend names what signs leaves.
type Backend string

// The backends.
const (
	BackendCfssl Backend = "cfssl"
	// BackendStd is crypto/x509 alone: the one that works under GODEBUG=fips140=only.
	BackendStd Backend = "std"
)

// IssueConfig tells how to issue.
type IssueConfig struct {
	Now time.Time
	// Backend is BackendCfssl when empty, and BackendStd under FIPS.
	Backend Backend
	// Owner is given the bundles of nodes and clients; authorities stay the operator's.
	Owner *durable.Owner
	// Progress, when not nil, is called after each certificate, from several goroutines.
	Progress func(done, total int)
}

// Issue signs what the survey asks for, verifies each certificate, enters all of them in
// the ledger and only then writes them: authorities first, each bundle at once. When it
// fails or is killed, the store holds only whole bundles, and the next Survey and Issue
// finish the work.
func (s *Store) Issue(ctx context.Context, w *Survey, spec []byte, config IssueConfig) error {
	if err := s.keepSpec(spec); err != nil {
		return err
	}
	if w.Nothing() {
		return s.dropFormerKeys(w.plan)
	}
	run := newIssuance(w, config, s.Remote)
	if err := run.signAuthorities(ctx); err != nil {
		return err
	}
	if err := run.signLeaves(ctx); err != nil {
		return err
	}
	there, err := ReadLedger(s.Dir)
	if err != nil {
		return err
	}
	entries := run.entries()
	lists, err := run.signLists(len(there) + len(entries))
	if err != nil {
		return err
	}
	if err := appendLedger(s.Dir, append(entries, lists...)); err != nil {
		return err
	}
	if err := s.write(run); err != nil {
		return err
	}
	return s.dropFormerKeys(w.plan)
}

// keepSpec writes the spec first, so that a store which a killed run left is known for whose it is.
func (s *Store) keepSpec(spec []byte) error {
	if _, equal, err := s.FileState(SpecName, spec); err != nil || equal {
		return err
	}
	return durable.WriteFile(s.Dir, durable.File{Name: SpecName, Mode: 0o600, Data: spec}, nil)
}
