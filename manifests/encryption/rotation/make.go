package rotation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Make plans to encrypt with another key or provider, to start encryption, or, if the provider is
// identity, to end it. current is the file in force; nil if there is none. The rules are those of
// current, or of the spec if there is none. key is the new key; kms and identity have none.
func Make(current []byte, spec *cluster.Cluster, provider encryption.ProviderType, key encryption.Key, now time.Time) (Plan, error) {
	p := Plan{Created: now.UTC(), Files: map[Stage][]byte{Before: current}}
	before := &encryption.Configuration{}
	if current != nil {
		var err error
		if before, err = encryption.Parse(ConfigName, current, encryption.Server{Reload: true}); err != nil {
			return Plan{}, err
		}
	}
	var added, promoted *encryption.Configuration
	var to audit.Writer
	var err error
	encrypts := slices.ContainsFunc(before.Rules, encryption.Rule.Encrypts)
	switch {
	case provider == encryption.Identity && !encrypts:
		return Plan{}, errors.New("nothing is encrypted, so there is nothing to end")
	case provider == encryption.Identity:
		to = audit.Writer{Provider: audit.IdentityProvider}
		if added, err = before.WithIdentity(); err != nil {
			return Plan{}, err
		}
	case encrypts:
		next := configurationFor(spec, provider, key, cluster.Encrypted).Rules
		second := next[len(next)-1].Providers[0]
		to = second.Writers()[0]
		if added, err = before.AddSecond(second); err != nil {
			return Plan{}, err
		}
	default:
		added = configurationFor(spec, provider, key, cluster.Disabling)
		to = added.Rules[len(added.Rules)-1].Providers[1].Writers()[0]
	}
	if promoted, err = added.Promote(to); err != nil {
		return Plan{}, err
	}
	dropped, from := promoted, readersExcept(promoted, to)
	for _, w := range from {
		if w.Nests(to) {
			return Plan{}, fmt.Errorf("the values of %s and %s could not be told apart: one name begins with the other", encryption.Describe(w), encryption.Describe(to))
		}
		if dropped, err = dropped.Drop(w); err != nil {
			return Plan{}, err
		}
	}
	if len(from) == 0 {
		return Plan{}, fmt.Errorf("%s encrypts everything already", encryption.Describe(to))
	}
	p.To, p.From = to, from
	for stage, configuration := range map[Stage]*encryption.Configuration{Added: added, Promoted: promoted, Dropped: dropped} {
		if p.Files[stage], err = configuration.Render(); err != nil {
			return Plan{}, err
		}
	}
	p.Hashes = p.hashes()
	return p, nil
}

// configurationFor returns the spec's configuration with another provider and phase.
func configurationFor(spec *cluster.Cluster, provider encryption.ProviderType, key encryption.Key, phase cluster.Phase) *encryption.Configuration {
	wanted := *spec
	wanted.Encryption.Provider, wanted.Encryption.Phase = string(provider), string(phase)
	return encryption.Generate(&wanted, key)
}

// readersExcept returns the writers that the encrypting rules can read, in their order, except one.
func readersExcept(c *encryption.Configuration, but audit.Writer) []audit.Writer {
	var writers []audit.Writer
	for _, rule := range c.Rules {
		if !rule.Encrypts() {
			continue
		}
		for _, p := range rule.Providers {
			for _, w := range p.Writers() {
				if w != but && !slices.Contains(writers, w) {
					writers = append(writers, w)
				}
			}
		}
	}
	return writers
}
