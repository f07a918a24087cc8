package policies_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/oracle"
	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/kube"
)

var update = flag.Bool("update", false, "write the golden files anew")

const head = "apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: prod}\nspec:\n"

// specs are what the golden files are rendered of.
var specs = map[string]string{
	// kubeadm's stacked control plane.
	"stacked": head + `  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.0.0.11, etcd-0.example.internal]}
      - {name: etcd-1, addresses: [10.0.0.12]}
      - {name: etcd-2, addresses: [10.0.0.13]}
  apiServers:
    - {name: cp-0, addresses: [10.0.0.11]}
    - {name: cp-1, addresses: [10.0.0.12]}
    - {name: cp-2, addresses: [10.0.0.13]}
  isolation:
    backends: [calico]
    scrapers: [10.0.0.40]
    podCIDRs: [10.244.0.0/16]
    nodeCIDRs: [10.0.0.0/28]
`,
	// Members on hosts of their own, both families, ports of their own, and one that joins.
	"external": head + `  etcd:
    version: "3.6.16"
    runtime: systemd
    clientPort: 4001
    peerPort: 7001
    metricsPort: 9978
    members:
      - {name: etcd-0, addresses: [10.0.0.11, "fd00::11"]}
      - {name: etcd-1, addresses: [10.0.0.12, "fd00::12"]}
      - {name: etcd-2, addresses: [10.0.0.13, "fd00::13"], node: node-13}
      - {name: "no", addresses: [10.0.0.14, "fd00::14"], joining: true}
  apiServers:
    - {name: cp-0, addresses: [10.0.1.1, "fd00::1:1"]}
  isolation:
    backends: [nftables]
    scrapers: [10.0.9.0/24, 10.0.9.7]
    backups: ["fd00::9:9"]
    podCIDRs: [10.244.0.0/16, "fd00:244::/48"]
    memberNodes: [example.com/etcd=true, example.com/pool=]
`,
	"hosted": head + `  etcd:
    version: "3.6.16"
    runtime: hosted
    members: [{name: etcd-0, addresses: [etcd-0.etcd.prod.svc]}, {name: etcd-1, addresses: [etcd-1.etcd.prod.svc]}, {name: etcd-2, addresses: [etcd-2.etcd.prod.svc]}]
  apiServers: [{name: api, addresses: [api.prod.svc]}]
  isolation:
    scrapers: [10.0.0.40]
    pods:
      etcd: {namespace: tenant, labels: [app=etcd]}
      apiServer: {namespace: tenant, labels: [app=kube-apiserver]}
      scraper: {namespace: monitoring, labels: [app.kubernetes.io/name=prometheus]}
`,
	// API servers on the host network of known nodes, IPv6 alone.
	"hosted-by-address": head + `  etcd:
    version: "3.6.16"
    runtime: hosted
    members: [{name: etcd-0, addresses: [etcd-0.etcd.prod.svc]}]
  apiServers: [{name: cp-0, addresses: ["fd00::11"]}, {name: cp-1, addresses: ["fd00::12"]}]
  isolation:
    backups: ["fd00:9::/64"]
`,
	// Clients that are Pods with addresses of their own.
	"pod-clients": head + `  etcd:
    version: "3.6.16"
    members: [{name: etcd-0, addresses: [10.0.0.11]}]
  apiServers: [{name: cp-0, addresses: [10.0.0.11]}]
  isolation:
    scrapers: [10.244.9.0/24]
    backups: [10.244.8.8]
    podCIDRs: [10.244.0.0/16]
    podAddresses: routed
`,
}

func intent(t *testing.T, name string) *policies.Intent {
	t.Helper()
	c, err := cluster.Read(name, strings.NewReader(specs[name]))
	if err != nil {
		t.Fatal(err)
	}
	i, err := policies.NewIntent(c)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// goldens are what each backend makes of each spec; nothing is a refusal, which why is part of.
func goldens() []struct {
	spec    string
	backend cluster.Backend
	strict  bool
	refused string
} {
	return []struct {
		spec    string
		backend cluster.Backend
		strict  bool
		refused string
	}{
		{"stacked", "networkpolicy", false, "its members are on the host network, and no NetworkPolicy selects what is there"},
		{"stacked", "calico", false, ""},
		{"stacked", "cilium", false, ""},
		{"stacked", "cilium", true, ""},
		{"stacked", "clusternetworkpolicy", false, ""},
		{"stacked", "systemd", false, "a static Pod has no unit"},
		{"external", "networkpolicy", false, "its members are on the host network"},
		{"external", "calico", false, ""},
		{"external", "cilium", false, ""},
		{"external", "cilium", true, "API server cp-0 is on none of them"},
		{"external", "clusternetworkpolicy", false, ""},
		{"external", "systemd", false, ""},
		{"hosted", "networkpolicy", false, ""},
		{"hosted", "calico", false, "hosted members are Pods"},
		{"hosted", "cilium", false, "hosted members are Pods"},
		{"hosted", "clusternetworkpolicy", false, "hosted members are Pods"},
		{"hosted", "nftables", false, "hosted members are Pods"},
		{"hosted", "systemd", false, "hosted members are Pods"},
		{"hosted-by-address", "networkpolicy", false, ""},
		{"pod-clients", "calico", false, ""},
		{"pod-clients", "cilium", false, "spec.isolation.scrapers: 10.244.9.0/24 is a range of Pods, and Cilium knows Pods by label"},
		{"pod-clients", "clusternetworkpolicy", false, "spec.isolation.scrapers: 10.244.9.0/24 is a range of Pods"},
	}
}

func goldenPath(spec, backend string, strict bool) string {
	name := backend + ".yaml"
	if backend == "systemd" {
		name = backend + ".conf"
	}
	if strict {
		name = "strict-" + name
	}
	return filepath.Join("testdata", spec, name)
}

func TestRender(t *testing.T) {
	t.Parallel()
	for _, c := range goldens() {
		t.Run(c.spec+"/"+string(c.backend), func(t *testing.T) {
			t.Parallel()
			got, err := policies.Render(intent(t, c.spec), c.backend, policies.RenderOptions{CiliumStrict: c.strict})
			if c.refused != "" {
				refusal, ok := errors.AsType[policies.Refusal](err)
				if !ok || !strings.Contains(refusal.Why, c.refused) || refusal.Backend != c.backend || len(refusal.Instead) == 0 {
					t.Errorf("got %v, want a refusal because %q", err, c.refused)
				}
				if len(got.Text) > 0 {
					t.Errorf("rendered all the same: %s", got.Text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			compare(t, goldenPath(c.spec, string(c.backend), c.strict), got.Text)
			again, err := policies.Render(intent(t, c.spec), c.backend, policies.RenderOptions{CiliumStrict: c.strict})
			if err != nil || !bytes.Equal(got.Text, again.Text) {
				t.Errorf("differs the second time (%v)", err)
			}
			if c.backend == "systemd" {
				return
			}
			// What was written is what is said to be in it.
			read, err := kube.Decode("rendered", got.Text)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got.Objects, read, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("read back:\n%s", diff)
			}
		})
	}
}

func compare(t *testing.T, golden string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(golden), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatalf("%v; go test ./policies -update writes it", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs:\n%s", golden, diff)
	}
}

// Render refuses to close the ports by which a mistake is mended, and unknown backends.
func TestRenderRefuses(t *testing.T) {
	t.Parallel()
	i := intent(t, "stacked")
	i.Ports.Client = 22
	for _, backend := range cluster.Backends() {
		if _, err := policies.Render(i, backend, policies.RenderOptions{}); err == nil || !strings.Contains(err.Error(), "port 22") {
			t.Errorf("%s: %v", backend, err)
		}
	}
	if _, err := policies.Render(intent(t, "stacked"), "iptables", policies.RenderOptions{}); err == nil || !strings.Contains(err.Error(), `backend "iptables" does not exist; want one of networkpolicy, calico`) {
		t.Error(err)
	}
}

// The types of Kubernetes, network-policy-api, Calico and Cilium take every golden file, and
// none of them with a field misspelt.
func TestUpstreamTypes(t *testing.T) {
	t.Parallel()
	binary, err := oracle.Binary(t.Context(), "policy-types", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	strict := func(files ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), binary, files...).CombinedOutput()
		return string(out), err
	}
	files, err := filepath.Glob("testdata/*/*.yaml")
	if err != nil || len(files) < 8 {
		t.Fatalf("%d golden files: %v", len(files), err)
	}
	out, err := strict(files...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, kind := range []string{"NetworkPolicy tenant/prod-etcd", "GlobalNetworkPolicy /prod-etcd", "GlobalNetworkPolicy /prod-etcd-own-pods", "HostEndpoint /cp-0-etcd", "FelixConfiguration /default", "CiliumClusterwideNetworkPolicy /prod-etcd", "ClusterNetworkPolicy /prod-no-pod-to-etcd"} {
		if !strings.Contains(out, kind+"\n") {
			t.Errorf("no %s in\n%s", kind, out)
		}
	}
	for _, c := range []struct{ file, good, bad string }{
		{"hosted/networkpolicy.yaml", "podSelector:", "podSelektor:"},
		{"stacked/calico.yaml", "expectedIPs:", "expectedIps:"},
		{"stacked/calico.yaml", "notNets:", "notNetz:"},
		{"stacked/calico.yaml", "failsafeInboundHostPorts:", "failsafeInbound:"},
		{"stacked/cilium.yaml", "fromCIDRSet:", "fromCidrSet:"},
		{"stacked/cilium.yaml", `cidr: "0.0.0.0/0"`, `cidr: "0.0.0.0/33"`},
		{"stacked/clusternetworkpolicy.yaml", "destinationPort:", "destPort:"},
	} {
		text, err := os.ReadFile(filepath.Join("testdata", c.file))
		if err != nil {
			t.Fatal(err)
		}
		damaged := strings.Replace(string(text), c.good, c.bad, 1)
		if damaged == string(text) {
			t.Fatalf("no %q in %s", c.good, c.file)
		}
		path := filepath.Join(t.TempDir(), "damaged.yaml")
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := strict(path); err == nil {
			t.Errorf("%s with %q is taken: %s", c.file, c.bad, out)
		}
	}
}

// systemd takes every line of a drop-in, and says so of one that it does not.
func TestSystemdTakesDropIn(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here")
	}
	golden, err := os.ReadFile(goldenPath("external", "systemd", false))
	if err != nil {
		t.Fatal(err)
	}
	verify := func(dropIn string) string {
		dir := t.TempDir()
		unit := "[Service]\nExecStart=/bin/true\n"
		if err := errors.Join(
			os.WriteFile(filepath.Join(dir, "etcd.service"), []byte(unit), 0o600),
			os.Mkdir(filepath.Join(dir, "etcd.service.d"), 0o700),
			os.WriteFile(filepath.Join(dir, "etcd.service.d", "isolation.conf"), []byte(dropIn), 0o600),
		); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), analyze, "verify", "etcd.service")
		cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
		out, _ := cmd.CombinedOutput() // its status says nothing of a line that it ignores
		return string(out)
	}
	if out := verify(string(golden)); strings.Contains(out, "isolation.conf") {
		t.Errorf("systemd says:\n%s", out)
	}
	if out := verify(string(golden) + "IPAddressAllow=10.0.0/33\n"); !strings.Contains(out, "isolation.conf") {
		t.Errorf("systemd says nothing of an address that is none:\n%s", out)
	}
}
