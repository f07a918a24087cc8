package policies

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// hostRole is the label by which the policies select host endpoints, beside that of the cluster.
const (
	hostRole      = "etcdsec.dev/etcd"
	memberRole    = "member"
	apiServerRole = "api-server"
)

func calicoBackend() Backend {
	b := Backend{
		Name: cluster.BackendCalico, Summary: "host endpoints and their policies, with the failsafe ports narrowed",
		form: objectsForm{}, normal: normalCalico,
	}
	b.render = func(i *Intent, _ RenderOptions) (Rendered, error) { return renderDocuments(i, b.Name, calico(i)) }
	b.files = objectFiles(b.Name)
	return b
}

func normalCalico(o kube.Objects) []normalObject {
	var all []normalObject
	for _, f := range o.FelixConfigurations {
		n := newNormalObject(f.TypeMeta, f.Metadata, f.Spec)
		n.partial = true
		all = append(all, n)
	}
	for _, p := range o.CalicoPolicies {
		if strings.HasPrefix(p.APIVersion, "crd.projectcalico.org/") {
			p.Metadata.Name = strings.TrimPrefix(p.Metadata.Name, "default.") // which Calico puts before it there
		}
		all = append(all, newNormalObject(p.TypeMeta, p.Metadata, calicoDefaults(p.Spec), "spec.ingress", "spec.egress"))
	}
	for _, e := range o.HostEndpoints {
		n := newNormalObject(e.TypeMeta, e.Metadata, e.Spec, "spec.profiles")
		// By these labels the policies know it.
		n.fields["metadata"] = map[string]any{"labels": map[string]any{hostRole: e.Metadata.Labels[hostRole], clusterLabel: e.Metadata.Labels[clusterLabel]}}
		all = append(all, n)
	}
	return all
}

// calicoDefaults fills in the defaults of projectcalico/calico libcalico-go/lib/clientv3.
func calicoDefaults(s kube.CalicoPolicySpec) kube.CalicoPolicySpec {
	if s.Tier == "" {
		s.Tier = "default"
	}
	if len(s.Types) == 0 {
		switch {
		case len(s.Egress) == 0:
			s.Types = []string{"Ingress"}
		case len(s.Ingress) == 0:
			s.Types = []string{"Egress"}
		default:
			s.Types = []string{"Ingress", "Egress"}
		}
	}
	return s
}

// calico renders the policies for members on the host network of nodes where Calico runs. The
// documents are in the order in which they must be applied: a host endpoint without a policy cuts
// off its host.
func calico(i *Intent) []document {
	documents := []document{felix(i), calicoMembers(i), calicoOwnPods(i), calicoBorrowers(i), calicoRest(i)}
	return append(documents, hostEndpoints(i)...)
}

func calicoMeta(kind string) kube.TypeMeta {
	return kube.TypeMeta{APIVersion: kube.CalicoAPIVersion, Kind: kind}
}

// failsafes returns the ports that Calico lets in by default, without those of etcd
// (projectcalico/calico felix/config/config_params.go).
func failsafes() []kube.FailsafePort {
	return []kube.FailsafePort{
		{Protocol: "tcp", Port: 22},
		{Protocol: "udp", Port: 68},
		{Protocol: "tcp", Port: 179},
		{Protocol: "tcp", Port: 5473},
		{Protocol: "tcp", Port: 6443},
		{Protocol: "tcp", Port: 6666},
		{Protocol: "tcp", Port: 6667},
	}
}

func felix(i *Intent) document {
	ports := failsafes()
	open := func(port uint16, to ...[]netip.Prefix) {
		for _, n := range networkTexts(to...) {
			ports = append(ports, kube.FailsafePort{Protocol: "tcp", Port: port, Net: n})
		}
	}
	members := hosts(i.MemberAddrs())
	open(i.Ports.Client, members, hosts(i.APIServerAddrs()), i.Backups)
	open(i.Ports.Peer, members)
	return document{
		why: `Apply these in this order; the host endpoints last.

Calico lets anybody reach 2379 and 2380 of a host before it asks a policy, so that a mistake does
not cut it off from its data. This list takes the place of that one, as a whole: the other ports
are as they are by default, and etcd's are open to whom it needs. Where the object is there
already, patch it with this document alone, since calicoctl apply takes away every setting of yours:
  kubectl patch felixconfiguration default --type merge --patch-file FILE
Where Calico keeps its own data in this etcd, all nodes are its clients: spec.isolation.backups.`,
		object: kube.FelixConfiguration{
			TypeMeta: calicoMeta("FelixConfiguration"),
			Metadata: kube.ObjectMeta{Name: "default"}, // the one of all nodes, which is not ours alone
			Spec:     kube.FelixConfigurationSpec{FailsafeInboundHostPorts: &ports},
		},
	}
}

// calicoRules collects the rules of one direction. Each has networks of one family: Calico refuses a
// mixture (projectcalico/calico libcalico-go/lib/validator/v3).
type calicoRules struct {
	field string
	rules []kube.CalicoRule
	notes []note
}

func (c *calicoRules) add(why string, rules ...kube.CalicoRule) {
	if len(rules) == 0 {
		return
	}
	c.notes = append(c.notes, note{fieldOf(c.field, len(c.rules)), why})
	c.rules = append(c.rules, rules...)
}

func calicoTCP(action string, source, destination *kube.CalicoEntity) kube.CalicoRule {
	return kube.CalicoRule{Action: action, Protocol: &kube.IntOrString{String: "TCP"}, Source: source, Destination: destination}
}

func calicoPorts(ports ...uint16) []kube.CalicoPortRange {
	list := make([]kube.CalicoPortRange, 0, len(ports))
	for _, p := range ports {
		list = append(list, kube.CalicoPortRange{Int: int32(p)})
	}
	return list
}

// allowFrom lets networks reach ports.
func allowFrom(ports []kube.CalicoPortRange, networks ...[]netip.Prefix) []kube.CalicoRule {
	var rules []kube.CalicoRule
	four, six := families(networks...)
	for _, nets := range [][]string{four, six} {
		if len(nets) > 0 {
			rules = append(rules, calicoTCP("Allow", &kube.CalicoEntity{Nets: nets}, &kube.CalicoEntity{Ports: ports}))
		}
	}
	return rules
}

func (i *Intent) calicoPolicy(name string, order float64, on string) kube.CalicoPolicy {
	return kube.CalicoPolicy{
		TypeMeta: calicoMeta("GlobalNetworkPolicy"),
		Metadata: i.managed(i.Cluster + name),
		Spec:     kube.CalicoPolicySpec{Order: &order, Selector: on},
	}
}

// hostsOf selects host endpoints of this cluster. Those that name no cluster were made before the label
// was, and stay selected until they have it: a host endpoint without a policy cuts off its host.
func (i *Intent) hostsOf(role string) string {
	return fmt.Sprintf("%s && (!has(%s) || %[2]s == '%s')", role, clusterLabel, i.Cluster)
}

func calicoMembers(i *Intent) document {
	c := calicoRules{field: "spec.ingress"}
	c.add("Members, without whose peer port there is no quorum; those that are about to join too.",
		allowFrom(calicoPorts(i.Ports.Client, i.Ports.Peer), hosts(i.MemberAddrs()))...)
	c.add("API servers.", allowFrom(calicoPorts(i.Ports.Client), hosts(i.APIServerAddrs()))...)
	c.add("Backups.", allowFrom(calicoPorts(i.Ports.Client), i.Backups)...)
	c.add("Scrapers of metrics.", allowFrom(calicoPorts(i.Ports.Metrics), i.Scrapers)...)
	c.add("Nobody else.", calicoTCP("Deny", nil, &kube.CalicoEntity{Ports: calicoPorts(i.Ports.All()...)}))
	p := i.calicoPolicy("-etcd", 10, i.hostsOf(fmt.Sprintf("%s == '%s'", hostRole, memberRole)))
	p.Spec.Types, p.Spec.Ingress = []string{"Ingress"}, c.rules
	return document{why: "Who reaches the members. It says nothing of any other port.", object: p, notes: c.notes}
}

// denyAllBut denies access to the members from outside the given networks.
func (i *Intent) denyAllBut(networks ...[]netip.Prefix) []kube.CalicoRule {
	four, six := families(networks...)
	memberFour, memberSix := families(hosts(i.MemberAddrs()))
	var rules []kube.CalicoRule
	for _, f := range []struct{ not, to []string }{{four, memberFour}, {six, memberSix}} {
		if len(f.to) > 0 {
			rules = append(rules, calicoTCP("Deny", &kube.CalicoEntity{NotNets: f.not}, &kube.CalicoEntity{Nets: f.to, Ports: calicoPorts(i.Ports.All()...)}))
		}
	}
	return rules
}

// calicoOwnPods renders a policy that Calico applies in PREROUTING to packets from every interface,
// and that does not deny what none of its rules matches (projectcalico/calico felix/rules/static.go,
// StaticManglePreroutingChain).
func calicoOwnPods(i *Intent) document {
	p := i.calicoPolicy("-etcd-own-pods", 10, i.hostsOf(fmt.Sprintf("%s == '%s'", hostRole, memberRole)))
	p.Spec.Types, p.Spec.PreDNAT, p.Spec.ApplyOnForward = []string{"Ingress"}, true, true
	p.Spec.Ingress = i.denyAllBut(hosts(i.MemberAddrs()), hosts(i.APIServerAddrs()), i.Backups, i.Scrapers)
	return document{
		why: `Pods on a member's own host. Calico asks no policy of a host about its own Pods where
defaultEndpointToHostAction is Accept, as its manifests set it; but it asks those before DNAT.
Left open there: a Service whose endpoint is that member. clusternetworkpolicy closes it.`,
		object: p,
	}
}

func calicoBorrowers(i *Intent) document {
	c := calicoRules{field: "spec.egress"}
	members, own := hosts(i.MemberAddrs()), hosts(slices.Concat(i.MemberAddrs(), i.APIServerAddrs()))
	memberFour, memberSix := families(members)
	for _, of := range []struct {
		why  string
		from []netip.Prefix
		port uint16
	}{
		{"Backups that are Pods.", i.inPods(i.Backups), i.Ports.Client},
		{"Scrapers that are Pods.", i.inPods(i.Scrapers), i.Ports.Metrics},
	} {
		four, six := families(of.from)
		var rules []kube.CalicoRule
		for _, f := range []struct{ from, to []string }{{four, memberFour}, {six, memberSix}} {
			if len(f.from) > 0 && len(f.to) > 0 {
				rules = append(rules, calicoTCP("Allow", &kube.CalicoEntity{Nets: f.from}, &kube.CalicoEntity{Nets: f.to, Ports: calicoPorts(of.port)}))
			}
		}
		c.add(of.why, rules...)
	}
	c.add("Whatever leaves such a host with a source that is not the host's own.", i.denyAllBut(own)...)
	p := i.calicoPolicy("-etcd-pods", 10, i.hostsOf(fmt.Sprintf("has(%s)", hostRole)))
	p.Spec.Types, p.Spec.Egress, p.Spec.ApplyOnForward = []string{"Egress"}, c.rules, true
	return document{
		why: `Pods on the hosts that are let in. They leave with the host's address where it masquerades them,
and the members would let them in. applyOnForward judges them while they still have their own;
failsafe ports are not asked about what is forwarded.`,
		object: p, notes: c.notes,
	}
}

func calicoRest(i *Intent) document {
	p := i.calicoPolicy("-etcd-rest", 1_000_000, i.hostsOf(fmt.Sprintf("has(%s)", hostRole)))
	allow := []kube.CalicoRule{{Action: "Allow"}}
	p.Spec.Types, p.Spec.Ingress, p.Spec.Egress, p.Spec.ApplyOnForward = []string{"Ingress", "Egress"}, allow, allow, true
	return document{
		why: `All else on these hosts is as it was: without this, what the policies above do not mention would be
denied. It comes after every other, so that yours decide first. Leave it out where yours end
with a rule about all that is left.`,
		object: p,
	}
}

func hostEndpoints(i *Intent) []document {
	type endpoint struct {
		role  string
		addrs []netip.Addr
	}
	var nodes []string
	of := map[string]*endpoint{}
	add := func(h Host, role string) {
		e := of[h.Node]
		if e == nil {
			e = &endpoint{role: role}
			of[h.Node], nodes = e, append(nodes, h.Node)
		}
		e.addrs = append(e.addrs, h.Addrs...)
	}
	for _, h := range i.Members {
		add(h, memberRole)
	}
	for _, h := range i.APIServers {
		add(h, apiServerRole)
	}
	documents := make([]document, 0, len(nodes))
	for n, node := range nodes {
		e := of[node]
		slices.SortFunc(e.addrs, netip.Addr.Compare)
		var ips []string
		for _, a := range slices.Compact(e.addrs) {
			ips = append(ips, a.String())
		}
		h := kube.HostEndpoint{
			TypeMeta: calicoMeta("HostEndpoint"), Metadata: i.managed(node + "-etcd"),
			Spec: kube.HostEndpointSpec{Node: node, InterfaceName: "*", ExpectedIPs: ips, Profiles: []string{"projectcalico-default-allow"}},
		}
		h.Metadata.Labels[hostRole] = e.role
		d := document{object: h}
		if n == 0 {
			d.why = `The hosts, last: from here on the policies apply. Where Calico makes host endpoints by itself
(KubeControllersConfiguration, autoCreate), a node would have two; give these labels to the nodes then,
` + "whose endpoints have them too: kubectl label node NODE " + hostRole + "=" + memberRole + " " + clusterLabel + "=" + i.Cluster
		}
		documents = append(documents, d)
	}
	return documents
}

func fieldOf(list string, n int) string { return fmt.Sprintf("%s[%d]", list, n) }
