package agekey

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/armor"
	"golang.org/x/crypto/ssh"
)

const (
	// maxIdentities and maxRecipients together limit the work.
	maxIdentities = 64

	// maxSSHIdentitySize is the limit of age. It also limits the size of an RSA key, and so the
	// time of one decryption.
	maxSSHIdentitySize = 16 << 10
)

// CheckIdentities returns an error if an identity file has none, or one that cannot be read. The error does
// not contain a byte of the file.
func CheckIdentities(text []byte) error {
	_, err := parseIdentities(text)
	return err
}

// parseIdentities reads an identity file. Its errors do not contain a byte of the file. Those of age
// do: the first unreadable character, and everything before the last 1 as the kind of key.
func parseIdentities(text []byte) ([]age.Identity, error) {
	trimmed := bytes.TrimSpace(text)
	switch {
	case bytes.HasPrefix(trimmed, []byte(armor.Header)), bytes.HasPrefix(trimmed, []byte("age-encryption.org/")):
		return nil, errors.New("reading identities: the file is itself encrypted; decrypt it first, with age -d")
	case bytes.HasPrefix(trimmed, []byte("-----BEGIN ")):
		identity, err := parseSSHIdentity(text)
		if err != nil {
			return nil, fmt.Errorf("reading identities: %w", err)
		}
		return []age.Identity{identity}, nil
	}
	lines, err := contentLines(text)
	if err != nil {
		return nil, fmt.Errorf("reading identities: %w", err)
	}
	if len(lines) == 0 || len(lines) > maxIdentities {
		return nil, fmt.Errorf("reading identities: %d in the file; want 1 to %d", len(lines), maxIdentities)
	}
	var identities []age.Identity
	for _, l := range lines {
		identity, err := parseIdentity(l.text)
		if err != nil {
			return nil, fmt.Errorf("reading identities: line %d: %w", l.number, err)
		}
		identities = append(identities, identity)
	}
	return identities, nil
}

func parseIdentity(text string) (age.Identity, error) {
	switch {
	case strings.HasPrefix(text, "AGE-SECRET-KEY-PQ-1"):
		identity, err := age.ParseHybridIdentity(text)
		if err != nil {
			return nil, errors.New("a damaged AGE-SECRET-KEY-PQ-1… identity")
		}
		return identity, nil
	case strings.HasPrefix(text, "AGE-SECRET-KEY-1"):
		identity, err := age.ParseX25519Identity(text)
		if err != nil {
			return nil, errors.New("a damaged AGE-SECRET-KEY-1… identity")
		}
		return identity, nil
	case strings.HasPrefix(text, "AGE-PLUGIN-"):
		return nil, errors.New("an identity of an age plugin, and no plugin is run here; decrypt the key with age -d")
	case strings.HasPrefix(text, "age1"), strings.HasPrefix(text, "ssh-"):
		return nil, errors.New("a recipient, which cannot decrypt; want AGE-SECRET-KEY-1… or AGE-SECRET-KEY-PQ-1…")
	}
	return nil, errors.New("not an identity; want AGE-SECRET-KEY-1… or AGE-SECRET-KEY-PQ-1…")
}

func parseSSHIdentity(text []byte) (age.Identity, error) {
	if len(text) > maxSSHIdentitySize {
		return nil, fmt.Errorf("an SSH private key of more than %d bytes", maxSSHIdentitySize)
	}
	identity, err := agessh.ParseIdentity(text)
	if _, ok := errors.AsType[*ssh.PassphraseMissingError](err); ok {
		return nil, errors.New("an SSH private key with a passphrase, which is not asked for here; take the passphrase off a copy with ssh-keygen -p, or decrypt the key with age -d")
	}
	if err != nil {
		return nil, errors.New("a damaged private key, or not an SSH key of type ed25519 or RSA")
	}
	return identity, nil
}
