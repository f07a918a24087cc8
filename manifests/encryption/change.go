package encryption

import (
	"errors"
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// The steps of a rotation, each a function from a configuration to the next. A rule that only
// writes plaintext, such as one that exempts events, is not changed by any of them.

// ErrWrites means that Drop should remove what still encrypts new values.
var ErrWrites = errors.New("it encrypts new values")

// AddSecond adds a key, or a KMS plugin, with which API servers can read but do not write. It puts
// the key after the writing key of a provider of the same type, or else adds a provider. added has
// exactly one key or a plugin.
func (c *Configuration) AddSecond(added Provider) (*Configuration, error) {
	writers := added.Writers()
	if added.Type == Identity || len(writers) != 1 {
		return nil, fmt.Errorf("adding %s: want one key or one KMS plugin", added.Type)
	}
	for _, rule := range c.Rules {
		for _, p := range rule.Providers {
			if err := p.checkCollision(added); err != nil {
				return nil, fmt.Errorf("adding %s: %w", Describe(writers[0]), err)
			}
		}
	}
	return c.changeRules(func(providers []Provider) ([]Provider, error) {
		first := providers[0]
		if first.Type == added.Type && added.Type != KMS {
			first.Keys = slices.Insert(first.Keys, 1, added.Keys...)
			providers[0] = first
			return providers, nil
		}
		return slices.Insert(providers, 1, added), nil
	})
}

// checkCollision returns an error if two providers cannot both be there: their values could not be
// told apart, or nothing would be rotated.
func (p Provider) checkCollision(added Provider) error {
	for _, k := range p.Keys {
		for _, other := range added.Keys {
			switch {
			case k.Name == other.Name:
				return errors.New("there is a key of this name")
			case k.Same(other):
				return fmt.Errorf("it has the same secret as %s", ShowName(k.Name))
			}
		}
	}
	if p.Type == KMS && added.Type == KMS && p.Plugin.Name == added.Plugin.Name {
		return errors.New("there is a plugin of this name")
	}
	return nil
}

// Promote lets a key or plugin write. Every API server must be able to read
// with it already: AddSecond comes first. It makes identity write too, which is how encryption
// is turned off.
func (c *Configuration) Promote(w audit.Writer) (*Configuration, error) {
	return c.changeRules(func(providers []Provider) ([]Provider, error) {
		at := slices.IndexFunc(providers, func(p Provider) bool { return slices.Contains(p.Writers(), w) })
		if at < 0 {
			return nil, fmt.Errorf("promoting %s: a rule does not have it", Describe(w))
		}
		p := providers[at]
		if len(p.Keys) > 0 {
			i := slices.Index(p.Writers(), w)
			key := p.Keys[i]
			p.Keys = slices.Insert(slices.Delete(p.Keys, i, i+1), 0, key)
		}
		return slices.Insert(slices.Delete(providers, at, at+1), 0, p), nil
	})
}

// Drop removes a key or plugin. No stored value may need it any more, and no snapshot that somebody
// may restore. The error is ErrWrites if it encrypts new values. Dropping identity forbids plaintext.
func (c *Configuration) Drop(w audit.Writer) (*Configuration, error) {
	found := false
	next, err := c.changeRules(func(providers []Provider) ([]Provider, error) {
		if providers[0].Writers()[0] == w {
			return nil, fmt.Errorf("dropping %s: %w", Describe(w), ErrWrites)
		}
		var kept []Provider
		for _, p := range providers {
			if !slices.Contains(p.Writers(), w) {
				kept = append(kept, p)
				continue
			}
			found = true
			p.Keys = slices.DeleteFunc(p.Keys, func(k Key) bool { return k.Name == w.Key })
			if len(p.Keys) > 0 {
				kept = append(kept, p)
			}
		}
		return kept, nil
	})
	if err == nil && !found {
		return nil, fmt.Errorf("dropping %s: no rule has it", Describe(w))
	}
	return next, err
}

// WithIdentity lets every rule read plaintext, as its last choice.
func (c *Configuration) WithIdentity() (*Configuration, error) {
	return c.changeRules(func(providers []Provider) ([]Provider, error) {
		if slices.ContainsFunc(providers, Provider.isIdentity) {
			return providers, nil
		}
		return append(providers, Provider{Type: Identity}), nil
	})
}

func (p Provider) isIdentity() bool { return p.Type == Identity }

// Encrypts reports whether a rule has anything but identity.
func (r Rule) Encrypts() bool {
	return slices.ContainsFunc(r.Providers, func(p Provider) bool { return !p.isIdentity() })
}

// Writers returns what new values are encrypted with, in the rules' order, each once.
func (c *Configuration) Writers() []audit.Writer {
	var writers []audit.Writer
	for _, rule := range c.Rules {
		if w := rule.Providers[0].Writers()[0]; rule.Encrypts() && !slices.Contains(writers, w) {
			writers = append(writers, w)
		}
	}
	return writers
}

// changeRules changes the providers of every rule that encrypts, on copies.
func (c *Configuration) changeRules(change func([]Provider) ([]Provider, error)) (*Configuration, error) {
	next := &Configuration{}
	changed := false
	for _, rule := range c.Rules {
		rule = rule.clone()
		if rule.Encrypts() {
			changed = true
			var err error
			if rule.Providers, err = change(rule.Providers); err != nil {
				return nil, err
			}
		}
		next.Rules = append(next.Rules, rule)
	}
	if !changed {
		return nil, errors.New("changing the EncryptionConfiguration: no rule of it encrypts")
	}
	return next, nil
}

func (r Rule) clone() Rule {
	r.Resources = slices.Clone(r.Resources)
	r.Providers = slices.Clone(r.Providers)
	for i := range r.Providers {
		r.Providers[i].Keys = slices.Clone(r.Providers[i].Keys)
	}
	return r
}
