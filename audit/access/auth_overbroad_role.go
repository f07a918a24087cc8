package access

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// AuthOverbroadRole finds an auditor whose role reads everything.
func AuthOverbroadRole() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "auth-overbroad-role",
		Title:    "The role of the given certificate reads every key",
		Severity: audit.Medium,
		Rationale: "Authentication is worth what its roles leave out. An auditor needs no more than the keys that it looks at, and " +
			"none of them to see versions and members; a backup or monitoring job that reads Secrets is a way to them.",
		Method: "Calls Range over the whole keyspace with the given certificate, for one key, keys only and serializable. The " +
			"key is not kept. It succeeds where the user's roles read every key, or are root.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Grant the role the range that it needs, and take the rest away:"),
				audit.Paste("etcdctl role get ROLE"),
				audit.Paste("etcdctl role grant-permission ROLE read /registry/ --prefix"),
				audit.Paste("etcdctl role revoke-permission ROLE \"\" --from-key"),
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
