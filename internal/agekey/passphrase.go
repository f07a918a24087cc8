package agekey

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"
)

const (
	scryptType = "scrypt"

	// workFactor is the default of age: with 2^18, one guess takes about a second and 256 MiB.
	workFactor = 18

	// maxWorkFactor is the highest work factor that a file may require; it takes 1 GiB. age
	// itself allows 2^22 and so 4 GiB, which kills the process on a small machine.
	maxWorkFactor = 20

	// minPassphrase is the minimum length, in characters, of a password that is the only
	// protection (NIST SP 800-63B-4, 3.1.1). A thief of the file can guess without being noticed.
	minPassphrase = 15

	// minDistinct refuses a passphrase that is long only because it repeats characters.
	minDistinct = 6

	maxPassphrase = 1024
)

// ParsePassphrase returns the passphrase of a file: its only line, without the line break, which
// editors add.
func ParsePassphrase(text []byte) ([]byte, error) {
	passphrase := bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	if bytes.ContainsAny(passphrase, "\r\n") {
		return nil, errors.New("reading the passphrase: more than one line in the file")
	}
	if len(passphrase) == 0 || len(passphrase) > maxPassphrase {
		return nil, fmt.Errorf("reading the passphrase: it has %d bytes, want 1 to %d", len(passphrase), maxPassphrase)
	}
	return passphrase, nil
}

// CheckPassphrase refuses a passphrase that is too weak for a root key, or that nobody could type
// when the age tool asks for it. Its errors do not quote it.
func CheckPassphrase(passphrase []byte) error {
	text := string(passphrase)
	if len(text) > maxPassphrase {
		return fmt.Errorf("a passphrase of %d bytes; at most %d", len(text), maxPassphrase)
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		return errors.New("a passphrase with line breaks, control characters or broken UTF-8, which cannot be typed")
	}
	if utf8.RuneCountInString(text) < minPassphrase {
		return fmt.Errorf("a passphrase of fewer than %d characters; take five words or more", minPassphrase)
	}
	different := make(map[rune]bool)
	for _, r := range text {
		different[r] = true
	}
	if len(different) < minDistinct {
		return fmt.Errorf("a passphrase of fewer than %d different characters; take five words or more", minDistinct)
	}
	return nil
}

// EncryptPassphrase writes an armored age file that the passphrase opens. It takes about a
// second and 256 MiB. It refuses a passphrase that CheckPassphrase refuses.
func EncryptPassphrase(keyPEM, passphrase []byte) ([]byte, error) {
	if err := CheckPassphrase(passphrase); err != nil {
		return nil, err
	}
	return encryptPassphrase(keyPEM, passphrase, workFactor)
}

func encryptPassphrase(keyPEM, passphrase []byte, logN int) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, errors.New("encrypting the key: the passphrase is empty")
	}
	recipient.SetWorkFactor(logN)
	return encrypt(keyPEM, recipient)
}

// DecryptPassphrase opens an age file, armored or binary. It takes the time and memory that the file
// requires, within a limit. It returns the whole key or an error for errors.Is: ErrWrongPassphrase,
// ErrNoIdentity if the file has no passphrase, or ErrDamaged. It also tries a passphrase that
// CheckPassphrase would refuse, because it may be the right one.
func DecryptPassphrase(data, passphrase []byte) ([]byte, error) {
	return decryptPassphrase(data, passphrase, maxWorkFactor)
}

func decryptPassphrase(data, passphrase []byte, maxLogN int) ([]byte, error) {
	identity, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return nil, fmt.Errorf("%w: it is empty", ErrWrongPassphrase)
	}
	identity.SetMaxWorkFactor(maxLogN)
	stanzas, err := readHeader(data)
	if err != nil {
		return nil, err
	}
	if !hasPassphrase(stanzas) {
		return nil, fmt.Errorf("%w: it has no passphrase but recipients, of the types %s; give the identity file of one", ErrNoIdentity, recipientTypes(stanzas))
	}
	if err := checkWorkFactor(stanzas, maxLogN); err != nil {
		return nil, err
	}
	key, err := decrypt(data, identity)
	if errors.Is(err, ErrNoIdentity) {
		return nil, ErrWrongPassphrase
	}
	return key, err
}

// checkWorkFactor refuses a file with a work factor above the limit, which is not damaged. age itself
// refuses a work factor that is not a number.
func checkWorkFactor(stanzas []*age.Stanza, maxLogN int) error {
	for _, s := range stanzas {
		if s.Type != scryptType || len(s.Args) != 2 {
			continue
		}
		if logN, err := strconv.Atoi(s.Args[1]); err == nil && logN > maxLogN {
			return fmt.Errorf("an age file that asks for scrypt with a work factor of 2^%d; at most 2^%d is spent, which takes %d MiB", logN, maxLogN, 1<<maxLogN>>10)
		}
	}
	return nil
}
