package lint

import "github.com/etcdsec/etcdsec/audit"

func duplicateKeyName() Check {
	return Check{
		ID:       "encryption-duplicate-key-name",
		Title:    "Two keys have the same name",
		Severity: audit.High,
		Rationale: "Only the name tells which key encrypted a value in etcd. With two keys of one name, nobody can prove that " +
			"one is no longer needed. aescbc authenticates nothing: it tries the wrong key first, and once in 260 times " +
			"it accepts the result as a value (measured).",
		Method: "Compares the names of all keys. The same key may be in several rules; twice in one list it is useless.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Add a key with a new name, let it write, rewrite what is stored, then remove both keys. A name that is never " +
					"used twice:"),
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
						f.add("ambiguous", "%s: the %s is not the same key as at %s", s.describeField(p.field), p.describeKey(), s.describeField(first.field))
					case !same:
						if worst != audit.High {
							worst = audit.Medium
						}
						f.add("two-providers", "%s: the %s and the %s have the same name", s.describeField(p.field), p.describeKey(), first.describeKey())
					case provider && p.rule == first.rule:
						f.add("repeated", "%s: the %s is already at %s", s.describeField(p.field), p.describeKey(), s.describeField(first.field))
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
