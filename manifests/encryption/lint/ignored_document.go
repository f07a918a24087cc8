package lint

import "github.com/etcdsec/etcdsec/audit"

func ignoredDocument() Check {
	return Check{
		ID:       "encryption-ignored-document",
		Title:    "A part of the file is never read",
		Severity: audit.Medium,
		Rationale: "kube-apiserver reads only the first YAML document of the file, and ignores the rest without an error. Rules " +
			"in a second document encrypt nothing.",
		Method: "Looks for the beginning of a second YAML document in the file.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Put all rules into one document; --fix keeps only the one that is read:"),
				audit.Paste("etcdsec encryption lint --fix %s", p.File()),
			}
		},
		References: references("k8s.io/apiserver pkg/server/options/encryptionconfig"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			if line := s.Configuration.IgnoredLine; line > 0 {
				f.add("ignored", "line %d: a second document begins, which is not read", line)
			}
			return f.outcome("the file is one document")
		},
	}
}
