package cluster

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const minimal = `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: prod}
spec:
  etcd:
    version: "3.6.16"
    members:
      - {name: etcd-0, addresses: [10.0.0.11, etcd-0.example.internal]}
      - {name: etcd-1, addresses: ["fd00::12"]}
      - {name: etcd-2, addresses: [etcd-2.example.internal]}
`

func read(t *testing.T, spec string) (*Cluster, error) {
	t.Helper()
	return Read("cluster.yaml", strings.NewReader(spec))
}

func TestDefaults(t *testing.T) {
	c, err := read(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	if c.Etcd.ClientPort != 2379 || c.Etcd.PeerPort != 2380 || c.Etcd.MetricsPort != 2381 {
		t.Errorf("ports: %d %d %d", c.Etcd.ClientPort, c.Etcd.PeerPort, c.Etcd.MetricsPort)
	}
	if c.Etcd.TLSMinVersion != tls.VersionTLS13 || c.Etcd.EnableGRPCGateway || c.Etcd.Runtime != StaticPod {
		t.Errorf("unsafe default: %+v", c.Etcd)
	}
	if got := c.Etcd.PKIDir(c.Etcd.Members[0]); got != "/etc/kubernetes/pki/etcd" {
		t.Errorf("pkiDir: %s", got)
	}
	if c.PKI.LeafLifetime != 90*24*time.Hour || c.PKI.KeyAlgorithm != ECDSAP256 || c.PKI.Hierarchy != Issuing {
		t.Errorf("pki: %+v", c.PKI)
	}
	want := []Client{{"kube-apiserver", RoleKubernetes}, {"healthcheck", RoleHealthcheck}, {"auditor", RoleAuditor}}
	if diff := cmp.Diff(want, c.Clients); diff != "" {
		t.Errorf("clients (-want +got):\n%s", diff)
	}
	if len(c.Warnings) != 0 {
		t.Errorf("warnings on a sound spec: %q", c.Warnings)
	}
	if got := c.Etcd.Members[1].Advertised().String(); got != "fd00::12" {
		t.Errorf("advertised: %s", got)
	}
}

func TestTemplateLoads(t *testing.T) {
	for _, r := range Runtimes() {
		t.Run(string(r), func(t *testing.T) {
			var b bytes.Buffer
			if err := WriteTemplate(&b, r); err != nil {
				t.Fatal(err)
			}
			c, err := Read("cluster.yaml", &b)
			if err != nil {
				t.Fatalf("%v\n%s", err, b.String())
			}
			if c.Etcd.Runtime != r || len(c.Warnings) != 0 {
				t.Errorf("runtime %s, warnings %q", c.Etcd.Runtime, c.Warnings)
			}
		})
	}
}

// Each case adds lines to a sound spec, or replaces it, and names every fault that must be reported.
func TestFaults(t *testing.T) {
	member := func(addresses string) string {
		return strings.Replace(minimal, "[10.0.0.11, etcd-0.example.internal]", addresses, 1)
	}
	cases := map[string]struct {
		spec string
		want []string
	}{
		"empty":          {"", []string{"cluster.yaml: the file is empty"}},
		"only a comment": {"# nothing\n", []string{"cluster.yaml: not YAML: no YAML document in it"}},
		"not YAML":       {"a: [1\nb: 2\n", []string{"cluster.yaml:", "not YAML"}},
		"tabs":           {"spec:\n\tetcd: {}\n", []string{"cluster.yaml:", "not YAML"}},
		"a list":         {"- a\n", []string{"cluster.yaml:1: want a mapping, got a list"}},
		"two documents":  {minimal + "---\n" + minimal, []string{"a second YAML document"}},
		"unknown key":    {minimal + "    clientPrt: 1\n", []string{"cluster.yaml:11: spec.etcd.clientPrt: unknown key; known here: version, runtime, clientPort"}},
		"duplicate key":  {minimal + "    version: \"3.5.35\"\n", []string{"cluster.yaml:11: spec.etcd.version: is given twice; first on line 6"}},
		"wrong types": {minimal + "    clientPort: \"2379\"\n    enableGRPCGateway: yes\n    pkiDir: [a]\n  clients: {}\n", []string{
			`cluster.yaml:11: spec.etcd.clientPort: want a whole number, got "2379"`,
			`cluster.yaml:12: spec.etcd.enableGRPCGateway: want true or false, got "yes"`,
			`cluster.yaml:13: spec.etcd.pkiDir: want a string, got a list`,
			`cluster.yaml:14: spec.clients: want a list, got a mapping`,
		}},
		"unquoted version": {strings.Replace(minimal, `"3.6.16"`, "3.6", 1), []string{`spec.etcd.version: want a string, got "3.6", which YAML reads as another type; put it in quotes`}},
		"anchors":          {minimal + "  apiServers: &a []\n  clients: *a\n", []string{"spec.apiServers: anchors and aliases are not allowed", "spec.clients: anchors"}},
		"wrong kind":       {strings.Replace(minimal, "kind: Cluster", "kind: Pod", 1), []string{`cluster.yaml:2: kind: want Cluster, got "Pod"`}},
		"no name":          {strings.Replace(minimal, "{name: prod}", "{}", 1), []string{"cluster.yaml:3: metadata.name: is missing"}},
		"bad names":        {strings.Replace(minimal, "name: etcd-0", "name: ../etcd", 1), []string{`cluster.yaml:8: spec.etcd.members[0].name: "../etcd" is not a name`}},
		"old etcd":         {strings.Replace(minimal, "3.6.16", "3.4.23", 1), []string{"want 3.5.8 or newer"}},
		"rbac":             {minimal + "  rbac: {compaction: kube-apiserver, user: x}\n", []string{"spec.rbac.user: unknown key; known here: compaction"}},
		"who compacts":     {minimal + "  rbac: {compaction: kube-apiserver}\n", []string{`spec.rbac.compaction: want one of etcd, apiserver, got "kube-apiserver"`}},
		"runtime":          {minimal + "    runtime: docker\n", []string{`spec.etcd.runtime: want one of static-pod, systemd, hosted, got "docker"`}},
		"ports":            {minimal + "    clientPort: 70000\n    peerPort: 2381\n", []string{"70000 is not a port", "must differ"}},
		"dirs":             {minimal + "    pkiDir: ../pki\n    dataDir: \"/x/{{.Nmae}}\"\n", []string{"not a clean absolute path", "want only {{.Name}}"}},
		"no members":       {"apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: x}\nspec: {etcd: {version: \"3.6.16\"}}\n", []string{"spec.etcd.members: is empty"}},
		"no addresses":     {member("[]"), []string{"spec.etcd.members[0].addresses: is empty"}},
		"duplicate member": {strings.Replace(minimal, "name: etcd-1", "name: etcd-0", 1), []string{`cluster.yaml:9: spec.etcd.members[1].name: "etcd-0" is used twice`}},
		"shared address":   {member(`["::ffff:10.0.0.11", etcd-2.example.internal]`), []string{`spec.etcd.members[2].addresses[0]: etcd-2.example.internal is already an address of "etcd-0"`}},
		"URL":              {member(`["https://10.0.0.11:2379"]`), []string{"is a URL; give only the host"}},
		"port":             {member(`["10.0.0.11:2379"]`), []string{`has port 2379; give "10.0.0.11"`}},
		"v6 port":          {member(`["[fd00::1]:2379"]`), []string{`has port 2379; give "fd00::1"`}},
		"network":          {member(`["10.0.0.0/24"]`), []string{"is a network"}},
		"bad address": {member(`["10.0.0.256", " a", "bad_host*name", Etcd.example, "0.0.0.0", "224.0.0.1", "fe80::1%eth0", ""]`), []string{
			"its last part is a number", "white space", "neither an IP address nor a DNS name", "has capitals", "not an address that others can reach", "multicast", "has a zone", "an address is empty",
		}},
		"lifetimes":           {minimal + "  pki: {rootLifetime: 24h, issuingLifetime: 48h, leafLifetime: 72h}\n", []string{"48h0m0s is longer than the root's", "72h0m0s is longer than its issuer's"}},
		"bad lifetimes":       {minimal + "  pki: {rootLifetime: 90d, issuingLifetime: 1s, leafLifetime: -2h}\n", []string{`"90d" is not a duration`, "1s is shorter", "-2h0m0s is shorter"}},
		"huge lifetime":       {minimal + "  pki: {rootLifetime: 2000000h}\n", []string{"longer than 100 years"}},
		"kubeadm's keys":      {minimal + "  pki: {keyAlgorithm: ed25519, layout: kubeadm}\n", []string{"kubeadm loads only RSA and ECDSA keys"}},
		"other file names":    {minimal + "  pki: {files: {clientCA: x.pem}}\n", []string{"only layout custom can have these file names"}},
		"custom names":        {minimal + "  pki: {layout: custom, files: {clientCA: ../x.pem, peerCA: .hidden, server: {cert: a.pem, key: b.pem}, peer: {key: a.pem}}}\n", []string{"\"../x.pem\" is not a file name", "\".hidden\" is not a file name", "spec.pki.files.server.cert has the same name, \"a.pem\"", "spec.pki.files.peer.cert: is missing"}},
		"one pair of two CAs": {minimal + "  pki: {layout: custom, hierarchy: single, files: {clientCA: x.pem, peerCA: y.pem, server: {cert: a.pem, key: b.pem}, peer: {cert: a.pem, key: b.pem}}}\n", []string{"spec.pki.files.peer: server and peer can have one certificate only with hierarchy shared"}},
		"domain names": {strings.NewReplacer("name: etcd-0", "name: Etcd-0.example.com", "name: etcd-1", "name: 10.0.0.12", "name: etcd-2", "name: "+strings.Repeat("a.", 32)+"com").Replace(minimal), []string{
			`members[0].name: "Etcd-0.example.com" is not a name`, `members[1].name: "10.0.0.12" is not a name`, "longer than the CN of a certificate may be (64)",
		}},
		"external keys":     {minimal + "  pki: {externalKeys: [{authority: root, exec: [], key: x}, {authority: client-root, exec: [/p]}, {authority: client-root, exec: [/p], key: y}]}\n", []string{"want one of client-root", "exec: is empty", "externalKeys[1].key: is missing", "is given twice"}},
		"pki values":        {minimal + "  pki: {keyAlgorithm: dsa, hierarchy: flat, layout: flat}\n", []string{"want one of ecdsa-p256", "want one of issuing, single", "want one of etcdsec, kubeadm"}},
		"clients":           {minimal + "  clients: [{name: a, role: admin}, {name: b, role: backup}, {name: b, role: backup}, {name: etcd-0, role: backup}, {name: root, role: backup}, {name: auditor, role: root}]\n", []string{`want one of kubernetes, healthcheck, monitoring, auditor, backup, root, got "admin"`, `"b" is used twice`, "is also the name of a member", "superuser", "is a default client with role auditor"}},
		"default as member": {strings.Replace(minimal, "name: etcd-0", "name: auditor", 1), []string{"is the name of a default client"}},
		"encryption":        {minimal + "  encryption: {provider: rot13, resources: [\"\"]}\n", []string{"want one of secretbox", "spec.encryption.resources[0]: is empty"}},
		"kms socket":        {minimal + "  encryption: {provider: kms, socket: /run/kms}\n", []string{"needs unix:///path"}},
		"kms socket at /":   {minimal + "  encryption: {provider: kms, socket: \"unix:///kms.sock\"}\n", []string{"needs unix:///path"}},
		"socket of none":    {minimal + "  encryption: {socket: \"unix:///run/kms/kms.sock\"}\n", []string{"only provider kms has a socket"}},
		"phase":             {minimal + "  encryption: {phase: half}\n", []string{"want one of encrypted, enabling, disabling"}},
		"resources": {minimal + "  encryption: {resources: [Secrets, \"*\", \"secrets.*\", pods, pods., x.events.k8s.io, ingresses.extensions, serviceipallocations], exclude: [events]}\n", []string{
			"resources[0]: \"Secrets\" has capital", "resources[1]: want *.", "resources[2]:", "resources[4]: \"pods.\" is listed twice", "want events", "group extensions does not exist", "not in the REST API", "exclude[0]: no wildcard",
		}},
		"isolation": {minimal + "  isolation: {backends: [iptables], scrapers: [10.0.0.1/24, x], podCIDRs: [\"::ffff:10.0.0.0/104\"]}\n", []string{`got "iptables"`, "did you mean 10.0.0.0/24?", `"x" is not a network`, "written as IPv6"}},
		"isolation labels": {minimal + "  isolation: {backends: [calico, calico], podAddresses: natted, memberNodes: [a, \"b=c d\", x=1, x=2], pods: {etcd: {namespace: Kube, labels: []}}}\n", []string{
			`backends[1]: "calico" is given twice`, "want one of masqueraded, routed", `"a" is not a label KEY=VALUE`, `"b=c d" is not a label`, `"x" is given twice`, "pods.etcd.labels: is empty", `"Kube" is not the name of a namespace`, "policies can select Pods only for hosted etcd",
		}},
		"node name": {strings.Replace(minimal, "{name: etcd-1,", "{name: etcd-1, node: Node_1,", 1), []string{`"Node_1" is not the name of a node`}},
		"rotation":  {minimal + "  rotation: {push: [\"{{.Bundel}}\"], restart: [\"{{\"]}\n", []string{"spec.rotation.push[0]", "{{.Address}}, {{.Bundle}}, {{.Name}}", "spec.rotation.restart[0]"}},
		"programs": {minimal + "  rotation: {push: [rsync, \"{{range 99999999999}}{{end}}\", \"{{if eq .Name \\\"x\\\"}}{{.Bundle}}{{end}}\"], restart: [ssh, \"\", \"a\\0b\"]}\n  encryption: {push: [\"{{.Bundle}}\", \"\"]}\n",
			[]string{"spec.rotation.push[1]", "spec.rotation.push[2]", "spec.rotation.restart[1]: is empty", "spec.rotation.restart[2]: has a zero byte", "spec.encryption.push[0]", "spec.encryption.push[1]: is empty"}},
		"one folder":         {minimal + "    pkiDir: /srv/etcd\n    dataDir: /srv/etcd\n", []string{"cluster.yaml:12: spec.etcd.dataDir: /srv/etcd is also the pkiDir"}},
		"data in keys":       {minimal + "    pkiDir: /srv/etcd\n    dataDir: \"/srv/etcd/{{.Name}}\"\n", []string{"spec.etcd.dataDir: /srv/etcd/etcd-0 is inside of the pkiDir /srv/etcd,"}},
		"keys in data":       {minimal + "    pkiDir: /var/lib/etcd/pki\n", []string{"cluster.yaml:11: spec.etcd.pkiDir: /var/lib/etcd/pki is inside of the dataDir /var/lib/etcd,"}},
		"one folder by name": {minimal + "    pkiDir: /srv/etcd-1\n    dataDir: \"/srv/{{.Name}}\"\n", []string{"spec.etcd.dataDir: /srv/etcd-1 is also the pkiDir"}},
		"default data":       {minimal + "    pkiDir: /var/lib/etcd\n", []string{"spec.etcd.dataDir: /var/lib/etcd is also the pkiDir"}},
		"system folders":     {minimal + "    pkiDir: /etc/kubernetes\n    dataDir: /etc\n", []string{"spec.etcd.pkiDir: /etc/kubernetes belongs to the system", "spec.etcd.dataDir: /etc belongs to the system", "such as /etc/etcd"}},
		"program folders":    {minimal + "    pkiDir: /etc/kubernetes/manifests\n    dataDir: /usr/lib/etcd\n", []string{"spec.etcd.pkiDir: /etc/kubernetes/manifests is in /etc/kubernetes/manifests", "spec.etcd.dataDir: /usr/lib/etcd is in /usr"}},
		"system by name":     {strings.Replace(minimal, "name: etcd-1", "name: kubelet", 1) + "    dataDir: \"/var/lib/{{.Name}}\"\n", []string{"spec.etcd.dataDir: /var/lib/kubelet belongs to the system"}},
		"kms socket in /run": {minimal + "  encryption: {provider: kms, socket: \"unix:///run/kms.sock\"}\n", []string{"spec.encryption.socket: its folder /run belongs to the system", "such as /run/kms/kms.sock"}},
		"every address": {minimal + "  isolation: {podCIDRs: [\"::/0\", 0.0.0.0/0], nodeCIDRs: [128.0.0.0/1], scrapers: [\"2000::/3\"], backups: [224.0.0.0/4]}\n  pki: {permittedNames: [0.0.0.0/0]}\n", []string{
			"spec.isolation.podCIDRs[0]: ::/0 is every address", "podCIDRs[1]: 0.0.0.0/0 is every address", "nodeCIDRs[0]: 128.0.0.0/1 is a large part of the Internet", "scrapers[0]: 2000::/3 is a large part", "backups[0]: 224.0.0.0/4 is a multicast", "spec.pki.permittedNames[0]: 0.0.0.0/0 is every",
		}},
		"tls":            {minimal + "    tlsMinVersion: TLS1.1\n", []string{"want TLS1.3 or TLS1.2"}},
		"permittedNames": {minimal + "  pki: {permittedNames: [10.0.0.1/8, \"*.x\"]}\n", []string{"did you mean 10.0.0.0/8?", "neither an IP address nor a DNS name"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := read(t, tc.spec)
			if err == nil {
				t.Fatal("accepted")
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in:\n%v", want, err)
				}
			}
			var fault *Fault
			if !errors.As(err, &fault) || fault.File != "cluster.yaml" {
				t.Errorf("no located fault in %v", err)
			}
		})
	}
}

// A member is named after the node it shares with an API server, as kubeadm does it.
// What kubespray and hand-made clusters have: one certificate for server and peer, a file that holds
// both certificate and key, and hosts with domain names.
func TestFilesAndNamesOfOthers(t *testing.T) {
	t.Parallel()
	spec := strings.Replace(minimal, "name: etcd-0", "name: etcd-0.example.com", 1) + `  apiServers: [{name: cp-0.example.com, addresses: [10.0.0.21]}]
  pki:
    layout: custom
    hierarchy: shared
    files:
      clientCA: ca.pem
      server: {cert: "member-{{.Name}}.pem", key: "member-{{.Name}}-key.pem"}
      peer: {cert: "member-{{.Name}}.pem", key: "member-{{.Name}}-key.pem"}
      gatewayClient: {cert: gateway.pem, key: gateway.pem}
`
	c, err := read(t, spec)
	if err != nil {
		t.Fatal(err)
	}
	m, ok := c.Member("etcd-0.example.com")
	if !ok {
		t.Fatal("no such member")
	}
	f := c.Files(m)
	pair := KeyPair{"member-etcd-0.example.com.pem", "member-etcd-0.example.com-key.pem"}
	if f.Server != pair || f.Peer != pair || f.GatewayClient != (KeyPair{"gateway.pem", "gateway.pem"}) {
		t.Errorf("%+v", f)
	}
}

func TestNodes(t *testing.T) {
	c, err := read(t, strings.Replace(minimal, "{name: etcd-1,", "{name: etcd-1, node: worker.example.internal,", 1)+"  apiServers: [{name: cp-0, addresses: [10.0.0.11]}, {name: cp-1, addresses: [\"fd00::12\"]}]\n")
	if err != nil {
		t.Fatal(err)
	}
	var nodes []string
	for _, m := range c.Etcd.Members {
		nodes = append(nodes, m.Node)
	}
	if diff := cmp.Diff([]string{"cp-0", "worker.example.internal", "etcd-2"}, nodes); diff != "" {
		t.Errorf("nodes (-want +got):\n%s", diff)
	}
}

// Hosted members are Pods, and without a word on which they are kubeadm's labels hold.
func TestHostedPods(t *testing.T) {
	c, err := read(t, minimal+"    runtime: hosted\n  isolation: {pods: {scraper: {namespace: monitoring, labels: [app.kubernetes.io/name=prometheus]}}}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := Pods{
		Etcd:    PodSelector{"kube-system", []Label{{"component", "etcd"}}},
		Scraper: PodSelector{"monitoring", []Label{{"app.kubernetes.io/name", "prometheus"}}},
	}
	if diff := cmp.Diff(want, c.Isolation.Pods); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
	if !slices.Equal(c.Isolation.Backends, []Backend{BackendNetworkPolicy}) || c.Isolation.PodAddresses != Masqueraded {
		t.Errorf("%+v", c.Isolation)
	}
}

func TestWarnings(t *testing.T) {
	c, err := read(t, strings.Replace(minimal, "      - {name: etcd-2, addresses: [etcd-2.example.internal]}\n", "", 1)+"    tlsMinVersion: TLS1.2\n  pki: {hierarchy: single}\n")
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(c.Warnings, "\n")
	for _, want := range []string{"2 members survive no more", "hierarchy: single", "TLS1.2"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in:\n%s", want, all)
		}
	}
}

func TestPlaceholders(t *testing.T) {
	c, err := read(t, minimal+"    dataDir: \"/srv/{{.Name}}/data\"\n")
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Etcd.DataDir(c.Etcd.Members[1]); got != "/srv/etcd-1/data" {
		t.Errorf("got %s", got)
	}
}

// A spec that does not end is read no further than its bound: 1 GiB of sparse file costs nothing.
func TestHugeFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "cluster.yaml")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<30); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "larger than 1 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestUnreadable(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none.yaml")} {
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: got %v", path, err)
		}
	}
}

// What is accepted says the same again when it is loaded again, and no input panics.
func FuzzRead(f *testing.F) {
	f.Add([]byte(minimal))
	for _, r := range Runtimes() {
		var b bytes.Buffer
		if err := WriteTemplate(&b, r); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("{{{{{{"))
	f.Fuzz(func(t *testing.T, spec []byte) {
		c, err := Read("cluster.yaml", bytes.NewReader(spec))
		if err != nil {
			return
		}
		again, err := Read("cluster.yaml", bytes.NewReader(c.YAML))
		if err != nil {
			t.Fatalf("accepted once only: %v", err)
		}
		if a, b := fmt.Sprintf("%+v", c), fmt.Sprintf("%+v", again); a != b {
			t.Fatalf("two readings of one spec:\n%s\n%s", a, b)
		}
	})
}

// Folders and networks that sites have are accepted.
func TestFoldersAndNetworksInUse(t *testing.T) {
	for _, lines := range []string{
		"    pkiDir: /etc/etcd/pki\n", "    pkiDir: /etc/pki/etcd\n", "    pkiDir: /etc/ssl/etcd/ssl\n    dataDir: /var/lib/etcd\n", "    pkiDir: /run/secrets/etcd\n", "    pkiDir: /dev/shm/etcd\n",
		"    pkiDir: /var/lib/rancher/k3s/server/tls/etcd\n    dataDir: /var/lib/rancher/k3s/server/db/etcd\n", "    pkiDir: /usr/local/etc/etcd\n", "    dataDir: /etcd\n", "    dataDir: /var/lib/etcd-data\n    pkiDir: /var/lib/etcd\n",
		"    pkiDir: \"/mnt/{{ .Name }}/pki\"\n    dataDir: \"/mnt/{{.Name}}/data\"\n",
		"  isolation: {podCIDRs: [10.0.0.0/8, 240.0.0.0/4, \"fc00::/7\", 100.64.0.0/10], scrapers: [\"2001:db8::/32\"]}\n",
	} {
		if _, err := read(t, minimal+lines); err != nil {
			t.Errorf("%s%v", lines, err)
		}
	}
}
