package main

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/census"
	offline "github.com/etcdsec/etcdsec/audit/census/snapshot"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/manifests/encryption/rotation"
)

// rotationCensusFlags name the etcd and the snapshots in which a rotation counts objects.
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
	f.IntVar(&flags.maxRate, "max-rate", quick, "`objects` of etcd to read per second; 0 is no limit")
	f.StringVar(&flags.snapshots, "snapshot-dir", "", "`dir` of snapshots that may still be restored: files NAME.db, of k3s and RKE2, and packed by gzip or zip")
	f.DurationVar(&flags.expiry, "snapshot-expiry", 0, "`time` after which no snapshot is restored any more (default never)")
	_ = cmd.MarkFlagDirname("snapshot-dir") // only completion; fails for unknown flags
}

// rotationCensus returns a function that counts the stored objects of a plan's resources.
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
	switch {
	case flags.store+flags.certPath+flags.keyPath+flags.caPath == "":
		own.store = dir
	case flags.store+flags.certPath+flags.keyPath == "":
		return nil, usageError(errors.New("--cacert goes with --cert and --key: the client of DIR trusts the CAs of DIR"), "--cacert "+shellword.Path(flags.caPath)+" --cert client.crt --key client.key")
	}
	live, err := a.liveCensus(own, a.now())
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, p *rotation.Plan) ([]rotation.Count, error) {
		live := live
		live.Known = p.Known()
		found, err := live.Census(ctx)
		if err != nil {
			return nil, err
		}
		if !found.Complete {
			return nil, errors.New(found.Reason)
		}
		return p.Counts(found), nil
	}, nil
}

// snapshotsNeeding returns a function that finds the snapshots in --snapshot-dir that need one of
// the given keys.
func (flags rotationCensusFlags) snapshotsNeeding(now func() time.Time) func(context.Context, []audit.Writer) ([]string, error) {
	return offline.Folder{
		Dir: flags.snapshots, Expiry: flags.expiry, Now: now,
		Options: offline.Options{Layout: auditCensusFlags{prefix: flags.prefix}.layout()},
	}.Needing
}
