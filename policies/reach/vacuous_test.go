package reach

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// hostsOf is a spec with one member for each address, and one API server.
func hostsOf(apiServer string, members ...string) string {
	var b strings.Builder
	b.WriteString("\n    members:")
	for n, a := range members {
		b.WriteString("\n      - {name: etcd-" + string(rune('0'+n)) + ", addresses: [" + a + "]}")
	}
	b.WriteString("\n  apiServers:\n    - {name: api, addresses: [" + apiServer + "]}")
	return b.String()
}

// A sender and a member without an address of one family do not vanish from the proof: what the spec
// wants between them is cut.
func TestNoSharedFamily(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, hosts, isolation string
		from                   string
		want                   string // outcomes from the sender to etcd-0
		broken                 []string
	}{
		{"API server by IPv6", hostsOf(`"fd00::99"`, "10.0.0.11", "10.0.0.12"), "", "api", "---", []string{APIServersReach}},
		{"members of two families", hostsOf("10.0.0.99", "10.0.0.11", `"fd00::12"`), "", "etcd-1", "---", []string{APIServersReach, MembersReachClient, PeersReachable}},
		{"one of them dual-stack", hostsOf("10.0.0.99", `10.0.0.11, "fd00::11"`, "10.0.0.12"), "", "etcd-1", "+++", nil},
		{"a scraper by IPv6", hostsOf("10.0.0.99", "10.0.0.11"), `scrapers: ["fd00::40/128"]`, "fd00::40", "---", []string{ScrapersReach}},
		{"a scraper by both", hostsOf("10.0.0.99", "10.0.0.11"), `scrapers: ["fd00::40/128", 10.0.0.40/32]`, "fd00::40", "---", nil},
		{"a backup by IPv4", hostsOf(`"fd00::99"`, `"fd00::11"`), `backups: [10.0.0.40/32]`, "10.0.0.40", "---", []string{BackupsReach}},
	}
	isolated := []string{ClientIsolated, MetricsIsolated, PeerIsolated} // there are no policies
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := prove(t, intentOf(t, "systemd", test.hosts, test.isolation), objects(t))
			if got := outcomes(p, test.from, "etcd-0"); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			broken := slices.DeleteFunc(violated(p), func(s string) bool { return slices.Contains(isolated, s) })
			if !slices.Equal(broken, test.broken) || len(p.Unknown) > 0 {
				t.Errorf("violated %q, unknown %q, want %q", broken, p.Unknown, test.broken)
			}
			for _, v := range p.Violations {
				if slices.Contains(test.broken, v.Invariant) && (!strings.Contains(v.FixText, "an address of one family") || !strings.Contains(v.DecidedBy[0], "no address of one family")) {
					t.Errorf("%s: by %q, fix %q", v.Invariant, v.DecidedBy, v.FixText)
				}
			}
			dumpOnFailure(t, p)
		})
	}
}

// Pods whose node has no known address may be seen as anybody, and so may a node without one.
func TestUnknownAddressOfANode(t *testing.T) {
	t.Parallel()
	const pod = `
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec: {nodeName: worker-1}
status: {podIP: 10.244.1.5}
`
	for name, test := range map[string]struct{ spec, dump, from, want string }{
		"a dump without nodes":   {masquerade, pod, "shop/web", "???"},
		"Pods that are routed":   {masquerade + ", podAddresses: routed", pod, "shop/web", "+++"},
		"a node without address": {masquerade, "apiVersion: v1\nkind: Node\nmetadata: {name: worker-1}\n", "worker-1", "???"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := prove(t, intent(t, "static-pod", test.spec), objects(t, test.dump))
			if got := outcomes(p, test.from, "etcd-0"); got != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
			dumpOnFailure(t, p)
		})
	}
}

// A dump in which the spec's Pods are not there proves nothing about them.
func TestMembersMissingFromADump(t *testing.T) {
	t.Parallel()
	i := intent(t, "hosted", hostedPods)
	pod := func(name, component string) string {
		return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", namespace: kube-system, labels: {component: " + component + "}}\nspec: {nodeName: node-1}\nstatus: {podIP: 10.244.0." + name[len(name)-1:] + "}\n"
	}
	for name, test := range map[string]struct {
		dump string
		says string
	}{
		"none":           {pod("web-1", "web"), "0 running Pods"},
		"one of three":   {pod("etcd-1", "etcd"), "1 running Pods"},
		"all":            {pod("etcd-1", "etcd") + pod("etcd-2", "etcd") + pod("etcd-3", "etcd"), ""},
		"no Pods at all": {"apiVersion: v1\nkind: Namespace\nmetadata: {name: kube-system}\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := prove(t, i, objects(t, test.dump))
			says := strings.Join(p.Unknown, "\n")
			if got := strings.Contains(says, "running Pods of spec.isolation.pods.etcd"); got != (test.says != "") || !strings.Contains(says, test.says) {
				t.Errorf("unknown %q, want %q", p.Unknown, test.says)
			}
		})
	}
}

// The kubelet of the only member is looked at too, and what is not known is no pass.
func TestCutsOfOneMember(t *testing.T) {
	t.Parallel()
	const endpoint = `
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: etcd-0}
spec: {node: etcd-0, interfaceName: "*"%s}
`
	for name, test := range map[string]struct {
		apiServer, more string
		want            Cut
	}{
		"no policy":         {"10.0.0.99", "", Cut{Node: "etcd-0", Calico: true, DecidedBy: "HostEndpoint etcd-0, which has neither"}},
		"stacked":           {"10.0.0.11", "", Cut{Node: "api", Calico: true}},
		"a profile of ours": {"10.0.0.99", ", profiles: [ours]", Cut{Node: "etcd-0", Calico: true, Unknown: "profile ours"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			i := intentOf(t, "static-pod", hostsOf(test.apiServer, "10.0.0.11"), "")
			o := objects(t, strings.NewReplacer("%s", test.more, "node: etcd-0", "node: "+test.want.Node).Replace(endpoint))
			got := Cuts(i, NewTopology(i, o), policies.Filters{Objects: o})
			if len(got) != 1 || got[0].Node != test.want.Node || !got[0].Calico || !strings.Contains(got[0].DecidedBy, test.want.DecidedBy) || !strings.Contains(got[0].Unknown, test.want.Unknown) {
				t.Errorf("%+v, want %+v", got, test.want)
			}
		})
	}
}

// A file may be given for a host by the name of its node or of its member.
func TestPlaceFilters(t *testing.T) {
	t.Parallel()
	i := intent(t, "static-pod", masquerade)
	top := NewTopology(i, objects(t))
	given := policies.Filters{
		NodeRules: []policies.NodeRules{{Node: "etcd-1", Rules: &nft.Ruleset{}}, {Node: "cp-0", Rules: &nft.Ruleset{}}},
		Units:     []policies.SystemdDropIn{{Member: "cp-2"}, {Member: "etcd-0"}, {}},
	}
	placed, err := top.Place(i, given)
	if err != nil {
		t.Fatal(err)
	}
	if placed.NodeRules[0].Node != "cp-1" || placed.NodeRules[1].Node != "cp-0" || placed.Units[0].Member != "etcd-2" || placed.Units[1].Member != "etcd-0" || placed.Units[2].Member != "" {
		t.Errorf("%+v", placed)
	}
	p := Prove(i, top, placed, audit.Place{})
	if len(p.Unknown) == 0 {
		t.Error("the ruleset of cp-2 was not given, and nothing is unknown")
	}
}
