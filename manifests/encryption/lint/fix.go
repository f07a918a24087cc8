package lint

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// Fix corrects the faults that have exactly one correction, and returns what it changed. Values that
// could be read before can still be read: a resource that is encrypted from now on can also be read
// in plaintext, and no key is removed.
func Fix(s *Subject) (*encryption.Configuration, []string) {
	if s.Configuration == nil {
		return nil, nil
	}
	f := fixer{s: s, fixed: &encryption.Configuration{}}
	if s.Configuration.Legacy {
		f.note("kind EncryptionConfiguration in place of EncryptionConfig")
	}
	if s.Configuration.IgnoredLine > 0 {
		f.note("line %d and the lines after it, which are never read, are left out", s.Configuration.IgnoredLine)
	}
	for i, rule := range s.Configuration.Rules {
		rule = encryption.Rule{Resources: slices.Clone(rule.Resources), Providers: slices.Clone(rule.Providers)}
		f.fixIdentity(i, &rule, f.fixResources(i, &rule))
		f.dropRepeated(i, &rule)
		f.fixed.Rules = append(f.fixed.Rules, rule)
	}
	return f.fixed, f.done
}

type fixer struct {
	s     *Subject
	fixed *encryption.Configuration
	done  []string
	put   []string // resources that were not in the file
}

func (f *fixer) note(format string, a ...any) { f.done = append(f.done, fmt.Sprintf(format, a...)) }

// fixResources replaces names that do not exist, where only one name can be meant. It reports whether
// the rule now has a resource that it did not have.
func (f *fixer) fixResources(i int, rule *encryption.Rule) (added bool) {
	var kept []string
	for j, r := range rule.Resources {
		n := f.s.lookUpName(r)
		at := fmt.Sprintf("%s.resources[%d]", f.s.ruleField(i), j)
		switch {
		case n.code == "empty" && len(rule.Resources) > 1:
			f.note("%s: the empty name is left out", at)
			continue
		case n.meant == "":
		case f.hasResource(n.meant):
			if len(rule.Resources) > 1 {
				f.note("%s: %q is left out; %q is there", at, r, n.meant)
				continue
			}
		case f.s.masks(i, n.meant):
		default:
			f.note("%s: %q in place of %q", at, n.meant, r)
			r, added = n.meant, true
			f.put = append(f.put, r)
			if rule.Encrypts() && !slices.ContainsFunc(rule.Providers, isIdentity) {
				rule.Providers = append(rule.Providers, encryption.Provider{Type: encryption.Identity})
				f.note("%s: identity is added last, because %s are stored in plaintext; remove it when they are rewritten", f.s.ruleField(i), n.meant)
			}
		}
		kept = append(kept, r)
	}
	rule.Resources = kept
	return added
}

// hasResource reports whether a resource is in the file, or was added.
func (f *fixer) hasResource(resource string) bool {
	return slices.ContainsFunc(slices.Concat(f.s.resources(), f.put), func(r string) bool {
		return encryption.ParseGroupResource(r) == encryption.ParseGroupResource(resource)
	})
}

// masks reports whether kube-apiserver would refuse a resource in a rule, because of a wildcard in
// the same rule or in an earlier one.
func (s *Subject) masks(rule int, resource string) bool {
	gr := encryption.ParseGroupResource(resource)
	for _, r := range s.Configuration.Rules[:rule+1] {
		for _, other := range r.Resources {
			if wildcard := encryption.ParseGroupResource(other); wildcard == encryption.Everything() || wildcard == (encryption.GroupResource{Resource: "*", Group: gr.Group}) {
				return true
			}
		}
	}
	return false
}

func isIdentity(p encryption.Provider) bool { return p.Type == encryption.Identity }

// fixIdentity moves, adds or removes identity as the phase requires. If a resource was just added to
// the rule, identity stays, because its objects are stored in plaintext.
func (f *fixer) fixIdentity(i int, rule *encryption.Rule, added bool) {
	if !rule.Encrypts() || f.s.Phase == cluster.Disabling {
		return
	}
	at := slices.IndexFunc(rule.Providers, isIdentity)
	last := encryption.Provider{Type: encryption.Identity}
	switch {
	case at == 0:
		rule.Providers = append(slices.DeleteFunc(rule.Providers, isIdentity), last)
		f.note("%s: identity is last", f.s.ruleField(i))
	case at > 0 && f.s.Phase == cluster.Encrypted && !added:
		rule.Providers = slices.DeleteFunc(rule.Providers, isIdentity)
		f.note("%s: identity is removed", f.s.ruleField(i))
	case at < 0 && f.s.Phase == cluster.Enabling:
		rule.Providers = append(rule.Providers, last)
		f.note("%s: identity is added last", f.s.ruleField(i))
	}
}

// dropRepeated removes the keys that the same rule has earlier, with the same name and secret.
func (f *fixer) dropRepeated(i int, rule *encryption.Rule) {
	var seen []encryption.Provider
	var kept []encryption.Provider
	for _, p := range rule.Providers {
		var keys []encryption.Key
		for _, k := range p.Keys {
			if slices.ContainsFunc(seen, func(q encryption.Provider) bool {
				return q.Type == p.Type && q.Keys[0].Name == k.Name && q.Keys[0].Same(k)
			}) {
				f.note("%s: the second %s key %s is left out", f.s.ruleField(i), p.Type, encryption.ShowName(k.Name))
				continue
			}
			seen = append(seen, encryption.Provider{Type: p.Type, Keys: []encryption.Key{k}})
			keys = append(keys, k)
		}
		if len(p.Keys) > 0 && len(keys) == 0 {
			continue
		}
		p.Keys = keys
		kept = append(kept, p)
	}
	rule.Providers = kept
}

// FixedName returns the name of the corrected file beside a file.
func FixedName(name string) string {
	for _, extension := range []string{".yaml", ".yml", ".json"} {
		if base, ok := strings.CutSuffix(name, extension); ok {
			return base + ".fixed.yaml"
		}
	}
	return name + ".fixed.yaml"
}
