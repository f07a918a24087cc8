package main

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
	offline "github.com/etcdsec/etcdsec/audit/census/snapshot"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
)

// rotationCensusFlags say where a rotation looks at what is stored.
type rotationCensusFlags struct {
	etcdCredentialFlags

	endpoints []string
	prefix    string
	maxRate   int
	snapshots string
	expiry    time.Duration
}

func (flags *rotationCensusFlags) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringSliceVar(&flags.endpoints, "endpoints", nil, "`URLs` of client ports of etcd (default the spec's members)")
	f.StringVar(&flags.prefix, "etcd-prefix", "", "kube-apiserver's own --etcd-prefix, if it has one (`prefix` such as /registry)")
	flags.etcdCredentialFlags.addFlags(cmd)
	const quick = 5000 // a rotation is waited for
	f.IntVar(&flags.maxRate, "max-rate", quick, "`objects` of etcd to read in a second; 0 is no limit")
	f.StringVar(&flags.snapshots, "snapshot-dir", "", "`dir` of snapshots, as files *.db, that may be restored")
	f.DurationVar(&flags.expiry, "snapshot-expiry", 0, "`time` after which a snapshot is not restored any more (default never)")
	_ = cmd.MarkFlagDirname("snapshot-dir") // only completion; fails for unknown flags
}

// rotationCensus counts what is stored of the resources of a plan.
func (a *app) rotationCensus(flags rotationCensusFlags, c *cluster.Cluster, dir string) (func(context.Context, *rotation.Plan) ([]rotation.Count, error), error) {
	own := auditCensusFlags{
		etcdCredentialFlags: flags.etcdCredentialFlags,
		endpoints:           flags.endpoints, prefix: flags.prefix, timeout: census.DefaultTimeout, maxRate: flags.maxRate,
	}
	if len(own.endpoints) == 0 {
		for _, m := range c.Etcd.Members {
			own.endpoints = append(own.endpoints, "https://"+net.JoinHostPort(m.Advertised().String(), strconv.Itoa(int(c.Etcd.ClientPort))))
		}
	}
	if flags.store+flags.certPath+flags.keyPath == "" {
		own.store, own.caPath = dir, ""
	}
	live, err := a.liveCensus(own, a.now())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, p *rotation.Plan) ([]rotation.Count, error) {
		found, err := live.Census(ctx)
		if err != nil {
			return nil, err
		}
		if !found.Complete {
			return nil, errors.New(found.Reason)
		}
		return rotationCounts(found, p), nil
	}, nil
}

// unreadable is the writer of values that no API server can read.
const unreadable = "nobody: the value is broken"

// rotationCounts are the counts of the plan's resources.
func rotationCounts(c audit.Census, p *rotation.Plan) []rotation.Count {
	var counts []rotation.Count
	for _, r := range c.Resources {
		if r.Bookkeeping || !p.Covers(r.Resource) {
			continue
		}
		add := func(w rotation.Writer, objects int64) {
			at := slices.IndexFunc(counts, func(c rotation.Count) bool { return c.Resource == r.Resource && c.Writer == w })
			if at < 0 {
				at = len(counts)
				counts = append(counts, rotation.Count{Resource: r.Resource, Writer: w})
			}
			counts[at].Objects += objects
		}
		for _, w := range r.Writers {
			add(rotationWriter(w.Writer), w.Objects)
		}
		if r.Plaintext > 0 {
			add(rotation.Writer{Provider: string(encryption.Identity)}, r.Plaintext)
		}
		if r.Broken > 0 {
			add(rotation.Writer{Provider: unreadable}, r.Broken)
		}
	}
	return counts
}

// rotationWriter leaves the version and the key ID of a KMS out: the plugin has those.
func rotationWriter(w audit.Writer) rotation.Writer {
	provider, _, _ := strings.Cut(w.Provider, " ")
	return rotation.Writer{Provider: provider, Key: w.Key}
}

// needing names the snapshots that have not expired and hold an object of one of the writers.
func (flags rotationCensusFlags) needing(now func() time.Time) func(context.Context, []rotation.Writer) ([]string, error) {
	return func(ctx context.Context, writers []rotation.Writer) ([]string, error) {
		names, err := filepath.Glob(filepath.Join(flags.snapshots, "*.db"))
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(flags.snapshots); err != nil {
			return nil, err
		}
		var needed []string
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				return nil, err
			}
			if flags.expiry > 0 && now().Sub(info.ModTime()) > flags.expiry {
				continue
			}
			layout := census.DefaultLayout()
			if flags.prefix != "" {
				layout = census.NewLayout(flags.prefix)
			}
			found, err := offline.Census(ctx, name, offline.Options{Layout: layout, WithoutResidue: true, WithoutDigest: true})
			if err != nil {
				return nil, err
			}
			if needsWriter(found, writers) {
				needed = append(needed, name)
			}
		}
		return needed, nil
	}
}

// needsWriter says whether an object is of one of the writers. Plaintext needs no key.
func needsWriter(c audit.Census, writers []rotation.Writer) bool {
	for _, r := range c.Resources {
		for _, w := range r.Writers {
			if slices.Contains(writers, rotationWriter(w.Writer)) {
				return true
			}
		}
	}
	return false
}
