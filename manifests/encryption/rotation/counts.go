package rotation

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Count counts the objects of a resource that one writer encrypted. The writer has no key ID:
// a KMS plugin decrypts with all of its keys.
type Count struct {
	Resource string       `json:"resource"`
	Writer   audit.Writer `json:"writer"`
	Objects  int64        `json:"objects"`
}

// promoted returns the configuration that has every writer of the rotation; nil if it is not valid.
func (p *Plan) promoted() *encryption.Configuration {
	c, err := encryption.Parse(ConfigName, p.Files[Promoted], encryption.Server{KMSv1: true})
	if err != nil {
		return nil // Begin and load refuse such a plan
	}
	return c
}

// Covers reports whether the rotation changes what encrypts a resource, such as "secrets" or
// "deployments.apps".
func (p *Plan) Covers(resource string) bool {
	c := p.promoted()
	return c != nil && p.covers(c, resource)
}

func (p *Plan) covers(c *encryption.Configuration, resource string) bool {
	providers := c.ProvidersFor(encryption.ParseGroupResource(resource))
	return len(providers) > 0 && providers[0].Writers()[0] == p.To
}

// Known returns the writers of the plan's configurations. A census recognises their values by these
// names.
func (p *Plan) Known() []audit.Writer {
	c := p.promoted()
	if c == nil {
		return nil
	}
	return audit.KnownWriters(c.Expected())
}

// Counts returns the counts of a census for the resources that the rotation covers.
func (p *Plan) Counts(c audit.Census) []Count {
	configuration := p.promoted()
	var counts []Count
	for _, r := range c.Resources {
		if r.Bookkeeping || configuration == nil || !p.covers(configuration, r.Resource) {
			continue
		}
		for _, w := range writersOf(r) {
			at := slices.IndexFunc(counts, func(c Count) bool { return c.Resource == r.Resource && c.Writer == w.Writer })
			if at < 0 {
				counts = append(counts, Count{Resource: r.Resource, Writer: w.Writer, Objects: w.Objects})
			} else {
				counts[at].Objects += w.Objects
			}
		}
	}
	return counts
}

// writersOf returns the writers of a resource, plaintext and broken values among them.
func writersOf(r audit.ResourceCensus) []audit.WriterCount {
	var all []audit.WriterCount
	for _, w := range r.Writers {
		all = append(all, audit.WriterCount{Writer: w.WithoutKeyID(), Objects: w.Objects})
	}
	if r.Plaintext > 0 {
		all = append(all, audit.WriterCount{Writer: audit.Writer{Provider: audit.IdentityProvider}, Objects: r.Plaintext})
	}
	if r.Broken > 0 {
		all = append(all, audit.WriterCount{Writer: audit.Writer{Provider: audit.BrokenProvider}, Objects: r.Broken})
	}
	return all
}
