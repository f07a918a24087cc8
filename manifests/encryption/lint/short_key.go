package lint

import "github.com/etcdsec/etcdsec/audit"

func shortKey() Check {
	return Check{
		ID:       "encryption-short-key",
		Title:    "A key has less than 256 bits",
		Severity: audit.Low,
		Rationale: "kube-apiserver takes AES keys of 16 and 24 bytes too. What is in etcd and in its backups today has to " +
			"stay secret for as long as they exist, also from quantum computers, which halve the bits.",
		Method: "Counts the bytes of every key; the number is all that is looked at.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Rotate to a key of 32 bytes:"),
				audit.Paste("head -c 32 /dev/urandom | base64"),
			}
		},
		References: references("NIST 800-53 SC-13", "CNSA 2.0"),
		Run: func(s *Subject) audit.Outcome {
			const enough = 32
			var f findings
			for _, p := range s.places(true) {
				if n := p.secret().Len(); n < enough {
					f.add("short", "%s: the %s has %d bytes", s.at(p.field), p.describeKey(), n)
				}
			}
			return f.or("every key has 32 bytes")
		},
	}
}
