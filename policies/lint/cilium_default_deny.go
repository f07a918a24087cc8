package lint

import "github.com/etcdsec/etcdsec/audit"

func ciliumDefaultDeny() Check {
	return Check{
		ID:       "policy-cilium-default-deny",
		Title:    "A policy of Cilium cuts a member's node off",
		Severity: audit.High,
		Rationale: "An ingress rule for a node puts the whole node into default deny. Then nobody reaches a port that no rule " +
			"names, such as the kubelet's.",
		Method: "Checks whether another host still reaches the kubelet, port 10250.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Turn default deny off, and deny only etcd's ports:"),
				audit.Paste("spec: {enableDefaultDeny: {ingress: false}}"),
				audit.Paste("etcdsec policies render --backend cilium -f %s", p.Spec()),
			}
		},
		References: references("docs.cilium.io/en/stable/security/host-firewall"),
		Run: func(s *Subject) audit.Outcome {
			if rules, _ := ciliumRules(s); len(rules) == 0 {
				return audit.Skipped("no policy of Cilium selects a member's node")
			}
			return cutOutcome(s, false)
		},
	}
}
