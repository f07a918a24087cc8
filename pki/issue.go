package pki

import (
	"context"
	"errors"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
)

// Backend names the library that signs leaves.
type Backend string

// The backends.
const (
	BackendCfssl Backend = "cfssl"
	// BackendStd uses only crypto/x509. It also works under GODEBUG=fips140=only.
	BackendStd Backend = "std"
)

// IssueConfig tells [Store.Issue] how to issue.
type IssueConfig struct {
	Now time.Time
	// Backend defaults to BackendCfssl. Under FIPS it is always BackendStd.
	Backend Backend
	// Owner gets the bundles of nodes and clients. The operator keeps the authorities.
	Owner *durable.Owner
	// Progress, if not nil, is called after each certificate, from several goroutines.
	Progress func(done, total int)
}

// Issue signs what the survey asks for, and verifies each certificate. It records all of them in the
// ledger, and only then writes them: first the authorities, then each bundle as a whole. If it fails
// or is killed, the store holds only whole bundles, and the next [Store.Survey] and Issue finish the
// work. Issue also removes what killed runs left, even if there is nothing to sign.
func (s *Store) Issue(ctx context.Context, w *Survey, spec []byte, config IssueConfig) error {
	if err := s.keepSpec(spec); err != nil {
		return err
	}
	// A run that cannot remove old files does its work all the same.
	swept := s.sweep()
	if w.Nothing() {
		return errors.Join(swept, s.dropFormerKeys(w.plan, w.protect))
	}
	run := newIssuance(w, config, s)
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
	lists, err := run.signLists(there, entries, s.verifiedLists(w.plan, w.cas))
	if err != nil {
		return err
	}
	bundles, err := s.planBundles(run)
	if err != nil {
		return err
	}
	if err := appendLedger(s.Dir, append(entries, lists...)); err != nil {
		return err
	}
	if err := s.write(run, bundles); err != nil {
		return err
	}
	return errors.Join(swept, s.dropFormerKeys(w.plan, w.protect))
}

// keepSpec writes the spec into the store. Issue does this first, so that after a killed run the
// store still shows to which cluster it belongs.
func (s *Store) keepSpec(spec []byte) error {
	if _, equal, err := s.FileState(SpecName, spec); err != nil || equal {
		return err
	}
	return durable.WriteFile(s.Dir, durable.File{Name: SpecName, Mode: 0o600, Data: spec}, nil)
}
