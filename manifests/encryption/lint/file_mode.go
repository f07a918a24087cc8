package lint

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

const fileModeID = "encryption-file-mode"

func fileMode() Check {
	return Check{
		ID:       fileModeID,
		Title:    "Others than its owner may read or change the file with the keys",
		Severity: audit.High,
		Rationale: "The file holds the keys, so that who reads it and a backup of etcd reads every Secret; and who writes " +
			"it decides what is encrypted, without a restart where kube-apiserver reloads it.",
		Method: "Reads the permissions of the file; from standard input it has none.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Take them from everybody else:"),
				audit.Paste("chmod 600 %s", p.File()),
			}
		},
		References: references("NIST 800-53 AC-6", "CIS Kubernetes Benchmark v1.12 1.1.1"),
		Run: func(s *Subject) audit.Outcome {
			const others = 0o077
			if !s.HasMode {
				return audit.Skipped("it was not read from a file")
			}
			var f findings
			if s.Mode.Perm()&others != 0 {
				f.add("mode", "mode %04o", s.Mode.Perm())
			}
			return f.or(fmt.Sprintf("mode %04o", s.Mode.Perm()))
		},
	}
}
