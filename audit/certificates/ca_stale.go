package certificates

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// CAStale finds CAs that etcd still trusts after a rotation.
func CAStale() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "ca-stale",
		Title:    "A port of etcd trusts more CAs than it needs",
		Severity: audit.Low,
		Rationale: "During the rotation of a CA, the members trust the old one and the new one. If this is left so, a key that " +
			"was replaced because it leaked still opens etcd. etcd reads its trusted CAs only when it starts, so a member " +
			"that was not restarted trusts other CAs than its peers.",
		Method: "Reads the CA names in the CertificateRequest of every client and peer port, without any credential. More than " +
			"one name, or names that differ between members, is a finding. For peer ports, the finding names the CAs that " +
			"signed no member's own certificate.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Finish the rotation: when no client uses a leaf of the old CA any more, remove the CA from the file and restart " +
					"the members one by one:"),
				audit.Paste("etcdsec pki verify %s", p.Store()),
				audit.Paste("openssl storeutl -noout -text -certs ca.crt | grep Subject:"),
				audit.Paste("--trusted-ca-file=ca.crt --peer-trusted-ca-file=peer-ca.crt"),
			}
		},
		References: []string{"NIST 800-57 Part 1 5.3.5", "NIST 800-53 SC-12", "NIST 800-53 SC-17", "NIST 800-53 CM-6", "etcd-io/etcd#11555"},
		Run:        runCAStale,
	})
}

func runCAStale(t *audit.EtcdCluster) audit.Outcome {
	ports := trustsOf(t.Of(audit.Client, audit.Peer))
	if len(ports) == 0 {
		return audit.CouldNotTell("no port of etcd was asked")
	}
	var findings []audit.Finding
	evidence := ""
	for _, kind := range []audit.Kind{audit.Client, audit.Peer} {
		naming := slices.DeleteFunc(portsOfKind(ports, kind), func(p trust) bool { return len(p.names) == 0 })
		if len(naming) == 0 {
			continue
		}
		if evidence != "" {
			evidence += "; "
		}
		evidence += fmt.Sprintf("every %s port trusts %s", kind, formatNames(naming[0].names))
		findings = append(findings, findStale(kind, naming)...)
	}
	if len(findings) > 0 {
		return audit.Failed(findings...)
	}
	if fault := firstFault(ports); fault != "" {
		return audit.CouldNotTell(fault)
	}
	if !slices.ContainsFunc(ports, func(p trust) bool { return p.asks }) {
		return audit.Skipped("etcd asks for no client certificate, so it trusts no CA")
	}
	for _, p := range ports {
		if p.asks && len(p.names) == 0 {
			return audit.CouldNotTell(fmt.Sprintf("%s port %s asks for a certificate and names no CA", p.listener.Kind, p.listener.Address))
		}
	}
	return audit.Passed(evidence)
}

// findStale judges the ports of one kind, all of which name at least one CA.
func findStale(kind audit.Kind, ports []trust) []audit.Finding {
	var findings []audit.Finding
	most, other := ports[0], -1
	for i, p := range ports {
		if len(p.names) > len(most.names) {
			most = p
		}
		if !slices.EqualFunc(p.names, ports[0].names, bytes.Equal) {
			other = i
		}
	}
	if len(most.names) > 1 {
		text := fmt.Sprintf("the %s port %s trusts %d CAs: %s", kind, most.listener.Address, len(most.names), formatNames(most.names))
		if unused := findUnused(ports, most.names); kind == audit.Peer && len(unused) > 0 {
			text += "; no member has a certificate from " + formatNames(unused)
		}
		findings = append(findings, audit.Finding{Code: string(kind), Text: text})
	}
	if other >= 0 {
		findings = append(findings, audit.Finding{Code: string(kind) + "-differs", Text: fmt.Sprintf("the %s port %s trusts %s, and %s trusts %s",
			kind, ports[0].listener.Address, formatNames(ports[0].names), ports[other].listener.Address, formatNames(ports[other].names))})
	}
	return findings
}

// findUnused returns the names to which no served chain leads. It returns nil if a port showed no
// chain.
func findUnused(ports []trust, names [][]byte) [][]byte {
	var paths [][]*x509.Certificate
	for _, p := range ports {
		chains := servedChains(p.listener)
		if len(chains) == 0 {
			return nil
		}
		for _, chain := range chains {
			paths = append(paths, servedPath(chain))
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name []byte) bool {
		return slices.ContainsFunc(paths, func(p []*x509.Certificate) bool { return leadsTo(p, [][]byte{name}) })
	})
}
