package files

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// CAKeyOnNode finds the private key of a CA among the certificates of etcd.
func CAKeyOnNode() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "ca-key-on-node",
		Title:    "The private key of a CA of etcd is on the node",
		Severity: audit.High,
		Rationale: "Whoever breaks into one node can sign a certificate for any client and any member of the whole cluster, and " +
			"renewing the leaves does not undo this. etcd needs the certificates of its CAs, never their keys.",
		Method: "Looks for a key that belongs to the certificate of a CA: in the certificates and keys that etcd's settings " +
			"name, and in the other files of their folders. Nothing of a key is kept.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Remove the key from every node, and keep it encrypted where certificates are issued:"),
				audit.Paste("etcdsec pki import %s %s", p.Store(), audit.StandIn("MEMBER=FOLDER")),
				audit.Paste("etcdsec pki renew %s", p.Store()),
			}
		},
		References: []string{"NIST 800-53 SC-12", "NIST 800-53 SC-17", "NIST 800-53 AC-6", "NSA/CISA Kubernetes Hardening Guide v1.2: etcd"},
		Run: judgeEtcdFiles(func(all []audit.File) audit.Outcome {
			var j judgement
			looked := 0
			for _, f := range all {
				if f.Role != audit.CertFile && f.Role != audit.KeyFile && f.Role != audit.PKIDir {
					continue
				}
				looked++
				switch {
				case f.PrivateKey && f.IsCA:
					j.addFinding("ca-key", fmt.Sprintf("%s is the private key of a CA", f.Path), audit.High)
				case f.Reason != "":
					j.addDoubt(f, f.Reason)
				case f.Unread != "":
					j.addDoubt(f, f.Unread)
				}
			}
			if looked == 0 {
				return audit.Skipped("there is no certificate and no key among the files of etcd")
			}
			return j.outcome("no key of a CA is among the files of etcd")
		}),
	})
}
