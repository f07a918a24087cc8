package catalog_test

import (
	"io/fs"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
)

func fsMode(perm uint32) fs.FileMode { return fs.FileMode(perm) }

func fileFixtures(t *testing.T) []fixture {
	t.Helper()
	order := configured(func(*audit.Settings) {})
	// The files of hardenedSettings.
	const manifest, data, dir, ca, key = 0, 1, 2, 3, 5
	mode := func(file int, perm uint32) *audit.HostSettings {
		return configured(func(s *audit.Settings) { s.Files[file].Mode = fsMode(perm) })
	}
	owner := func(file int, name string, id uint32) *audit.HostSettings {
		return configured(func(s *audit.Settings) {
			f := &s.Files[file]
			f.Owner, f.Group, f.UID, f.GID = name, name, id, id
		})
	}
	hidden := func(file int) *audit.HostSettings {
		return configured(func(s *audit.Settings) { s.Files[file].Reason = "permission denied" })
	}
	closed := func(perm uint32) *audit.HostSettings {
		return configured(func(s *audit.Settings) { s.Files[dir].Mode, s.Files[key].Mode = fsMode(0o700), fsMode(perm) })
	}
	group := configured(func(s *audit.Settings) {
		s.Files[key].Mode, s.Files[key].GID, s.Files[key].Group = fsMode(0o640), 100, "users"
	})
	plain := configured(func(s *audit.Settings) { s.Files = s.Files[:2] })
	caKey := func(change func(*audit.File)) *audit.HostSettings {
		return configured(func(s *audit.Settings) {
			f := audit.File{Path: pkiDir + "/etcd/ca.key", Role: audit.KeyFile, Mode: 0o600, Owner: "root", Group: "root", PrivateKey: true, IsCA: true}
			change(&f)
			s.Files = append(s.Files, f)
		})
	}
	elsewhere := configured(func(s *audit.Settings) { s.Files, s.APIServer, s.Remote = nil, nil, true })
	return []fixture{
		{check: "file-mode", name: "of another machine", target: elsewhere, verdict: audit.Skip, evidence: "run etcdsec audit run there"},
		{check: "key-world-readable", name: "of another machine", target: elsewhere, verdict: audit.Skip},
		{check: "file-mode", name: "in order", target: order, verdict: audit.Pass},
		{check: "file-mode", name: "a manifest for the STIG alone", target: mode(manifest, 0o644), verdict: audit.Fail, codes: []string{"cis-manifest"}},
		{check: "file-mode", name: "a manifest for nobody", target: mode(manifest, 0o664), verdict: audit.Fail, codes: []string{"cis-manifest", "stig-manifest"}, evidence: "etcd.yaml has mode 0664; CIS 1.1.7 asks for no more than 0600 for a static Pod manifest, STIG V-242408 asks for no more than 0644 for a static Pod manifest"},
		{check: "file-mode", name: "the data dir for the STIG alone", target: mode(data, 0o755), verdict: audit.Fail, codes: []string{"cis-data-dir"}},
		{check: "file-mode", name: "a key", target: mode(key, 0o640), verdict: audit.Fail, codes: []string{"cis-key", "stig-key"}, evidence: "CIS 1.1.21 and STIG V-242467 ask for no more than 0600"},
		{check: "file-mode", name: "a certificate", target: mode(ca, 0o666), verdict: audit.Fail, codes: []string{"cis-certificate", "stig-certificate"}},
		{check: "file-mode", name: "a key in the file of a certificate", verdict: audit.Fail, codes: []string{"cis-key", "stig-key"},
			target: configured(func(s *audit.Settings) { s.Files[ca].PrivateKey = true })},
		{check: "file-mode", name: "a key of the API server", verdict: audit.Fail, codes: []string{"cis-key", "stig-key"},
			target: configured(func(s *audit.Settings) {
				s.APIServer.Files = append(s.APIServer.Files, audit.File{Path: pkiDir + "/apiserver.key", Role: audit.KeyFile, Mode: 0o644})
			})},
		{check: "file-mode", name: "the encryption configuration", verdict: audit.Fail, codes: []string{"encryption-configuration"},
			target: configured(func(s *audit.Settings) {
				s.APIServer.Files = append(s.APIServer.Files, audit.File{Path: "/etc/kubernetes/encryption/config.yaml", Role: audit.EncryptionKey, Mode: 0o644})
			})},
		{check: "file-mode", name: "one not looked at", target: hidden(key), verdict: audit.Unknown, evidence: "server.key: permission denied"},
		{check: "file-mode", name: "one not known", target: unsure(""), verdict: audit.Unknown},
		{check: "file-mode", name: "none", target: configured(func(s *audit.Settings) { s.Files, s.APIServer = nil, nil }), verdict: audit.Unknown},

		{check: "file-owner", name: "in order", target: order, verdict: audit.Pass},
		{check: "file-owner", name: "the data dir of root", severity: audit.Low, target: owner(data, "root", 0), verdict: audit.Fail, codes: []string{"cis-data-dir", "stig-data-dir"}},
		{check: "file-owner", name: "a key of etcd", severity: audit.Low, target: owner(key, "etcd", 998), verdict: audit.Fail, codes: []string{"cis-key", "stig-key"}},
		{check: "file-owner", name: "a manifest of somebody", severity: audit.High, target: owner(manifest, "bob", 1000), verdict: audit.Fail, codes: []string{"cis-manifest", "stig-manifest"}},
		{check: "file-owner", name: "a manifest of who runs etcd", severity: audit.High, verdict: audit.Fail, codes: []string{"cis-manifest", "stig-manifest"},
			target: configured(func(s *audit.Settings) {
				f := &s.Files[manifest]
				f.Owner, f.Group, f.UID, f.GID = "etcd", "etcd", s.Files[data].UID, s.Files[data].GID
			})},
		{check: "file-owner", name: "one not looked at", target: hidden(manifest), verdict: audit.Unknown},

		{check: "ca-key-on-node", name: "none", target: order, verdict: audit.Pass},
		{check: "ca-key-on-node", name: "beside the CA", target: caKey(func(*audit.File) {}), verdict: audit.Fail, codes: []string{"ca-key"}, evidence: "ca.key"},
		{check: "ca-key-on-node", name: "a key that is not read", target: caKey(func(f *audit.File) { f.IsCA, f.Unread = false, "the key is encrypted" }), verdict: audit.Unknown, evidence: "encrypted"},
		{check: "ca-key-on-node", name: "a folder that is not listed", target: unsure(pkiDir + "/etcd"), verdict: audit.Unknown},
		{check: "ca-key-on-node", name: "no TLS", target: plain, verdict: audit.Skip},
		{check: "ca-key-on-node", name: "the API server's is Kubernetes' own", verdict: audit.Pass,
			target: configured(func(s *audit.Settings) {
				s.APIServer.Files = append(s.APIServer.Files, audit.File{Path: pkiDir + "/ca.key", Role: audit.KeyFile, Mode: 0o600, PrivateKey: true, IsCA: true})
			})},

		{check: "ca-key-on-node", name: "an API server alone", target: apiServerAlone(func(*audit.Settings) {}), verdict: audit.Skip},

		{check: "file-mode", name: "an API server alone", verdict: audit.Fail, codes: []string{"cis-key", "stig-key"},
			target: apiServerAlone(func(s *audit.Settings) { s.Files[2].Mode = fsMode(0o640) })},
		{check: "file-mode", name: "the manifest of an API server alone, of which nothing is said", verdict: audit.Pass,
			target: apiServerAlone(func(s *audit.Settings) { s.Files[3].Mode = fsMode(0o644) })},
		{check: "key-world-readable", name: "an API server's, in a folder that nobody enters", verdict: audit.Pass,
			target: configured(func(s *audit.Settings) {
				s.APIServer.Files = apiServerAlone(func(s *audit.Settings) { s.Files[1].Mode, s.Files[2].Mode = fsMode(0o700), fsMode(0o644) }).Settings.Files
			})},
		{check: "file-owner", name: "a folder of the API server that is not listed", verdict: audit.Unknown, evidence: "only the first 64",
			target: configured(func(s *audit.Settings) {
				s.APIServer = apiServerAlone(func(*audit.Settings) {}).Settings
				s.APIServer.Faults = []audit.Fault{{Subject: pkiDir, Reason: "only the first 64 were looked at"}}
			})},
		{check: "key-world-readable", name: "in order", target: order, verdict: audit.Pass},
		{check: "key-world-readable", name: "everybody", target: mode(key, 0o644), verdict: audit.Fail, codes: []string{"everybody"}},
		{check: "key-world-readable", name: "in a folder that nobody enters", target: closed(0o644), verdict: audit.Pass},
		{check: "key-world-readable", name: "the group of root", target: mode(key, 0o640), verdict: audit.Pass},
		{check: "key-world-readable", name: "another group", target: group, verdict: audit.Fail, codes: []string{"group"}},
		{check: "key-world-readable", name: "no key", target: plain, verdict: audit.Skip},
		{check: "key-world-readable", name: "one not looked at", target: hidden(key), verdict: audit.Unknown},
	}
}

// apiServerAlone is the target of the API server of a host without etcd, with its CA, its PKI
// dir, a key and its manifest.
func apiServerAlone(change func(*audit.Settings)) *audit.HostSettings {
	s := hardenedSettings().APIServer
	s.Origin = "/etc/kubernetes/manifests/kube-apiserver.yaml"
	for _, f := range []audit.File{
		{Path: pkiDir, Role: audit.PKIDir, Mode: 0o755},
		{Path: pkiDir + "/apiserver.key", Role: audit.KeyFile, Mode: 0o600, PrivateKey: true},
		{Path: s.Origin, Role: audit.ManifestFile, Mode: 0o600},
	} {
		f.Owner, f.Group = "root", "root"
		s.Files = append(s.Files, f)
	}
	change(s)
	return &audit.HostSettings{Address: "cp-0:" + s.Origin, Now: fixtureTime, Settings: s}
}
