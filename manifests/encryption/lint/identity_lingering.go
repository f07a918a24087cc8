package lint

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func identityLingering() Check {
	return Check{
		ID:       "encryption-identity-lingering",
		Title:    "Plaintext that somebody puts into etcd would be read",
		Severity: audit.Medium,
		Rationale: "After the providers that encrypt, identity reads plaintext. That is needed until every object is " +
			"rewritten. Later it only helps an attacker who can write to etcd: planting an object then needs no key.",
		Method: "Looks for identity after providers that encrypt. With --phase enabling or disabling it has to be there.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Prove that no plaintext is stored, then take identity away:"),
				audit.Paste("etcdsec audit census --endpoints https://%s --config %s", p.Client(), p.File()),
				audit.Paste("etcdsec encryption lint --fix --phase encrypted %s", p.File()),
				audit.Say("While plaintext is stored:"),
				audit.Paste("etcdsec encryption lint --phase enabling %s", p.File()),
			}
		},
		References: references("kubernetes/website#44532"),
		Run: func(s *Subject) audit.Outcome {
			if s.Phase == cluster.Enabling || s.Phase == cluster.Disabling {
				return audit.Skipped("plaintext must be readable with --phase " + string(s.Phase))
			}
			var f findings
			for i, rule := range s.Configuration.Rules {
				at := slices.IndexFunc(rule.Providers, func(p encryption.Provider) bool { return p.Type == encryption.Identity })
				if at > 0 && rule.Encrypts() {
					f.add("lingering", "%s: identity reads plaintext of %s", s.describeField(providerField(i, at)), joinNames(rule.Resources))
				}
			}
			return f.outcome("no rule that encrypts also reads plaintext")
		},
	}
}
