package reach

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// ciliumRule is one rule of a CiliumClusterwideNetworkPolicy or, with a namespace, of a
// CiliumNetworkPolicy (cilium/cilium pkg/policy/api v1.20).
type ciliumRule struct {
	name, namespace            string
	pods, nodes                *ciliumSelector
	denyIn, denyOut            bool // puts what it selects into default deny
	in, out, neverIn, neverOut []ciliumPeers
	unread                     *reason // of one that is not read as a whole
}

// ciliumPeers is one entry of ingress, egress or of their denies.
type ciliumPeers struct {
	reason    *reason
	anybody   bool // no list is given
	undecided bool // a list is given and empty
	endpoints []ciliumSelector
	entities  []string
	nodes     []ciliumSelector
	blocks    []block
	ports     []ciliumPort // none is any
	tcp       bool
	unread    string // why it may mean anybody, or any port
	someCIDR  bool   // a network is meant that the files do not have
}

type ciliumPort struct {
	name        string
	first, last uint16
	proxied     bool // a proxy also judges what is said over the connection
}

// ciliumSelector is a label selector. Labels may carry the source that they come from.
type ciliumSelector struct {
	selector
	reserved bool // it asks for labels that only Cilium gives
}

// Labels that Cilium gives Pods (cilium/cilium pkg/k8s/apis/cilium.io/const.go).
const (
	ciliumNamespace       = "io.kubernetes.pod.namespace"
	ciliumNamespaceLabels = "io.cilium.k8s.namespace.labels."
)

func newCiliumSelector(s kube.LabelSelector) (ciliumSelector, error) {
	compiled, err := newSelector(s)
	c := ciliumSelector{selector: compiled}
	for i, r := range compiled {
		for _, source := range []string{"k8s:", "any:", "k8s.", "any."} {
			compiled[i].key = strings.TrimPrefix(compiled[i].key, source)
		}
		if key := compiled[i].key; strings.HasPrefix(r.key, "reserved") || strings.HasPrefix(key, "io.cilium.k8s.policy.") {
			c.reserved = true
		}
	}
	return c, err
}

// namesNamespace reports whether a selector names the namespaces it selects from.
func (s ciliumSelector) namesNamespace() bool {
	return slices.ContainsFunc(s.selector, func(r requirement) bool {
		return r.key == ciliumNamespace || strings.HasPrefix(r.key, ciliumNamespaceLabels)
	})
}

func ciliumName(p kube.CiliumPolicy) (name, namespace string) {
	if p.Kind != "CiliumNetworkPolicy" {
		return p.Kind + " " + p.Metadata.Name, ""
	}
	namespace = orDefault(p.Metadata.Namespace)
	return p.Kind + " " + namespace + "/" + p.Metadata.Name, namespace
}

func newCiliumPolicy(p kube.CiliumPolicy) ([]*ciliumRule, error) {
	name, namespace := ciliumName(p)
	specs := slices.Clone(p.Specs)
	if p.Spec != nil {
		specs = append([]kube.CiliumRule{*p.Spec}, specs...)
	}
	if len(specs) == 0 {
		return nil, fmt.Errorf("%s: has neither spec nor specs", name)
	}
	var rules []*ciliumRule
	for i, s := range specs {
		at := "spec"
		if n := i - (len(specs) - len(p.Specs)); n >= 0 {
			at = fmt.Sprintf("specs[%d]", n)
		}
		r, err := newCiliumRule(s, at, p.Unread)
		if err != nil {
			return nil, fmt.Errorf("%s: rule %d: %w", name, i, err)
		}
		r.name, r.namespace = name, namespace
		if len(specs) > 1 {
			r.name = fmt.Sprintf("%s specs[%d]", name, i)
		}
		for _, p := range slices.Concat(r.in, r.out, r.neverIn, r.neverOut) {
			p.reason.Policy = r.name
		}
		if field := ciliumUnread(p.Unread, at); field != "" {
			r.unread = unreadReason(cluster.BackendCilium, r.name, notRead(field))
		}
		rules = append(rules, r)
	}
	return rules, nil
}

// ciliumUnread returns the first unread field of the rule at a path that is in none of its entries.
func ciliumUnread(unread kube.Unread, at string) string {
	for _, field := range unread {
		one := kube.Unread{field}
		if one.Beside("spec", "specs") != "" {
			return field
		}
		if one.Below(at) != "" && one.Beside(at+".ingress", at+".ingressDeny", at+".egress", at+".egressDeny") != "" {
			return field
		}
	}
	return ""
}

// newCiliumRule compiles the rule at a path of a policy, some of whose fields are unread.
func newCiliumRule(s kube.CiliumRule, at string, unread kube.Unread) (*ciliumRule, error) {
	r := &ciliumRule{}
	if (s.EndpointSelector == nil) == (s.NodeSelector == nil) {
		return nil, fmt.Errorf("want either endpointSelector or nodeSelector")
	}
	for _, of := range []struct {
		given *kube.LabelSelector
		into  **ciliumSelector
	}{{s.EndpointSelector, &r.pods}, {s.NodeSelector, &r.nodes}} {
		if of.given == nil {
			continue
		}
		if unread.Below(at+".endpointSelector") != "" || unread.Below(at+".nodeSelector") != "" {
			*of.into = &ciliumSelector{} // it may select anything
			continue
		}
		c, err := newCiliumSelector(*of.given)
		if err != nil {
			return nil, err
		}
		*of.into = &c
	}
	var err error
	add := func(direction string, egress bool, list []kube.CiliumIngress) (peers []ciliumPeers) {
		for i, g := range list {
			p, e := newCiliumPeers(g, fmt.Sprintf("%s.%s[%d]", at, direction, i), unread)
			if e != nil && err == nil {
				err = fmt.Errorf("%s[%d]: %w", direction, i, e)
			}
			p.reason = &reason{Decision: Decision{Kind: ByRule, Engine: cluster.BackendCilium, Rule: fmt.Sprintf("%s[%d]", direction, i), Egress: egress}}
			peers = append(peers, p)
		}
		return peers
	}
	r.in, r.neverIn = add("ingress", false, s.Ingress), add("ingressDeny", false, s.IngressDeny)
	r.out, r.neverOut = add("egress", true, asIngress(s.Egress)), add("egressDeny", true, asIngress(s.EgressDeny))
	// Unless it says otherwise, a rule that has a direction turns on default deny for it.
	r.denyIn, r.denyOut = len(r.in)+len(r.neverIn) > 0, len(r.out)+len(r.neverOut) > 0
	if d := s.EnableDefaultDeny; d != nil {
		if d.Ingress != nil {
			r.denyIn = *d.Ingress
		}
		if d.Egress != nil {
			r.denyOut = *d.Egress
		}
	}
	return r, err
}

// asIngress converts egress rules to the shape of ingress rules, which differ only in names.
func asIngress(list []kube.CiliumEgress) []kube.CiliumIngress {
	var out []kube.CiliumIngress
	for _, e := range list {
		out = append(out, kube.CiliumIngress{
			FromEndpoints: e.ToEndpoints, FromEntities: e.ToEntities, FromNodes: e.ToNodes,
			FromCIDR: e.ToCIDR, FromCIDRSet: e.ToCIDRSet, ToPorts: e.ToPorts, ICMPs: e.ICMPs,
		})
	}
	return out
}

func newCiliumPeers(g kube.CiliumIngress, at string, unread kube.Unread) (ciliumPeers, error) {
	p := ciliumPeers{entities: g.FromEntities, unread: notRead(unread.Below(at))}
	lists := len(g.FromEndpoints) + len(g.FromEntities) + len(g.FromNodes) + len(g.FromCIDR) + len(g.FromCIDRSet)
	given := g.FromEndpoints != nil || g.FromEntities != nil || g.FromNodes != nil || g.FromCIDR != nil || g.FromCIDRSet != nil
	p.anybody, p.undecided = lists == 0 && !given, lists == 0 && given
	for _, of := range []struct {
		list []kube.LabelSelector
		into *[]ciliumSelector
	}{{g.FromEndpoints, &p.endpoints}, {g.FromNodes, &p.nodes}} {
		for _, s := range of.list {
			c, err := newCiliumSelector(s)
			if err != nil {
				return p, err
			}
			*of.into = append(*of.into, c)
		}
	}
	for _, s := range g.FromCIDR {
		in, err := policies.ParseNetwork(s)
		if err != nil {
			return p, err
		}
		p.blocks = append(p.blocks, block{in: in})
	}
	for _, s := range g.FromCIDRSet {
		if s.CIDR == "" && p.unread != "" {
			p.someCIDR = true // a group of networks
			continue
		}
		in, err := policies.ParseNetwork(s.CIDR)
		if err != nil {
			return p, err
		}
		except, err := policies.ParseNetworks(s.Except)
		if err != nil {
			return p, err
		}
		p.blocks = append(p.blocks, block{in, except})
	}
	if len(g.ICMPs) > 0 && len(g.ToPorts) > 0 {
		return p, errors.New("toPorts and icmps together, which Cilium refuses")
	}
	if err := p.takePorts(g.ToPorts); err != nil {
		return p, err
	}
	p.tcp = p.tcp && len(g.ICMPs) == 0
	if unread.Below(at+".toPorts") != "" {
		p.ports, p.tcp = []ciliumPort{{last: math.MaxUint16, proxied: true}}, true
	}
	return p, nil
}

func (p *ciliumPeers) takePorts(rules []kube.CiliumPortRule) error {
	p.tcp = len(rules) == 0
	everyPort := len(rules) == 0
	for _, r := range rules {
		proxied := len(r.Rules) > 0
		every := func() {
			if p.tcp = true; proxied {
				p.ports = append(p.ports, ciliumPort{last: math.MaxUint16, proxied: true})
			} else {
				everyPort = true
			}
		}
		if len(r.Ports) == 0 {
			every()
		}
		for _, port := range r.Ports {
			if port.Protocol != "" && !strings.EqualFold(port.Protocol, "TCP") && !strings.EqualFold(port.Protocol, "ANY") {
				continue
			}
			p.tcp = true
			n, err := strconv.ParseUint(port.Port, 10, 16)
			switch {
			case err != nil:
				p.ports = append(p.ports, ciliumPort{name: port.Port, proxied: proxied})
			case n == 0:
				every()
			case port.EndPort > 65535 || port.EndPort > 0 && int(port.EndPort) < int(n):
				return fmt.Errorf("toPorts: %d to %d is not a range of ports", n, port.EndPort)
			case port.EndPort > 0:
				p.ports = append(p.ports, ciliumPort{first: uint16(n), last: uint16(port.EndPort), proxied: proxied})
			default:
				p.ports = append(p.ports, ciliumPort{first: uint16(n), last: uint16(n), proxied: proxied})
			}
		}
	}
	if everyPort {
		p.ports = nil
	}
	return nil
}
