package reach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// The invariants. Each also covers a member that is about to be added, as soon as the policies are
// in place.
const (
	PeersReachable     = "peers-reachable"      // every member reaches every member's peer port
	APIServersReach    = "api-servers-reach"    // every API server reaches every member's client port
	MembersReachClient = "members-reach-client" // and members do, for etcdctl on their hosts
	ScrapersReach      = "scrapers-reach"       // scrapers reach the metrics port
	BackupsReach       = "backups-reach"        // backups reach the client port
	ClientIsolated     = "client-port-isolated" // nobody else reaches the client port
	PeerIsolated       = "peer-port-isolated"
	MetricsIsolated    = "metrics-port-isolated"
)

// violations returns the flows that contradict the intent, the worst first. Flows of one invariant
// and one kind of sender are one violation.
func (e *evaluator) violations(flows []Flow, place audit.Place) []Violation {
	// What is let in by another way is closed in another: remedy is set for what is allowed.
	type group struct {
		invariant string
		class     Class
		remedy    remedy
	}
	var list []Violation
	index := map[group]int{}
	for _, f := range flows {
		if f.Unknown != "" || f.Allowed == f.Wanted || f.Unavoidable {
			continue
		}
		own, r := group{invariant: e.violatedInvariant(f), class: f.FromClass}, e.remedyFor(f)
		if f.Allowed || r.kind == shareFamily {
			own.remedy = r
		}
		at, there := index[own]
		if !there {
			at = len(list)
			index[own] = at
			fix := r.lines(f, e.intent.Backends, place)
			list = append(list, Violation{
				Invariant: own.invariant, Severity: severityOf(own.invariant), FromClass: f.FromClass, reached: f.Allowed, FixText: sentence(fix), Fix: fix,
			})
		}
		v := &list[at]
		if !slices.Contains(v.From, f.From) {
			v.From, v.FromCount = append(v.From, f.From), v.FromCount+f.FromCount
		}
		v.To = addNew(v.To, f.To)
		v.Ports, v.DecidedBy = addNew(v.Ports, f.Port), addNew(v.DecidedBy, f.DecidedBy)
	}
	position := func(name string) int {
		return slices.IndexFunc(e.targets, func(t target) bool { return t.name == name })
	}
	for n := range list {
		slices.SortFunc(list[n].To, func(a, b string) int { return position(a) - position(b) })
		list[n].Text = list[n].Sentence()
	}
	slices.SortStableFunc(list, func(a, b Violation) int { return a.Severity.Rank() - b.Severity.Rank() })
	return list
}

func addNew[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

func (e *evaluator) violatedInvariant(f Flow) string {
	ports := e.intent.Ports
	if f.Allowed {
		switch f.Port {
		case ports.Client:
			return ClientIsolated
		case ports.Peer:
			return PeerIsolated
		}
		return MetricsIsolated
	}
	switch {
	case f.Port == ports.Peer:
		return PeersReachable
	case f.Port == ports.Metrics:
		return ScrapersReach
	case f.FromClass == ClassAPIServer:
		return APIServersReach
	case f.FromClass == ClassMember:
		return MembersReachClient
	}
	return BackupsReach
}

// severityOf rates an invariant. Without quorum or API server an outage is certain. Somebody who
// reaches a port of etcd still needs a credential.
func severityOf(invariant string) audit.Severity {
	switch invariant {
	case PeersReachable, APIServersReach, ClientIsolated, PeerIsolated:
		return audit.High
	}
	return audit.Medium
}

// Sentence returns the text of a violation.
func (v Violation) Sentence() string {
	var ports []string
	for _, p := range v.Ports {
		ports = append(ports, fmt.Sprint(p))
	}
	verb := "do not reach"
	switch one := v.FromCount == 1; {
	case v.reached && one:
		verb = "reaches"
	case v.reached:
		verb = "reach"
	case one:
		verb = "does not reach"
	}
	return fmt.Sprintf("%s %s port %s of %s", firstNames(v.From), verb, strings.Join(ports, ", "), firstNames(v.To))
}

// firstNames joins the first names of a list and counts the rest.
func firstNames(names []string) string {
	const most = 9
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
