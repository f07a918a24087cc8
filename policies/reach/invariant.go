package reach

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
)

// The invariants. All of them hold also for a member that is still to be added, from the
// moment when the policies are there.
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

// violations are the flows that are not as they are wanted: those of one invariant and one
// kind of sender in one sentence, the worst first.
func (e *evaluator) violations(flows []Flow) []Violation {
	var list []Violation
	index := map[string]int{}
	for _, f := range flows {
		if f.Unknown != "" || f.Allowed == f.Wanted || f.Unavoidable {
			continue
		}
		invariant := e.invariant(f)
		fix := e.fix(f)
		key := invariant + "\x00" + string(f.FromClass)
		if f.Allowed {
			key += "\x00" + fix // what is let in by another way is closed in another
		}
		at, there := index[key]
		if !there {
			at = len(list)
			index[key] = at
			list = append(list, Violation{Invariant: invariant, Severity: severityOf(invariant), FromClass: f.FromClass, Fix: fix})
		}
		v := &list[at]
		v.From, v.To = addNew(v.From, f.From), addNew(v.To, f.To)
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

func (e *evaluator) invariant(f Flow) string {
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

// severityOf: quorum and the API server are certain outages, and who reaches a port of etcd
// needs one credential more.
func severityOf(invariant string) audit.Severity {
	switch invariant {
	case PeersReachable, APIServersReach, ClientIsolated, PeerIsolated:
		return audit.High
	}
	return audit.Medium
}

// Sentence is the text of a violation.
func (v Violation) Sentence() string {
	var ports []string
	for _, p := range v.Ports {
		ports = append(ports, fmt.Sprint(p))
	}
	verb := "reach"
	switch v.Invariant {
	case PeersReachable, APIServersReach, MembersReachClient, ScrapersReach, BackupsReach:
		verb = "do not reach"
	}
	if len(v.From) == 1 && !strings.Contains(v.From[0], manyOf) {
		verb = strings.NewReplacer("do not reach", "does not reach", "reach", "reaches").Replace(verb)
	}
	return fmt.Sprintf("%s %s port %s of %s", few(v.From), verb, strings.Join(ports, ", "), few(v.To))
}

// few are the first names of a list that may be long; the list itself has all of them.
func few(names []string) string {
	const most = 9
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}

// fix is what to do about a flow, with a line to paste where there is one.
func (e *evaluator) fix(f Flow) string {
	switch {
	case !f.Allowed:
		if f.SeenAs != f.FromAddr {
			return fmt.Sprintf("%s is a Pod and seen as %s, its node: let it run on the host network of a node that is let in, or say spec.isolation.podAddresses: routed if Pods keep their addresses", f.FromAddr, f.SeenAs)
		}
		return fmt.Sprintf("let %s reach %s on TCP %d in what decides, or render it anew: etcdsec policies render -f cluster.yaml", f.SeenAs, f.ToAddr, f.Port)
	case strings.HasPrefix(f.DecidedBy, "failsafe port"):
		return "set failsafeInboundHostPorts of the FelixConfiguration, which stand before every policy: etcdsec policies render --backend calico -f cluster.yaml"
	case f.FromClass == ClassNode && strings.HasPrefix(f.DecidedBy, "no rule of Cilium"):
		return "shut out the hosts of other nodes, by labels that Cilium has to be told to know: etcdsec policies render --backend cilium --strict -f cluster.yaml"
	}
	backend := e.advised(f)
	line := fmt.Sprintf("etcdsec policies render --backend %s -f cluster.yaml", backend)
	if slices.Contains(e.intent.Backends, backend) {
		return line + "   # and apply it beside what lets this pass"
	}
	return fmt.Sprintf("add %s to spec.isolation.backends, and apply it: %s", backend, line)
}

// advised is the backend that keeps out what a flow let in.
func (e *evaluator) advised(f Flow) string {
	switch {
	case e.intent.Runtime == cluster.Hosted:
		return "networkpolicy"
	case f.FromClass == ClassPod && strings.HasPrefix(f.DecidedBy, "Calico on"):
		return "clusternetworkpolicy"
	}
	return "nftables"
}
