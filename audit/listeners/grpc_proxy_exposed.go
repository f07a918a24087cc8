package listeners

import (
	"fmt"
	"net/http"

	"github.com/etcdsec/etcdsec/audit"
)

// GRPCProxyExposed finds a grpc-proxy that lends its own certificate to everybody.
func GRPCProxyExposed() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "grpc-proxy-exposed",
		Title:    "A grpc-proxy serves callers without a certificate",
		Severity: audit.Critical,
		Rationale: "etcd's grpc-proxy dials the members with its own client certificate. Whoever gets into the proxy acts as that " +
			"client, and the members cannot tell the difference: their mTLS and their RBAC by common name protect nothing.",
		Method: "Sends GET /proxy/health, a page that only a proxy serves, in plaintext and over TLS without a client " +
			"certificate.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give the proxy TLS and a client CA of its own, and restart it:"),
				audit.Paste("--cert-file=proxy.crt --key-file=proxy.key --trusted-ca-file=proxy-clients-ca.crt"),
			}
		},
		References: []string{"STIG V-242413", "STIG V-242423", "NIST 800-53 AC-3", "NIST 800-53 IA-3", "NIST 800-53 SC-8", "etcd THREAT_MODEL.md: Component Scope"},
		Applies:    audit.On(audit.Client),
		Run:        runGRPCProxyExposed,
	})
}

func runGRPCProxyExposed(t *audit.Listener) audit.Outcome {
	const path = "/proxy/health"
	var findings []audit.Finding
	for _, access := range audit.Anonymous() {
		page := t.Page(access, path)
		// The page answers 503 when no member does.
		if page.State == audit.Answered && page.Typical && (page.Status == http.StatusOK || page.Status == http.StatusServiceUnavailable) {
			findings = append(findings, audit.Finding{
				Code: map[audit.Access]string{audit.InPlaintext: "plaintext", audit.WithoutCertificate: "tls"}[access],
				Text: fmt.Sprintf("GET %s %s got HTTP status %d: a grpc-proxy answers", path, access, page.Status),
			})
		}
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	for _, access := range audit.Anonymous() {
		if page := t.Page(access, path); page.State == audit.Answered && page.Status != http.StatusNotFound {
			return audit.CouldNotTell(fmt.Sprintf("GET %s %s got HTTP status %d, which etcd does not send", path, access, page.Status))
		}
	}
	return judgeRefusedPage(t, path)
}
