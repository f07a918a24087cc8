package policies_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// read is a golden file, after some replacements of its text.
func read(t *testing.T, file string, replacements ...string) kube.Objects {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	damaged := string(text)
	for i := 0; i+1 < len(replacements); i += 2 {
		next := strings.Replace(damaged, replacements[i], replacements[i+1], 1)
		if next == damaged {
			t.Fatalf("no %q in %s", replacements[i], file)
		}
		damaged = next
	}
	o, err := kube.Decode(file, []byte(damaged))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestObjectDrift(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, file   string
		replacements []string
		want         []policies.Difference
	}{
		{name: "nothing", file: "stacked/calico.yaml"},
		{name: "what an API server adds", file: "hosted/networkpolicy.yaml", replacements: []string{"        - protocol: TCP\n          port: 2379", "        - port: 2379"}},
		{
			"a list in another order", "hosted/networkpolicy.yaml",
			[]string{"        - protocol: UDP\n          port: 53\n        - protocol: TCP\n          port: 53\n", "        - protocol: TCP\n          port: 53\n        - protocol: UDP\n          port: 53\n"}, nil,
		},
		{
			"a port more", "hosted/networkpolicy.yaml",
			[]string{"    - Ingress\n    - Egress", "    - Ingress"},
			[]policies.Difference{{What: "NetworkPolicy tenant/prod-etcd spec.policyTypes[1]", Kind: "changed", Want: `"Egress"`}},
		},
		{
			"rules in another order", "stacked/calico.yaml",
			[]string{"    # Nobody else.\n    - action: Deny", "    - action: Allow"},
			[]policies.Difference{{What: "GlobalNetworkPolicy prod-etcd spec.ingress[3].action", Kind: "changed", Want: `"Deny"`, Live: `"Allow"`}},
		},
		{
			"a failsafe port open to all", "stacked/calico.yaml",
			[]string{"      port: 2380\n      net: \"10.0.0.13/32\"", "      port: 2380"},
			[]policies.Difference{
				{What: "FelixConfiguration default spec.failsafeInboundHostPorts[12]", Kind: "changed", Want: `{"net":"10.0.0.13/32","port":2380,"protocol":"tcp"}`},
				{What: "FelixConfiguration default spec.failsafeInboundHostPorts", Kind: "changed", Live: `{"port":2380,"protocol":"tcp"}`},
			},
		},
		{"other settings of Felix", "stacked/calico.yaml", []string{"spec:\n  failsafeInbound", "spec:\n  failsafeOutboundHostPorts: []\n  bpfEnabled: true\n  failsafeInbound"}, nil},
		{
			"a label gone", "stacked/calico.yaml",
			[]string{"    etcdsec.dev/etcd: member", "    etcdsec.dev/etcd: nobody"},
			[]policies.Difference{{What: "HostEndpoint cp-0-etcd metadata.labels.etcdsec.dev/etcd", Kind: "changed", Want: `"member"`, Live: `"nobody"`}},
		},
		{
			"Calico's own API version", "stacked/calico.yaml",
			[]string{"apiVersion: projectcalico.org/v3\nkind: GlobalNetworkPolicy\nmetadata:\n  name: prod-etcd\n", "apiVersion: crd.projectcalico.org/v1\nkind: GlobalNetworkPolicy\nmetadata:\n  name: default.prod-etcd\n"}, nil,
		},
		{
			"default deny", "stacked/cilium.yaml",
			[]string{"  enableDefaultDeny:\n    ingress: false\n    egress: false\n", ""},
			[]policies.Difference{
				{What: "CiliumClusterwideNetworkPolicy prod-etcd spec[0].enableDefaultDeny.ingress", Kind: "changed", Want: "false", Live: "true"},
			},
		},
		{
			"one is gone and another has a name of its own", "stacked/clusternetworkpolicy.yaml",
			[]string{"name: prod-no-pod-to-etcd", "name: old-no-pod-to-etcd"},
			[]policies.Difference{{What: "ClusterNetworkPolicy prod-no-pod-to-etcd", Kind: "missing"}, {What: "ClusterNetworkPolicy old-no-pod-to-etcd", Kind: "extra"}},
		},
		{
			"one that is not understood", "stacked/clusternetworkpolicy.yaml",
			[]string{"  priority: 10", "  priority: 10\n  schedule: nightly"},
			[]policies.Difference{{What: "ClusterNetworkPolicy prod-no-pod-to-etcd", Kind: "unknown", Live: `unknown field "spec.schedule"`}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := policies.ObjectDrift(read(t, test.file), read(t, test.file, test.replacements...))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
