package reach

import (
	"slices"
	"testing"

	"github.com/etcdsec/etcdsec/cluster"
)

// Two Pods that are stopped by policies with the Pods' own names are stopped by two policies.
func TestDecisionsOfPoliciesNamedAfterPods(t *testing.T) {
	t.Parallel()
	const text = `
apiVersion: v1
kind: Node
metadata: {name: worker}
status: {addresses: [{type: InternalIP, address: 10.0.0.77}]}
---
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: default, labels: {app: a}}
spec: {nodeName: worker}
status: {podIP: 10.244.1.1}
---
apiVersion: v1
kind: Pod
metadata: {name: b, namespace: default, labels: {app: b}}
spec: {nodeName: worker}
status: {podIP: 10.244.1.2}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: a, namespace: default}
spec: {podSelector: {matchLabels: {app: a}}, policyTypes: [Egress]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: b, namespace: default}
spec: {podSelector: {matchLabels: {app: b}}, policyTypes: [Egress]}
`
	p := prove(t, intent(t, "static-pod", masquerade), objects(t, text))
	for _, name := range []string{"default/a", "default/b"} {
		at := slices.IndexFunc(p.Flows, func(f Flow) bool { return f.From == name })
		if at < 0 {
			t.Fatalf("%s is not among the senders", name)
		}
		want := Decision{Kind: ByDefaultDeny, Engine: cluster.BackendNetworkPolicy, Policy: "NetworkPolicy " + name, Egress: true}
		if got := *p.Flows[at].Decision; got != want {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
}
