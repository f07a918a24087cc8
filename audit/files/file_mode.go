package files

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// FileMode finds files whose mode gives more rights than the benchmarks allow.
func FileMode() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "file-mode",
		Title:    "Files of etcd are open to more users than they need to be",
		Severity: audit.High,
		Rationale: "Whoever can write etcd's manifest, unit or configuration can run any program as root. Whoever can read the " +
			"data dir can read everything that Kubernetes stores, and whoever can read a key can act as its owner.",
		Method: "Compares the modes of the files that etcd's settings name, and of the other files in their folders, with the " +
			"modes that the CIS Benchmark and the STIG require. Each benchmark has a code of its own, because the two " +
			"differ. Reads no data.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Remove the extra rights. These modes satisfy both benchmarks:"),
				audit.Paste("chmod 600 /etc/kubernetes/manifests/etcd.yaml /etc/kubernetes/pki/etcd/*.key"),
				audit.Paste("chmod 644 /etc/kubernetes/pki/etcd/*.crt"),
				audit.Paste("chmod 700 /var/lib/etcd"),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 1.1.7", "CIS Kubernetes Benchmark v1.12 1.1.11", "CIS Kubernetes Benchmark v1.12 1.1.20",
			"CIS Kubernetes Benchmark v1.12 1.1.21", "STIG V-242408", "STIG V-242459", "STIG V-242466", "STIG V-242467",
			"NIST 800-53 CM-6", "NIST 800-53 AC-3",
		},
		Run: judgeHostFiles(judgeModes),
	})
}

func judgeModes(all []audit.File) audit.Outcome {
	var j judgement
	for _, f := range all {
		if f.Reason != "" {
			j.addDoubt(f, f.Reason)
			continue
		}
		var broken []rule
		for _, r := range modeRules() {
			if r.role == role(f) && f.Mode.Perm()&^r.mode != 0 {
				broken = append(broken, r)
			}
		}
		j.addBroken(broken, fmt.Sprintf("%s has mode %04o", f.Path, f.Mode.Perm()),
			func(r rule) string { return fmt.Sprintf("no more than %04o for a %s", r.mode, r.role) }, modeSeverity(f))
	}
	return j.outcome("no mode of " + count(all, "file") + " gives more rights than the benchmarks allow")
}

func modeSeverity(f audit.File) audit.Severity {
	const othersWrite = 0o002
	switch {
	case f.Mode.Perm()&othersWrite != 0:
		return audit.High
	case holdsSecret(f) || f.Role == audit.DataDir:
		return audit.Medium
	default:
		return audit.Low
	}
}

func (r rule) requirement() string {
	if r.asks == "" {
		return "it needs"
	}
	return r.asks + " asks for"
}
