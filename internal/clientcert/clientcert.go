// Package input opens files: those that a command line names, and those that are found in folders of
// others. It never waits for a pipe that nobody writes to, reads no device, and limits size and time.
// Its errors name the file and never quote its content.
// Package clientcert loads what a client of a TLS server presents and trusts. It refuses a key that others
// may have read or can exchange. Its errors name the file and never quote its content.
package clientcert

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/input"
)

// maxPEM is far larger, in bytes, than a trust bundle of hundreds of CAs.
const maxPEM = 1 << 20

// A ValidityError means that every server would refuse a client certificate now.
type ValidityError struct {
	Path    string
	Expired bool      // it is not valid any more; false: it is not valid yet
	Limit   time.Time // NotAfter if it is expired, NotBefore otherwise
}

func (e *ValidityError) Error() string {
	if e.Expired {
		return fmt.Sprintf("the client certificate %s expired on %s; every server would refuse it", e.Path, e.Limit.UTC().Format(time.RFC3339))
	}
	return fmt.Sprintf("the client certificate %s is not valid before %s; every server would refuse it", e.Path, e.Limit.UTC().Format(time.RFC3339))
}

// reader reads a file of at most limit bytes.
type reader func(path string, limit int64) ([]byte, error)

// readPEM reads a file of PEM blocks, of at most 1 MiB. An empty file is an error.
func readPEM(path string, read reader) ([]byte, error) {
	data, err := read(path, maxPEM)
	if err == nil && len(data) == 0 {
		err = fmt.Errorf("%s: the file is empty", path)
	}
	return data, err
}

// Pool reads the CAs of a trust bundle.
func Pool(files *input.Files, path string) (*x509.CertPool, error) {
	data, err := readPEM(path, files.Read)
	if err != nil {
		return nil, fmt.Errorf("loading the CAs: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("loading the CAs: %s: no PEM certificate in it", path)
	}
	return pool, nil
}

// Pair reads a client certificate with its chain, and its private key. They must match. If others may have
// read the file of the key, or can exchange it, the error is a [durable.TrustError].
func Pair(files *input.Files, certPath, keyPath string) (*tls.Certificate, error) {
	readKey := durable.ReadClientKey
	if input.IsStream(keyPath) {
		readKey = files.Read
	}
	return loadPair(files, certPath, keyPath, readKey)
}

func loadPair(files *input.Files, certPath, keyPath string, readKey reader) (*tls.Certificate, error) {
	certPEM, err := readPEM(certPath, files.Read)
	if err != nil {
		return nil, fmt.Errorf("loading the client certificate: %w", err)
	}
	keyPEM, err := readPEM(keyPath, readKey)
	if err != nil {
		return nil, fmt.Errorf("loading the client key: %w", err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("loading the client certificate %s with the key %s: %w", certPath, keyPath, err)
	}
	return &pair, nil
}

// ValidPair is Pair for a certificate that servers must accept: if it is not valid at the given time,
// the error is a *ValidityError.
func ValidPair(files *input.Files, certPath, keyPath string, now time.Time) (*tls.Certificate, error) {
	pair, err := Pair(files, certPath, keyPath)
	if err != nil {
		return nil, err
	}
	return checkValid(pair, certPath, now)
}

// FoundPair is ValidPair for a key that nobody named, so that it is not asked who can read it.
func FoundPair(certPath, keyPath string, now time.Time) (*tls.Certificate, error) {
	pair, err := loadPair(nil, certPath, keyPath, input.ReadFile)
	if err != nil {
		return nil, err
	}
	return checkValid(pair, certPath, now)
}

func checkValid(pair *tls.Certificate, certPath string, now time.Time) (*tls.Certificate, error) {
	switch {
	case now.After(pair.Leaf.NotAfter):
		return nil, &ValidityError{Path: certPath, Expired: true, Limit: pair.Leaf.NotAfter}
	case now.Before(pair.Leaf.NotBefore):
		return nil, &ValidityError{Path: certPath, Limit: pair.Leaf.NotBefore}
	}
	return pair, nil
}

// Certificate reads the first certificate of a file, which is the holder's own.
func Certificate(files *input.Files, path string) (*x509.Certificate, error) {
	data, err := readPEM(path, files.Read)
	if err != nil {
		return nil, fmt.Errorf("reading a certificate: %w", err)
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			leaf, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, fmt.Errorf("reading the certificate %s: %w", path, err)
			}
			return leaf, nil
		}
	}
	return nil, fmt.Errorf("reading a certificate: %s: no PEM certificate in it", path)
}
