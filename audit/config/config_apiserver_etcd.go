package config

import (
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// APIServerEtcd finds a kube-apiserver that does not speak mutual TLS to etcd.
func APIServerEtcd() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-apiserver-etcd",
		Title:    "kube-apiserver is not set up for mutual TLS with etcd",
		Severity: audit.High,
		Rationale: "Every object crosses the connection from the API server to etcd. Without --etcd-cafile whoever has a " +
			"certificate of a public CA can stand in between; without a client certificate etcd must let everybody in.",
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
			return ask(s, etcdServers, etcdClientCertificate, etcdCA)
		}),
	})
}

func etcdServers(r *reading) {
	// Items are URLs, and of the overrides "group/resource#URL;URL".
	servers, overrides := r.value("etcd-servers"), r.value("etcd-servers-overrides")
	if servers == "" {
		r.doubts("--etcd-servers is not set, and kube-apiserver does not start without it")
	}
	for _, list := range []struct{ flag, value string }{{"etcd-servers", servers}, {"etcd-servers-overrides", overrides}} {
		for item := range strings.FieldsFuncSeq(list.value, func(c rune) bool { return strings.ContainsRune(",;#", c) }) {
			if item = strings.TrimSpace(item); strings.HasPrefix(strings.ToLower(item), "http://") {
				r.found("plaintext", "kube-apiserver dials "+item+" without TLS: "+r.written(list.flag))
			}
		}
	}
	if len(r.findings) == 0 {
		r.saw(r.written("etcd-servers"))
	}
}

// onlySockets reports whether kube-apiserver reaches its store by Unix sockets alone, as it does
// kine, which k3s has in place of etcd: nobody is on the way, and the socket's owner and mode tell who is let in.
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

func etcdClientCertificate(r *reading) {
	if onlySockets(r) {
		r.saw("a Unix socket needs no certificate")
		return
	}
	if r.value("etcd-certfile") == "" || r.value("etcd-keyfile") == "" {
		r.found("no-client-certificate", "kube-apiserver presents no certificate to etcd: "+r.written("etcd-certfile")+", "+r.written("etcd-keyfile"))
		return
	}
	r.saw(r.written("etcd-certfile") + ", " + r.written("etcd-keyfile"))
}

func etcdCA(r *reading) {
	if onlySockets(r) {
		return
	}
	if r.value("etcd-cafile") == "" {
		r.found("no-ca", "kube-apiserver verifies etcd by the CAs of the operating system: "+r.written("etcd-cafile"))
		return
	}
	r.saw(r.written("etcd-cafile"))
}
