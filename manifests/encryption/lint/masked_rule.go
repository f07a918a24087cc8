package lint

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func maskedRule() Check {
	return Check{
		ID:       "encryption-masked-rule",
		Title:    "A rule never writes, because an earlier one has its resource",
		Severity: audit.Medium,
		Rationale: "Where two rules name a resource, only the first writes it. A new key in the second rule looks as if it were " +
			"in use, and never encrypts.",
		Method: "Looks for a resource that is in more than one rule.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Keep one rule for each resource, with the providers of both rules and the writing one first. Then check again:"),
				audit.Paste("etcdsec encryption lint %s", p.File()),
			}
		},
		References: references("k8s.io/apiserver pkg/server/options/encryptionconfig"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for i, rule := range s.Configuration.Rules {
				for j, r := range rule.Resources {
					if first := s.Configuration.RulesFor(encryption.ParseGroupResource(r))[0]; first != i {
						f.add("masked", "%s: %s is written by %s", s.describeField(fmt.Sprintf("resources[%d].resources[%d]", i, j)), joinNames([]string{r}), s.describeField(s.ruleField(first)))
					}
				}
			}
			return f.outcome("no resource is in two rules")
		},
	}
}

// ruleField returns the path of a rule in the file.
func (s *Subject) ruleField(i int) string { return fmt.Sprintf("resources[%d]", i) }

func providerField(rule, provider int) string {
	return fmt.Sprintf("resources[%d].providers[%d]", rule, provider)
}
