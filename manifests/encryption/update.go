package encryption

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// Update changes a configuration that is in use to match the spec, and keeps its key. It refuses
// what would make stored values unreadable: another key or provider, which needs a rotation;
// a resource that is no longer encrypted; and one that is newly encrypted, or was written in
// plaintext so far, while the phase says that nothing is stored in plaintext.
func (c *Configuration) Update(spec *cluster.Cluster) (*Configuration, error) {
	key, err := c.onlyKey(ProviderType(spec.Encryption.Provider))
	if err != nil {
		return nil, err
	}
	next := Generate(spec, key)
	if before, after := c.pluginNames(), next.pluginNames(); key.Name == "" && !slices.Equal(before, after) {
		return nil, fmt.Errorf("it has the KMS plugin %s, and the spec has %s: neither can read what the other encrypted", strings.Join(before, ", "), strings.Join(after, ", "))
	}
	if spec.Encryption.Phase == string(cluster.Encrypted) && slices.ContainsFunc(c.Rules, func(r Rule) bool { return r.Encrypts() && r.Providers[0].Type == Identity }) {
		return nil, errors.New("it writes plaintext, which could not be read: set spec.encryption.phase to enabling until everything is rewritten")
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
		return nil, fmt.Errorf("encrypted values of %s could no longer be read: set spec.encryption.phase to disabling and rewrite what is stored, then remove the rule by hand", strings.Join(lost, ", "))
	}
	if len(more) > 0 && spec.Encryption.Phase == string(cluster.Encrypted) {
		return nil, fmt.Errorf("%s is not encrypted yet, and its stored values could not be read: set spec.encryption.phase to enabling until it is rewritten", strings.Join(more, ", "))
	}
	return next, nil
}

// onlyKey returns the only key of a configuration, which must be of a provider type; none for kms.
func (c *Configuration) onlyKey(of ProviderType) (Key, error) {
	var key Key
	for _, rule := range c.Rules {
		for _, p := range rule.Providers {
			if p.Type != Identity && p.Type != of {
				return Key{}, fmt.Errorf("it has a provider %s, and the spec wants %s: that needs a rotation of the key", p.Type, of)
			}
			for _, k := range p.Keys {
				if key.Name != "" && (k.Name != key.Name || !k.Same(key)) {
					return Key{}, errors.New("it has more than one key: a rotation is under way, and must end first")
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

// pluginNames returns the names of the KMS plugins, each once, with which etcd's values begin.
func (c *Configuration) pluginNames() []string {
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
