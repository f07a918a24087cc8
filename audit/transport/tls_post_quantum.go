package transport

import (
	"crypto/tls"

	"github.com/etcdsec/etcdsec/audit"
)

// TLSPostQuantum finds a port that accepts no key exchange that resists a quantum computer.
func TLSPostQuantum() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "tls-post-quantum",
		Title:    "The port accepts no post-quantum key exchange",
		Severity: audit.Low,
		Rationale: "An attacker can copy traffic today and read it when a quantum computer exists. What etcd carries, such as CA " +
			"keys in Secrets, may still be valuable then. A hybrid group is as strong as the better of its two parts.",
		Method: "Sends a TLS 1.3 ClientHello that offers only the groups X25519MLKEM768, SecP256r1MLKEM768 and " +
			"SecP384r1MLKEM1024, and checks whether the server chooses one. Does not judge by the version of etcd, because " +
			"builds differ.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Run a build with Go 1.24 or later (such as the releases 3.5.23, 3.6.5, 3.7.0 and later), without " +
					"GODEBUG=tlsmlkem=0 in its environment, and let it speak TLS 1.3; restart the member:"),
				audit.Paste("--tls-min-version=TLS1.3"),
			}
		},
		References: []string{
			"NIST 800-53 SC-13", "NIST 800-53 SC-12", "FIPS 203", "NIST IR 8547", "PCI DSS 4.0.1 12.3.3", "BSI TR-02102-1", "CNSA 2.0",
		},
		Applies: audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(audit.Handshake) audit.Outcome { return judgePostQuantum(t) })
		},
	})
}

func judgePostQuantum(t *audit.Listener) audit.Outcome {
	h := t.Hello(tls.VersionTLS13, audit.PostQuantumGroups)
	switch {
	case len(h.Chosen) > 0:
		return audit.Passed("the server chooses " + audit.GroupOf(h.Chosen[0].Group).Name)
	case h.VersionRefused:
		return audit.Failed(audit.Finding{Code: "no-tls1.3", Text: "the server refuses TLS 1.3, and TLS 1.2 has no such groups: " + h.Reason})
	case h.State == audit.Refused && len(t.Choices(tls.VersionTLS13)) > 0:
		return audit.Failed(audit.Finding{Code: "no-hybrid-group", Text: "the server chooses none of the groups: " + h.Reason + "; with other groups, " + describeChoices(t, groupName)})
	case h.Reason == "":
		return audit.CouldNotTell("TLS 1.3 was not tried")
	default:
		return audit.CouldNotTell("TLS 1.3 with " + string(h.Offer) + ": " + h.Reason)
	}
}
