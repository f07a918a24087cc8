package reach

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// moreKinds are policies of Calico and Cilium that tell Pods, namespaces, nodes and addresses apart.
func moreKinds(t *testing.T, r *rand.Rand) kube.Objects {
	t.Helper()
	pod := pick(r, `x == "a"`, `y in {"a", "b"} && has(x)`, `x starts with "b"`, `projectcalico.org/namespace == "two"`)
	namespace := pick(r, `n == "a"`, `projectcalico.org/name == "one"`, `has(m)`)
	net := pick(r, "10.244.1.0/25", "10.244.2.64/26", "10.0.0.0/28")
	all := []string{
		fmt.Sprintf(`
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: some-pods}
spec:
  order: %d
  selector: '%s'
  types: [Egress]
  egress: [{action: %s, destination: {nets: [10.0.0.11/32, 10.244.0.0/16]}}, {action: Pass}]
`, pick(r, 10, 2000), pod, pick(r, "Deny", "Allow")),
		fmt.Sprintf(`
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: by-source}
spec:
  selector: all()
  types: [Ingress]
  ingress:
  - {action: Deny, source: {namespaceSelector: '%s'}}
  - {action: Deny, source: {nets: [%s]}}
  - {action: Allow}
`, namespace, net),
		fmt.Sprintf(`
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: egress}
spec:
  endpointSelector: {matchLabels: {"k8s:io.kubernetes.pod.namespace": %s, x: %s}}
  enableDefaultDeny: {egress: false}
  egressDeny: [{toEntities: [remote-node, host], toPorts: [{ports: [{port: "2379"}]}]}]
`, pick(r, "one", "two"), pick(r, "a", "b")),
		fmt.Sprintf(`
apiVersion: cilium.io/v2
kind: CiliumClusterwideNetworkPolicy
metadata: {name: hosts}
spec:
  nodeSelector: {}
  ingress: [{fromNodes: [{matchLabels: {zone: %s}}]}, {fromEndpoints: [{matchLabels: {io.cilium.k8s.namespace.labels.m: %s}}]}]
`, pick(r, "a", "b"), pick(r, "a", "c")),
	}
	var some []string
	for _, text := range all {
		if chance(r, 40) {
			some = append(some, text)
		}
	}
	return objects(t, some...)
}

// All senders that are taken for one have the same outcome to every port of every member: a
// difference that a signature does not see would be a proof about others.
func TestSignaturesMissNothing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 4))
	groups, joined := 0, 0
	for n := range 1500 {
		_, o, top := randomCase(t, r)
		o.Add(moreKinds(t, r))
		// Several nodes, more Pods, and others that differ in what nothing asks for.
		for k := range 3 {
			node := &Node{Name: fmt.Sprint("node-", k), Kubernetes: true, Addrs: []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", 11+k*20))}, Labels: map[string]string{"zone": pick(r, "a", "b", "c"), "own": fmt.Sprint(k)}}
			top.Nodes = append(top.Nodes, node)
			for p := range 8 {
				pod := *top.Pods[p%len(top.Pods)]
				pod.Name, pod.Node, pod.HostNetwork = fmt.Sprint("more-", k, p), node, false
				pod.Labels = map[string]string{"x": pick(r, "a", "b", "zz"), "hash": fmt.Sprint(p)}
				pod.Addrs = []netip.Addr{netip.MustParseAddr(fmt.Sprintf("10.244.%d.%d", 1+r.IntN(2), 1+r.IntN(250)))}
				top.Pods = append(top.Pods, &pod)
			}
		}
		runtime, isolation := "static-pod", "podCIDRs: [10.244.0.0/16], podAddresses: "+pick(r, "masqueraded", "routed")
		if n%2 == 0 {
			runtime, isolation = "hosted", "podCIDRs: [10.244.0.0/16], pods: {etcd: {namespace: one, labels: [x=a]}, scraper: {namespace: two, labels: [y=b]}}"
		}
		e, err := newEvaluator(intentOf(t, runtime, "\n    members:\n      - {name: node-0, addresses: [10.0.0.11]}", isolation), top, policies.Filters{Objects: o})
		if err != nil {
			t.Fatal(err)
		}
		e.makeTargets()
		s := newSignatures(e)
		seen := map[string]string{}
		for _, p := range top.Pods {
			if p.HostNetwork || e.isTarget(p) {
				continue
			}
			own := &source{class: e.podClass(p), name: p.String(), roles: e.podRoles(p), node: p.Node, pod: p, addrs: p.Addrs}
			key, got := s.pod(p, s.node(p.Node)), e.outcomeKey(own, e.flowsFrom(own))
			want, there := seen[key]
			if !there {
				seen[key] = got
				groups++
				continue
			}
			joined++
			if got != want {
				t.Fatalf("case %d: %q joins %s on %s: %q, and not %q", n, key, p, p.Node.Name, got, want)
			}
		}
	}
	t.Logf("%d groups, %d joined to one", groups, joined)
	if joined < 1000 || groups < 1000 {
		t.Errorf("%d groups, %d joined to one: this shows little", groups, joined)
	}
}
