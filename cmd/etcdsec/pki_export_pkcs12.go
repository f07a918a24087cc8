package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/pki/export"
)

func newPKIExportPKCS12Command(a *app) *cobra.Command {
	var o exportOptions
	var passwordPath string
	cmd := &cobra.Command{
		Use:   "pkcs12 DIR NAME OUT.p12 --password-file FILE",
		Short: "Write a PKCS #12 file",
		Long: `Write one leaf of the store DIR as a PKCS #12 file: its key and certificate, its issuing
CA, and the root that its holder trusts. NAME is a leaf (etcd-0/server, clients/backup), or
a client.

The password is the only line of FILE, which nobody but its owner may read, or of standard
input for "-". It has to be printable ASCII, because Java takes no other. The file is
encrypted with AES-256 and PBKDF2-HMAC-SHA-256 and has an HMAC-SHA-256: OpenSSL 1.1.1,
Java 12 and later ones read it. The root in it is for completing the chain: programs that
look for trusted roots apart from the key want ca.crt as well.

Reads DIR, which it never changes, and FILE. Writes OUT.p12 only, with mode 0600. Equal
input gives equal bytes.

` + onDiffer,
		Example: `  (umask 077; openssl rand -hex 16 > password)
  etcdsec pki export pkcs12 ./store clients/auditor auditor.p12 --password-file password
  openssl pkcs12 -info -noout -in auditor.p12 -passin file:password`,
		Args: args(cobra.ExactArgs(3)),
		RunE: func(_ *cobra.Command, given []string) error {
			out, name := filepath.Split(given[2])
			if name == "" {
				return usageError(fmt.Errorf("%s is a folder: give the name of a file", given[2]), "")
			}
			password, err := a.readPassword(passwordPath)
			if err != nil {
				return err
			}
			return a.export(o, given[0], filepath.Clean(out), func(store *export.Store, now time.Time) ([]exported, error) {
				return exportPKCS12(store, given[1], name, password, now)
			})
		},
	}
	cmd.Flags().StringVar(&passwordPath, "password-file", "", "`path` of the file with the password, or - for standard input")
	_ = cmd.MarkFlagFilename("password-file") // only completion; fails for unknown flags
	o.flags(cmd)
	return cmd
}

func exportPKCS12(store *export.Store, leaf, file, password string, now time.Time) ([]exported, error) {
	refs, err := store.Find(leaf)
	if err != nil {
		return nil, usageError(err, "")
	}
	if len(refs) != 1 {
		return nil, usageError(fmt.Errorf("%s has %d leaves, and a file has one", leaf, len(refs)), refs[0].Name)
	}
	l, err := store.Read(refs[0], now)
	if err != nil {
		return nil, err
	}
	if l.Key == nil {
		return nil, failure(fmt.Errorf("exporting %s: %s", l.Name, noKey), "")
	}
	data, err := export.PKCS12(l, password)
	if err != nil {
		return nil, err
	}
	return []exported{{
		name: l.Name, role: l.Role, file: export.File{Name: file, Data: data},
		detail: fmt.Sprintf("PKCS #12, %s, %s", l.Name, until(l)),
	}}, nil
}

// maxPasswordFile is far above what anybody or any program makes a password of.
const maxPasswordFile = 4096

// readPassword reads the only line of a file that others cannot read. A password in an
// argument or in the environment is seen by whoever lists processes.
func (a *app) readPassword(path string) (string, error) {
	const example = "(umask 077; openssl rand -hex 16 > password)   # then --password-file password"
	if path == "" {
		return "", usageError(errors.New("--password-file is missing: the file is encrypted with a password"), example)
	}
	data, err := a.readPasswordFile(path)
	if err != nil {
		return "", failure(fmt.Errorf("reading the password: %w", err), "")
	}
	line, rest, _ := bytes.Cut(data, []byte("\n"))
	if len(bytes.TrimSpace(rest)) > 0 {
		return "", failure(fmt.Errorf("reading the password: %s has more than one line", path), "")
	}
	password := string(bytes.TrimSuffix(line, []byte("\r")))
	if err := export.CheckPassword(password); err != nil {
		return "", failure(fmt.Errorf("reading the password: %s: %w", path, err), example)
	}
	return password, nil
}

func (a *app) readPasswordFile(path string) ([]byte, error) {
	if path == "-" {
		data, err := io.ReadAll(io.LimitReader(a.stdin, maxPasswordFile+1))
		if err == nil && len(data) > maxPasswordFile {
			err = fmt.Errorf("standard input is larger than %d bytes", maxPasswordFile)
		}
		return data, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %04o, so others may have read it; take another password, in a file of mode 0600", path, info.Mode().Perm())
	}
	return durable.ReadFile(path, maxPasswordFile)
}
