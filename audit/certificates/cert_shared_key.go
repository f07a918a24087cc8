package certificates

import (
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// CertSharedKey finds a private key that two members share, or that one member uses for two ports.
func CertSharedKey() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "cert-shared-key",
		Title:    "One private key serves several members or ports",
		Severity: audit.Low,
		Rationale: "A key that is on every node can be stolen from the weakest one, identifies all of them, and can only be " +
			"replaced everywhere at once. A key in two certificates survives the revocation of one: etcd's revocation " +
			"lists name serials, not keys.",
		Method: "Compares the public keys of the leaves that the cluster's client and peer ports serve: between members, and " +
			"between one member's client and peer port if these serve different certificates. Members are told apart by " +
			"their IDs, by their advertised addresses or by the hosts of the spec.",
		Remediation: func(p audit.Place) audit.Remediation { return renewKeys(p, p) },
		References:  []string{"NIST 800-57 Part 1 5.2", "NIST 800-53 SC-12", "NIST 800-53 IA-3", "NIST 800-53 IA-5(2)"},
		Run:         runCertSharedKey,
	})
}

// renewKeys returns the lines that give each port a key of its own, and show the key of the given ones.
func renewKeys(p audit.Place, ports ...audit.Place) audit.Remediation {
	r := audit.Remediation{
		audit.Say("Give each member, and each port, a key of its own; etcd needs no restart:"),
		audit.Paste("etcdsec pki renew %s --all --new-key", p.Store()),
	}
	for _, port := range ports {
		r = append(r, audit.Paste("openssl s_client -connect %s </dev/null 2>/dev/null | openssl x509 -noout -pubkey | openssl sha256", port.Asked()))
	}
	return r
}

// holder is a port and the leaf that it serves.
type holder struct {
	listener *audit.Listener
	leaf     *x509.Certificate
	member   string // empty if the member is unknown
}

func runCertSharedKey(t *audit.EtcdCluster) audit.Outcome {
	ports := t.Of(audit.Client, audit.Peer)
	if len(ports) == 0 {
		return audit.CouldNotTell("no port of etcd was asked")
	}
	var holders []holder
	fault := ""
	for _, port := range ports {
		chains := servedChains(port)
		for _, chain := range chains {
			holders = append(holders, holder{port, chain[0], memberOf(t, port)})
		}
		switch {
		case len(chains) > 0:
		case !port.HasNoTLS() && fault == "":
			fault = fmt.Sprintf("%s port %s: %s", port.Kind, port.Address, whyNoChain(port))
		}
	}
	findings, shared, doubt := sharedKeys(holders)
	switch {
	case len(findings) > 0:
		o := audit.Failed(findings...)
		o.Remediation = renewKeys(t.Place(), shared...)
		return o
	case fault != "":
		return audit.CouldNotTell(fault)
	case doubt != "":
		return audit.CouldNotTell(doubt)
	case len(holders) == 0:
		return audit.Skipped("no port has TLS")
	default:
		return audit.Passed(fmt.Sprintf("ports compared: %d; none shares a key with another member or use", countPorts(holders)))
	}
}

// countPorts returns the number of different ports.
func countPorts(holders []holder) int {
	ports := map[*audit.Listener]bool{}
	for _, h := range holders {
		ports[h.listener] = true
	}
	return len(ports)
}

func whyNoChain(t *audit.Listener) string {
	if reason := t.Unreached(); reason != "" {
		return reason
	}
	return whyNoCertificate(t.Agreed(audit.NoCertificate))
}

// sharedKeys compares every port with the ones before it. shared holds the first two ports of a finding. doubt names two ports with one key if it is
// unknown whether both belong to the same member.
func sharedKeys(holders []holder) (findings []audit.Finding, shared []audit.Place, doubt string) {
	var between, within []string
	for i, b := range holders {
		for _, a := range holders[:i] {
			if a.listener == b.listener || !sameKey(a.leaf, b.leaf) {
				continue
			}
			ports := []audit.Place{a.listener.Place(), b.listener.Place()}
			pair := fmt.Sprintf("%s port %s and %s port %s", a.listener.Kind, a.listener.Address, b.listener.Kind, b.listener.Address)
			switch {
			case a.member == "" || b.member == "":
				doubt = pair + " serve one key and may belong to one member (repeat with --cert and --key, or with -f)"
			case a.member != b.member:
				between = append(between, pair)
				if shared == nil {
					shared = ports
				}
			case a.listener.Kind != b.listener.Kind && !a.leaf.Equal(b.leaf):
				within = append(within, pair)
				if shared == nil {
					shared = ports
				}
			}
		}
	}
	if len(between) > 0 {
		findings = append(findings, audit.Finding{Code: "members", Text: "different members serve the same key: " + joinSome(between)})
	}
	if len(within) > 0 {
		findings = append(findings, audit.Finding{Code: "ports", Text: "two certificates of a member have the same key: " + joinSome(within)})
	}
	return findings, shared, doubt
}

func joinSome(pairs []string) string {
	if len(pairs) > maxShown {
		return fmt.Sprintf("%s and %d more pairs", strings.Join(pairs[:maxShown], ", "), len(pairs)-maxShown)
	}
	return strings.Join(pairs, ", ")
}

// memberOf names the member to which a port of a cluster belongs: by the ID that the port told, by the
// addresses that the members advertise, by the only ID that the ports of its host told, and, in a
// cluster of a spec, whose members have hosts of their own, by its host.
func memberOf(cluster *audit.EtcdCluster, port *audit.Listener) string {
	if port.MemberID != 0 {
		return fmt.Sprintf("%x", port.MemberID)
	}
	host := port.Host()
	var onHost []uint64
	for _, other := range cluster.Listeners {
		for _, m := range other.Members {
			if slices.ContainsFunc(slices.Concat(m.ClientURLs, m.PeerURLs), func(url string) bool { return strings.HasSuffix(url, "://"+port.Address) }) {
				return fmt.Sprintf("%x", m.ID)
			}
		}
		if other.MemberID != 0 && other.Host() == host {
			onHost = append(onHost, other.MemberID)
		}
	}
	slices.Sort(onHost)
	switch onHost = slices.Compact(onHost); {
	case len(onHost) == 1:
		return fmt.Sprintf("%x", onHost[0])
	case len(onHost) == 0 && port.ClusterName != "":
		return host
	default:
		return ""
	}
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
