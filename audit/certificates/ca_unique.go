package certificates

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// CAUnique finds an etcd that trusts the CA of Kubernetes' own clients.
func CAUnique() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "ca-unique",
		Title:    "etcd trusts the CA of Kubernetes' own clients",
		Severity: audit.High,
		Rationale: "The cluster's CA signs a certificate for every kubelet, and for everyone whose CertificateSigningRequest is " +
			"approved. If etcd trusts this CA, each of them can read and write all of etcd, past the API server and its " +
			"RBAC.",
		Method: "Reads the CA names in the CertificateRequest of etcd's client and peer ports and of the ports of the API " +
			"servers and kubelets, without any credential, and compares them. A name is not a key: an equal name is a " +
			"strong hint, and only the two files prove it. Needs --apiserver or --kubelet, or API servers in the spec.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Check whether the two files hold the same certificate, then give etcd CAs of its own:"),
				audit.Paste("openssl x509 -noout -fingerprint -sha256 -in /etc/kubernetes/pki/ca.crt"),
				audit.Paste("openssl x509 -noout -fingerprint -sha256 -in /etc/kubernetes/pki/etcd/ca.crt"),
				audit.Paste("etcdsec bootstrap -f %s %s", p.Spec(), p.Store()),
				audit.Paste("--trusted-ca-file=ca.crt --peer-trusted-ca-file=peer-ca.crt"),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 2.7", "CIS Kubernetes Benchmark v2.0.1 2.7", "NSA/CISA Kubernetes Hardening Guide v1.2: Etcd",
			"NIST 800-53 SC-17", "NIST 800-53 CM-6", "NIST 800-53 AC-6"},
		Run: runCAUnique,
	})
}

func runCAUnique(t *audit.EtcdCluster) audit.Outcome {
	ports := t.Of(audit.Client, audit.Peer)
	if len(ports) == 0 {
		return audit.CouldNotTell("no port of etcd was asked")
	}
	others := t.Of(audit.APIServer, audit.Kubelet)
	if len(others) == 0 {
		return audit.Skipped("no API server or kubelet was given to compare with: add --apiserver HOST:6443 or --kubelet HOST:10250")
	}
	etcd, kubernetes := trustsOf(ports), trustsOf(others)
	if findings := sharedCAs(etcd, kubernetes); len(findings) > 0 {
		return audit.Failed(findings...)
	}
	fault := firstFault(slices.Concat(etcd, kubernetes))
	for _, port := range slices.Concat(etcd, kubernetes) {
		if port.asks && len(port.names) == 0 && fault == "" {
			fault = fmt.Sprintf("%s port %s asks for a certificate and names no CA: it trusts the CAs of its system, or does not tell which", port.listener.Kind, port.listener.Address)
		}
	}
	switch asked := slices.ContainsFunc(etcd, func(port trust) bool { return port.asks }); {
	case fault != "":
		return audit.CouldNotTell(fault)
	case !asked:
		return audit.Skipped("etcd asks for no client certificate, so it trusts no CA")
	case len(union(kubernetes)) == 0:
		return audit.Passed(fmt.Sprintf("etcd trusts %s; the API servers and kubelets ask for no client certificate", formatNames(union(etcd))))
	default:
		return audit.Passed(fmt.Sprintf("etcd trusts %s, Kubernetes %s", formatNames(union(etcd)), formatNames(union(kubernetes))))
	}
}

// sharedCAs returns one finding for each pair of kinds of port that trust a CA with the same name.
func sharedCAs(etcd, kubernetes []trust) []audit.Finding {
	var findings []audit.Finding
	for _, kind := range []audit.Kind{audit.Client, audit.Peer} {
		for _, other := range []audit.Kind{audit.APIServer, audit.Kubelet} {
			ours, theirs := portsOfKind(etcd, kind), portsOfKind(kubernetes, other)
			known := union(theirs)
			shared := slices.DeleteFunc(union(ours), func(name []byte) bool { return !containsName(known, name) })
			if len(shared) == 0 {
				continue
			}
			findings = append(findings, audit.Finding{Code: string(kind) + "-" + string(other), Text: fmt.Sprintf(
				"etcd's %s port (%s) and the %s (%s) both trust a CA with the name %s; the name does not prove that it is the same CA",
				kind, addressesOf(ours, shared), other, addressesOf(theirs, shared), formatNames(shared))})
		}
	}
	return findings
}

func portsOfKind(trusts []trust, kind audit.Kind) []trust {
	return slices.DeleteFunc(slices.Clone(trusts), func(t trust) bool { return t.listener.Kind != kind })
}

// addressesOf lists the addresses of the listeners that trust a CA with one of the names.
func addressesOf(trusts []trust, names [][]byte) string {
	var addresses []string
	for _, t := range trusts {
		if slices.ContainsFunc(t.names, func(name []byte) bool { return containsName(names, name) }) {
			addresses = append(addresses, t.listener.Address)
		}
	}
	return strings.Join(addresses, ", ")
}
