package listeners

import (
	"net"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// MetricsExposed finds metrics that everybody on the network can read.
func MetricsExposed() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "metrics-exposed",
		Title:    "Anyone can read the metrics without credentials",
		Severity: audit.Medium,
		Rationale: "The metrics show the version of etcd and Go, the members, the number of keys and the load. They tell an " +
			"attacker where to attack, and whether the attack works.",
		Method: "Sends GET /metrics without credentials, over HTTP/1.1 and TLS. Only the statuses 401, 403 and 404 withhold " +
			"the page; a redirect or a fault tells nothing. A metrics listener on a loopback address passes.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Keep the metrics on the loopback address, with a scraper on the node; restart the member:"),
				audit.Paste("--listen-metrics-urls=http://127.0.0.1:2381"),
				audit.Say("and for /metrics on the client port, require client certificates:"),
				audit.Paste("--client-cert-auth --trusted-ca-file=ca.crt"),
			}
		},
		References: []string{"STIG V-242413", "NIST 800-53 CM-7", "NIST 800-53 SI-11"},
		Applies:    audit.On(audit.Client, audit.Metrics),
		Run:        runMetricsExposed,
	})
}

func runMetricsExposed(t *audit.Listener) audit.Outcome {
	const path = "/metrics"
	if t.Kind == audit.Metrics && t.NothingListens() {
		return audit.Passed("nothing listens")
	}
	var findings []audit.Finding
	for _, access := range audit.Anonymous() {
		page := t.Page(access, path)
		if page.Exposed() {
			findings = append(findings, audit.Finding{Code: string(t.Kind), Text: page.Answer()})
		}
	}
	if len(findings) > 0 {
		if t.Kind == audit.Metrics && isOnLoopback(t) {
			return audit.Passed("loopback only: " + findings[0].Text)
		}
		return audit.Failed(findings...)
	}
	return judgeRefusedPage(t, path)
}

func isOnLoopback(t *audit.Listener) bool {
	if t.Socket != "" {
		return true // only processes of the host reach it
	}
	if t.RemoteIP.IsValid() {
		return t.RemoteIP.IsLoopback()
	}
	host, _, err := net.SplitHostPort(t.Address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// judgeRefusedPage judges a page that no anonymous access could read: it passes only if the port withheld
// the page from each of them.
func judgeRefusedPage(t *audit.Listener, path string) audit.Outcome {
	var answers string
	if slices.ContainsFunc(audit.Anonymous(), t.GRPCOnly) {
		return audit.Skipped(speaksGRPCOnly)
	}
	if t.AnswersPlaintext() {
		page := t.Page(audit.InPlaintext, path)
		if !page.Withheld() {
			return audit.CouldNotTell(page.Answer())
		}
		answers = page.Answer()
	}
	anonymous := t.Agreed(audit.NoCertificate)
	switch {
	case !anonymous.SpokeTLS && answers != "":
		return audit.Passed(answers)
	case anonymous.State == audit.Answered:
		page := t.Page(audit.WithoutCertificate, path)
		if !page.Withheld() {
			return audit.CouldNotTell(page.Answer())
		}
		return audit.Passed(joinEvidence(answers, page.Answer()))
	default:
		o := t.Admits(audit.NoCertificate)
		if o.Verdict == audit.Pass {
			o.Evidence = joinEvidence(answers, o.Evidence)
		}
		return o
	}
}
