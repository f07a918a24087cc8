package access

import (
	"fmt"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// AuthUnauthenticatedRPC finds members that answer some calls without a user although authentication is on.
func AuthUnauthenticatedRPC() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "auth-unauthenticated-rpc",
		Title:    "etcd answers calls without a user although authentication is on",
		Severity: audit.High,
		Rationale: "CVE-2026-33413: the member lists the cluster, and accepts alarms, leases and compactions, from callers that " +
			"have no user. Everyone who reaches the port can stop all writes by raising an alarm, or let leases expire.",
		Method: "Calls Range and MemberList with a token that the server never issued. With authentication on, the member " +
			"refuses Range; a member that answers MemberList has the flaw, whatever its version says.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Upgrade etcd, one member at a time:"),
				audit.Say("etcd 3.5.x: to 3.5.28 or later"),
				audit.Say("etcd 3.6.x: to 3.6.9 or later"),
			}
		},
		References: []string{"CVE-2026-33413", "NIST 800-53 AC-3", "NIST 800-53 SI-2", "PCI DSS 4.0.1 6.3.3"},
		Run:        runAuthUnauthenticatedRPC,
	})
}

func runAuthUnauthenticatedRPC(t *audit.EtcdCluster) audit.Outcome {
	on, seen, missing := authentication(t)
	switch {
	case missing != "":
		return audit.CouldNotTell(missing)
	case !on:
		return audit.Skipped("etcd's authentication is off (" + seen + ")")
	}
	var findings []audit.Finding
	var refused, doubts []string
	for _, client := range t.Of(audit.Client) {
		call := tokenlessCall(client)
		switch {
		case call.State == audit.Answered && call.Code == 0:
			findings = append(findings, audit.Finding{Code: "member-list", Text: fmt.Sprintf("%s answers %s, and refuses Range", client.Address, call.Method)})
		case call.RefusesToken():
			refused = append(refused, client.Address)
		case call.State == audit.Answered:
			doubts = append(doubts, fmt.Sprintf("%s: %s got status %d %q", client.Address, call.Method, call.Code, call.Message))
		default:
			doubts = append(doubts, client.Address+": "+whyNot(client, audit.BadTokenMemberListRPC+": "+call.Reason))
		}
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case len(doubts) > 0:
		return audit.CouldNotTell(strings.Join(doubts, "; "))
	default:
		return audit.Passed("MemberList without a user is refused by " + strings.Join(refused, ", "))
	}
}

func tokenlessCall(t *audit.Listener) audit.RPC {
	for _, call := range t.RPCs {
		if call.Method == audit.BadTokenMemberListRPC {
			return call
		}
	}
	return audit.RPC{Method: audit.BadTokenMemberListRPC}
}
