package agekey

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// ParseRecipients reads a recipients file: one recipient for Encrypt in each line. It ignores empty
// lines and lines that begin with #. Errors give the number of the line and never its text, which is
// a secret if somebody gave the identity file by mistake.
func ParseRecipients(text []byte) ([]string, error) {
	lines, err := contentLines(text)
	if err != nil {
		return nil, fmt.Errorf("reading recipients: %w", err)
	}
	var recipients []string
	for _, l := range lines {
		if _, err := parseRecipient(l.text); err != nil {
			return nil, fmt.Errorf("reading recipients: line %d: %w", l.number, err)
		}
		recipients = append(recipients, l.text)
	}
	if len(recipients) == 0 {
		return nil, errors.New("reading recipients: there is none in it")
	}
	if _, err := parseRecipients(recipients); err != nil {
		return nil, fmt.Errorf("reading recipients: %w", err)
	}
	return recipients, nil
}

func parseRecipients(recipients []string) ([]age.Recipient, error) {
	if len(recipients) == 0 || len(recipients) > maxRecipients {
		return nil, fmt.Errorf("encrypting for %d recipients; want 1 to %d", len(recipients), maxRecipients)
	}
	var parsed []age.Recipient
	var hybrid, classic int // the number of one of each, from 1
	for i, text := range recipients {
		r, err := parseRecipient(text)
		if err != nil {
			return nil, fmt.Errorf("recipient %d: %w", i+1, err)
		}
		if _, ok := r.(*age.HybridRecipient); ok {
			hybrid = i + 1
		} else {
			classic = i + 1
		}
		parsed = append(parsed, r)
	}
	if hybrid > 0 && classic > 0 {
		return nil, fmt.Errorf("recipient %d is post-quantum (age1pq1…) and recipient %d is not: a file is as safe as the weakest, so give all of one kind", hybrid, classic)
	}
	return parsed, nil
}

// maxRecipientSize limits a line as age and sshd do. It also limits the size of an RSA key, and so
// the time of one encryption.
const maxRecipientSize = 8 << 10

// parseRecipient returns a recipient after a test encryption: a public key can have the right form
// and still be unusable. Its errors do not quote the text.
func parseRecipient(text string) (age.Recipient, error) {
	if len(text) > maxRecipientSize {
		return nil, fmt.Errorf("longer than %d bytes, which no recipient is", maxRecipientSize)
	}
	r, err := recipientByPrefix(text)
	if err != nil {
		return nil, err
	}
	const fileKeySize = 16
	if _, err := r.Wrap(make([]byte, fileKeySize)); err != nil {
		return nil, errors.New("not a usable public key, though it reads like one")
	}
	return r, nil
}

// recipientByPrefix parses a recipient by its prefix, as the age tool does.
func recipientByPrefix(text string) (age.Recipient, error) {
	// bech32 has no 1 in its data, so a second one is in the name of a plugin.
	native := strings.HasPrefix(text, "age1")
	switch {
	case strings.HasPrefix(strings.ToUpper(text), "AGE-"):
		return nil, errors.New("an identity, which is secret; give its recipient, which age-keygen -y prints")
	case strings.HasPrefix(text, "age1pq1"):
		r, err := age.ParseHybridRecipient(text)
		if err != nil {
			return nil, errors.New("a damaged age1pq1… recipient; copy it again, whole")
		}
		return r, nil
	case native && strings.Count(text, "1") > 1:
		return nil, errors.New("a recipient of an age plugin, and no plugin is run here; give an age1…, age1pq1… or SSH recipient")
	case native:
		r, err := age.ParseX25519Recipient(text)
		if err != nil {
			return nil, errors.New("a damaged age1… recipient; copy it again, whole")
		}
		return r, nil
	case strings.HasPrefix(text, "ssh-ed25519 "), strings.HasPrefix(text, "ssh-rsa "):
		return parseSSHRecipient(text)
	case strings.HasPrefix(text, "ssh-"), strings.HasPrefix(text, "ecdsa-"), strings.HasPrefix(text, "sk-"):
		return nil, errors.New("an SSH public key that age cannot encrypt for; it can for ssh-ed25519 and ssh-rsa")
	}
	return nil, errors.New("not a recipient; want age1…, age1pq1…, ssh-ed25519 … or ssh-rsa …")
}

func parseSSHRecipient(text string) (age.Recipient, error) {
	// The parser skips lines that it cannot read, so another line could hold another key.
	if strings.ContainsAny(text, "\r\n") {
		return nil, errors.New("more than one line; give one public key")
	}
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	if err != nil || !strings.HasPrefix(text, key.Type()+" ") {
		return nil, errors.New("a damaged SSH public key; copy the .pub file's line again, whole")
	}
	if key, ok := key.(ssh.CryptoPublicKey); ok {
		const least = 2048 // age's own bound
		if pub, ok := key.CryptoPublicKey().(*rsa.PublicKey); ok && pub.N.BitLen() < least {
			return nil, fmt.Errorf("an RSA key of %d bits; want %d or more", pub.N.BitLen(), least)
		}
	}
	r, err := agessh.ParseRecipient(text)
	if err != nil {
		return nil, errors.New("an SSH public key that age cannot use")
	}
	return r, nil
}

// line is a line of a file that is neither empty nor a comment.
type line struct {
	number int // from 1
	text   string
}

// contentLines returns the lines of a recipients or identity file that are neither empty nor a
// comment, without the white space around them.
func contentLines(text []byte) ([]line, error) {
	if len(text) > MaxFileSize {
		return nil, fmt.Errorf("larger than %d bytes", MaxFileSize)
	}
	var lines []line
	number := 0
	for raw := range bytes.Lines(text) {
		number++
		if s := string(bytes.TrimSpace(raw)); s != "" && !strings.HasPrefix(s, "#") {
			lines = append(lines, line{number, s})
		}
	}
	return lines, nil
}
