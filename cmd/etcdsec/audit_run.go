package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect"
)

// auditRunFlags hold the flags as the operator wrote them.
type auditRunFlags struct {
	etcdCredentialFlags

	spec       string
	endpoints  []string
	peers      []string
	metrics    []string
	apiServers []string
	kubelets   []string
	targets    string
	shard      shardFlags
	parallel   int
	selection  checkSelection
	mint       bool
	present    []string
	minTLS     string
	timeout    time.Duration
	waivers    string
	failOn     string
	unknown    string // what results do that could not be told
	outputs    auditOutputs
	hosts      auditHostFlags
	kube       auditKubeFlags
	members    memberFlags
}

func newAuditRunCommand(a *app) *cobra.Command {
	var flags auditRunFlags
	cmd := &cobra.Command{
		Use:   "run [-f cluster.yaml] [ENDPOINT...]",
		Short: "Audit running members, and the host they run on",
		Long: `Audit the listeners of running etcd members: what they answer without TLS, without a certificate,
with a foreign certificate and with a client's certificate, and what they serve and advertise. Then
compare the members of each cluster with each other.

An ENDPOINT is a client port, as host:port, https://host:port or http://host:port. The scheme does
not matter: both are always tried. With -f, the client, peer and metrics ports of every member of
the spec are audited. --targets names a file with one endpoint per line: a client port, or another
port with its kind (peer=10.0.0.11:2380). cluster=NAME may follow; # begins a comment.

An API server (port 6443) or kubelet (port 10250) is asked only which CAs it trusts, to compare
them with etcd's. With -f, the API servers of the spec are asked.

With none of these, or with --host, it finds the etcds of this host by their processes, static
Pods and systemd units. It audits them in three views: the settings they run with, their files,
and all their listeners. Without --cert or --pki, the audit presents the certificate that
kube-apiserver presents to etcd, or else that of etcd's healthcheck-client, if it can read one;
stderr says which. This needs root. In a container, --root is the folder where the host is mounted.
--settings judges only files, from any machine, and asks no server.

A shell script that starts etcd is read, and never run: its literals and the variables that it is
given count, and what it computes is unknown.

With --kubeconfig, the cluster's API server is asked for the Pods that run etcd and for the
control-plane nodes; the user must be allowed to list both. What listens only on a node's loopback
address or on a socket must be audited on that node: here it is one unknown result of each etcd,
listener-unseen. Where the nodes are audited by themselves, --skip listener-unseen leaves it out.

--shard audits one part of the endpoints. The endpoints of a host are always in one part, and so
are those of a named cluster. "etcdsec audit merge" joins the reports.

--waivers is a file of findings that somebody accepts until a given day. They stay in the report,
as failures with a waiver, and do not make status 3:

  apiVersion: etcdsec.dev/v1alpha1
  kind: Waivers
  waivers:
    - check: metrics-exposed
      target: "10.0.0.1?:2379"      # * is any text, ? one character
      fingerprint: 0f6d...          # optional: only these findings; the JSON report has it
      owner: platform@example.com
      reason: the old Prometheus scrapes the client port
      ticket: SEC-1234              # optional
      expires: 2027-03-31           # the last day, UTC; 400 days ahead at most

An expired waiver has no effect, and the finding names it. An unused waiver gives a warning. In the
merged report of several hosts, "host: cp-0" says whose 127.0.0.1:2381 a waiver is for.

Reads the spec, the lists, the certificate files, the network, the first bytes of the files in
--snapshot-dir, and the list of members in the newest of them. On a host it reads /proc, the folders
of static Pods and units, and the files that those name. It recognises private keys, and reads
nothing from them.
Writes only the report: to stdout, and with -o FORMAT=FILE to files. A new file has mode 0600 (metrics: 0644),
because a report names weak spots. An existing file is replaced as a whole and keeps its mode, so
that a collector can still read it. The audit never writes to etcd, adds no raft entry, and posts
nothing to a peer port. When it is interrupted, it reports what it has; the rest is unknown.

Exit status: 0 all checks passed, 1 a check could not tell, 2 bad command line or spec,
3 findings. 1 beats 3, because an audit that did not see everything is not complete. With
--unknown warn, what could not be told only warns.`,
		Example: `  etcdsec audit run
  etcdsec audit run --root /host
  etcdsec audit run --settings /etc/kubernetes/manifests/etcd.yaml
  etcdsec audit run --kubeconfig admin.conf --cacert ca.crt --cert client.crt --key client.key
  etcdsec audit run -f cluster.yaml --pki ./store
  etcdsec audit run -f cluster.yaml --pki ./store --mint
  etcdsec audit run 10.0.0.11:2379 --peer 10.0.0.11:2380
  etcdsec audit run -f cluster.yaml --pki ./store --snapshot-dir /var/backups/etcd
  etcdsec audit run -f cluster.yaml --pki ./store --waivers waivers.yaml --fail-on high
  etcdsec audit run 10.0.0.11:2379 --apiserver 10.0.0.11:6443 --kubelet 10.0.0.21:10250
  etcdsec audit run https://10.0.0.11:2379 --cacert ca.crt --cert client.crt --key client.key -o json
  etcdsec audit run --targets fleet.txt --shard 0/8 -o json=shard-0.json
  etcdsec audit run -f cluster.yaml --pki ./store -o text -o sarif=etcd.sarif -o html=etcd.html`,
		RunE: func(cmd *cobra.Command, endpoints []string) error {
			if !cmd.Flags().Changed("pki") {
				if err := a.useEtcdctlEnvironment(cmd, "cacert", "cert", "key"); err != nil {
					return err
				}
			}
			return flags.run(cmd.Context(), a, endpoints)
		},
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *auditRunFlags) addFlags(cmd *cobra.Command) {
	set := cmd.Flags()
	specFlag(cmd, &f.spec)
	set.StringArrayVar(&f.peers, "peer", nil, "`host:port` of a peer port; may be repeated")
	set.StringArrayVar(&f.metrics, "metrics", nil, "`host:port` of a metrics port; may be repeated")
	set.StringArrayVar(&f.apiServers, "apiserver", nil, "`host:port` of a kube-apiserver of the cluster; may be repeated")
	set.StringArrayVar(&f.kubelets, "kubelet", nil, "`host:port` of a kubelet of the cluster; may be repeated")
	f.etcdCredentialFlags.addFlags(cmd)
	set.BoolVar(&f.mint, "mint", false, "make certificates that must be refused (expired, for servers only, revoked, elsewhere) in memory, with the keys of --pki")
	set.StringArrayVar(&f.present, "present", nil, "present a certificate that must be refused, as `FAULT=CERT,KEY`; may be repeated")
	set.StringVar(&f.minTLS, "min-tls", "", "lowest TLS `version` that a port may agree to: 1.2 or 1.3 (default the spec's, else 1.2)")
	complete(cmd, "present", completeFaults)
	completeWords(cmd, "min-tls", "1.2", "1.3")
	set.DurationVar(&f.timeout, "timeout", collect.DefaultTimeout, "`time` for one probe; a target takes at most four times as long")
	targetsFlag(cmd, &f.targets)
	f.shard.addFlags(cmd)
	set.IntVar(&f.parallel, "parallel", collect.DefaultParallel, "`number` of targets to audit at the same time, each over at most 4 connections")
	f.selection.addFlags(cmd)
	waiversFlag(cmd, &f.waivers)
	failOnFlag(cmd, &f.failOn, audit.Low)
	unknownFlag(cmd, &f.unknown)
	f.members.addFlags(cmd)
	f.hosts.addFlags(cmd)
	f.kube.addFlags(cmd)
	f.outputs.addFlags(cmd)
}

func (f *auditRunFlags) run(ctx context.Context, a *app, given []string) error {
	f.endpoints = given
	if f.timeout <= 0 {
		return usageError(fmt.Errorf("--timeout %s: want a time above 0, such as 3s", f.timeout), "")
	}
	const maxParallel = 4096
	if f.parallel < 1 || f.parallel > maxParallel {
		return usageError(fmt.Errorf("--parallel %d: want 1 to %d", f.parallel, maxParallel), "")
	}
	if err := f.members.validate(); err != nil {
		return err
	}
	failOn, err := parseFailOn(f.failOn)
	if err != nil {
		return err
	}
	unknownFails, err := parseUnknown(f.unknown)
	if err != nil {
		return err
	}
	advisories, err := f.members.loadAdvisories(a.files)
	if err != nil {
		return err
	}
	checks, err := selectChecks(f.selection, catalog.With(advisories))
	if err != nil {
		return err
	}
	shard, err := f.shard.parse(os.Getenv)
	if err != nil {
		return err
	}
	endpoints, err := a.auditEndpoints(*f)
	if err != nil {
		return err
	}
	if err := checkStoreOfSpec(f.store, f.spec); err != nil {
		return err
	}
	started := a.now()
	rules, err := a.loadWaivers(f.waivers, started)
	if err != nil {
		return err
	}
	declared, err := a.kubeTargets(ctx, *f, endpoints, started)
	if err != nil {
		return err
	}
	hosts, err := a.collectHost(ctx, *f, declared.Endpoints, started)
	if err != nil {
		return err
	}
	credentials, err := a.hostCredentials(*f, hosts.found, started)
	if err != nil {
		return err
	}
	faults, err := a.auditFaults(*f, started)
	if err != nil {
		return err
	}
	endpoints = hosts.Endpoints
	if shard != nil {
		all := len(endpoints)
		if len(declared.Settings)+len(hosts.Settings) > 0 {
			return usageError(errors.New("--shard divides only endpoints: leave out --host, --settings and --kubeconfig"), "")
		}
		endpoints = collect.Shard(endpoints, shard.Index, shard.Count)
		a.narrate("shard %d of %d: %d of %d targets", shard.Index, shard.Count, len(endpoints), all)
	}
	listeners, err := collect.Collect(ctx, endpoints, collect.Config{
		Timeout:      f.timeout,
		Credentials:  credentials,
		Faulty:       faults,
		Now:          a.now,
		Parallel:     f.parallel,
		OneHandshake: !slices.ContainsFunc(checks, func(c audit.Check) bool { return !c.OneHandshake }),
		Progress:     a.progress("audited %d of %d targets"),
	})
	if err != nil {
		return failure(err, "")
	}
	if audit.NoteUnusedRoots(listeners) {
		a.narrate("warning: no server has a certificate of the CAs (%s): are they those of this cluster?", f.rootsSource())
	}
	listeners = append(listeners, declared.Unseen...)
	targets := slices.Concat(audit.Targets(listeners), audit.Targets(hosts.Unseen), audit.Targets(f.members.clusters(ctx, listeners, started)),
		audit.Targets(declared.Settings), audit.Targets(hosts.Settings))
	observer := hosts.observer()
	for _, t := range targets {
		t.SetPaths(f.spec, f.store)
		t.SetObserver(observer)
	}
	result := audit.Run(checks, targets)
	result.Tool = audit.Tool{Name: audit.ToolName, Version: buildVersion()}
	result.StartedAt, result.FinishedAt = started.UTC(), a.now().UTC()
	result.Shard = shard
	a.applyWaivers(&result, rules, started)
	if err := a.writeAuditReport(f.outputs, result); err != nil {
		return err
	}
	if slices.ContainsFunc(listeners, (*audit.Listener).Interrupted) {
		return failure(errors.New("the audit was interrupted; the checks that did not run are unknown in the report"), "")
	}
	return a.auditStatus(result, failOn, unknownFails)
}
