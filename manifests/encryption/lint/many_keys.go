package lint

import (
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

func manyKeys() Check {
	return Check{
		ID:       "encryption-many-keys",
		Title:    "Old keys were never taken away",
		Severity: audit.Low,
		Rationale: "A rotation needs two keys, and ends with one. As long as an old one is in the file it decrypts, and what " +
			"it was rotated away for has not been reached.",
		Method: "Counts the keys and KMS plugins of each rule, the same one once. More than 3 are findings.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Find out which ones nothing in etcd and in no backup needs, and take those away:"),
				audit.Paste("etcdsec audit census --endpoints https://%s --config %s", p.Client(), p.File()),
				audit.Paste("etcdsec audit census --snapshot SNAPSHOT --config %s", p.File()),
				audit.Paste("etcdsec encryption rotate %s --kubeconfig admin.conf", p.Store()),
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
					f.add("many", "%s: %d keys read %s", s.at(s.ruleField(i)), len(writers), joinNames(rule.Resources))
				}
			}
			return f.or("no rule has more than 3 keys")
		},
	}
}
