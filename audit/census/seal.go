package census

import (
	"bytes"
	"slices"
	"unicode/utf8"

	"github.com/etcdsec/etcdsec/audit"
)

// Form is the form of a value: plaintext, ciphertext or neither.
type Form uint8

// The forms of a value.
const (
	// Broken means that a value has the prefix of an encrypted value, but the rest makes no
	// sense: no API server can read it. Provider and Key are set as far as they could be read.
	Broken Form = iota
	Encrypted
	Plaintext
)

// Encoding is the encoding of plaintext.
type Encoding string

// The encodings of plaintext. kube-apiserver writes its own types as protobuf and those of
// CustomResourceDefinitions as JSON, or CBOR if that is enabled.
const (
	Protobuf Encoding = "protobuf"
	JSON     Encoding = "json"
	CBOR     Encoding = "cbor"
	Other    Encoding = "other"
)

// Seal names who wrote a value, by its first bytes. Its slices are parts of
// the value.
type Seal struct {
	Form     Form
	Provider audit.Provider // of Encrypted, and of Broken if it has a known one
	Key      []byte         // the longest name that the key, or the KMS plugin, may have
	KeyID    []byte         // that the KMS plugin gave, of kms v2
	Encoding Encoding       // of Plaintext
	Sealed   []byte         // the ciphertext and what is stored with it, of Encrypted

	names names
}

// names holds the lengths of the names that a value's key may have, in order. A name ends at a
// colon, and may hold others; ciphertext may begin with one, or with text and one.
type names struct {
	length [mostNames]uint16
	count  uint8
	known  uint8 // one bit for each length: a configuration has the name
}

// mostNames bounds the names that are kept of a value: the shorter ones, and the longest.
const mostNames = 8

func (n *names) add(length int, known bool) {
	at := 0
	for at < int(n.count) && int(n.length[at]) < length {
		at++
	}
	bit := uint8(1) << at
	switch {
	case at < int(n.count) && int(n.length[at]) == length:
	case n.count < mostNames:
		copy(n.length[at+1:], n.length[at:n.count])
		low := n.known & (bit - 1)
		n.known = low | (n.known&^low)<<1
		n.count++
	case at == mostNames && n.known>>(mostNames-1) == 0: // the longest gives way
		at = mostNames - 1
		bit = 1 << at
	default:
		return
	}
	n.length[at] = uint16(length) //nolint:gosec // of a name
	if known {
		n.known |= bit
	}
}

func (n *names) isKnown(at int) bool { return n.known>>at&1 == 1 }

// Names returns every name that the key may have, the shortest first. There are several if the
// value does not show which colon ends the name.
func (s Seal) Names() []string {
	all := make([]string, 0, s.names.count)
	for _, length := range s.names.length[:s.names.count] {
		all = append(all, string(s.Key[:length]))
	}
	return all
}

// Known returns the longest of the possible names that is a key of the configuration; nil if
// there is none.
func (s Seal) Known() []byte {
	for at := int(s.names.count) - 1; at >= 0; at-- {
		if s.names.isKnown(at) {
			return s.Key[:s.names.length[at]]
		}
	}
	return nil
}

// maxKeyName bounds the name of a key that is recognised by its pattern. kube-apiserver sets no limit.
const maxKeyName = 512

// Classifier finds out who wrote a value. The zero value recognises the names of keys only by
// their pattern.
type Classifier struct {
	known []knownKey
}

type knownKey struct {
	provider audit.Provider
	prefix   []byte // after the provider's: the name and its colon
}

// NewClassifier returns a classifier that knows the keys of a configuration. A writer with
// AnyProvider stands for one of each provider.
func NewClassifier(known []audit.Writer) Classifier {
	var c Classifier
	for _, w := range known {
		for _, provider := range audit.EncryptingProviders() {
			if w.Key != "" && len(w.Key) <= 1<<15 && (w.Provider == audit.AnyProvider || w.Provider == provider) {
				c.known = append(c.known, knownKey{provider, []byte(w.Key + ":")})
			}
		}
	}
	return c
}

// Classify returns who wrote a value, by its prefix. It does not decrypt, copy or allocate
// anything.
func (c Classifier) Classify(value []byte) Seal { return c.classify(value, false) }

// ClassifyStart does what Classify does, for a value whose end is missing or unknown. It ignores
// everything after the name of the key.
func (c Classifier) ClassifyStart(value []byte) Seal { return c.classify(value, true) }

func (c Classifier) classify(value []byte, open bool) Seal {
	rest, found := bytes.CutPrefix(value, []byte(audit.EncryptedPrefix))
	if !found {
		return Seal{Form: Plaintext, Encoding: encodingOf(value)}
	}
	provider, rest := cutProvider(rest)
	if provider == "" {
		return Seal{}
	}
	s := Seal{Form: Encrypted, Provider: provider}
	c.findNames(&s.names, provider, rest, open)
	if s.names.count == 0 && !open {
		s.Form = Broken
		c.findNames(&s.names, provider, rest, true)
	}
	if s.names.count == 0 {
		return Seal{Provider: provider}
	}
	length := int(s.names.length[s.names.count-1])
	s.Key = rest[:length]
	if s.Form == Encrypted {
		s.Sealed = rest[length+1:]
	}
	if provider == audit.KMSv2Provider {
		s.KeyID, _ = encryptedObject(rest[length+1:])
	}
	return s
}

// findNames finds where the name of the key may end: at each colon that ciphertext may follow, or
// at any colon if the value is open.
func (c Classifier) findNames(n *names, provider audit.Provider, rest []byte, open bool) {
	for _, k := range c.known {
		if k.provider == provider && bytes.HasPrefix(rest, k.prefix) && (open || isComplete(provider, rest[len(k.prefix):])) {
			n.add(len(k.prefix)-1, true)
		}
	}
	for at := 0; at < min(len(rest), maxKeyName+1); {
		switch b := rest[at]; {
		case b == ':':
			if end := timeEnd(rest, at); end > 0 {
				at = end
				continue
			}
			if at > 0 && (open || isComplete(provider, rest[at+1:])) {
				n.add(at, false)
			}
			if provider == audit.KMSv2Provider && at > 0 {
				return // kube-apiserver refuses such a plugin with a colon in its name
			}
			at++
		case b < ' ' || b == 0x7f:
			return
		case b < utf8.RuneSelf:
			at++
		default:
			r, size := utf8.DecodeRune(rest[at:])
			if r == utf8.RuneError && size == 1 {
				return
			}
			at += size
		}
	}
}

// timeEnd returns where an RFC 3339 time ends, given the place of its first colon, if another
// colon follows the time: k3s puts the time into the names of its keys, such as
// aescbckey-2024-05-01T12:00:00Z. It returns 0 if there is none.
func timeEnd(b []byte, at int) int {
	const date = "dddd-dd-ddTdd"
	if at < len(date) || !hasShape(b[at-len(date):], date) {
		return 0
	}
	for _, shape := range [...]string{":dd:ddZ:", ":dd:dd+dd:dd:", ":dd:dd-dd:dd:"} {
		if hasShape(b[at:], shape) {
			return at + len(shape) - 1
		}
	}
	return 0
}

// hasShape reports whether b begins with a text in which each d stands for a digit.
func hasShape(b []byte, shape string) bool {
	if len(b) < len(shape) {
		return false
	}
	for i := range len(shape) {
		digit := b[i] >= '0' && b[i] <= '9'
		if shape[i] == 'd' && !digit || shape[i] != 'd' && b[i] != shape[i] {
			return false
		}
	}
	return true
}

func cutProvider(b []byte) (audit.Provider, []byte) {
	for _, p := range [...]struct {
		written  string
		provider audit.Provider
	}{
		{"secretbox:v1:", audit.SecretboxProvider}, {"aescbc:v1:", audit.AESCBCProvider}, {"aesgcm:v1:", audit.AESGCMProvider},
		{"kms:v2:", audit.KMSv2Provider}, {"kms:v1:", audit.KMSv1Provider},
	} {
		if len(b) >= len(p.written) && string(b[:len(p.written)]) == p.written {
			return p.provider, b[len(p.written):]
		}
	}
	return "", nil
}

func printable(b []byte) bool {
	return utf8.Valid(b) && !slices.ContainsFunc(b, func(c byte) bool { return c < ' ' || c == 0x7f })
}

// isComplete reports whether the bytes after a name can be what a provider stores: they are long
// enough for an empty value, and have the right form.
func isComplete(p audit.Provider, sealed []byte) bool {
	switch p {
	case audit.AESCBCProvider: // IV and padding
		const block = 16
		return len(sealed) >= 2*block && len(sealed)%block == 0
	case audit.AESGCMProvider: // nonce and tag
		return len(sealed) >= 12+16
	case audit.SecretboxProvider: // nonce and tag
		return len(sealed) >= 24+16
	case audit.KMSv1Provider:
		return hasDataKey(sealed)
	case audit.KMSv2Provider:
		_, ok := encryptedObject(sealed)
		return ok
	case audit.IdentityProvider, audit.AnyProvider, audit.UnlistedProvider, audit.BrokenProvider:
	}
	return false
}

// hasDataKey reports whether KMS v1's encrypted data key is there: two bytes of length, the key,
// the data.
func hasDataKey(b []byte) bool {
	if len(b) < 2+1 {
		return false
	}
	length := int(b[0])<<8 | int(b[1])
	return length > 0 && len(b) > 2+length
}

// encodingOf returns the encoding of plaintext, which is Other if kube-apiserver does not write
// it.
func encodingOf(value []byte) Encoding {
	has := func(prefix string) bool { return len(value) >= len(prefix) && string(value[:len(prefix)]) == prefix }
	switch {
	case has("k8s\x00"):
		return Protobuf
	case has("{"):
		return JSON
	case has("\xd9\xd9\xf7"): // the self-described tag of RFC 8949 section 3.4.6
		return CBOR
	default:
		return Other
	}
}
