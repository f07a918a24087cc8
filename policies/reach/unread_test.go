package reach

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies"
)

// What a policy says and is not read makes its flows unknown, and leaves the others alone. What does
// not change TCP connections changes no flow.
func TestUnreadFields(t *testing.T) {
	t.Parallel()
	const peers = "- {action: Allow, protocol: TCP, source: {selector: \"etcd-member == 'true'\"}, destination: {ports: [2379, 2380]}}"
	// guard is calicoGuard with a first rule.
	guard := func(rule string) string {
		return strings.Replace(calicoGuard, "  "+peers, "  "+rule+"\n  "+peers, 1) + calicoFailsafe
	}
	// strict is ciliumStrict with another entry.
	strict := func(entry string) string { return strings.TrimRight(ciliumStrict, "\n") + "\n  " + entry + "\n" }
	// hosted is the members' policy, with something more in its spec or in a rule.
	hosted := func(spec, rule string) string {
		return strings.Replace(seed, "  ingress:\n", spec+"  ingress:\n"+rule, 1)
	}
	member, api := "etcd-1", "the Pods kube-system/component=kube-apiserver"
	tests := []struct {
		name, text string
		from, want string // outcomes from the sender to etcd-0
		says       string // among what is unknown
	}{
		{"calico: icmp", guard("- {action: Allow, protocol: ICMP, icmp: {type: 8, code: 0}}"), member, "++-", ""},
		{"calico: notICMP", guard("- {action: Deny, protocol: ICMP, notICMP: {type: 8}}"), member, "++-", ""},
		{"calico: icmp of every protocol", guard("- {action: Allow, icmp: {type: 8}}"), member, "???", "GlobalNetworkPolicy etcd-guard is not judged"},
		{"calico: annotations and hints", strings.Replace(guard("- {action: Log, metadata: {annotations: {why: log}}}"), "  order: 10", "  performanceHints: [AssumeNeededOnEveryNode]\n  order: 10", 1), member, "++-", ""},
		{"calico: named ports of a host", strings.Replace(guard("- {action: Log}"), "interfaceName:", "ports: [{name: etcd, protocol: TCP, port: 2379}], interfaceName:", 1), member, "++-", ""},
		{"calico: http", guard("- {action: Deny, http: {methods: [GET]}}"), member, "???", "has the field spec.ingress[0].http, which is not read here"},
		{"calico: http of other ports", guard("- {action: Deny, protocol: TCP, http: {methods: [GET]}, destination: {ports: [80]}}"), member, "++-", ""},
		{"calico: service accounts", guard("- {action: Deny, source: {serviceAccounts: {names: [x]}, nets: [10.0.0.12/32]}}"), member, "???", "spec.ingress[0].source.serviceAccounts"},
		{"calico: of another sender", guard("- {action: Deny, source: {serviceAccounts: {names: [x]}, nets: [10.0.0.13/32]}}"), member, "++-", ""},
		{"calico: a field of the policy", strings.Replace(guard("- {action: Log}"), "  order: 10", "  newField: 1\n  order: 10", 1), member, "???", "GlobalNetworkPolicy etcd-guard has the field spec.newField"},
		{"calico: a field of a host endpoint", strings.ReplaceAll(guard("- {action: Log}"), "interfaceName:", "newField: 1, interfaceName:"), member, "???", "HostEndpoint cp-0 has the field spec.newField"},
		{"calico: a field twice", strings.Replace(guard("- {action: Log}"), "  order: 10", "  order: 10\n  order: 11", 1), member, "???", "GlobalNetworkPolicy etcd-guard is not judged"},
		{"calico: a set of networks", guard("- {action: Deny, source: {selector: \"banned == 'true'\"}}") + "---\napiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata: {name: banned, labels: {banned: \"true\"}}\nspec: {nets: [10.0.0.12/32]}\n", member, "???", "GlobalNetworkSet.projectcalico.org banned is not judged"},
		{"calico: a tier", strings.Replace(guard("- {action: Log}"), "  order: 10", "  tier: first\n  order: 10", 1) + "---\napiVersion: projectcalico.org/v3\nkind: Tier\nmetadata: {name: first}\nspec: {order: 1, defaultAction: Pass}\n", member, "++-", "Tier.projectcalico.org first is not judged"},
		{"calico: the end of a tier", strings.Replace(strings.Replace(guard("- {action: Log}"), "  order: 10", "  tier: first\n  order: 10", 1), "  - {action: Deny, protocol: TCP, destination: {ports: [\"2379:2381\"]}}\n  - {action: Pass}\n", "", 1), member, "++?", "no rule of tier first matches"},
		{"calico: two tiers", strings.Replace(guard("- {action: Log}"), "  order: 10", "  tier: first\n  order: 10", 1) +
			"---\napiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: second.closed}\nspec: {tier: second, selector: all(), types: [Ingress], ingress: [{action: Deny}]}\n", member, "???", "their order is not known"},
		{"calico: rules of others first", guard("- {action: Log}") + "---\napiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: node.cp-0}\nspec: {chainInsertMode: Append}\n", member, "???", "FelixConfiguration node.cp-0 is not judged"},

		{"cilium: icmps", strict("- {fromEntities: [all], icmps: [{fields: [{type: 8, family: IPv4}]}]}"), "another node", "---", ""},
		{"cilium: icmps, denied", strict("egress: [{toEntities: [all]}]\n  egressDeny: [{toEntities: [all], icmps: [{fields: [{type: 8}]}]}]"), member, "++-", ""},
		{"cilium: dns", strict("egress: [{toEntities: [all], toPorts: [{ports: [{port: \"53\", protocol: ANY}], rules: {dns: [{matchPattern: \"*\"}]}}]}, {toEntities: [all]}]"), member, "++-", ""},
		{"cilium: http", strings.Replace(ciliumStrict, "endPort: 2380}]}", "endPort: 2380}], rules: {http: [{method: GET}]}}", 1), member, "??-", "a proxy that the files do not answer"},
		{"cilium: labels and log", strict("labels: [{key: a, value: b}]\n  log: {value: x}"), member, "++-", ""},
		{"cilium: groups of a cloud", strict("- {fromGroups: [{aws: {region: x}}], toPorts: [{ports: [{port: \"2381\"}]}]}"), "another node", "--?", "spec.ingress[1].fromGroups"},
		{"cilium: a group of networks", strict("- {fromCIDRSet: [{cidrGroupRef: ours}]}"), "another node", "???", "spec.ingress[1].fromCIDRSet[0].cidrGroupRef"},
		{"cilium: authentication", strings.Replace(ciliumStrict, "- fromNodes", "- authentication: {mode: required}\n    fromNodes", 1), member, "??-", "spec.ingress[0].authentication"},
		{"cilium: a field of the rule", strict("newField: 1"), member, "???", "has the field spec.newField"},
		{"cilium: a field twice", strict("ingress: []"), member, "???", "CiliumClusterwideNetworkPolicy etcd-strict is not judged"},

		{"networkpolicy: a field of a rule", hosted("", "  - {from: [{podSelector: {}}], newField: 1}\n"), "etcd-1", "???", "NetworkPolicy kube-system/etcd ingress[0] has the field spec.ingress[0].newField"},
		{"networkpolicy: allowed by another rule", hosted("", "  - {from: [{podSelector: {}}], newField: 1}\n"), api, "+??", ""},
		{"networkpolicy: a field of a peer", hosted("", "  - {from: [{podSelector: {}, newField: 1}], ports: [{port: 2380}]}\n"), "etcd-1", "???", "spec.ingress[0].from[0].newField"},
		{"networkpolicy: a field of the policy", hosted("  newField: 1\n", ""), "etcd-1", "???", "NetworkPolicy kube-system/etcd has the field spec.newField"},
		{"networkpolicy: a field twice", hosted("  policyTypes: []\n", ""), "etcd-1", "???", "NetworkPolicy kube-system/etcd is not judged"},
		{"networkpolicy: of another namespace", hosted("", "") + "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: x, namespace: shop}\nspec: {podSelector: {}, newField: 1}\n", api, "+--", ""},
		{"another engine", hosted("", "") + "---\napiVersion: crd.antrea.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {name: x}\n", api, "???", "ClusterNetworkPolicy.crd.antrea.io x is not judged"},

		{"tier Admin: a field of a rule", seed + cnp("Admin", "1", "ingress: [{action: Accept, from: [{namespaces: {}}], newField: 1}]"), api, "???", "ClusterNetworkPolicy admin1 ingress[0] Accept has the field spec.ingress[0].newField"},
		{"tier Admin: a field of the policy", seed + cnp("Admin", "1", "newField: 1"), api, "???", "ClusterNetworkPolicy admin1 has the field spec.newField"},
		{"tier Admin: decided before it", seed + cnp("Admin", "1", "ingress: [{action: Accept, from: [{namespaces: {}}]}]\n  egress: [{action: Accept, to: [{namespaces: {}}]}]") + cnp("Admin", "2", "newField: 1"), api, "+++", ""},
		// Nothing before it is about what the senders send.
		{"tier Baseline: ingress is decided before it", seed + cnp("Baseline", "1", "newField: 1"), api, "?--", ""},
		{"tier Admin: an older kind", seed + "---\napiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: x}\nspec: {priority: 1, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {sameLabels: [a]}}]}]}\n", api, "???", "AdminNetworkPolicy x ingress[0] Deny has the field spec.ingress[0].from[0].namespaces.sameLabels"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := intent(t, "static-pod", masquerade)
			if !strings.Contains(test.text, "etcd-guard") && !strings.Contains(test.text, "etcd-strict") {
				i = intent(t, "hosted", hostedPods)
			}
			p := prove(t, i, objects(t, test.text))
			if got := outcomes(p, test.from, "etcd-0"); got != test.want {
				t.Errorf("%s: %q, want %q", test.from, got, test.want)
			}
			if !slices.ContainsFunc(p.Unknown, func(s string) bool { return strings.Contains(s, test.says) }) && test.says != "" {
				t.Errorf("unknown %q, want %q", p.Unknown, test.says)
			}
			for _, f := range p.Flows {
				if f.Unknown != "" && f.Allowed {
					t.Errorf("allowed and unknown: %+v", f)
				}
			}
			dumpOnFailure(t, p)
		})
	}
}

// The settings of a unit beside its lists of addresses decide too, or are unknown.
func TestUnitSettings(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, remote, own string }{
		{"none", "[Service]\nRestart=always\n", "+++", "+++"},
		{"a slice", "[Slice]\nIPAddressDeny=any\n", "---", "---"},
		{"a network of its own", "[Service]\nPrivateNetwork=yes\n", "---", "---"},
		{"that of another unit", "[Unit]\nJoinsNamespaceOf=x.service\n[Service]\nPrivateNetwork=yes\n", "???", "???"},
		{"lo alone", "[Service]\nRestrictNetworkInterfaces=lo\n", "---", "+++"},
		{"not lo", "[Service]\nRestrictNetworkInterfaces=~lo\n", "???", "---"},
		{"some interface", "[Service]\nRestrictNetworkInterfaces=lo eth0\n", "???", "+++"},
		{"some interface, and denied", "[Service]\nRestrictNetworkInterfaces=lo eth0\nIPAddressDeny=any\n", "---", "---"},
		{"no IPv4", "[Service]\nRestrictAddressFamilies=AF_UNIX AF_INET6\n", "---", "---"},
		{"the usual hardening", "[Service]\nRestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX\n", "+++", "+++"},
		{"a program", "[Service]\nIPIngressFilterPath=/sys/fs/bpf/x\n", "???", "???"},
		{"etcd itself", "[Service]\nType=notify\nExecStart=-/usr/local/bin/etcd --config-file=/etc/etcd/etcd.conf.yaml\nIPAddressDeny=any\n", "---", "---"},
		{"a release of etcd", "[Service]\nExecStart=\"/opt/etcd-v3.6.16\"\n", "+++", "+++"},
		{"a container engine", "[Service]\nExecStart=/usr/bin/docker run --net=host etcd\nIPAddressDeny=any\n", "???", "???"},
		{"another network", "[Service]\nExecStart=/usr/sbin/ip netns exec x /usr/bin/etcd\n", "???", "???"},
		{"a shell", "[Service]\nExecStart=/bin/sh -c 'exec etcd'\nIPAddressDeny=any\n", "???", "???"},
		{"another program", "[Service]\nExecStart=!/usr/sbin/nginx\nPrivateNetwork=yes\n", "???", "???"},
		{"another program, replaced", "[Service]\nExecStart=/usr/sbin/nginx\nExecStart=\nExecStart=/usr/bin/etcd\nIPAddressDeny=any\n", "---", "---"},
		{"a slice that was not given", "[Service]\nExecStart=/usr/bin/etcd\nSlice=etcd.slice\n", "???", "???"},
		{"a slice that was not given, and denied", "[Service]\nSlice=etcd.slice\nIPAddressDeny=any\n", "---", "---"},
		{"a network namespace", "[Service]\nNetworkNamespacePath=/run/netns/x\n", "???", "???"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			u, err := policies.ParseDropIn("10.conf", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			i := intent(t, "systemd", masquerade)
			p := Prove(i, NewTopology(i, objects(t)), policies.Filters{Units: []policies.SystemdDropIn{u}}, audit.Place{})
			if got := outcomes(p, "etcd-1", "etcd-0"); got != test.remote {
				t.Errorf("another member: %q, want %q", got, test.remote)
			}
			if got := outcomes(p, "etcd-0", "etcd-0"); got != test.own {
				t.Errorf("its own host: %q, want %q", got, test.own)
			}
			dumpOnFailure(t, p)
		})
	}
}
