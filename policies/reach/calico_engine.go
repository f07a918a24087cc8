package reach

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

func calicoEngine() engine {
	return engine{
		backend: cluster.BackendCalico, compile: compileCalico, selects: selectCalico, judge: judgeByCalico,
		distinguish: distinguishByCalico, words: describeCalico,
		assumptions: func(e *evaluator) []string {
			if len(e.hosts) == 0 {
				return nil
			}
			return []string{"Calico lets a Pod reach its own node where the Pod's egress policies do (defaultEndpointToHostAction: Accept, as Calico's manifests and operator set it)"}
		},
	}
}

func compileCalico(e *evaluator, o *kube.Objects, note func(error) bool) {
	for _, p := range o.CalicoPolicies {
		if c, err := newCalicoPolicy(p); note(err) {
			e.calico = append(e.calico, c)
		} else {
			name, namespace := calicoPolicyName(p.Kind, p.Metadata.Namespace, p.Metadata.Name)
			e.calico = append(e.calico, unreadCalicoPolicy(name, namespace, "is not judged: "+err.Error()))
		}
	}
	for _, h := range o.HostEndpoints {
		c, err := newCalicoHost(h)
		if !note(err) {
			c = unreadCalicoHost("HostEndpoint "+h.Metadata.Name, "is not judged: "+err.Error())
			c.node = h.Spec.Node
		}
		e.hosts = append(e.hosts, c)
	}
	e.addUnreadCalico(o)
	sortCalico(e.calico)
	e.calicoSets = slices.ContainsFunc(o.Skipped, func(s kube.Skipped) bool { return strings.Contains(s.Kind, "NetworkSet") })
}

// addUnreadCalico adds those objects of Calico that are not read and may decide. The tiers, profiles and
// sets of networks are not among them: what means them knows that it does not know them.
func (e *evaluator) addUnreadCalico(o *kube.Objects) {
	for _, s := range skippedOf(o, "projectcalico.org", "crd.projectcalico.org") {
		switch {
		case s.kind == "HostEndpoint":
			e.hosts = append(e.hosts, unreadCalicoHost(s.title(), s.why))
		case s.kind == "FelixConfiguration":
			e.felixUnread = append(e.felixUnread, felixUnread{s.name, unreadReason(cluster.BackendCalico, s.title(), s.why)})
		case strings.HasSuffix(s.kind, "NetworkPolicy"):
			_, name, ok := strings.Cut(s.name, "/")
			if !ok {
				name = s.name
			}
			full, namespace := calicoPolicyName(s.kind, s.namespace, name)
			e.calico = append(e.calico, unreadCalicoPolicy(full, namespace, s.why))
		}
	}
}

// felixUnread is a FelixConfiguration that is not read.
type felixUnread struct {
	name   string
	reason *reason
}

// felixDoubt returns the reason of a FelixConfiguration of a node, or of all nodes, that is not read;
// nil if there is none.
func (e *evaluator) felixDoubt(node string) *reason {
	for _, f := range e.felixUnread {
		if f.name == "default" || f.name == "node."+node {
			return f.reason
		}
	}
	return nil
}

func selectCalico(e *evaluator, p *Pod, to *podPolicies) {
	in, out := &to.directions[0], &to.directions[1]
	for _, c := range e.calico {
		if !c.selects(e, p) {
			continue
		}
		if c.ingress {
			in.calico = append(in.calico, c)
		}
		if c.egress {
			out.calico = append(out.calico, c)
		}
	}
}

// judgeByCalico judges by the host endpoints. What a host sends to itself passes none of them.
func judgeByCalico(e *evaluator, at place) verdict {
	switch at.passage {
	case fromPod:
		return e.calicoFromPod(at.node, at.conn)
	case forwardsOut:
		return e.calicoHostVerdict(at.node, at.conn, true, true)
	case forwardsIn:
		return e.calicoHostVerdict(at.node, at.conn, false, true)
	case sends:
		return e.calicoHostVerdict(at.node, at.conn, true, false)
	case receives:
		return e.calicoHostVerdict(at.node, at.conn, false, false)
	case receivesPod:
		return e.workloadToHost(at.node, at.conn.dst.addr)
	case loops:
	}
	return verdict{allowed: true}
}

// workloadToHost judges what a Pod sends to its own host, as Calico does: by the Pod's egress
// policies, by policies before DNAT and by defaultEndpointToHostAction. No other policy of the host
// endpoint applies. That setting is Accept in Calico's manifests and operator (projectcalico/calico
// felix/rules/static.go, filterInputChain).
func (e *evaluator) workloadToHost(n *Node, to netip.Addr) verdict {
	if h, _ := e.findCalicoHost(n, to); h == nil {
		return verdict{allowed: true}
	}
	return pass(e.reasonFor(Decision{Kind: ByHostAction, Engine: cluster.BackendCalico, Node: n.Name}))
}

func distinguishByCalico(s *signatures) {
	s.nameKeys = append(s.nameKeys, calicoNamespace, calicoName)
	of := func(c *calicoSelector) {
		if c != nil {
			c.visitKeys(s.mentionLabel)
		}
	}
	for _, p := range s.e.calico {
		s.namespaces[p.namespace] = true
		of(&p.selector)
		of(&p.namespaces)
		for _, r := range slices.Concat(p.in, p.out) {
			for _, x := range []calicoEntity{r.source, r.dest} {
				of(x.selector)
				of(x.notSelector)
				of(x.namespaces)
				s.addBoundaries(x.nets...)
				s.addBoundaries(x.notNets...)
			}
		}
	}
	for _, h := range s.e.hosts {
		s.nodes[h.node] = true
		for _, a := range h.addrs {
			s.addBoundaries(netip.PrefixFrom(a, a.BitLen()))
		}
	}
	for _, f := range s.e.filters.Objects.FelixConfigurations {
		for _, ports := range []*[]kube.FailsafePort{f.Spec.FailsafeInboundHostPorts, f.Spec.FailsafeOutboundHostPorts} {
			if ports == nil {
				continue
			}
			for _, port := range *ports {
				if p, err := policies.ParseNetwork(port.Net); err == nil {
					s.addBoundaries(p)
				}
			}
		}
	}
}

func describeCalico(d Decision) string {
	switch d.Kind {
	case ByDefaultDeny:
		text := d.policies()
		if d.afterNetworkPolicies {
			text += ", no " + direction(d.Egress) + " rule"
		}
		return text + ", no " + direction(d.Egress) + " rule, and so the end of tier " + d.Tier
	case ByFailsafe:
		return describeFailsafe(d)
	case ByProfile:
		return "profile projectcalico-default-allow of " + d.Policy
	case ByNoProfile:
		return d.Policy + ", which has neither a policy nor a profile that lets it pass"
	case ByHostAction:
		return "Calico on " + d.Node + ", where defaultEndpointToHostAction is Accept and no host endpoint is asked about a Pod of the same host"
	case ByUnclearHost:
		return d.Policy + " names an interface and no expectedIPs, so that nothing says which address it has"
	default:
		return ""
	}
}

func describeFailsafe(d Decision) string {
	text := fmt.Sprintf("failsafe port tcp %d", d.Port)
	if d.Policy == "" {
		return text + ", which Felix opens by default"
	}
	text += " of " + d.Policy
	if d.Network != "" {
		text += " for " + d.Network
	}
	return text
}
