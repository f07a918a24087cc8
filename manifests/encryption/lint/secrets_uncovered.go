package lint

import (
	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func secretsUncovered() Check {
	return Check{
		ID:       "encryption-secrets-uncovered",
		Title:    "No rule encrypts Secrets",
		Severity: audit.High,
		Rationale: "A resource that no rule names is stored in plaintext, without an error. Encryption at rest is there for " +
			"Secrets: tokens, private keys, passwords.",
		Method: "Looks for secrets, *. or *.* among the resources of all rules.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Name them in the first rule:"),
				audit.Paste("  - resources: [secrets]"),
				audit.Say("Then check again, while old objects are still stored in plaintext:"),
				audit.Paste("etcdsec encryption lint --phase enabling %s", p.File()),
			}
		},
		References: references("STIG V-274882", "PCI DSS 4.0.1 3.5.1", "BSI APP.4.4.A20"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			if s.Configuration.RulesFor(encryption.GroupResource{Resource: "secrets"}) == nil {
				f.add("uncovered", "Secrets are stored in plaintext: the rules name only %s", joinNames(s.resources()))
			}
			return f.outcome("a rule names Secrets")
		},
	}
}

func (s *Subject) resources() []string {
	var all []string
	for _, rule := range s.Configuration.Rules {
		all = append(all, rule.Resources...)
	}
	return all
}
