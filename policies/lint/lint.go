// Package lint finds mistakes in a set of network policies: rules that are wrong in every cluster.
// A check is a pure function of what was read.
package lint

import (
	"fmt"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// Subject is a set of policies, and the etcd that they should isolate.
type Subject struct {
	Name     string // of the cluster
	SpecPath string // of the spec; empty if unknown
	Intent   *policies.Intent
	Topology reach.Topology
	Filters  policies.Filters
}

// Check is one check of a subject.
type Check = audit.CheckOf[*Subject]

// Identity implements audit.Subject.
func (s *Subject) Identity() (address string, kind audit.Kind) { return s.Name, audit.Policies }

// Place implements audit.Subject.
func (s *Subject) Place() audit.Place { return audit.Place{SpecPath: s.SpecPath} }

// Checks returns all checks, in the order of reports.
func Checks() []Check {
	return []Check{
		hostNetwork(), wrongNamespace(), noNamespace(), fromAnyone(), noPeerPort(), apiServerByPodSelector(),
		calicoFailsafe(), calicoCutOff(), ciliumCIDROfNodes(), ciliumDefaultDeny(), emptyPorts(), metricsOpen(),
		ipBlockOfPods(), ignoredRules(), priorityTie(), selectsNothing(), noEgress(), noPolicyTypes(), deprecatedAPI(),
	}
}

// Run judges a subject. The caller adds the tool and the times.
func Run(checks []Check, s *Subject) audit.Report { return audit.RunOn(checks, []*Subject{s}) }

// findings collects the faults that a check finds.
type findings []audit.Finding

func (f *findings) add(code, format string, a ...any) {
	*f = append(*f, audit.Finding{Code: code, Text: fmt.Sprintf(format, a...)})
}

func (f findings) outcome(evidence string) audit.Outcome {
	if len(f) == 0 {
		return audit.Passed(evidence)
	}
	return audit.Failed(f...)
}

func references(more ...string) []string {
	return append([]string{"CIS Kubernetes Benchmark v1.12 5.3.2", "NIST 800-53 SC-7"}, more...)
}
