package access

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// AuthRootRole finds an auditor that uses the certificate of root.
func AuthRootRole() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "auth-root-role",
		Title:    "The given certificate belongs to the user root",
		Severity: audit.High,
		Rationale: "root can read and write everything, change users and roles, and switch authentication off. A certificate that " +
			"is used every day, and is stored on a machine that runs jobs, must not be root's.",
		Method: "Looks at the common name of the given certificate: with authentication on, etcd gives the role root to the " +
			"user root. A denied Range over all keys proves that the user is not root. etcd would log a question about the " +
			"roles of other users, so the check does not ask it.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Create a separate user for each purpose, and keep root for emergencies. These commands show who has the role:"),
				audit.Paste("etcdctl role get root --endpoints=%s", p.Endpoint()),
				audit.Paste("etcdctl user list --endpoints=%s", p.Endpoint()),
			}
		},
		References: []string{"NIST 800-53 AC-6", "NIST 800-53 AC-6(5)", "PCI DSS 4.0.1 7.2.2", "BSI APP.4.4"},
		Run: func(t *audit.EtcdCluster) audit.Outcome {
			return withGiven(t, func(t *audit.Listener, whole audit.RPC) audit.Outcome {
				switch {
				case whole.Code == 0 && t.GivenName == "root":
					return audit.Failed(audit.Finding{Code: "root", Text: fmt.Sprintf("the common name of the given certificate is root, and %s takes it as the user", t.Address)})
				case whole.Refusal == audit.PermissionDenied:
					return audit.Passed(user(t) + " may not read all keys, so it is not root")
				case whole.HasNoUser():
					return audit.Passed("no user belongs to the given certificate")
				case whole.Code == 0:
					return audit.Skipped(user(t) + " can read all keys; a role that allows this and the role root look the same from outside (see auth-overbroad-role)")
				default:
					return couldNotDecide(whole)
				}
			})
		},
	})
}
