package lint

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func identityMissing() Check {
	return Check{
		ID:       "encryption-identity-missing",
		Title:    "Plaintext that is stored could not be read",
		Severity: audit.High,
		Rationale: "Without identity, an object that was stored before encryption was turned on cannot be read, and a " +
			"list with one such object fails as a whole: controllers stop.",
		Method: "With --phase enabling, looks for identity behind what encrypts. Otherwise nothing says here that plaintext " +
			"is stored.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Add identity as the last provider, until all objects are rewritten:"),
				audit.Paste("etcdsec encryption lint --fix --phase enabling %s", p.File()),
			}
		},
		References: references("kubernetes/kubernetes#76010", "kubernetes/kubernetes#53301"),
		Run: func(s *Subject) audit.Outcome {
			switch s.Phase {
			case cluster.Enabling, cluster.Disabling:
			case cluster.Encrypted:
				return audit.Skipped("nothing is stored in plaintext, by --phase encrypted")
			default:
				return audit.Skipped("whether plaintext is stored is not in the file; --phase says it")
			}
			var f findings
			for i, rule := range s.Configuration.Rules {
				if !s.readsPlaintext(i) {
					f.add("missing", "%s: plaintext of %s cannot be read", s.at(s.ruleField(i)), joinNames(rule.Resources))
				}
			}
			return f.or("every resource that is named can be read in plaintext")
		},
	}
}

// readsPlaintext reports whether each resource of a rule has identity, there or in another rule of its.
func (s *Subject) readsPlaintext(rule int) bool {
	return !slices.ContainsFunc(s.Configuration.Rules[rule].Resources, func(r string) bool {
		providers := s.Configuration.ProvidersFor(encryption.ParseGroupResource(r))
		return !slices.ContainsFunc(providers, func(p encryption.Provider) bool { return p.Type == encryption.Identity })
	})
}
