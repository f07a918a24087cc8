package config

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// CRLBypass finds an etcd whose release does not check the revocation list over gRPC.
func CRLBypass() audit.Check {
	return audit.AsCheck(audit.SettingsCheck{
		ID:       "config-crl-bypass",
		Title:    "etcd accepts revoked certificates over gRPC",
		Severity: audit.High,
		Rationale: "With --listen-client-http-urls, the other client URLs speak only gRPC, and affected releases check the " +
			"revocation list only on the HTTP URLs: a revoked certificate can read and write everything " +
			"(GHSA-3wh4-j44w-pg92).",
		Method: "Reads the effective --listen-client-http-urls and --client-crl-file, and compares the release of etcd with " +
			"those in the advisory.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Upgrade etcd to 3.5.32, 3.6.13 or 3.7, or serve gRPC and HTTP on the same URLs:"),
				audit.Paste("--listen-client-http-urls= --listen-client-urls=https://%s", p.Client()),
			}
		},
		References: []string{"NIST 800-53 SI-2", "NIST 800-53 IA-5(2)", "GHSA-3wh4-j44w-pg92"},
		Run: ofEtcd(func(_ *audit.HostSettings, s *audit.Settings) audit.Outcome {
			o := ask(s, checkCRLOverGRPC)
			if o.Verdict == audit.Pass && o.Evidence == "" {
				return audit.Skipped("etcd checks no revocation list: " + (&reading{settings: s}).describe("client-crl-file"))
			}
			return o
		}),
	})
}

func checkCRLOverGRPC(r *reading) {
	const split = "listen-client-http-urls"
	if !clientSide().checksCRL(r) {
		return
	}
	if r.value(split) == "" {
		r.addEvidence("gRPC and HTTP have the same listeners: " + r.describe(split))
		return
	}
	version := r.settings.Version
	switch affected, known := inSpans(version, crlBypassed()); {
	case !known:
		r.addDoubt(fmt.Sprintf("%s, and it is unknown whether the release (%q) then checks the revocation list", r.describe(split), version))
	case affected:
		r.addFinding("bypassed", fmt.Sprintf("etcd %s does not check %s over gRPC: %s", version, r.describe("client-crl-file"), r.describe(split)))
	default:
		r.addEvidence(fmt.Sprintf("etcd %s checks the list over gRPC too", version))
	}
}
