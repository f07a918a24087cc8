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
		Rationale: "A page on the Internet can make the browser of somebody inside send requests to a plaintext port, by " +
			"rebinding its own name to the port's address, or directly where the server allows every origin. It reads and writes " +
			"as that machine does (CVE-2018-1098, CVE-2018-1099; the defaults still allow every host and origin).",
		Method: "Sends GET /version without TLS under a foreign host name, and with a foreign Origin. A whitelist answers the " +
			"first with status 421.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Serve no plaintext, or say which names and origins are yours; restart the member:"),
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
	if !t.AnswersPlaintext() {
		return t.OverTLS(func(audit.Handshake) audit.Outcome {
			if t.Plaintext.State == audit.Unclear {
				return audit.CouldNotTell("HTTP/1.1 without TLS: " + t.Plaintext.Reason)
			}
			return audit.Passed("nothing is answered without TLS")
		})
	}
	var findings []audit.Finding
	if host := t.ForeignHost; host.State == audit.Answered && host.Status != statusMisdirected {
		findings = append(findings, audit.Finding{Code: "any-host", Text: fmt.Sprintf("GET %s under a foreign host name got HTTP status %d", host.Path, host.Status)})
	}
	if origin := t.ForeignOrigin; origin.State == audit.Answered && origin.AllowsOrigin {
		findings = append(findings, audit.Finding{Code: "any-origin", Text: "a foreign origin is allowed to read the answer (Access-Control-Allow-Origin)"})
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case t.ForeignHost.State != audit.Answered:
		return audit.CouldNotTell("GET under a foreign host name: " + t.ForeignHost.Reason)
	case t.ForeignOrigin.State != audit.Answered:
		return audit.CouldNotTell("GET with a foreign origin: " + t.ForeignOrigin.Reason)
	default:
		return audit.Passed("a foreign host name gets HTTP status 421, and a foreign origin no leave to read")
	}
}

// statusMisdirected is how etcd refuses a host name that its --host-whitelist does not have.
const statusMisdirected = 421
