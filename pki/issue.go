package pki

import (
	"context"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// Backend is what signs leaves.
type Backend string

// The backends.
const (
	BackendCfssl Backend = "cfssl"
	// BackendStd is crypto/x509 alone: the one that works under GODEBUG=fips140=only.
	BackendStd Backend = "std"
)

// IssueConfig is how to issue.
type IssueConfig struct {
	Now time.Time
	// Backend is BackendCfssl when empty, and BackendStd under FIPS.
	Backend Backend
	// Owner is given the bundles of nodes and clients; authorities stay the operator's.
	Owner *durable.Owner
	// Progress, when not nil, is called after each certificate, from several goroutines.
	Progress func(done, total int)
}

// Issue signs what the work says, verifies each certificate, enters all of them in the
// ledger and only then writes them: authorities first, each bundle at once. When
// it fails or is killed, the store holds only whole bundles, and the next Survey and
// Issue finish the work.
func (s *Store) Issue(ctx context.Context, w *Work, spec []byte, config IssueConfig) error {
	if err := s.keepSpec(spec); err != nil {
		return err
	}
	if w.Nothing() {
		return s.dropPlainKeys(w.plan)
	}
	batch := &batch{plan: w.plan, config: config, total: w.count()}
	if err := batch.authorities(ctx, w); err != nil {
		return err
	}
	if err := batch.leaves(ctx, w); err != nil {
		return err
	}
	entries, err := batch.revocationLists(s.Dir, w, batch.entries(w))
	if err != nil {
		return err
	}
	if err := appendLedger(s.Dir, entries); err != nil {
		return err
	}
	if err := s.write(batch, w); err != nil {
		return err
	}
	return s.dropPlainKeys(w.plan)
}

// keepSpec writes the spec first, so that a store which a killed run left is known for whose it is.
func (s *Store) keepSpec(spec []byte) error {
	if _, equal, err := s.FileState(SpecName, spec); err != nil || equal {
		return err
	}
	return durable.WriteFile(s.Dir, durable.File{Name: SpecName, Mode: 0o600, Data: spec}, nil)
}
