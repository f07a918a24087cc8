package reach

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// intent is that of a spec with three members; runtime and isolation are given.
func intent(t testing.TB, runtime, isolation string) *policies.Intent {
	t.Helper()
	return intentOf(t, runtime, `
    members:
      - {name: etcd-0, addresses: [10.0.0.11]}
      - {name: etcd-1, addresses: [10.0.0.12]}
      - {name: etcd-2, addresses: [10.0.0.13]}
  apiServers:
    - {name: cp-0, addresses: [10.0.0.11]}
    - {name: cp-1, addresses: [10.0.0.12]}
    - {name: cp-2, addresses: [10.0.0.13]}`, isolation)
}

func intentOf(t testing.TB, runtime, hosts, isolation string) *policies.Intent {
	t.Helper()
	spec := `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: test}
spec:
  etcd:
    version: "3.6.16"
    runtime: ` + runtime + hosts + `
  isolation: {` + isolation + `}
`
	c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
	if err != nil {
		t.Fatal(err)
	}
	i, err := policies.NewIntent(c)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func objects(t testing.TB, texts ...string) kube.Objects {
	t.Helper()
	var all kube.Objects
	for n, text := range texts {
		if text == "" {
			continue // no file
		}
		o, err := kube.Decode(fmt.Sprintf("%d.yaml", n), []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		all.Add(o)
	}
	return all
}

func prove(t testing.TB, i *policies.Intent, o kube.Objects) Proof {
	t.Helper()
	return Prove(i, NewTopology(i, o), policies.Filters{Objects: o}, audit.Place{})
}

// outcomes are the flows of one sender to one member, by port: "+" allowed, "-" denied, "?"
// not known.
func outcomes(p Proof, from, to string) string {
	var b strings.Builder
	for _, f := range p.Flows {
		if f.From != from || f.To != to {
			continue
		}
		switch {
		case f.Unknown != "":
			b.WriteByte('?')
		case f.Allowed:
			b.WriteByte('+')
		default:
			b.WriteByte('-')
		}
	}
	return b.String()
}

func violated(p Proof) []string {
	var list []string
	for _, v := range p.Violations {
		if !slices.Contains(list, v.Invariant) {
			list = append(list, v.Invariant)
		}
	}
	slices.Sort(list)
	return list
}

func dump(t testing.TB, p Proof) {
	t.Helper()
	for _, f := range p.Flows {
		t.Logf("%-12s %-40s %-16s -> %-8s %d allowed=%t wanted=%t %s %s", f.FromClass, f.From, f.SeenAs, f.To, f.Port, f.Allowed, f.Wanted, f.DecidedBy, f.Unknown)
	}
	for _, v := range p.Violations {
		t.Logf("%s: %s: %s\n  by %q\n  fix %s", v.Severity, v.Invariant, v.Text, v.DecidedBy, v.FixText)
	}
	t.Logf("unknown %q assumed %q", p.Unknown, p.Assumed)
}

// seed is the policy that everybody writes first.
const seed = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: etcd, namespace: kube-system}
spec:
  podSelector: {matchLabels: {component: etcd}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {component: kube-apiserver}}}]
    ports: [{protocol: TCP, port: 2379}]
`

const hostedPods = `podCIDRs: [10.244.0.0/16], pods: {
    apiServer: {namespace: kube-system, labels: [component=kube-apiserver]},
    scraper: {namespace: monitoring, labels: [app=prometheus]}}`

// The seed's policy in the scenarios in which the engine of kube-network-policies v1.1.1 was
// asked about it.
func TestObviousPolicy(t *testing.T) {
	t.Parallel()
	api := "the Pods kube-system/component=kube-apiserver"
	tests := []struct {
		name    string
		runtime string
		spec    string
		policy  string
		want    map[string]string // sender, and "+-" for each port of etcd-0
		broken  []string
	}{
		{
			name: "kubeadm, host network", runtime: "static-pod", policy: seed, spec: "podCIDRs: [10.244.0.0/16]",
			want:   map[string]string{"a Pod on another node": "+++", "another node": "+++", "etcd-1": "+++"},
			broken: []string{ClientIsolated, MetricsIsolated, PeerIsolated},
		},
		{
			name: "Pod network", runtime: "hosted", policy: seed, spec: hostedPods,
			want: map[string]string{
				api: "+--", "etcd-1": "---", "the Pods monitoring/app=prometheus": "---", "a Pod on another node": "---",
				"another Pod of kube-system": "---", "a Pod with the members' labels in another namespace": "---", "outside (IPv4)": "---",
			},
			broken: []string{MembersReachClient, PeersReachable, ScrapersReach},
		},
		{
			name: "Pod network, no namespace", runtime: "hosted", policy: strings.Replace(seed, ", namespace: kube-system", "", 1), spec: hostedPods,
			want:   map[string]string{api: "+++", "a Pod on another node": "+++", "outside (IPv4)": "+++"},
			broken: []string{ClientIsolated, MetricsIsolated, PeerIsolated},
		},
		{
			name: "Pod network, API servers on the host network", runtime: "hosted", policy: seed, spec: "podCIDRs: [10.244.0.0/16]",
			want:   map[string]string{"cp-0": "---", "etcd-1": "---"},
			broken: []string{APIServersReach, MembersReachClient, PeersReachable},
		},
		{
			name: "no policyTypes", runtime: "hosted", policy: strings.Replace(seed, "  policyTypes: [Ingress]\n", "", 1), spec: hostedPods,
			want:   map[string]string{api: "+--", "a Pod on another node": "---"},
			broken: []string{MembersReachClient, PeersReachable, ScrapersReach},
		},
		{
			name: "corrected", runtime: "hosted", spec: hostedPods,
			policy: seed + `
  - from: [{podSelector: {matchLabels: {component: etcd}}}]
    ports: [{protocol: TCP, port: 2380}, {protocol: TCP, port: 2379}]
  - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}, podSelector: {matchLabels: {app: prometheus}}}]
    ports: [{protocol: TCP, port: 2381}]
`,
			want: map[string]string{
				api: "+--", "etcd-1": "++-", "the Pods monitoring/app=prometheus": "--+", "a Pod on another node": "---",
			},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := prove(t, intent(t, test.runtime, test.spec), objects(t, test.policy))
			for from, want := range test.want {
				if got := outcomes(p, from, "etcd-0"); got != want {
					t.Errorf("%s: %s, want %s", from, got, want)
				}
			}
			if got := violated(p); !slices.Equal(got, test.broken) {
				t.Errorf("violated %q, want %q", got, test.broken)
			}
			if p.Holds != (len(test.broken) == 0) {
				t.Errorf("holds %t", p.Holds)
			}
			if t.Failed() {
				dump(t, p)
			}
		})
	}
}
