package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
	offline "github.com/etcdsec/etcdsec/audit/census/snapshot"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// validateSource checks that the flags name exactly one source, and that none belongs to the other.
func (f auditCensusFlags) validateSource() error {
	const hint = "etcdsec audit census --endpoints https://10.0.0.11:2379 --pki ./store"
	switch {
	case len(f.endpoints) == 0 && f.snapshot == "":
		return usageError(errors.New("neither --endpoints nor --snapshot is given: the census needs one of them"), hint)
	case f.snapshot == "":
		return nil
	case len(f.endpoints) > 0:
		return usageError(errors.New("--endpoints and --snapshot exclude each other: give one of them"), hint)
	case f.store != "", f.caPath != "", f.certPath != "", f.keyPath != "":
		return usageError(errors.New("--pki, --cacert, --cert and --key go with --endpoints: a file needs no credentials"), "etcdsec audit census --snapshot "+shellword.Path(f.snapshot))
	}
	return nil
}

func (f auditCensusFlags) layout() census.Layout {
	if f.prefix != "" {
		return census.NewLayout(f.prefix)
	}
	return census.DefaultLayout()
}

// readStore reads the file of --snapshot, or asks the members of --endpoints.
func (a *app) readStore(ctx context.Context, flags auditCensusFlags, known []audit.Writer, now time.Time) (audit.Census, error) {
	if flags.snapshot == "" {
		live, err := a.liveCensus(flags, now)
		if err != nil {
			return audit.Census{}, err
		}
		live.Known = known
		found, err := live.Census(ctx)
		if err != nil {
			return audit.Census{}, usageError(err, "--endpoints https://10.0.0.11:2379")
		}
		return found, nil
	}
	found, err := offline.Census(ctx, flags.snapshot, offline.Options{Layout: flags.layout(), Known: known})
	if err != nil {
		hint := ""
		if errors.Is(err, offline.ErrInUse) {
			hint = "etcdctl snapshot save snapshot.db --endpoints=https://10.0.0.11:2379   # then give that file to --snapshot"
		}
		return audit.Census{}, failure(fmt.Errorf("taking the census: %w", err), hint)
	}
	return found, nil
}
