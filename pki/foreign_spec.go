package pki

import (
	"crypto/x509"
	"fmt"
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
		notes = append(notes, fmt.Sprintf("the keys are weak, %s; new keys will be %s", describeWeakKey(p.Server[0]), algorithm))
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
	if slices.ContainsFunc(members, func(p *Foreign) bool { return allows(p.Server[0], x509.ExtKeyUsageClientAuth) }) {
		b.WriteString("    enableGRPCGateway: true          # the server certificates are client certificates too\n")
	}
	names := newForeignNames(members)
	if len(names.all) > 0 {
		fmt.Fprintf(&b, "    extraNames: [%s]   # in the certificates of every member\n", strings.Join(yamlWords(names.all), ", "))
	}
	b.WriteString("    members:\n")
	for _, p := range members {
		own := names.of(p)
		for _, left := range own.left {
			notes = append(notes, fmt.Sprintf("%s: left out %s: %s", p.Member, left.name, left.why))
		}
		extra := ""
		if len(own.extra) > 0 {
			extra = ", extraNames: [" + strings.Join(yamlWords(own.extra), ", ") + "]"
		}
		fmt.Fprintf(&b, "      - {name: %s, addresses: [%s]%s}\n", p.Member, strings.Join(yamlWords(own.addresses), ", "), extra)
	}
	b.WriteString(clientsOf(p))
	fmt.Fprintf(&b, "  pki: {layout: %s, hierarchy: %s, keyAlgorithm: %s}\n", config.Layout, hierarchy, algorithm)
	return []byte(b.String()), notes
}

// clientsOf returns the spec's clients whose certificates are in the members' folders, with the CNs
// by which etcd knows them.
func clientsOf(p *Foreign) string {
	var lines []string
	for _, role := range sortedNames(p.Clients) {
		cn := p.Clients[role].Subject.CommonName
		switch {
		case cn == "": // etcd knows no user by it, and the client gets its default name
		case cluster.IsName(cn):
			lines = append(lines, fmt.Sprintf("    - {name: %s, role: %s}\n", yamlWords([]string{cn})[0], role))
		default:
			lines = append(lines, fmt.Sprintf("    - {name: %s, role: %s, commonName: %q}\n", cluster.DefaultClientName(cluster.Role(role)), role, cn))
		}
	}
	if lines == nil {
		return ""
	}
	return "  clients:\n" + strings.Join(lines, "")
}
