package collect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/input"
)

// CredentialFiles names the PEM files of what a client of etcd presents. An empty path is no file.
type CredentialFiles struct {
	CAPath   string // the CAs that signed the servers' certificates
	CertPath string // the client's certificate and the ones between it and its CA
	KeyPath  string
}

// The faults of credentials that callers tell apart.
var (
	ErrNoKey         = errors.New("a certificate without its key cannot be presented")
	ErrNoCertificate = errors.New("a key without its certificate")
	ErrNoAuditor     = errors.New("no client certificate of the auditor")
)

// RootsError is of a file of CAs that cannot be loaded.
type RootsError struct{ Err error }

func (e *RootsError) Error() string { return e.Err.Error() }
func (e *RootsError) Unwrap() error { return e.Err }

// StoreCredentials returns the files of the client "auditor" of a store. The error is ErrNoAuditor of
// a store that has none.
func StoreCredentials(store string) (CredentialFiles, error) {
	dir := filepath.Join(store, "clients", string(cluster.RoleAuditor))
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		return CredentialFiles{}, fmt.Errorf("%s: %w: %w", store, ErrNoAuditor, err)
	}
	return CredentialFiles{
		CAPath:   filepath.Join(dir, "ca.crt"),
		CertPath: filepath.Join(dir, "client.crt"),
		KeyPath:  filepath.Join(dir, "client.key"),
	}, nil
}

// Load reads the files. It finds everything that can be wrong with them before a server is asked:
// the server's refusal would look like a finding, or like its absence. The error is ErrNoKey,
// ErrNoCertificate, a *RootsError, or one of input.ValidPair.
func (f CredentialFiles) Load(now time.Time) (Credentials, error) {
	switch {
	case f.CertPath != "" && f.KeyPath == "":
		return Credentials{}, ErrNoKey
	case f.KeyPath != "" && f.CertPath == "":
		return Credentials{}, ErrNoCertificate
	}
	var credentials Credentials
	var err error
	if f.CAPath != "" {
		if credentials.Roots, err = input.Pool(f.CAPath); err != nil {
			return Credentials{}, &RootsError{err}
		}
	}
	if f.CertPath != "" {
		if credentials.Certificate, err = input.ValidPair(f.CertPath, f.KeyPath, now); err != nil {
			return Credentials{}, err
		}
	}
	return credentials, nil
}
