package reach

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// conformance is what network-policy-api publishes about one edition of its API: policies, and which
// TCP connections they let pass. The files in testdata/conformance name their source and licence.
type conformance struct {
	Source       string              `json:"source"`
	Policies     [][]json.RawMessage `json:"policies"`
	Expectations []struct {
		Test     string `json:"test"`
		Step     string `json:"step"`
		Policies int    `json:"policies"` // index
		From     string `json:"from"`     // name of a Pod
		To       string `json:"to"`
		Port     uint16 `json:"port"`
		Connects bool   `json:"connects"`
	} `json:"expectations"`
}

// houses returns the Pods and namespaces of conformance/base/manifests.yaml, with the addresses that the
// policies in testdata give them.
func houses() (Topology, map[string]*Pod) {
	var top Topology
	pods := map[string]*Pod{}
	node := func(n int) *Node {
		return &Node{
			Name: fmt.Sprint("node-", n), Kubernetes: true, Labels: map[string]string{"kubernetes.io/os": "linux"},
			Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, 0, byte(7 + n)})},
		}
	}
	top.Nodes = []*Node{node(0), node(1)}
	for h, name := range []string{"harry-potter gryffindor", "draco-malfoy slytherin", "cedric-diggory hufflepuff", "luna-lovegood ravenclaw", "centaur forbidden-forrest"} {
		base, house, _ := strings.Cut(name, " ")
		namespace := "network-policy-conformance-" + house
		top.Namespaces = append(top.Namespaces, Namespace{namespace, map[string]string{"conformance-house": house}})
		for n, on := range top.Nodes {
			p := &Pod{
				Namespace: namespace, Name: fmt.Sprint(base, "-", n), Labels: map[string]string{"conformance-house": house}, Node: on,
				Addrs: []netip.Addr{netip.AddrFrom4([4]byte{10, 244, byte(1 + h), byte(10 + n)})}, Ports: []NamedPort{{"web", 80}},
			}
			if base == "centaur" {
				p.HostNetwork, p.Addrs, p.Ports = true, on.Addrs, nil
			}
			top.Pods = append(top.Pods, p)
			pods[p.Name] = p
		}
	}
	return top, pods
}

// The policies of each edition do what its publishers expect of every implementation.
func TestConformanceOfNetworkPolicyAPI(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/conformance/*.json")
	if err != nil || len(files) != 2 {
		t.Fatalf("%q: %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var c conformance
		if err := json.Unmarshal(data, &c); err != nil {
			t.Fatal(err)
		}
		if len(c.Expectations) < 108 || !strings.Contains(c.Source, "Apache-2.0") {
			t.Errorf("%s: %d expectations of %q", file, len(c.Expectations), c.Source)
		}
		evaluators := make([]*evaluator, len(c.Policies))
		top, pods := houses()
		for n, list := range c.Policies {
			text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": list})
			if err != nil {
				t.Fatal(err)
			}
			o, err := kube.Decode(file, text)
			if err != nil || len(o.Skipped) > 0 {
				t.Fatalf("%s: policies %d: %v %v", file, n, err, o.Skipped)
			}
			if evaluators[n], err = newEvaluator(&policies.Intent{}, top, policies.Filters{Objects: o}); err != nil {
				t.Fatalf("%s: policies %d: %v", file, n, err)
			}
		}
		for _, x := range c.Expectations {
			e, from, to := evaluators[x.Policies], pods[x.From], pods[x.To]
			flow := conn{src: end{from.Node, from, from.Addrs[0]}, dst: end{to.Node, to, to.Addrs[0]}, port: x.Port}
			if to.HostNetwork {
				flow.dst.pod = nil
			}
			verdicts := []verdict{e.podVerdict(from, flow, true)}
			if !to.HostNetwork {
				verdicts = append(verdicts, e.podVerdict(to, flow, false))
			}
			if v := combine(verdicts); v.unknown != "" || v.allowed != x.Connects {
				t.Errorf("%s: %s, %s: %s to port %d of %s connects %t, want %t; %s", file, x.Test, x.Step, x.From, x.Port, x.To, v.allowed, x.Connects, v.unknown)
			}
		}
	}
}
