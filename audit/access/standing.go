// Package access holds the checks of who may do what inside etcd: its authentication of
// users, and what it lets the given certificate do. etcd tells nothing about users and roles
// without an entry in its log, so they judge by what the members answer.
package access

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// authentication reports whether the authentication of a cluster is on: it is the same for all
// members. missing says why that is not known; it is empty if it is.
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
	return false, "", "whether etcd's authentication is on was not seen: " + missing
}

// whyNot returns why nobody was let in to ask, and what would help; seen says it where somebody was.
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

// withGiven judges what a cluster with authentication lets the given certificate read.
func withGiven(cluster *audit.EtcdCluster, judge func(t *audit.Listener, whole audit.RPC) audit.Outcome) audit.Outcome {
	on, seen, missing := authentication(cluster)
	switch {
	case missing != "":
		return audit.CouldNotTell(missing)
	case !on:
		return audit.Skipped("etcd's authentication is off (" + seen + "): there are no users, and auth-disabled says what that means")
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
		return audit.Skipped("no client certificate was given whose user could be looked at")
	}
	return audit.CouldNotTell(doubt)
}

// user names the user of the given certificate.
func user(t *audit.Listener) string { return fmt.Sprintf("the user %q", t.GivenName) }

// couldNotDecide returns the outcome of an answer that says neither yes nor no.
func couldNotDecide(call audit.RPC) audit.Outcome {
	return audit.CouldNotTell(fmt.Sprintf("%s %s got status %d %q", call.Method, call.Access, call.Code, call.Message))
}
