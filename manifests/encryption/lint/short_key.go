package lint

import "github.com/etcdsec/etcdsec/audit"

func shortKey() Check {
	return Check{
		ID:       "encryption-short-key",
		Title:    "A key has less than 256 bits",
		Severity: audit.Low,
		Rationale: "kube-apiserver accepts AES keys of 16 and 24 bytes too. The values in etcd and its backups must stay secret " +
			"for as long as a backup exists, also from quantum computers, which halve the strength in bits.",
		Method: "Counts the bytes of every key, and looks at nothing else.",
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
			for _, p := range s.listPlaces(true) {
				if n := p.secret().Len(); n < enough {
					f.add("short", "%s: the %s has %d bytes", s.describeField(p.field), p.describeKey(), n)
				}
			}
			return f.outcome("every key has 32 bytes")
		},
	}
}
