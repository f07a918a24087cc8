package audit_test

import (
	"fmt"
	"os"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/report"
)

// plaintextPort is a small check: it looks at one observation and returns an outcome.
func plaintextPort() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:        "example-plaintext",
		Title:     "The client port answers without TLS",
		Severity:  audit.Critical,
		Rationale: "Whoever is on the path reads and changes everything.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Leave no http:// URL, and restart the member:"),
				audit.Paste("--listen-client-urls=https://%s", p.Client()),
			}
		},
		Applies: audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			switch {
			case t.AnswersPlaintext():
				return audit.Failed(audit.Finding{Code: "http1", Text: "GET /version without TLS is answered"})
			case t.Plaintext.State == audit.Refused:
				return audit.Passed("a request without TLS is refused")
			default:
				return audit.CouldNotTell("a request without TLS: " + t.Plaintext.Reason)
			}
		},
	})
}

// Run judges what a collector has observed. Package collect makes such targets from endpoints.
func ExampleRun() {
	open := &audit.Listener{
		Address: "10.0.0.11:2379", Kind: audit.Client,
		Plaintext: audit.Page{Attempt: audit.Attempt{State: audit.Answered}, Access: audit.InPlaintext, Path: "/version", Status: 200},
	}
	slow := &audit.Listener{
		Address: "10.0.0.12:2379", Kind: audit.Client,
		Plaintext: audit.Page{Attempt: audit.Attempt{State: audit.Unclear, Cause: audit.TimedOut, Reason: "no answer within 3s"}},
	}
	r := audit.Run([]audit.Check{plaintextPort()}, []audit.Target{open, slow})
	for _, result := range r.Results {
		fmt.Println(result.Target, result.Verdict, result.Evidence)
	}
	for _, line := range r.Results[0].Remediation {
		fmt.Println(line.Paste, line.Text)
	}
	// Output:
	// 10.0.0.11:2379 fail GET /version without TLS is answered
	// 10.0.0.12:2379 unknown a request without TLS: no answer within 3s
	// false Leave no http:// URL, and restart the member:
	// true --listen-client-urls=https://10.0.0.11:2379
}

// A report is rendered by package report; text is for people.
func ExampleReport() {
	port := &audit.Listener{
		Address: "10.0.0.11:2379", Kind: audit.Client,
		Plaintext: audit.Page{Attempt: audit.Attempt{State: audit.Refused}},
	}
	r := audit.Run([]audit.Check{plaintextPort()}, []audit.Target{port})
	if err := (report.Text{}).Render(os.Stdout, r); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 10.0.0.11:2379  client  1 pass
	//
	// clean: 1 target, 1 result: 1 pass, 0 fail, 0 unknown, 0 skip
}
