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
		Title:    "Stored plaintext cannot be read",
		Severity: audit.High,
		Rationale: "Without identity, an object that was stored before encryption was turned on cannot be read, and a " +
			"list with one such object fails as a whole: controllers stop.",
		Method: "With --phase enabling, looks for identity after the providers that encrypt. Without it, nothing tells " +
			"whether plaintext is stored.",
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
				return audit.Skipped("with --phase encrypted, nothing is stored in plaintext")
			default:
				return audit.Skipped("the file does not show whether plaintext is stored; give --phase")
			}
			var f findings
			for i, rule := range s.Configuration.Rules {
				if !s.readsPlaintext(i) {
					f.add("missing", "%s: plaintext of %s cannot be read", s.describeField(s.ruleField(i)), joinNames(rule.Resources))
				}
			}
			return f.outcome("every resource that is named can be read in plaintext")
		},
	}
}

// readsPlaintext reports whether each resource of a rule has identity, in that rule or in another one.
func (s *Subject) readsPlaintext(rule int) bool {
	return !slices.ContainsFunc(s.Configuration.Rules[rule].Resources, func(r string) bool {
		providers := s.Configuration.ProvidersFor(encryption.ParseGroupResource(r))
		return !slices.ContainsFunc(providers, func(p encryption.Provider) bool { return p.Type == encryption.Identity })
	})
}
