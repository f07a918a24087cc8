package pki

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// SpecConfig holds the facts about a cluster that its certificates do not tell.
type SpecConfig struct {
	Name    string
	Version string // of etcd
	Layout  cluster.Layout
}

// ForeignSpec writes the spec of a cluster from its PKI: members with the names in their
// certificates, clients, and the same hierarchy. The notes tell what the spec does not have.
func ForeignSpec(config SpecConfig, members []*Foreign) (yaml []byte, notes []string) {
	var b strings.Builder
	p := members[0]
	algorithm, known := keyAlgorithmOf(p.Server[0])
	switch {
	case hasWeakKey(p.Server[0]):
		notes = append(notes, fmt.Sprintf("the keys are weak, %s; new keys will be %s", DescribeKey(p.Server[0]), algorithm))
	case !known:
		notes = append(notes, fmt.Sprintf("the keys are %s, which no spec can have; new keys will be %s", DescribeKey(p.Server[0]), algorithm))
	}
	hierarchy := cluster.Single
	if p.ClientCA.Equal(p.PeerCA) {
		hierarchy = cluster.Shared
	}
	runtime := cluster.StaticPod
	if config.Layout == cluster.LayoutK3s {
		runtime = cluster.Systemd
	}
	fmt.Fprintf(&b, `# Written by etcdsec from the certificates of a running cluster. Check the version, the ports
# and the addresses before you renew anything.
apiVersion: %s
kind: %s
metadata: {name: %s}
spec:
  etcd:
    version: %q
    runtime: %s
`, cluster.APIVersion, cluster.Kind, config.Name, config.Version, runtime)
	if slices.Contains(p.Server[0].ExtKeyUsage, x509.ExtKeyUsageClientAuth) {
		b.WriteString("    enableGRPCGateway: true          # the server certificates are client certificates too\n")
	}
	b.WriteString("    members:\n")
	shared := sharedNames(members)
	for _, p := range members {
		addresses, dropped := addressesOf(p, shared)
		if len(dropped) > 0 {
			notes = append(notes, fmt.Sprintf("%s: left out %s: other members' certificates have these names too, or they are not addresses", p.Member, strings.Join(dropped, " ")))
		}
		fmt.Fprintf(&b, "      - {name: %s, addresses: [%s]}\n", p.Member, strings.Join(addresses, ", "))
	}
	b.WriteString(clientsOf(p))
	fmt.Fprintf(&b, "  pki: {layout: %s, hierarchy: %s, keyAlgorithm: %s}\n", config.Layout, hierarchy, algorithm)
	return []byte(b.String()), notes
}

// clientsOf returns the spec's clients whose certificates are in the members' folders, with the CNs
// by which etcd knows them. A client whose CN no spec allows keeps the default name.
func clientsOf(p *Foreign) string {
	var lines []string
	for _, role := range sortedNames(p.Clients) {
		cn := p.Clients[role].Subject.CommonName
		if a, err := cluster.ParseAddress(cn); err == nil && a.DNS == cn && !strings.Contains(cn, ".") && len(cn) < 64 {
			lines = append(lines, fmt.Sprintf("    - {name: %s, role: %s}\n", cn, role))
		}
	}
	if lines == nil {
		return ""
	}
	return "  clients:\n" + strings.Join(lines, "")
}

// sharedNames returns the names that several members have, such as the name of a service.
func sharedNames(members []*Foreign) []string {
	count := map[string]int{}
	for _, p := range members {
		for _, name := range allNames(p).Strings() {
			count[name]++
		}
	}
	var shared []string
	for _, name := range sortedNames(count) {
		if count[name] > 1 {
			shared = append(shared, name)
		}
	}
	return shared
}

func allNames(p *Foreign) Names {
	peer, _ := namesOf(p.Peer[0])
	server, _ := namesOf(p.Server[0])
	return peer.union(server)
}

// addressesOf returns a member's own addresses. IP addresses come first, because a member
// advertises the first address.
func addressesOf(p *Foreign, shared []string) (addresses, dropped []string) {
	everywhere := loopback().Strings()
	for _, name := range allNames(p).Strings() {
		if slices.Contains(everywhere, name) {
			continue
		}
		a, err := cluster.ParseAddress(name)
		switch {
		case err != nil || slices.Contains(shared, name):
			dropped = append(dropped, name)
		case a.IP.Is6():
			addresses = append(addresses, fmt.Sprintf("%q", name))
		default:
			addresses = append(addresses, name)
		}
	}
	if len(addresses) == 0 {
		// Members that live on loopback: a cluster on one machine.
		for _, ip := range allNames(p).IPs {
			if ip != netip.IPv6Loopback() {
				return []string{ip.String()}, dropped
			}
		}
	}
	return addresses, dropped
}
