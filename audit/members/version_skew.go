package members

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// VersionSkew finds clusters whose members run several minor releases.
func VersionSkew() audit.Check {
	return audit.AsCheck(audit.ClusterCheck{
		ID:       "version-skew",
		Title:    "Members run different minor releases of etcd",
		Severity: audit.Medium,
		Rationale: "This is the state in the middle of an upgrade. Until the last member is upgraded, the cluster behaves like " +
			"the oldest release, so it also lacks the newer members' fixes. etcd tests only a difference of one minor " +
			"release, and only for the time of an upgrade.",
		Method: "Compares the versions that the audited members report (Status or GET /version). member-drift covers different " +
			"patch releases of one minor release.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Finish the upgrade, one member at a time; this command shows the versions:"),
				audit.Paste("etcdctl endpoint status --cluster -w table --endpoints=%s", p.Endpoint()),
			}
		},
		References: []string{"NIST 800-53 CM-2", "NIST 800-53 CM-6", "NIST 800-53 SI-2", "etcd documentation: Upgrading"},
		Run:        runVersionSkew,
	})
}

func runVersionSkew(t *audit.EtcdCluster) audit.Outcome {
	var seen, doubts []string
	for _, client := range t.Of(audit.Client) {
		if _, _, missing := versionOf(client); missing != nil {
			doubts = append(doubts, nameListener(t, client)+": "+unreachedOr(client, missing.Evidence))
			continue
		}
		seen = append(seen, fmt.Sprintf("%s runs %s", nameListener(t, client), client.Version))
	}
	switch {
	case len(minors(t)) > 1:
		return audit.Failed(audit.Finding{Code: "minor", Text: strings.Join(seen, ", ")})
	case len(doubts) > 0:
		return audit.CouldNotTell(strings.Join(doubts, "; "))
	case len(seen) == 0:
		return audit.CouldNotTell(whyNone(t, audit.StatusRPC))
	default:
		return audit.Passed(fmt.Sprintf("%s of %s.x", countMembers(len(seen)), minors(t)[0]))
	}
}

// minors returns the minor releases that the members of a cluster run.
func minors(cluster *audit.EtcdCluster) []string {
	var all []string
	for _, t := range cluster.Of(audit.Client) {
		if v, err := parseVersion(t.Version); err == nil && !slices.Contains(all, v.minor()) {
			all = append(all, v.minor())
		}
	}
	return all
}

// unreachedOr returns why a listener could not be reached, or reason if it was reached.
func unreachedOr(t *audit.Listener, reason string) string {
	if unreached := t.Unreached(); unreached != "" {
		return unreached
	}
	return reason
}
