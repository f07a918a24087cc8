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
		Rationale: "etcd reads the list at every handshake, and refuses every certificate if it cannot read it. From 3.6 on it " +
			"reads only DER: a list in PEM, which 3.5 accepts, stops the control plane at the upgrade. etcd checks no date " +
			"in the list, so nobody notices a list that is no longer updated.",
		Method: "Reads the files of --client-crl-file and --peer-crl-file, and compares their format with the one that the " +
			"release of etcd accepts, and their next update with the current time.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Write the list in DER; etcd reads it again without a restart:"),
				audit.Paste("openssl crl -in client.pem -outform DER -out client.crl"),
				audit.Paste("etcdsec pki renew %s", p.Store()),
			}
		},
		References: []string{"NIST 800-53 IA-5(2)", "NIST 800-53 SC-17", "NIST 800-52r2 3.5"},
		Run: ofEtcd(func(t *audit.HostSettings, s *audit.Settings) audit.Outcome {
			o := ask(s, clientSide().checkRevocationList(t.Now), peerSide().checkRevocationList(t.Now))
			if o.Verdict == audit.Pass && o.Evidence == "" {
				return audit.Skipped("etcd checks no revocation list: " + (&reading{settings: s}).describe("client-crl-file"))
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

// checksCRL reports whether a side checks a revocation list.
func (s side) checksCRL(r *reading) bool {
	return r.value(s.crlFlag()) != "" && anyTLS(s.listeners(r)) && s.certificate(r) == fromFiles
}

// crlFlag returns the flag of a side's revocation list. Its name is not as regular as the others.
func (s side) crlFlag() string {
	if s.kind == audit.Client {
		return "client-crl-file"
	}
	return "peer-crl-file"
}

// checkRevocationList returns a check of whether etcd can read the list of a side.
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
			r.addDoubt(fmt.Sprintf("only etcd up to 3.5 can read %s (%s), and the version is unknown (%q)", file.Path, list.Fault, version))
		case fault != "":
			r.addFinding("unreadable-"+kind, fmt.Sprintf("etcd refuses every %s, because it cannot read %s: %s", kind, file.Path, fault))
			return
		case !list.PEM && list.Fault == "":
		case !known:
			r.addDoubt(fmt.Sprintf("%s is PEM, which only etcd up to 3.5 reads, and the version is unknown (%q)", file.Path, version))
		case old && list.Fault != "":
			r.addFinding("unreadable-after-upgrade-"+kind, fmt.Sprintf("etcd %s reads %s and 3.6 does not (%s): the upgrade would refuse every %s", version, file.Path, list.Fault, kind))
		case old:
			r.addFinding("pem-before-upgrade-"+kind, fmt.Sprintf("%s is PEM, which etcd %s reads and 3.6 does not: the upgrade would refuse every %s", file.Path, version, kind))
		default:
			r.addFinding("pem-"+kind, fmt.Sprintf("etcd %s refuses every %s, because %s is PEM and it reads only DER", version, kind, file.Path))
		}
		if !list.NextUpdate.IsZero() && now.After(list.NextUpdate) {
			r.addFinding("outdated-"+kind, fmt.Sprintf("a new list was due on %[2]s, but %[1]s is still the old one; etcd accepts certificates that were revoked since", file.Path, list.NextUpdate.UTC().Format(time.DateOnly)))
		}
		if len(r.findings) == 0 {
			r.addEvidence(file.Path + " can be read and is up to date")
		}
	}
}
