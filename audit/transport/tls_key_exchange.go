package transport

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// minPrimeBits is the minimum for a prime that the server chooses itself (RFC 9325 section 4.5).
const minPrimeBits = 2048

// TLSKeyExchange finds a port that accepts a key exchange in a weak group.
func TLSKeyExchange() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "tls-key-exchange",
		Title:    "The port accepts a weak group for the key exchange",
		Severity: audit.Medium,
		Rationale: "Whoever copies the traffic and solves one discrete logarithm in the group can read it. Curves below 224 bits " +
			"and primes of 1024 bits are within reach of a state, and one computation breaks every connection (Logjam).",
		Method: "Sends TLS 1.2 and TLS 1.3 ClientHellos that offer only curves below 256 bits, and repeats each without the " +
			"group that the server chose. Reads the group from its HelloRetryRequest, or the curve or prime from its " +
			"ServerKeyExchange.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("etcd itself accepts none of these in any version. Find the program that answers on the port instead (a proxy, or " +
					"a build with patched cryptography), and allow only x25519, P-256 and better there. Run this on the host of etcd to " +
					"see its own answer:"),
				audit.Paste("openssl s_client -connect %s -tls1_2 </dev/null 2>/dev/null | grep -i 'temp key'", p.Asked()),
				audit.Paste("--tls-min-version=TLS1.3"),
			}
		},
		References: []string{"NIST 800-52r2 3.3.1", "NIST 800-53 SC-12", "NIST 800-53 SC-13", "PCI DSS 4.0.1 12.3.3", "BSI TR-02102-2", "RFC 8422 5.1.1", "RFC 9325 4"},
		Applies:    audit.On(audit.Client, audit.Peer, audit.Metrics),
		Run: func(t *audit.Listener) audit.Outcome {
			return t.OverTLS(func(audit.Handshake) audit.Outcome { return judgeKeyExchange(t) })
		},
	})
}

func judgeKeyExchange(t *audit.Listener) audit.Outcome {
	var findings []audit.Finding
	for _, h := range t.Hellos {
		for _, choice := range h.Chosen {
			if f, weak := findWeakGroup(choice); weak && !hasFinding(findings, f.Code) {
				findings = append(findings, f)
			}
		}
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	if doubt := t.Unsettled(audit.WeakGroups); doubt != "" {
		return audit.CouldNotTell(doubt)
	}
	return audit.Passed("the server refuses every weak group; " + describeChoices(t, groupName))
}

func findWeakGroup(choice audit.Choice) (audit.Finding, bool) {
	group := audit.GroupOf(choice.Group)
	switch {
	case choice.PrimeBits > 0 && choice.PrimeBits < minPrimeBits:
		return audit.Finding{Code: "short-prime", Text: fmt.Sprintf("the server accepts a Diffie-Hellman prime of %d bits; the minimum is %d", choice.PrimeBits, minPrimeBits)}, true
	case group.Weakness != "":
		return audit.Finding{Code: group.Name, Text: fmt.Sprintf("the server accepts %s: %s", group.Name, group.Weakness)}, true
	default:
		return audit.Finding{}, false
	}
}

// groupName names the group of a choice; it is empty if the suite has no key exchange of its own.
func groupName(choice audit.Choice) string {
	switch {
	case choice.PrimeBits > 0:
		return fmt.Sprintf("a prime of %d bits", choice.PrimeBits)
	case choice.Group != 0:
		return audit.GroupOf(choice.Group).Name
	default:
		return ""
	}
}
