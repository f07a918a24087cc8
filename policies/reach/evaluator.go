package reach

import (
	"errors"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// evaluator holds the policies in compiled form. It is not safe for concurrent use.
type evaluator struct {
	intent   *policies.Intent
	topology Topology
	filters  policies.Filters
	engines  []engine

	network map[string][]*networkPolicy // by namespace
	cluster []*clusterPolicy            // by priority
	calico  []*calicoPolicy             // by order
	hosts   []*calicoHost
	cilium  []*ciliumRule
	// calicoSets is set where a dump has sets of networks that selectors may mean, and we have not read.
	calicoSets  bool
	felixUnread []felixUnread

	targets []target
	tracers map[*nft.Ruleset]*nft.Tracer
	// translating is what translatingNodes has found; nil before.
	translating []*Node
	// sendsUnseen names the nodes that send and whose ruleset was not given.
	sendsUnseen []string
	aWorker     *Node

	reasons     map[Decision]*reason
	nftReasons  map[nftReasonKey]*reason
	pods        map[*Pod]*podPolicies
	hostApplied map[calicoHostKey]calicoApplied
	units       map[string]*policies.UnitFilter // by member
	ciliumPods  map[*Pod]map[string]string
	ciliumNodes map[*Node][]*ciliumRule
}

// newEvaluator compiles the policies. The error joins those that every API server refuses; they are
// left out.
func newEvaluator(i *policies.Intent, t Topology, f policies.Filters) (*evaluator, error) {
	e := &evaluator{
		intent: i, topology: t, filters: f, engines: engines(),
		network: map[string][]*networkPolicy{}, tracers: map[*nft.Ruleset]*nft.Tracer{}, reasons: map[Decision]*reason{}, nftReasons: map[nftReasonKey]*reason{}, pods: map[*Pod]*podPolicies{}, hostApplied: map[calicoHostKey]calicoApplied{},
		units:      map[string]*policies.UnitFilter{},
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
	for _, engine := range e.engines {
		if engine.compile != nil {
			engine.compile(e, &f.Objects, note)
		}
	}
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
	for _, engine := range e.engines {
		if engine.selects != nil {
			engine.selects(e, p, s)
		}
	}
	for _, unread := range e.foreignPolicies() {
		s.directions[0].unsure, s.directions[1].unsure = unread, unread
	}
	return s
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
		return pass(e.reasonFor(Decision{Kind: ByOtherPolicies, Pod: p.String()}))
	case egress:
		return verdict{allowed: true}
	}
	return pass(e.reasonFor(Decision{Kind: ByNoPolicy, Pod: p.String()}))
}

// podMiddle judges by NetworkPolicies, alone or together with those of Calico or Cilium, each of
// which combines them in its own way.
func (e *evaluator) podMiddle(p *Pod, d *podDirection, c conn, egress bool) (verdict, bool) {
	if d.unsure != nil {
		return cannotTell(d.unsure, d.unsure.words()), true
	}
	if p.Node != nil && len(d.calico) > 0 {
		if doubt := e.felixDoubt(p.Node.Name); doubt != nil {
			return cannotTell(doubt, doubt.words()), true
		}
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
