package collect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/clientcert"
	"github.com/etcdsec/etcdsec/internal/input"
)

// CredentialFiles names the PEM files that a client of etcd presents. An empty path means no
// file.
type CredentialFiles struct {
	CAPath   string // the CAs that signed the servers' certificates
	CertPath string // the client's certificate and the ones between it and its CA
	KeyPath  string
	Files    *input.Files // opens them; nil has no standard input
	// Found means that nobody named the files: they are of the host that is audited, whose checks judge who can
	// read them.
	Found bool
}

// The errors of credentials on which callers branch.
var (
	ErrNoKey         = errors.New("the certificate has no key, so it cannot be presented")
	ErrNoCertificate = errors.New("the key has no certificate")
	ErrNoAuditor     = errors.New("the store has no client certificate for the auditor")
)

// RootsError means that a file of CAs cannot be loaded.
type RootsError struct{ Err error }

func (e *RootsError) Error() string { return e.Err.Error() }
func (e *RootsError) Unwrap() error { return e.Err }

// StoreCredentials returns the files of a store's client "auditor". The error is [ErrNoAuditor]
// if the store has no such client.
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

// Load reads the files and checks them completely before any server is asked: a server's refusal
// could look like a finding, or hide one. The error is [ErrNoKey], [ErrNoCertificate], a
// [*RootsError], or an error of clientcert.ValidPair.
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
		if credentials.Roots, err = clientcert.Pool(f.Files, f.CAPath); err != nil {
			return Credentials{}, &RootsError{err}
		}
	}
	switch {
	case f.CertPath == "":
	case f.Found:
		credentials.Certificate, err = clientcert.FoundPair(f.CertPath, f.KeyPath, now)
	default:
		credentials.Certificate, err = clientcert.ValidPair(f.Files, f.CertPath, f.KeyPath, now)
	}
	if err != nil {
		return Credentials{}, err
	}
	return credentials, nil
}
