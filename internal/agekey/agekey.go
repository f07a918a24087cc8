// Package agekey encrypts the private keys of roots into age files, and decrypts them. It is the
// only importer of filippo.io/age. It never returns the errors of age: they quote their input,
// which may be a key.
//
// The age tool can read these files: `age -d -i identities.txt ca.key.age`, or, with a passphrase,
// `age -d ca.key.age`.
//
// This package cannot wipe a key or a passphrase from memory. A caller may clear its own slices. The
// copies of age, scrypt and the garbage collector stay until the process ends, and may be swapped
// out before.
package agekey

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const (
	// maxKeySize is larger than any key in PEM: an RSA-4096 key has 3.3 KiB.
	maxKeySize = 64 << 10

	// MaxFileSize is the largest size, in bytes, of an encrypted key, an identity file or a
	// recipients file. A key for maxRecipients post-quantum recipients has 140 KiB.
	MaxFileSize = 256 << 10

	// maxRecipients limits the work for a hostile file: every identity is tried on every
	// recipient.
	maxRecipients = 64
)

var (
	// ErrNoIdentity means that none of the identities opens the file. It looks complete, and is
	// for other recipients. A file with changed recipient lines gives the same error, because only
	// the right identity can detect the change.
	ErrNoIdentity = errors.New("no identity opens it")

	// ErrWrongPassphrase means that the passphrase does not open the file.
	ErrWrongPassphrase = errors.New("the passphrase does not open it")

	// ErrDamaged means that the file is not an age file, or was cut off or changed.
	ErrDamaged = errors.New("not an age file, or damaged")
)

// Encrypt writes an armored age file that the identity of any one recipient opens.
// Recipients are age1… (X25519), age1pq1… (hybrid, post-quantum), ssh-ed25519 and ssh-rsa
// public keys. Post-quantum recipients cannot be mixed with others, because the weakest recipient
// decides how safe a file is.
func Encrypt(keyPEM []byte, recipients []string) ([]byte, error) {
	parsed, err := parseRecipients(recipients)
	if err != nil {
		return nil, err
	}
	return encrypt(keyPEM, parsed...)
}

func encrypt(keyPEM []byte, recipients ...age.Recipient) ([]byte, error) {
	if len(keyPEM) == 0 || len(keyPEM) > maxKeySize {
		return nil, fmt.Errorf("encrypting a key of %d bytes; want 1 to %d", len(keyPEM), maxKeySize)
	}
	var file bytes.Buffer
	armored := armor.NewWriter(&file)
	w, err := age.Encrypt(armored, recipients...)
	if err != nil {
		return nil, errors.New("encrypting the key: age refuses the recipients") // each was tried before
	}
	_, writeErr := w.Write(keyPEM)
	if err := errors.Join(writeErr, w.Close(), armored.Close()); err != nil {
		return nil, fmt.Errorf("encrypting the key: %w", err) // unreachable: a bytes.Buffer takes every write
	}
	if file.Len() > MaxFileSize {
		return nil, fmt.Errorf("encrypting the key: for these recipients the file has %d bytes, and at most %d are read; give fewer or smaller ones", file.Len(), MaxFileSize)
	}
	return file.Bytes(), nil
}

// Decrypt opens an age file, armored or binary, with the text of an identity file: lines of
// AGE-SECRET-KEY-1… and AGE-SECRET-KEY-PQ-1…, or one SSH private key. It returns the whole
// key or an error for errors.Is: ErrNoIdentity, ErrDamaged, or neither if the identity file is
// wrong.
func Decrypt(data, identityFile []byte) ([]byte, error) {
	identities, err := parseIdentities(identityFile)
	if err != nil {
		return nil, err
	}
	stanzas, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	if hasPassphrase(stanzas) {
		return nil, fmt.Errorf("%w: it is encrypted with a passphrase", ErrNoIdentity)
	}
	key, err := decrypt(data, identities...)
	if errors.Is(err, ErrNoIdentity) {
		return nil, fmt.Errorf("%w: tried %d on its %d recipients of the types %s", err, len(identities), len(stanzas), recipientTypes(stanzas))
	}
	return key, err
}

// HasPassphrase reports whether a passphrase opens a file, and not an identity file.
func HasPassphrase(data []byte) (bool, error) {
	stanzas, err := readHeader(data)
	return err == nil && hasPassphrase(stanzas), err
}

func hasPassphrase(stanzas []*age.Stanza) bool {
	return slices.ContainsFunc(stanzas, func(s *age.Stanza) bool { return s.Type == scryptType })
}

// headerReader is an identity that opens no file and records the header: age has no other API to
// read it.
type headerReader struct{ stanzas []*age.Stanza }

func (r *headerReader) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	r.stanzas = stanzas
	return nil, age.ErrIncorrectIdentity
}

// readHeader returns the stanza of each recipient of a file, without cryptography.
func readHeader(data []byte) ([]*age.Stanza, error) {
	if len(data) > MaxFileSize {
		return nil, fmt.Errorf("%w: larger than %d bytes", ErrDamaged, MaxFileSize)
	}
	var header headerReader
	_, err := age.Decrypt(dearmor(data), &header)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); !ok {
		return nil, damageError(err, "its header")
	}
	if n := len(header.stanzas); n > maxRecipients {
		return nil, fmt.Errorf("an age file for %d recipients; at most %d are read", n, maxRecipients)
	}
	return header.stanzas, nil
}

func decrypt(data []byte, identities ...age.Identity) ([]byte, error) {
	r, err := age.Decrypt(dearmor(data), identities...)
	if _, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		return nil, ErrNoIdentity
	}
	if err != nil {
		return nil, damageError(err, "its header")
	}
	// Grown once, so that no half of the key is left behind in a smaller buffer. One byte
	// more than the limit tells a key of that size from a larger one; age authenticates
	// the end of a file only when it is read to its end.
	var key bytes.Buffer
	key.Grow(maxKeySize + 1 + bytes.MinRead)
	if _, err := key.ReadFrom(io.LimitReader(r, maxKeySize+1)); err != nil {
		clear(key.Bytes())
		return nil, damageError(err, "its content")
	}
	if n := key.Len(); n == 0 || n > maxKeySize {
		clear(key.Bytes())
		return nil, fmt.Errorf("an age file whose content is empty or larger than %d bytes, which no key is", maxKeySize)
	}
	return key.Bytes(), nil
}

// dearmor removes the armor, if there is one, as the age tool does.
func dearmor(data []byte) io.Reader {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte(armor.Header)) {
		return armor.NewReader(bytes.NewReader(data))
	}
	return bytes.NewReader(data)
}

// damageError returns an error that names the damaged part of a file. It leaves out the cause, which
// would quote the file.
func damageError(cause error, part string) error {
	if _, ok := errors.AsType[*armor.Error](cause); ok {
		part = "its armor, the lines of PEM around it"
	}
	return fmt.Errorf("%w: %s cannot be read", ErrDamaged, part)
}

// recipientTypes returns the types of a file's recipients, each once, in the order of the file. They
// are foreign text, and a few are enough to find the right identity.
func recipientTypes(stanzas []*age.Stanza) string {
	const most = 5
	var types []string
	for _, s := range stanzas {
		if t := fmt.Sprintf("%.20q", s.Type); !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	if len(types) > most {
		types = append(types[:most], "…")
	}
	return strings.Join(types, ", ")
}
