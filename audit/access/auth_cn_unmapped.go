package access

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// AuthCNUnmapped finds certificates to which no user of etcd belongs.
func AuthCNUnmapped() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "auth-cn-unmapped",
		Title:    "No user of etcd belongs to the given certificate",
		Severity: audit.Low,
		Rationale: "With authentication on, the common name of a client certificate is the user. Where it is empty, is no user's, or is " +
			"not looked at, the client falls back to passwords, or to somebody else's certificate with more rights.",
		Method: "Reads what the members answer to the given certificate. \"user name is empty\" says that no user was taken from it; " +
			"\"user name not found\" that there is none of that name. \"permission denied\" may mean a narrow role or no user, " +
			"and is no finding.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give the certificate the common name of its user, let etcd look at it, and make the user:"),
				audit.Paste("--client-cert-auth --trusted-ca-file=etcd-client-ca.crt"),
				audit.Paste("etcdctl user add NAME --no-password"),
			}
		},
		References: []string{"NIST 800-53 IA-2", "NIST 800-53 IA-5(2)", "NIST 800-53 AC-2"},
		Run: func(t *audit.EtcdCluster) audit.Outcome {
			return withGiven(t, judgeCommonName)
		},
	})
}

func judgeCommonName(t *audit.Listener, whole audit.RPC) audit.Outcome {
	for _, call := range t.RPCs {
		if call.Access == audit.WithCredentials && call.Refusal == audit.UserNotFound {
			return audit.Failed(audit.Finding{Code: "no-such-user", Text: fmt.Sprintf("%s got %q for the common name %q", call.Method, call.Message, t.GivenName)})
		}
	}
	switch {
	case whole.Code == 0:
		return audit.Passed(user(t) + " is let in")
	case t.GivenName == "" && (whole.HasNoUser() || whole.Refusal == audit.PermissionDenied):
		return audit.Failed(audit.Finding{Code: "no-name", Text: "the given certificate has no common name"})
	case whole.HasNoUser():
		return audit.Failed(audit.Finding{Code: "not-looked-at", Text: fmt.Sprintf("%s takes no user from certificates: --client-cert-auth is off there; the common name is %q", t.Address, t.GivenName)})
	case whole.Refusal == audit.PermissionDenied:
		return audit.Skipped(fmt.Sprintf("%s may not read all keys; a narrow role and no user of that name look alike from outside (etcdctl user get %s)", user(t), shellword.Quote(t.GivenName)))
	default:
		return couldNotDecide(whole)
	}
}
