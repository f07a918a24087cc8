package pki

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// ModeError reports a secret's file that others than its owner may have read.
type ModeError struct {
	Path string
	Mode fs.FileMode // the permission bits
}

func (e *ModeError) Error() string {
	return fmt.Sprintf("%s has mode %04o, so others may have read it; if you trust it still: chmod 600 %s", e.Path, e.Mode, shellword.Path(e.Path))
}

// FileError reports a file whose content is not what it has to be.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("reading %s: %v", e.Path, e.Err) }

func (e *FileError) Unwrap() error { return e.Err }

// withoutPath returns the cause of an error about one file, for a message that names the
// file already.
func withoutPath(err error) error {
	if e, ok := errors.AsType[*FileError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// ReadSecret reads a file that nobody but its owner may be able to read. A file that others
// may read is a *ModeError.
func ReadSecret(path string) ([]byte, error) {
	data, exposed, err := readSecret(path)
	if exposed != nil {
		return nil, exposed
	}
	return data, err
}

// readSecret reads a secret's file whatever its mode. exposed is not nil where others may
// have read it.
func readSecret(path string) (data []byte, exposed *ModeError, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	if mode := info.Mode().Perm(); info.Mode().IsRegular() && mode&0o077 != 0 {
		exposed = &ModeError{Path: path, Mode: mode}
	}
	data, err = durable.ReadFile(path, maxPEMSize)
	return data, exposed, err
}

// ReadKey reads a private key's file, which nobody but its owner may be able to read. The
// error joins a *ModeError and a *FileError where both the mode and the content are wrong.
func ReadKey(path string) (crypto.Signer, error) {
	key, exposed, err := readKey(path)
	if exposed != nil {
		return nil, errors.Join(exposed, err)
	}
	return key, err
}

// readKey judges the content of a key's file whatever its mode. exposed is not nil where
// others may have read it.
func readKey(path string) (key crypto.Signer, exposed *ModeError, err error) {
	data, exposed, err := readSecret(path)
	if err != nil {
		return nil, exposed, err
	}
	key, err = ParseKey(data)
	if err != nil {
		return nil, exposed, &FileError{Path: path, Err: err}
	}
	return key, exposed, nil
}
