package listeners

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// PeerWrongSAN finds a peer port that accepts a member's certificate from any address.
func PeerWrongSAN() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "peer-wrong-san",
		Title:    "The peer port accepts a member's certificate from elsewhere",
		Severity: audit.High,
		Rationale: "etcd compares the SANs of a member's certificate with the address that it comes from, so a key that was " +
			"stolen from one node is useless on another. --experimental-peer-skip-client-san-verification turns this off.",
		Method: "Presents a certificate of the peer CA for an address that no machine has (192.0.2.0/24, RFC 5737), given with " +
			"--present or made in memory with --mint, twice. etcd closes such a connection without an alert.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Let etcd compare the addresses, and restart the member:"),
				audit.Paste("--experimental-peer-skip-client-san-verification=false"),
				audit.Paste("--peer-skip-client-san-verification=false    # its name in 3.6 and later"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.5", "CIS Kubernetes Benchmark v2.0.1 2.5", "STIG V-242426", "NIST 800-53 IA-3", "NIST 800-53 SC-23", "etcd THREAT_MODEL.md: The Peer-to-Peer Boundary"},
		Applies:    audit.On(audit.Peer),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(h audit.Handshake) audit.Outcome { return judgeWrongSAN(t, h) })
		},
	})
}

func judgeWrongSAN(t *audit.Listener, anonymous audit.Handshake) audit.Outcome {
	var tried []audit.Handshake
	for _, h := range t.Handshakes {
		if h.Presented == audit.ElsewhereMember {
			tried = append(tried, h)
		}
	}
	if len(tried) == 0 {
		return judgeFaultyCert(t, anonymous, audit.ElsewhereMember, "--mint, or --present elsewhere=CERT,KEY")
	}
	closed := 0
	for _, h := range tried {
		switch h.State {
		case audit.Answered:
			return audit.Failed(audit.Finding{Code: "accepted", Text: string(audit.ElsewhereMember) + " is let in"})
		case audit.Refused:
			return judgeFaultyCert(t, anonymous, audit.ElsewhereMember, "")
		case audit.Closed:
			closed++
		default:
			return audit.CouldNotTell(fmt.Sprintf("%s: %s", audit.ElsewhereMember, h.Reason))
		}
	}
	// One closed connection may be a fault of the network. Two of two, where a foreign CA
	// got its alert in the same moment, are not.
	if closed > 1 && t.Admits(audit.ForeignCA).Verdict == audit.Pass {
		return audit.Passed(fmt.Sprintf("the port closes the connection of %s, %d times out of %d; a foreign CA gets an alert", audit.ElsewhereMember, closed, len(tried)))
	}
	return t.Admits(audit.ElsewhereMember)
}
