package reach

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies"
)

const masquerade = "podCIDRs: [10.244.0.0/16], nodeCIDRs: [10.0.0.0/24], scrapers: [10.0.0.40/32]"

// calicoGuard is what isolates members with Calico: policies, host endpoints and failsafe ports.
const calicoGuard = `
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: etcd-guard}
spec:
  order: 10
  selector: etcd-member == 'true'
  types: [Ingress]
  ingress:
  - {action: Allow, protocol: TCP, source: {selector: "etcd-member == 'true'"}, destination: {ports: [2379, 2380]}}
  - {action: Allow, protocol: TCP, source: {nets: [10.0.0.40/32]}, destination: {ports: [2381]}}
  - {action: Deny, protocol: TCP, destination: {ports: ["2379:2381"]}}
  - {action: Pass}
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: cp-0, labels: {etcd-member: "true"}}
spec: {node: cp-0, interfaceName: "*", expectedIPs: [10.0.0.11], profiles: [projectcalico-default-allow]}
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: cp-1, labels: {etcd-member: "true"}}
spec: {node: cp-1, interfaceName: "*", expectedIPs: [10.0.0.12], profiles: [projectcalico-default-allow]}
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: cp-2, labels: {etcd-member: "true"}}
spec: {node: cp-2, interfaceName: "*", expectedIPs: [10.0.0.13], profiles: [projectcalico-default-allow]}
`

const calicoFailsafe = `
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec:
  failsafeInboundHostPorts:
  - {protocol: tcp, port: 22}
  - {protocol: tcp, port: 2380, net: 10.0.0.11/32}
`

const noPodToEtcd = `
---
apiVersion: policy.networking.k8s.io/v1alpha2
kind: ClusterNetworkPolicy
metadata: {name: no-pod-to-etcd}
spec:
  tier: Admin
  priority: 10
  subject: {namespaces: {}}
  egress:
  - name: deny-etcd
    action: Deny
    to: [{networks: [10.0.0.11/32, 10.0.0.12/32, 10.0.0.13/32]}]
    protocols: [{tcp: {destinationPort: {range: {start: 2379, end: 2381}}}}]
`

const ciliumGuard = `
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: etcd-guard}
spec:
  nodeSelector: {matchLabels: {node-role.kubernetes.io/control-plane: ""}}
  enableDefaultDeny: {ingress: false, egress: false}
  ingressDeny:
  - fromEntities: [world]
    toPorts: [{ports: [{port: "2379", protocol: TCP},{port: "2380", protocol: TCP},{port: "2381", protocol: TCP}]}]
  - fromEndpoints: [{}]
    toPorts: [{ports: [{port: "2379", protocol: TCP},{port: "2380", protocol: TCP}]}]
`

const ciliumStrict = `
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: etcd-strict}
spec:
  nodeSelector: {matchLabels: {node-role.kubernetes.io/control-plane: ""}}
  ingress:
  - fromNodes: [{matchLabels: {node-role.kubernetes.io/control-plane: ""}}]
    toPorts: [{ports: [{port: "2379", protocol: TCP},{port: "2380", endPort: 2380}]}]
`

// Each case is what one kind of policy does to the members of a kubeadm cluster.
func TestBackends(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spec  string
		text  string
		units []policies.SystemdDropIn
		want  map[string]string // "sender member"
		by    map[string]string // who decides about port 2379
	}{
		{
			name: "nothing", spec: masquerade,
			want: map[string]string{"a Pod on another node etcd-0": "+++", "outside (IPv4) etcd-0": "+++", "etcd-0 etcd-0": "+++"},
			by:   map[string]string{"outside (IPv4) etcd-0": "nothing filters it"},
		},
		{
			name: "calico without failsafe ports", spec: masquerade, text: calicoGuard,
			want: map[string]string{
				"etcd-1 etcd-0": "++-", "another node etcd-0": "++-", "outside (IPv4) etcd-0": "++-", "10.0.0.40 etcd-0": "+++",
			},
			by: map[string]string{"another node etcd-0": "failsafe port tcp 2379, which Felix opens by default"},
		},
		{
			name: "calico", spec: masquerade, text: calicoGuard + calicoFailsafe,
			want: map[string]string{
				"etcd-1 etcd-0": "++-", "another node etcd-0": "---", "outside (IPv4) etcd-0": "---", "10.0.0.40 etcd-0": "--+", "etcd-0 etcd-0": "+++",
				// A masqueraded Pod has its node's address, and its own node is asked nothing.
				"a Pod on cp-1 etcd-0": "++-", "a Pod on cp-0 etcd-0": "+++", "a Pod on another node etcd-0": "---",
			},
			by: map[string]string{
				"etcd-1 etcd-0":       "GlobalNetworkPolicy etcd-guard ingress[0] Allow",
				"another node etcd-0": "GlobalNetworkPolicy etcd-guard ingress[2] Deny",
			},
		},
		{
			name: "calico and clusternetworkpolicy", spec: masquerade, text: calicoGuard + calicoFailsafe + noPodToEtcd,
			want: map[string]string{
				"etcd-1 etcd-0": "++-", "another node etcd-0": "---", "a Pod on cp-1 etcd-0": "---", "a Pod on cp-0 etcd-0": "---",
			},
			by: map[string]string{"a Pod on cp-0 etcd-0": "ClusterNetworkPolicy no-pod-to-etcd egress[0] Deny"},
		},
		{
			name: "calico, routed", spec: masquerade + ", podAddresses: routed", text: calicoGuard + calicoFailsafe,
			want: map[string]string{"a Pod on cp-1 etcd-0": "---", "a Pod on cp-0 etcd-0": "+++"},
		},
		{
			name: "a host endpoint and nothing for it", spec: masquerade,
			text: calicoFailsafe + `
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: cp-0}
spec: {node: cp-0, interfaceName: "*"}
`,
			want: map[string]string{"etcd-1 etcd-0": "---", "etcd-0 etcd-1": "++-", "etcd-0 etcd-0": "+++"},
			by:   map[string]string{"etcd-1 etcd-0": "HostEndpoint cp-0, which has neither a policy nor a profile that lets it pass"},
		},
		{
			name: "cilium", spec: masquerade, text: ciliumGuard,
			want: map[string]string{
				"etcd-1 etcd-0": "+++", "outside (IPv4) etcd-0": "---", "another node etcd-0": "+++",
				"a Pod on cp-0 etcd-0": "--+", "a Pod on cp-1 etcd-0": "+++",
			},
			by: map[string]string{
				"outside (IPv4) etcd-0": "CiliumClusterwideNetworkPolicy etcd-guard ingressDeny[0]",
				"etcd-1 etcd-0":         "no rule of CiliumClusterwideNetworkPolicy etcd-guard denies it",
			},
		},
		{
			name: "cilium, routed", spec: masquerade + ", podAddresses: routed", text: ciliumGuard,
			want: map[string]string{"a Pod on cp-1 etcd-0": "--+"},
		},
		{
			name: "cilium, strict", spec: masquerade, text: ciliumStrict,
			want: map[string]string{"etcd-1 etcd-0": "++-", "another node etcd-0": "---", "10.0.0.40 etcd-0": "---", "etcd-0 etcd-0": "+++"},
			by:   map[string]string{"another node etcd-0": "CiliumClusterwideNetworkPolicy etcd-strict, no ingress rule, and so default deny"},
		},
		{
			name: "cilium by CIDR", spec: masquerade,
			text: strings.Replace(ciliumStrict, `fromNodes: [{matchLabels: {node-role.kubernetes.io/control-plane: ""}}]`, "fromCIDR: [10.0.0.11/32, 10.0.0.12/32, 10.0.0.13/32]", 1),
			want: map[string]string{"etcd-1 etcd-0": "---"}, // nodes are never matched by a network: quorum is lost
		},
		{
			name: "cilium, what nodes send", spec: masquerade,
			text: strings.NewReplacer("ingressDeny", "egressDeny", "fromEntities: [world]", "toEntities: [remote-node]", "fromEndpoints", "toEndpoints").Replace(ciliumGuard),
			want: map[string]string{"etcd-1 etcd-0": "---", "etcd-0 etcd-0": "+++", "another node etcd-0": "+++"},
			by:   map[string]string{"etcd-1 etcd-0": "CiliumClusterwideNetworkPolicy etcd-guard egressDeny[0]"},
		},
		{
			name: "clusternetworkpolicy alone", spec: masquerade, text: noPodToEtcd,
			want: map[string]string{"a Pod on cp-0 etcd-0": "---", "another node etcd-0": "+++", "etcd-1 etcd-0": "+++"},
		},
		{
			name: "systemd", spec: masquerade,
			units: []policies.SystemdDropIn{{
				Unit: "etcd.service", Deny: prefixes(t, "0.0.0.0/0", "::/0"),
				Allow: prefixes(t, "127.0.0.0/8", "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.40"),
			}},
			// It knows no ports, and a masqueraded Pod has its node's address.
			want: map[string]string{"etcd-1 etcd-0": "+++", "another node etcd-0": "---", "10.0.0.40 etcd-0": "+++", "a Pod on cp-1 etcd-0": "+++"},
			by:   map[string]string{"another node etcd-0": "IPAddressDeny=0.0.0.0/0 of etcd.service on etcd-0"},
		},
		{
			name: "systemd forgets a member", spec: masquerade,
			units: []policies.SystemdDropIn{{Member: "etcd-0", Deny: prefixes(t, "0.0.0.0/0"), Allow: prefixes(t, "127.0.0.0/8", "10.0.0.11", "10.0.0.12")}},
			want:  map[string]string{"etcd-2 etcd-0": "---", "etcd-0 etcd-2": "---", "etcd-2 etcd-1": "+++", "etcd-1 etcd-0": "+++"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			i := intent(t, "static-pod", test.spec)
			o := objects(t, test.text)
			p := Prove(i, NewTopology(i, o), policies.Filters{Objects: o, Units: test.units}, audit.Place{})
			for who, want := range test.want {
				at := strings.LastIndexByte(who, ' ')
				// A stacked API server has its member's address, and so the same outcome.
				if got := outcomes(p, who[:at], who[at+1:]); got != want {
					t.Errorf("%s: %q, want %q", who, got, want)
				}
			}
			for who, want := range test.by {
				at := strings.LastIndexByte(who, ' ')
				n := slices.IndexFunc(p.Flows, func(f Flow) bool { return f.From == who[:at] && f.To == who[at+1:] && f.Port == 2379 })
				if n < 0 || p.Flows[n].DecidedBy != want {
					t.Errorf("%s: decided by %q, want %q", who, p.Flows[max(n, 0)].DecidedBy, want)
				}
			}
			if len(p.Unknown) > 0 {
				t.Errorf("unknown: %q", p.Unknown)
			}
			if t.Failed() {
				dump(t, p)
			}
		})
	}
}

func prefixes(t testing.TB, list ...string) []netip.Prefix {
	t.Helper()
	parsed, err := policies.ParseNetworks(list)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// What a filter cannot answer is neither allowed nor denied.
func TestUnknownIsNeither(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, text string
		says       string
	}{
		{"a policy that the API server refuses", strings.Replace(seed, "podSelector: {matchLabels: {component: kube-apiserver}}", "", 1), "is empty, which the API server refuses"},
		{"two rules of one priority", noPodToEtcd + strings.NewReplacer("no-pod-to-etcd", "other", "Deny", "Accept").Replace(noPodToEtcd), "have the same priority"},
		{"a named port", strings.NewReplacer("2379", "client", "component: kube-apiserver", "x: y", "podSelector: {matchLabels: {component: etcd}}", "podSelector: {}").Replace(seed), "names a port"},
		{"a selector that does not parse", strings.Replace(calicoGuard, "selector: etcd-member == 'true'", "selector: etcd-member = 'true'", 1), "want an operator"},
		{"a host endpoint of an interface", calicoFailsafe + `
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: eth0}
spec: {node: cp-0, interfaceName: eth0}
`, "names an interface and no expectedIPs"},
		{"a profile", calicoFailsafe + `
---
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: cp-0}
spec: {node: cp-0, interfaceName: "*", profiles: [ours]}
`, "profile ours"},
		{"reserved labels", strings.Replace(ciliumGuard, "fromEndpoints: [{}]", `fromEndpoints: [{matchLabels: {"reserved:remote-node": ""}}]`, 1), "that the files do not answer"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			runtime, spec := "static-pod", masquerade
			if strings.Contains(test.text, "component: etcd") || test.name == "a named port" {
				runtime, spec = "hosted", hostedPods
			}
			if test.name == "a named port" {
				test.text = strings.Replace(test.text, "x: y", "component: kube-apiserver", 1)
			}
			p := prove(t, intent(t, runtime, spec), objects(t, test.text))
			if p.Holds || !slices.ContainsFunc(p.Unknown, func(s string) bool { return strings.Contains(s, test.says) }) {
				t.Errorf("holds %t, unknown %q, want %q", p.Holds, p.Unknown, test.says)
				dump(t, p)
			}
			for _, f := range p.Flows {
				if f.Unknown != "" && f.Allowed {
					t.Errorf("allowed and unknown: %+v", f)
				}
			}
		})
	}
}
