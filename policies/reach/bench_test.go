package reach

import (
	"bytes"
	"encoding/json"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// bigIntent has seven members with an API server on each of their hosts.
func bigIntent(b *testing.B) *policies.Intent {
	b.Helper()
	var members, servers strings.Builder
	for n := range 7 {
		fmt.Fprintf(&members, "\n      - {name: etcd-%d, addresses: [10.0.0.%d]}", n, 11+n)
		fmt.Fprintf(&servers, "\n    - {name: node-%d, addresses: [10.0.0.%d]}", n, 11+n)
	}
	return intentOf(b, "static-pod", "\n    members:"+members.String()+"\n  apiServers:"+servers.String(),
		"podCIDRs: [10.128.0.0/9], nodeCIDRs: [10.0.0.0/20], scrapers: [10.0.8.40/32]")
}

// bigDump is what kubectl prints of nodes and Pods, with policies among them: each namespace
// has its own, and each Pod the labels and containers of a deployment.
func bigDump(b *testing.B, nodes, pods, networkPolicies int) []byte {
	b.Helper()
	const namespaces = 100
	var items []any
	for n := range nodes {
		items = append(items, map[string]any{
			"apiVersion": "v1", "kind": "Node",
			"metadata": map[string]any{"name": fmt.Sprint("node-", n), "labels": map[string]string{"kubernetes.io/hostname": fmt.Sprint("node-", n), "zone": fmt.Sprint(n % 3)}},
			"status":   map[string]any{"addresses": []any{map[string]string{"type": "InternalIP", "address": fmt.Sprintf("10.0.%d.%d", n/240, 11+n%240)}}},
		})
	}
	for n := range namespaces {
		items = append(items, map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": fmt.Sprint("ns-", n), "labels": map[string]string{"team": fmt.Sprint(n % 10)}}})
	}
	for n := range pods {
		items = append(items, map[string]any{
			"apiVersion": "v1", "kind": "Pod",
			"metadata": map[string]any{
				"name": fmt.Sprint("pod-", n), "namespace": fmt.Sprint("ns-", n%namespaces), "uid": fmt.Sprintf("%032d", n),
				"labels": map[string]string{"app": fmt.Sprint("app-", n%500), "pod-template-hash": fmt.Sprintf("%x", n*7919), "tier": fmt.Sprint(n % 4)},
			},
			"spec": map[string]any{"nodeName": fmt.Sprint("node-", n%nodes), "containers": []any{map[string]any{
				"name": "main", "image": "registry.example.com/team/app:1.2.3", "ports": []any{map[string]any{"name": "http", "containerPort": 8080}},
				"env": []any{map[string]string{"name": "A", "value": strings.Repeat("x", 100)}, map[string]string{"name": "B", "value": strings.Repeat("y", 100)}},
			}}},
			"status": map[string]any{"phase": "Running", "podIP": fmt.Sprintf("10.%d.%d.%d", 128+n/65536, n/256%256, n%256)},
		})
	}
	for n := range networkPolicies {
		items = append(items, bigPolicy(n, namespaces))
	}
	data, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": items})
	if err != nil {
		b.Fatal(err)
	}
	return data
}

func bigPolicy(n, namespaces int) map[string]any {
	app := map[string]any{"matchLabels": map[string]string{"app": fmt.Sprint("app-", n%500)}}
	return map[string]any{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
		"metadata": map[string]any{"name": fmt.Sprint("p-", n), "namespace": fmt.Sprint("ns-", n%namespaces)},
		"spec": map[string]any{
			"podSelector": app, "policyTypes": []string{"Ingress", "Egress"},
			"ingress": []any{map[string]any{"from": []any{map[string]any{"podSelector": app}}}},
			"egress": []any{
				map[string]any{"to": []any{map[string]any{"namespaceSelector": map[string]any{"matchLabels": map[string]string{"team": fmt.Sprint(n % 10)}}}}},
				map[string]any{"to": []any{map[string]any{"ipBlock": map[string]any{"cidr": fmt.Sprintf("10.%d.0.0/16", n%200), "except": []string{fmt.Sprintf("10.%d.3.0/24", n%200)}}}}},
			},
		},
	}
}

// BenchmarkProve is a whole proof of a large cluster, with the decoding of its dump. It is to
// take at most a second and 256 MiB.
func BenchmarkProve(b *testing.B) {
	i := bigIntent(b)
	rendered, err := policies.Render(i, "nftables", policies.RenderOptions{})
	if err != nil {
		b.Fatal(err)
	}
	data := bigDump(b, 500, 10_000, 500)
	b.ReportMetric(float64(len(data))/1e6, "MB-of-dump")
	var most uint64
	flows := 0
	for b.Loop() {
		o, err := kube.Decode("dump.json", data)
		if err != nil {
			b.Fatal(err)
		}
		p := Prove(i, NewTopology(i, o), policies.Filters{Objects: o, Rules: rendered.Rules}, audit.Place{})
		if len(p.Violations)+len(p.Unknown) > 0 {
			b.Fatalf("%+v %q", p.Violations, p.Unknown)
		}
		flows = len(p.Flows)
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		most = max(most, m.HeapAlloc)
	}
	b.ReportMetric(float64(flows), "flows")
	b.ReportMetric(float64(most)/(1<<20), "MiB-heap")
}

// BenchmarkFlow is what one flow costs as the policies grow, of which one in a hundred is in
// the Pod's namespace.
func BenchmarkFlow(b *testing.B) {
	for _, n := range []int{1, 10, 100, 500, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			i := bigIntent(b)
			o, err := kube.Decode("dump.json", bigDump(b, 20, 200, n))
			if err != nil {
				b.Fatal(err)
			}
			e, err := newEvaluator(i, NewTopology(i, o), policies.Filters{Objects: o})
			if err != nil {
				b.Fatal(err)
			}
			e.makeTargets()
			var sources []*source
			for _, p := range e.topology.Pods {
				sources = append(sources, &source{class: ClassPod, name: p.String(), node: p.Node, pod: p, addrs: p.Addrs})
			}
			flows := 0
			for b.Loop() {
				clear(e.pods) // to select the policies is part of it
				flows = 0
				for _, s := range sources {
					flows += len(e.flowsFrom(s))
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(flows), "ns/flow")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// The proof of a large cluster says no more than that of a small one: its Pods are few kinds.
func TestManyPodsAreFewSources(t *testing.T) {
	t.Parallel()
	var b testing.B
	i := intent(t, "static-pod", masquerade)
	text := bigDump(&b, 20, 2000, 0)
	o := objects(t, string(bytes.TrimSpace(text)))
	p := Prove(i, NewTopology(i, o), policies.Filters{Objects: o}, audit.Place{})
	counts := map[Class]int{}
	for _, f := range p.Flows {
		if f.To == "etcd-1" && f.Port == 2379 && f.FromCount > 1 {
			counts[f.FromClass] = f.FromCount
		}
	}
	// Three of the nodes are members' and API servers'; the Pods of each see themselves in
	// another way.
	if counts[ClassNode] < 15 || counts[ClassPod] < 1500 {
		t.Errorf("%v", counts)
		dump(t, p)
	}
}
