package access

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// AuthOverbroadRole finds an auditor whose role can read every key.
func AuthOverbroadRole() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "auth-overbroad-role",
		Title:    "The role of the given certificate can read every key",
		Severity: audit.Medium,
		Rationale: "Authentication only protects what the roles leave out. An auditor needs only the keys that it looks at, and " +
			"needs no key at all to see versions and members. A backup or monitoring job that can read Secrets is a way to " +
			"get them.",
		Method: "Calls Range over the whole keyspace with the given certificate: one key, keys only, serializable. The key is " +
			"not kept. The call succeeds if the user's roles can read every key, or if the user is root.",
		Remediation: func(p audit.Place) audit.Remediation {
			role := audit.StandIn("ROLE")
			return audit.Remediation{
				audit.Say("These commands show the users and their roles:"),
				audit.Paste("etcdctl user list --endpoints=%s", p.Endpoint()),
				audit.Paste("etcdctl role list --endpoints=%s", p.Endpoint()),
				audit.Say("Grant the role the range that it needs, and revoke the rest:"),
				audit.Paste("etcdctl role get %s --endpoints=%s", role, p.Endpoint()),
				audit.Paste("etcdctl role grant-permission %s read /registry/ --prefix --endpoints=%s", role, p.Endpoint()),
				audit.Paste("etcdctl role revoke-permission %s '' --from-key --endpoints=%s", role, p.Endpoint()),
			}
		},
		References: []string{"NIST 800-53 AC-6", "NIST 800-53 AC-3(7)", "PCI DSS 4.0.1 7.2.1"},
		Run: func(t *audit.EtcdCluster) audit.Outcome {
			return withGiven(t, func(t *audit.Listener, whole audit.RPC) audit.Outcome {
				switch {
				case whole.Code == 0:
					return audit.Failed(audit.Finding{Code: "whole-keyspace", Text: fmt.Sprintf("%s may read all %d keys of %s", user(t), whole.Keys, t.Address)})
				case whole.Refusal == audit.PermissionDenied || whole.HasNoUser():
					return audit.Passed(fmt.Sprintf("Range over all keys got %q", whole.Message))
				default:
					return couldNotDecide(whole)
				}
			})
		},
	})
}
