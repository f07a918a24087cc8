package reach

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"testing"

	"github.com/etcdsec/etcdsec/internal/oracle"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// enginePod, engineFlow, engineQuestion and engineAnswer are the protocol of test/kube-network-policies.
type enginePod struct {
	Namespace   string            `json:"namespace"`
	Name        string            `json:"name"`
	Labels      map[string]string `json:"labels"`
	IP          string            `json:"ip"`
	HostNetwork bool              `json:"host_network"`
	Ports       map[string]uint16 `json:"ports"`
}

type engineFlow struct {
	From   int        `json:"from"`
	FromIP netip.Addr `json:"from_ip"`
	To     int        `json:"to"`
	ToIP   netip.Addr `json:"to_ip"`
	Port   uint16     `json:"port"`
}

type engineQuestion struct {
	Policies   []json.RawMessage            `json:"policies"`
	Cluster    []kube.ClusterNetworkPolicy  `json:"cluster"`
	Nodes      []kube.Node                  `json:"nodes"`
	Namespaces map[string]map[string]string `json:"namespaces"`
	Pods       []enginePod                  `json:"pods"`
	Flows      []engineFlow                 `json:"flows"`
}

type engineAnswer struct {
	Egress   []bool      `json:"egress"`
	Ingress  []bool      `json:"ingress"`
	Admin    [][2]string `json:"admin"` // by egress and ingress
	Baseline [][2]string `json:"baseline"`
}

func askEngine(t *testing.T, questions []engineQuestion) []engineAnswer {
	t.Helper()
	binary, err := oracle.Binary(t.Context(), "kube-network-policies", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	var in bytes.Buffer
	encoder := json.NewEncoder(&in)
	for _, q := range questions {
		if err := encoder.Encode(q); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), binary)
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	answers := make([]engineAnswer, len(questions))
	decoder := json.NewDecoder(bytes.NewReader(out))
	for n := range answers {
		if err := decoder.Decode(&answers[n]); err != nil {
			t.Fatal(err)
		}
	}
	return answers
}

// Thousands of random policies are read as sigs.k8s.io/kube-network-policies reads them: what
// NetworkPolicies say together, and each tier of ClusterNetworkPolicies.
func TestEngineOfKubernetes(t *testing.T) {
	t.Parallel()
	const cases = 3000
	r := rand.New(rand.NewPCG(1, 2))
	var questions []engineQuestion
	var ours []engineAnswer
	policyCount := 0
	verdicts := map[string]int{}
	for range cases {
		q, o, top := randomCase(t, r)
		a := ourAnswer(t, q, o, top)
		for n := range q.Flows {
			verdicts[fmt.Sprint("egress ", a.Egress[n])]++
			verdicts[fmt.Sprint("ingress ", a.Ingress[n])]++
			verdicts["admin egress "+a.Admin[n][0]]++
			verdicts["admin ingress "+a.Admin[n][1]]++
			verdicts["baseline egress "+a.Baseline[n][0]]++
			verdicts["baseline ingress "+a.Baseline[n][1]]++
		}
		policyCount += len(o.NetworkPolicies) + len(o.ClusterNetworkPolicies)
		questions, ours = append(questions, q), append(ours, a)
	}
	for n, theirs := range askEngine(t, questions) {
		for k, f := range questions[n].Flows {
			if theirs.Egress[k] != ours[n].Egress[k] || theirs.Ingress[k] != ours[n].Ingress[k] ||
				theirs.Admin[k] != ours[n].Admin[k] || theirs.Baseline[k] != ours[n].Baseline[k] {
				text, _ := json.MarshalIndent(questions[n], "", " ") // encoded a moment ago
				t.Fatalf("case %d, %+v: engine egress %t ingress %t admin %v baseline %v, ours %t %t %v %v\n%s", n, f,
					theirs.Egress[k], theirs.Ingress[k], theirs.Admin[k], theirs.Baseline[k],
					ours[n].Egress[k], ours[n].Ingress[k], ours[n].Admin[k], ours[n].Baseline[k], text)
			}
		}
	}
	t.Logf("%d policies, %v", policyCount, verdicts)
	if policyCount < cases || len(verdicts) != 2*2+4*3 {
		t.Errorf("%d policies, %v: this shows little", policyCount, verdicts)
	}
	for name, n := range verdicts {
		if n < cases/6 {
			t.Errorf("%s only %d times", name, n)
		}
	}
}

// ourAnswer is what the evaluator makes of a case.
func ourAnswer(t *testing.T, q engineQuestion, o kube.Objects, top Topology) engineAnswer {
	t.Helper()
	e, err := newEvaluator(&policies.Intent{}, top, policies.Filters{Objects: o})
	if err != nil {
		t.Fatal(err)
	}
	var a engineAnswer
	for _, f := range q.Flows {
		c := conn{src: end{addr: f.FromIP}, dst: end{addr: f.ToIP}, port: f.Port}
		if f.From >= 0 {
			c.src.pod, c.src.node = top.Pods[f.From], top.Pods[f.From].Node
		}
		if f.To >= 0 {
			c.dst.pod, c.dst.node = top.Pods[f.To], top.Pods[f.To].Node
		}
		if c.dst.pod != nil && c.dst.pod.HostNetwork {
			c.dst.pod = nil // as follow does it
		}
		network := [2]bool{true, true}
		tiers := [2][2]string{{"Pass", "Pass"}, {"Pass", "Pass"}}
		for n, subject := range []*Pod{c.src.pod, c.dst.pod} {
			if subject == nil {
				continue
			}
			egress := n == 0
			d := &e.policiesFor(subject).directions[1-n]
			if len(d.network) > 0 {
				v := e.networkPolicies(d.network, c, egress)
				if v.unknown != "" {
					t.Fatal(v.unknown)
				}
				network[n] = v.allowed
			}
			for k, selected := range [][]*clusterPolicy{d.admin, d.baseline} {
				v, decided := e.clusterPolicies(selected, c, egress)
				switch {
				case v.unknown != "":
					t.Fatal(v.unknown)
				case decided && v.allowed:
					tiers[k][n] = "Accept"
				case decided:
					tiers[k][n] = "Deny"
				}
			}
		}
		a.Egress, a.Ingress = append(a.Egress, network[0]), append(a.Ingress, network[1])
		a.Admin, a.Baseline = append(a.Admin, tiers[0]), append(a.Baseline, tiers[1])
	}
	return a
}

// What keeps the engine from being asked about every policy as it is written: the day on
// which it answers these as the API says, stored may leave them alone.
func TestErrorsOfTheEngine(t *testing.T) {
	t.Parallel()
	nobody := func(spec string) engineQuestion {
		return engineQuestion{
			Policies:   []json.RawMessage{json.RawMessage(`{"metadata": {"name": "p", "namespace": "one"}, "spec": ` + spec + `}`)},
			Namespaces: map[string]map[string]string{"one": {}},
			Pods:       []enginePod{{Namespace: "one", Name: "etcd", IP: "10.244.1.1"}},
			Flows:      []engineFlow{{From: -1, FromIP: netip.MustParseAddr("203.0.113.9"), ToIP: netip.MustParseAddr("10.244.1.1"), Port: 2379}},
		}
	}
	answers := askEngine(t, []engineQuestion{
		nobody(`{"podSelector": {}, "policyTypes": ["Ingress"]}`),
		nobody(`{"podSelector": {}}`),
		nobody(`{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}`),
	})
	for n, allowed := range []bool{false, true, true} { // the API says false of all three
		if answers[n].Ingress[0] != allowed {
			t.Errorf("case %d: engine allows %t, and used to say %t", n, answers[n].Ingress[0], allowed)
		}
	}
}
