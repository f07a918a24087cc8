package encryption

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// Update brings a configuration that is in use up to the spec and keeps its key. It refuses
// what would leave stored values unreadable: another key or provider, which takes a rotation;
// a resource that is no longer encrypted; and one that is newly encrypted, or was written in
// plaintext so far, while the phase says that nothing is stored in plaintext.
func (c *Configuration) Update(spec *cluster.Cluster) (*Configuration, error) {
	key, err := c.onlyKey(ProviderType(spec.Encryption.Provider))
	if err != nil {
		return nil, err
	}
	next := Generate(spec, key)
	if before, after := c.plugins(), next.plugins(); key.Name == "" && !slices.Equal(before, after) {
		return nil, fmt.Errorf("it has the KMS plugin %s, and the spec %s: what one has encrypted, the other cannot read", strings.Join(before, ", "), strings.Join(after, ", "))
	}
	if spec.Encryption.Phase == string(cluster.Encrypted) && slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.Encrypts() && r.Providers[0].Type == Identity }) {
		return nil, errors.New("it writes plaintext, which could not be read: set spec.encryption.phase to enabling until all is rewritten")
	}
	var lost, more []string
	for _, r := range slices.Concat(c.resources(), next.resources()) {
		switch was, is := c.encrypts(r), next.encrypts(r); {
		case was && !is && !slices.Contains(lost, r):
			lost = append(lost, r)
		case is && !was && !slices.Contains(more, r):
			more = append(more, r)
		}
	}
	if len(lost) > 0 {
		return nil, fmt.Errorf("what is encrypted of %s would not be read any more: set spec.encryption.phase to disabling and rewrite what is stored, then take the rule out by hand", strings.Join(lost, ", "))
	}
	if len(more) > 0 && spec.Encryption.Phase == string(cluster.Encrypted) {
		return nil, fmt.Errorf("%s is not encrypted yet, and what is stored of it could not be read: set spec.encryption.phase to enabling until it is rewritten", strings.Join(more, ", "))
	}
	return next, nil
}

// onlyKey returns the one key that a configuration has, of a provider type; none for kms.
func (c *Configuration) onlyKey(of ProviderType) (Key, error) {
	var key Key
	for _, rule := range c.Rules {
		for _, p := range rule.Providers {
			if p.Type != Identity && p.Type != of {
				return Key{}, fmt.Errorf("it has a provider %s, and the spec wants %s: that takes a rotation of the key", p.Type, of)
			}
			for _, k := range p.Keys {
				if key.Name != "" && (k.Name != key.Name || !k.Same(key)) {
					return Key{}, errors.New("it has more than one key: a rotation is under way, and has to end first")
				}
				key = k
			}
		}
	}
	if key.Name == "" && of != KMS {
		return Key{}, errors.New("it has no key")
	}
	return key, nil
}

// plugins returns the names of the KMS plugins, each once, with which etcd's values begin.
func (c *Configuration) plugins() []string {
	var names []string
	for _, rule := range c.Rules {
		for _, p := range rule.Providers {
			if p.Type == KMS && !slices.Contains(names, ShowName(p.Plugin.Name)) {
				names = append(names, ShowName(p.Plugin.Name))
			}
		}
	}
	return names
}

// resources returns the resources of all rules, as they are written.
func (c *Configuration) resources() []string {
	var all []string
	for _, rule := range c.Rules {
		all = append(all, rule.Resources...)
	}
	return all
}

// encrypts reports whether anything of a resource, or of what a wildcard stands for, may be encrypted.
func (c *Configuration) encrypts(resource string) bool {
	return Rule{Providers: c.ProvidersFor(ParseGroupResource(resource))}.Encrypts()
}
