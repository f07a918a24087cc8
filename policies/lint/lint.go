// Package lint finds what is a mistake in a set of network policies, whatever else is there.
// A check is a pure function of what was read.
package lint

import (
	"fmt"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// Subject is a set of policies, and the etcd that they are to isolate.
type Subject struct {
	Name     string // of the cluster
	SpecPath string // where its spec is; empty if nobody said
	Intent   *policies.Intent
	Topology reach.Topology
	Filters  policies.Filters
}

// Check is one question that is asked of them.
type Check struct {
	audit.Check // whose Applies and Run are not set
	judge       func(*Subject) audit.Outcome
}

// Checks are all of them, in the order in which reports list them.
func Checks() []Check {
	return []Check{
		hostNetwork(), wrongNamespace(), noNamespace(), fromAnyone(), noPeerPort(), apiServerByPodSelector(),
		calicoFailsafe(), calicoCutOff(), ciliumCIDROfNodes(), ciliumDefaultDeny(), emptyPorts(), metricsOpen(),
		ipBlockOfPods(), ignoredRules(), priorityTie(), selectsNothing(), noEgress(), noPolicyTypes(), deprecatedAPI(),
	}
}

// Catalog is the checks as `audit explain` knows them.
func Catalog() []audit.Check {
	var checks []audit.Check
	for _, c := range Checks() {
		c.Applies, c.Run = audit.On(audit.Policies), func(*audit.Target) audit.Outcome { return audit.Outcome{} }
		checks = append(checks, c.Check)
	}
	return checks
}

// Run judges by the checks of some IDs. The caller adds the tool and the times.
func Run(ids []string, s *Subject) audit.Report {
	var bound []audit.Check
	for _, c := range Checks() {
		if !slices.Contains(ids, c.ID) {
			continue
		}
		check := c.Check
		check.Applies = func(*audit.Target) bool { return true }
		check.Run = func(*audit.Target) audit.Outcome { return c.judge(s) }
		bound = append(bound, check)
	}
	return audit.Run(bound, []*audit.Target{{Address: s.Name, Kind: audit.Policies, SpecPath: s.SpecPath}})
}

// findings collects what is wrong, and gives the outcome.
type findings []audit.Finding

func (f *findings) add(code, format string, a ...any) {
	*f = append(*f, audit.Finding{Code: code, Text: fmt.Sprintf(format, a...)})
}

func (f findings) or(evidence string) audit.Outcome {
	if len(f) == 0 {
		return audit.Passed(evidence)
	}
	return audit.Failed(f...)
}

func references(more ...string) []string {
	return append([]string{"CIS Kubernetes Benchmark v1.12 5.3.2", "NIST 800-53 SC-7"}, more...)
}
