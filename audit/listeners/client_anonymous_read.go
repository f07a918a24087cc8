package listeners

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// ClientAnonymousRead finds a client port from which everybody reads.
func ClientAnonymousRead() audit.Check {
	return audit.Check{
		ID:       "client-anonymous-read",
		Title:    "Keys are read without any credential",
		Severity: audit.Critical,
		Rationale: "With etcd's authentication off, as in Kubernetes, who reads anonymously also writes: Secrets, service " +
			"account tokens, Pods and RBAC of the whole cluster. It is root on every node.",
		Method: "Calls Range for one key, keys only and serializable, without TLS and over TLS without a certificate. " +
			"The key is not kept.",
		Remediation: "Let only certificates of the client CA in, and restart the member:\n" +
			"--client-cert-auth --trusted-ca-file=ca.crt --listen-client-urls=https://ADDRESS:2379",
		References: []string{"CIS Kubernetes Benchmark v1.12 2.2", "STIG V-242423", "NIST 800-53 SC-23", "NIST 800-53 IA-3", "NIST 800-53 AC-3"},
		Applies:    audit.On(audit.Client),
		Run:        runClientAnonymousRead,
	}
}

func runClientAnonymousRead(t *audit.Target) audit.Outcome {
	var findings []audit.Finding
	var denials, doubts []string
	for _, access := range audit.Anonymous() {
		call := t.RPC(access, audit.RangeRPC)
		switch {
		case call.State == audit.Answered && call.Code == 0:
			code := map[audit.Access]string{audit.InPlaintext: "h2c", audit.WithoutCertificate: "tls"}[access]
			findings = append(findings, audit.Finding{Code: code, Text: fmt.Sprintf("Range %s is answered; the member holds %d keys", access, call.Keys)})
		case call.State == audit.Answered && deniesCaller(call):
			denials = append(denials, fmt.Sprintf("Range %s got %s", access, grpcStatus(call)))
		case call.State == audit.Answered:
			doubts = append(doubts, fmt.Sprintf("Range %s got %s", access, grpcStatus(call)))
		case call.State == audit.Unclear:
			doubts = append(doubts, fmt.Sprintf("Range %s: %s", access, call.Reason))
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

// deniesCaller says whether etcd refused a call for want of credentials. With
// authentication on it answers "user name is empty" as an invalid argument.
func deniesCaller(call audit.RPC) bool {
	const (
		invalidArgument  = 3
		permissionDenied = 7
		unauthenticated  = 16
	)
	switch call.Code {
	case permissionDenied, unauthenticated:
		return true
	case invalidArgument:
		return call.Message == "etcdserver: user name is empty"
	default:
		return false
	}
}
