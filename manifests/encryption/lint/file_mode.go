package lint

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

const fileModeID = "encryption-file-mode"

func fileMode() Check {
	return Check{
		ID:       fileModeID,
		Title:    "Other users may read or change the file with the keys",
		Severity: audit.High,
		Rationale: "The file holds the keys: whoever reads it and a backup of etcd can read every Secret. Whoever writes it " +
			"decides what is encrypted, even without a restart where kube-apiserver reloads the file.",
		Method: "Reads the permissions of the file; from standard input it has none.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Take all permissions from other users:"),
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
			return f.outcome(fmt.Sprintf("mode %04o", s.Mode.Perm()))
		},
	}
}
