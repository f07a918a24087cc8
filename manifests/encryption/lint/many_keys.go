package lint

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

func manyKeys() Check {
	return Check{
		ID:       "encryption-many-keys",
		Title:    "Old keys were never removed",
		Severity: audit.Low,
		Rationale: "A rotation needs two keys, and ends with one. An old key decrypts as long as it is in the file, so the " +
			"rotation has not reached its goal.",
		Method: "Counts the different keys and KMS plugins of each rule. More than 3 are a finding.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Find the keys that neither etcd nor a backup needs, and remove them:"),
				audit.Paste("etcdsec audit census --endpoints https://%s --config %s", p.Client(), p.File()),
				audit.Paste("etcdsec audit census --snapshot %s --config %s", audit.StandIn("SNAPSHOT"), p.File()),
				audit.Paste("etcdsec encryption rotate %s --kubeconfig /etc/kubernetes/admin.conf", p.Store()),
			}
		},
		References: references("NIST 800-53 SC-12"),
		Run: func(s *Subject) audit.Outcome {
			const most = 3
			var f findings
			for i, rule := range s.Configuration.Rules {
				var writers []audit.Writer
				for _, p := range rule.Providers {
					for _, w := range p.Writers() {
						if w.Provider != audit.IdentityProvider && !slices.Contains(writers, w) {
							writers = append(writers, w)
						}
					}
				}
				if len(writers) > most {
					f.add("many", "%s: %d keys read %s", s.describeField(s.ruleField(i)), len(writers), joinNames(rule.Resources))
				}
			}
			return f.outcome("no rule has more than 3 keys")
		},
	}
}
