package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/pki/export"
)

// exportPKCS12Flags hold the flags as the operator wrote them.
type exportPKCS12Flags struct {
	exportFlags
	passwordPath string
}

func newPKIExportPKCS12Command(a *app) *cobra.Command {
	var flags exportPKCS12Flags
	cmd := &cobra.Command{
		Use:   "pkcs12 DIR NAME OUT.p12 --password-file FILE",
		Short: "Write a PKCS #12 file",
		Long: `Write one leaf of the store DIR as a PKCS #12 file: its key and certificate, its issuing
CA, and the root that its holder trusts. NAME is a leaf (etcd-0/server, clients/backup), or
a client.

The password is the only line of FILE, or of standard input if FILE is "-". Only its owner may read
FILE. The password must be printable ASCII, because Java accepts nothing else. OUT.p12 is encrypted
with AES-256 and PBKDF2-HMAC-SHA-256 and has an HMAC-SHA-256. OpenSSL can read it since 1.1.1, and
Java since 12. The root in it only completes the chain: programs that keep trusted roots elsewhere
need ca.crt as well.

Reads FILE, and DIR, which it never changes. Writes only OUT.p12, with mode 0600. Equal
input gives equal bytes.

` + existingFilesHelp,
		Example: `  (umask 077; openssl rand -hex 16 > password)
  etcdsec pki export pkcs12 ./store clients/auditor auditor.p12 --password-file password
  openssl pkcs12 -info -noout -in auditor.p12 -passin file:password`,
		Args: args(cobra.ExactArgs(3)),
		RunE: func(_ *cobra.Command, given []string) error {
			return flags.run(a, given[0], given[1], given[2])
		},
	}
	cmd.ValidArgsFunction = completeStoreNames
	flags.addFlags(cmd)
	return cmd
}

func (f *exportPKCS12Flags) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.passwordPath, "password-file", "", "`path` of the file with the password, or - for standard input")
	_ = cmd.MarkFlagFilename("password-file") // only completion; fails for unknown flags
	f.exportFlags.addFlags(cmd)
}

func (f *exportPKCS12Flags) run(a *app, dir, leaf, out string) error {
	folder, file := filepath.Split(out)
	if file == "" {
		return usageError(fmt.Errorf("%s is a folder: give the name of a file", out), "")
	}
	const example = "(umask 077; openssl rand -hex 16 > password)   # then --password-file password"
	if f.passwordPath == "" {
		return usageError(errors.New("--password-file is missing: a password encrypts the file"), example)
	}
	password, err := export.ReadPassword(a.files, f.passwordPath)
	if errors.Is(err, export.ErrPassword) {
		return failure(err, example)
	}
	if err != nil {
		return failure(err, "")
	}
	return a.export(f.exportFlags, dir, filepath.Clean(folder), func(store *export.Store, now time.Time) (export.Items, error) {
		return store.PKCS12File(leaf, file, password, now)
	})
}
