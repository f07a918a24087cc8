package rotation

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Make plans to encrypt with another key or provider, to begin to encrypt, or, where the
// provider is identity, to end it. current is the file in force, nil where there is none: the
// rules are then the spec's, and otherwise those of the file. key is the new one; kms and
// identity have none.
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
	var to encryption.Ref
	var err error
	encrypts := slices.ContainsFunc(before.Rules, encryption.Rule.Encrypts)
	switch {
	case provider == encryption.Identity && !encrypts:
		return Plan{}, errors.New("nothing is encrypted, so there is nothing to end")
	case provider == encryption.Identity:
		to = encryption.Ref{Type: encryption.Identity}
		if added, err = before.WithIdentity(); err != nil {
			return Plan{}, err
		}
	case encrypts:
		next := writing(spec, provider, key, cluster.Encrypted).Rules
		second := next[len(next)-1].Providers[0]
		to = second.Refs()[0]
		if added, err = before.AddSecond(second); err != nil {
			return Plan{}, err
		}
	default:
		added = writing(spec, provider, key, cluster.Disabling)
		to = added.Rules[len(added.Rules)-1].Providers[1].Refs()[0]
	}
	if promoted, err = added.Promote(to); err != nil {
		return Plan{}, err
	}
	dropped, from := promoted, readers(promoted, to)
	for _, ref := range from {
		if dropped, err = dropped.Drop(ref); err != nil {
			return Plan{}, err
		}
	}
	if len(from) == 0 {
		return Plan{}, fmt.Errorf("%s encrypts everything already", to)
	}
	p.To = writerOf(to)
	for _, ref := range from {
		p.From = append(p.From, writerOf(ref))
	}
	for stage, configuration := range map[Stage]*encryption.Configuration{Added: added, Promoted: promoted, Dropped: dropped} {
		if p.Files[stage], err = configuration.Render(); err != nil {
			return Plan{}, err
		}
	}
	p.Hashes = p.hashes()
	return p, nil
}

// writing is the spec's configuration with another provider and phase.
func writing(spec *cluster.Cluster, provider encryption.ProviderType, key encryption.Key, phase cluster.Phase) *encryption.Configuration {
	wanted := *spec
	wanted.Encryption.Provider, wanted.Encryption.Phase = string(provider), string(phase)
	return encryption.Generate(&wanted, key)
}

// readers are what the rules that encrypt can read with, but for one, in their order.
func readers(c *encryption.Configuration, but encryption.Ref) []encryption.Ref {
	var refs []encryption.Ref
	for _, rule := range c.Rules {
		if !rule.Encrypts() {
			continue
		}
		for _, p := range rule.Providers {
			for _, ref := range p.Refs() {
				if ref != but && !slices.Contains(refs, ref) {
					refs = append(refs, ref)
				}
			}
		}
	}
	return refs
}

func writerOf(ref encryption.Ref) Writer { return Writer{Provider: string(ref.Type), Key: ref.Name} }

// Covers says whether the rotation changes what encrypts a resource, such as "secrets" or
// "deployments.apps".
func (p *Plan) Covers(resource string) bool {
	promoted, err := encryption.Parse(ConfigName, p.Files[Promoted], encryption.Server{KMSv1: true})
	if err != nil {
		return false // Begin and load refuse such a plan
	}
	providers := promoted.ProvidersOf(encryption.ParseGroupResource(resource))
	return len(providers) > 0 && writerOf(providers[0].Refs()[0]) == p.To
}
