// Package access holds the checks of who may do what inside etcd: its authentication of
// users, and what it lets the given certificate do. etcd logs every question about users and
// roles, so the checks judge by the members' answers to other calls.
package access

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// authentication reports whether the authentication of a cluster is on; it is the same for all
// members. missing gives the reason if this is unknown, and is empty otherwise.
func authentication(cluster *audit.EtcdCluster) (on bool, seen, missing string) {
	clients := cluster.Of(audit.Client)
	if len(clients) == 0 {
		return false, "", "no client port was audited; add the members' client endpoints"
	}
	for _, t := range clients {
		on, known, seen := t.Authentication()
		if known {
			return on, fmt.Sprintf("%s: %s", t.Address, seen), ""
		}
		if missing == "" {
			missing = whyNot(t, seen)
		}
	}
	return false, "", "could not see whether etcd's authentication is on: " + missing
}

// whyNot returns why no call was possible, and what would help. It returns seen if a call was possible.
func whyNot(t *audit.Listener, seen string) string {
	anonymous, given := t.Agreed(audit.NoCertificate), t.Handshake(audit.GivenCertificate)
	switch {
	case t.Unreached() != "":
		return t.Unreached()
	case len(t.RPCs) > 0 && t.RPC(audit.InPlaintext, audit.RangeRPC).State == audit.Answered:
		return seen
	case given.TrustFault != "":
		return given.TrustFault
	case given.Reason != "":
		return "the given client certificate: " + given.Reason
	case given.State == audit.Untried && anonymous.SpokeTLS && anonymous.State != audit.Answered:
		return "add --cacert, --cert and --key of a client of etcd"
	case anonymous.Reason != "" && !anonymous.SpokeTLS:
		return anonymous.Reason
	default:
		return seen
	}
}

// withGiven judges what the given certificate can read in a cluster with authentication.
func withGiven(cluster *audit.EtcdCluster, judge func(t *audit.Listener, whole audit.RPC) audit.Outcome) audit.Outcome {
	on, seen, missing := authentication(cluster)
	switch {
	case missing != "":
		return audit.CouldNotTell(missing)
	case !on:
		return audit.Skipped("etcd's authentication is off (" + seen + "), so there are no users; auth-disabled says what this means")
	}
	doubt := ""
	for _, t := range cluster.Of(audit.Client) {
		whole := t.RPC(audit.WithCredentials, audit.RangeRPC)
		switch {
		case whole.State == audit.Answered:
			return judge(t, whole)
		case whole.State != audit.Untried:
			doubt = fmt.Sprintf("Range %s: %s", whole.Access, whole.Reason)
		case t.Handshake(audit.GivenCertificate).Attempt != audit.Attempt{}:
			doubt = whyNot(t, "")
		}
	}
	if doubt == "" {
		return audit.Skipped("no client certificate was given, so there is no user to look at")
	}
	return audit.CouldNotTell(doubt)
}

// user names the user of the given certificate.
func user(t *audit.Listener) string { return fmt.Sprintf("the user %q", t.GivenName) }

// couldNotDecide returns the outcome for an answer that means neither yes nor no.
func couldNotDecide(call audit.RPC) audit.Outcome {
	return audit.CouldNotTell(fmt.Sprintf("%s %s got status %d %q", call.Method, call.Access, call.Code, call.Message))
}
