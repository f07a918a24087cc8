package transport

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// TLSCompression finds a port that compresses what it encrypts.
func TLSCompression() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "tls-compression",
		Title:    "The port accepts TLS compression",
		Severity: audit.Medium,
		Rationale: "The compressed length shows how much a guess has in common with a secret next to it. So an attacker who sees " +
			"the traffic, and can have values written, can read other values byte by byte (CRIME, CVE-2012-4929).",
		Method: "Sends a TLS 1.2 ClientHello that offers DEFLATE before no compression, and reads the choice from the " +
			"ServerHello. TLS 1.3 has no compression.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("etcd itself never compresses TLS. Find the program that answers on the port instead, such as a proxy, and turn " +
					"compression off there; or disable TLS 1.2:"),
				audit.Paste("openssl s_client -connect %s -tls1_2 </dev/null 2>/dev/null | grep -i compression", p.Asked()),
				audit.Paste("--tls-min-version=TLS1.3"),
			}
		},
		References: []string{"NIST 800-52r2 3.7", "NIST 800-53 SC-8(1)", "CVE-2012-4929", "BSI TR-02102-2", "RFC 9325 3.3"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(audit.Handshake) audit.Outcome {
				return judgeInTLS12(t, "TLS 1.3 has no compression", func(c audit.Choice) audit.Outcome {
					if c.Compression != 0 {
						return audit.Failed(audit.Finding{Code: "compressed", Text: fmt.Sprintf("the ServerHello of TLS 1.2 chooses the compression method %d", c.Compression)})
					}
					return audit.Passed("the ServerHello of TLS 1.2 chooses no compression")
				})
			})
		},
	})
}
