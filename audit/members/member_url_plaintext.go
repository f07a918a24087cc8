// Package members holds the checks of the members of a cluster: their versions, their health and the URLs that they advertise.
package members

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// MemberURLPlaintext finds members whose advertised URLs have no TLS.
func MemberURLPlaintext() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "member-url-plaintext",
		Title:    "A member is advertised by an http:// URL",
		Severity: audit.High,
		Rationale: "Members and clients dial the URLs of the member list. An http:// URL there sends raft, or the objects of " +
			"Kubernetes, over the network in plaintext, whatever the other members do.",
		Method: "Reads the member list from the member's own store, with the given certificate, or anonymously if the server " +
			"lets everybody in.",
		Remediation: func(p audit.Place) audit.Remediation {
			client, peer := p.Client(), p.Peer()
			return audit.Remediation{
				moveToHTTPS(),
				audit.Paste("etcdctl member update %s --peer-urls=https://%s --endpoints=%s", p.Member(), peer, p.Endpoint()),
				audit.Paste("--advertise-client-urls=https://%s --initial-advertise-peer-urls=https://%s", client, peer),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.1", "CIS Kubernetes Benchmark v2.0.1 2.1", "CIS Kubernetes Benchmark v1.12 2.4", "CIS Kubernetes Benchmark v2.0.1 2.4", "STIG V-242413", "NIST 800-53 SC-8"},
		Applies:    audit.On(audit.Client),
		Run:        runMemberURLPlaintext,
	})
}

func runMemberURLPlaintext(t *audit.Listener) audit.Outcome {
	if len(t.Members) == 0 {
		return notReadOutcome(t, "the member list", audit.MemberListRPC)
	}
	var findings []audit.Finding
	remediation := audit.Remediation{moveToHTTPS()}
	for _, m := range t.Members {
		before := len(findings)
		for _, urls := range []struct {
			kind audit.Kind
			list []string
		}{{audit.Peer, m.PeerURLs}, {audit.Client, m.ClientURLs}} {
			for _, url := range urls.list {
				if isPlaintext(url) {
					findings = append(findings, audit.Finding{Code: m.Name + "-" + string(urls.kind), Text: fmt.Sprintf("member %q has the %s URL %s", m.Name, urls.kind, url)})
				}
			}
		}
		if len(findings) > before {
			client, peer := audit.HTTPS(m.ClientURLs), audit.HTTPS(m.PeerURLs)
			remediation = append(remediation, audit.Say("%s:", label(m)))
			if slices.ContainsFunc(m.PeerURLs, isPlaintext) {
				remediation = append(remediation, audit.Paste("etcdctl member update %s --peer-urls=%s --endpoints=%s", idOf(m), peer, t.Place().Endpoint()))
			}
			remediation = append(remediation, audit.Paste("--advertise-client-urls=%s --initial-advertise-peer-urls=%s", client, peer))
		}
	}
	if len(findings) > 0 {
		o := audit.Failed(findings...)
		o.Remediation = remediation
		return o
	}
	return audit.Passed(fmt.Sprintf("all URLs of %d members are https://", len(t.Members)))
}

// moveToHTTPS says what to do in the order of etcd's documentation (Runtime reconfiguration): a member
// that has moved no longer answers to the URL that the command asks.
func moveToHTTPS() audit.Line {
	return audit.Say("Update the member list, then restart the member with TLS and https:// URLs:")
}

func isPlaintext(url string) bool { return strings.HasPrefix(strings.ToLower(url), "http://") }

// notReadOutcome returns the outcome if a call has no answer. A listener that speaks only HTTP has none.
func notReadOutcome(t *audit.Listener, what, method string) audit.Outcome {
	if servesPagesOnly(t) {
		return audit.Skipped("the port speaks HTTP only; " + what + " is read from the one for gRPC")
	}
	return audit.CouldNotTell(what + " was not read: " + whyNot(t, method))
}

// servesPagesOnly reports whether a listener serves only pages, and no gRPC, with every access that it allows.
func servesPagesOnly(t *audit.Listener) bool {
	return slices.ContainsFunc(append(audit.Anonymous(), audit.WithCredentials), t.HTTPOnly)
}

// whyNot returns why a call has no answer, and how to get one.
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
