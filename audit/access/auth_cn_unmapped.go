package access

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/internal/shellword"
)

// AuthCNUnmapped finds client certificates that belong to no etcd user.
func AuthCNUnmapped() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "auth-cn-unmapped",
		Title:    "The given certificate belongs to no etcd user",
		Severity: audit.Low,
		Rationale: "With authentication on, etcd takes the common name of a client certificate as the user. If the name is empty, " +
			"belongs to no user or is ignored, people fall back to passwords, or to another client's certificate with more " +
			"rights.",
		Method: "Reads the members' answers to the given certificate. \"user name is empty\" means that etcd took no user from " +
			"it; \"user name not found\" means that no user has that name. \"permission denied\" can mean a narrow role or " +
			"no user, so it is not a finding.",
		Remediation: func(p audit.Place) audit.Remediation { return addUser(p, audit.StandIn("NAME")) },
		References:  []string{"NIST 800-53 IA-2", "NIST 800-53 IA-5(2)", "NIST 800-53 AC-2"},
		Run: func(t *audit.EtcdCluster) audit.Outcome {
			return withGiven(t, judgeCommonName)
		},
	})
}

// addUser returns the lines that make a certificate belong to a user; name is an [audit.Word], or a string.
func addUser(p audit.Place, name any) audit.Remediation {
	return audit.Remediation{
		audit.Say("Issue the certificate with the user's name as its common name, let etcd read it, and create the user:"),
		audit.Paste("--client-cert-auth --trusted-ca-file=etcd-client-ca.crt"),
		audit.Paste("etcdctl user add --no-password --endpoints=%s -- %s", p.Endpoint(), name),
	}
}

func judgeCommonName(t *audit.Listener, whole audit.RPC) audit.Outcome {
	for _, call := range t.RPCs {
		if call.Access == audit.WithCredentials && call.Refusal == audit.UserNotFound {
			o := audit.Failed(audit.Finding{Code: "no-such-user", Text: fmt.Sprintf("%s got %q for the common name %q", call.Method, call.Message, t.GivenName)})
			o.Remediation = addUser(t.Place(), t.GivenName)
			return o
		}
	}
	switch {
	case whole.Code == 0:
		return audit.Passed(user(t) + " is let in")
	case t.GivenName == "" && (whole.HasNoUser() || whole.Refusal == audit.PermissionDenied):
		return audit.Failed(audit.Finding{Code: "no-name", Text: "the given certificate has no common name"})
	case whole.HasNoUser():
		return audit.Failed(audit.Finding{Code: "not-looked-at", Text: fmt.Sprintf("%s takes no user from certificates, because --client-cert-auth is off; the common name is %q", t.Address, t.GivenName)})
	case whole.Refusal == audit.PermissionDenied:
		return audit.Skipped(fmt.Sprintf("%s may not read all keys; a narrow role and a missing user look the same from outside (etcdctl user get %s)", user(t), shellword.Quote(t.GivenName)))
	default:
		return couldNotDecide(whole)
	}
}
