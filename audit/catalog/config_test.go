package catalog_test

import (
	"crypto/tls"
	"slices"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

const pkiDir = "/etc/kubernetes/pki"

// values are settings made by flags: name, value, name, value.
func values(pairs ...string) map[string]audit.Setting {
	all := map[string]audit.Setting{}
	for pair := range slices.Chunk(pairs, 2) {
		all[pair[0]] = audit.Setting{Value: pair[1], Source: "flag"}
	}
	return all
}

// hardenedSettings are those of a member in order, with an API server beside it.
func hardenedSettings() *audit.Settings {
	s := &audit.Settings{
		Program: "etcd", Host: "cp-0", Origin: "/etc/kubernetes/manifests/etcd.yaml", Version: "3.6.16", Running: true,
		Values: values(
			"listen-client-urls", "https://192.0.2.1:2379,https://127.0.0.1:2379", "listen-peer-urls", "https://192.0.2.1:2380",
			"listen-metrics-urls", "http://127.0.0.1:2381",
			"cert-file", pkiDir+"/etcd/server.crt", "key-file", pkiDir+"/etcd/server.key",
			"client-cert-auth", "true", "trusted-ca-file", pkiDir+"/etcd/ca.crt",
			"peer-cert-file", pkiDir+"/etcd/peer.crt", "peer-key-file", pkiDir+"/etcd/peer.key",
			"peer-client-cert-auth", "true", "peer-trusted-ca-file", pkiDir+"/etcd/peer-ca.crt",
			"tls-min-version", "TLS1.3",
		),
		Sandbox: &audit.Sandbox{By: audit.ManifestFile, Values: map[string]string{
			"seccompProfile.type": "RuntimeDefault", "allowPrivilegeEscalation": "false", "readOnlyRootFilesystem": "true", "capabilities.drop": "ALL",
		}},
	}
	file := func(path string, role audit.FileRole, mode uint32, flags ...string) audit.File {
		return audit.File{Path: path, Role: role, Mode: fsMode(mode), Owner: "root", Group: "root", Flags: flags}
	}
	ca, peerCA, key := file(pkiDir+"/etcd/ca.crt", audit.CertFile, 0o644, "trusted-ca-file"),
		file(pkiDir+"/etcd/peer-ca.crt", audit.CertFile, 0o644, "peer-trusted-ca-file"),
		file(pkiDir+"/etcd/server.key", audit.KeyFile, 0o600, "key-file")
	ca.Certificate, ca.IsCA, ca.PublicKeys = true, true, []string{"e1"}
	peerCA.Certificate, peerCA.IsCA, peerCA.PublicKeys = true, true, []string{"e2"}
	key.PrivateKey = true
	data := file("/var/lib/etcd", audit.DataDir, 0o700, "data-dir")
	data.Owner, data.Group, data.UID, data.GID = "etcd", "etcd", 998, 998
	s.Files = []audit.File{
		file("/etc/kubernetes/manifests/etcd.yaml", audit.ManifestFile, 0o600), data,
		file(pkiDir+"/etcd", audit.PKIDir, 0o755), ca, peerCA, key,
	}

	clientCA := file(pkiDir+"/ca.crt", audit.CertFile, 0o644, "client-ca-file")
	clientCA.Certificate, clientCA.IsCA, clientCA.PublicKeys = true, true, []string{"k1"}
	s.APIServer = &audit.Settings{
		Program: "kube-apiserver", Host: "cp-0", Running: true,
		Values: values(
			"etcd-servers", "https://127.0.0.1:2379", "etcd-cafile", pkiDir+"/etcd/ca.crt",
			"etcd-certfile", pkiDir+"/apiserver-etcd-client.crt", "etcd-keyfile", pkiDir+"/apiserver-etcd-client.key",
			"client-ca-file", pkiDir+"/ca.crt", "encryption-provider-config", "/etc/kubernetes/encryption/config.yaml",
		),
		Files:      []audit.File{clientCA},
		Encryption: &audit.EncryptionConfig{Resources: []string{"secrets", "configmaps"}, Secrets: []audit.Provider{"secretbox", "identity"}},
	}
	return s
}

// configured is the target of hardenedSettings with a change.
func configured(change func(*audit.Settings)) *audit.HostSettings {
	s := hardenedSettings()
	change(s)
	return &audit.HostSettings{Address: "cp-0:" + s.Origin, Now: fixtureTime, Settings: s}
}

// with has other values; an empty one is not set.
func with(pairs ...string) *audit.HostSettings {
	return configured(func(s *audit.Settings) { set(s, pairs...) })
}

func set(s *audit.Settings, pairs ...string) {
	for name, setting := range values(pairs...) {
		if delete(s.Values, name); setting.Value != "" {
			s.Values[name] = setting
		}
	}
}

// unsure cannot tell a setting.
func unsure(subject string, pairs ...string) *audit.HostSettings {
	return configured(func(s *audit.Settings) {
		set(s, pairs...)
		s.Faults = []audit.Fault{{Subject: subject, Reason: "permission denied"}}
	})
}

// partly has a setting of which a part is not known.
func partly(flag, value string) *audit.HostSettings {
	return configured(func(s *audit.Settings) {
		s.Values[flag] = audit.Setting{Value: value, Source: "flag", Partial: true}
		s.Faults = []audit.Fault{{Subject: flag, Reason: "a template, which somebody else fills in"}}
	})
}

func configFixtures(t *testing.T) []fixture {
	t.Helper()
	order := configured(func(*audit.Settings) {})
	bare := configured(func(s *audit.Settings) { s.Values = nil })
	const client, peer = "listen-client-urls", "listen-peer-urls"
	return []fixture{
		{check: "config-client-tls", name: "TLS", target: order, verdict: audit.Pass, evidence: "server.crt"},
		{check: "config-client-tls", name: "by etcd's defaults", target: bare, verdict: audit.Fail, codes: []string{"plaintext-loopback"}, evidence: "http://localhost:2379"},
		{check: "config-client-tls", name: "plaintext beside TLS", target: with(client, "https://192.0.2.1:2379,http://192.0.2.1:2379"), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "config-client-tls", name: "scheme in capitals", target: with(client, "HTTP://192.0.2.1:2379"), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "config-client-tls", name: "plaintext on loopback", target: with(client, "https://192.0.2.1:2379,http://127.0.0.1:2379"), verdict: audit.Fail, codes: []string{"plaintext-loopback"}},
		{check: "config-client-tls", name: "HTTP of its own in plaintext", target: with("listen-client-http-urls", "http://192.0.2.1:8080"), verdict: audit.Fail, codes: []string{"plaintext"}, evidence: "--listen-client-http-urls"},
		{check: "config-client-tls", name: "plaintext that gRPC alone does not start", target: with(client, "https://192.0.2.1:2379,http://192.0.2.1:2379", "listen-client-http-urls", "https://192.0.2.1:8080"), verdict: audit.Pass},
		{check: "config-client-tls", name: "a socket without TLS", target: with(client, "https://192.0.2.1:2379,unix://etcd.sock:0"), verdict: audit.Fail, codes: []string{"plaintext-socket"}, severity: audit.High, evidence: "unix://etcd.sock:0"},
		{check: "config-client-tls", name: "a socket without TLS in a folder", target: with(client, "unix:///run/etcd.sock"), verdict: audit.Fail, codes: []string{"plaintext-socket"}},
		{check: "config-client-tls", name: "a socket without TLS beside plaintext", target: with(client, "http://192.0.2.1:2379,unix:///run/etcd.sock"), verdict: audit.Fail, codes: []string{"plaintext", "plaintext-socket"}, severity: audit.Critical},
		{check: "config-client-tls", name: "a socket with TLS", target: with(client, "https://192.0.2.1:2379,unixs://192.0.2.1:0"), verdict: audit.Pass},
		{check: "config-client-tls", name: "a socket with TLS and no certificate", target: with(client, "unixs://192.0.2.1:0", "cert-file", "", "key-file", ""), verdict: audit.Fail, codes: []string{"no-certificate"}},
		{check: "config-client-tls", name: "a socket of HTTP alone", target: with("listen-client-http-urls", "unix:///run/etcd.sock"), verdict: audit.Fail, codes: []string{"plaintext-socket"}, evidence: "--listen-client-http-urls"},
		{check: "config-client-tls", name: "another socket than the one that gRPC alone does not start", target: with(client, "unix://a:0,unixs://a:0,unix://b:0", "listen-client-http-urls", "https://192.0.2.1:8080"), verdict: audit.Fail, codes: []string{"plaintext-socket"}, evidence: "unix://b:0"},
		{check: "config-client-tls", name: "plaintext beside what is not known", target: unsure("", client, "http://192.0.2.1:2379"), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "config-client-tls", name: "plaintext that may not be started", target: unsure("", client, "http://192.0.2.1:2379,https://192.0.2.1:2379"), verdict: audit.Unknown},
		{check: "config-client-tls", name: "plaintext at an address that is not known", verdict: audit.Fail, codes: []string{"plaintext"}, evidence: "http://${POD_IP}:2379",
			target: partly(client, "https://192.0.2.1:2379,http://${POD_IP}:2379")},
		{check: "config-client-tls", name: "TLS at an address that is not known", verdict: audit.Unknown, target: partly(client, "https://${POD_IP}:2379")},
		{check: "config-client-cert-auth", name: "plaintext at an address that is not known", verdict: audit.Fail, codes: []string{"plaintext"}, target: partly(client, "http://$(POD_IP):2379")},
		{check: "config-peer-tls", name: "plaintext at an address that is not known", verdict: audit.Fail, codes: []string{"plaintext"}, target: partly(peer, "http://{{ ip }}:2380")},
		{check: "config-client-tls", name: "no certificate", target: with("cert-file", "", "key-file", ""), verdict: audit.Fail, codes: []string{"no-certificate"}},
		{check: "config-client-tls", name: "no key", target: with("key-file", ""), verdict: audit.Fail, codes: []string{"half-pair"}},
		{check: "config-client-tls", name: "auto-tls", target: with("cert-file", "", "key-file", "", "auto-tls", "true"), verdict: audit.Pass, evidence: "generates"},
		{check: "config-client-tls", name: "URLs not read", target: unsure(client, client, ""), verdict: audit.Unknown, evidence: "permission denied"},
		{check: "config-client-tls", name: "certificate not read, plaintext read", target: unsure("cert-file", client, "http://192.0.2.1:2379,https://127.0.0.1:2379"), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "config-client-tls", name: "everything that is not set may be", target: unsure("", "key-file", ""), verdict: audit.Unknown},
		{check: "config-client-tls", name: "no URL", target: with(client, "localhost"), verdict: audit.Unknown, evidence: "localhost"},
		{check: "config-client-tls", name: "an API server alone", verdict: audit.Skip,
			target: configured(func(s *audit.Settings) { s.Program = "kube-apiserver" })},

		{check: "config-client-cert-auth", name: "required", target: order, verdict: audit.Pass, evidence: "--client-cert-auth=true"},
		{check: "config-client-cert-auth", name: "by the CA alone", target: with("client-cert-auth", ""), verdict: audit.Pass, evidence: "only by --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt (--client-cert-auth is not set)"},
		{check: "config-client-cert-auth", name: "by the CA against the flag", target: with("client-cert-auth", "false"), verdict: audit.Pass, evidence: "required, only by"},
		{check: "config-client-cert-auth", name: "no CA", target: with("trusted-ca-file", ""), verdict: audit.Fail, codes: []string{"system-roots"}},
		{check: "config-client-cert-auth", name: "neither", target: with("trusted-ca-file", "", "client-cert-auth", ""), verdict: audit.Fail, codes: []string{"not-required"}},
		{check: "config-client-cert-auth", name: "dropped by auto-tls", target: with("cert-file", "", "key-file", "", "auto-tls", "true"), verdict: audit.Fail, codes: []string{"auto-tls"}},
		{check: "config-client-cert-auth", name: "auto-tls without effect", target: with("auto-tls", "true"), verdict: audit.Pass},
		{check: "config-client-cert-auth", name: "plaintext", target: with(client, "http://127.0.0.1:2379"), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "config-client-cert-auth", name: "a socket without TLS", target: with(client, "https://192.0.2.1:2379,unix:///run/etcd.sock"), verdict: audit.Fail, codes: []string{"plaintext-socket"}, severity: audit.High},
		{check: "config-client-cert-auth", name: "a socket with TLS", target: with(client, "unixs:///run/etcd.sock"), verdict: audit.Pass, evidence: "certificates are required"},
		{check: "config-client-cert-auth", name: "replaced by a config file", verdict: audit.Fail, codes: []string{"not-required"}, evidence: "a config file replaces all flags",
			target: configured(func(s *audit.Settings) {
				set(s, "trusted-ca-file", "")
				s.Values["client-cert-auth"] = audit.Setting{Overridden: []audit.Override{{Source: "flag", Value: "true", Flag: true, Text: "flag --client-cert-auth=true: a config file replaces all flags"}}}
			})},
		{check: "config-client-cert-auth", name: "CA not read", target: unsure("trusted-ca-file"), verdict: audit.Unknown},
		{check: "config-client-cert-auth", name: "what does not matter not read", target: unsure("client-cert-auth"), verdict: audit.Pass},
		{check: "config-client-cert-auth", name: "no boolean", target: with("trusted-ca-file", "", "client-cert-auth", "yes"), verdict: audit.Unknown, evidence: "does not start"},

		{check: "config-auto-tls", name: "off", target: order, verdict: audit.Pass, evidence: "not set"},
		{check: "config-auto-tls", name: "without effect", target: with("auto-tls", "true"), verdict: audit.Pass, evidence: "no effect"},
		{check: "config-auto-tls", name: "on", target: with("auto-tls", "true", "cert-file", "", "key-file", ""), verdict: audit.Fail, codes: []string{"generated"}},
		{check: "config-auto-tls", name: "not read", target: unsure("auto-tls"), verdict: audit.Unknown},
		{check: "config-auto-tls", name: "files not read", target: unsure("", "auto-tls", "true", "cert-file", "", "key-file", ""), verdict: audit.Unknown},

		{check: "config-peer-tls", name: "TLS", target: order, verdict: audit.Pass},
		{check: "config-peer-tls", name: "by etcd's defaults", target: bare, verdict: audit.Fail, codes: []string{"plaintext-loopback"}},
		{check: "config-peer-tls", name: "plaintext", target: with(peer, "http://192.0.2.1:2380"), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "config-peer-tls", name: "a socket without TLS", target: with(peer, "unix:///run/peer.sock"), verdict: audit.Fail, codes: []string{"plaintext-socket"}},
		{check: "config-peer-tls", name: "no certificate", target: with("peer-cert-file", "", "peer-key-file", ""), verdict: audit.Fail, codes: []string{"no-certificate"}},
		{check: "config-peer-tls", name: "not read", target: unsure(peer), verdict: audit.Unknown},

		{check: "config-peer-cert-auth", name: "required", target: order, verdict: audit.Pass},
		{check: "config-peer-cert-auth", name: "by the CA alone", target: with("peer-client-cert-auth", ""), verdict: audit.Pass, evidence: "required, only by"},
		{check: "config-peer-cert-auth", name: "no CA", target: with("peer-trusted-ca-file", ""), verdict: audit.Fail, codes: []string{"system-roots"}},
		{check: "config-peer-cert-auth", name: "neither", target: with("peer-trusted-ca-file", "", "peer-client-cert-auth", ""), verdict: audit.Fail, codes: []string{"not-required"}},
		{check: "config-peer-cert-auth", name: "dropped by auto-tls", target: with("peer-cert-file", "", "peer-key-file", "", "peer-auto-tls", "true"), verdict: audit.Fail, codes: []string{"auto-tls"}},
		{check: "config-peer-cert-auth", name: "plaintext", target: with(peer, "http://192.0.2.1:2380"), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "config-peer-cert-auth", name: "not read", target: unsure("peer-trusted-ca-file"), verdict: audit.Unknown},

		{check: "config-peer-auto-tls", name: "off", target: order, verdict: audit.Pass},
		{check: "config-peer-auto-tls", name: "without effect", target: with("peer-auto-tls", "true"), verdict: audit.Pass, evidence: "no effect"},
		{check: "config-peer-auto-tls", name: "on", target: with("peer-auto-tls", "true", "peer-cert-file", "", "peer-key-file", ""), verdict: audit.Fail, codes: []string{"generated"}},
		{check: "config-peer-auto-tls", name: "not read", target: unsure("peer-auto-tls"), verdict: audit.Unknown},

		{check: "config-tls", name: "TLS 1.3", target: order, verdict: audit.Pass, evidence: "TLS 1.3"},
		{check: "listener-unseen", name: "on the loopback address of a node", verdict: audit.Unknown, evidence: "127.0.0.1:2381: it is on the loopback address of cp-0",
			target: &audit.HostSettings{Address: "cp-0:Pod etcd", Settings: &audit.Settings{}, Elsewhere: []audit.Fault{{Subject: "127.0.0.1:2381", Reason: "it is on the loopback address of cp-0: run etcdsec audit run there"}}}},
		{check: "config-tls", name: "TLS 1.2 with strong suites", target: with("tls-min-version", "TLS1.2", "cipher-suites", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305"), verdict: audit.Pass},
		{check: "config-tls", name: "TLS 1.2 with the default suites", target: with("tls-min-version", ""), verdict: audit.Fail, codes: []string{"default-suites"}},
		{check: "config-tls", name: "TLS 1.2 with CBC", target: with("tls-min-version", "", "cipher-suites", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"), verdict: audit.Fail, codes: []string{"weak-suites"}},
		{check: "config-tls", name: "TLS 1.2 without forward secrecy", target: with("tls-min-version", "", "cipher-suites", "TLS_RSA_WITH_AES_128_GCM_SHA256"), verdict: audit.Fail, codes: []string{"weak-suites"}},
		{check: "config-tls", name: "no TLS 1.3", target: with("tls-min-version", "", "tls-max-version", "TLS1.2", "cipher-suites", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"), verdict: audit.Fail, codes: []string{"no-tls-one-three"}},
		{check: "config-tls", name: "TLS 1.2 where 1.3 is wanted", verdict: audit.Fail, codes: []string{"default-suites", "min-version"},
			target: func() *audit.HostSettings {
				target := with("tls-min-version", "TLS1.2")
				target.MinTLSVersion = tls.VersionTLS13
				return target
			}()},
		{check: "config-tls", name: "no TLS", target: bare, verdict: audit.Skip, evidence: "no listener"},
		{check: "config-tls", name: "no version", target: with("tls-min-version", "1.3"), verdict: audit.Unknown, evidence: `"1.3"`},
		{check: "config-tls", name: "no suite", target: with("tls-min-version", "", "cipher-suites", "AES"), verdict: audit.Unknown, evidence: `"AES"`},
		{check: "config-tls", name: "not read", target: unsure("tls-min-version"), verdict: audit.Unknown},

		{check: "config-log-level", name: "info", target: order, verdict: audit.Pass},
		{check: "config-log-level", name: "pprof", target: with("enable-pprof", "true"), verdict: audit.Fail, codes: []string{"pprof"}},
		{check: "config-log-level", name: "debug", target: with("log-level", "debug"), verdict: audit.Fail, codes: []string{"debug"}},
		{check: "config-log-level", name: "debug of a version that is not known", verdict: audit.Fail, codes: []string{"debug"},
			target: configured(func(s *audit.Settings) { s.Version = ""; set(s, "log-level", "debug") })},
		{check: "config-log-level", name: "debug of 3.4", verdict: audit.Pass,
			target: configured(func(s *audit.Settings) { s.Version = "3.4.45"; set(s, "log-level", "debug") })},
		{check: "config-log-level", name: "the old flag", verdict: audit.Fail, codes: []string{"debug"},
			target: configured(func(s *audit.Settings) { s.Version = "3.4.45"; set(s, "debug", "true") })},
		{check: "config-log-level", name: "not read", target: unsure(""), verdict: audit.Unknown},

		{check: "config-unsafe-no-fsync", name: "off", target: order, verdict: audit.Pass},
		{check: "config-unsafe-no-fsync", name: "on", target: with("unsafe-no-fsync", "true"), verdict: audit.Fail, codes: []string{"no-fsync"}},
		{check: "config-unsafe-no-fsync", name: "in a file that was changed after the start", target: unsure("/etc/etcd.yaml", "config-file", "/etc/etcd.yaml"), verdict: audit.Unknown, evidence: "/etc/etcd.yaml"},
		{check: "config-unsafe-no-fsync", name: "not read", target: unsure("unsafe-no-fsync"), verdict: audit.Unknown},

		{check: "config-quota", name: "etcd's own", target: order, verdict: audit.Pass, evidence: "2 GiB"},
		{check: "config-quota", name: "zero is etcd's own", target: with("quota-backend-bytes", "0"), verdict: audit.Pass, evidence: "2 GiB"},
		{check: "config-quota", name: "8 GiB", target: with("quota-backend-bytes", "8589934592"), verdict: audit.Pass},
		{check: "config-quota", name: "more", target: with("quota-backend-bytes", "8589934593"), verdict: audit.Fail, codes: []string{"too-large"}},
		{check: "config-quota", name: "none", target: with("quota-backend-bytes", "-1"), verdict: audit.Fail, codes: []string{"no-quota"}},
		{check: "config-quota", name: "no number", target: with("quota-backend-bytes", "8Gi"), verdict: audit.Unknown, evidence: "8Gi"},
		{check: "config-quota", name: "not read", target: unsure("quota-backend-bytes"), verdict: audit.Unknown},
	}
}

func crlFixtures(t *testing.T) []fixture {
	t.Helper()
	listed := func(version string, list *audit.RevocationList, pairs ...string) *audit.HostSettings {
		return configured(func(s *audit.Settings) {
			s.Version = version
			set(s, "client-crl-file", pkiDir+"/etcd/client.crl")
			set(s, pairs...)
			s.Files = append(s.Files, audit.File{Path: pkiDir + "/etcd/client.crl", Role: audit.CRLFile, CRL: list, Flags: []string{"client-crl-file"}})
		})
	}
	der, pem := &audit.RevocationList{NextUpdate: fixtureTime.Add(day)}, &audit.RevocationList{PEM: true, NextUpdate: fixtureTime.Add(day)}
	const split, gRPC = "listen-client-http-urls", "https://192.0.2.1:8080"
	return []fixture{
		{check: "config-crl-format", name: "none", target: configured(func(*audit.Settings) {}), verdict: audit.Skip},
		{check: "config-crl-format", name: "DER", target: listed("3.6.16", der), verdict: audit.Pass},
		{check: "config-crl-format", name: "DER without a version", target: listed("", der), verdict: audit.Pass},
		{check: "config-crl-format", name: "PEM", target: listed("3.6.0", pem), verdict: audit.Fail, codes: []string{"pem-client"}},
		{check: "config-crl-format", name: "PEM in 3.5", target: listed("3.5.35", pem), verdict: audit.Fail, codes: []string{"pem-before-upgrade-client"}},
		{check: "config-crl-format", name: "PEM without a version", target: listed("", pem), verdict: audit.Unknown, evidence: "version"},
		{check: "config-crl-format", name: "PEM in a pre-release", target: listed("3.6.0-rc.1", pem), verdict: audit.Unknown},
		{check: "config-crl-format", name: "neither", target: listed("3.5.35", &audit.RevocationList{Fault: "malformed", OldFault: "malformed"}), verdict: audit.Fail, codes: []string{"unreadable-client"}},
		{check: "config-crl-format", name: "of version 1 in 3.5", target: listed("3.5.35", &audit.RevocationList{Fault: "unsupported crl version"}), verdict: audit.Fail, codes: []string{"unreadable-after-upgrade-client"}},
		{check: "config-crl-format", name: "out of date", target: listed("3.6.16", &audit.RevocationList{NextUpdate: fixtureTime.Add(-time.Hour)}), verdict: audit.Fail, codes: []string{"outdated-client"}},
		{check: "config-crl-format", name: "without an end", target: listed("3.6.16", &audit.RevocationList{}), verdict: audit.Pass},
		{check: "config-crl-format", name: "not read", target: listed("3.6.16", nil), verdict: audit.Unknown},
		{check: "config-crl-format", name: "without effect beside auto-tls", target: listed("3.6.16", pem, "cert-file", "", "key-file", "", "auto-tls", "true"), verdict: audit.Skip},

		{check: "config-crl-bypass", name: "no list", target: with(split, gRPC), verdict: audit.Skip},
		{check: "config-crl-bypass", name: "one listener", target: listed("3.6.8", der), verdict: audit.Pass},
		{check: "config-crl-bypass", name: "fixed", target: listed("3.6.13", der, split, gRPC), verdict: audit.Pass},
		{check: "config-crl-bypass", name: "affected", target: listed("3.6.12", der, split, gRPC), verdict: audit.Fail, codes: []string{"bypassed"}},
		{check: "config-crl-bypass", name: "affected 3.4", target: listed("3.4.45", der, split, gRPC), verdict: audit.Fail, codes: []string{"bypassed"}},
		{check: "config-crl-bypass", name: "before the flag", target: listed("3.5.7", der, split, gRPC), verdict: audit.Pass},
		{check: "config-crl-bypass", name: "no version", target: listed("", der, split, gRPC), verdict: audit.Unknown},
	}
}

func apiServerFixtures(t *testing.T) []fixture {
	t.Helper()
	api := func(change func(*audit.Settings)) *audit.HostSettings {
		return configured(func(s *audit.Settings) { change(s.APIServer) })
	}
	apiWith := func(pairs ...string) *audit.HostSettings {
		return api(func(s *audit.Settings) { set(s, pairs...) })
	}
	order := configured(func(*audit.Settings) {})
	alone := configured(func(s *audit.Settings) { s.APIServer = nil })
	encrypted := func(providers ...audit.Provider) *audit.HostSettings {
		return api(func(s *audit.Settings) {
			s.Encryption = &audit.EncryptionConfig{Resources: []string{"r"}, Secrets: providers}
		})
	}
	flawed := func(c audit.EncryptionConfig) *audit.HostSettings {
		return api(func(s *audit.Settings) { s.Encryption = &c })
	}
	weak := func(severity audit.Severity) audit.EncryptionConfig {
		return audit.EncryptionConfig{Secrets: []audit.Provider{"secretbox"}, Findings: []audit.EncryptionFinding{{CheckID: "encryption-weak-key", Severity: severity, Text: "line 7: the key was typed"}}}
	}
	return []fixture{
		{check: "config-unique-ca", name: "other keys", target: order, verdict: audit.Pass},
		{check: "config-unique-ca", name: "one key in two files", verdict: audit.Fail, codes: []string{"client"},
			target: api(func(s *audit.Settings) { s.Files[0].PublicKeys = []string{"k1", "e1"} })},
		{check: "config-unique-ca", name: "the peers' too", verdict: audit.Fail, codes: []string{"client", "peer"},
			target: api(func(s *audit.Settings) { s.Files[0].PublicKeys = []string{"e2", "e1"} })},
		{check: "config-unique-ca", name: "one file whose keys were not read", verdict: audit.Fail, codes: []string{"client"},
			target: configured(func(s *audit.Settings) {
				set(s, "trusted-ca-file", pkiDir+"/ca.crt")
				s.Files[3].Path, s.Files[3].PublicKeys, s.APIServer.Files[0].PublicKeys = pkiDir+"/ca.crt", nil, nil
			})},
		{check: "config-unique-ca", name: "keys not read", verdict: audit.Unknown, evidence: "permission denied",
			target: api(func(s *audit.Settings) { s.Files[0].PublicKeys, s.Files[0].Unread = nil, "permission denied" })},
		{check: "config-unique-ca", name: "no API server", target: alone, verdict: audit.Skip},
		{check: "config-unique-ca", name: "no client CA", target: apiWith("client-ca-file", ""), verdict: audit.Pass},
		{check: "config-unique-ca", name: "client CA not read", verdict: audit.Unknown,
			target: api(func(s *audit.Settings) {
				set(s, "client-ca-file", "")
				s.Faults = []audit.Fault{{Reason: "permission denied"}}
			})},

		{check: "config-apiserver-etcd", name: "mutual TLS", target: order, verdict: audit.Pass},
		{check: "config-apiserver-etcd", name: "kine's socket", target: apiWith("etcd-servers", "unix://kine.sock", "etcd-certfile", "", "etcd-keyfile", "", "etcd-cafile", ""), verdict: audit.Pass, evidence: "unix://kine.sock"},
		{check: "config-apiserver-etcd", name: "a socket, and events elsewhere", target: apiWith("etcd-servers", "unix:///run/kine.sock", "etcd-servers-overrides", "/events#https://192.0.2.1:4001", "etcd-cafile", ""), verdict: audit.Fail, codes: []string{"no-ca"}},
		{check: "config-apiserver-etcd", name: "plaintext", target: apiWith("etcd-servers", "https://192.0.2.1:2379,http://192.0.2.2:2379"), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "config-apiserver-etcd", name: "plaintext for events", target: apiWith("etcd-servers-overrides", "/events#https://192.0.2.1:4001;http://192.0.2.2:4001"), verdict: audit.Fail, codes: []string{"plaintext"}},
		{check: "config-apiserver-etcd", name: "no certificate", target: apiWith("etcd-keyfile", ""), verdict: audit.Fail, codes: []string{"no-client-certificate"}},
		{check: "config-apiserver-etcd", name: "no CA", target: apiWith("etcd-cafile", ""), verdict: audit.Fail, codes: []string{"no-ca"}},
		{check: "config-apiserver-etcd", name: "no API server", target: alone, verdict: audit.Skip},
		{check: "config-apiserver-etcd", name: "an API server alone", verdict: audit.Pass,
			target: configured(func(s *audit.Settings) { *s = *s.APIServer })},
		{check: "config-apiserver-etcd", name: "no servers", target: apiWith("etcd-servers", ""), verdict: audit.Unknown},

		{check: "config-encryption", name: "secretbox", target: order, verdict: audit.Pass, evidence: "secretbox"},
		{check: "config-encryption", name: "kms v2", target: encrypted("kms v2", "identity"), verdict: audit.Pass},
		{check: "config-encryption", name: "not configured", target: apiWith("encryption-provider-config", ""), verdict: audit.Fail, codes: []string{"not-configured"}},
		{check: "config-encryption", name: "identity first", target: encrypted("identity", "kms v2"), verdict: audit.Fail, codes: []string{"identity-first"}},
		{check: "config-encryption", name: "aescbc", target: encrypted("aescbc"), verdict: audit.Fail, codes: []string{"aescbc"}},
		{check: "config-encryption", name: "aesgcm", target: encrypted("aesgcm"), verdict: audit.Fail, codes: []string{"aesgcm"}},
		{check: "config-encryption", name: "kms v1", target: encrypted("kms v1"), verdict: audit.Fail, codes: []string{"kms-v1"}},
		{check: "config-encryption", name: "nothing for Secrets", target: encrypted(), verdict: audit.Fail, codes: []string{"secrets-not-covered"}},
		{check: "config-encryption", name: "a file that is not loaded", target: flawed(audit.EncryptionConfig{Refused: []string{"line 3: is empty"}}), verdict: audit.Fail, codes: []string{"refused"}, evidence: "line 3"},
		{check: "config-encryption", name: "a key that was typed", target: flawed(weak(audit.High)), verdict: audit.Fail, codes: []string{"weak-key"}, evidence: "line 7"},
		{check: "config-encryption", name: "a key of random text", target: flawed(weak(audit.Low)), verdict: audit.Fail, codes: []string{"weak-key"}},
		{check: "config-encryption", name: "changed after the start", verdict: audit.Unknown, evidence: "restart",
			target: api(func(s *audit.Settings) {
				s.Faults = []audit.Fault{{Subject: "/etc/kubernetes/encryption/config.yaml", Reason: "changed after the start: restart it"}}
			})},
		{check: "config-encryption", name: "not read", target: api(func(s *audit.Settings) { s.Encryption = nil }), verdict: audit.Unknown},
		{check: "config-encryption", name: "no API server", target: alone, verdict: audit.Skip},
	}
}

func sandboxFixtures(t *testing.T) []fixture {
	t.Helper()
	boxed := func(by audit.FileRole, pairs ...string) *audit.HostSettings {
		return configured(func(s *audit.Settings) {
			s.Sandbox = &audit.Sandbox{By: by, Values: map[string]string{}}
			for pair := range slices.Chunk(pairs, 2) {
				s.Sandbox.Values[pair[0]] = pair[1]
			}
		})
	}
	unit := []string{
		"User", "etcd", "NoNewPrivileges", "yes", "ProtectSystem", "strict", "ProtectHome", "yes", "PrivateTmp", "yes", "PrivateDevices", "yes",
		"ProtectKernelTunables", "yes", "ProtectKernelModules", "yes", "ProtectControlGroups", "yes",
	}
	return []fixture{
		{check: "config-sandbox", name: "a configuration file alone", target: configured(func(s *audit.Settings) { s.Sandbox, s.Remote = nil, true }), verdict: audit.Skip},
		{check: "config-sandbox", name: "a Pod in order", target: configured(func(*audit.Settings) {}), verdict: audit.Pass},
		{check: "config-sandbox", name: "kubeadm's Pod", target: boxed(audit.ManifestFile, "seccompProfile.type", "RuntimeDefault"), verdict: audit.Fail,
			codes: []string{"capabilities", "privilege-escalation", "root", "writable-root"}},
		{check: "config-sandbox", name: "a Pod of another user", verdict: audit.Fail, codes: []string{"capabilities", "seccomp"},
			target: boxed(audit.ManifestFile, "runAsUser", "998", "allowPrivilegeEscalation", "false", "readOnlyRootFilesystem", "true")},
		{check: "config-sandbox", name: "a privileged Pod", verdict: audit.Fail, codes: []string{"host-namespaces", "privileged", "seccomp-off", "strong-capabilities"},
			target: boxed(audit.ManifestFile, "privileged", "true", "hostPID", "true", "seccompProfile.type", "Unconfined", "capabilities.add", "CAP_SYS_ADMIN,CHOWN",
				"capabilities.drop", "ALL", "allowPrivilegeEscalation", "false", "readOnlyRootFilesystem", "true")},
		{check: "config-sandbox", name: "a unit in order", target: boxed(audit.UnitFile, unit...), verdict: audit.Pass},
		{check: "config-sandbox", name: "a unit of root without capabilities", target: boxed(audit.UnitFile, append(unit[2:], "CapabilityBoundingSet", "")...), verdict: audit.Pass},
		{check: "config-sandbox", name: "a unit of root", target: boxed(audit.UnitFile, unit[2:]...), verdict: audit.Fail, codes: []string{"root"}},
		{check: "config-sandbox", name: "a dynamic user", target: boxed(audit.UnitFile, append(unit[10:], "DynamicUser", "yes")...), verdict: audit.Pass},
		{check: "config-sandbox", name: "etcd's own unit", target: boxed(audit.UnitFile, "User", "etcd"), verdict: audit.Fail,
			codes: []string{"control-groups", "devices", "homes", "kernel-modules", "kernel-tunables", "new-privileges", "tmp", "writable-system"}},
		{check: "config-sandbox", name: "a directive that is off", target: boxed(audit.UnitFile, append(unit, "NoNewPrivileges", "no")...), verdict: audit.Fail, codes: []string{"new-privileges"}, evidence: "NoNewPrivileges=no"},
		{check: "config-sandbox", name: "a process in order", target: boxed(audit.ProcessStatus, "Uid", "998", "CapEff", "0", "NoNewPrivs", "1", "Seccomp", "2"), verdict: audit.Pass, evidence: "user 998"},
		{check: "config-sandbox", name: "a process of root", target: boxed(audit.ProcessStatus, "Uid", "0", "CapEff", "1ffffffffff", "NoNewPrivs", "0", "Seccomp", "0"), verdict: audit.Fail, codes: []string{"new-privileges", "root", "seccomp"}},
		{check: "config-sandbox", name: "a process of another user with a strong capability", target: boxed(audit.ProcessStatus, "Uid", "998", "CapEff", "200000", "NoNewPrivs", "1", "Seccomp", "2"), verdict: audit.Fail, codes: []string{"strong-capabilities"}},
		{check: "config-sandbox", name: "a process of which not all is known", target: boxed(audit.ProcessStatus, "Uid", "998"), verdict: audit.Unknown, evidence: "CapEff"},
		{check: "config-sandbox", name: "nothing read", target: configured(func(s *audit.Settings) { s.Sandbox = nil }), verdict: audit.Unknown},
	}
}
