package lint

import "github.com/etcdsec/etcdsec/audit"

func duplicateKeyName() Check {
	return Check{
		ID:       "encryption-duplicate-key-name",
		Title:    "Two keys have the same name",
		Severity: audit.High,
		Rationale: "The name is all that says which key has encrypted a value in etcd. With two keys of a name nobody can " +
			"prove that one is not needed any more; and aescbc, which authenticates nothing, tries the wrong one first " +
			"and takes what comes out for a value once in 260 times (measured).",
		Method: "Compares the names of all keys. The same key may be in several rules; twice in one list it is useless.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Add a key of a new name, make it write, rewrite what is stored, then take both away. A name that is never used " +
					"twice:"),
				audit.Say("k-YYYYMMDD-FINGERPRINT, as from etcdsec encryption generate"),
				audit.Paste("etcdsec encryption lint --fix %s", p.File()),
			}
		},
		References: references("NIST 800-53 SC-12"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			keys := s.listPlaces(true)
			worst := audit.Low
			for i, p := range keys {
				for _, first := range keys[:i] {
					if p.secret().Name != first.secret().Name {
						continue
					}
					same, provider := p.secret().Same(first.secret()), p.p.Type == first.p.Type
					switch {
					case !same && provider:
						worst = audit.High
						f.add("ambiguous", "%s: the %s is another key than that of %s", s.describeField(p.field), p.describeKey(), s.describeField(first.field))
					case !same:
						if worst != audit.High {
							worst = audit.Medium
						}
						f.add("two-providers", "%s: the %s has the name of the %s", s.describeField(p.field), p.describeKey(), first.describeKey())
					case provider && p.rule == first.rule:
						f.add("repeated", "%s: the %s is there already, %s", s.describeField(p.field), p.describeKey(), s.describeField(first.field))
					default:
						continue
					}
					break
				}
			}
			o := f.outcome("every name stands for one key")
			if len(f) > 0 {
				o.Severity = worst
			}
			return o
		},
	}
}
