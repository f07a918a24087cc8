package lint

import (
	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

func relocatable() Check {
	return Check{
		ID:       "encryption-relocatable",
		Title:    "Encrypted values can be moved to another name",
		Severity: audit.Low,
		Rationale: "secretbox and aescbc do not bind a value to its key in etcd. So an attacker who can write to etcd, even " +
			"without an encryption key, can copy a Secret into another namespace, where others may read it.",
		Method: "Looks for secretbox and aescbc as the providers that write. aesgcm and KMS v2 bind a value to its place.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Limit who can write to etcd, by the client CA and RBAC. If that is not enough, use KMS v2, in the spec:"),
				audit.Paste("etcdsec audit run -f %s --pki %s", p.Spec(), p.Store()),
				audit.Paste("  encryption: {provider: kms, socket: unix:///run/kms/kms.sock}"),
			}
		},
		References: references("NIST 800-53 SI-7", "k8s.io/apiserver pkg/storage/value/encrypt/secretbox"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range s.writers() {
				if p.p.Type == encryption.AESCBC || p.p.Type == encryption.Secretbox {
					f.add(string(p.p.Type), "%s: %s writes %s", s.describeField(p.field), p.p.Type, joinNames(s.Configuration.Rules[p.rule].Resources))
				}
			}
			return f.outcome("the providers that write bind each value to its key in etcd")
		},
	}
}
