package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/census"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// auditCensusFlags hold the flags as the operator wrote them.
type auditCensusFlags struct {
	etcdCredentialFlags

	endpoints []string
	snapshot  string
	prefix    string
	config    string
	keyNames  []string
	maxRate   int
	timeout   time.Duration
	waivers   string
	failOn    string
	unknown   string // what results do that could not be told
	outputs   auditOutputs
}

func newAuditCensusCommand(a *app) *cobra.Command {
	var flags auditCensusFlags
	cmd := &cobra.Command{
		Use:   "census (--endpoints URL,... | --snapshot FILE)",
		Short: "Show which key encrypted every stored object",
		Long: `Read the first bytes of every object in etcd. They say what encrypted it: the provider, the name
of the key, and the key ID of a KMS. The census counts them by resource and namespace. It names
objects in plaintext and never shows a value. It decrypts nothing and needs no key.

With --config, the EncryptionConfiguration of the API servers, the checks find objects that an old
key encrypted, and objects whose key is not in the file. Only the names of keys are read from it.
Instead of it, --key-name names the key that encrypts, then the old keys that are still allowed,
each as NAME or PROVIDER:NAME. The checks cover Secrets, and each resource that has an encrypted
object.

With --snapshot, it reads a file instead of a server: a snapshot, a copy of a member's database, or
a copy of its data dir. It verifies every page and the SHA-256 that etcd appends. It also looks at
older revisions, free pages and, in a data dir, the write-ahead log. It finds members that the
cluster has removed and that would come back with an upgrade from 3.5 to 3.6. It reads as much of a
damaged file as it can. It opens no file for writing and takes no lock. It refuses the data dir of
a running member.

With --endpoints, it reads all objects at one revision. If etcd compacts that revision meanwhile,
the census continues at the newest one and says so. If an endpoint fails, it continues at the next.
All endpoints must belong to one cluster. They use https unless written with http://. The client
certificate must be allowed to read the prefix; the auditor's certificate in a store is.

Reads all of /registry/, /kubernetes.io/ and /openshift.io/, or of --etcd-prefix, as fast as
--max-rate allows: as a stream from etcd 3.7, and from older ones in pages of about a MiB, by
serializable Ranges. Writes only the report: to stdout, and with -o FORMAT=FILE to files with mode
0600, metrics 0644. It never writes to etcd, and adds no raft entry. When it is interrupted, it reports what it
has read so far.

Exit status: 0 all checks passed, 1 the census is not complete or a check could not tell, 2 bad
command line, 3 findings of --fail-on or worse. 1 beats 3. With secretbox, which is a good choice,
there is always one finding of low severity.`,
		Example: `  etcdsec audit census --endpoints https://10.0.0.11:2379,https://10.0.0.12:2379 --pki ./store
  etcdsec audit census --endpoints https://10.0.0.11:2379 --pki ./store \
    --config encryption-config.yaml
  etcdsec audit census --snapshot snapshot.db --config encryption-config.yaml
  etcdsec audit census --endpoints https://127.0.0.1:2379 \
    --cacert ca.crt --cert client.crt --key client.key -o json
  etcdsec audit census --endpoints https://10.0.0.11:2379 --pki ./store \
    --key-name k-20261120-0f6d1a2b --max-rate 0`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if flags.snapshot == "" {
				names := []string{"endpoints"}
				if !cmd.Flags().Changed("pki") {
					names = append(names, "cacert", "cert", "key")
				}
				if err := a.useEtcdctlEnvironment(cmd, names...); err != nil {
					return err
				}
			}
			return flags.run(cmd.Context(), a)
		},
	}
	flags.addFlags(cmd)
	return cmd
}

func (f *auditCensusFlags) addFlags(cmd *cobra.Command) {
	set := cmd.Flags()
	set.StringSliceVar(&f.endpoints, "endpoints", nil, "`URLs` of client ports of one cluster, separated by commas")
	set.StringVar(&f.snapshot, "snapshot", "", "`file` of a snapshot or a member's database, or a copy of its data dir")
	_ = cmd.MarkFlagFilename("snapshot", "db") // only completion; fails for unknown flags
	set.StringVar(&f.prefix, "etcd-prefix", "", "kube-apiserver's own --etcd-prefix, if it has one (`prefix` such as /registry)")
	set.StringVar(&f.config, "config", "", "`file` of kube-apiserver's --encryption-provider-config; its keys are not read")
	_ = cmd.MarkFlagFilename("config", "yaml", "yml") // only completion; fails for unknown flags
	set.StringArrayVar(&f.keyNames, "key-name", nil, "`[PROVIDER:]NAME` of the key that encrypts, then of one that may still be found; may be repeated")
	set.IntVar(&f.maxRate, "max-rate", census.DefaultRate, "`objects` to read per second; one of more than 4 KiB counts as several; 0 is no limit")
	set.DurationVar(&f.timeout, "timeout", census.DefaultTimeout, "`time` for one page of about a MiB")
	f.etcdCredentialFlags.addFlags(cmd)
	waiversFlag(cmd, &f.waivers)
	failOnFlag(cmd, &f.failOn, audit.Medium)
	unknownFlag(cmd, &f.unknown)
	f.outputs.addFlags(cmd)
}

func (f *auditCensusFlags) run(ctx context.Context, a *app) error {
	if err := f.validate(); err != nil {
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
	expected, err := f.loadExpected(a)
	if err != nil {
		return err
	}
	started := a.now()
	rules, err := a.loadWaivers(f.waivers, started)
	if err != nil {
		return err
	}
	found, err := a.readStore(ctx, *f, audit.KnownWriters(expected), started)
	if err != nil {
		return err
	}
	found.Expected = expected
	result := audit.Run(catalog.All(), []audit.Target{&audit.StoredData{
		Address: found.Source, Now: started, Census: &found, Endpoints: f.endpoints, ConfigPath: f.config, Paths: audit.Paths{StoreDir: f.store}, Observer: audit.Observer{Name: observerName()},
	}})
	result.Tool = audit.Tool{Name: audit.ToolName, Version: buildVersion()}
	result.StartedAt, result.FinishedAt = started.UTC(), a.now().UTC()
	a.applyWaivers(&result, rules, started)
	f.outputs.census = &found
	if err := a.writeAuditReport(f.outputs, result); err != nil {
		return err
	}
	if !found.Complete {
		return failure(fmt.Errorf("the census is not complete: %s", found.Reason), censusHint(found.Stopped, *f))
	}
	return a.auditStatus(result, failOn, unknownFails)
}

// loadExpected returns the keys that may encrypt objects, from --config or --key-name. It returns
// nil if neither is given.
func (f *auditCensusFlags) loadExpected(a *app) ([]audit.EncryptionRule, error) {
	switch {
	case f.config != "":
		rules, err := encryption.ReadExpected(a.files, f.config)
		if _, refused := errors.AsType[*encryption.RefusedError](err); refused {
			return nil, usageError(err, "etcdsec encryption lint "+shellword.Path(f.config))
		}
		if err != nil {
			return nil, usageError(err, "")
		}
		return rules, nil
	case len(f.keyNames) > 0:
		rule, err := audit.ParseRule(f.keyNames)
		if err != nil {
			// A name with a colon is read only behind its provider.
			name := "NAME"
			if bad, is := errors.AsType[*audit.WriterTextError](err); is && bad.Text != "" && !strings.HasSuffix(bad.Text, ":") {
				name = bad.Text
			}
			return nil, usageError(fmt.Errorf("--key-name %w", err), "--key-name "+shellword.Quote("secretbox:"+name))
		}
		return []audit.EncryptionRule{rule}, nil
	}
	return nil, nil
}

func (f auditCensusFlags) validate() error {
	const longest = 24 * time.Hour
	if err := f.validateSource(); err != nil {
		return err
	}
	switch {
	case f.maxRate < 0:
		return usageError(fmt.Errorf("--max-rate %d: want 0, which is no limit, or more", f.maxRate), "")
	case f.timeout <= 0 || f.timeout > longest:
		return usageError(fmt.Errorf("--timeout %s: want a time above 0, such as 15s", f.timeout), "")
	case f.config != "" && len(f.keyNames) > 0:
		return usageError(errors.New("--config already names the keys: leave out --key-name"), "")
	}
	return nil
}

// liveCensus returns the census of the running members that the flags name.
func (a *app) liveCensus(flags auditCensusFlags, now time.Time) (census.Live, error) {
	credentials, err := a.auditCredentials(flags.etcdCredentialFlags, now)
	if err != nil {
		return census.Live{}, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: credentials.Roots}
	if credentials.Certificate != nil {
		config.Certificates = []tls.Certificate{*credentials.Certificate}
	}
	return census.Live{
		Endpoints: flags.endpoints,
		TLS:       config,
		Layout:    flags.layout(),
		Rate:      flags.maxRate,
		Timeout:   flags.timeout,
		Now:       a.now,
		Progress:  a.progress("read %d of %d objects"),
		Warn:      a.narrate,
	}, nil
}

// censusHint returns the hint for a census that stopped.
func censusHint(stopped error, flags auditCensusFlags) string {
	fault, _ := errors.AsType[*census.StopError](stopped)
	if fault == nil {
		return ""
	}
	wantsCertificate := fault.Cause == census.CertificateWanted ||
		fault.Cause == census.ConnectionBroken && flags.certPath == "" && flags.store == ""
	switch {
	case fault.Cause == census.PermissionMissing:
		return "etcdctl role grant-permission ROLE read --prefix " + strings.Join(prefixes(flags), " ") + "   # ROLE: a role of the user named by the certificate's CN"
	case fault.Cause == census.UserMissing:
		return "etcd's authentication is enabled: give --cert and --key of a user; the certificate's CN is the user's name"
	case wantsCertificate:
		return "--cert client.crt --key client.key   # or --pki DIR: the member asks for a client certificate"
	case fault.Cause == census.ServerUntrusted:
		return "--cacert /etc/kubernetes/pki/etcd/ca.crt"
	default:
		return ""
	}
}

func prefixes(flags auditCensusFlags) []string {
	if flags.prefix != "" {
		return census.NewLayout(flags.prefix).Prefixes()
	}
	return []string{"/registry/"}
}
