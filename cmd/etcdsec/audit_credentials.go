package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/pki"
)

// etcdCredentialFlags say what is presented to etcd.
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

// auditCredentials loads what the audit presents. Everything that can be wrong with it is
// said here, before a server is asked: its refusal would look like a finding or its absence.
func auditCredentials(flags etcdCredentialFlags, now time.Time) (collect.Credentials, error) {
	if flags.store != "" {
		if flags.caPath+flags.certPath+flags.keyPath != "" {
			return collect.Credentials{}, usageError(errors.New("--pki gives the certificates already: leave --cacert, --cert and --key out"), "")
		}
		dir := filepath.Join(flags.store, "clients", string(cluster.RoleAuditor))
		flags.caPath = filepath.Join(dir, "ca.crt")
		flags.certPath = filepath.Join(dir, "client.crt")
		flags.keyPath = filepath.Join(dir, "client.key")
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			return collect.Credentials{}, failure(fmt.Errorf("--pki %s: no client certificate of the auditor: %w", flags.store, err),
				"etcdsec pki issue -f cluster.yaml "+flags.store)
		}
	}
	switch {
	case flags.certPath != "" && flags.keyPath == "":
		return collect.Credentials{}, usageError(errors.New("--cert without --key: a certificate is presented by proving its key"), "--cert "+flags.certPath+" --key client.key")
	case flags.keyPath != "" && flags.certPath == "":
		return collect.Credentials{}, usageError(errors.New("--key without --cert"), "--cert client.crt --key "+flags.keyPath)
	}

	var credentials collect.Credentials
	var err error
	if flags.caPath != "" {
		if credentials.Roots, err = input.Pool(flags.caPath); err != nil {
			return collect.Credentials{}, failure(err, "--cacert takes PEM certificates (etcd's --trusted-ca-file or kube-apiserver's --etcd-cafile)")
		}
	}
	if flags.certPath != "" {
		if credentials.Certificate, err = input.ValidPair(flags.certPath, flags.keyPath, now); err != nil {
			return collect.Credentials{}, clientError(err)
		}
	}
	return credentials, nil
}

// clientError is the failure to load a client certificate, with the way out where there is one.
func clientError(err error) error {
	invalid, ok := errors.AsType[*input.ValidityError](err)
	switch {
	case !ok:
		return failure(err, "")
	case invalid.Expired:
		return failure(err, "in a store: etcdsec pki renew DIR "+filepath.Base(filepath.Dir(invalid.Path)))
	default:
		return failure(err, "date   # is this machine's clock right?")
	}
}

// faultWords are how --present names a fault.
func faultWords() map[string]audit.Identity {
	return map[string]audit.Identity{
		"expired":      audit.ExpiredCertificate,
		"servers-only": audit.ServersOnly,
		"revoked":      audit.RevokedCertificate,
		"elsewhere":    audit.ElsewhereMember,
	}
}

// auditFaults are the certificates that the members must refuse: those of --present, and
// what --mint makes in memory with the keys of the store.
func auditFaults(flags auditRunFlags, now time.Time) ([]collect.Faulty, error) {
	var all []collect.Faulty
	seen := map[audit.Identity]bool{}
	for _, written := range flags.present {
		word, files, _ := strings.Cut(written, "=")
		certPath, keyPath, both := strings.Cut(files, ",")
		identity, known := faultWords()[word]
		switch {
		case !known || !both || certPath == "" || keyPath == "":
			return nil, usageError(fmt.Errorf("--present %s: want FAULT=CERT,KEY, with a FAULT of %s", written, strings.Join(slices.Sorted(maps.Keys(faultWords())), ", ")),
				"--present revoked=old-client.crt,old-client.key")
		case seen[identity]:
			return nil, usageError(fmt.Errorf("--present %s: a certificate with that fault is given already", written), "")
		}
		seen[identity] = true
		pair, err := input.Pair(certPath, keyPath)
		if err != nil {
			return nil, failure(err, "")
		}
		all = append(all, collect.Faulty{Identity: identity, Certificate: pair})
	}
	if !flags.mint {
		return all, nil
	}
	if flags.store == "" {
		return nil, usageError(errors.New("--mint signs with the keys of a store: give --pki DIR"), "")
	}
	minted, err := pki.Mint(flags.store, now)
	if err != nil {
		return nil, failure(err, "--present servers-only=CERT,KEY   # for each fault, a certificate of your own")
	}
	for _, m := range []struct {
		identity    audit.Identity
		certificate *tls.Certificate
	}{
		{audit.ExpiredCertificate, &minted.Expired}, {audit.ServersOnly, &minted.ServersOnly},
		{audit.RevokedCertificate, minted.Revoked}, {audit.ElsewhereMember, &minted.Elsewhere},
	} {
		if m.certificate != nil && !seen[m.identity] {
			all = append(all, collect.Faulty{Identity: m.identity, Certificate: m.certificate})
		}
	}
	return all, nil
}
