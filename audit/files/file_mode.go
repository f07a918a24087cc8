package files

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// FileMode finds files that are open to more users than the benchmarks allow.
func FileMode() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "file-mode",
		Title:    "Files of etcd are open to more users than they need to be",
		Severity: audit.High,
		Rationale: "Who writes etcd's manifest, unit or configuration runs what he likes as root. Who reads the data dir " +
			"reads what Kubernetes stores, and who reads a key is whom it names.",
		Method: "Compares the modes of the files that etcd's settings name, and of those beside them, with what the CIS " +
			"Benchmark and the STIG ask for, each with a code of its own, for the two differ. Reads no data.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Take the rights away. These keep both benchmarks:"),
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
		Run: ofHost(modes),
	})
}

func modes(all []audit.File) audit.Outcome {
	var j judged
	for _, f := range all {
		if f.Reason != "" {
			j.doubts(f, f.Reason)
			continue
		}
		var broken []rule
		for _, r := range modeRules() {
			if r.role == role(f) && f.Mode.Perm()&^r.mode != 0 {
				broken = append(broken, r)
			}
		}
		j.foundAll(broken, fmt.Sprintf("%s has mode %04o", f.Path, f.Mode.Perm()),
			func(r rule) string { return fmt.Sprintf("no more than %04o for a %s", r.mode, r.role) }, modeSeverity(f))
	}
	return j.outcome("no mode of " + count(all, "file") + " is above what the benchmarks ask for")
}

func modeSeverity(f audit.File) audit.Severity {
	const othersWrite = 0o002
	switch {
	case f.Mode.Perm()&othersWrite != 0:
		return audit.High
	case secret(f) || f.Role == audit.DataDir:
		return audit.Medium
	default:
		return audit.Low
	}
}

func (r rule) wants() string {
	if r.asks == "" {
		return "it needs"
	}
	return r.asks + " asks for"
}
