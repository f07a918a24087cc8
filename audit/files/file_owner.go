package files

import (
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// FileOwner finds files whose owner differs from what the benchmarks require.
func FileOwner() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "file-owner",
		Title:    "Files of etcd have other owners than the benchmarks require",
		Severity: audit.High,
		Rationale: "The owner of a file can always give himself access, whatever its mode. The benchmarks want the data dir to " +
			"belong to etcd:etcd and the PKI to root:root, which suits few clusters. If the owner is root, or owns the " +
			"data dir, the file only breaks the letter of the benchmark, and the severity is low.",
		Method: "Compares the owners of the files that etcd's settings name, and of the other files in their folders, with the " +
			"owners that the CIS Benchmark and the STIG require. Each benchmark has a code of its own, so that one of them " +
			"can be waived.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Change the owner to the one that the benchmark names, if etcd can work with it:"),
				audit.Paste("chown root:root /etc/kubernetes/manifests/etcd.yaml"),
				audit.Paste("chown -R root:root /etc/kubernetes/pki"),
				audit.Paste("chown etcd:etcd /var/lib/etcd"),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 1.1.8", "CIS Kubernetes Benchmark v1.12 1.1.12", "CIS Kubernetes Benchmark v1.12 1.1.19",
			"STIG V-242405", "STIG V-242445", "STIG V-242451", "NIST 800-53 CM-6", "NIST 800-53 AC-3",
		},
		Run: judgeHostFiles(judgeOwners),
	})
}

func judgeOwners(all []audit.File) audit.Outcome {
	var harmless []uint32 // who runs etcd
	for _, f := range all {
		if f.Role == audit.DataDir && f.Reason == "" {
			harmless = append(harmless, f.UID)
		}
	}
	var j judgement
	for _, f := range all {
		if f.Reason != "" {
			j.addDoubt(f, f.Reason)
			continue
		}
		severity := audit.High
		if f.UID == 0 || slices.Contains(harmless, f.UID) && !startsAsRoot(f) {
			severity = audit.Low
		}
		owner := f.Owner + ":" + f.Group
		var broken []rule
		for _, r := range ownerRules() {
			switch {
			case r.role != role(f) || owner == r.owner:
			case f.Unnamed != "":
				j.addDoubt(f, "the names of its owner "+owner+" are not known: "+f.Unnamed)
			default:
				broken = append(broken, r)
			}
		}
		j.addBroken(broken, fmt.Sprintf("%s belongs to %s", f.Path, owner), func(r rule) string { return r.owner }, severity)
	}
	return j.outcome(count(all, "file") + " have the owners that the benchmarks require")
}

// startsAsRoot reports whether root carries out the file. If the user that runs etcd owns such a file,
// that user becomes root at the next start.
func startsAsRoot(f audit.File) bool {
	return f.Role == audit.ManifestFile || f.Role == audit.UnitFile
}
