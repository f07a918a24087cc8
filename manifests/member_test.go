package manifests

import (
	"context"
	"crypto/tls"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
	"github.com/etcdsec/etcdsec/pki"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	cases := map[string]string{
		"systemd":    "runtime: systemd\n    pkiDir: /etc/etcd/pki",
		"static-pod": "runtime: static-pod",
		"hosted":     "runtime: hosted",
		"tls12":      "runtime: systemd\n    tlsMinVersion: TLS1.2",
		"crl":        "runtime: systemd\n    pkiDir: /etc/etcd/pki",
		"rbac":       "runtime: static-pod",
		"gateway":    "runtime: static-pod\n    enableGRPCGateway: true\n    dataDir: \"/srv/{{.Name}}\"",
	}
	more := map[string]string{"crl": "\n  pki: {crl: true}", "rbac": "\n  rbac: {compaction: etcd}"}
	for name, settings := range cases {
		t.Run(name, func(t *testing.T) {
			c := load(t, `
      - {name: etcd-0, addresses: [10.0.0.11, etcd-0.example.internal]}
      - {name: etcd-1, addresses: ["fd00::12"]}
      - {name: etcd-2, addresses: [etcd-2.example.internal], joining: true}`+more[name], "3.6.16", settings)
			written := 0
			for _, m := range c.Etcd.Members {
				files, err := Member(c, m)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range files {
					written++
					compare(t, filepath.Join("testdata", name, filepath.FromSlash(f.Path)), f.Data)
				}
			}
			if written < 3 {
				t.Errorf("%d files for three members", written)
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
		t.Fatalf("%v; go test ./manifests -update writes it", err)
	}
	if string(want) != string(got) {
		t.Errorf("%s differs:\n%s", golden, got)
	}
}

func load(t *testing.T, members, version, settings string) *cluster.Cluster {
	t.Helper()
	spec := fmt.Sprintf("apiVersion: etcdsec.dev/v1alpha1\nkind: Cluster\nmetadata: {name: test}\nspec:\n  etcd:\n    version: %q\n    %s\n    members:%s\n", version, settings, members)
	c, err := cluster.Read("cluster.yaml", strings.NewReader(spec))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Three real members of each version start from what is rendered, as configuration file
// and as the flags of the static Pod, and let only the right certificates in.
func TestRealMembersStart(t *testing.T) {
	cases := []struct{ name, version, settings string }{
		{"3.5 systemd", etcdtest.V3_5, "runtime: systemd"},
		{"3.5 static-pod", etcdtest.V3_5, "runtime: static-pod"},
		{"3.6 systemd", etcdtest.V3_6, "runtime: systemd"},
		{"3.6 static-pod TLS 1.2 and gateway", etcdtest.V3_6, "runtime: static-pod\n    tlsMinVersion: TLS1.2\n    enableGRPCGateway: true"},
		{"3.7 systemd TLS 1.2 and gateway", etcdtest.V3_7, "runtime: systemd\n    tlsMinVersion: TLS1.2\n    enableGRPCGateway: true"},
		{"3.7 static-pod", etcdtest.V3_7, "runtime: static-pod"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			c := start(t, dir, tc.version, tc.settings, "")
			checkHandshakes(t, c, filepath.Join(dir, "store"))
			for _, m := range c.Etcd.Members {
				info, err := os.Stat(c.Etcd.DataDir(m))
				if err != nil || info.Mode().Perm() != 0o700 {
					t.Errorf("data dir of %s: %v %v", m.Name, info, err)
				}
			}
		})
	}
}

// start bootstraps a cluster, with more in its spec, in dir and starts its members from the rendered files.
func start(t *testing.T, dir, version, settings, more string) *cluster.Cluster {
	t.Helper()
	hosts := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}
	ports, err := etcdtest.FreePortsOn(hosts, 3)
	if err != nil {
		t.Fatal(err)
	}
	settings += fmt.Sprintf("\n    clientPort: %d\n    peerPort: %d\n    metricsPort: %d\n    pkiDir: \"%s/store/nodes/{{.Name}}/pki\"\n    dataDir: \"%s/data-{{.Name}}\"", ports[0], ports[1], ports[2], dir, dir)
	c := load(t, "\n      - {name: etcd-0, addresses: [127.0.0.1]}\n      - {name: etcd-1, addresses: [127.0.0.2]}\n      - {name: etcd-2, addresses: [127.0.0.3]}"+more, version, settings)
	issue(t, c, filepath.Join(dir, "store"))
	var configs []etcdtest.Config
	for i, m := range c.Etcd.Members {
		files, err := Member(c, m)
		if err != nil {
			t.Fatal(err)
		}
		configs = append(configs, etcdtest.Config{
			Name: m.Name, Version: version, Dir: dir, Args: arguments(t, dir, files[0]),
			HealthURL: fmt.Sprintf("http://%s:%d/health", hosts[i], ports[2]),
		})
	}
	etcdtest.Run(t, configs...)
	return c
}

func issue(t *testing.T, c *cluster.Cluster, dir string) {
	t.Helper()
	store, err := pki.OpenStore(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	work, err := store.Survey(t.Context(), pki.NewPlan(c), time.Now(), pki.Renewal{})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Issue(t.Context(), work, c.YAML, pki.IssueConfig{Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
}

// arguments are the command line that the rendered file stands for: what the unit's
// --config-file names, or the static Pod's command.
func arguments(t *testing.T, dir string, f File) []string {
	t.Helper()
	if filepath.Base(f.Path) == "etcd.yaml" {
		var p pod
		if err := yaml.UnmarshalStrict(f.Data, &p); err != nil {
			t.Fatal(err)
		}
		// The kubelet finds the data dir made by the operator, mode 0700.
		if err := os.Mkdir(p.Spec.Volumes[0].HostPath.Path, 0o700); err != nil {
			t.Fatal(err)
		}
		return p.Spec.Containers[0].Command[1:]
	}
	path := filepath.Join(dir, strings.ReplaceAll(f.Path, "/", "-"))
	if err := os.WriteFile(path, f.Data, 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{"--config-file=" + path}
}

// checkHandshakes presents each kind of certificate on both ports of the first member.
func checkHandshakes(t *testing.T, c *cluster.Cluster, store string) {
	t.Helper()
	m := c.Etcd.Members[0]
	client := fmt.Sprintf("%s:%d", m.Advertised(), c.Etcd.ClientPort)
	peer := fmt.Sprintf("%s:%d", m.Advertised(), c.Etcd.PeerPort)
	clientCert := []string{filepath.Join(store, "clients", "kube-apiserver", "client")}
	peerCert := []string{filepath.Join(store, "nodes", "etcd-1", "pki", "peer")}
	serverCert := []string{filepath.Join(store, "nodes", "etcd-1", "pki", "server")}
	for _, tc := range []struct {
		name, address string
		cert          []string
		accepted      bool
	}{
		{"client certificate on the client port", client, clientCert, true},
		{"no certificate on the client port", client, nil, false},
		{"peer certificate on the client port", client, peerCert, false},
		{"peer certificate on the peer port", peer, peerCert, true},
		{"no certificate on the peer port", peer, nil, false},
		{"client certificate on the peer port", peer, clientCert, false},
		{"server certificate on the client port", client, serverCert, false},
		{"server certificate on the peer port", peer, serverCert, false},
	} {
		err := get(t.Context(), tc.address, tc.cert, tls.VersionTLS13)
		if (err == nil) != tc.accepted {
			t.Errorf("%s: accepted %v, want %v: %v", tc.name, err == nil, tc.accepted, err)
		}
	}
	if status := gateway(t, client, clientCert[0]); (status == http.StatusOK) != c.Etcd.EnableGRPCGateway {
		t.Errorf("the JSON gateway answers %d, enabled %v", status, c.Etcd.EnableGRPCGateway)
	}
	if err := get(t.Context(), client, clientCert, tls.VersionTLS12); (err == nil) != (c.Etcd.TLSMinVersion == tls.VersionTLS12) {
		t.Errorf("TLS 1.2 accepted: %v", err)
	}
}

// gateway reads a key through the JSON gateway, which dials the client port itself.
func gateway(t *testing.T, address, pair string) int {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(pair+".crt", pair+".key")
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{cert}}, DisableKeepAlives: true}
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	response, err := client.Post("https://"+address+"/v3/kv/range", "application/json", strings.NewReader(`{"key":"eA=="}`))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	return response.StatusCode
}

// get asks for /version over HTTP/1.1 with a pair of files and at most a TLS version.
func get(ctx context.Context, address string, pair []string, maxVersion uint16) error {
	config := &tls.Config{InsecureSkipVerify: true, MaxVersion: maxVersion} // what is asked here is whom the server lets in
	if len(pair) > 0 {
		cert, err := tls.LoadX509KeyPair(pair[0]+".crt", pair[0]+".key")
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{cert}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	conn, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if err := conn.SetDeadline(deadline); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(conn, "GET /version HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", address); err != nil {
		return err
	}
	// In TLS 1.3 the refusal comes after the handshake.
	answer := make([]byte, 12)
	if _, err := conn.Read(answer); err != nil {
		return err
	}
	if string(answer) != "HTTP/1.1 200" {
		return fmt.Errorf("answered %q", answer)
	}
	return nil
}
