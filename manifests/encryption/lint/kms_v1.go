package lint

import (
	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func kmsV1() Check {
	return Check{
		ID:       "encryption-kms-v1",
		Title:    "A KMS plugin uses the old v1 API, which is off by default",
		Severity: audit.High,
		Rationale: "A KMS provider without apiVersion is v1, which is deprecated and off since Kubernetes 1.29: kube-apiserver " +
			"does not start with it. With the feature gate, each write makes a call to the plugin.",
		Method: "Reads the apiVersion of every KMS provider; a missing one means v1.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("If the plugin supports v2, add a v2 provider with another name before it, rewrite all objects, then remove v1. " +
					"Until then:"),
				audit.Paste("--feature-gates=KMSv1=true"),
			}
		},
		References: references("kubernetes/kubernetes#119007", "KEP-3299"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range s.listPlaces(false) {
				if p.p.Type != encryption.KMS || p.p.Plugin.APIVersion != encryption.KMSVersion1 {
					continue
				}
				written := "has apiVersion v1"
				code := "v1"
				if p.p.Plugin.Unversioned {
					written, code = "has no apiVersion, which is v1", "unversioned"
				}
				f.add(code, "%s: the plugin %s %s", s.describeField(p.field+".kms"), encryption.ShowName(p.p.Plugin.Name), written)
			}
			return f.outcome("no KMS provider is of v1")
		},
	}
}
