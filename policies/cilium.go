package policies

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/kube"
)

func ciliumBackend() Backend {
	b := Backend{
		Name: cluster.BackendCilium, Summary: "host firewall policies",
		form: objectsForm{},
		normal: func(o kube.Objects) (all []normalObject) {
			for _, p := range o.CiliumPolicies {
				// The order of its rules; within one, order decides nothing.
				all = append(all, newNormalObject(p.TypeMeta, p.Metadata, ciliumDefaults(p), "spec"))
			}
			return all
		},
	}
	b.render = func(i *Intent, o RenderOptions) (Rendered, error) {
		documents, err := cilium(i, o.CiliumStrict)
		if err != nil {
			return Rendered{}, err
		}
		return renderDocuments(i, b.Name, documents)
	}
	b.files = objectFiles(b.Name)
	return b
}

// ciliumDefaults fills in the defaults of cilium/cilium pkg/policy/api, Rule.Sanitize.
func ciliumDefaults(p kube.CiliumPolicy) []kube.CiliumRule {
	rules := slices.Clone(p.Specs)
	if p.Spec != nil {
		rules = append(rules, *p.Spec)
	}
	for i, r := range rules {
		in, out := len(r.Ingress)+len(r.IngressDeny) > 0, len(r.Egress)+len(r.EgressDeny) > 0
		d := kube.CiliumDefaultDeny{Ingress: &in, Egress: &out}
		if given := r.EnableDefaultDeny; given != nil {
			if given.Ingress != nil {
				d.Ingress = given.Ingress
			}
			if given.Egress != nil {
				d.Egress = given.Egress
			}
		}
		rules[i].EnableDefaultDeny, rules[i].Description = &d, ""
	}
	return rules
}

// cilium renders the policies for members on the host network of nodes where Cilium runs.
func cilium(i *Intent, strict bool) ([]document, error) {
	if err := i.refusePodClients(cluster.BackendCilium, "Cilium knows Pods by label and never by address"); err != nil {
		return nil, err
	}
	members, err := ciliumMembers(i, strict)
	if err != nil {
		return nil, err
	}
	return []document{members, ciliumPods(i)}, nil
}

func (i *Intent) ciliumPolicy(name string, rule kube.CiliumRule) kube.CiliumPolicy {
	no := false
	rule.EnableDefaultDeny = &kube.CiliumDefaultDeny{Ingress: &no, Egress: &no}
	return kube.CiliumPolicy{
		TypeMeta: kube.TypeMeta{APIVersion: "cilium.io/v2", Kind: "CiliumClusterwideNetworkPolicy"},
		Metadata: i.managed(i.Cluster + name),
		Spec:     &rule,
	}
}

func ciliumPorts(ports ...uint16) []kube.CiliumPortRule {
	list := make([]kube.CiliumPort, 0, len(ports))
	for _, p := range ports {
		list = append(list, kube.CiliumPort{Port: strconv.Itoa(int(p)), Protocol: "TCP"})
	}
	return []kube.CiliumPortRule{{Ports: list}}
}

// cidrsExcept returns the CIDRs of all addresses except those of some networks.
func cidrsExcept(networks ...[]netip.Prefix) []kube.CiliumCIDR {
	four, six := families(networks...)
	return []kube.CiliumCIDR{{CIDR: "0.0.0.0/0", Except: four}, {CIDR: "::/0", Except: six}}
}

// ciliumMembers denies only etcd's ports. A policy that allows would put the nodes into default
// deny, and would have to list every port of theirs.
func ciliumMembers(i *Intent, strict bool) (document, error) {
	members := hosts(i.MemberAddrs())
	rule := kube.CiliumRule{NodeSelector: &kube.LabelSelector{MatchLabels: matchLabels(i.MemberNodes)}}
	d := document{}
	deny := func(why string, from kube.CiliumIngress) {
		d.notes = append(d.notes, note{fieldOf("spec.ingressDeny", len(rule.IngressDeny)), why})
		rule.IngressDeny = append(rule.IngressDeny, from)
	}
	deny("From outside the cluster, all but API servers and backups; and members, which are outside until\nCilium knows their node, as when one joins.",
		kube.CiliumIngress{FromCIDRSet: cidrsExcept(members, hosts(i.APIServerAddrs()), i.Backups), ToPorts: ciliumPorts(i.Ports.Client)})
	deny("Members alone reach the peer port.",
		kube.CiliumIngress{FromCIDRSet: cidrsExcept(members), ToPorts: ciliumPorts(i.Ports.Peer)})
	deny("Scrapers alone reach the metrics.",
		kube.CiliumIngress{FromCIDRSet: cidrsExcept(i.Scrapers), ToPorts: ciliumPorts(i.Ports.Metrics)})
	deny("Every Pod: with the host firewall Cilium carries who a Pod is to the other node, whatever address\nit has there (cilium/cilium#30818).",
		kube.CiliumIngress{FromEndpoints: []kube.LabelSelector{{}}, ToPorts: ciliumPorts(i.Ports.All()...)})
	if i.hasNoScraperNode() {
		deny("No node scrapes.", kube.CiliumIngress{FromEntities: []string{"remote-node"}, ToPorts: ciliumPorts(i.Ports.Metrics)})
	}
	left := `
Left open: the hosts of other nodes, with the Pods of their host network, which are all the same
to Cilium unless it knows their labels. render --strict shuts them out.`
	needs := ""
	if strict {
		if err := i.strictHosts(); err != nil {
			return document{}, err
		}
		others := make([]kube.LabelSelector, 0, len(i.MemberNodes))
		for _, l := range i.MemberNodes {
			others = append(others, kube.LabelSelector{MatchExpressions: []kube.SelectorRequirement{withoutLabel(l.Key, l.Value)}})
		}
		deny("Every other node.", kube.CiliumIngress{FromNodes: others, ToPorts: ciliumPorts(i.Ports.All()...)})
		left = ""
		needs = `
 - nodeSelectorLabels: true, without which the whole policy is refused.
Backups and scrapers that are nodes of the cluster are shut out with the others.`
	}
	d.why = `Who reaches the members' nodes at etcd's ports. It denies, which wins over whatever allows, and says
nothing of any other port. It needs, in Cilium's Helm values:
 - hostFirewall.enabled: true, without which it does nothing; not with IPsec (cilium/cilium#41854).
 - enableNonDefaultDenyPolicies: true, as it is by default; or the nodes are cut off from all else.` + needs + `
No network in it is meant for nodes, which CIDR rules do not match, and API servers and members on
nodes are therefore let in.` + left
	d.object = i.ciliumPolicy("-etcd", rule)
	return d, nil
}

// hasNoScraperNode reports whether the spec shows that no node scrapes metrics.
func (i *Intent) hasNoScraperNode() bool {
	if len(i.Scrapers) == 0 {
		return true
	}
	onNode := func(p netip.Prefix) bool { return slices.ContainsFunc(i.NodeCIDRs, p.Overlaps) }
	return len(i.NodeCIDRs) > 0 && !slices.ContainsFunc(i.Scrapers, onNode)
}

// withoutLabel returns a requirement that selects everything without a label.
func withoutLabel(key, value string) kube.SelectorRequirement {
	if value == "" {
		return kube.SelectorRequirement{Key: key, Operator: "DoesNotExist"}
	}
	return kube.SelectorRequirement{Key: key, Operator: "NotIn", Values: []string{value}}
}

// strictHosts refuses the strict form if a node that is to be let in has no label of the members'
// nodes.
func (i *Intent) strictHosts() error {
	of := i.MemberAddrs()
	for _, h := range i.APIServers {
		if !slices.ContainsFunc(h.Addrs, func(a netip.Addr) bool { return slices.Contains(of, a) }) {
			return refuseStrict(fmt.Sprintf("API server %s is on none of them", h.Name))
		}
	}
	for _, network := range slices.Concat(i.Scrapers, i.Backups) {
		if slices.ContainsFunc(i.NodeCIDRs, network.Overlaps) {
			return refuseStrict(fmt.Sprintf("%s belongs to other nodes", network))
		}
	}
	return nil
}

func refuseStrict(why string) error {
	return Refusal{cluster.BackendCilium, "the strict form only lets in the nodes of members, by their labels, and " + why, []cluster.Backend{cluster.BackendCalico, cluster.BackendNftables}}
}

// ciliumPods renders the policy for the sending Pods, which needs no host firewall.
func ciliumPods(i *Intent) document {
	rule := kube.CiliumRule{
		EndpointSelector: &kube.LabelSelector{},
		EgressDeny: []kube.CiliumEgress{
			{ToEntities: []string{"host", "remote-node"}, ToPorts: ciliumPorts(i.Ports.All()...)},
			{ToCIDR: networkTexts(hosts(i.MemberAddrs())), ToPorts: ciliumPorts(i.Ports.All()...)},
		},
	}
	return document{
		why: `Pods, where they leave: before their own node gives them its address, and without the host firewall
too. It is about these ports of all nodes, since without labels one node is as good as another.`,
		object: i.ciliumPolicy("-etcd-pods", rule),
		notes:  []note{{"spec.egressDeny[1]", "Members that Cilium does not know as nodes."}},
	}
}
