package reach

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

func clusterPolicyEngine() engine {
	return engine{
		backend: cluster.BackendClusterNetworkPolicy, compile: compileClusterPolicies, selects: selectClusterPolicies,
		distinguish: distinguishByClusterPolicies,
		assumptions: func(e *evaluator) []string {
			if len(e.cluster) == 0 {
				return nil
			}
			return []string{"the network of the Pods enforces ClusterNetworkPolicies"}
		},
	}
}

func compileClusterPolicies(e *evaluator, o *kube.Objects, note func(error) bool) {
	for _, p := range o.ClusterNetworkPolicies {
		if c, err := newClusterPolicy(p); note(err) {
			e.cluster = append(e.cluster, c)
		} else {
			e.cluster = append(e.cluster, unreadClusterPolicy(cmp.Or(p.Kind, "ClusterNetworkPolicy")+" "+p.Metadata.Name, "is not judged: "+err.Error()))
		}
	}
	for _, s := range skippedOf(o, "policy.networking.k8s.io") {
		e.cluster = append(e.cluster, unreadClusterPolicy(s.title(), s.why))
	}
	slices.SortStableFunc(e.cluster, func(a, b *clusterPolicy) int { return cmp.Compare(a.priority, b.priority) })
}

// unreadClusterPolicy returns a policy of which nothing is known. It may decide about any Pod before all
// others.
func unreadClusterPolicy(name, why string) *clusterPolicy {
	return &clusterPolicy{name: name, admin: true, priority: math.MinInt32, unread: unreadReason(cluster.BackendClusterNetworkPolicy, name, why)}
}

func selectClusterPolicies(e *evaluator, p *Pod, to *podPolicies) {
	for _, c := range e.cluster {
		if !c.subject.matches(e, p) {
			continue
		}
		if len(c.in) > 0 || c.unread != nil {
			to.directions[0].addCluster(c)
		}
		if len(c.out) > 0 || c.unread != nil {
			to.directions[1].addCluster(c)
		}
	}
}

func (d *podDirection) addCluster(c *clusterPolicy) {
	if c.admin {
		d.admin = append(d.admin, c)
	} else {
		d.baseline = append(d.baseline, c)
	}
}

func distinguishByClusterPolicies(s *signatures) {
	peer := func(p clusterPeer) {
		if p.pods != nil {
			s.mention(p.pods.namespaces)
			s.mention(p.pods.pods)
		}
		if p.nodes != nil {
			s.mention(*p.nodes)
		}
		s.addBoundaries(p.networks...)
	}
	for _, p := range s.e.cluster {
		s.mention(p.subject.namespaces)
		s.mention(p.subject.pods)
		for _, r := range slices.Concat(p.in, p.out) {
			for _, other := range r.peers {
				peer(other)
			}
		}
	}
}

// clusterPolicy is a ClusterNetworkPolicy (sigs.k8s.io/network-policy-api v0.2.0,
// apis/v1alpha2/clusternetworkpolicy_types.go).
type clusterPolicy struct {
	name     string
	admin    bool // and not the baseline
	priority int32
	subject  podSelector
	in, out  []clusterRule
	unread   *reason // of one that is not read as a whole
}

// podSelector selects Pods of the Pod network.
type podSelector struct{ namespaces, pods selector }

type clusterRule struct {
	reason *reason
	action string
	peers  []clusterPeer
	ports  []clusterPort // none is any
	tcp    bool          // whether any protocol of the rule is TCP, or there are none
	unread string        // why it may match anything
}

type clusterPeer struct {
	pods     *podSelector
	nodes    *selector
	networks []netip.Prefix
	domains  bool
	none     bool // a peer of a field that we do not know
}

type clusterPort struct {
	name        string
	first, last uint16
}

func newClusterPolicy(p kube.ClusterNetworkPolicy) (*clusterPolicy, error) {
	c := &clusterPolicy{name: cmp.Or(p.Kind, "ClusterNetworkPolicy") + " " + p.Metadata.Name, priority: p.Spec.Priority}
	switch p.Spec.Tier {
	case "Admin":
		c.admin = true
	case "Baseline":
	default:
		return nil, fmt.Errorf("%s: spec.tier: unknown tier %q; want Admin or Baseline", c.name, p.Spec.Tier)
	}
	subject, err := newPodSelector(p.Spec.Subject.Namespaces, p.Spec.Subject.Pods)
	if err != nil {
		return nil, fmt.Errorf("%s: spec.subject: %w", c.name, err)
	}
	if subject == nil {
		return nil, fmt.Errorf("%s: spec.subject has neither namespaces nor pods", c.name)
	}
	c.subject = *subject
	if field := p.Unread.Beside("spec.ingress", "spec.egress"); field != "" {
		c.unread = unreadReason(cluster.BackendClusterNetworkPolicy, c.name, notRead(field))
	}
	if p.Unread.Below("spec.subject") != "" {
		c.subject = podSelector{} // it may select any Pod
	}
	for i, r := range p.Spec.Ingress {
		rule, err := newClusterRule(r.Action, r.Protocols)
		for _, peer := range r.From {
			var pods *podSelector
			if err == nil {
				pods, err = newPodSelector(peer.Namespaces, peer.Pods)
				rule.peers = append(rule.peers, clusterPeer{pods: pods, none: pods == nil})
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: spec.ingress[%d]: %w", c.name, i, err)
		}
		rule.reason = &reason{Decision: Decision{Kind: ByRule, Engine: cluster.BackendClusterNetworkPolicy, Policy: c.name, Rule: fmt.Sprintf("ingress[%d]", i), Action: r.Action}}
		rule.unread = notRead(p.Unread.Below(fmt.Sprintf("spec.ingress[%d]", i)))
		c.in = append(c.in, rule)
	}
	for i, r := range p.Spec.Egress {
		rule, err := newClusterRule(r.Action, r.Protocols)
		for _, peer := range r.To {
			var to clusterPeer
			if err == nil {
				to, err = newClusterEgressPeer(peer)
				rule.peers = append(rule.peers, to)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s: spec.egress[%d]: %w", c.name, i, err)
		}
		rule.reason = &reason{Decision: Decision{Kind: ByRule, Engine: cluster.BackendClusterNetworkPolicy, Policy: c.name, Rule: fmt.Sprintf("egress[%d]", i), Action: r.Action, Egress: true}}
		rule.unread = notRead(p.Unread.Below(fmt.Sprintf("spec.egress[%d]", i)))
		c.out = append(c.out, rule)
	}
	return c, nil
}

// newPodSelector returns a selector of Pods; nil if the policy gives neither field.
func newPodSelector(namespaces *kube.LabelSelector, pods *kube.NamespacedPod) (*podSelector, error) {
	var p podSelector
	var err error
	switch {
	case namespaces != nil:
		p.namespaces, err = newSelector(*namespaces)
	case pods != nil:
		if p.namespaces, err = newSelector(pods.NamespaceSelector); err == nil {
			p.pods, err = newSelector(pods.PodSelector)
		}
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &p, nil
}

func newClusterEgressPeer(peer kube.ClusterEgressPeer) (clusterPeer, error) {
	pods, err := newPodSelector(peer.Namespaces, peer.Pods)
	if err != nil {
		return clusterPeer{}, err
	}
	c := clusterPeer{pods: pods, domains: len(peer.DomainNames) > 0}
	if peer.Nodes != nil {
		nodes, err := newSelector(*peer.Nodes)
		if err != nil {
			return c, fmt.Errorf("nodes: %w", err)
		}
		c.nodes = &nodes
	}
	if c.networks, err = policies.ParseNetworks(peer.Networks); err != nil {
		return c, fmt.Errorf("networks: %w", err)
	}
	c.none = pods == nil && c.nodes == nil && len(c.networks) == 0 && !c.domains
	return c, nil
}

func newClusterRule(action string, protocols []kube.ClusterPolicyProtocol) (clusterRule, error) {
	r := clusterRule{action: action, tcp: len(protocols) == 0}
	if !slices.Contains([]string{"Accept", "Deny", "Pass"}, action) {
		return r, fmt.Errorf("action: unknown action %q; want Accept, Deny or Pass", action)
	}
	everyPort := len(protocols) == 0
	for _, p := range protocols {
		switch {
		case p.DestinationNamedPort != "":
			r.tcp, r.ports = true, append(r.ports, clusterPort{name: p.DestinationNamedPort})
		case p.TCP != nil && p.TCP.DestinationPort == nil:
			r.tcp, everyPort = true, true
		case p.TCP != nil && p.TCP.DestinationPort.Range != nil:
			ports := p.TCP.DestinationPort.Range
			if ports.Start < 1 || ports.Start > ports.End || ports.End > 65535 {
				return r, fmt.Errorf("protocols: %d to %d is not a range of ports", ports.Start, ports.End)
			}
			r.tcp, r.ports = true, append(r.ports, clusterPort{"", uint16(ports.Start), uint16(ports.End)}) //nolint:gosec // at most 65535
		case p.TCP != nil:
			n := p.TCP.DestinationPort.Number
			if n < 1 || n > 65535 {
				return r, fmt.Errorf("protocols: %d is not a port", n)
			}
			r.tcp, r.ports = true, append(r.ports, clusterPort{"", uint16(n), uint16(n)})
		}
	}
	if everyPort {
		r.ports = nil
	}
	return r, nil
}

func (p podSelector) matches(e *evaluator, pod *Pod) bool {
	return pod != nil && !pod.HostNetwork && p.pods.matches(pod.Labels) && p.namespaces.matches(e.topology.namespaceLabels(pod.Namespace))
}

func (r clusterRule) matches(e *evaluator, c conn, other end) truth {
	if r.unread != "" {
		return maybe
	}
	if !r.tcp {
		return no
	}
	port := truthOf(len(r.ports) == 0)
	for _, p := range r.ports {
		if p.name != "" {
			port = or(port, c.dst.pod.hasPort(p.name, c.port))
		} else {
			port = or(port, truthOf(p.first <= c.port && c.port <= p.last))
		}
	}
	if port == no {
		return no
	}
	peers := no
	for _, p := range r.peers {
		switch {
		case p.none:
			// An implementation that knows no field of a peer fails closed: an Accept matches
			// nothing, and the others deny everything.
			peers = or(peers, truthOf(r.action != "Accept"))
		case p.pods != nil:
			peers = or(peers, truthOf(p.pods.matches(e, other.pod)))
		case p.nodes != nil:
			peers = or(peers, truthOf(other.pod == nil && other.node != nil && other.node.Kubernetes && p.nodes.matches(other.node.Labels)))
		case p.domains:
			peers = or(peers, maybe)
		default:
			peers = or(peers, truthOf(isWithin(other.addr, p.networks)))
		}
	}
	return and(port, peers)
}

// clusterPolicies judges one direction by those policies of a tier that select the Pod, by rising
// priority. decided is false if none matches, or one passes the packet on.
func (e *evaluator) clusterPolicies(selected []*clusterPolicy, c conn, egress bool) (v verdict, decided bool) {
	for i := 0; i < len(selected); {
		// Which of several policies of one priority wins is left to the implementation.
		last := i
		for last < len(selected) && selected[last].priority == selected[i].priority {
			last++
		}
		v, action := e.clusterPriority(selected[i:last], c, egress)
		if action != "" {
			return v, action != "Pass"
		}
		i = last
	}
	return verdict{}, false
}

// clusterPriority judges by the policies of one priority. The action is empty if none matches.
func (e *evaluator) clusterPriority(selected []*clusterPolicy, c conn, egress bool) (verdict, string) {
	var v verdict
	action := ""
	for _, p := range selected {
		if p.unread != nil {
			return cannotTell(p.unread, p.unread.words()), "unknown"
		}
		rules, other := p.in, c.src
		if egress {
			rules, other = p.out, c.dst
		}
		for _, r := range rules {
			match := r.matches(e, c, other)
			if match == no {
				continue
			}
			switch {
			case r.unread != "":
				return unreadRule(r.reason, r.unread), "unknown"
			case match == maybe:
				return cannotTell(r.reason, r.reason.words()+" has a name in it that may stand for this connection"), "unknown"
			case action == "":
				action, v = r.action, verdict{allowed: r.action == "Accept", by: r.reason, ruled: true}
			case action != r.action:
				return cannotTell(r.reason, v.by.words()+" and "+r.reason.words()+" have the same priority, and either may win"), "unknown"
			}
			break
		}
	}
	return v, action
}
