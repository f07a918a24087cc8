package collect

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	"github.com/etcdsec/etcdsec/audit/collect/host"
	"github.com/etcdsec/etcdsec/internal/etcdtest"
)

// hostFiles are a host's files by their paths. A mode may stand in front of the text, as "0644 ".
type hostFiles map[string]string

func (files hostFiles) write(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		at, mode := filepath.Join(root, name), os.FileMode(0o600)
		if rest, found := strings.CutPrefix(text, "0644 "); found {
			text, mode = rest, 0o644
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, found := strings.CutPrefix(text, "-> "); found {
			if err := os.Symlink(target, at); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if err := os.WriteFile(at, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(at, mode); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// newAuthority makes a CA, in PEM.
func newAuthority(t *testing.T) (certPEM, keyPEM string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "etcd-ca"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER}))
}

// verdictsOf audits the settings of a host, and returns the outcomes by target and check.
func verdictsOf(t *testing.T, root string) map[string]audit.Result {
	t.Helper()
	h, err := host.Find(t.Context(), host.Config{Root: root})
	if err != nil {
		t.Fatal(err)
	}
	found := HostTargets(h, HostConfig{Mounted: true, Now: time.Now()})
	results := map[string]audit.Result{}
	for _, r := range audit.Run(catalog.All(), audit.Targets(found.Settings)).Results {
		results[r.Target+" "+r.CheckID] = r
	}
	return results
}

// oneByOne is the manifest of an etcd whose files are mounted each for itself, as RKE2 does it.
func oneByOne(files ...string) string {
	mounts, volumes := "", ""
	for i, pair := range files {
		inside, outside, found := strings.Cut(pair, " of ")
		if !found {
			outside = inside
		}
		mounts += fmt.Sprintf("    - {name: file%d, mountPath: %s, readOnly: true}\n", i, inside)
		volumes += fmt.Sprintf("  - {name: file%d, hostPath: {path: %s, type: File}}\n", i, outside)
	}
	return `apiVersion: v1
kind: Pod
metadata: {name: etcd, namespace: kube-system, labels: {component: etcd, tier: control-plane}}
spec:
  hostNetwork: true
  containers:
  - name: etcd
    image: index.docker.io/rancher/hardened-etcd:v3.5.21-k3s1-build20250612
    command: [etcd]
    args: [--config-file=/var/lib/rancher/rke2/server/db/etcd/config]
    volumeMounts:
    - {name: dir0, mountPath: /var/lib/rancher/rke2/server/db/etcd}
` + mounts + `  volumes:
  - {name: dir0, hostPath: {path: /var/lib/rancher/rke2/server/db/etcd, type: DirectoryOrCreate}}
` + volumes
}

// Keys that lie on the node beside what a container mounts of it are found, whether the container
// mounts their folder or single files of it, and by whatever path.
func TestKeysBesideMounts(t *testing.T) {
	t.Parallel()
	ca, caKey := newAuthority(t)
	const (
		manifest = "var/lib/rancher/rke2/agent/pod-manifests/etcd.yaml"
		target   = "host:/" + manifest
		rke2     = "/var/lib/rancher/rke2/server/tls/etcd"
		settings = "var/lib/rancher/rke2/server/db/etcd/config"
	)
	config := func(dir string) string {
		return fmt.Sprintf(`client-transport-security: {cert-file: %[1]s/server-client.crt, key-file: %[1]s/server-client.key, client-cert-auth: true, trusted-ca-file: %[1]s/server-ca.crt}
peer-transport-security: {cert-file: %[1]s/peer-server-client.crt, key-file: %[1]s/peer-server-client.key, client-cert-auth: true, trusted-ca-file: %[1]s/peer-ca.crt}
data-dir: /var/lib/rancher/rke2/server/db/etcd
listen-client-urls: https://127.0.0.1:2379
`, dir)
	}
	names := []string{"server-client.crt", "server-client.key", "server-ca.crt", "peer-server-client.crt", "peer-server-client.key", "peer-ca.crt"}
	mounted := func(inside, outside string) (pairs []string) {
		for _, name := range names {
			pairs = append(pairs, inside+"/"+name+" of "+outside+"/"+name)
		}
		return pairs
	}
	with := func(dir string, more hostFiles) hostFiles {
		files := hostFiles{}
		for _, name := range names {
			files[dir[1:]+"/"+name] = ca
			if strings.HasSuffix(name, ".key") {
				_, files[dir[1:]+"/"+name] = newAuthority(t)
			}
		}
		for name, text := range more {
			files[name] = text
		}
		return files
	}
	for name, c := range map[string]struct {
		files          hostFiles
		caKey, readble audit.Verdict
		evidence       string // of both
	}{
		"RKE2": {with(rke2, hostFiles{manifest: oneByOne(mounted(rke2, rke2)...), settings: config(rke2), rke2[1:] + "/server-ca.key": "0644 " + caKey}),
			audit.Fail, audit.Fail, rke2 + "/server-ca.key"},
		"by other paths": {with("/srv/pki", hostFiles{manifest: oneByOne(mounted("/certs", "/srv/pki")...), settings: config("/certs"), "srv/pki/server-ca.key": "0644 " + caKey}),
			audit.Fail, audit.Fail, "/srv/pki/server-ca.key"},
		"put aside": {with(rke2, hostFiles{manifest: oneByOne(mounted(rke2, rke2)...), settings: config(rke2), rke2[1:] + "/server-ca.key.bak-1": "0644 " + caKey}),
			audit.Fail, audit.Fail, rke2 + "/server-ca.key.bak-1"},
		"behind symlinks": {with("/srv/live", hostFiles{manifest: oneByOne(mounted(rke2, rke2)...), settings: config(rke2), "srv/live/server-ca.key": "0644 " + caKey,
			rke2[1:] + "/server-ca.crt": "-> /srv/live/server-ca.crt", rke2[1:] + "/server-client.key": "-> /srv/live/server-client.key", rke2[1:] + "/server-client.crt": "-> /srv/live/server-client.crt",
			rke2[1:] + "/peer-ca.crt": "-> /srv/live/peer-ca.crt", rke2[1:] + "/peer-server-client.key": "-> /srv/live/peer-server-client.key", rke2[1:] + "/peer-server-client.crt": "-> /srv/live/peer-server-client.crt"}),
			audit.Fail, audit.Fail, "/srv/live/server-ca.key"},
		"no CA's key":  {with(rke2, hostFiles{manifest: oneByOne(mounted(rke2, rke2)...), settings: config(rke2)}), audit.Pass, audit.Pass, ""},
		"a folder":     {with("/srv/pki", hostFiles{manifest: oneByOne("/certs of /srv/pki"), settings: config("/certs"), "srv/pki/server-ca.key": "0644 " + caKey}), audit.Fail, audit.Fail, "/srv/pki/server-ca.key"},
		"in the image": {with(rke2, hostFiles{manifest: oneByOne(), settings: config("/certs")}), audit.Unknown, audit.Unknown, "in the container's image"},
		"a file of one folder, and others in the image": {with(rke2, hostFiles{manifest: oneByOne("/certs/server-client.key of " + rke2 + "/server-client.key"), settings: config("/certs")}),
			audit.Unknown, audit.Unknown, "in the container's image"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results := verdictsOf(t, c.files.write(t))
			for check, want := range map[string]audit.Verdict{"ca-key-on-node": c.caKey, "key-world-readable": c.readble} {
				r := results[target+" "+check]
				if r.Verdict != want || !strings.Contains(r.Evidence, c.evidence) {
					t.Errorf("%s: %s %q, want %s %q", check, r.Verdict, r.Evidence, want, c.evidence)
				}
			}
		})
	}
}

// A container of which nothing but its process is known has its files from somewhere on the host,
// and there the keys lie beside them.
func TestKeysBesideMountsOfProcess(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root may mount")
	}
	ca, caKey := newAuthority(t)
	outside, root := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"ca.crt": ca, "ca.key": caKey} {
		if err := os.WriteFile(filepath.Join(outside, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	binary, err := etcdtest.Binary(t.Context(), etcdtest.V3_6, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	ports := etcdtest.FreePorts(t, 2)
	name := fmt.Sprintf("m%d", ports[0])
	script := `set -e
mkdir -p "$1/bin" "$1/certs"
mkdir -p "$1/etc"
touch "$1/bin/etcd" "$1/certs/server-ca.crt" "$1/etc/passwd"
mount --bind "$2" "$1/bin/etcd"
mount --bind "$3/ca.crt" "$1/etc/passwd"
mount --bind "$3/ca.crt" "$1/certs/server-ca.crt"
exec chroot "$1" /bin/etcd --name="$4" --data-dir=/data --trusted-ca-file=/certs/server-ca.crt --peer-trusted-ca-file=/etc/passwd --listen-client-urls="http://127.0.0.1:$5" --advertise-client-urls="http://127.0.0.1:$5" --listen-peer-urls="http://127.0.0.1:$6"`
	cmd := exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", root, binary, outside, name, fmt.Sprint(ports[0]), fmt.Sprint(ports[1]))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // by the signal
	})
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		h, err := host.Find(t.Context(), host.Config{})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range h.Etcds {
			if s.Value("name") != name {
				continue
			}
			target := SettingsTarget(s, 0, time.Now())
			for _, r := range audit.Run(catalog.All(), []audit.Target{target}).Results {
				if r.CheckID == "ca-key-on-node" && (r.Verdict != audit.Fail || !strings.Contains(r.Evidence, outside+"/ca.key")) {
					t.Errorf("%s %q", r.Verdict, r.Evidence)
				}
			}
			asAnotherUser(t, name, outside)
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("etcd was not found")
		}
	}
}

const lookedForVariable = "ETCDSEC_TEST_LOOKED_FOR"

// asAnotherUser looks at the etcd as a user who may not look into its container. The files that it
// has of the host are those at their paths on the host, and never others at the same paths.
func asAnotherUser(t *testing.T, name, outside string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "etcdsec")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) }) // it is in the folder of temporary files
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(dir, "test")
	if err := errors.Join(os.WriteFile(copied, data, 0o755), os.Chmod(copied, 0o755), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(copied, "-test.run=^TestLookAsAnotherUser$", "-test.v")
	cmd.Dir, cmd.Env = "/", append(os.Environ(), lookedForVariable+"="+name)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"trusted-ca-file " + outside + "/ca.crt permission denied", "peer-trusted-ca-file " + outside + "/ca.crt permission denied",
		"data-dir /data the process's own files could not be looked at: permission denied",
	} {
		if !strings.Contains(string(out), want+"\n") {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

// TestLookAsAnotherUser prints what the flags of an etcd name, for asAnotherUser.
func TestLookAsAnotherUser(t *testing.T) {
	name := os.Getenv(lookedForVariable)
	if name == "" {
		t.Skip("it is run by TestKeysBesideMountsOfProcess")
	}
	h, err := host.Find(t.Context(), host.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range h.Etcds {
		if s.Value("name") != name {
			continue
		}
		for _, f := range s.Files {
			for _, flag := range f.Flags {
				fmt.Println(flag, f.Path, f.Reason)
			}
		}
	}
}
