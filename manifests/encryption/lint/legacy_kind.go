package lint

import "github.com/etcdsec/etcdsec/audit"

func legacyKind() Check {
	return Check{
		ID:       "encryption-legacy-kind",
		Title:    "The file has a kind that is in no API",
		Severity: audit.Low,
		Rationale: "kube-apiserver accepts apiVersion v1, kind EncryptionConfig, because its documentation once said so. No API " +
			"has this kind, other tools do not know it, and a new release may refuse it.",
		Method: "Reads apiVersion and kind; kube-apiserver accepts two pairs.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Write the right kind:"),
				audit.Paste("  apiVersion: apiserver.config.k8s.io/v1"),
				audit.Paste("  kind: EncryptionConfiguration"),
				audit.Paste("etcdsec encryption lint --fix %s", p.File()),
			}
		},
		References: references("k8s.io/apiserver pkg/apis/apiserver/v1, register.go"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			if s.Configuration.Legacy {
				f.add("legacy", "line %d: kind EncryptionConfig", s.Configuration.Line("kind"))
			}
			return f.outcome("kind EncryptionConfiguration")
		},
	}
}
