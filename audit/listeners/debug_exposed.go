package listeners

import "github.com/etcdsec/etcdsec/audit"

// DebugExposed finds a client port that serves profiling pages, or debug variables to everybody.
func DebugExposed() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "debug-exposed",
		Title:    "The port serves debug pages",
		Severity: audit.High,
		Rationale: "A heap profile can hold Secrets, each CPU profile costs the member time, and /debug/vars shows the whole " +
			"command line.",
		Method: "Sends GET /debug/pprof/ and /debug/requests with every access that the port allows, including the given " +
			"certificate, and /debug/vars without credentials. etcd always serves /debug/vars on its client port. Only the " +
			"statuses 401, 403 and 404 withhold a page.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Switch profiling off (debug logs also switch it on), and restart the member:"),
				audit.Paste("--enable-pprof=false --log-level=info"),
				audit.Say("and for /debug/vars, require client certificates:"),
				audit.Paste("--client-cert-auth --trusted-ca-file=ca.crt"),
			}
		},
		References: []string{"STIG V-242413", "NIST 800-53 CM-7", "NIST 800-53 SI-11", "etcd THREAT_MODEL.md: Non-Default & Test-Only Configuration"},
		Applies:    audit.On(audit.Client),
		Run:        runDebugExposed,
	})
}

func runDebugExposed(t *audit.Listener) audit.Outcome {
	pages := []struct {
		code, path string
		accesses   []audit.Access
	}{
		{"pprof", "/debug/pprof/", append(audit.Anonymous(), audit.WithCredentials)},
		{"requests", "/debug/requests", append(audit.Anonymous(), audit.WithCredentials)},
		{"vars", "/debug/vars", audit.Anonymous()},
	}
	var findings []audit.Finding
	var doubt string
	looked, grpcOnly := false, false
	for _, p := range pages {
		for _, access := range p.accesses {
			page := t.Page(access, p.path)
			switch {
			case page.Exposed():
				findings = append(findings, audit.Finding{Code: p.code, Text: page.Answer()})
			case page.Withheld():
				looked = true
			case page.State != audit.Untried && t.GRPCOnly(access):
				grpcOnly = true
			case page.State != audit.Untried && doubt == "":
				doubt = page.Answer()
			}
		}
	}
	anonymous, given := t.Agreed(audit.NoCertificate), t.Handshake(audit.GivenCertificate)
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case doubt != "":
		return audit.CouldNotTell(doubt)
	case looked && anonymous.SpokeTLS && anonymous.State == audit.Closed && given.State != audit.Answered:
		return t.Admits(audit.NoCertificate)
	case looked:
		return audit.Passed("the port serves no debug page to the callers that it lets in")
	case grpcOnly:
		return audit.Skipped(speaksGRPCOnly)
	default:
		return outcomeBehindCertificate(t)
	}
}
