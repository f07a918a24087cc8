package encryption

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/oracle"
)

// spec is a cluster with these encryption settings.
func spec(t *testing.T, settings string) *cluster.Cluster {
	t.Helper()
	text := "apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: prod}\nspec:\n  etcd:\n    version: \"3.6.16\"\n    members:\n" +
		"      - {name: etcd-0, addresses: [10.0.0.11]}\n  encryption: {" + settings + "}\n"
	c, err := cluster.Read("cluster.yaml", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What is generated is loaded by kube-apiserver, stores each resource as the spec says, and
// says so in the same bytes each time.
func TestGenerate(t *testing.T) {
	t.Parallel()
	k := key(t, 9)
	const box, plain = "k8s:enc:secretbox:v1:", ""
	tests := []struct {
		settings string
		stored   map[string]string // resource to what stands before its values
		reads    bool              // plaintext of Secrets
	}{
		{"", map[string]string{"secrets": box, "configmaps": box, "pods": plain}, false},
		{"phase: enabling", map[string]string{"secrets": box}, true},
		{"phase: disabling", map[string]string{"secrets": plain}, true},
		{"provider: aesgcm", map[string]string{"secrets": "k8s:enc:aesgcm:v1:"}, false},
		{"provider: aescbc", map[string]string{"secrets": "k8s:enc:aescbc:v1:"}, false},
		{`resources: ["*.*", secrets, "*.apps", pandas.bears.example], exclude: [events, leases.coordination.k8s.io]`, map[string]string{
			"secrets": box, "pods": box, "deployments.apps": box, "pandas.bears.example": box, "things.example.com": box, "events": plain, "leases.coordination.k8s.io": plain,
		}, false},
		{`resources: ["*."], exclude: [events]`, map[string]string{"secrets": box, "events": plain, "deployments.apps": plain}, false},
	}
	for _, tt := range tests {
		t.Run(tt.settings, func(t *testing.T) {
			t.Parallel()
			c := spec(t, tt.settings)
			text, err := Generate(c, k).Render()
			if err != nil {
				t.Fatal(err)
			}
			if same, err := Generate(c, k).Render(); err != nil || string(same) != string(text) {
				t.Errorf("other bytes: %v", err)
			}
			r := request{Config: text, Read: []entry{{"secrets", "/registry/secrets/a/b", []byte("value")}}}
			var want []string
			for resource, prefix := range tt.stored {
				if prefix != "" {
					prefix += k.Name + ":"
				}
				r.Store = append(r.Store, entry{resource, "/registry/" + resource + "/a/b", []byte("value")})
				want = append(want, prefix)
			}
			a := ask(t, r)[0]
			if !a.Loads || !a.LoadsReload {
				t.Fatalf("kube-apiserver: %s", a.Error)
			}
			for i, s := range a.Stored {
				if !strings.HasPrefix(string(s.Value), want[i]) || (want[i] == "") != (string(s.Value) == "value") || s.Error != "" {
					t.Errorf("%s is stored as %.40q, want %q before it; %s", r.Store[i].Resource, s.Value, want[i], s.Error)
				}
			}
			if got := a.Read[0].Error == ""; got != tt.reads {
				t.Errorf("plaintext is read: %v: %s", got, a.Read[0].Error)
			}
		})
	}
}

func TestGenerateKMS(t *testing.T) {
	t.Parallel()
	c := spec(t, "provider: kms, socket: 'unix:///run/kms/kms.sock'")
	text, err := Generate(c, Key{}).Render()
	if err != nil {
		t.Fatal(err)
	}
	if a := ask(t, request{Config: text})[0]; !a.LoadsReload || strings.Contains(string(text), "secret:") || !strings.Contains(string(text), "name: prod-kms\n") {
		t.Errorf("%s\n%s", a.Error, text)
	}
}

// The real kubeadm makes a static Pod of it that has the flags and mounts the folders.
func TestSetupThroughKubeadm(t *testing.T) {
	t.Parallel()
	binary, err := oracle.Binary(t.Context(), "kubeadm", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewSetup(spec(t, "provider: kms, socket: 'unix:///run/kms/kms.sock'"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	config, out := filepath.Join(dir, "kubeadm.yaml"), filepath.Join(dir, "out")
	initial := "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 10.99.0.1}\nnodeRegistration: {name: cp-0, criSocket: unix:///run/containerd/containerd.sock}\n---\n"
	if err := os.WriteFile(config, []byte(initial+string(s.Kubeadm)+"kubernetesVersion: v1.36.3\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, "init", "phase", "control-plane", "apiserver", "--config", config, "--dry-run")
	cmd.Env = append(os.Environ(), "KUBEADM_INIT_DRYRUN_DIR="+out)
	if printed, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, printed)
	}
	pod, err := os.ReadFile(filepath.Join(out, "kube-apiserver.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	wanted := []string{"mountPath: /etc/kubernetes/encryption\n      name: encryption-config\n      readOnly: true", "path: /run/kms\n      type: Directory\n"}
	for _, flag := range s.Flags {
		wanted = append(wanted, "- "+flag+"\n")
	}
	for _, want := range wanted {
		if !strings.Contains(string(pod), want) {
			t.Errorf("no %q in\n%s", want, pod)
		}
	}
}

// A file in use keeps its key, and what would leave values unreadable is refused.
func TestUpdate(t *testing.T) {
	t.Parallel()
	k := key(t, 3)
	socket := "provider: kms, socket: 'unix:///run/kms/kms.sock'"
	tests := []struct{ from, to, refused string }{
		{"", "", ""},
		{"", "phase: disabling", ""},
		{"phase: enabling", "phase: encrypted", ""},
		{"phase: disabling", "phase: enabling", ""},
		{"phase: disabling", "phase: encrypted", "it writes plaintext"},
		{"", "phase: enabling, resources: [secrets, configmaps, pods]", ""},
		{"", "resources: [secrets, configmaps, pods]", "pods is not encrypted yet"},
		{"", "resources: [secrets]", "encrypted values of configmaps could no longer be read"},
		{`resources: ["*.*"]`, `resources: ["*.*"], exclude: [events]`, "encrypted values of events could no longer be read"},
		{`resources: ["*.*"], exclude: [events]`, `resources: ["*.*"]`, "events is not encrypted yet"},
		{`resources: ["*.*"]`, "", "encrypted values of *.* could no longer be read"},
		{`resources: ["*.*"]`, `resources: ["*.*", secrets]`, ""},
		{"", "provider: aesgcm", "the spec wants aesgcm"},
		{"", socket, "the spec wants kms"},
		{socket, "", "has a provider kms"},
		{socket, socket, ""},
		{socket, "provider: kms, socket: 'unix:///run/kms/other.sock'", ""},
	}
	for _, tt := range tests {
		c := Generate(spec(t, tt.from), k)
		before := fmt.Sprint(c.Writers())
		next, err := c.Update(spec(t, tt.to))
		if tt.refused != "" {
			if err == nil || !strings.Contains(err.Error(), tt.refused) {
				t.Errorf("%q to %q: %v", tt.from, tt.to, err)
			}
			continue
		}
		if err != nil || !next.Equal(Generate(spec(t, tt.to), k)) {
			t.Errorf("%q to %q: %v %v", tt.from, tt.to, next, err)
		}
		if after := fmt.Sprint(next.Writers()); after != before && !strings.Contains(tt.from+tt.to, "disabling") {
			t.Errorf("%q to %q: writes with %s, then %s", tt.from, tt.to, before, after)
		}
	}
	rotating, err := Generate(spec(t, ""), k).AddSecond(Provider{Type: Secretbox, Keys: []Key{key(t, 4)}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rotating.Update(spec(t, "")); err == nil || !strings.Contains(err.Error(), "a rotation is under way") {
		t.Error(err)
	}
	plugin := Generate(spec(t, socket), Key{})
	plugin.Rules[0].Providers[0].Plugin.Name = "other"
	if _, err := plugin.Update(spec(t, socket)); err == nil || !strings.Contains(err.Error(), "neither can read what the other encrypted") {
		t.Error(err)
	}
}

// A preparation as text lists the files, the flags and the commands that bring the file to each API
// server.
func TestPreparationText(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, err := Prepare(spec(t, "provider: secretbox}\n  apiServers: [{name: cp-0, addresses: [10.0.0.11]}, {name: cp-1, addresses: [\"fd00::12\"]}]\n  isolation: {"), dir, "kubernetes", true, rand.Reader, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := p.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kubernetes/encryption-config.yaml", "\nMount the folder ", "  --encryption-provider-config=", "ssh root@10.0.0.11 install", "root@[fd00::12]:"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
