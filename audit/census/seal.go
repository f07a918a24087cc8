package census

import (
	"bytes"
	"unicode/utf8"
)

// Form is what a stored value is at first sight.
type Form uint8

// The forms of a value.
const (
	// Broken has the prefix of an encrypted value and no more that makes sense: no API server
	// reads it. Provider and Key are set as far as they could be read.
	Broken Form = iota
	Encrypted
	Plaintext
)

// Provider is who encrypted a value, as its prefix says it. The two versions of kms have
// nothing in common but their name.
type Provider string

// The providers of kube-apiserver that encrypt.
const (
	AESCBC    Provider = "aescbc"
	AESGCM    Provider = "aesgcm"
	Secretbox Provider = "secretbox"
	KMSv1     Provider = "kms v1"
	KMSv2     Provider = "kms v2"
)

// Encoding is how a value that is not encrypted is encoded.
type Encoding string

// The encodings of plaintext. kube-apiserver writes its own types as protobuf and those of
// CustomResourceDefinitions as JSON, or CBOR where that is enabled.
const (
	Protobuf Encoding = "protobuf"
	JSON     Encoding = "json"
	CBOR     Encoding = "cbor"
	Other    Encoding = "other"
)

// Seal is what the first bytes of a value say about who wrote it. Its slices are parts of
// the value.
type Seal struct {
	Form     Form
	Provider Provider // of Encrypted, and of Broken if it has a known one
	Key      []byte   // the name of the key, or of the KMS provider
	KeyID    []byte   // that the KMS plugin gave, of KMSv2
	Encoding Encoding // of Plaintext
	Sealed   []byte   // the ciphertext and what is stored with it, of Encrypted
}

const encryptedPrefix = "k8s:enc:"

// maxKeyName is above any name of a key. kube-apiserver sets no limit.
const maxKeyName = 512

// Classify says who wrote a value, from its prefix. It decrypts nothing, copies nothing and
// allocates nothing. The prefixes are those of k8s.io/apiserver
// pkg/server/options/encryptionconfig/config.go.
//
// A key whose name holds a colon is cut at it: what follows cannot be told from ciphertext.
func Classify(value []byte) Seal {
	rest, found := bytes.CutPrefix(value, []byte(encryptedPrefix))
	if !found {
		return Seal{Form: Plaintext, Encoding: encodingOf(value)}
	}
	provider, rest := providerOf(rest)
	if provider == "" {
		return Seal{}
	}
	key, sealed, named := cutName(rest)
	if !named {
		return Seal{Provider: provider}
	}
	s := Seal{Form: Encrypted, Provider: provider, Key: key, Sealed: sealed}
	whole := len(sealed) >= overhead(provider)
	switch provider {
	case KMSv1:
		whole = whole && wrapped(sealed)
	case KMSv2:
		s.KeyID, whole = encryptedObject(sealed)
	case AESCBC:
		const block = 16
		whole = whole && len(sealed)%block == 0
	case AESGCM, Secretbox:
	}
	if !whole {
		s.Form, s.Sealed = Broken, nil
	}
	return s
}

func providerOf(b []byte) (Provider, []byte) {
	for _, p := range [...]struct {
		written  string
		provider Provider
	}{
		{"secretbox:v1:", Secretbox}, {"aescbc:v1:", AESCBC}, {"aesgcm:v1:", AESGCM}, {"kms:v2:", KMSv2}, {"kms:v1:", KMSv1},
	} {
		if len(b) >= len(p.written) && string(b[:len(p.written)]) == p.written {
			return p.provider, b[len(p.written):]
		}
	}
	return "", nil
}

// cutName splits the name of a key from what follows its colon.
func cutName(b []byte) (name, rest []byte, ok bool) {
	at := bytes.IndexByte(b[:min(len(b), maxKeyName+1)], ':')
	if at < 1 || !printable(b[:at]) {
		return nil, nil, false
	}
	return b[:at], b[at+1:], true
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return utf8.Valid(b)
}

// overhead is what a provider adds to a value of no bytes at all: nonce and tag, or IV and padding.
func overhead(p Provider) int {
	switch p {
	case AESCBC:
		return 16 + 16
	case AESGCM:
		return 12 + 16
	case Secretbox:
		return 24 + 16
	case KMSv1:
		return 2 + 1
	case KMSv2:
	}
	return 1
}

// wrapped says whether KMS v1's encrypted data key is there: two bytes of length, the key, the data.
func wrapped(b []byte) bool {
	length := int(b[0])<<8 | int(b[1])
	return length > 0 && len(b) > 2+length
}

// encodingOf tells what kube-apiserver writes from anything else.
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
