// Package files holds the checks of who may read and write the files of etcd on a host.
package files

import (
	"io/fs"

	"github.com/etcdsec/etcdsec/audit"
)

// rule holds the mode and the owner that a benchmark requires for the files of a role. The code names
// the benchmark, so that one benchmark can be waived without the other.
type rule struct {
	code  string
	role  audit.FileRole
	asks  string // the benchmark and its number; empty is etcdsec itself
	mode  fs.FileMode
	owner string // user:group; empty leaves it open
}

// modeRules returns the modes that the benchmarks require. The CIS Benchmark and the STIG differ, so a
// file can satisfy one and break the other. STIG V-242459 is about the files in the data dir; for
// the folder itself, its 644 becomes 755.
func modeRules() []rule {
	return []rule{
		{code: "cis-manifest", role: audit.ManifestFile, asks: "CIS 1.1.7", mode: 0o600},
		{code: "stig-manifest", role: audit.ManifestFile, asks: "STIG V-242408", mode: 0o644},
		{code: "cis-data-dir", role: audit.DataDir, asks: "CIS 1.1.11", mode: 0o700},
		{code: "stig-data-dir", role: audit.DataDir, asks: "STIG V-242459", mode: 0o755},
		{code: "cis-certificate", role: audit.CertFile, asks: "CIS 1.1.20", mode: 0o644},
		{code: "stig-certificate", role: audit.CertFile, asks: "STIG V-242466", mode: 0o644},
		{code: "cis-key", role: audit.KeyFile, asks: "CIS 1.1.21", mode: 0o600},
		{code: "stig-key", role: audit.KeyFile, asks: "STIG V-242467", mode: 0o600},
		{code: "encryption-configuration", role: audit.EncryptionKey, mode: 0o600},
		{code: "pki-dir", role: audit.PKIDir, mode: 0o755},
		{code: "unit", role: audit.UnitFile, mode: 0o644},
		{code: "configuration-file", role: audit.ConfigFile, mode: 0o644},
		{code: "environment-file", role: audit.EnvFile, mode: 0o644},
		{code: "revocation-list", role: audit.CRLFile, mode: 0o644},
	}
}

// ownerRules returns the owners that the benchmarks require. They assume an etcd that runs both as its
// own user (data) and as root (PKI), so most clusters break one of them.
func ownerRules() []rule {
	return []rule{
		{code: "cis-manifest", role: audit.ManifestFile, asks: "CIS 1.1.8", owner: "root:root"},
		{code: "stig-manifest", role: audit.ManifestFile, asks: "STIG V-242405", owner: "root:root"},
		{code: "cis-data-dir", role: audit.DataDir, asks: "CIS 1.1.12", owner: "etcd:etcd"},
		{code: "stig-data-dir", role: audit.DataDir, asks: "STIG V-242445", owner: "etcd:etcd"},
		{code: "cis-pki-dir", role: audit.PKIDir, asks: "CIS 1.1.19", owner: "root:root"},
		{code: "stig-pki-dir", role: audit.PKIDir, asks: "STIG V-242451", owner: "root:root"},
		{code: "cis-certificate", role: audit.CertFile, asks: "CIS 1.1.19", owner: "root:root"},
		{code: "stig-certificate", role: audit.CertFile, asks: "STIG V-242451", owner: "root:root"},
		{code: "cis-key", role: audit.KeyFile, asks: "CIS 1.1.19", owner: "root:root"},
		{code: "stig-key", role: audit.KeyFile, asks: "STIG V-242451", owner: "root:root"},
		{code: "encryption-configuration", role: audit.EncryptionKey, owner: "root:root"},
		{code: "unit", role: audit.UnitFile, owner: "root:root"},
		{code: "configuration-file", role: audit.ConfigFile, owner: "root:root"},
		{code: "environment-file", role: audit.EnvFile, owner: "root:root"},
	}
}
