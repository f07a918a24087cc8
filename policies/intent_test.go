package policies

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/cluster"
)

const spec = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.0.0.11, "fd00::11"]}
      - {name: etcd-1, addresses: [10.0.0.12, etcd-1.example.internal]}
      - {name: etcd-2, addresses: [10.0.0.13], joining: true}
  apiServers: [{name: cp-0, addresses: [10.0.0.11]}, {name: api, addresses: [10.0.0.20]}]
`

func intent(t *testing.T, spec string) *Intent {
	t.Helper()
	c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
	if err != nil {
		t.Fatal(err)
	}
	i, err := NewIntent(c)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestWanted(t *testing.T) {
	i := intent(t, spec+"  isolation: {scrapers: [10.0.0.40], backups: [10.1.0.0/24], podCIDRs: [10.244.0.0/16]}\n")
	cases := []struct {
		from  string
		ports []uint16
	}{
		{"10.0.0.11", []uint16{2379, 2380}}, // a member and an API server
		{"fd00::11", []uint16{2379, 2380}},
		{"::ffff:10.0.0.13", []uint16{2379, 2380}}, // about to join
		{"10.0.0.20", []uint16{2379}},
		{"10.0.0.40", []uint16{2381}},
		{"10.1.0.9", []uint16{2379}},
		{"10.244.1.2", nil},
		{"192.0.2.1", nil},
	}
	for _, tc := range cases {
		var got []uint16
		for _, port := range append(i.Ports.All(), 22, 6443) {
			if i.Wanted(netip.MustParseAddr(tc.from), port) {
				got = append(got, port)
			}
		}
		if diff := cmp.Diff(tc.ports, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.from, diff)
		}
	}
	if len(i.Warnings) > 0 {
		t.Errorf("warnings on a sound intent: %q", i.Warnings)
	}
}

func TestOverlappingNetworks(t *testing.T) {
	i := intent(t, spec+"  isolation: {scrapers: [10.0.0.40/32, 10.0.0.0/24, 10.0.0.0/25, 10.0.1.0/24, \"fd00::/8\", \"::ffff:10.0.0.41\"], nodeCIDRs: [10.0.0.0/24, 10.0.0.0/24]}\n")
	want := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("10.0.1.0/24"), netip.MustParsePrefix("fd00::/8")}
	if diff := cmp.Diff(want, i.Scrapers, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Errorf("scrapers (-want +got):\n%s", diff)
	}
	if len(i.NodeCIDRs) != 1 {
		t.Errorf("node networks: %v", i.NodeCIDRs)
	}
}

func TestIntentWarnings(t *testing.T) {
	cases := map[string]struct{ isolation, want string }{
		"a scraper among masqueraded Pods": {"{scrapers: [10.244.7.0/24], podCIDRs: [10.244.0.0/16]}", "spec.isolation.scrapers: 10.244.7.0/24 is a range of Pods"},
		"a member among Pods":              {"{podCIDRs: [10.0.0.0/8]}", "10.0.0.0/8 holds 10.0.0.11 of etcd-0, which is not a Pod"},
		"nothing known of Pods":            {"{}", "podCIDRs is empty"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			i := intent(t, spec+"  isolation: "+tc.isolation+"\n")
			if got := strings.Join(i.Warnings, "\n"); !strings.Contains(got, tc.want) {
				t.Errorf("no %q in:\n%s", tc.want, got)
			}
		})
	}
	if w := intent(t, spec+"  isolation: {scrapers: [10.244.7.0/24], podCIDRs: [10.244.0.0/16], podAddresses: routed}\n").Warnings; len(w) > 0 {
		t.Errorf("a scraper among routed Pods keeps its address: %q", w)
	}
}

func TestNamesAlone(t *testing.T) {
	c, err := cluster.Read("cluster.yaml", strings.NewReader(strings.ReplaceAll(spec, "10.0.0.13", "etcd-2.example.internal")))
	if err != nil {
		t.Fatal(err)
	}
	if _, err = NewIntent(c); err == nil || !strings.Contains(err.Error(), "spec.etcd.members[2].addresses: etcd-2 has no IP address") {
		t.Errorf("a member with a name alone: %v", err)
	}
}
