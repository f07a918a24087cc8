package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/clientcert"
	"github.com/etcdsec/etcdsec/internal/shellword"
	"github.com/etcdsec/etcdsec/pki"
)

// etcdCredentialFlags name what a verb presents to etcd.
type etcdCredentialFlags struct {
	store    string
	caPath   string
	certPath string
	keyPath  string
}

func (flags *etcdCredentialFlags) addFlags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&flags.store, "pki", "", "`dir` of the store; its client \"auditor\" is presented")
	f.StringVar(&flags.caPath, "cacert", "", "PEM `file` of the CAs that signed the servers' certificates")
	f.StringVar(&flags.certPath, "cert", "", "PEM `file` of a client certificate to present")
	f.StringVar(&flags.keyPath, "key", "", "PEM `file` of its private key")
}

// files returns the files that the flags name.
func (flags *etcdCredentialFlags) files() collect.CredentialFiles {
	return collect.CredentialFiles{CAPath: flags.caPath, CertPath: flags.certPath, KeyPath: flags.keyPath}
}

// auditCredentials loads the certificates that the audit presents.
func (a *app) auditCredentials(flags etcdCredentialFlags, now time.Time) (collect.Credentials, error) {
	files := flags.files()
	if flags.store != "" {
		if flags.caPath+flags.certPath+flags.keyPath != "" {
			return collect.Credentials{}, usageError(errors.New("--pki already gives the certificates: leave out --cacert, --cert and --key"), "")
		}
		var err error
		if files, err = collect.StoreCredentials(flags.store); err != nil {
			// A copy of the auditor's folder is enough, so this is asked only now.
			if missing := pki.CheckStore(flags.store); missing != nil {
				return collect.Credentials{}, missingStore(fmt.Errorf("--pki: %w", missing))
			}
			own := filepath.Join(flags.store, pki.SpecName)
			return collect.Credentials{}, failure(fmt.Errorf("--pki %w", err), fmt.Sprintf("etcdsec pki issue -f %s %s", shellword.Path(own), shellword.Path(flags.store)))
		}
	}
	files.Files = a.files
	credentials, err := files.Load(now)
	switch {
	case errors.Is(err, collect.ErrNoKey):
		return collect.Credentials{}, usageError(errors.New("--cert without --key: a client proves that it has the key"), "--cert "+shellword.Path(flags.certPath)+" --key client.key")
	case errors.Is(err, collect.ErrNoCertificate):
		return collect.Credentials{}, usageError(errors.New("--key without --cert"), "--cert client.crt --key "+shellword.Path(flags.keyPath))
	case err != nil:
		return collect.Credentials{}, clientError(err)
	}
	return credentials, nil
}

// clientError adds a hint to the error of loading a client's certificate, key or CAs.
func clientError(err error) error {
	if _, ok := errors.AsType[*collect.RootsError](err); ok {
		return failure(err, "--cacert takes PEM certificates (etcd's --trusted-ca-file or kube-apiserver's --etcd-cafile)")
	}
	invalid, ok := errors.AsType[*clientcert.ValidityError](err)
	switch {
	case !ok:
		return failure(err, "")
	case invalid.Expired:
		return failure(err, renewalHint(invalid.Path))
	default:
		return failure(err, "date   # is this machine's clock right?")
	}
}

// renewalHint tells how to replace an expired client certificate. In a store it is in
// DIR/clients/NAME.
func renewalHint(certPath string) string {
	client := filepath.Dir(certPath)
	if clients := filepath.Dir(client); filepath.Base(clients) == "clients" {
		return "etcdsec pki renew " + shellword.Path(filepath.Dir(clients)) + " " + shellword.Path(filepath.Base(client))
	}
	return "--cert client.crt --key client.key   # of a certificate that has not expired"
}

// auditFaults returns the certificates that the members must refuse: those of --present, and those
// that --mint makes in memory with the keys of the store.
func (a *app) auditFaults(flags auditRunFlags, now time.Time) ([]collect.Faulty, error) {
	all, err := collect.LoadFaulty(a.files, flags.present)
	if _, ok := errors.AsType[*collect.FaultSyntaxError](err); ok {
		return nil, usageError(fmt.Errorf("--present %w", err), "--present revoked=old-client.crt,old-client.key")
	}
	if err != nil {
		return nil, failure(err, "")
	}
	if !flags.mint {
		return all, nil
	}
	if flags.store == "" {
		return nil, usageError(errors.New("--mint signs with the keys of a store, and --pki is missing"), "--pki ./store --mint")
	}
	minted, err := pki.Mint(flags.store, now)
	if err != nil {
		return nil, failure(err, "--present servers-only=CERT,KEY   # your own certificate for each fault")
	}
	return collect.AddFaulty(all,
		collect.Faulty{Identity: audit.ExpiredCertificate, Certificate: &minted.Expired},
		collect.Faulty{Identity: audit.ServersOnly, Certificate: &minted.ServersOnly},
		collect.Faulty{Identity: audit.RevokedCertificate, Certificate: minted.Revoked},
		collect.Faulty{Identity: audit.ElsewhereMember, Certificate: &minted.Elsewhere}), nil
}

// rootsSource tells where the CAs of servers are from.
func (flags *etcdCredentialFlags) rootsSource() string {
	switch {
	case flags.store != "":
		return "--pki " + shellword.Path(flags.store)
	case flags.caPath != "":
		return "--cacert " + shellword.Path(flags.caPath)
	}
	return "found on this host"
}

// checkStoreOfSpec returns a usage error if the store is that of another cluster than the spec. Either may
// be empty; a spec from standard input is not read again.
func checkStoreOfSpec(store, spec string) error {
	if store == "" || spec == "" || spec == "-" {
		return nil
	}
	own, err := cluster.Load(filepath.Join(store, pki.SpecName))
	if err != nil {
		return nil // the store's own faults are told where it is read
	}
	given, err := cluster.Load(spec)
	if err != nil || given.Name == own.Name {
		return err
	}
	return usageError(fmt.Errorf("--pki %s is the store of cluster %q, but -f %s is about cluster %q", store, own.Name, spec, given.Name), "")
}
