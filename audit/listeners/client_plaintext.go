// Package listeners holds the checks of who gets an answer from etcd's ports, and with which credentials.
package listeners

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// ClientPlaintext finds a client port that answers without TLS.
func ClientPlaintext() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "client-plaintext",
		Title:    "The client port answers without TLS",
		Severity: audit.Critical,
		Rationale: "Everything that Kubernetes stores, including Secrets, crosses the network in plaintext, where everyone on the " +
			"path can read and change it, and no caller needs a certificate. If --listen-client-urls names one port with " +
			"both schemes, etcd serves plaintext and TLS on it, and its TLS flags still look right.",
		Method: "Sends GET /version over HTTP/1.1 and a keys-only gRPC Range over HTTP/2, both without TLS, even if the port " +
			"speaks TLS.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Remove every http:// URL from etcd's client listeners, and restart the member:"),
				audit.Paste("--listen-client-urls=https://%s --advertise-client-urls=https://%s --cert-file=server.crt --key-file=server.key", p.Client(), p.Client()),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.1", "CIS Kubernetes Benchmark v2.0.1 2.1", "STIG V-242427", "STIG V-242428", "NIST 800-53 SC-8", "NIST 800-53 SC-8(1)", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Applies:    audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			return judgePlaintext(t, t.Plaintext, t.RPC(audit.InPlaintext, audit.RangeRPC))
		},
	})
}

// judgePlaintext judges a port by its answer to HTTP/1.1 and, on a client port, to gRPC.
func judgePlaintext(t *audit.Listener, page audit.Page, call audit.RPC) audit.Outcome {
	var findings []audit.Finding
	if page.State == audit.Answered {
		findings = append(findings, audit.Finding{Code: "http1", Text: fmt.Sprintf("GET %s without TLS got HTTP status %d", page.Path, page.Status)})
	}
	if call.State == audit.Answered {
		findings = append(findings, audit.Finding{Code: "h2c", Text: "a gRPC call without TLS got " + grpcStatus(call)})
	}
	tls := t.Agreed(audit.NoCertificate).SpokeTLS
	if len(findings) > 0 {
		if tls {
			findings[0].Text = "the port speaks TLS and plaintext: " + findings[0].Text
		}
		return audit.Failed(findings...)
	}
	switch {
	case page.State == audit.Unclear:
		return audit.CouldNotTell("HTTP/1.1 without TLS: " + page.Reason)
	case call.State == audit.Unclear:
		return audit.CouldNotTell("gRPC without TLS: " + call.Reason)
	// A port that closes every connection has proved nothing; one that speaks TLS has.
	case !tls && page.State != audit.Refused:
		return audit.CouldNotTell("the port answers neither TLS nor plaintext: " + page.Reason)
	default:
		return audit.Passed("the port does not answer plaintext: " + page.Reason)
	}
}

func grpcStatus(call audit.RPC) string {
	if call.Code == 0 {
		return "status OK"
	}
	return fmt.Sprintf("status %d %q", call.Code, call.Message)
}
