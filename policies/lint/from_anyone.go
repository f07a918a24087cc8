package lint

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

func fromAnyone() Check {
	return Check{
		ID:       "policy-from-anyone",
		Title:    "A rule lets everybody in to etcd",
		Severity: audit.High,
		Rationale: "An empty list of sources allows every source: a rule that should open a port to a few opens it " +
			"to all.",
		Method: "Reads the rules that open the client or peer port. Finds those without a source, with every namespace, " +
			"or with 0.0.0.0/0 or ::/0, unless an earlier rule denies.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Name the senders, members and API servers:"),
				audit.Paste("etcdsec policies render -f %s", p.Spec()),
			}
		},
		References: references("cilium/cilium examples/policies/host/lock-down-ingress.yaml"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range ingressPolicies(s) {
				for _, r := range p.rules {
					for _, port := range []uint16{s.Intent.Ports.Client, s.Intent.Ports.Peer} {
						if r.anyone && r.covers(port) {
							f.add(fmt.Sprintf("port-%d", port), "%s %s lets everybody in to port %d", p.name, r.at, port)
						}
					}
				}
			}
			return f.outcome("no rule lets everybody in to the client or the peer port")
		},
	}
}
