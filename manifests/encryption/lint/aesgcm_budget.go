package lint

import (
	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// aesgcmWrites is the limit in Kubernetes' documentation. After so many writes, two nonces of 96 random
// bits are equal with a chance of 2^-61. NIST allows 2^32 writes.
const aesgcmWrites = 200_000

func aesgcmBudget() Check {
	return Check{
		ID:       "encryption-aesgcm-budget",
		Title:    "An aesgcm key may be used for too many writes",
		Severity: audit.Medium,
		Rationale: "aesgcm draws a random nonce of 12 bytes for each write. Two equal nonces reveal what was written, and let " +
			"an attacker forge values. Kubernetes asks for a new key before 200,000 writes, and nothing counts them.",
		Method: "Looks for aesgcm as the provider that writes. --writes is the number of values that its key has encrypted; " +
			"without it, nothing shows that the key is replaced in time.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give the sum of the writes of all API servers. Rotate the key before 200,000 writes, or change to secretbox or " +
					"KMS v2:"),
				audit.Paste("kubectl get --raw /metrics | grep apiserver_storage_transformation_operations_total"),
				audit.Paste("etcdsec encryption lint --writes 150000 %s", p.File()),
			}
		},
		References: references("NIST SP 800-38D 8.3", "kubernetes.io/docs/tasks/administer-cluster/encrypt-data"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range s.writers() {
				if p.p.Type != encryption.AESGCM {
					continue
				}
				key := place{p.rule, p.provider, 0, p.field, p.p}.describeKey()
				switch {
				case s.Writes < 0:
					f.add("uncounted", "%s: the %s writes %s, and the number of its writes is unknown", s.describeField(p.field), key, joinNames(s.Configuration.Rules[p.rule].Resources))
				case s.Writes >= aesgcmWrites:
					f.add("spent", "%s: the %s has written %d values", s.describeField(p.field), key, s.Writes)
				}
			}
			o := f.outcome("no aesgcm key writes, or --writes is below 200,000")
			if len(f) > 0 && s.Writes >= aesgcmWrites {
				o.Severity = audit.High
			}
			return o
		},
	}
}
