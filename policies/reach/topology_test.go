package reach

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/nft"
)

const dualStack = `
    members:
      - {name: etcd-0, addresses: [10.0.0.11, "fd00::11"]}
      - {name: etcd-1, addresses: [10.0.0.12, "fd00::12"]}
      - {name: etcd-2, addresses: [10.0.0.13, "fd00::13"], joining: true}
  apiServers:
    - {name: cp-0, addresses: [10.0.0.11, "fd00::11"]}
    - {name: api-9, addresses: [10.0.0.99, "fd00::99"]}`

// Each family is a way of its own: what closes IPv4 alone leaves all of etcd open.
func TestBothFamilies(t *testing.T) {
	t.Parallel()
	i := intentOf(t, "systemd", dualStack, `podCIDRs: [10.244.0.0/16, "fd00:1::/64"]`)
	u := policies.SystemdDropIn{Deny: prefixes(t, "0.0.0.0/0"), Allow: prefixes(t, "10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.99")}
	p := Prove(i, NewTopology(i, objects(t)), policies.Filters{Units: []policies.SystemdDropIn{u}}, audit.Place{})
	if got := outcomes(p, "outside (IPv4)", "etcd-0"); got != "---" {
		t.Errorf("IPv4 %s", got)
	}
	if got := outcomes(p, "outside (IPv6)", "etcd-0"); got != "+++" {
		t.Errorf("IPv6 %s", got)
	}
	u.Deny = prefixes(t, "0.0.0.0/0", "::/0")
	p = Prove(i, NewTopology(i, objects(t)), policies.Filters{Units: []policies.SystemdDropIn{u}}, audit.Place{})
	if got := outcomes(p, "etcd-1", "etcd-0"); got != "+++---" {
		t.Errorf("members by IPv4 and IPv6: %s", got)
	}
	if got := violated(p); !slices.Contains(got, PeersReachable) || !slices.Contains(got, APIServersReach) {
		t.Errorf("%q", got)
	}
	dumpOnFailure(t, p)
}

func dumpOnFailure(t *testing.T, p Proof) {
	t.Helper()
	if t.Failed() {
		dump(t, p)
	}
}

// A member that is about to be added reaches the others and is reached, or the proof fails
// before it is added.
func TestJoiningMember(t *testing.T) {
	t.Parallel()
	i := intentOf(t, "systemd", dualStack, "")
	u := policies.SystemdDropIn{Deny: prefixes(t, "0.0.0.0/0", "::/0"), Allow: prefixes(t, "10.0.0.11", "10.0.0.12", "10.0.0.99", "fd00::/64")}
	p := Prove(i, NewTopology(i, objects(t)), policies.Filters{Units: []policies.SystemdDropIn{u}}, audit.Place{})
	at := slices.IndexFunc(p.Violations, func(v Violation) bool { return v.Invariant == PeersReachable })
	if at < 0 || !slices.Contains(p.Violations[at].From, "etcd-2 (joining)") || !slices.Contains(p.Violations[at].To, "etcd-2") {
		t.Errorf("%+v", p.Violations)
	}
	dumpOnFailure(t, p)
}

// The rules that are written for a spec do what it says, by either family, for Pods that are
// masqueraded and for those that are not, and a wanted Pod that nobody can tell from its node
// is not let in.
func TestRenderedRulesHold(t *testing.T) {
	t.Parallel()
	for _, pods := range []string{"masqueraded", "routed"} {
		i := intentOf(t, "static-pod", dualStack, `podCIDRs: [10.244.0.0/16, "fd00:1::/64"], scrapers: [10.0.0.40/32, "fd00::40/128"], backups: [10.0.1.0/24], podAddresses: `+pods)
		p := Prove(i, NewTopology(i, objects(t)), policies.Filters{Rules: policies.Nftables(i)}, audit.Place{})
		if !p.Holds {
			t.Errorf("%s: %q %+v", pods, p.Unknown, p.Violations)
		}
		for from, want := range map[string]string{"10.0.0.40": "--+", "10.0.1.1 of 10.0.1.0/24": "+--", "api-9": "+--+--", "etcd-2 (joining)": "++-++-", "a Pod on cp-0": "------", "fd00::40": "--+"} {
			if got := outcomes(p, from, "etcd-1"); got != want {
				t.Errorf("%s, %s: %s, want %s", pods, from, got, want)
			}
		}
		dumpOnFailure(t, p)
	}
	i := intent(t, "static-pod", "podCIDRs: [10.244.0.0/16], scrapers: [10.244.3.7/32]")
	p := Prove(i, NewTopology(i, objects(t)), policies.Filters{Rules: policies.Nftables(i)}, audit.Place{})
	if got := violated(p); !slices.Equal(got, []string{ScrapersReach}) {
		t.Errorf("a scraper that is a masqueraded Pod: %q", got)
	}
	dumpOnFailure(t, p)
}

// What each backend's objects do by themselves, for a kubeadm cluster with Pods that are
// masqueraded: that cilium leaves members to the hosts of other nodes, unless it is strict, and that
// the two which come in addition isolate nothing alone, is not for a test to be silent about.
func TestRenderedObjects(t *testing.T) {
	t.Parallel()
	isolated := []string{ClientIsolated, MetricsIsolated, PeerIsolated}
	for _, test := range []struct {
		backend       cluster.Backend
		runtime, spec string
		strict        bool
		broken        []string
	}{
		{"calico", "static-pod", masquerade, false, nil},
		{"cilium", "static-pod", masquerade, false, isolated},
		{"cilium", "static-pod", "podCIDRs: [10.244.0.0/16]", true, nil},
		{"clusternetworkpolicy", "static-pod", masquerade, false, isolated},
		{"systemd", "systemd", masquerade, false, isolated},
		{"nftables", "static-pod", masquerade, false, nil},
		{"networkpolicy", "hosted", hostedPods, false, nil},
	} {
		i := intent(t, test.runtime, test.spec)
		r, err := policies.Render(i, test.backend, policies.RenderOptions{CiliumStrict: test.strict})
		if err != nil {
			t.Fatal(err)
		}
		p := Prove(i, NewTopology(i, r.Objects), policies.Filters{Objects: r.Objects, Rules: r.Rules, Units: r.Units}, audit.Place{})
		if got := violated(p); !slices.Equal(got, test.broken) || len(p.Unknown) > 0 {
			t.Errorf("%s, strict %t: %q %q", test.backend, test.strict, got, p.Unknown)
			dump(t, p)
		}
		for _, f := range p.Flows {
			if f.FromClass == ClassPod && f.Allowed && test.backend != "systemd" {
				t.Errorf("%s: %s reaches %s port %d by %s", test.backend, f.From, f.To, f.Port, f.DecidedBy)
			}
		}
	}
}

// Without the forward drop, a Pod of an allowed node borrows its address.
func TestBorrowedAddress(t *testing.T) {
	t.Parallel()
	i := intent(t, "static-pod", masquerade)
	rules := policies.Nftables(i)
	for n := range rules.Tables {
		rules.Tables[n].Chains = slices.DeleteFunc(slices.Clone(rules.Tables[n].Chains), func(c nft.Chain) bool { return c.Hook == "forward" })
	}
	p := Prove(i, NewTopology(i, objects(t)), policies.Filters{Rules: rules}, audit.Place{})
	if got := outcomes(p, "a Pod on cp-1", "etcd-0"); got != "++-" {
		t.Errorf("a Pod on a member's node: %s", got)
	}
	if got := violated(p); !slices.Equal(got, []string{ClientIsolated, PeerIsolated}) {
		t.Errorf("%q", got)
	}
	dumpOnFailure(t, p)
}

// IPv4-mapped addresses are those that they map, wherever they are written.
func TestMappedAddresses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"::ffff:10.0.0.1": "10.0.0.1/32", "::ffff:10.0.0.0/120": "10.0.0.0/24", "10.0.0.7/8": "10.0.0.0/8", "::/0": "::/0"} {
		if p, err := policies.ParseNetwork(text); err != nil || p != netip.MustParsePrefix(want) {
			t.Errorf("%s: %s %v, want %s", text, p, err, want)
		}
	}
	policy := strings.Replace(seed, "podSelector: {matchLabels: {component: kube-apiserver}}", `ipBlock: {cidr: "::ffff:10.0.0.11/128"}`, 1)
	p := prove(t, intent(t, "hosted", "podCIDRs: [10.244.0.0/16]"), objects(t, policy))
	if got := outcomes(p, "cp-0", "etcd-0"); got != "+--" {
		t.Errorf("cp-0: %s", got)
	}
	if got := outcomes(p, "cp-1", "etcd-0"); got != "---" {
		t.Errorf("cp-1: %s", got)
	}
	dumpOnFailure(t, p)
}

// What a dump says of nodes and Pods is believed before the spec: who is what by its address
// and its labels.
func TestDumpOfACluster(t *testing.T) {
	t.Parallel()
	i := intent(t, "hosted", hostedPods)
	text := `
apiVersion: v1
kind: Node
metadata: {name: n1}
status: {addresses: [{type: InternalIP, address: 10.0.0.21}]}
---
apiVersion: v1
kind: Pod
metadata: {name: etcd-a, namespace: kube-system, labels: {component: etcd}}
spec: {nodeName: n1, containers: [{ports: [{name: client, containerPort: 2379}]}]}
status: {podIP: 10.244.0.5}
---
apiVersion: v1
kind: Pod
metadata: {name: api-a, namespace: kube-system, labels: {component: kube-apiserver}}
spec: {nodeName: n1}
status: {podIP: 10.244.0.6}
---
apiVersion: v1
kind: Pod
metadata: {name: done, namespace: kube-system, labels: {component: kube-apiserver}}
spec: {nodeName: n1}
status: {podIP: 10.244.0.7, phase: Succeeded}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default}
spec: {nodeName: n1}
status: {podIP: 10.244.0.8}
` + "---" + strings.NewReplacer("port: 2379", "port: client").Replace(seed)
	p := prove(t, i, objects(t, text))
	for from, want := range map[string]string{"kube-system/api-a": "+--", "default/web": "---", "n1": "+++", "kube-system/done": ""} {
		if got := outcomes(p, from, "kube-system/etcd-a"); got != want {
			t.Errorf("%s: %q, want %q", from, got, want)
		}
	}
	for _, f := range p.Flows {
		if f.From == "n1" && (!f.Unavoidable || !strings.Contains(f.DecidedBy, "the Pod's own node")) {
			t.Errorf("%+v", f)
		}
	}
	dumpOnFailure(t, p)
}
