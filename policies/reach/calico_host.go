package reach

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// calicoHost is a HostEndpoint.
type calicoHost struct {
	name, node string
	wildcard   bool // every interface
	named      bool // an interface that it names
	addrs      []netip.Addr
	labelled   map[string]string
	profiles   []string
	unread     *reason // of one that is not read as a whole
}

// unreadCalicoHost returns a host endpoint of which nothing is known. It may be that of any node.
func unreadCalicoHost(name, why string) *calicoHost {
	return &calicoHost{name: name, unread: unreadReason(cluster.BackendCalico, name, why)}
}

func newCalicoHost(h kube.HostEndpoint) (*calicoHost, error) {
	c := &calicoHost{
		name: "HostEndpoint " + h.Metadata.Name, node: h.Spec.Node, wildcard: h.Spec.InterfaceName == "*",
		named: h.Spec.InterfaceName != "", labelled: h.Metadata.Labels, profiles: h.Spec.Profiles,
	}
	if len(h.Unread) > 0 {
		c.unread = unreadReason(cluster.BackendCalico, c.name, notRead(h.Unread[0]))
	}
	for i, s := range h.Spec.ExpectedIPs {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("%s: spec.expectedIPs[%d]: %w", c.name, i, err)
		}
		c.addrs = append(c.addrs, a.Unmap())
	}
	return c, nil
}

// unclearReason returns the reason of a host endpoint whose effect is not known.
func (e *evaluator) unclearReason(h *calicoHost) *reason {
	return e.reasonFor(Decision{Kind: ByUnclear, Engine: cluster.BackendCalico, Policy: h.name})
}

func (h *calicoHost) labels(key string) (string, bool) {
	v, ok := h.labelled[key]
	return v, ok
}

// failsafe is a port that a host endpoint leaves open, whatever the policies are.
type failsafe struct {
	port          uint16
	from          netip.Prefix // of zero value for anywhere
	configuration string       // the object that says so, or empty
	network       string       // from, as it is written there
}

func (f failsafe) decision() Decision {
	return Decision{Kind: ByFailsafe, Engine: cluster.BackendCalico, Port: f.port, Policy: f.configuration, Network: f.network}
}

// defaultFailsafes returns the TCP ports that Felix opens by default (projectcalico/calico
// felix/config/config_params.go).
func defaultFailsafes(egress bool) []uint16 {
	if egress {
		return []uint16{179, 2379, 2380, 5473, 6443, 6666, 6667}
	}
	return []uint16{22, 179, 2379, 2380, 5473, 6443, 6666, 6667}
}

// failsafes returns the failsafe ports of a node. A list for the node replaces the list for all
// nodes.
func (e *evaluator) failsafes(node string, egress bool) ([]failsafe, error) {
	for _, name := range []string{"node." + node, "default"} {
		for _, f := range e.filters.Objects.FelixConfigurations {
			if f.Metadata.Name != name {
				continue
			}
			ports := f.Spec.FailsafeInboundHostPorts
			if egress {
				ports = f.Spec.FailsafeOutboundHostPorts
			}
			if ports != nil {
				return configuredFailsafes(name, *ports)
			}
		}
	}
	var list []failsafe
	for _, port := range defaultFailsafes(egress) {
		list = append(list, failsafe{port: port})
	}
	return list, nil
}

func configuredFailsafes(name string, ports []kube.FailsafePort) ([]failsafe, error) {
	var list []failsafe
	for i, p := range ports {
		if p.Protocol != "" && !isTCP(kube.IntOrString{String: p.Protocol}) {
			continue
		}
		s := failsafe{port: p.Port, configuration: "FelixConfiguration " + name, network: p.Net}
		if p.Net != "" {
			prefix, err := policies.ParseNetwork(p.Net)
			if err != nil {
				return nil, fmt.Errorf("FelixConfiguration %s: failsafe port %d: %w", name, i, err)
			}
			s.from = prefix
		}
		list = append(list, s)
	}
	return list, nil
}

// findCalicoHost returns the host endpoint that filters traffic of one of a node's addresses, or
// nil. unsure is set if the objects do not show which endpoint that is.
func (e *evaluator) findCalicoHost(n *Node, a netip.Addr) (h *calicoHost, unsure *reason) {
	var wildcard *calicoHost
	for _, h := range e.hosts {
		if h.unread != nil && (h.node == "" || h.node == n.Name) {
			return nil, h.unread
		}
	}
	for _, h := range e.hosts {
		switch {
		case h.node != n.Name:
		case slices.Contains(h.addrs, a) && !h.wildcard:
			return h, nil
		case h.wildcard && wildcard == nil:
			wildcard = h
		case !h.wildcard && h.named && len(h.addrs) == 0:
			unsure = e.reasonFor(Decision{Kind: ByUnclearHost, Engine: cluster.BackendCalico, Policy: h.name})
		}
	}
	return wildcard, unsure
}

// calicoHostVerdict judges what a host itself sends or receives or, with forwarded, what it
// forwards.
func (e *evaluator) calicoHostVerdict(n *Node, c conn, egress, forwarded bool) verdict {
	own, other := c.dst, c.src
	if egress {
		own, other = c.src, c.dst
	}
	h, unsure := e.findCalicoHost(n, own.addr)
	if unsure != nil {
		return cannotTell(unsure, unsure.words())
	}
	if h == nil {
		return verdict{allowed: true}
	}
	if doubt := e.felixDoubt(n.Name); doubt != nil {
		return cannotTell(doubt, doubt.words())
	}
	applied := e.calicoHostPolicies(h, egress, forwarded)
	// These stand before every policy, but not for what is forwarded and has passed what comes
	// before DNAT (projectcalico/calico felix/rules/endpoints.go).
	by, err := e.findFailsafe(n, c, other.addr, egress)
	switch {
	case err != nil:
		return cannotTell(e.unclearReason(h), err.Error())
	case by != nil && !forwarded:
		return allow(by)
	case by == nil:
		if v, decided := e.calicoEarly(applied.early, c, egress); decided {
			return v
		}
	}
	v, decided := e.calicoTiers(applied.late, c, egress, nil)
	switch {
	case decided:
		return v
	case forwarded:
		return verdict{allowed: true} // without a policy for it, what is forwarded is not touched
	case slices.Contains(h.profiles, "projectcalico-default-allow"):
		return pass(e.reasonFor(Decision{Kind: ByProfile, Engine: cluster.BackendCalico, Policy: h.name}))
	case len(h.profiles) > 0:
		return cannotTell(e.unclearReason(h), fmt.Sprintf("profile %s of %s is not known", h.profiles[0], h.name))
	}
	return deny(e.reasonFor(Decision{Kind: ByNoProfile, Engine: cluster.BackendCalico, Policy: h.name}))
}

// findFailsafe returns the failsafe port that lets a connection through before any policy, or nil.
func (e *evaluator) findFailsafe(n *Node, c conn, other netip.Addr, egress bool) (*reason, error) {
	ports, err := e.failsafes(n.Name, egress)
	for _, f := range ports {
		if f.port == c.port && (!f.from.IsValid() || f.from.Contains(other)) {
			return e.reasonFor(f.decision()), nil
		}
	}
	return nil, err
}

// calicoEarly judges by the policies that come before all others. Traffic that none of them matches
// continues.
func (e *evaluator) calicoEarly(early []*calicoPolicy, c conn, egress bool) (verdict, bool) {
	for _, p := range early {
		switch v, action := e.calicoPolicy(p, c, egress); action {
		case "Allow", "Deny", "unknown":
			return v, true
		case "Pass":
			return verdict{}, false
		}
	}
	return verdict{}, false
}

// calicoFromPod judges what a Pod sends, on its own node, by the policies before DNAT of a host
// endpoint of every interface; an endpoint of one interface does not count (projectcalico/calico
// felix/rules/static.go, StaticManglePreroutingChain). What they allow continues.
func (e *evaluator) calicoFromPod(n *Node, c conn) verdict {
	for _, h := range e.hosts {
		if h.node != n.Name || !h.wildcard {
			continue
		}
		by, err := e.findFailsafe(n, c, c.src.addr, false)
		if err != nil {
			return cannotTell(e.unclearReason(h), err.Error())
		}
		if by != nil {
			break
		}
		early := slices.DeleteFunc(slices.Clone(e.calicoHostPolicies(h, false, true).early), func(p *calicoPolicy) bool { return p.early == doNotTrack })
		if v, decided := e.calicoEarly(early, c, false); decided {
			return v
		}
		break
	}
	return verdict{allowed: true}
}

type calicoApplied struct{ early, late []*calicoPolicy }

type calicoHostKey struct {
	host              *calicoHost
	egress, forwarded bool
}

// calicoHostPolicies returns the policies of a host endpoint for one direction.
func (e *evaluator) calicoHostPolicies(h *calicoHost, egress, forwarded bool) calicoApplied {
	key := calicoHostKey{h, egress, forwarded}
	if a, ok := e.hostApplied[key]; ok {
		return a
	}
	var a calicoApplied
	for _, p := range e.calico {
		switch {
		case p.namespace != "" || forwarded && !p.forward || egress && !p.egress || !egress && !p.ingress:
		case !p.namespaces.includesHosts() || !p.selector.matches(h.labels):
		case p.early != 0 && (!egress || p.early != preDNAT):
			a.early = append(a.early, p)
		case p.early == 0:
			a.late = append(a.late, p)
		}
	}
	e.hostApplied[key] = a
	return a
}

// OpenFailsafe returns the failsafe port that opens a port of a node to everybody, if there is one.
func OpenFailsafe(configurations []kube.FelixConfiguration, node string, port uint16) (Decision, bool) {
	e := evaluator{filters: policies.Filters{Objects: kube.Objects{FelixConfigurations: configurations}}}
	ports, err := e.failsafes(node, false)
	if err != nil {
		return Decision{}, false
	}
	for _, f := range ports {
		if f.port == port && (!f.from.IsValid() || f.from.Bits() == 0) {
			return f.decision(), true
		}
	}
	return Decision{}, false
}
