package encryption

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Key is a named key. Printing a Key never prints its secret.
type Key struct {
	Name string
	// A function, of which fmt shows no more than the address: where a Key is an unexported
	// field, fmt does not call Format.
	secret func() []byte
}

// keySize is the length in bytes of every key that GenerateKey makes.
const keySize = 32

// NewKey returns a key with these bytes, which it does not copy.
func NewKey(name string, key []byte) Key { return Key{name, func() []byte { return key }} }

// GenerateKey makes a key of 32 random bytes. Its name has the day and its fingerprint, so that two
// clusters, or two rotations in a day, never use one name for different keys.
func GenerateKey(random io.Reader, now time.Time) (Key, error) {
	key := make([]byte, keySize)
	if _, err := io.ReadFull(random, key); err != nil {
		return Key{}, fmt.Errorf("generating a key: %w", err)
	}
	if bytes.Equal(key, make([]byte, keySize)) {
		return Key{}, errors.New("generating a key: the source of randomness gives only zeros")
	}
	k := NewKey("", key)
	k.Name = "k-" + now.UTC().Format("20060102") + "-" + k.Fingerprint()
	return k, nil
}

// Fingerprint returns a short text that tells two keys apart: the first 8 hexadecimal digits of the SHA-256 of the key.
func (k Key) Fingerprint() string {
	sum := sha256.Sum256(k.bytes())
	return hex.EncodeToString(sum[:4])
}

// Same reports whether two keys have the same secret.
func (k Key) Same(other Key) bool { return bytes.Equal(k.bytes(), other.bytes()) }

// Len returns the length of the secret in bytes.
func (k Key) Len() int { return len(k.bytes()) }

// Trait names a property of a key by which it can be guessed.
type Trait string

// Judge calls judge with the secret and returns its result. judge must not keep the secret.
func (k Key) Judge(judge func(secret []byte) Trait) Trait { return judge(k.bytes()) }

func (k Key) bytes() []byte {
	if k.secret == nil {
		return nil
	}
	return k.secret()
}

// Format prints the name alone, whatever the verb.
func (k Key) Format(s fmt.State, _ rune) {
	_, _ = io.WriteString(s, "key "+ShowName(k.Name)) // fmt has nowhere to say that it failed
}

// ShowName returns a name in quotes. It hides a name that could itself be a key, because somebody
// swapped the two.
func ShowName(name string) string {
	if looksLikeKey(name) {
		return fmt.Sprintf("(a name of %d characters that could be a key)", len(name))
	}
	return fmt.Sprintf("%q", name)
}

// looksLikeKey reports whether text decodes to as many bytes as a key has. Names that people
// give have dashes or dots, or are shorter.
func looksLikeKey(text string) bool {
	text = strings.Join(strings.Fields(text), "")
	if len(text) < 20 {
		return false
	}
	for _, encoding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		if raw, err := encoding.DecodeString(text); err == nil && len(raw) >= 15 && !isName(text) {
			return true
		}
	}
	return len(text) >= 60 || isHexadecimal(text)
}

func isHexadecimal(text string) bool {
	_, err := hex.DecodeString(text)
	return err == nil && len(text) >= 32
}

// isName reports whether text is made of short lower-case words and dates: a key of random
// bytes has capitals.
func isName(text string) bool {
	return strings.ToLower(text) == text && strings.ContainsAny(text, "-_.")
}
