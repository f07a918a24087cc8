// Package members holds the checks of what the members of a cluster are and advertise.
package members

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// MemberURLPlaintext finds members that are advertised without TLS.
func MemberURLPlaintext() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "member-url-plaintext",
		Title:    "A member is advertised by an http:// URL",
		Severity: audit.High,
		Rationale: "Members and clients dial the URLs of the member list. An http:// URL there sends raft, or what Kubernetes " +
			"stores, over the network in plaintext, whatever the other members do.",
		Method: "Reads the member list from the member's own store, with the given certificate, or anonymously where the " +
			"server lets everybody in.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Move the member to https:// URLs, then update the list:"),
				audit.Paste("--advertise-client-urls=https://MEMBER_ADDRESS:2379 --initial-advertise-peer-urls=https://MEMBER_ADDRESS:2380"),
				audit.Paste("etcdctl member update MEMBER_ID --peer-urls=https://MEMBER_ADDRESS:2380"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.1", "CIS Kubernetes Benchmark v2.0.1 2.1", "CIS Kubernetes Benchmark v1.12 2.4", "CIS Kubernetes Benchmark v2.0.1 2.4", "STIG V-242413", "NIST 800-53 SC-8"},
		Applies:    audit.On(audit.Client),
		Run:        runMemberURLPlaintext,
	})
}

func runMemberURLPlaintext(t *audit.Listener) audit.Outcome {
	if len(t.Members) == 0 {
		return notRead(t, "the member list", audit.MemberListRPC)
	}
	var findings []audit.Finding
	for _, m := range t.Members {
		for _, urls := range []struct {
			kind audit.Kind
			list []string
		}{{audit.Peer, m.PeerURLs}, {audit.Client, m.ClientURLs}} {
			for _, url := range urls.list {
				if strings.HasPrefix(strings.ToLower(url), "http://") {
					findings = append(findings, audit.Finding{Code: m.Name + "-" + string(urls.kind), Text: fmt.Sprintf("member %q has the %s URL %s", m.Name, urls.kind, url)})
				}
			}
		}
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	return audit.Passed(fmt.Sprintf("all URLs of %d members are https://", len(t.Members)))
}

// notRead is the outcome where a call has no answer. A listener for HTTP alone has none.
func notRead(t *audit.Listener, what, method string) audit.Outcome {
	if servesPagesAlone(t) {
		return audit.Skipped("the port speaks HTTP only; " + what + " is read from the one for gRPC")
	}
	return audit.CouldNotTell(what + " was not read: " + whyNot(t, method))
}

// servesPagesAlone reports whether a listener has pages and no gRPC for anybody who was let in.
func servesPagesAlone(t *audit.Listener) bool {
	return slices.ContainsFunc(append(audit.Anonymous(), audit.WithCredentials), t.HTTPOnly)
}

// whyNot returns why a call has no answer, and what would give one.
func whyNot(t *audit.Listener, method string) string {
	for _, access := range append([]audit.Access{audit.WithCredentials}, audit.Anonymous()...) {
		call := t.RPC(access, method)
		switch {
		case call.State == audit.Answered && call.Code != 0:
			return fmt.Sprintf("%s %s got status %d %q", method, access, call.Code, call.Message)
		case call.State == audit.Answered:
			return method + " was empty"
		case call.State != audit.Untried:
			return fmt.Sprintf("%s %s: %s", method, access, call.Reason)
		}
	}
	anonymous, given := t.Agreed(audit.NoCertificate), t.Handshake(audit.GivenCertificate)
	switch {
	case given.TrustFault != "":
		return given.TrustFault
	case given.Reason != "":
		return "the given client certificate: " + given.Reason
	case anonymous.SpokeTLS:
		return "add --cacert, --cert and --key of a client of etcd"
	default:
		return anonymous.Reason
	}
}
