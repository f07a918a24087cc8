package files

import (
	"fmt"
	"path"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// KeyWorldReadable finds private keys that users other than the owner can read.
func KeyWorldReadable() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "key-world-readable",
		Title:    "Users other than the owner can read a private key",
		Severity: audit.Critical,
		Rationale: "Whoever reads a key can act as the server, the member or the API server that it names, or can decrypt every " +
			"Secret. A key that all users of the node can read protects nothing; a key that a group can read belongs to " +
			"the whole group.",
		Method: "Looks at the modes of the private keys and of the encryption configuration, and of the folder around each. If " +
			"other users cannot enter the folder, they cannot read its files.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Remove the extra rights, and create a new key if anybody may have read it:"),
				audit.Paste("chmod 600 /etc/kubernetes/pki/etcd/*.key"),
				audit.Paste("etcdsec pki renew %s", p.Store()),
			}
		},
		References: []string{"CIS Kubernetes Benchmark v1.12 1.1.21", "STIG V-242467", "NIST 800-53 SC-12", "NIST 800-53 AC-3"},
		Run:        judgeHostFiles(judgeKeys),
	})
}

func judgeKeys(all []audit.File) audit.Outcome {
	const othersRead, groupRead, othersEnter, groupEnter = 0o004, 0o040, 0o001, 0o010
	var j judgement
	keys := 0
	for _, f := range all {
		if !holdsSecret(f) {
			continue
		}
		keys++
		if f.Reason != "" {
			j.addDoubt(f, f.Reason)
			continue
		}
		perm := f.Mode.Perm()
		// A folder that was not looked at keeps nobody out.
		entered := func(bit uint32) bool {
			at := slices.IndexFunc(all, func(dir audit.File) bool {
				return dir.Role == audit.PKIDir && dir.Path == path.Dir(f.Path) && dir.Reason == ""
			})
			return at < 0 || uint32(all[at].Mode.Perm())&bit != 0
		}
		switch {
		case perm&othersRead != 0 && entered(othersEnter):
			j.addFinding("everybody", fmt.Sprintf("every user of the host can read %s (mode %04o)", f.Path, perm), audit.Critical)
		case perm&groupRead != 0 && f.GID != 0 && entered(groupEnter):
			j.addFinding("group", fmt.Sprintf("group %s can read %s (mode %04o)", f.Group, f.Path, perm), audit.High)
		}
	}
	if keys == 0 {
		return audit.Skipped("there is no private key among the files of etcd")
	}
	return j.outcome("only the owner can read each private key")
}
