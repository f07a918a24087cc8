package lint

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/pastetest"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/reach"
)

// subject is some policies for three members on the host network, or hosted ones.
func subject(t *testing.T, hosted bool, text string) *Subject {
	t.Helper()
	runtime, isolation := "static-pod", "podCIDRs: [10.244.0.0/16]"
	if hosted {
		runtime = "hosted"
	}
	if hosted && strings.Contains(text, "# API servers are Pods") {
		isolation += ", pods: {apiServer: {namespace: kube-system, labels: [component=kube-apiserver]}}"
	}
	c, err := cluster.Read("cluster.yaml", strings.NewReader(`apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: test}
spec:
  etcd:
    version: "3.6.16"
    runtime: `+runtime+`
    members:
      - {name: etcd-0, addresses: [10.0.0.11]}
      - {name: etcd-1, addresses: [10.0.0.12]}
      - {name: etcd-2, addresses: [10.0.0.13]}
  apiServers:
    - {name: cp-0, addresses: [10.0.0.11]}
    - {name: cp-1, addresses: [10.0.0.12]}
    - {name: cp-2, addresses: [10.0.0.13]}
  isolation: {`+isolation+`}
`))
	if err != nil {
		t.Fatal(err)
	}
	i, err := policies.NewIntent(c)
	if err != nil {
		t.Fatal(err)
	}
	var o kube.Objects
	if text != "" {
		if o, err = kube.Decode("p.yaml", []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return &Subject{Name: "test", Intent: i, Topology: reach.NewTopology(i, o), Filters: policies.Filters{Objects: o}}
}

// np is a NetworkPolicy on the members with some ingress rules.
func np(ingress ...string) string {
	return "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: etcd, namespace: kube-system}\n" +
		"spec:\n  podSelector: {matchLabels: {component: etcd}}\n  policyTypes: [Ingress]\n  ingress:\n  - " + strings.Join(ingress, "\n  - ") + "\n"
}

const (
	members    = "{from: [{podSelector: {matchLabels: {component: etcd}}}], ports: [{port: 2379}, {port: 2380}]}"
	apiServers = "{from: [{ipBlock: {cidr: 10.0.0.11/32}}], ports: [{port: 2379}]}"
	felix      = "---\napiVersion: projectcalico.org/v3\nkind: FelixConfiguration\nmetadata: {name: default}\nspec: {failsafeInboundHostPorts: [{protocol: tcp, port: 22}, {protocol: tcp, port: 2380, net: 10.0.0.11/32}]}\n"
)

// hep is a host endpoint of a member's node.
func hep(profiles string) string {
	return "---\napiVersion: projectcalico.org/v3\nkind: HostEndpoint\nmetadata: {name: cp-0, labels: {etcd: yes-it-is}}\nspec: {node: cp-0, interfaceName: '*', expectedIPs: [10.0.0.11], profiles: [" + profiles + "]}\n"
}

// gnp is a policy for host endpoints.
func gnp(rules ...string) string {
	return "---\napiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata: {name: guard}\nspec:\n  order: 10\n  selector: has(etcd)\n  types: [Ingress]\n  ingress:\n  - " + strings.Join(rules, "\n  - ") + "\n"
}

// ccnp is a policy for nodes.
func ccnp(spec string) string {
	return "---\napiVersion: cilium.io/v2\nkind: CiliumClusterwideNetworkPolicy\nmetadata: {name: guard}\nspec:\n  nodeSelector: {matchLabels: {node-role.kubernetes.io/control-plane: ''}}\n  " + spec + "\n"
}

func cnp(name string, priority string) string {
	return "---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: " + name + "}\nspec:\n  tier: Admin\n  priority: " + priority +
		"\n  subject: {namespaces: {}}\n  egress: [{action: Deny, to: [{networks: [10.0.0.11/32]}]}]\n"
}

func pod(namespace, name, labels string, hostNetwork string) string {
	return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: " + namespace + ", labels: {" + labels + "}}\nspec: {nodeName: cp-0, hostNetwork: " + hostNetwork + "}\nstatus: {podIP: 10.244.1.9}\n"
}

type fixture struct {
	name    string
	hosted  bool
	text    string
	verdict audit.Verdict
	codes   string // of a fail
}

func fixtures() map[string][]fixture {
	good := np(members, apiServers)
	calico := felix + gnp("{action: Allow, protocol: TCP, source: {nets: [10.0.0.12/32]}, destination: {ports: [2379, 2380]}}",
		"{action: Deny, protocol: TCP, destination: {ports: ['2379:2381']}}", "{action: Pass}") + hep("projectcalico-default-allow")
	elsewhere := strings.Replace(good, "kube-system", "etcd", 1)
	return map[string][]fixture{
		"policy-host-network": {
			{name: "hosted", hosted: true, text: good, verdict: audit.Skip},
			{name: "kubeadm", text: good, verdict: audit.Fail, codes: "networkpolicy"},
			{name: "every Pod", text: strings.Replace(good, "{matchLabels: {component: etcd}}", "{}", 1), verdict: audit.Pass},
			{name: "other Pods too", text: good + pod("kube-system", "events", "component: etcd", "false"), verdict: audit.Pass},
			{name: "subject", text: "apiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {name: x}\nspec: {tier: Admin, priority: 1, " +
				"subject: {pods: {namespaceSelector: {}, podSelector: {matchLabels: {component: etcd}}}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}\n", verdict: audit.Fail, codes: "clusternetworkpolicy"},
			{name: "egress of Pods", text: cnp("x", "1"), verdict: audit.Pass},
		},
		"policy-wrong-namespace": {
			{name: "right", hosted: true, text: good, verdict: audit.Pass},
			{name: "host network", text: elsewhere, verdict: audit.Skip},
			{name: "wrong", hosted: true, text: elsewhere, verdict: audit.Fail, codes: "namespace"},
			{name: "none", hosted: true, text: strings.Replace(good, ", namespace: kube-system", "", 1), verdict: audit.Fail, codes: "namespace"},
			{name: "another etcd", hosted: true, text: elsewhere + pod("etcd", "etcd-0", "component: etcd", "false"), verdict: audit.Pass},
		},
		"policy-no-namespace": {
			{name: "named", hosted: true, text: good, verdict: audit.Pass},
			{name: "none", hosted: true, text: strings.Replace(good, ", namespace: kube-system", "", 1), verdict: audit.Fail, codes: "networkpolicy"},
			{name: "cilium", text: "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: x}\nspec: {endpointSelector: {}}\n", verdict: audit.Fail, codes: "cilium"},
			{name: "calico", text: "apiVersion: projectcalico.org/v3\nkind: NetworkPolicy\nmetadata: {name: x}\nspec: {selector: all()}\n", verdict: audit.Fail, codes: "calico"},
		},
		"policy-from-anyone": {
			{name: "named", hosted: true, text: good, verdict: audit.Pass},
			{name: "no from", hosted: true, text: np(members, "{ports: [{port: 2379}]}"), verdict: audit.Fail, codes: "port-2379"},
			{name: "every namespace", hosted: true, text: np("{from: [{namespaceSelector: {}}], ports: [{port: 2379, endPort: 2381}]}"), verdict: audit.Fail, codes: "port-2379 port-2380"},
			{name: "the own namespace", hosted: true, text: np("{from: [{podSelector: {}}], ports: [{port: 2380}]}"), verdict: audit.Pass},
			{name: "0.0.0.0/0", hosted: true, text: np("{from: [{ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: 2379}]}"), verdict: audit.Fail, codes: "port-2379"},
			{name: "calico", text: calico, verdict: audit.Pass},
			{name: "calico, nothing denied", text: felix + hep("") + gnp("{action: Allow}"), verdict: audit.Fail, codes: "port-2379 port-2380"},
			// docs.tigera.io/calico/latest/network-policy/hosts/protect-hosts-tutorial, ingress-k8s-masters.
			{name: "calico's tutorial", text: felix + hep("") + gnp("{action: Allow, protocol: TCP, destination: {ports: [6443]}}", "{action: Allow, destination: {nets: [127.0.0.1/32]}}", "{action: Allow, protocol: TCP, source: {selector: has(etcd)}, destination: {ports: [2380]}}"), verdict: audit.Pass},
			{name: "calico, to the members' network", text: felix + hep("") + gnp("{action: Allow, destination: {nets: [10.0.0.0/24]}}"), verdict: audit.Fail, codes: "port-2379 port-2380"},
			{name: "calico, not to the members", text: felix + hep("") + gnp("{action: Allow, destination: {notNets: [10.0.0.0/24]}}"), verdict: audit.Pass},
			{name: "calico, denied elsewhere alone", text: felix + hep("") + gnp("{action: Deny, destination: {nets: [127.0.0.1/32]}}", "{action: Allow}"), verdict: audit.Fail, codes: "port-2379 port-2380"},
			{name: "calico, to others by label", text: felix + hep("") + gnp("{action: Allow, destination: {selector: has(web)}}"), verdict: audit.Pass},
			{name: "calico, icmp", text: felix + hep("") + gnp("{action: Allow, protocol: ICMP, icmp: {type: 8}}"), verdict: audit.Pass},
			{name: "calico, from service accounts", text: felix + hep("") + gnp("{action: Allow, source: {serviceAccounts: {names: [x]}}}"), verdict: audit.Pass},
			{name: "cilium, icmps", text: ccnp("ingress: [{fromEntities: [all], icmps: [{fields: [{type: 8}]}]}]"), verdict: audit.Pass},
			{name: "cilium, UDP", text: ccnp("ingress: [{toPorts: [{ports: [{port: '2379', protocol: UDP}]}]}]"), verdict: audit.Pass},
			{name: "cilium's example", text: ccnp("ingress: [{toPorts: [{ports: [{port: '2379', protocol: TCP}]}]}]"), verdict: audit.Fail, codes: "port-2379"},
			{name: "cilium, denied", text: ccnp("ingressDeny: [{fromEntities: [world], toPorts: [{ports: [{port: '2379', endPort: 2381}]}]}]\n  ingress: [{}]"), verdict: audit.Pass},
		},
		"policy-metrics-open": {
			{name: "not in it", hosted: true, text: good, verdict: audit.Pass},
			{name: "open", hosted: true, text: np(members, "{ports: [{port: 2381}]}"), verdict: audit.Fail, codes: "metrics"},
			{name: "calico", text: calico, verdict: audit.Pass},
		},
		"policy-no-peer-port": {
			{name: "both", hosted: true, text: good, verdict: audit.Pass},
			{name: "the obvious policy", hosted: true, text: np(apiServers), verdict: audit.Fail, codes: "peer-port"},
			{name: "calico", text: felix + hep("") + gnp("{action: Allow, protocol: TCP, destination: {ports: [2379]}}"), verdict: audit.Fail, codes: "peer-port"},
			{name: "cilium", text: ccnp("ingress: [{fromEntities: [remote-node], toPorts: [{ports: [{port: '2379'}]}]}]"), verdict: audit.Fail, codes: "peer-port"},
			{name: "of others", text: np(apiServers), verdict: audit.Pass},
		},
		"policy-empty-ports": {
			{name: "named", hosted: true, text: good, verdict: audit.Pass},
			{name: "none", hosted: true, text: np("{from: [{ipBlock: {cidr: 10.0.0.11/32}}]}"), verdict: audit.Fail, codes: "ports"},
			{name: "calico, behind a deny", text: calico, verdict: audit.Pass},
		},
		"policy-api-server-by-pod-selector": {
			{name: "by address", hosted: true, text: good, verdict: audit.Pass},
			{name: "by label", hosted: true, text: np("{from: [{podSelector: {matchLabels: {component: kube-apiserver}}}], ports: [{port: 2379}]}"), verdict: audit.Fail, codes: "selector"},
			{name: "Pods", hosted: true, text: "# API servers are Pods\n" + np("{from: [{podSelector: {matchLabels: {component: kube-apiserver}}}], ports: [{port: 2379}]}"), verdict: audit.Skip},
		},
		"policy-calico-failsafe": {
			{name: "narrowed", text: calico, verdict: audit.Pass},
			{name: "default", text: strings.TrimPrefix(calico, felix), verdict: audit.Fail, codes: "port-2379 port-2380"},
			{name: "from anywhere", text: strings.Replace(calico, ", net: 10.0.0.11/32", "", 1), verdict: audit.Fail, codes: "port-2380"},
			{name: "no host endpoint", text: felix, verdict: audit.Skip},
		},
		"policy-calico-cut-off": {
			{name: "passes", text: calico, verdict: audit.Pass},
			{name: "no final rule", text: strings.Replace(calico, "\n  - {action: Pass}", "", 1), verdict: audit.Fail, codes: "kubelet"},
			{name: "no profile", text: felix + hep(""), verdict: audit.Fail, codes: "kubelet"},
		},
		"policy-cilium-default-deny": {
			{name: "surgical", text: ccnp("enableDefaultDeny: {ingress: false}\n  ingressDeny: [{fromEntities: [world]}]"), verdict: audit.Pass},
			{name: "an ingress rule", text: ccnp("ingress: [{fromEntities: [remote-node], toPorts: [{ports: [{port: '2379'}]}]}]"), verdict: audit.Fail, codes: "kubelet"},
			{name: "no policy", text: good, verdict: audit.Skip},
		},
		"policy-cilium-cidr-of-nodes": {
			{name: "entities", text: ccnp("ingress: [{fromEntities: [remote-node]}]"), verdict: audit.Pass},
			{name: "a node", text: ccnp("ingress: [{fromCIDR: [10.0.0.12/32]}]"), verdict: audit.Fail, codes: "cidr"},
			{name: "somebody else", text: ccnp("ingress: [{fromCIDRSet: [{cidr: 192.0.2.1/32}]}]"), verdict: audit.Pass},
		},
		"policy-ip-block-of-pods": {
			{name: "hosts", hosted: true, text: good, verdict: audit.Pass},
			{name: "a Pod", hosted: true, text: np("{from: [{ipBlock: {cidr: 10.244.1.9/32}}], ports: [{port: 2379}]}"), verdict: audit.Fail, codes: "ip-block"},
		},
		"policy-ignored-rules": {
			{name: "named", text: good, verdict: audit.Pass},
			{name: "ingress", text: strings.Replace(good, "[Ingress]", "[Egress]", 1), verdict: audit.Fail, codes: "ingress"},
			{name: "egress", text: good + "  egress: [{}]\n", verdict: audit.Fail, codes: "egress"},
		},
		"policy-no-policy-types": {
			{name: "named", text: good, verdict: audit.Pass},
			{name: "none", text: strings.Replace(good, "  policyTypes: [Ingress]\n", "", 1), verdict: audit.Fail, codes: "policy-types"},
		},
		"policy-priority-tie": {
			{name: "apart", text: cnp("a", "1") + cnp("b", "2"), verdict: audit.Pass},
			{name: "equal", text: cnp("a", "1") + cnp("b", "1"), verdict: audit.Fail, codes: "tie"},
		},
		"policy-selects-nothing": {
			{name: "no dump", text: good, verdict: audit.Skip},
			{name: "selects", text: good + pod("kube-system", "etcd-cp-0", "component: etcd", "true"), verdict: audit.Pass},
			{name: "misspelt", text: good + pod("kube-system", "etcd-cp-0", "component: etdc", "true"), verdict: audit.Fail, codes: "nothing"},
		},
		"policy-no-egress": {
			{name: "host network", text: good, verdict: audit.Skip},
			{name: "none", hosted: true, text: good, verdict: audit.Fail, codes: "egress"},
			{name: "limited", hosted: true, text: strings.Replace(good, "[Ingress]", "[Ingress, Egress]", 1), verdict: audit.Pass},
		},
		"policy-deprecated-api": {
			{name: "current", text: good, verdict: audit.Pass},
			{name: "admin", text: "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: x}\nspec: {priority: 1, subject: {namespaces: {}}}\n", verdict: audit.Fail, codes: "admin"},
			{name: "extensions", text: strings.Replace(good, "networking.k8s.io/v1", "extensions/v1beta1", 1), verdict: audit.Fail, codes: "extensions"},
		},
	}
}

func TestChecks(t *testing.T) {
	t.Parallel()
	all := fixtures()
	for _, c := range Checks() {
		list := all[c.ID]
		delete(all, c.ID)
		seen := map[audit.Verdict]bool{}
		for _, f := range list {
			seen[f.verdict] = true
			t.Run(c.ID+"/"+f.name, func(t *testing.T) {
				t.Parallel()
				s := subject(t, f.hosted, f.text)
				o := c.Run(s)
				var codes []string
				for _, finding := range o.Findings {
					codes = append(codes, finding.Code)
				}
				slices.Sort(codes)
				if got := strings.Join(slices.Compact(codes), " "); o.Verdict != f.verdict || got != f.codes {
					t.Errorf("%s %q, want %s %q: %+v", o.Verdict, got, f.verdict, f.codes, o)
				}
			})
		}
		if !seen[audit.Pass] || !seen[audit.Fail] {
			t.Errorf("%s has no fixture that passes, or none that fails", c.ID)
		}
	}
	for id := range all {
		t.Errorf("fixtures for %s, which is no check", id)
	}
}

func TestMetadata(t *testing.T) {
	t.Parallel()
	if len(Checks()) == 0 {
		t.Fatal("no checks")
	}
	var ids []string
	for _, c := range Checks() {
		if !strings.HasPrefix(c.ID, "policy-") || slices.Contains(ids, c.ID) {
			t.Errorf("%s: an ID of another kind, or there twice", c.ID)
		}
		ids = append(ids, c.ID)
		if c.Title == "" || c.Severity.Rank() < 0 || c.Rationale == "" || c.Method == "" || c.Remediation == nil || len(c.Remediation(audit.Place{})) == 0 || len(c.References) == 0 || c.Run == nil {
			t.Errorf("%s: metadata is missing", c.ID)
		}
		for _, line := range slices.Concat(c.Remediation(audit.Place{}), c.Remediation(audit.Place{SpecPath: "my cluster.yaml"})) {
			if fault := pastetest.Fault(t, line.Text); line.Paste && fault != "" {
				t.Errorf("%s: %q: %s", c.ID, line.Text, fault)
			}
		}
	}
}

// What is rendered for each backend has nothing wrong with it.
func TestRenderedIsClean(t *testing.T) {
	t.Parallel()
	for _, backend := range []cluster.Backend{"calico", "cilium", "clusternetworkpolicy", "networkpolicy"} {
		t.Run(string(backend), func(t *testing.T) {
			t.Parallel()
			s := subject(t, backend == "networkpolicy", "")
			r, err := policies.Render(s.Intent, backend, policies.RenderOptions{})
			if err != nil {
				t.Fatal(err)
			}
			s.Filters.Objects = r.Objects
			for _, result := range Run(Checks(), s).Results {
				if result.Verdict != audit.Pass && result.Verdict != audit.Skip {
					t.Errorf("%s %s: %s", result.Verdict, result.CheckID, result.Evidence)
				}
			}
		})
	}
}
