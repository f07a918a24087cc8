package reach

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// The labels that Calico gives Pods beside their own.
const (
	calicoNamespace    = "projectcalico.org/namespace"
	calicoOrchestrator = "projectcalico.org/orchestrator"
	calicoName         = "projectcalico.org/name" // of a namespace
)

// networkPolicyOrder is the place of Kubernetes' NetworkPolicies in Calico's tier default
// (projectcalico/calico libcalico-go/lib/backend/k8s/conversion/constants.go).
const networkPolicyOrder = 1000

// defaultTier is the tier that Calico judges last.
const defaultTier = "default"

// calicoPolicy is a GlobalNetworkPolicy or, with a namespace, Calico's own NetworkPolicy.
type calicoPolicy struct {
	name, namespace, tier string
	order                 float64 // of one that has none, infinite
	selector, namespaces  calicoSelector
	accounts              bool // it has a serviceAccountSelector
	ingress, egress       bool
	forward               bool // applies to what a host forwards as well
	early                 int  // 0, or preDNAT, or doNotTrack: judged before all others, with no default deny
	in, out               []calicoRule
	unread                *reason // of one that is not read as a whole
	unordered             bool    // nothing of it is known, not even its tier and order
}

const (
	preDNAT = iota + 1
	doNotTrack
)

type calicoRule struct {
	reason       *reason
	action       string
	tcp          bool
	family       int // 4, 6 or 0 for both
	source, dest calicoEntity
	unread       string // why it may match less than it seems to
}

type calicoEntity struct {
	nets, notNets         []netip.Prefix
	selector, notSelector *calicoSelector
	namespaces            *calicoSelector
	ports, notPorts       []calicoPort
}

type calicoPort struct {
	name        string
	first, last uint16
}

func newCalicoPolicy(p kube.CalicoPolicy) (*calicoPolicy, error) {
	s := p.Spec
	c := &calicoPolicy{tier: s.Tier, order: math.Inf(1), accounts: s.ServiceAccountSelector != "", forward: s.ApplyOnForward}
	c.name, c.namespace = calicoPolicyName(p.Kind, p.Metadata.Namespace, p.Metadata.Name)
	if field := p.Unread.Beside("spec.ingress", "spec.egress"); field != "" {
		c.unread = unreadReason(cluster.BackendCalico, c.name, notRead(field))
	}
	if c.tier == "" {
		c.tier = defaultTier
	}
	if s.Order != nil {
		c.order = *s.Order
	}
	switch {
	case s.DoNotTrack:
		c.early = doNotTrack
	case s.PreDNAT:
		c.early = preDNAT
	}
	var err error
	if c.selector, err = newCalicoSelector(s.Selector); err != nil {
		return nil, fmt.Errorf("%s: spec.selector: %w", c.name, err)
	}
	if c.namespaces, err = newCalicoSelector(s.NamespaceSelector); err != nil {
		return nil, fmt.Errorf("%s: spec.namespaceSelector: %w", c.name, err)
	}
	// Without types they are the directions that have rules, and Ingress if none has
	// (docs.tigera.io/calico/latest/reference/resources/globalnetworkpolicy).
	c.ingress = slices.Contains(s.Types, "Ingress") || len(s.Types) == 0 && (len(s.Ingress) > 0 || len(s.Egress) == 0)
	c.egress = slices.Contains(s.Types, "Egress") || len(s.Types) == 0 && len(s.Egress) > 0
	if c.in, err = newCalicoRules(c.name, false, s.Ingress, p.Unread); err == nil {
		c.out, err = newCalicoRules(c.name, true, s.Egress, p.Unread)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: spec.%w", c.name, err)
	}
	return c, nil
}

// calicoPolicyName returns the name that tells a policy of Calico from one of Kubernetes, and its
// namespace.
func calicoPolicyName(kind, namespace, name string) (full, in string) {
	if kind != "NetworkPolicy" {
		return kind + " " + name, ""
	}
	namespace = orDefault(namespace)
	return "Calico NetworkPolicy " + namespace + "/" + name, namespace
}

// unreadCalicoPolicy returns a policy of which nothing is known. It may apply to anything in its
// namespace or, without one, anywhere.
func unreadCalicoPolicy(name, namespace, why string) *calicoPolicy {
	return &calicoPolicy{
		name: name, namespace: namespace, tier: defaultTier, order: math.Inf(-1), ingress: true, egress: true, forward: true,
		unread: unreadReason(cluster.BackendCalico, name, why), unordered: true,
	}
}

func newCalicoRules(policy string, egress bool, rules []kube.CalicoRule, unread kube.Unread) ([]calicoRule, error) {
	var list []calicoRule
	for i, r := range rules {
		at := fmt.Sprintf("%s[%d]", direction(egress), i)
		rule := calicoRule{action: r.Action, tcp: true}
		rule.reason = &reason{Decision: Decision{Kind: ByRule, Engine: cluster.BackendCalico, Policy: policy, Rule: at, Action: r.Action, Egress: egress}}
		if !slices.Contains([]string{"Allow", "Deny", "Pass", "Log"}, r.Action) {
			return nil, fmt.Errorf("%s.action: unknown action %q; want Allow, Deny, Pass or Log", at, r.Action)
		}
		if r.Protocol != nil {
			rule.tcp = isTCP(*r.Protocol)
		}
		if r.NotProtocol != nil && isTCP(*r.NotProtocol) {
			rule.tcp = false
		}
		rule.unread = notRead(unread.Below("spec." + at))
		// The API server takes them only with the protocol ICMP or ICMPv6.
		if (r.ICMP != nil || r.NotICMP != nil) && rule.tcp {
			return nil, fmt.Errorf("%s: icmp of a rule that is not for the protocol ICMP alone, which the API server refuses", at)
		}
		if r.IPVersion != nil {
			rule.family = *r.IPVersion
		}
		var err error
		if rule.source, err = newCalicoEntity(r.Source); err != nil {
			return nil, fmt.Errorf("%s.source: %w", at, err)
		}
		if rule.dest, err = newCalicoEntity(r.Destination); err != nil {
			return nil, fmt.Errorf("%s.destination: %w", at, err)
		}
		list = append(list, rule)
	}
	return list, nil
}

func isTCP(protocol kube.IntOrString) bool {
	return protocol.Int == 6 || strings.EqualFold(protocol.String, "TCP") || protocol.String == "6"
}

func newCalicoEntity(e *kube.CalicoEntity) (calicoEntity, error) {
	var c calicoEntity
	if e == nil {
		return c, nil
	}
	var err error
	if c.nets, err = policies.ParseNetworks(e.Nets); err != nil {
		return c, fmt.Errorf("nets: %w", err)
	}
	if c.notNets, err = policies.ParseNetworks(e.NotNets); err != nil {
		return c, fmt.Errorf("notNets: %w", err)
	}
	for _, of := range []struct {
		text string
		into **calicoSelector
	}{{e.Selector, &c.selector}, {e.NotSelector, &c.notSelector}, {e.NamespaceSelector, &c.namespaces}} {
		if of.text == "" {
			continue
		}
		s, err := newCalicoSelector(of.text)
		if err != nil {
			return c, err
		}
		*of.into = &s
	}
	if c.ports, err = newCalicoPorts(e.Ports); err != nil {
		return c, fmt.Errorf("ports: %w", err)
	}
	if c.notPorts, err = newCalicoPorts(e.NotPorts); err != nil {
		return c, fmt.Errorf("notPorts: %w", err)
	}
	return c, nil
}

// newCalicoPorts reads numbers, "FIRST:LAST" and names.
func newCalicoPorts(ports []kube.CalicoPortRange) ([]calicoPort, error) {
	var list []calicoPort
	for _, p := range ports {
		text := p.String
		if text == "" {
			text = strconv.Itoa(int(p.Int))
		}
		first, last, ranged := strings.Cut(text, ":")
		if !ranged {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 16)
		if err != nil && !ranged && p.String != "" {
			list = append(list, calicoPort{name: text})
			continue
		}
		to, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil || from > to {
			return nil, fmt.Errorf("%q is neither a port nor a range FIRST:LAST", text)
		}
		list = append(list, calicoPort{first: uint16(from), last: uint16(to)})
	}
	return list, nil
}

// sortCalico sorts policies as Calico judges them within a tier: by order, then by name.
func sortCalico(list []*calicoPolicy) {
	slices.SortStableFunc(list, func(a, b *calicoPolicy) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.name, b.name))
	})
}

// podLabels looks up a Pod's labels as Calico's selectors see them.
func podLabels(p *Pod) func(string) (string, bool) {
	return func(key string) (string, bool) {
		switch key {
		case calicoNamespace:
			return p.Namespace, true
		case calicoOrchestrator:
			return "k8s", true
		}
		v, ok := p.Labels[key]
		return v, ok
	}
}

// calicoNamespaceLabels looks up the labels of a Pod's namespace as Calico's selectors see them.
func (e *evaluator) calicoNamespaceLabels(p *Pod) func(string) (string, bool) {
	labels := e.topology.namespaceLabels(p.Namespace)
	return func(key string) (string, bool) {
		if key == calicoName || key == calicoNamespace {
			return p.Namespace, true
		}
		v, ok := labels[key]
		return v, ok
	}
}

// selects reports whether a policy applies to a Pod.
func (c *calicoPolicy) selects(e *evaluator, p *Pod) bool {
	if p.HostNetwork || c.early != 0 || c.namespace != "" && c.namespace != p.Namespace {
		return false
	}
	return c.selector.matches(podLabels(p)) && c.namespaces.matches(e.calicoNamespaceLabels(p))
}

func (r calicoRule) matches(e *evaluator, policy *calicoPolicy, c conn) truth {
	if !r.tcp || r.family != 0 && (r.family == 4) != c.dst.addr.Is4() {
		return no
	}
	match := and(r.source.matches(e, policy, c.src), r.dest.matches(e, policy, c.dst))
	if match == no {
		return no
	}
	if len(r.source.ports) > 0 || len(r.source.notPorts) > 0 {
		match = maybe // a client's port is any
	}
	if len(r.dest.ports) > 0 {
		match = and(match, containsPort(r.dest.ports, c))
	}
	if len(r.dest.notPorts) > 0 {
		match = and(match, containsPort(r.dest.notPorts, c).not())
	}
	if r.unread != "" {
		match = and(match, maybe) // every condition of a rule must hold
	}
	return match
}

func containsPort(ports []calicoPort, c conn) truth {
	in := no
	for _, p := range ports {
		switch {
		case p.name == "":
			in = or(in, truthOf(p.first <= c.port && c.port <= p.last))
		case c.dst.pod == nil:
			in = or(in, maybe) // a HostEndpoint may name its ports
		default:
			in = or(in, c.dst.pod.hasPort(p.name, c.port))
		}
	}
	return in
}

// matches reports whether one end of a connection is the entity. A selector selects Pods, the
// expected addresses of host endpoints, and sets of networks, which a dump may leave out.
func (x calicoEntity) matches(e *evaluator, policy *calicoPolicy, end end) truth {
	if len(x.nets) > 0 && !isWithin(end.addr, x.nets) || isWithin(end.addr, x.notNets) {
		return no
	}
	match := yes
	if x.selector != nil || x.namespaces != nil {
		match = e.calicoSelects(policy, x, end)
	}
	if x.notSelector != nil {
		match = and(match, e.calicoSelects(policy, calicoEntity{selector: x.notSelector}, end).not())
	}
	return match
}

func (e *evaluator) calicoSelects(policy *calicoPolicy, x calicoEntity, end end) truth {
	sets := no
	if e.calicoSets {
		sets = maybe
	}
	if end.pod != nil && !end.pod.HostNetwork {
		if policy.namespace != "" && x.namespaces == nil && policy.namespace != end.pod.Namespace {
			return sets
		}
		if x.selector != nil && !x.selector.matches(podLabels(end.pod)) || x.namespaces != nil && !x.namespaces.matches(e.calicoNamespaceLabels(end.pod)) {
			return sets
		}
		return yes
	}
	if policy.namespace != "" && x.namespaces == nil || x.namespaces != nil && !x.namespaces.includesHosts() {
		return sets
	}
	for _, h := range e.hosts {
		if slices.Contains(h.addrs, end.addr) && (x.selector == nil || x.selector.matches(h.labels)) {
			return yes
		}
	}
	return sets
}
