package pki

import (
	"crypto"
	"errors"
	"fmt"
	"io/fs"

	"github.com/etcdsec/etcdsec/internal/durable"
	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// ModeError reports the file of a secret that others than its owner may have read.
type ModeError struct {
	Path string
	Mode fs.FileMode // the permission bits
}

func (e *ModeError) Error() string {
	return fmt.Sprintf("%s has mode %04o, so others may have read it; if you still trust it: chmod 600 %s", e.Path, e.Mode, shellword.Path(e.Path))
}

// FileError reports a file with the wrong content.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("reading %s: %v", e.Path, e.Err) }

func (e *FileError) Unwrap() error { return e.Err }

// trimPath returns the cause of an error about one file, for a message that already names the file.
func trimPath(err error) error {
	if e, ok := errors.AsType[*FileError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}

// ReadSecret reads a secret that the command line names: a file that only its owner may be able to read, which
// is root or the caller, or a stream. If others may read the file, the error is a [ModeError]; if others
// may change it, a [durable.TrustError].
func ReadSecret(files *input.Files, path string) ([]byte, error) {
	if input.IsStream(path) {
		return files.Read(path, maxPEMSize)
	}
	data, exposed, err := readSecret(path, durable.ReadTrusted)
	if exposed != nil {
		return nil, exposed
	}
	return data, err
}

// secretReader is [durable.ReadTrusted], or [durable.ReadGuarded] for the key of another user.
type secretReader func(path string, limit int64) ([]byte, durable.Info, error)

// readSecret reads the file of a secret with any mode. exposed is not nil if others may have read it.
func readSecret(path string, read secretReader) (data []byte, exposed *ModeError, err error) {
	data, info, err := read(path, maxPEMSize)
	if mode := info.Mode; mode&0o077 != 0 {
		exposed = &ModeError{Path: path, Mode: mode}
	}
	return data, exposed, err
}

// ReadKey reads the file of a private key, which only its owner may be able to read. If both the
// mode and the content are wrong, the error joins a [ModeError] and a [FileError].
func ReadKey(path string) (crypto.Signer, error) {
	key, _, err := readKeyPEM(path, durable.ReadGuarded)
	return key, err
}

// readKey reads the file of a key with any mode. exposed is not nil if others may have read it.
func readKey(path string) (key crypto.Signer, exposed *ModeError, err error) {
	key, _, exposed, err = readKeyFile(path, durable.ReadGuarded)
	return key, exposed, err
}

// readCAKey is [ReadKey] for the key of an authority, which must belong to root or the caller.
func readCAKey(path string) (crypto.Signer, error) {
	key, _, err := readKeyPEM(path, durable.ReadTrusted)
	return key, err
}

// readKeyPEM is [ReadKey], and also returns the file.
func readKeyPEM(path string, read secretReader) (crypto.Signer, []byte, error) {
	key, data, exposed, err := readKeyFile(path, read)
	if exposed != nil {
		return nil, nil, errors.Join(exposed, err)
	}
	return key, data, err
}

func readKeyFile(path string, read secretReader) (key crypto.Signer, data []byte, exposed *ModeError, err error) {
	data, exposed, err = readSecret(path, read)
	if err != nil {
		return nil, nil, exposed, err
	}
	key, err = ParseKey(data)
	if err != nil {
		return nil, nil, exposed, &FileError{Path: path, Err: err}
	}
	return key, data, exposed, nil
}
