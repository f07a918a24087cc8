package config

import (
	"fmt"
	"time"

	"github.com/etcdsec/etcdsec/audit"
)

// CRLFormat finds revocation lists that etcd cannot read, or that are out of date.
func CRLFormat() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-crl-format",
		Title:    "A revocation list locks everybody out, or is out of date",
		Severity: audit.High,
		Rationale: "etcd reads the list at every handshake, and refuses every certificate when it cannot. From 3.6 on it " +
			"reads DER only: a list in PEM that 3.5 took stops the control plane at the upgrade. It looks at no date in the " +
			"list, so one that is no longer made goes unnoticed.",
		Method: "Reads the files of --client-crl-file and --peer-crl-file, and compares their format with what the release " +
			"of etcd takes, and their next update with the time.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Write the list in DER; it is read again without a restart:"),
				audit.Paste("openssl crl -in client.pem -outform DER -out client.crl"),
				audit.Paste("etcdsec pki renew %s", p.Store()),
			}
		},
		References: []string{"NIST 800-53 IA-5(2)", "NIST 800-53 SC-17", "NIST 800-52r2 3.5"},
		Run: ofEtcd(func(t *audit.HostSettings, s *audit.Settings) audit.Outcome {
			o := ask(s, clientSide().checkRevocationList(t.Now), peerSide().checkRevocationList(t.Now))
			if o.Verdict == audit.Pass && o.Evidence == "" {
				return audit.Skipped("no revocation list is checked: " + (&reading{settings: s}).describe("client-crl-file"))
			}
			return withWorstSeverity(o, crlSeverity)
		}),
	})
}

func crlSeverity(code string) audit.Severity {
	switch code {
	case "pem-client", "pem-peer", "unreadable-client", "unreadable-peer":
		return audit.High
	case "outdated-client", "outdated-peer":
		return audit.Medium
	default:
		return audit.Low
	}
}

// checksCRL reports whether a side looks at a revocation list.
func (s side) checksCRL(r *reading) bool {
	return r.value(s.crlFlag()) != "" && anyTLS(s.listeners(r)) && s.certificate(r) == fromFiles
}

// crlFlag is not as regular as the others.
func (s side) crlFlag() string {
	if s.kind == audit.Client {
		return "client-crl-file"
	}
	return "peer-crl-file"
}

// checkRevocationList asks whether etcd can read the list of a side.
func (s side) checkRevocationList(now time.Time) func(*reading) {
	return func(r *reading) {
		if !s.checksCRL(r) {
			return
		}
		flag, kind := s.crlFlag(), string(s.kind)
		file, _ := r.settings.File(flag)
		if file.CRL == nil {
			r.addDoubt("the file of " + r.describe(flag) + " was not read" + reasonSuffix(file))
			return
		}
		list := file.CRL
		old, known := inSpans(r.settings.Version, crlMayBePEM())
		fault := list.Fault
		if old {
			fault = list.OldFault
		}
		switch version := r.settings.Version; {
		case !known && list.Fault != "" && list.OldFault == "":
			r.addDoubt(fmt.Sprintf("%s can be read by etcd up to 3.5 only (%s), and the version is not known (%q)", file.Path, list.Fault, version))
		case fault != "":
			r.addFinding("unreadable-"+kind, fmt.Sprintf("etcd refuses every %s, for it cannot read %s: %s", kind, file.Path, fault))
			return
		case !list.PEM && list.Fault == "":
		case !known:
			r.addDoubt(fmt.Sprintf("%s is PEM, which etcd reads up to 3.5, and the version is not known (%q)", file.Path, version))
		case old && list.Fault != "":
			r.addFinding("unreadable-after-upgrade-"+kind, fmt.Sprintf("etcd %s reads %s and 3.6 does not (%s): the upgrade would refuse every %s", version, file.Path, list.Fault, kind))
		case old:
			r.addFinding("pem-before-upgrade-"+kind, fmt.Sprintf("%s is PEM, which etcd %s reads and 3.6 does not: the upgrade would refuse every %s", file.Path, version, kind))
		default:
			r.addFinding("pem-"+kind, fmt.Sprintf("etcd %s refuses every %s, for %s is PEM and it reads DER only", version, kind, file.Path))
		}
		if !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
			r.addFinding("outdated-"+kind, fmt.Sprintf("%s was to be replaced by %s; what was revoked since is let in", file.Path, list.NextUpdate.UTC().Format(time.DateOnly)))
		}
		if len(r.findings) == 0 {
			r.addEvidence(file.Path + " can be read and is up to date")
		}
	}
}
