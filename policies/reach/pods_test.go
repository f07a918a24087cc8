package reach

import (
	"slices"
	"strings"
	"testing"
)

// gnp is a GlobalNetworkPolicy on hosted members.
func gnp(name, order, rules string) string {
	return "---\napiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: " + name + "}\nspec:\n" + order +
		"  selector: component == 'etcd'\n  types: [Ingress]\n  ingress: [" + rules + "]\n"
}

// cnp is a ClusterNetworkPolicy on every Pod.
func cnp(tier, priority, rules string) string {
	return "---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: " + strings.ToLower(tier) + priority + "}\nspec:\n  tier: " + tier +
		"\n  priority: " + priority + "\n  subject: {namespaces: {}}\n  " + rules + "\n"
}

// How policies of several kinds are read together, for Pods: members, API servers that the
// obvious policy lets in to the client port, and any other Pod.
func TestPoliciesOnPods(t *testing.T) {
	t.Parallel()
	const api, other = "the Pods kube-system/component=kube-apiserver", "a Pod on another node"
	tests := []struct {
		name string
		text string
		want map[string]string
		by   string // of the API servers' client port
	}{
		{"nothing", "", map[string]string{api: "+++", other: "+++"}, "no policy selects the Pod kube-system/etcd-0"},
		{"the obvious policy", seed, map[string]string{api: "+--", other: "---"}, "NetworkPolicy kube-system/etcd ingress[0]"},

		{"calico denies before it", seed + gnp("g", "  order: 10\n", "{action: Deny}"), map[string]string{api: "---"}, "GlobalNetworkPolicy g ingress[0] Deny"},
		{"calico denies after it", seed + gnp("g", "  order: 2000\n", "{action: Deny}"), map[string]string{api: "+--", other: "---"}, "NetworkPolicy kube-system/etcd ingress[0]"},
		{"calico, last without an order", seed + gnp("g", "", "{action: Allow, protocol: TCP, destination: {ports: [2380]}}"), map[string]string{api: "++-", other: "-+-"}, "NetworkPolicy kube-system/etcd ingress[0]"},
		{"calico allows before it", seed + gnp("g", "  order: 10\n", "{action: Allow}"), map[string]string{api: "+++", other: "+++"}, "GlobalNetworkPolicy g ingress[0] Allow"},
		{"calico passes it on", seed + gnp("g", "  order: 10\n", "{action: Pass}"), map[string]string{api: "+++", other: "+++"}, "no policy that selects the Pod kube-system/etcd-0 is about it"},
		{"calico by order", gnp("b", "  order: 1\n", "{action: Deny}") + gnp("a", "  order: 2\n", "{action: Allow}"), map[string]string{api: "---"}, "GlobalNetworkPolicy b ingress[0] Deny"},
		{"calico by name", gnp("b", "  order: 1\n", "{action: Deny}") + gnp("a", "  order: 1\n", "{action: Allow}"), map[string]string{api: "+++"}, "GlobalNetworkPolicy a ingress[0] Allow"},
		{"calico, end of tier", gnp("g", "", "{action: Log}"), map[string]string{api: "---"}, "GlobalNetworkPolicy g, no ingress rule, and so the end of tier default"},
		{"calico, other protocols", gnp("g", "", "{action: Deny, protocol: UDP}, {action: Deny, notProtocol: 6}, {action: Deny, ipVersion: 6}, {action: Allow, protocol: 6}"), map[string]string{api: "+++"}, "GlobalNetworkPolicy g ingress[3] Allow"},
		{"calico, notPorts", gnp("g", "", "{action: Allow, protocol: TCP, destination: {notPorts: [2380]}}"), map[string]string{api: "+-+"}, "GlobalNetworkPolicy g ingress[0] Allow"},
		{"calico, notNets", gnp("g", "", "{action: Allow, source: {notNets: [10.244.0.0/16]}}"), map[string]string{api: "---", "outside (IPv4)": "+++"}, ""},
		{"calico, selectors", gnp("g", "", "{action: Allow, source: {selector: \"component == 'kube-apiserver'\", namespaceSelector: \"projectcalico.org/name == 'kube-system'\"}}"), map[string]string{api: "+++", other: "---"}, ""},
		{"calico, notSelector", gnp("g", "", "{action: Allow, source: {selector: all(), notSelector: has(component)}}"), map[string]string{api: "---", other: "+++"}, ""},
		{"calico, another namespace", strings.NewReplacer("GlobalNetworkPolicy", "NetworkPolicy", "{name: g}", "{name: g, namespace: other}").Replace(gnp("g", "", "")), map[string]string{api: "+++"}, ""},
		{"calico, its own namespace", strings.NewReplacer("GlobalNetworkPolicy", "NetworkPolicy", "{name: g}", "{name: g, namespace: kube-system}").Replace(gnp("g", "", "{action: Allow, source: {selector: all()}}")), map[string]string{api: "+++", other: "---"}, "Calico NetworkPolicy kube-system/g ingress[0] Allow"},

		{"tier Admin before it", seed + cnp("Admin", "1", "ingress: [{action: Accept, from: [{namespaces: {}}]}]"), map[string]string{api: "+++", other: "+++", "outside (IPv4)": "---"}, "ClusterNetworkPolicy admin1 ingress[0] Accept"},
		{"tier Admin passes", seed + cnp("Admin", "1", "ingress: [{action: Pass, from: [{namespaces: {}}]}, {action: Deny, from: [{namespaces: {}}]}]"), map[string]string{api: "+--"}, "NetworkPolicy kube-system/etcd ingress[0]"},
		{"tier Admin by priority", cnp("Admin", "2", "ingress: [{action: Deny, from: [{namespaces: {}}]}]") + cnp("Admin", "1", "ingress: [{action: Accept, from: [{namespaces: {}}]}]"), map[string]string{api: "+++"}, "ClusterNetworkPolicy admin1 ingress[0] Accept"},
		{"tier Baseline after it", seed + cnp("Baseline", "1", "ingress: [{action: Accept, from: [{namespaces: {}}]}]"), map[string]string{api: "+--"}, ""},
		{"tier Baseline alone", cnp("Baseline", "1", "ingress: [{action: Deny, from: [{namespaces: {}}]}]"), map[string]string{api: "---", "outside (IPv4)": "+++"}, "ClusterNetworkPolicy baseline1 ingress[0] Deny"},
		// A peer of a field that nobody knows: an Accept matches nothing, a Deny everything.
		{"an unknown peer of Deny", cnp("Admin", "1", "ingress: [{action: Deny, from: [{}]}]"), map[string]string{api: "---"}, ""},
		{"an unknown peer of Accept", seed + cnp("Admin", "1", "ingress: [{action: Accept, from: [{}]}]"), map[string]string{other: "---"}, ""},

		{"cilium and it", seed + `---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: c, namespace: kube-system}
spec: {endpointSelector: {matchLabels: {component: etcd}}, ingress: [{fromEntities: [world], toPorts: [{ports: [{port: "0"}]}]}]}
`, map[string]string{api: "+--", "outside (IPv4)": "+++", other: "---"}, "NetworkPolicy kube-system/etcd ingress[0]"},
		{"cilium denies", seed + `---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: c, namespace: kube-system}
spec: {endpointSelector: {}, ingressDeny: [{fromEndpoints: [{matchLabels: {"k8s:component": kube-apiserver}}], toPorts: [{ports: [{port: "2300", endPort: 2379}]}]}]}
`, map[string]string{api: "---"}, "CiliumNetworkPolicy kube-system/c ingressDeny[0]"},
		// Cilium matches no node by its address.
		{"cilium, a network of nodes", strings.Replace(seed, "podSelector: {matchLabels: {component: kube-apiserver}}", "ipBlock: {cidr: 10.0.0.0/8}", 1) + `---
apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: c, namespace: other}
spec: {endpointSelector: {}, ingress: [{}]}
`, map[string]string{"another node": "---", "10.9.9.9": "+--"}, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := intent(t, "hosted", hostedPods+", nodeCIDRs: [10.0.0.0/24], backups: [10.9.9.9/32]")
			p := prove(t, i, objects(t, test.text))
			for from, want := range test.want {
				if got := outcomes(p, from, "etcd-0"); got != want {
					t.Errorf("%s: %s, want %s", from, got, want)
				}
			}
			n := slices.IndexFunc(p.Flows, func(f Flow) bool { return f.From == api && f.To == "etcd-0" && f.Port == 2379 })
			if test.by != "" && p.Flows[n].DecidedBy != test.by {
				t.Errorf("decided by %q, want %q", p.Flows[n].DecidedBy, test.by)
			}
			if len(p.Unknown) > 0 {
				t.Errorf("unknown: %q", p.Unknown)
			}
			dumpOnFailure(t, p)
		})
	}
}

// What of Calico's is special to hosts: what they forward, what comes before all policies, and
// whose failsafe ports count.
func TestCalicoOnHosts(t *testing.T) {
	t.Parallel()
	guard := calicoGuard + calicoFailsafe
	policy := func(spec string) string {
		return "---\napiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: more}\nspec: {" + spec + "}\n"
	}
	tests := []struct {
		name string
		text string
		want map[string]string
	}{
		// Failsafe ports are not for what is forwarded, or this would let it pass.
		{"a host's own Pods", guard + policy("selector: has(etcd-member), applyOnForward: true, types: [Egress], egress: [{action: Deny, protocol: TCP, source: {nets: [10.244.0.0/16]}, destination: {ports: ['2379:2381']}}, {action: Allow}]"),
			map[string]string{"a Pod on cp-1 etcd-0": "---", "etcd-1 etcd-0": "++-"}},
		{"not for what is forwarded", guard + policy("selector: has(etcd-member), types: [Egress], egress: [{action: Deny, protocol: TCP, source: {nets: [10.244.0.0/16]}}, {action: Allow}]"),
			map[string]string{"a Pod on cp-1 etcd-0": "++-"}},
		{"before all others", guard + policy("selector: all(), preDNAT: true, applyOnForward: true, order: 5000, ingress: [{action: Deny, source: {nets: [10.0.0.12/32]}}]"),
			map[string]string{"etcd-1 etcd-0": "-+-", "etcd-2 etcd-0": "++-"}}, // a failsafe port comes before even that
		{"before all others, of its own Pods", guard + policy("selector: has(etcd-member), preDNAT: true, applyOnForward: true, ingress: [{action: Deny, protocol: TCP, source: {notNets: [10.0.0.0/24]}, destination: {nets: [10.0.0.0/24], ports: ['2379:2381']}}]"),
			map[string]string{"a Pod on cp-0 etcd-0": "---", "a Pod on cp-1 etcd-0": "---", "a Pod on another node etcd-0": "---", "etcd-1 etcd-0": "++-"}},
		{"its own failsafe ports", guard + "---\napiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: node.cp-1}\nspec: {failsafeInboundHostPorts: [{protocol: tcp, port: 2379}]}\n",
			map[string]string{"another node etcd-1": "+--", "another node etcd-0": "---"}},
		{"no failsafe ports", calicoGuard + "---\napiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: default}\nspec: {failsafeInboundHostPorts: []}\n",
			map[string]string{"another node etcd-0": "---", "etcd-1 etcd-0": "++-"}},
		{"a tier that nobody knows the end of", guard + policy("selector: all(), tier: security, ingress: [{action: Allow, source: {nets: [10.0.0.12/32]}}]"),
			map[string]string{"etcd-1 etcd-0": "+++", "etcd-2 etcd-0": "???"}},
		{"only for Pods", guard + policy("selector: all(), namespaceSelector: all(), order: 1, ingress: [{action: Deny}]"),
			map[string]string{"etcd-1 etcd-0": "++-"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			text := test.text
			if test.name == "before all others" {
				text = strings.Replace(text, "net: 10.0.0.11/32", "net: 10.0.0.12/32", 1)
			}
			p := prove(t, intent(t, "static-pod", masquerade), objects(t, text))
			for who, want := range test.want {
				at := strings.LastIndexByte(who, ' ')
				if got := outcomes(p, who[:at], who[at+1:]); got != want {
					t.Errorf("%s: %s, want %s", who, got, want)
				}
			}
			dumpOnFailure(t, p)
		})
	}
}
