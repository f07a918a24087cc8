package kube_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/policies/kube"
)

const networkPolicy = `apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a, namespace: ns, uid: u, managedFields: [{manager: m}]}
spec:
  podSelector: {matchLabels: {component: etcd}}
  ingress:
  - from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {namespaceSelector: {}}, {}]
    ports: [{port: 2379}, {port: peer, protocol: TCP}, {port: 1, endPort: 9}]
status: {conditions: []}
`

func TestDecodeNetworkPolicy(t *testing.T) {
	t.Parallel()
	end := int32(9)
	want := kube.Objects{NetworkPolicies: []kube.NetworkPolicy{{
		TypeMeta: kube.TypeMeta{APIVersion: "networking.k8s.io/v1", Kind: "NetworkPolicy"},
		Metadata: kube.ObjectMeta{Name: "a", Namespace: "ns"},
		Spec: kube.NetworkPolicySpec{
			PodSelector: kube.LabelSelector{MatchLabels: map[string]string{"component": "etcd"}},
			Ingress: []kube.IngressRule{{
				From:  []kube.Peer{{IPBlock: &kube.IPBlock{CIDR: "10.0.0.0/8", Except: []string{"10.1.0.0/16"}}}, {NamespaceSelector: &kube.LabelSelector{}}, {}},
				Ports: []kube.PolicyPort{{Port: &kube.IntOrString{Int: 2379}}, {Port: &kube.IntOrString{String: "peer"}, Protocol: "TCP"}, {Port: &kube.IntOrString{Int: 1}, EndPort: &end}},
			}},
		},
	}}}
	for name, text := range map[string]string{
		"alone":        networkPolicy,
		"in a List":    "apiVersion: v1\nkind: List\nitems:\n- " + indent(networkPolicy),
		"typed List":   "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicyList\nitems:\n- " + strings.TrimPrefix(indent(networkPolicy), "apiVersion: networking.k8s.io/v1\n  kind: NetworkPolicy\n  "),
		"behind blank": "# comment\n---\n# nothing\n--- # begins\n" + networkPolicy + "---\n...\n",
		"as JSON":      asJSON(t, networkPolicy),
		"with a BOM":   "\xef\xbb\xbf" + networkPolicy,
		"with CRLF":    strings.ReplaceAll(networkPolicy, "\n", "\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, text)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What is not judged is said, with the field.
func TestDecodeSkips(t *testing.T) {
	t.Parallel()
	const calico = "apiVersion: projectcalico.org/v3\nmetadata: {name: x}\n"
	tests := []struct {
		name, text, kind, object, why string
		effect                        kube.Effect
	}{
		{"an unknown field", networkPolicy + "extra: 1\n", "NetworkPolicy.networking.k8s.io", "ns/a", `unknown field "extra"`, kube.ReadInPart},
		{"a field in other capitals", strings.Replace(networkPolicy, "podSelector", "podselector", 1), "NetworkPolicy.networking.k8s.io", "ns/a", `unknown field "spec.podselector"`, kube.ReadInPart},
		{"a field twice in YAML", strings.Replace(networkPolicy, "spec:", "spec:\n  ingress: []", 1), "NetworkPolicy.networking.k8s.io", "ns/a", `key "ingress" already set`, kube.MayDecide},
		{"a field twice in JSON", `{"apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicy","metadata":{"name":"a"},"spec":{"podSelector":{},"podSelector":{}}}`, "NetworkPolicy.networking.k8s.io", "a", `duplicate field "spec.podSelector"`, kube.MayDecide},
		{"a wrong type", strings.Replace(networkPolicy, "{port: 2379}", "{port: [1]}", 1), "NetworkPolicy.networking.k8s.io", "ns/a", "neither the number nor the name of a port", kube.MayDecide},
		{"a removed API", strings.Replace(networkPolicy, "networking.k8s.io/v1", "extensions/v1beta1", 1), "NetworkPolicy.extensions", "ns/a", "removed in Kubernetes 1.16", kube.NoEffect},
		{"a version to come", strings.Replace(networkPolicy, "networking.k8s.io/v1", "networking.k8s.io/v2", 1), "NetworkPolicy.networking.k8s.io", "ns/a", "networking.k8s.io/v2 is not known here", kube.MayDecide},
		{"another kind", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d, namespace: ns}\n", "Deployment.apps", "ns/d", "does not say who reaches whom", kube.Unrelated},
		{"a policy of another engine", "apiVersion: crd.antrea.io/v1beta1\nkind: ClusterNetworkPolicy\nmetadata: {name: x}\n", "ClusterNetworkPolicy.crd.antrea.io", "x", "not known here", kube.MayDecide},
		{"a tier", calico + "kind: Tier\nspec: {order: 1}\n", "Tier.projectcalico.org", "x", "not known here", kube.MayDecide},
		{"a staged policy", calico + "kind: StagedGlobalNetworkPolicy\n", "StagedGlobalNetworkPolicy.projectcalico.org", "x", "staged", kube.NoEffect},
		{"a rule about HTTP", calico + "kind: GlobalNetworkPolicy\nspec: {ingress: [{action: Allow, http: {methods: [GET]}}]}\n", "GlobalNetworkPolicy.projectcalico.org", "x", `unknown field "spec.ingress[0].http"`, kube.ReadInPart},
		{"a rule by name", "apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: x}\nspec: {egress: [{toFQDNs: [{matchName: a.b}]}]}\n", "CiliumNetworkPolicy.cilium.io", "x", `unknown field "spec.egress[0].toFQDNs"`, kube.ReadInPart},
		{"rules before Calico's", calico + "kind: FelixConfiguration\nspec: {chainInsertMode: Append}\n", "FelixConfiguration.projectcalico.org", "x", "chainInsertMode", kube.MayDecide},
		{"ports that say nothing", "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: x}\nspec: {priority: 1, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}], ports: []}]}\n", "AdminNetworkPolicy.policy.networking.k8s.io", "x", "spec.egress[0].ports is empty", kube.MayDecide},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, test.text)
			if len(got.Skipped) != 1 {
				t.Fatalf("skipped %v of\n%s", got.Skipped, test.text)
			}
			s := got.Skipped[0]
			if !strings.Contains(s.Why, test.why) {
				t.Errorf("skipped because %q, want %q", s.Why, test.why)
			}
			s.Why = ""
			if want := (kube.Skipped{File: "f.yaml", Kind: test.kind, Name: test.object, Effect: test.effect}); s != want {
				t.Errorf("got %+v, want %+v", s, want)
			}
			if test.effect == kube.ReadInPart {
				return // it is judged with that doubt
			}
			got.Skipped = nil
			if diff := cmp.Diff(kube.Objects{}, got); diff != "" {
				t.Errorf("taken all the same: %s", diff)
			}
		})
	}
}

// AdminNetworkPolicies say what ClusterNetworkPolicies of another tier say.
func TestDecodeAdminPolicies(t *testing.T) {
	t.Parallel()
	got := decode(t, `apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: x}
spec:
  priority: 7
  subject: {namespaces: {}}
  ingress:
  - {name: in, action: Allow, from: [{pods: {namespaceSelector: {}, podSelector: {matchLabels: {a: b}}}}], ports: [{namedPort: http}]}
  egress:
  - {action: Deny, to: [{networks: [10.0.0.11/32]}, {nodes: {}}], ports: [{portNumber: {protocol: TCP, port: 2379}}, {portRange: {start: 2380, end: 2381}}, {portNumber: {protocol: UDP, port: 53}}]}
  - {action: Pass, to: [{domainNames: [a.b]}]}
---
apiVersion: policy.networking.k8s.io/v1alpha1
kind: BaselineAdminNetworkPolicy
metadata: {name: default}
spec: {subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}]}]}
`)
	if len(got.Skipped) > 0 || len(got.ClusterNetworkPolicies) != 2 {
		t.Fatalf("%+v", got)
	}
	all := &kube.LabelSelector{}
	want := kube.ClusterNetworkPolicySpec{
		Tier: "Admin", Priority: 7, Subject: kube.ClusterPolicySubject{Namespaces: all},
		Ingress: []kube.ClusterIngressRule{{
			Name: "in", Action: "Accept",
			From:      []kube.ClusterIngressPeer{{Pods: &kube.NamespacedPod{PodSelector: kube.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}}},
			Protocols: []kube.ClusterPolicyProtocol{{DestinationNamedPort: "http"}},
		}},
		Egress: []kube.ClusterEgressRule{
			{Action: "Deny", To: []kube.ClusterEgressPeer{{Networks: []string{"10.0.0.11/32"}}, {Nodes: all}}, Protocols: []kube.ClusterPolicyProtocol{
				{TCP: &kube.ClusterPolicyTransport{DestinationPort: &kube.ClusterPolicyPort{Number: 2379}}},
				{TCP: &kube.ClusterPolicyTransport{DestinationPort: &kube.ClusterPolicyPort{Range: &kube.PortRange{Start: 2380, End: 2381}}}},
				{UDP: &kube.ClusterPolicyTransport{DestinationPort: &kube.ClusterPolicyPort{Number: 53}}},
			}},
			{Action: "Pass", To: []kube.ClusterEgressPeer{{DomainNames: []string{"a.b"}}}},
		},
	}
	if diff := cmp.Diff(want, got.ClusterNetworkPolicies[0].Spec); diff != "" {
		t.Error(diff)
	}
	if second := got.ClusterNetworkPolicies[1]; second.Spec.Tier != "Baseline" || second.Kind != "BaselineAdminNetworkPolicy" {
		t.Errorf("%+v", second)
	}
}

// Calico's objects are there under two API versions.
func TestDecodeCalico(t *testing.T) {
	t.Parallel()
	got := decode(t, `apiVersion: crd.projectcalico.org/v1
kind: HostEndpoint
metadata: {name: h, annotations: {projectcalico.org/metadata: '{"labels":{"etcd":"yes"},"uid":"x"}'}}
spec: {node: cp-0, interfaceName: "*", expectedIPs: [10.0.0.11]}
---
apiVersion: projectcalico.org/v3
kind: FelixConfiguration
metadata: {name: default}
spec: {bpfEnabled: false, logSeverityScreen: Info, failsafeInboundHostPorts: [{protocol: tcp, port: 22}, {protocol: tcp, port: 2379, net: 10.0.0.11/32}]}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: g}
spec: {order: 10, selector: all(), ingress: [{action: Deny, protocol: TCP, destination: {ports: [2379, "2380:2381"]}}]}
`)
	if len(got.Skipped) > 0 || len(got.HostEndpoints) != 1 || len(got.FelixConfigurations) != 1 || len(got.CalicoPolicies) != 1 {
		t.Fatalf("%+v", got)
	}
	if labels := got.HostEndpoints[0].Metadata.Labels; labels["etcd"] != "yes" {
		t.Errorf("labels %v", labels)
	}
	if ports := *got.FelixConfigurations[0].Spec.FailsafeInboundHostPorts; len(ports) != 2 || ports[1].Net != "10.0.0.11/32" {
		t.Errorf("ports %v", ports)
	}
	if ports := got.CalicoPolicies[0].Spec.Ingress[0].Destination.Ports; len(ports) != 2 || ports[0].Int != 2379 || ports[1].String != "2380:2381" {
		t.Errorf("ports %v", ports)
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x, x, x, x, x, x, x, x, x]\n"
	for _, next := range []string{"ba", "cb", "dc", "ed", "fe", "gf", "hg", "ih"} {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", next[0], next[0], strings.TrimSuffix(strings.Repeat("*"+next[1:]+", ", 9), ", "))
	}
	long := "a: &a " + strings.Repeat("x", 1<<20) + "\nb: [" + strings.TrimSuffix(strings.Repeat("*a, ", 5000), ", ") + "]\n"
	for name, c := range map[string]struct{ text, want string }{
		"only comments":        {"# comment\n---\n", "no objects at all"},
		"no kind":              {"a: b\n", "an object without a kind"},
		"an empty object":      {"{}", "an object without a kind"},
		"a failed request":     {`{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods is forbidden","code":403}`, `Status: "pods is forbidden"`},
		"one in a List":        {"apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Status, message: gone}\n", `Status: "gone"`},
		"a part of a list":     {`{"kind":"PodList","apiVersion":"v1","metadata":{"continue":"abc"},"items":[{"metadata":{"name":"a"}}]}`, "continues in another answer"},
		"not YAML":             {"a: [", "decoding f.yaml: document 1: not YAML: line 1"},
		"broken at the second": {networkPolicy + "---\na: ]\n", "document 2: not YAML"},
		"an alias bomb":        {bomb, "aliases make it far longer"},
		"a long value, often":  {long, "aliases make it far longer"},
		"an alias of itself":   {"a: &a [*a]\n", "aliases make it far longer"},
		"a number that is none": {"apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{ports: [{containerPort: .nan}]}]}\n",
			"not YAML"},
		"a list":             {"- a\n- b\n", "not JSON"},
		"a scalar":           {"hello\n", "not JSON"},
		"broken JSON":        {`{"apiVersion":"v1","kind":"Pod"`, "not YAML"},
		"lists of lists":     {strings.Repeat(`{"apiVersion":"v1","kind":"List","items":[`, 6) + strings.Repeat("]}", 6), "lists of lists"},
		"too many documents": {strings.Repeat("---\na\n", 1_000_001), "more than 1000000 objects"},
		"too many items":     {`{"kind":"List","items":[` + strings.Repeat("0,", 1_000_001) + "0]}", "more than 1000000 objects"},
		"one large document": {"a:\n" + strings.Repeat("- b\n", 2<<20), "larger than 4 MiB; give it as JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := kube.Decode("f.yaml", []byte(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	// An alias that is none of these is taken, as kubectl takes it.
	got := decode(t, "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: &n x\n  labels: {name: *n}\n")
	if len(got.Namespaces) != 1 || got.Namespaces[0].Metadata.Labels["name"] != "x" {
		t.Errorf("%+v", got)
	}
}

// Of a dump, in both forms, only what concerns packets is kept.
func TestDecodeDump(t *testing.T) {
	t.Parallel()
	const n = 50
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("pod-%d 10.244.0.%d", i, i))
	}
	for name, text := range map[string][]byte{"JSON": dumpJSON(n), "YAML": dumpYAML(t, n)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := decode(t, string(text))
			var pods []string
			for _, p := range got.Pods {
				pods = append(pods, p.Metadata.Name+" "+p.Status.PodIPs[0].IP)
				if p.Spec.NodeName != "node-1" || p.Spec.Containers[0].Ports[0].Name != "http" || p.Metadata.Labels["app"] != "x" {
					t.Fatalf("%+v", p)
				}
			}
			if diff := cmp.Diff(want, pods); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func decode(t *testing.T, text string) kube.Objects {
	t.Helper()
	got, err := kube.Decode("f.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func indent(s string) string { return strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") + "\n" }

func asJSON(t *testing.T, text string) string {
	t.Helper()
	data, err := yamlToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// FuzzDecode wants no panic, and that what was read reads the same once more.
func FuzzDecode(f *testing.F) {
	seeds, err := filepath.Glob("testdata/seeds/*")
	if err != nil || len(seeds) < 5 {
		f.Fatalf("%d seeds: %v", len(seeds), err)
	}
	for _, path := range seeds {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(networkPolicy))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := kube.Decode("f", data)
		if err != nil {
			return
		}
		for _, p := range got.NetworkPolicies {
			again(t, p, func(o kube.Objects) []kube.NetworkPolicy { return o.NetworkPolicies })
		}
		for _, p := range got.CalicoPolicies {
			again(t, p, func(o kube.Objects) []kube.CalicoPolicy { return o.CalicoPolicies })
		}
		for _, p := range got.CiliumPolicies {
			again(t, p, func(o kube.Objects) []kube.CiliumPolicy { return o.CiliumPolicies })
		}
	})
}

func again[T any](t *testing.T, object T, of func(kube.Objects) []T) {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	got, err := kube.Decode("again", text)
	if err != nil || len(of(got)) != 1 {
		t.Fatalf("%s is read as %+v, %v", text, got, err)
	}
	text2, err := json.Marshal(of(got)[0])
	if err != nil || !bytes.Equal(text, text2) {
		t.Fatalf("%s became %s", text, text2)
	}
}
