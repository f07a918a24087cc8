package members

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// VersionVulnerable finds a member whose version has published vulnerabilities.
func VersionVulnerable(known Advisories) audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "version-vulnerable",
		Title:    "The version of etcd has known vulnerabilities",
		Severity: audit.High,
		Rationale: "Attackers try published flaws first. Flaws that need no credential matter to every control plane; flaws that " +
			"bypass etcd's RBAC matter where RBAC is on.",
		Method: "Compares the version that the member reports (Status or GET /version) with the advisories known on " +
			known.AsOf + ". A flaw of a version that somebody else built, such as 3.4.23-3, is only probable: the builder may have " +
			"fixed it without changing the number. For CVE-2026-33413, the member's behaviour decides, if the audit can see it.",
		Remediation: func(audit.Place) audit.Remediation {
			return append(audit.Remediation{audit.Say("Upgrade etcd, one member at a time:")}, known.upgradeLines()...)
		},
		References: []string{"NIST 800-53 SI-2", "NIST 800-53 RA-5", "PCI DSS 4.0.1 6.3.3"},
		Applies:    audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			v, seen, missing := versionOf(t)
			if missing != nil {
				return *missing
			}
			if _, found := known.branchOf(v); !found {
				return known.tooNewOutcome(seen)
			}
			findings := known.findAffecting(v, t)
			if len(findings) > 0 {
				findings[0].Text = seen + ": " + findings[0].Text
				return audit.Failed(findings...)
			}
			return audit.Passed(fmt.Sprintf("%s has no known advisory as of %s", seen, known.AsOf))
		},
	})
}

func (a Advisories) tooNewOutcome(seen string) audit.Outcome {
	return audit.CouldNotTell(fmt.Sprintf("%s is newer than the table of advisories (%s); give a newer table with --advisories", seen, a.AsOf))
}

// findAffecting returns the advisories of a version; those for every cluster come first.
func (a Advisories) findAffecting(v version, t *audit.Listener) []audit.Finding {
	var findings []audit.Finding
	for _, scope := range []Scope{ControlPlane, RBACOnly} {
		for _, advisory := range a.Advisories {
			affected, found := advisory.rangeOf(v)
			if advisory.Scope != scope || !found {
				continue
			}
			settled, present := settleByBehaviour(advisory.ID, t)
			if settled && !present {
				continue
			}
			fixed := "no fix in this branch"
			if affected.Fixed != "" {
				fixed = "fixed in " + affected.Fixed
			}
			text := fmt.Sprintf("%s, %s: %s (%s)", advisory.ID, advisory.Scope, advisory.Summary, fixed)
			switch {
			case settled:
				text += ", confirmed by the member's behaviour"
			case v.rebuilt:
				text += ", probable: somebody else built the version"
			}
			findings = append(findings, audit.Finding{Code: advisory.ID, Text: text})
		}
	}
	return findings
}

func (a Advisory) rangeOf(v version) (Range, bool) {
	for _, r := range a.Ranges {
		if v.in(r) {
			return r, true
		}
	}
	return Range{}, false
}

// settleByBehaviour reports whether a member's behaviour decides an advisory, and whether the flaw is present.
func settleByBehaviour(id string, t *audit.Listener) (settled, present bool) {
	if id != "CVE-2026-33413" {
		return false, false
	}
	for _, call := range t.RPCs {
		if call.Method == audit.BadTokenMemberListRPC && call.State == audit.Answered {
			return call.Code == 0 || call.RefusesToken(), call.Code == 0
		}
	}
	return false, false
}
