package manifests

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/internal/oracle"
)

// kubeadm runs the real one.
func kubeadm(t *testing.T, env []string, args ...string) string {
	t.Helper()
	binary, err := oracle.Binary(t.Context(), "kubeadm", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("kubeadm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func fileTree(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	dir, err := filepath.EvalSymlinks(dir) // a bundle's
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	return files
}

// The real kubeadm takes the layout as given, in every hierarchy: it says that it uses what
// is there, changes nothing, lists it, and runs an etcd in whose peer port a client of the
// same CA finds no way in.
func TestKubeadmTakesTheLayoutAsGiven(t *testing.T) {
	t.Parallel()
	for _, hierarchy := range []string{"issuing", "single"} {
		t.Run(hierarchy, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			host, ports := "10.99.0.1", etcdtest.FreePorts(t, 3) // kubeadm takes no loopback address
			pkiDir := filepath.Join(dir, "store", "nodes", "cp-0", "pki")
			settings := fmt.Sprintf("clientPort: %d\n    peerPort: %d\n    metricsPort: %d\n    pkiDir: %s\n    dataDir: %s/data", ports[0], ports[1], ports[2], pkiDir, dir)
			c := load(t, "\n      - {name: cp-0, addresses: ["+host+"]}\n  pki: {layout: kubeadm, crl: true, hierarchy: "+hierarchy+"}\n  rbac: {compaction: etcd}", etcdtest.V3_6, settings)
			issue(t, c, filepath.Join(dir, "store"))
			files, err := Cluster(c)
			if err != nil || len(files) != 1 || files[0].Path != "kubernetes/kubeadm-config.yaml" {
				t.Fatalf("%v %v", files, err)
			}
			if more, err := Member(c, c.Etcd.Members[0]); err != nil || more != nil {
				t.Errorf("kubeadm runs etcd, and there is %v %v beside", more, err)
			}
			config := filepath.Join(dir, "kubeadm.yaml")
			init := "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: " + host + "}\nnodeRegistration: {name: cp-0, criSocket: unix:///run/containerd/containerd.sock}\n---\n"
			if err := os.WriteFile(config, []byte(init+string(files[0].Data)+"kubernetesVersion: v1.36.3\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			before := fileTree(t, pkiDir)
			for phase, want := range map[string]string{
				"etcd-ca":                 "Using existing etcd/ca keyless certificate authority",
				"etcd-server":             "Using existing etcd/server certificate and key on disk",
				"etcd-peer":               "Using existing etcd/peer certificate and key on disk",
				"etcd-healthcheck-client": "Using existing etcd/healthcheck-client certificate and key on disk",
				"apiserver-etcd-client":   "Using existing apiserver-etcd-client certificate and key on disk",
			} {
				if out := kubeadm(t, nil, "init", "phase", "certs", phase, "--config", config); !strings.Contains(out, want) || strings.Contains(out, "WARNING") {
					t.Errorf("%s: %s", phase, out)
				}
			}
			list := kubeadm(t, nil, "certs", "check-expiration", "--config", config)
			for _, name := range []string{"etcd-server", "etcd-peer", "etcd-healthcheck-client", "apiserver-etcd-client"} {
				at := slices.IndexFunc(strings.Split(list, "\n"), func(line string) bool {
					return strings.HasPrefix(line, name+" ") && strings.Contains(line, "etcd-ca") && strings.HasSuffix(strings.TrimSpace(line), "yes")
				})
				if at < 0 {
					t.Errorf("%s is not listed as externally managed:\n%s", name, list)
				}
			}
			if diff := cmp.Diff(before, fileTree(t, pkiDir)); diff != "" {
				t.Errorf("kubeadm changed:\n%s", diff)
			}
			if pod := kubeadmAPIServerPod(t, dir, config); !strings.Contains(pod, "- --etcd-compaction-interval=0\n") {
				t.Errorf("kubeadm would run an API server that compacts:\n%s", pod)
			}
			runKubeadmEtcd(t, dir, config, ports)
			client, peer := fmt.Sprintf("127.0.0.1:%d", ports[0]), fmt.Sprintf("127.0.0.1:%d", ports[1])
			apiServer := []string{filepath.Join(pkiDir, "apiserver-etcd-client")}
			if err := get(t.Context(), client, apiServer, tls.VersionTLS13); err != nil {
				t.Errorf("kube-apiserver on the client port: %v", err)
			}
			if err := get(t.Context(), peer, apiServer, tls.VersionTLS13); err == nil {
				t.Error("kube-apiserver's certificate opens the peer port")
			}
			if err := get(t.Context(), peer, []string{filepath.Join(pkiDir, "etcd", "peer")}, tls.VersionTLS13); err != nil {
				t.Errorf("a peer on the peer port: %v", err)
			}
		})
	}
}

// kubeadmAPIServerPod is the static Pod that kubeadm writes for kube-apiserver.
func kubeadmAPIServerPod(t *testing.T, dir, config string) string {
	t.Helper()
	out := filepath.Join(dir, "api-server")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	kubeadm(t, []string{"KUBEADM_INIT_DRYRUN_DIR=" + out}, "init", "phase", "control-plane", "apiserver", "--config", config, "--dry-run")
	manifest, err := os.ReadFile(filepath.Join(out, "kube-apiserver.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return string(manifest)
}

// runKubeadmEtcd starts etcd from the static Pod that kubeadm writes, on ports of the test's own.
func runKubeadmEtcd(t *testing.T, dir, config string, ports []int) {
	t.Helper()
	out := filepath.Join(dir, "dry-run")
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	kubeadm(t, []string{"KUBEADM_INIT_DRYRUN_DIR=" + out}, "init", "phase", "etcd", "local", "--config", config, "--dry-run")
	manifest, err := os.ReadFile(filepath.Join(out, "etcd.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Spec struct {
			Containers []struct {
				Command []string `json:"command"`
			} `json:"containers"`
		} `json:"spec"`
	}
	if err := yaml.Unmarshal(manifest, &p); err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(manifest, []byte("etcd:"+etcdtest.V3_6+"-0")) {
		t.Errorf("kubeadm would run another release:\n%s", manifest)
	}
	for _, want := range []string{"--auto-compaction-mode=periodic", "--auto-compaction-retention=5m"} {
		if !slices.Contains(p.Spec.Containers[0].Command, want) {
			t.Errorf("kubeadm would run etcd without %s:\n%s", want, manifest)
		}
	}
	// kubeadm's ports are constants, and other tests have theirs on this machine.
	ours := strings.NewReplacer("https://127.0.0.1:2379,https://10.99.0.1:2379", fmt.Sprintf("https://127.0.0.1:%d", ports[0]), "10.99.0.1", "127.0.0.1", ":2379", fmt.Sprintf(":%d", ports[0]), ":2380", fmt.Sprintf(":%d", ports[1]), ":2381", fmt.Sprintf(":%d", ports[2]))
	var args []string
	for _, arg := range p.Spec.Containers[0].Command[1:] {
		args = append(args, ours.Replace(arg))
	}
	etcdtest.Run(t, etcdtest.Config{
		Name: "cp-0", Version: etcdtest.V3_6, Dir: dir, Args: args,
		HealthURL: fmt.Sprintf("http://127.0.0.1:%d/health", ports[2]),
	})
}
