package access

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// AuthRootRole finds an auditor that is root.
func AuthRootRole() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "auth-root-role",
		Title:    "The given certificate is that of the user root",
		Severity: audit.High,
		Rationale: "root reads and writes everything, changes users and roles, and switches authentication off. A certificate that " +
			"is used every day, and lies on a machine that runs jobs, must not be root's.",
		Method: "Looks at the common name of the given certificate: with authentication on, etcd keeps the role root with the user " +
			"root. A Range over all keys that is denied proves that the user is not root. Whether another user has the role " +
			"root cannot be seen without an entry in etcd's log, so it is not asked.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Use a user of its own for each purpose, and keep root for emergencies. See who has the role with:"),
				audit.Paste("etcdctl role get root"),
				audit.Paste("etcdctl user list"),
			}
		},
		References: []string{"NIST 800-53 AC-6", "NIST 800-53 AC-6(5)", "PCI DSS 4.0.1 7.2.2", "BSI APP.4.4"},
		Run: func(t *audit.EtcdCluster) audit.Outcome {
			return withGiven(t, func(t *audit.Listener, whole audit.RPC) audit.Outcome {
				switch {
				case whole.Code == 0 && t.GivenName == "root":
					return audit.Failed(audit.Finding{Code: "root", Text: fmt.Sprintf("the common name of the given certificate is root, and %s takes it for the user", t.Address)})
				case whole.Refusal == audit.PermissionDenied:
					return audit.Passed(user(t) + " may not read all keys, so it is not root")
				case whole.HasNoUser():
					return audit.Passed("no user belongs to the given certificate")
				case whole.Code == 0:
					return audit.Skipped(user(t) + " reads all keys; a role that allows that and the role root look alike from outside (see auth-overbroad-role)")
				default:
					return couldNotDecide(whole)
				}
			})
		},
	})
}
