package members

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
)

// VersionEOL finds a member whose branch of etcd no longer gets fixes.
func VersionEOL(known Advisories) audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "version-eol",
		Title:    "The branch of etcd no longer gets fixes",
		Severity: audit.High,
		Rationale: "A flaw that is found after the end of a branch stays in it. etcd maintains three minor releases; each " +
			"advisory for these tells attackers how to attack the older ones.",
		Method: "Compares the version that the member reports (Status or GET /version) with the branches of etcd as of " +
			known.AsOf + ".",
		Remediation: func(audit.Place) audit.Remediation {
			return append(audit.Remediation{audit.Say("Upgrade etcd, one member and one minor release at a time:")}, known.upgradeLines()...)
		},
		References: []string{"NIST 800-53 SA-22", "NIST 800-53 SI-2", "PCI DSS 4.0.1 12.3.4"},
		Applies:    audit.On(audit.Client),
		Run: func(t *audit.Listener) audit.Outcome {
			v, seen, missing := versionOf(t)
			if missing != nil {
				return *missing
			}
			b, found := known.branchOf(v)
			switch {
			case !found:
				return known.tooNewOutcome(seen)
			case b.EndOfLife != "":
				return audit.Failed(audit.Finding{Code: "end-of-life", Text: fmt.Sprintf("%s is in branch %s, which has had no fixes since %s", seen, b.Name, b.EndOfLife)})
			default:
				return audit.Passed(fmt.Sprintf("%s is in branch %s, which gets fixes (as of %s)", seen, b.Name, known.AsOf))
			}
		},
	})
}

func (a Advisories) branchOf(v version) (Branch, bool) {
	for _, b := range a.Branches {
		if v.in(Range{Introduced: b.From, Limit: b.Before}) {
			return b, true
		}
	}
	return Branch{}, false
}

// upgradeLines returns the releases to upgrade to, one per line.
func (a Advisories) upgradeLines() []audit.Line {
	var lines []audit.Line
	for _, b := range a.Branches {
		if b.EndOfLife == "" {
			lines = append(lines, audit.Say("etcd %s.x: to %s or later", b.Name, b.Newest))
		}
	}
	return lines
}
