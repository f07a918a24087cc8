package collect_test

import (
	"strings"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// laboratory is every configuration that is started: each dimension alone in every version,
// and the combinations in which one setting hides, or undoes, another: of those a third, unless it is the whole.
func laboratory(versions []string, whole bool) []setup {
	alone := []setup{
		{}, {anonymous: true},
		{client: "plain"}, {client: "both"}, {client: "tls"}, {client: "trusted-only"}, {client: "system-roots"}, {client: "auto-tls"},
		{crl: "der"}, {crl: "pem"}, {crl: "expired"}, {crl: "foreign"},
		{peer: "plain"}, {peer: "shared-ca"}, {peer: "shared-ca-cn"}, {peer: "shared-ca-hostname"}, {peer: "trusted-only"}, {peer: "auto-tls"}, {peer: "skip-san"},
		{metrics: "tls"},
		{pprof: "flag"}, {pprof: "debug-log"},
		{tls: "1.2"}, {tls: "1.3"}, {tls: "aead"},
		{cert: "expired"}, {cert: "due"}, {cert: "misnamed"},
		{split: "http"}, {split: "https"},
		{gateway: true}, {gateway: true, rbac: idle},
		{client: "plain", whitelist: true}, {client: "plain", slow: true},
	}
	together := []setup{
		{client: "plain", peer: "plain", anonymous: true, pprof: "flag", gateway: true},
		{client: "both", peer: "shared-ca", pprof: "debug-log"},
		{client: "tls", tls: "1.3", anonymous: true},
		{client: "tls", tls: "1.2", gateway: true, peer: "auto-tls"},
		{client: "trusted-only", tls: "1.3", peer: "shared-ca-cn", crl: "der"},
		{client: "system-roots", tls: "1.3", peer: "plain", anonymous: true},
		{client: "both", crl: "der", split: "", whitelist: true},
		{peer: "shared-ca", tls: "1.3", cert: "due", gateway: true},
		{split: "http", pprof: "flag", peer: "shared-ca"},
		{split: "https", crl: "der", gateway: true},
		{cert: "expired", anonymous: true},
		{peer: "shared-ca", given: "elsewhere"},
		{given: "peer-ca"},
		{given: "peer-ca", crl: "der", peer: "trusted-only"},
		{want13: true, tls: "1.2", metrics: "tls"},
		{want13: true, tls: "1.3"},
		{want13: true, peer: "plain"},
		{cert: "misnamed", tls: "aead", peer: "trusted-only"},
		{client: "auto-tls", peer: "auto-tls", anonymous: true},
		{client: "plain", rbac: idle, gateway: true, peer: "plain"},
		{client: "trusted-only", rbac: reader, peer: "shared-ca"},
		{client: "both", rbac: reader},
		{client: "tls", rbac: nobody},
		{anonymous: true, rbac: root},
	}
	var all []setup
	add := func(version string, s setup) {
		s.version = version
		// 3.4.23 has neither flag (3.4.25), and whether it answers gRPC without TLS beside TLS is
		// another at each start.
		if strings.HasPrefix(version, "3.4.") && (s.tls != "" && s.tls != "aead" || s.split != "" || s.client == "both") {
			return
		}
		if s.slow && version != etcdtest.V3_6 { // the relay is slow, whatever the member is
			return
		}
		all = append(all, s)
	}
	for _, user := range users() {
		alone = append(alone, setup{rbac: user})
	}
	for i, version := range versions {
		for _, s := range alone {
			add(version, s)
		}
		if strings.HasPrefix(version, "3.5") || strings.HasPrefix(version, "3.4") {
			all = append(all, setup{version: version, v2: true}, setup{version: version, v2: true, client: "plain"})
		}
		for j, s := range together {
			if whole || j%3 == 0 {
				add(version, s)
			}
		}
		for j, fault := range certificateFaults() { // of which each release serves what it is given
			if version == etcdtest.V3_6 || j%len(versions) == i {
				add(version, setup{cert: fault.name})
			}
		}
	}
	// The release that kubeadm 1.36 installs: a CRL does not hold on a gRPC port of its own (GHSA-3wh4-j44w-pg92).
	vulnerable := []setup{{}, {crl: "der"}, {crl: "der", split: "https"}}
	for _, user := range users() {
		vulnerable = append(vulnerable, setup{rbac: user})
	}
	for _, s := range vulnerable {
		s.version = etcdtest.Vulnerable
		all = append(all, s)
	}
	return all
}
