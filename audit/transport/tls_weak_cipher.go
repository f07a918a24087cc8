package transport

import (
	"fmt"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// TLSWeakCipher finds a port that accepts a weak cipher suite.
func TLSWeakCipher() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "tls-weak-cipher",
		Title:    "The port accepts a weak cipher suite",
		Severity: audit.Medium,
		Rationale: "Without forward secrecy, whoever copies the traffic can read it once the server's key leaks. RC4 and 64-bit " +
			"blocks reveal plaintext; CBC does so if the server's time depends on the padding (Lucky Thirteen). Go still " +
			"offers CBC in TLS 1.2 unless etcd gets a list of suites.",
		Method: "Sends TLS 1.2 and TLS 1.3 ClientHellos that offer only weak suites, and repeats each without the suite that " +
			"the server chose, until it chooses none. Stops at the server's answer, so it needs no client certificate. If the " +
			"settings of a host show that several ports are one etcd's, the first of them has the finding.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Disable TLS 1.2 (etcd 3.4.25, 3.5.8 and later), or name its suites, but not both: etcd refuses both. " +
					"Restart the member:"),
				audit.Paste("--tls-min-version=TLS1.3"),
				audit.Paste("--cipher-suites=TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384," +
					"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 1.2.29", "STIG V-242418", "NIST 800-52r2 3.3.1", "NIST 800-53 SC-13", "NIST 800-53 SC-8(1)",
			"PCI DSS 4.0.1 4.2.1", "BSI TR-02102-2", "RFC 9325 4", "GHSA-5x4g-q5rc-36jp",
		},
		Applies: audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(audit.Handshake) audit.Outcome { return judgeWeakCipher(t) })
		},
	})
}

func judgeWeakCipher(t *audit.Listener) audit.Outcome {
	if findings := weakCiphers(t); len(findings) > 0 {
		// One setting makes one finding, however many ports it is for.
		for _, other := range t.Earlier {
			if len(weakCiphers(other)) > 0 {
				return audit.Skipped(fmt.Sprintf("%s has the finding for all ports of this etcd, whose --cipher-suites are one setting; this port accepts %s",
					other.Address, joinCodes(findings)))
			}
		}
		return audit.Failed(findings...)
	}
	if doubt := t.Unsettled(audit.WeakSuites); doubt != "" {
		return audit.CouldNotTell(doubt)
	}
	return audit.Passed("the server refuses every weak suite; " + describeChoices(t, func(c audit.Choice) string { return audit.SuiteOf(c.Suite).Name }))
}

// weakCiphers returns a finding for each weak suite that the server chose.
func weakCiphers(t *audit.Listener) []audit.Finding {
	var findings []audit.Finding
	for _, h := range t.Hellos {
		for _, choice := range h.Chosen {
			suite := audit.SuiteOf(choice.Suite)
			if weakness := suite.Weakness(); weakness != "" && !hasFinding(findings, suite.Name) {
				findings = append(findings, audit.Finding{Code: suite.Name, Text: fmt.Sprintf("the server accepts %s: %s", suite.Name, weakness)})
			}
		}
	}
	return findings
}

func joinCodes(findings []audit.Finding) string {
	codes := make([]string, len(findings))
	for i, f := range findings {
		codes[i] = f.Code
	}
	return strings.Join(codes, ", ")
}
