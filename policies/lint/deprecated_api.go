package lint

import (
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

func deprecatedAPI() Check {
	return Check{
		ID:       "policy-deprecated-api",
		Title:    "A policy uses an API that is removed or deprecated",
		Severity: audit.Low,
		Rationale: "AdminNetworkPolicy and BaselineAdminNetworkPolicy became ClusterNetworkPolicy, and " +
			"extensions/v1beta1 is not served since Kubernetes 1.16.",
		Method: "Looks at the kinds and groups of the policies.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Rewrite it as policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy, or networking.k8s.io/v1 NetworkPolicy."),
			}
		},
		References: references("sigs.k8s.io/network-policy-api apis/v1alpha2"),
		Run: func(s *Subject) audit.Outcome {
			var f findings
			for _, p := range s.Filters.Objects.ClusterNetworkPolicies {
				if strings.HasSuffix(p.Kind, "AdminNetworkPolicy") {
					f.add("admin", "%s %s is of policy.networking.k8s.io/v1alpha1", p.Kind, p.Metadata.Name)
				}
			}
			for _, k := range s.Filters.Objects.Skipped {
				if k.Kind == "NetworkPolicy.extensions" {
					f.add("extensions", "%s: NetworkPolicy %s is of extensions, and does nothing", k.File, k.Name)
				}
			}
			return f.outcome("no policy uses an API that is removed or deprecated")
		},
	}
}
