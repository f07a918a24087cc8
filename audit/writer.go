package audit

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Provider names the provider that encrypts a value, as in the value's prefix in etcd. The two versions of
// kms share only the name.
type Provider string

// The providers of kube-apiserver (k8s.io/apiserver pkg/server/options/encryptionconfig,
// config.go), and values for objects without one.
const (
	SecretboxProvider Provider = "secretbox"
	AESGCMProvider    Provider = "aesgcm"
	AESCBCProvider    Provider = "aescbc"
	KMSv1Provider     Provider = "kms v1"
	KMSv2Provider     Provider = "kms v2"
	// IdentityProvider encrypts nothing: its values are plaintext, without a prefix.
	IdentityProvider Provider = "identity"

	// AnyProvider is the provider of a rule that names a key and no provider.
	AnyProvider Provider = ""
	// UnlistedProvider stands for further writers, beyond the limit of a census.
	UnlistedProvider Provider = "unlisted"
	// BrokenProvider stands for values that no API server can read.
	BrokenProvider Provider = "broken"
)

// EncryptingProviders returns the providers that put a prefix before encrypted values.
func EncryptingProviders() []Provider {
	return []Provider{AESCBCProvider, AESGCMProvider, SecretboxProvider, KMSv1Provider, KMSv2Provider}
}

// Prefix returns the prefix of a provider's values, up to the name of the key, such as
// "k8s:enc:secretbox:v1:". It is empty for a provider that encrypts nothing.
func (p Provider) Prefix() string {
	switch p {
	case SecretboxProvider, AESGCMProvider, AESCBCProvider:
		return EncryptedPrefix + string(p) + ":v1:"
	case KMSv1Provider:
		return EncryptedPrefix + "kms:v1:"
	case KMSv2Provider:
		return EncryptedPrefix + "kms:v2:"
	case IdentityProvider, AnyProvider, UnlistedProvider, BrokenProvider:
	}
	return ""
}

// EncryptedPrefix is the beginning of every value that kube-apiserver has encrypted.
const EncryptedPrefix = "k8s:enc:"

// Writer names the key of a provider, or the KMS plugin, that encrypted a value. A configuration, a
// census and the plan of a rotation all use it.
type Writer struct {
	Provider Provider `json:"provider"`
	Key      string   `json:"key"`              // the name of the key, or of the KMS plugin, as it is stored: it may hold any characters; empty for plaintext
	KeyID    string   `json:"key_id,omitempty"` // from the KMS plugin, as it is stored; only for a stored value of kms v2
}

// String formats the writer for people, with [ShowName].
func (w Writer) String() string {
	s := string(w.Provider)
	if w.Key != "" {
		s = strings.TrimPrefix(s+" "+ShowName(w.Key), " ")
	}
	if w.KeyID != "" {
		s += " (key ID " + ShowName(w.KeyID) + ")"
	}
	return s
}

// ShowName returns a name out of a store or a configuration as it may be printed: as it is, or
// quoted where that could act on a terminal, be taken for another name, or hide where it ends.
func ShowName(name string) string {
	quoted := strconv.Quote(name)
	if name == "" || len(quoted) != len(name)+len(`""`) || strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return quoted
	}
	return name
}

// Prefix returns the prefix in etcd of the values that the writer has encrypted; it is empty for plaintext.
func (w Writer) Prefix() string {
	prefix := w.Provider.Prefix()
	if prefix == "" {
		return ""
	}
	return prefix + w.Key + ":"
}

// WithoutKeyID returns the writer as a configuration names it: without a key ID.
func (w Writer) WithoutKeyID() Writer {
	w.KeyID = ""
	return w
}

// Matches reports whether a rule's writer is the writer of a stored value: by its key, and by its
// provider if the rule names one. Key IDs do not matter.
func (w Writer) Matches(stored Writer) bool {
	return (w.Provider == AnyProvider || w.Provider == stored.Provider) && w.Key == stored.Key
}

// Nests reports whether the prefix of one of two different writers begins with the other's, such as "a"
// and "a:b". A value of one may then look like a value of the other.
func (w Writer) Nests(other Writer) bool {
	if w.Key == other.Key || w.Provider != other.Provider {
		return false
	}
	return strings.HasPrefix(w.Prefix(), other.Prefix()) || strings.HasPrefix(other.Prefix(), w.Prefix())
}

// ParseWriter reads NAME or PROVIDER:NAME, as an operator writes it. A name with a colon needs its
// provider before it.
func ParseWriter(text string) (Writer, error) {
	provider, name, both := strings.Cut(text, ":")
	if !both {
		provider, name = "", text
	}
	known := EncryptingProviders()
	if name == "" || both && !slices.Contains(known, Provider(provider)) {
		return Writer{}, &WriterTextError{Text: text}
	}
	return Writer{Provider: Provider(provider), Key: name}, nil
}

// A WriterTextError is a text that [ParseWriter] cannot read.
type WriterTextError struct {
	Text string
}

func (e *WriterTextError) Error() string {
	known := EncryptingProviders()
	names := make([]string, len(known))
	for i, p := range known {
		names[i] = string(p)
	}
	return fmt.Sprintf("%q: want NAME, or PROVIDER:NAME with a provider of %s", e.Text, strings.Join(names, ", "))
}

// ParseRule reads the names of keys as an operator writes them; the first one encrypts. The rule covers
// every resource with an encrypted object.
func ParseRule(names []string) (EncryptionRule, error) {
	var rule EncryptionRule
	for _, name := range names {
		w, err := ParseWriter(name)
		if err != nil {
			return EncryptionRule{}, err
		}
		rule.Writers = append(rule.Writers, w)
	}
	return rule, nil
}

// HasAnyOf reports whether one of the writers has encrypted an object. Key IDs do not matter.
func (c *Census) HasAnyOf(writers []Writer) bool {
	for _, r := range c.Resources {
		for _, w := range r.Writers {
			if slices.Contains(writers, w.WithoutKeyID()) {
				return true
			}
		}
	}
	return false
}

// KnownWriters returns the writers of all rules.
func KnownWriters(rules []EncryptionRule) []Writer {
	var known []Writer
	for _, rule := range rules {
		known = append(known, rule.Writers...)
	}
	return known
}
