package lint

import "github.com/etcdsec/etcdsec/audit"

func sharedSecret() Check {
	return Check{
		ID:       "encryption-shared-secret",
		Title:    "Two keys have the same secret",
		Severity: audit.Medium,
		Rationale: "A rotation to the same secret under another name has no effect: whoever had the old key has the new one. If " +
			"two ciphers share a secret, a fault of the weaker one endangers the values of the other.",
		Method: "Compares every key with every other, over all rules and providers, in memory.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Make a random key in place of one of them, and rotate to it:"),
				audit.Paste("head -c 32 /dev/urandom | base64"),
			}
		},
		References: references("NIST 800-53 SC-12", "NIST SP 800-57 part 1, 5.2"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			keys := s.listPlaces(true)
			for i, p := range keys {
				for _, first := range keys[:i] {
					if !p.secret().Same(first.secret()) {
						continue
					}
					switch {
					case p.p.Type != first.p.Type:
						f.add("two-ciphers", "%s: the %s has the same secret as the %s", s.describeField(p.field), p.describeKey(), first.describeKey())
					case p.secret().Name != first.secret().Name:
						f.add("two-names", "%s: the %s has the same secret as the %s", s.describeField(p.field), p.describeKey(), first.describeKey())
					default:
						continue // one key in two rules
					}
					break
				}
			}
			return f.outcome("no two keys have the same secret")
		},
	}
}
