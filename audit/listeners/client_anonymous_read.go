package listeners

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// ClientAnonymousRead finds a client port from which everybody can read.
func ClientAnonymousRead() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "client-anonymous-read",
		Title:    "Anyone can read keys without a credential",
		Severity: audit.Critical,
		Rationale: "With etcd's authentication off, as in Kubernetes, whoever can read anonymously can also write: Secrets, " +
			"service account tokens, Pods and RBAC of the whole cluster. This means root on every node.",
		Method: "Calls Range for one key, keys only and serializable, without TLS and over TLS without a certificate. Does the " +
			"same through the JSON gateway if it is on. The key is not kept.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Accept only certificates of the client CA, and restart the member:"),
				audit.Paste("--client-cert-auth --trusted-ca-file=ca.crt --listen-client-urls=https://%s", p.Client()),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.2", "CIS Kubernetes Benchmark v2.0.1 2.2", "STIG V-242423", "NIST 800-53 SC-23", "NIST 800-53 IA-3", "NIST 800-53 AC-3", "etcd THREAT_MODEL.md: The Client-to-Server Boundary"},
		Applies:    audit.On(audit.Client),
		Run:        runClientAnonymousRead,
	})
}

func runClientAnonymousRead(t *audit.Listener) audit.Outcome {
	var findings []audit.Finding
	var denials, doubts []string
	for _, access := range audit.Anonymous() {
		for _, method := range []string{audit.RangeRPC, audit.GatewayRange} {
			call := t.RPC(access, method)
			switch {
			case call.State == audit.Answered && call.Code == 0:
				findings = append(findings, audit.Finding{Code: readCode(access, method), Text: fmt.Sprintf("the port answers %s %s; the member holds %d keys", method, access, call.Keys)})
			case call.State == audit.Answered && call.DeniesCaller():
				denials = append(denials, fmt.Sprintf("%s %s got %s", method, access, grpcStatus(call)))
			case method == audit.RangeRPC && t.HTTPOnly(access):
				switch {
				case t.HasNoGateway(access):
					denials = append(denials, fmt.Sprintf("the port speaks HTTP only, and has no gateway to the store for requests %s", access))
				case t.RPC(access, audit.GatewayRange).State == audit.Untried:
					doubts = append(doubts, "the port speaks HTTP only, and whether it has a gateway to the store was not seen: "+t.Page(access, audit.GatewayPath).Answer())
				}
			case call.State == audit.Answered:
				doubts = append(doubts, fmt.Sprintf("%s %s got %s", method, access, grpcStatus(call)))
			case call.State == audit.Unclear:
				doubts = append(doubts, fmt.Sprintf("%s %s: %s", method, access, call.Reason))
			}
		}
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	if len(doubts) > 0 {
		return audit.CouldNotTell(doubts[0])
	}
	anonymous := t.Admits(audit.NoCertificate)
	switch {
	case len(denials) > 0:
		return audit.Passed(denials[0])
	case anonymous.Verdict == audit.Fail: // let in, and Range was not tried
		return audit.CouldNotTell("Range " + string(audit.WithoutCertificate) + " was not tried")
	default:
		return anonymous
	}
}

func readCode(access audit.Access, method string) string {
	code := map[audit.Access]string{audit.InPlaintext: "h2c", audit.WithoutCertificate: "tls"}[access]
	if method == audit.GatewayRange {
		code = map[audit.Access]string{audit.InPlaintext: "gateway-http", audit.WithoutCertificate: "gateway-tls"}[access]
	}
	return code
}
