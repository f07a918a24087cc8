package reach

import (
	"cmp"
	"errors"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// evaluator holds the policies in compiled form. It is not safe for concurrent use.
type evaluator struct {
	intent   *policies.Intent
	topology Topology
	filters  policies.Filters

	network map[string][]*networkPolicy // by namespace
	cluster []*clusterPolicy            // by priority
	calico  []*calicoPolicy             // by order
	hosts   []*calicoHost
	cilium  []*ciliumRule
	// calicoSets is set where a dump has sets of networks that selectors may mean, and we have not read.
	calicoSets bool

	targets []target
	aWorker *Node

	reasons     map[Decision]*reason
	nftReasons  map[nftReasonKey]*reason
	pods        map[*Pod]*podPolicies
	hostApplied map[calicoHostKey]calicoApplied
	ciliumPods  map[*Pod]map[string]string
	ciliumNodes map[*Node][]*ciliumRule
}

// newEvaluator compiles the policies. The error joins those that every API server refuses; they are
// left out.
func newEvaluator(i *policies.Intent, t Topology, f policies.Filters) (*evaluator, error) {
	e := &evaluator{
		intent: i, topology: t, filters: f,
		network: map[string][]*networkPolicy{}, reasons: map[Decision]*reason{}, nftReasons: map[nftReasonKey]*reason{}, pods: map[*Pod]*podPolicies{}, hostApplied: map[calicoHostKey]calicoApplied{},
		ciliumPods: map[*Pod]map[string]string{}, ciliumNodes: map[*Node][]*ciliumRule{},
	}
	if t.known == nil {
		e.topology.indexNamespaces()
	}
	var faults []error
	note := func(err error) bool {
		if err != nil {
			faults = append(faults, err)
		}
		return err == nil
	}
	for _, p := range f.Objects.NetworkPolicies {
		if n, err := newNetworkPolicy(p); note(err) {
			e.network[n.namespace] = append(e.network[n.namespace], n)
		}
	}
	for _, p := range f.Objects.ClusterNetworkPolicies {
		if c, err := newClusterPolicy(p); note(err) {
			e.cluster = append(e.cluster, c)
		}
	}
	for _, p := range f.Objects.CalicoPolicies {
		if c, err := newCalicoPolicy(p); note(err) {
			e.calico = append(e.calico, c)
		}
	}
	for _, h := range f.Objects.HostEndpoints {
		if c, err := newCalicoHost(h); note(err) {
			e.hosts = append(e.hosts, c)
		}
	}
	for _, p := range f.Objects.CiliumPolicies {
		if rules, err := newCiliumPolicy(p); note(err) {
			e.cilium = append(e.cilium, rules...)
		}
	}
	slices.SortStableFunc(e.cluster, func(a, b *clusterPolicy) int { return cmp.Compare(a.priority, b.priority) })
	sortCalico(e.calico)
	e.calicoSets = slices.ContainsFunc(f.Objects.Skipped, func(s kube.Skipped) bool { return strings.Contains(s.Kind, "NetworkSet") })
	return e, errors.Join(faults...)
}

// podPolicies holds the policies that select a Pod, by direction: ingress and egress.
type podPolicies struct{ directions [2]podDirection }

type podDirection struct {
	admin, baseline []*clusterPolicy
	network         []*networkPolicy
	calico          []*calicoPolicy
	cilium          []*ciliumRule
	unsure          *reason // of a Cilium policy that may select it
}

// policiesFor returns the policies that select p, computed once per Pod.
func (e *evaluator) policiesFor(p *Pod) *podPolicies {
	if s, ok := e.pods[p]; ok {
		return s
	}
	s := &podPolicies{}
	e.pods[p] = s
	if p.HostNetwork {
		return s
	}
	in, out := &s.directions[0], &s.directions[1]
	e.addKubernetes(p, in, out)
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
	for _, r := range e.cilium {
		switch r.selects(e, p) {
		case yes:
			in.cilium, out.cilium = append(in.cilium, r), append(out.cilium, r)
		case maybe:
			in.unsure = e.because(Decision{Kind: ByUnclearPods, Engine: cluster.BackendCilium, Policy: r.name})
			out.unsure = in.unsure
		case no:
		}
	}
	return s
}

func (e *evaluator) addKubernetes(p *Pod, in, out *podDirection) {
	for _, n := range e.network[p.Namespace] {
		if !n.pods.matches(p.Labels) {
			continue
		}
		if n.ingress {
			in.network = append(in.network, n)
		}
		if n.egress {
			out.network = append(out.network, n)
		}
	}
	for _, c := range e.cluster {
		if !c.subject.matches(e, p) {
			continue
		}
		if len(c.in) > 0 {
			in.addCluster(c)
		}
		if len(c.out) > 0 {
			out.addCluster(c)
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

// podVerdict judges what a Pod receives or, with egress, sends: by tier Admin, then by the policies
// of the namespace, and if these do not apply, by tier Baseline.
func (e *evaluator) podVerdict(p *Pod, c conn, egress bool) verdict {
	d := &e.policiesFor(p).directions[0]
	if egress {
		d = &e.policiesFor(p).directions[1]
	}
	v, decided := e.clusterPolicies(d.admin, c, egress)
	if decided {
		return v
	}
	if v, decided := e.podMiddle(p, d, c, egress); decided {
		return v
	}
	if v, decided := e.clusterPolicies(d.baseline, c, egress); decided {
		return v
	}
	switch {
	case len(d.admin)+len(d.baseline)+len(d.network)+len(d.calico)+len(d.cilium) > 0:
		return pass(e.because(Decision{Kind: ByOtherPolicies, Pod: p.String()}))
	case egress:
		return verdict{allowed: true}
	}
	return pass(e.because(Decision{Kind: ByNoPolicy, Pod: p.String()}))
}

// podMiddle judges by NetworkPolicies, alone or together with those of Calico or Cilium, each of
// which combines them in its own way.
func (e *evaluator) podMiddle(p *Pod, d *podDirection, c conn, egress bool) (verdict, bool) {
	if d.unsure != nil {
		return cannotTell(d.unsure, d.unsure.words()), true
	}
	var network func() verdict
	if len(d.network) > 0 {
		network = func() verdict { return e.networkPolicies(d.network, c, egress) }
	}
	var filters []verdict
	if len(d.calico) > 0 {
		if v, decided := e.calicoTiers(d.calico, c, egress, network); decided {
			filters = append(filters, v)
		}
	}
	if len(d.cilium) > 0 {
		if v, decided := e.ciliumVerdict(d.cilium, c, egress, p.Node, network); decided {
			filters = append(filters, v)
		}
	}
	if len(d.calico) == 0 && len(d.cilium) == 0 && network != nil {
		filters = append(filters, network())
	}
	return combine(filters), len(filters) > 0
}
