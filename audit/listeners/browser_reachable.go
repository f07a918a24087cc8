package listeners

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// BrowserReachable finds a plaintext port that a web page can use through its visitor's browser.
func BrowserReachable() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "browser-reachable",
		Title:    "A web page can reach the port through a browser",
		Severity: audit.High,
		Rationale: "A page on the Internet can make the browser of an internal user send requests to a plaintext port, by " +
			"rebinding its own name to the port's address, or directly if the server allows every origin. The page then " +
			"reads and writes as that machine does (CVE-2018-1098, CVE-2018-1099; the defaults still allow every host and " +
			"origin).",
		Method: "Sends GET /version without TLS, once with a foreign host name and once with a foreign Origin. A whitelist " +
			"answers the first request with status 421.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Serve no plaintext, or list your own names and origins; restart the member:"),
				audit.Paste("--listen-client-urls=https://%s", p.Client()),
				audit.Paste("--host-whitelist=%s --cors=https://%s", p.Host(), p.Client()),
			}
		},
		References: []string{"CVE-2018-1098", "CVE-2018-1099", "NIST 800-53 SC-7", "NIST 800-53 CM-7"},
		Applies:    audit.On(audit.Client),
		Run:        runBrowserReachable,
	})
}

func runBrowserReachable(t *audit.Listener) audit.Outcome {
	if t.Socket != "" {
		return audit.Skipped("no browser connects to a Unix socket")
	}
	if !t.AnswersPlaintext() {
		return t.OverTLS(func(audit.Handshake) audit.Outcome {
			if t.Plaintext.State == audit.Unclear {
				return audit.CouldNotTell("HTTP/1.1 without TLS: " + t.Plaintext.Reason)
			}
			return audit.Passed("the port answers nothing without TLS")
		})
	}
	var findings []audit.Finding
	host, origin := t.ForeignHost, t.ForeignOrigin
	if host.Exposed() {
		findings = append(findings, audit.Finding{Code: "any-host", Text: fmt.Sprintf("GET %s with a foreign host name got HTTP status %d", host.Path, host.Status)})
	}
	if origin.State == audit.Answered && origin.AllowsOrigin {
		findings = append(findings, audit.Finding{Code: "any-origin", Text: "the server allows a foreign origin to read the answer (Access-Control-Allow-Origin)"})
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case host.State != audit.Answered:
		return audit.CouldNotTell("GET with a foreign host name: " + host.Reason)
	case host.Status != statusMisdirected:
		return audit.CouldNotTell(fmt.Sprintf("GET %s with a foreign host name got HTTP status %d, which etcd does not send", host.Path, host.Status))
	case origin.State != audit.Answered:
		return audit.CouldNotTell("GET with a foreign origin: " + origin.Reason)
	// The server looks at the host before the origin: 421 is about the name that the audit has for it.
	case !origin.Exposed():
		return audit.CouldNotTell(fmt.Sprintf("GET %s with a foreign origin got HTTP status %d, which does not show whether the origin is allowed", origin.Path, origin.Status))
	default:
		return audit.Passed("a foreign host name gets HTTP status 421, and a foreign origin may not read the answer")
	}
}

// statusMisdirected is etcd's answer to a host name that is not in its --host-whitelist.
const statusMisdirected = 421
