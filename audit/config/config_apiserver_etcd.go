package config

import (
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// APIServerEtcd finds a kube-apiserver that does not speak mutual TLS to etcd.
func APIServerEtcd() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-apiserver-etcd",
		Title:    "kube-apiserver is not configured for mutual TLS with etcd",
		Severity: audit.High,
		Rationale: "Every object crosses the connection from the API server to etcd. Without --etcd-cafile, whoever has a " +
			"certificate of a public CA can act as etcd; without a client certificate, etcd must let everybody in.",
		Method: "Reads the effective --etcd-servers, --etcd-servers-overrides, --etcd-certfile, --etcd-keyfile and " +
			"--etcd-cafile of the kube-apiserver on the host.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Set etcd's CA and a client certificate in kube-apiserver's manifest:"),
				audit.Paste("--etcd-servers=https://127.0.0.1:2379 --etcd-cafile=ca.crt --etcd-certfile=apiserver-etcd-client.crt " +
					"--etcd-keyfile=apiserver-etcd-client.key"),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 1.2.23", "CIS Kubernetes Benchmark v1.12 1.2.26",
			"STIG V-242429", "STIG V-242430", "STIG V-242431", "NIST 800-53 SC-8(1)", "NIST 800-53 SC-23",
		},
		Run: ofAPIServer(func(s *audit.Settings) audit.Outcome {
			return ask(s, checkEtcdServers, checkEtcdClientCertificate, checkEtcdCA)
		}),
	})
}

func checkEtcdServers(r *reading) {
	// Items are URLs, and of the overrides "group/resource#URL;URL".
	servers, overrides := r.value("etcd-servers"), r.value("etcd-servers-overrides")
	if servers == "" {
		r.addDoubt("--etcd-servers is not set, and kube-apiserver does not start without it")
	}
	for _, list := range []struct{ flag, value string }{{"etcd-servers", servers}, {"etcd-servers-overrides", overrides}} {
		for item := range strings.FieldsFuncSeq(list.value, func(c rune) bool { return strings.ContainsRune(",;#", c) }) {
			if item = strings.TrimSpace(item); strings.HasPrefix(strings.ToLower(item), "http://") {
				r.addFinding("plaintext", "kube-apiserver dials "+item+" without TLS: "+r.describe(list.flag))
			}
		}
	}
	if len(r.findings) == 0 {
		r.addEvidence(r.describe("etcd-servers"))
	}
}

// onlySockets reports whether kube-apiserver reaches its store only by Unix sockets. So it reaches
// kine, which k3s has in place of etcd. Nobody is in between, and the owner and mode of the socket's
// file decide who may connect.
func onlySockets(r *reading) bool {
	servers := r.value("etcd-servers") + "," + r.value("etcd-servers-overrides")
	sockets := 0
	for item := range strings.FieldsFuncSeq(servers, func(c rune) bool { return strings.ContainsRune(",;#", c) }) {
		item = strings.ToLower(strings.TrimSpace(item))
		switch {
		case strings.HasPrefix(item, "unix:"):
			sockets++
		case strings.Contains(item, "://"):
			return false
		}
	}
	return sockets > 0
}

func checkEtcdClientCertificate(r *reading) {
	if onlySockets(r) {
		r.addEvidence("a Unix socket needs no certificate")
		return
	}
	if r.value("etcd-certfile") == "" || r.value("etcd-keyfile") == "" {
		r.addFinding("no-client-certificate", "kube-apiserver presents no certificate to etcd: "+r.describe("etcd-certfile")+", "+r.describe("etcd-keyfile"))
		return
	}
	r.addEvidence(r.describe("etcd-certfile") + ", " + r.describe("etcd-keyfile"))
}

func checkEtcdCA(r *reading) {
	if onlySockets(r) {
		return
	}
	if r.value("etcd-cafile") == "" {
		r.addFinding("no-ca", "kube-apiserver verifies etcd against the CAs of the operating system: "+r.describe("etcd-cafile"))
		return
	}
	r.addEvidence(r.describe("etcd-cafile"))
}
