package lint

import "github.com/etcdsec/etcdsec/audit"

func refused() Check {
	return Check{
		ID:       refusedID,
		Title:    "kube-apiserver refuses the encryption configuration",
		Severity: audit.High,
		Rationale: "An API server that starts with such a file ends at once. One that reloads it keeps using the old file, says " +
			"so only in its log, and fails at its next start.",
		Method: "Decodes and validates the file as the kube-apiserver of Kubernetes 1.37 does.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Correct the named line, and check again before you use the file:"),
				audit.Paste("etcdsec encryption lint %s", p.File()),
			}
		},
		References: references("k8s.io/apiserver pkg/apis/apiserver/validation"),
		Run: func(s *Subject) audit.Outcome {
			if s.Unread != nil {
				return audit.CouldNotTell(s.Unread.Error())
			}
			var f findings
			if s.Refused != nil {
				for _, text := range faultTexts(s.Refused) {
					f.add("refused", "%s", text)
				}
			}
			return f.outcome("kube-apiserver loads it")
		},
	}
}
