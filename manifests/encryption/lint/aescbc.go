package lint

import (
	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func aescbc() Check {
	return Check{
		ID:       "encryption-aescbc",
		Title:    "Values are encrypted without being authenticated",
		Severity: audit.Medium,
		Rationale: "aescbc authenticates nothing. Whoever writes to etcd can change a value, or put it under another name. By " +
			"watching how kube-apiserver answers to changed padding, they can decrypt it byte by byte.",
		Method: "Looks for aescbc as the provider that writes.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Add a secretbox key, or KMS v2, after it on every API server. Then put the new provider first, rewrite what " +
					"is stored, and remove aescbc:"),
				audit.Paste("head -c 32 /dev/urandom | base64"),
				audit.Paste("kubectl get secrets --all-namespaces -o json | kubectl replace -f -"),
			}
		},
		References: references("kubernetes.io/docs/tasks/administer-cluster/encrypt-data", "kubernetes/website#44169"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range s.writers() {
				if p.p.Type == encryption.AESCBC {
					f.add("aescbc", "%s: aescbc writes %s", s.describeField(p.field), joinNames(s.Configuration.Rules[p.rule].Resources))
				}
			}
			return f.outcome("aescbc writes nothing")
		},
	}
}
