package lint

import "github.com/etcdsec/etcdsec/audit"

func legacyKind() Check {
	return Check{
		ID:       "encryption-legacy-kind",
		Title:    "The file has a kind that never was one",
		Severity: audit.Low,
		Rationale: "kube-apiserver takes apiVersion v1, kind EncryptionConfig, because its documentation once said so. It is " +
			"in no API, other tools do not know it, and a release may stop taking it.",
		Method: "Reads apiVersion and kind, of which kube-apiserver takes two pairs.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Write what it is called:"),
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
			return f.or("kind EncryptionConfiguration")
		},
	}
}
