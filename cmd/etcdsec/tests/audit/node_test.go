package audit_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// node is a bootstrapped host below a folder. A real etcd runs with the flags of its manifest or
// unit.
type node struct {
	root, store, spec     string
	client, peer, metrics string // host:port
	extra                 string // host:port where nothing listens by itself
	pkiDir, dataDir       string // as the host knows them
	version, runtime      string
}

const (
	staticPodPath = "/etc/kubernetes/manifests/etcd.yaml"
	unitPath      = "/etc/systemd/system/etcd.service"
	configPath    = "/etc/etcd/etcd.conf.yaml"
)

// newNode bootstraps a cluster of one member, and copies its files to their places.
func newNode(t *testing.T, version, runtime string) *node {
	t.Helper()
	ports := etcdtest.FreePorts(t, 4)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	n := &node{
		root: t.TempDir(), client: at(0), peer: at(1), metrics: at(2), extra: at(3),
		pkiDir: "/etc/kubernetes/pki/etcd", dataDir: "/var/lib/etcd", version: version, runtime: runtime,
	}
	if runtime == "systemd" {
		n.pkiDir = "/etc/etcd/pki"
	}
	dir := t.TempDir()
	n.store, n.spec = filepath.Join(dir, "store"), filepath.Join(dir, "cluster.yaml")
	clitest.WriteFile(t, n.spec, fmt.Appendf(nil, `apiVersion: etcdsec.dev/v1alpha1
kind: Cluster
metadata: {name: test}
spec:
  etcd:
    version: %q
    runtime: %s
    clientPort: %d
    peerPort: %d
    metricsPort: %d
    pkiDir: %s
    dataDir: %s
    members: [{name: etcd-0, addresses: [127.0.0.1]}]
`, version, runtime, ports[0], ports[1], ports[2], n.pkiDir, n.dataDir))
	if status, _, stderr := clitest.Run(t, "bootstrap", "-f", n.spec, n.store); status != clitest.StatusDone {
		t.Fatalf("bootstrap: exit %d: %s", status, stderr)
	}
	bundle := filepath.Join(n.store, "nodes", "etcd-0")
	names, err := os.ReadDir(filepath.Join(bundle, "pki"))
	if err != nil || len(names) < 6 {
		t.Fatalf("%d files in the bundle: %v", len(names), err)
	}
	for _, name := range names {
		n.copy(t, filepath.Join(bundle, "pki", name.Name()), path.Join(n.pkiDir, name.Name()))
	}
	switch runtime {
	case "systemd":
		n.copy(t, filepath.Join(bundle, "etcd.service"), unitPath)
		n.copy(t, filepath.Join(bundle, "etcd.conf.yaml"), configPath)
		if err := os.Mkdir(n.path("/etc/systemd/system/multi-user.target.wants"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(unitPath, n.path("/etc/systemd/system/multi-user.target.wants/etcd.service")); err != nil {
			t.Fatal(err)
		}
	default:
		n.copy(t, filepath.Join(bundle, "etcd.yaml"), staticPodPath)
		n.chmod(t, staticPodPath, 0o600) // bootstrap's is what everybody may read
	}
	if err := os.MkdirAll(n.path(n.dataDir), 0o700); err != nil {
		t.Fatal(err)
	}
	n.write(t, "/etc/hostname", "cp-0\n")
	n.write(t, "/etc/passwd", fmt.Sprintf("root:x:%d:0:root:/root:/bin/sh\netcd:x:998:998::/:/bin/false\n", os.Getuid()))
	n.write(t, "/etc/group", fmt.Sprintf("root:x:%d:\netcd:x:998:\n", os.Getgid()))
	return n
}

// path returns the path on this machine of a path of the host.
func (n *node) path(name string) string { return filepath.Join(n.root, name) }

func (n *node) write(t *testing.T, name, text string) {
	t.Helper()
	clitest.WriteFileBelow(t, n.path(name), text)
}

func (n *node) read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(n.path(name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// copy copies a file and keeps the mode from bootstrap.
func (n *node) copy(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(from)
	if err != nil {
		t.Fatal(err)
	}
	n.write(t, to, string(data))
	n.chmod(t, to, info.Mode().Perm())
}

func (n *node) chmod(t *testing.T, name string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(n.path(name), mode); err != nil {
		t.Fatal(err)
	}
}

// flags returns the command of the static Pod, without the program.
func (n *node) flags(t *testing.T) []string {
	t.Helper()
	var pod struct {
		Spec struct{ Containers []struct{ Command []string } }
	}
	if err := yaml.Unmarshal([]byte(n.read(t, staticPodPath)), &pod); err != nil || len(pod.Spec.Containers) != 1 {
		t.Fatalf("%+v: %v", pod, err)
	}
	return pod.Spec.Containers[0].Command[1:]
}

// setFlags writes the manifest with other flags.
func (n *node) setFlags(t *testing.T, flags []string) {
	t.Helper()
	var pod map[string]any
	if err := yaml.Unmarshal([]byte(n.read(t, staticPodPath)), &pod); err != nil {
		t.Fatal(err)
	}
	container := pod["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	container["command"] = append([]string{"etcd"}, flags...)
	data, err := yaml.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	n.write(t, staticPodPath, string(data))
}

// start runs etcd with the flags of the manifest or the unit, on the files below the root. It also
// copies the files that Linux has about the process there, with the paths of the host.
func (n *node) start(t *testing.T) {
	t.Helper()
	here := func(text string) string {
		for _, dir := range []string{n.pkiDir, n.dataDir} {
			text = strings.ReplaceAll(text, dir, n.path(dir))
		}
		return text
	}
	binary := filepath.Join(t.TempDir(), "etcd")
	config := etcdtest.Config{Name: "etcd-0", Version: n.version, Path: binary, HealthURL: "http://" + n.metrics + "/health"}
	if n.runtime == "systemd" {
		rewritten := filepath.Join(t.TempDir(), "etcd.conf.yaml")
		clitest.WriteFile(t, rewritten, []byte(here(n.read(t, configPath))))
		config.Args = []string{"--config-file=" + rewritten}
	} else {
		for _, flag := range n.flags(t) {
			config.Args = append(config.Args, here(flag))
		}
	}
	member := etcdtest.Run(t, config)[0]
	proc := fmt.Sprintf("/proc/%d", member.PID())
	for _, name := range []string{"cmdline", "environ", "stat"} {
		data, err := os.ReadFile(filepath.Join(proc, name))
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(string(data), n.root, "")
		if n.runtime == "systemd" && name == "cmdline" {
			text = "/usr/local/bin/etcd\x00--config-file=" + configPath + "\x00"
		}
		n.write(t, filepath.Join(proc, name), text)
	}
	if n.runtime == "systemd" {
		if err := os.MkdirAll(n.path("/usr/local/bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(binary)
		if err != nil {
			t.Fatal(err)
		}
		n.write(t, "/usr/local/bin/etcd", string(data))
	}
}

// audit runs the audit verb on the host, with the auditor's certificate.
func (n *node) audit(t *testing.T) audit.Report {
	t.Helper()
	_, stdout, stderr := clitest.Run(t, "audit", "run", "--timeout", "1m", "--root", n.root, "--pki", n.store, "-o", "json")
	targets, report := auditReport(t, stdout)
	if strings.Contains(stderr, "warning") || !slices.ContainsFunc(targets, func(target string) bool { return strings.HasPrefix(target, "cp-0:") }) {
		t.Errorf("targets %q: %s", targets, stderr)
	}
	return report
}

// hostFindings returns the failed and unknown results of the checks of settings and files, as
// "SEVERITY CHECK TARGET CODES" with the evidence.
func hostFindings(r audit.Report) map[string]string {
	found := map[string]string{}
	for _, result := range r.Results {
		if !isHostCheck(result.CheckID) {
			continue
		}
		switch result.Verdict {
		case audit.Fail:
			found[fmt.Sprintf("%s %s %s", result.Severity, result.CheckID, result.Target)] = result.Evidence
		case audit.Unknown:
			found[fmt.Sprintf("unknown %s %s", result.CheckID, result.Target)] = result.Evidence
		case audit.Pass, audit.Skip:
		}
	}
	return found
}

func isHostCheck(id string) bool {
	return strings.HasPrefix(id, "config-") || strings.HasPrefix(id, "file-") ||
		slices.Contains([]string{"ca-key-on-node", "key-world-readable", "intent-vs-reality"}, id)
}

// What etcdsec bootstraps is in order by its settings, its files and the wire, in each
// runtime and version; what is left is the letter of the benchmarks about owners.
func TestAuditBootstrappedHost(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root may give files to etcd's user")
	}
	for _, runtime := range []string{"systemd", "static-pod"} {
		for _, version := range etcdtest.Versions() {
			t.Run(runtime+"/"+version, func(t *testing.T) {
				t.Parallel()
				n := newNode(t, version, runtime)
				target, want := "cp-0:"+staticPodPath, map[string]string{"low file-owner": "/var/lib/etcd belongs to root:root; CIS 1.1.12 and STIG V-242445 ask for etcd:etcd"}
				n.chmod(t, n.pkiDir, 0o700)
				if runtime == "systemd" {
					n.chmod(t, unitPath, 0o644)
					target = "cp-0:etcd.service"
					want = map[string]string{"low file-owner": n.pkiDir + "/server.key belongs to etcd:etcd; CIS 1.1.19 and STIG V-242451 ask for root:root"}
					chownAll(t, 998, n.path(n.pkiDir), n.path(configPath), n.path(n.dataDir))
				}
				n.start(t)
				report := n.audit(t)
				for found, evidence := range hostFindings(report) {
					check := strings.TrimSuffix(found, " "+target)
					if text, known := want[check]; !known || !strings.Contains(evidence, text) {
						t.Errorf("%s: %s", found, evidence)
					}
					delete(want, check)
				}
				if len(want) > 0 {
					t.Errorf("not found: %v", want)
				}
				for _, r := range report.Results {
					alone := r.CheckID == "member-count"   // and the only member is a finding
					busy := r.CheckID == "request-latency" // it measures this machine
					if r.Verdict == audit.Unknown || r.Verdict == audit.Fail && !isHostCheck(r.CheckID) && !alone && !busy {
						t.Errorf("%s %s on %s: %s", r.Verdict, r.CheckID, r.Target, r.Evidence)
					}
				}
			})
		}
	}
}

func chownAll(t *testing.T, id int, paths ...string) {
	t.Helper()
	for _, path := range paths {
		err := filepath.WalkDir(path, func(at string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			return os.Lchown(at, id, id)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// without returns the flags except those with some names.
func without(flags []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(flags), func(flag string) bool {
		name, _, _ := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
		return slices.Contains(names, name)
	})
}

// Hosts that are not in order, each in one thing, are found out by it alone.
func TestAuditFaultyHost(t *testing.T) {
	t.Parallel()
	flags := func(edit func(n *node, flags []string) []string) func(*testing.T, *node) {
		return func(t *testing.T, n *node) { n.setFlags(t, edit(n, n.flags(t))) }
	}
	for name, c := range map[string]struct {
		version       string                  // 3.6 if empty
		before, after func(*testing.T, *node) // the start
		// want has the severity, the check, CLIENT, PEER, EXTRA or HOST, and a part of the evidence.
		want map[string]string
	}{
		"an http:// URL beside all flags for mutual TLS": {
			before: flags(func(n *node, flags []string) []string {
				urls := "--listen-client-urls=https://" + n.client + ",http://" + n.extra
				return append(without(flags, "listen-client-urls", "enable-grpc-gateway"), urls, "--enable-grpc-gateway=true")
			}),
			after: writesWithoutCertificate,
			want: map[string]string{
				"critical intent-vs-reality EXTRA":      "looks right and is open: by the flags: --client-cert-auth=true; by etcd's rules: there is no TLS on http://EXTRA; on the wire: the port answers without TLS: GET /version without TLS got HTTP status 200",
				"critical config-client-tls HOST":       "etcd listens in plaintext on http://EXTRA",
				"critical config-client-cert-auth HOST": "http://EXTRA has no TLS",
			},
		},
		"the same on one port": {
			before: flags(func(n *node, flags []string) []string {
				return append(without(flags, "listen-client-urls"), "--listen-client-urls=https://"+n.client+",http://"+n.client)
			}),
			want: map[string]string{
				"critical intent-vs-reality CLIENT":     "plaintext: looks right and is open",
				"critical config-client-tls HOST":       "etcd listens in plaintext on http://CLIENT",
				"critical config-client-cert-auth HOST": "http://CLIENT has no TLS",
			},
		},
		"a trusted CA alone": {
			before: flags(func(_ *node, flags []string) []string { return without(flags, "client-cert-auth") }),
			want:   map[string]string{"low intent-vs-reality CLIENT": "client-cert: looks open and holds"},
		},
		"client-cert-auth without a CA": {
			before: flags(func(_ *node, flags []string) []string { return without(flags, "trusted-ca-file") }),
			want: map[string]string{
				"critical intent-vs-reality CLIENT":     "client-ca: looks right and is open",
				"critical config-client-cert-auth HOST": "etcd trusts every CA of the operating system",
			},
		},
		"auto-tls with files": {
			before: flags(func(_ *node, flags []string) []string {
				return append(flags, "--auto-tls=true", "--peer-auto-tls=true")
			}),
		},
		"a revocation list in PEM": {
			before: func(t *testing.T, n *node) {
				n.write(t, n.pkiDir+"/client.pem.crl", string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: revocationList(t)})))
				n.setFlags(t, append(n.flags(t), "--client-crl-file="+n.pkiDir+"/client.pem.crl"))
			},
			want: map[string]string{
				"high config-crl-format HOST":      "refuses every client, because /etc/kubernetes/pki/etcd/client.pem.crl is PEM",
				"unknown intent-vs-reality CLIENT": "",
			},
		},
		"a revocation list in DER": {
			before: func(t *testing.T, n *node) {
				n.write(t, n.pkiDir+"/client.crl", string(revocationList(t)))
				n.setFlags(t, append(n.flags(t), "--client-crl-file="+n.pkiDir+"/client.crl"))
			},
		},
		"a revocation list that is none": {
			before: func(t *testing.T, n *node) {
				n.write(t, n.pkiDir+"/client.crl", "nothing")
				n.setFlags(t, append(n.flags(t), "--client-crl-file="+n.pkiDir+"/client.crl"))
			},
			want: map[string]string{
				"high config-crl-format HOST":      "cannot read /etc/kubernetes/pki/etcd/client.crl: ",
				"unknown intent-vs-reality CLIENT": "",
			},
		},
		"a revocation list that only 3.5 reads": {
			version: etcdtest.V3_5,
			before:  revokesVersionOne,
			want:    map[string]string{"low config-crl-format HOST": "the upgrade would refuse every client"},
		},
		"the same list after the upgrade": {
			before: revokesVersionOne,
			want: map[string]string{
				"high config-crl-format HOST":      "cannot read /etc/kubernetes/pki/etcd/client.crl: x509: unsupported crl version",
				"unknown intent-vs-reality CLIENT": "",
			},
		},
		"writes that wait for no disk": {
			before: flags(func(_ *node, flags []string) []string { return append(flags, "--unsafe-no-fsync") }),
			want:   map[string]string{"high config-unsafe-no-fsync HOST": "etcd does not wait for its disk: --unsafe-no-fsync=true"},
		},
		"no quota": {
			before: flags(func(_ *node, flags []string) []string {
				return append(without(flags, "quota-backend-bytes"), "--quota-backend-bytes=-1")
			}),
			want: map[string]string{"medium config-quota HOST": "there is no quota: --quota-backend-bytes=-1"},
		},
		"a log of everything": {
			before: flags(func(_ *node, flags []string) []string {
				return append(without(flags, "log-level"), "--log-level=debug")
			}),
			want: map[string]string{"medium config-log-level HOST": "--log-level=debug", "high intent-vs-reality CLIENT": "debug logs switch profiling pages and request traces on"},
		},
		"the key of a CA": {
			after: func(t *testing.T, n *node) {
				n.copy(t, filepath.Join(n.store, "authorities/client-root/ca.key"), n.pkiDir+"/old.pem")
			},
			want: map[string]string{"high ca-key-on-node HOST": "/etc/kubernetes/pki/etcd/old.pem is the private key of a CA"},
		},
		"the key of an issuing CA": {
			after: func(t *testing.T, n *node) {
				n.copy(t, filepath.Join(n.store, "authorities/peer-issuing/ca.key"), n.pkiDir+"/peer-issuing.key")
			},
			want: map[string]string{"high ca-key-on-node HOST": "peer-issuing.key is the private key of a CA"},
		},
		"a key for everybody": {
			after: func(t *testing.T, n *node) {
				n.chmod(t, n.pkiDir, 0o755)
				n.chmod(t, n.pkiDir+"/peer.key", 0o644)
			},
			want: map[string]string{
				"critical key-world-readable HOST": "every user of the host can read /etc/kubernetes/pki/etcd/peer.key (mode 0644)",
				"medium file-mode HOST":            "/etc/kubernetes/pki/etcd/peer.key has mode 0644; CIS 1.1.21 and STIG V-242467 ask for no more than 0600",
			},
		},
		"a key for everybody in a folder for nobody": {
			after: func(t *testing.T, n *node) { n.chmod(t, n.pkiDir+"/peer.key", 0o644) },
			want:  map[string]string{"medium file-mode HOST": "peer.key has mode 0644"},
		},
		"the data dir for everybody": {
			after: func(t *testing.T, n *node) { n.chmod(t, n.dataDir, 0o755) },
			want:  map[string]string{"medium file-mode HOST": "/var/lib/etcd has mode 0755; CIS 1.1.11 asks for no more than 0700"},
		},
		"a privileged container": {
			after: func(t *testing.T, n *node) {
				text := n.read(t, staticPodPath)
				n.write(t, staticPodPath, strings.Replace(text, "allowPrivilegeEscalation: false", "privileged: true", 1))
			},
			want: map[string]string{"high config-sandbox HOST": "the container is privileged"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNode(t, cmp.Or(c.version, etcdtest.V3_6), "static-pod")
			n.chmod(t, n.pkiDir, 0o700)
			if c.before != nil {
				c.before(t, n)
			}
			n.start(t)
			if c.after != nil {
				c.after(t, n)
			}
			named := strings.NewReplacer("CLIENT", n.client, "PEER", n.peer, "EXTRA", n.extra, "HOST", "cp-0:"+staticPodPath)
			found := hostFindings(n.audit(t))
			delete(found, named.Replace("low file-owner HOST")) // as of every static Pod
			for want, evidence := range c.want {
				want = named.Replace(want)
				if got, there := found[want]; !there || !strings.Contains(got, named.Replace(evidence)) {
					t.Errorf("%s: got %q, want %q in it", want, got, named.Replace(evidence))
				}
				delete(found, want)
			}
			if len(found) > 0 {
				t.Errorf("also found: %v", found)
			}
		})
	}
}

// revocationList returns an empty revocation list, in DER. etcd does not check its signature.
func revocationList(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour),
	}, clitest.NewIdentity(t, time.Time{}).CA.Certificate(), key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// revokesVersionOne sets a revocation list without a number, which is the default of openssl.
func revokesVersionOne(t *testing.T, n *node) {
	t.Helper()
	var list pkix.CertificateList // nothing else makes a list of version 1
	if _, err := asn1.Unmarshal(revocationList(t), &list); err != nil {
		t.Fatal(err)
	}
	list.TBSCertList.Raw, list.TBSCertList.Version, list.TBSCertList.Extensions = nil, 0, nil
	der, err := asn1.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	n.write(t, n.pkiDir+"/client.crl", string(der))
	n.setFlags(t, append(n.flags(t), "--client-crl-file="+n.pkiDir+"/client.crl"))
}

// writesWithoutCertificate shows that the extra port is what the finding says it is: whoever
// reaches it writes and reads, while the other port wants a certificate. (Which of its ports
// etcd's gateway calls is another at each start, and so whether that answers too.)
func writesWithoutCertificate(t *testing.T, n *node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{n.extra}, DialTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Put(ctx, "/registry/secrets/a", "hidden"); err != nil {
		t.Fatalf("put without a certificate: %v", err)
	}
	got, err := client.Get(ctx, "/registry/secrets/a")
	if err != nil || len(got.Kvs) != 1 || string(got.Kvs[0].Value) != "hidden" {
		t.Fatalf("get without a certificate: %v %v", got, err)
	}
	strict := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	refused, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+n.client+"/version", nil)
	if err != nil {
		t.Fatal(err)
	}
	if response, err := strict.Do(refused); err == nil {
		_ = response.Body.Close() // nothing of it is read
		t.Errorf("the port with TLS answered without a certificate: %s", response.Status)
	}
}
