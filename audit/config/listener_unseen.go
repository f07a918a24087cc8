package config

import (
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// ListenerUnseen tells which listeners of an etcd were not audited. It never passes or fails: it applies
// only where there are some.
func ListenerUnseen() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "listener-unseen",
		Title:    "A listener of etcd can be audited only on its host",
		Severity: audit.Low,
		Rationale: "What listens on a loopback address or a Unix socket of a node is open to every process of the node, and " +
			"to Pods on its network. From elsewhere nobody can tell what it answers.",
		Method: "With --kubeconfig, compares the listeners that the Pods of etcd declare with those that can be reached from " +
			"here. The result is unknown for an etcd with a listener that only its node reaches.",
		Remediation: func(audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Run the audit on each control-plane node too, and join the reports with \"etcdsec audit merge\":"),
				audit.Paste("etcdsec audit run -o json=node.json"),
				audit.Say("If the nodes are audited by themselves, leave this check out of the audit of the cluster:"),
				audit.Paste("etcdsec audit run --kubeconfig admin.conf --skip listener-unseen"),
			}
		},
		References: []string{"NIST 800-53 CA-7", "NIST 800-53 RA-5"},
		Applies: func(t *audit.HostSettings) bool {
			return len(t.Elsewhere) > 0 || t.Settings == nil && t.Unread == ""
		},
		Run: func(t *audit.HostSettings) audit.Outcome {
			if len(t.Elsewhere) == 0 {
				return audit.CouldNotTell("the host was not examined")
			}
			listeners := make([]string, len(t.Elsewhere))
			for i, e := range t.Elsewhere {
				listeners[i] = e.Subject + ": " + e.Reason
			}
			return audit.CouldNotTell(strings.Join(listeners, "; "))
		},
	})
}
