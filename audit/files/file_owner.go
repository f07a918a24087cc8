package files

import (
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// FileOwner finds files that belong to others than the benchmarks ask for.
func FileOwner() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "file-owner",
		Title:    "Files of etcd belong to others than the benchmarks ask for",
		Severity: audit.High,
		Rationale: "The owner of a file can always open it to himself, whatever its mode. The benchmarks want the data dir " +
			"to be etcd:etcd and the PKI root:root, which suits few clusters: an owner that is root, or who owns the data " +
			"dir, breaks only their letter and is of low severity.",
		Method: "Compares the owners of the files that etcd's settings name, and of those beside them, with what the CIS " +
			"Benchmark and the STIG ask for, each with a code of its own, so that one can be waived.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Give the files to the user that the benchmark names, where etcd can do with it:"),
				audit.Paste("chown root:root /etc/kubernetes/manifests/etcd.yaml"),
				audit.Paste("chown -R root:root /etc/kubernetes/pki"),
				audit.Paste("chown etcd:etcd /var/lib/etcd"),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 1.1.8", "CIS Kubernetes Benchmark v1.12 1.1.12", "CIS Kubernetes Benchmark v1.12 1.1.19",
			"STIG V-242405", "STIG V-242445", "STIG V-242451", "NIST 800-53 CM-6", "NIST 800-53 AC-3",
		},
		Run: ofHost(owners),
	})
}

func owners(all []audit.File) audit.Outcome {
	var harmless []uint32 // who runs etcd
	for _, f := range all {
		if f.Role == audit.DataDir && f.Reason == "" {
			harmless = append(harmless, f.UID)
		}
	}
	var j judged
	for _, f := range all {
		if f.Reason != "" {
			j.doubts(f, f.Reason)
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
				j.doubts(f, "the names of its owner "+owner+" are not known: "+f.Unnamed)
			default:
				broken = append(broken, r)
			}
		}
		j.foundAll(broken, fmt.Sprintf("%s belongs to %s", f.Path, owner), func(r rule) string { return r.owner }, severity)
	}
	return j.outcome(count(all, "file") + " belong to whom the benchmarks ask for")
}

// startsAsRoot reports whether root does what the file says: who runs etcd and owns it is root
// at the next start.
func startsAsRoot(f audit.File) bool {
	return f.Role == audit.ManifestFile || f.Role == audit.UnitFile
}
