// Package encryption makes, reads and changes the EncryptionConfiguration with which kube-apiserver
// encrypts what it stores in etcd. It accepts the files that kube-apiserver accepts and refuses the
// ones that it refuses. Only the result of Render contains keys.
package encryption

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/input"
	"github.com/etcdsec/etcdsec/internal/strictyaml"
)

// The apiVersion and kind that are written, and those that kube-apiserver also takes, because
// its documentation once had them (k8s.io/apiserver pkg/apis/apiserver/v1, register.go).
const (
	APIVersion       = "apiserver.config.k8s.io/v1"
	Kind             = "EncryptionConfiguration"
	legacyAPIVersion = "v1"
	legacyKind       = "EncryptionConfig"
)

// Configuration is an EncryptionConfiguration that kube-apiserver loads. Treat it as a constant: the
// functions that change one return a new one.
type Configuration struct {
	Rules []Rule

	// Legacy is set when it was read from the old kind EncryptionConfig.
	Legacy bool
	// IgnoredLine is where a further YAML document begins, which kube-apiserver never reads; 0 if none does.
	IgnoredLine int

	source strictyaml.Source
}

// Rule tells how some resources are stored. The first rule of a resource decides how it is
// written; all of its rules are tried to read it.
type Rule struct {
	Resources []string // such as secrets, deployments.apps, *.apps, *. or *.*
	Providers []Provider
}

// ProviderType names how a provider encrypts.
type ProviderType string

// The provider types, in the spelling of the file.
const (
	Secretbox ProviderType = "secretbox"
	AESGCM    ProviderType = "aesgcm"
	AESCBC    ProviderType = "aescbc"
	KMS       ProviderType = "kms"
	Identity  ProviderType = "identity" // plaintext
)

// Provider is one element of a rule's providers.
type Provider struct {
	Type   ProviderType
	Keys   []Key      // of secretbox, aesgcm and aescbc: the first one writes
	Plugin *KMSPlugin // of kms
}

// KMSPlugin tells where kube-apiserver reaches a KMS plugin.
type KMSPlugin struct {
	APIVersion  string // v1 or v2
	Unversioned bool   // no apiVersion was written, which is v1
	Name        string
	Endpoint    string
	Timeout     time.Duration
	CacheSize   int32 // of v1; negative is none
}

// The APIs of KMS plugins. The first one is deprecated, and off by default.
const (
	KMSVersion1 = "v1"
	KMSVersion2 = "v2"
)

// Writers returns what a provider encrypts and decrypts with; the first one writes.
func (p Provider) Writers() []audit.Writer {
	switch p.Type {
	case KMS:
		return []audit.Writer{{Provider: p.StoredName(), Key: p.Plugin.Name}}
	case Identity:
		return []audit.Writer{{Provider: audit.IdentityProvider}}
	case Secretbox, AESGCM, AESCBC:
	}
	writers := make([]audit.Writer, 0, len(p.Keys))
	for _, k := range p.Keys {
		writers = append(writers, audit.Writer{Provider: p.StoredName(), Key: k.Name})
	}
	return writers
}

// StoredName names a provider as the prefixes of stored values do.
func (p Provider) StoredName() audit.Provider {
	switch p.Type {
	case Secretbox:
		return audit.SecretboxProvider
	case AESGCM:
		return audit.AESGCMProvider
	case AESCBC:
		return audit.AESCBCProvider
	case KMS:
		if p.Plugin.APIVersion == KMSVersion1 {
			return audit.KMSv1Provider
		}
		return audit.KMSv2Provider
	case Identity:
	}
	return audit.IdentityProvider
}

// Describe names a writer for people: "secretbox key k-1", "KMS plugin cloud". A name that
// could itself be a key is not shown.
func Describe(w audit.Writer) string {
	name := audit.ShowName(w.Key)
	if looksLikeKey(w.Key) {
		name = ShowName(w.Key)
	}
	switch w.Provider {
	case audit.SecretboxProvider, audit.AESGCMProvider, audit.AESCBCProvider:
		if w.Key == "" {
			return string(w.Provider)
		}
		return string(w.Provider) + " key " + name
	case audit.KMSv1Provider, audit.KMSv2Provider:
		return "KMS plugin " + name
	case audit.BrokenProvider:
		return "nobody: the value is broken"
	case audit.IdentityProvider, audit.AnyProvider, audit.UnlistedProvider:
	}
	if w.Key == "" {
		return string(w.Provider)
	}
	return strings.TrimSpace(string(w.Provider) + " " + name)
}

// Expected returns which writers are right for which resources, in the configuration's order.
func (c *Configuration) Expected() []audit.EncryptionRule {
	rules := make([]audit.EncryptionRule, 0, len(c.Rules))
	for _, rule := range c.Rules {
		var expected audit.EncryptionRule
		for _, r := range rule.Resources {
			expected.Resources = append(expected.Resources, ParseGroupResource(r).String())
		}
		for _, p := range rule.Providers {
			expected.Writers = append(expected.Writers, p.Writers()...)
		}
		rules = append(rules, expected)
	}
	return rules
}

// ReadExpected reads a configuration file that an API server of any setting accepts, and returns
// which writers are right. The error is a *RefusedError for a file that no API server accepts.
func ReadExpected(files *input.Files, path string) ([]audit.EncryptionRule, error) {
	data, err := files.Read(path, MaxSize)
	if err != nil {
		return nil, fmt.Errorf("reading the encryption configuration: %w", err)
	}
	c, err := Parse(path, data, Server{KMSv1: true})
	if err != nil {
		return nil, &RefusedError{Err: err}
	}
	return c.Expected(), nil
}

// RefusedError means that kube-apiserver would not load a file.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with the file.
func (e *RefusedError) Unwrap() error { return e.Err }

// GroupResource is a resource with its API group; the core group is empty.
type GroupResource struct{ Resource, Group string }

// ParseGroupResource splits at the first dot, as kube-apiserver does.
func ParseGroupResource(s string) GroupResource {
	resource, group, _ := strings.Cut(s, ".")
	return GroupResource{Resource: resource, Group: group}
}

func (gr GroupResource) String() string {
	if gr.Group == "" && gr.Resource != "*" {
		return gr.Resource
	}
	return gr.Resource + "." + gr.Group
}

// Everything returns *.*, every resource that no other rule names.
func Everything() GroupResource { return GroupResource{"*", "*"} }

// RulesFor returns the rules by which a resource is stored: those that name it, or else those of
// its group, or else those of everything. Indices into Rules; none means plaintext.
func (c *Configuration) RulesFor(gr GroupResource) []int {
	for _, name := range []GroupResource{gr, {"*", gr.Group}, Everything()} {
		var rules []int
		for i, rule := range c.Rules {
			if slices.ContainsFunc(rule.Resources, func(s string) bool { return ParseGroupResource(s) == name }) {
				rules = append(rules, i)
			}
		}
		if rules != nil {
			return rules
		}
	}
	return nil
}

// ProvidersFor returns the providers by which a resource is stored; the first one writes.
func (c *Configuration) ProvidersFor(gr GroupResource) []Provider {
	var providers []Provider
	for _, i := range c.RulesFor(gr) {
		providers = append(providers, c.Rules[i].Providers...)
	}
	return providers
}

// Line returns where a field was read, such as resources[0].providers[0]; 0 if it was not read.
func (c *Configuration) Line(field string) int { return c.source.Line(field) }

// Hash returns how kube-apiserver's metric
// apiserver_encryption_config_controller_last_config_info names the bytes of a file.
func Hash(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }
