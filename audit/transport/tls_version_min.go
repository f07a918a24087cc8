// Package transport holds the checks of the TLS that etcd's ports speak.
package transport

import (
	"crypto/tls"
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// TLSVersionMin finds a port that accepts an old version of TLS.
func TLSVersionMin() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "tls-version-min",
		Title:    "The port accepts an old version of TLS",
		Severity: audit.Medium,
		Rationale: "TLS 1.0 and 1.1 depend on SHA-1 and MD5 and are withdrawn (RFC 8996). TLS 1.2 is safe with the right suites, " +
			"but sends certificates in the clear, including the client's; a spec can require more.",
		Method: "Makes handshakes that offer at most TLS 1.1, and only TLS 1.2, and checks whether the server continues with " +
			"its certificate. The minimum is TLS 1.2, or the one in the spec or --min-tls.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Set the minimum and restart the member (etcd 3.4.25, 3.5.8 and later):"),
				audit.Paste("--tls-min-version=TLS1.3"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 1.2.29", "STIG V-242378", "NIST 800-52r2 3.1", "NIST 800-53 SC-8(1)", "NIST 800-53 SC-13", "RFC 8996"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(anonymous audit.Handshake) audit.Outcome { return judgeMinVersion(t, anonymous) })
		},
	})
}

func judgeMinVersion(t *audit.Listener, anonymous audit.Handshake) audit.Outcome {
	wanted := max(t.MinTLSVersion, tls.VersionTLS12)
	var findings []audit.Finding
	var doubt string
	lowest := anonymous.Version
	for _, offered := range []uint16{tls.VersionTLS11, tls.VersionTLS12} {
		h := t.HandshakeUpTo(offered)
		switch {
		case h.Version != 0 && h.Version < wanted:
			findings = append(findings, audit.Finding{
				Code: map[uint16]string{tls.VersionTLS10: "tls1.0", tls.VersionTLS11: "tls1.1", tls.VersionTLS12: "tls1.2"}[h.Version],
				Text: fmt.Sprintf("the server accepts %s; the minimum must be %s", tls.VersionName(h.Version), tls.VersionName(wanted)),
			})
		case h.Version != 0:
			lowest = min(lowest, h.Version)
		case !h.RefusesOffer() && offered < wanted && doubt == "":
			doubt = fmt.Sprintf("a handshake up to %s: %s", tls.VersionName(offered), h.Reason)
		}
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case doubt != "":
		return audit.CouldNotTell(doubt)
	case lowest == 0:
		return audit.CouldNotTell("the handshake agreed on no version: " + anonymous.Reason)
	default:
		return audit.Passed("the lowest accepted version is " + tls.VersionName(lowest))
	}
}
