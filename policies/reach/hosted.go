package reach

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
)

// makeTargets lists the members: their hosts or, hosted, the Pods that the spec selects. If the dump
// has no such Pods, one Pod stands for each member.
func (e *evaluator) makeTargets() {
	if e.intent.Runtime != cluster.Hosted {
		for _, m := range e.intent.Members {
			e.targets = append(e.targets, target{name: m.Name, node: e.hostNode(m), addrs: m.Addrs})
		}
		return
	}
	for _, p := range e.topology.Pods {
		if p.Node != nil && len(p.Addrs) > 0 && selectedBy(e.intent.Pods.Etcd, p) {
			e.targets = append(e.targets, target{name: p.String(), node: p.Node, pod: p, addrs: p.Addrs})
		}
	}
	if len(e.targets) > 0 {
		return
	}
	v4, v6 := e.hostedFamilies()
	for n, m := range e.intent.Members {
		node := &Node{Name: "the node of " + m.Name, Kubernetes: true}
		p := &Pod{Namespace: e.intent.Pods.Etcd.Namespace, Name: m.Name, Labels: labelMap(e.intent.Pods.Etcd.Labels), Node: node, PortsUnknown: true}
		for _, of := range []struct {
			has  bool
			base string
		}{{v4, "100.64.0.10"}, {v6, "fd64::10"}} {
			if a := netip.MustParseAddr(of.base); of.has {
				for range n {
					a = a.Next()
				}
				p.Addrs = append(p.Addrs, e.hostedAddress(a, n))
			}
		}
		e.targets = append(e.targets, target{name: m.Name, node: node, pod: p, addrs: p.Addrs})
	}
}

// missingTargets returns what is not known because a dump with Pods has fewer of the members than the
// spec. The members that are not there reach nobody.
func (e *evaluator) missingTargets() []string {
	if e.intent.Runtime != cluster.Hosted || len(e.topology.Pods) == 0 {
		return nil
	}
	found, want := 0, 0
	for _, p := range e.topology.Pods {
		if e.isTarget(p) {
			found++
		}
	}
	for _, m := range e.intent.Members {
		if !m.Joining {
			want++
		}
	}
	if found >= want {
		return nil
	}
	of := e.intent.Pods.Etcd
	return []string{fmt.Sprintf("the dump has %d running Pods of spec.isolation.pods.etcd (%s, %s), and the spec %d members", found, of.Namespace, labelMap(of.Labels), want)}
}

// hostedAddress returns the nth address after the tenth of a Pod network, or a shared one (RFC 6598)
// if the spec names no network.
func (e *evaluator) hostedAddress(otherwise netip.Addr, n int) netip.Addr {
	for _, p := range e.intent.PodCIDRs {
		if p.Addr().Is4() != otherwise.Is4() {
			continue
		}
		left := n + 10
		if a := addressIn(p, func(a netip.Addr) bool { left--; return left < 0 && len(e.intent.Roles(a)) == 0 }); a.IsValid() {
			return a
		}
	}
	return otherwise
}

// hostedFamilies reports which address families Pods have: those of the spec's Pod networks, and
// IPv4 if there are none.
func (e *evaluator) hostedFamilies() (v4, v6 bool) {
	for _, p := range e.intent.PodCIDRs {
		v4, v6 = v4 || p.Addr().Is4(), v6 || !p.Addr().Is4()
	}
	return v4 || !v6, v6
}

func selectedBy(s cluster.PodSelector, p *Pod) bool {
	if s.IsZero() || p.HostNetwork || p.Namespace != s.Namespace {
		return false
	}
	return !slices.ContainsFunc(s.Labels, func(l cluster.Label) bool { v, ok := p.Labels[l.Key]; return !ok || v != l.Value })
}

// hostedSources returns the Pods or hosts of members and API servers, and the scrapers and backups
// that are Pods.
func (e *evaluator) hostedSources() []*source {
	var list []*source
	for _, t := range e.targets {
		list = append(list, &source{class: ClassMember, name: t.name, count: 1, roles: []policies.Role{policies.Member}, node: t.node, pod: t.pod, addrs: t.addrs})
	}
	for _, of := range []struct {
		class Class
		role  policies.Role
		pods  cluster.PodSelector
	}{
		{ClassAPIServer, policies.APIServer, e.intent.Pods.APIServer},
		{ClassScraper, policies.Scraper, e.intent.Pods.Scraper},
		{ClassBackup, policies.Backup, e.intent.Pods.Backup},
	} {
		if of.pods.IsZero() {
			continue
		}
		worker := e.worker()
		pod := &Pod{Namespace: of.pods.Namespace, Name: "any", Labels: labelMap(of.pods.Labels), Node: worker, PortsUnknown: true}
		for _, f := range e.families() {
			if a := e.podAddress(f.v4, worker); a.IsValid() {
				pod.Addrs = append(pod.Addrs, a)
			}
		}
		name := fmt.Sprintf("the Pods %s/%s", of.pods.Namespace, of.pods.Labels[0])
		list = append(list, &source{class: of.class, name: name, count: 1, roles: []policies.Role{of.role}, node: worker, pod: pod, addrs: pod.Addrs})
	}
	if e.intent.Pods.APIServer.IsZero() {
		for _, s := range e.intent.APIServers {
			list = append(list, &source{class: ClassAPIServer, name: s.Name, count: 1, node: e.hostNode(s), addrs: s.Addrs})
		}
	}
	return list
}
