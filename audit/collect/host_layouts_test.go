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
	"slices"
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

// layout is a host as a distribution sets it up, and what an audit of its files must say.
type layout struct {
	files hostFiles
	// etcds are the origins of the etcds.
	etcds []string
	// want is by target and check: the verdict, and the codes of a failure. A target is without
	// the host's name and the folder of static Pods.
	want map[string]string
}

// openShiftPod is the Pod that the cluster-etcd-operator writes, with one setting as given.
func openShiftPod(clientCertAuth, listen string) string {
	const env = `    env:
    - {name: ALL_ETCD_ENDPOINTS, value: "https://10.0.0.11:2379,https://10.0.0.12:2379"}
    - {name: ETCD_CIPHER_SUITES, value: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"}
    - {name: ETCD_DATA_DIR, value: /var/lib/etcd}
    - {name: ETCD_STATIC_POD_VERSION, value: "7"}
    - {name: LISTEN_ON_ALL_IPS, value: 0.0.0.0}
    - {name: NODE_master_0_ETCD_NAME, value: master-0}
    - {name: NODE_master_0_ETCD_URL_HOST, value: 10.0.0.11}
    - {name: NODE_master_0_IP, value: 10.0.0.11}
    - {name: NODE_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: VERBOSITY, value: info}
`
	return `apiVersion: v1
kind: Pod
metadata: {name: etcd, namespace: openshift-etcd, labels: {app: etcd, k8s-app: etcd, etcd: "true", revision: "7"}}
spec:
  hostNetwork: true
  initContainers:
  - name: setup
    image: quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0123
    command: [/bin/sh, -c, "#!/bin/sh\nchmod 0700 /var/log/etcd && touch /var/log/etcd/etcd-health-probe.log"]
  containers:
  - name: etcdctl
    image: quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0123
    command: [/bin/bash, -c, "trap TERM INT; sleep infinity & wait"]
` + env + `  - name: etcd
    image: quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0123
    command:
    - /bin/sh
    - -c
    - |
      #!/bin/sh
      set -euo pipefail

      etcdctl member list || true

      ETCD_INITIAL_CLUSTER=$(discover-etcd-initial-cluster \
        --cacert=/etc/kubernetes/static-pod-certs/configmaps/etcd-serving-ca/ca-bundle.crt \
        --endpoints=${ALL_ETCD_ENDPOINTS} \
        --data-dir=/var/lib/etcd \
        --target-name=master-0)
      export ETCD_INITIAL_CLUSTER

      echo -n "Waiting for ports 2379, 2380 and 9978 to be released."
      time while [ -n "$(ss -Htan '( sport = 2379 or sport = 2380 or sport = 9978 )')" ]; do
        echo -n "."
        sleep 1
      done

      export ETCD_NAME=${NODE_master_0_ETCD_NAME}
      env | grep ETCD | grep -v NODE

      set -x
      exec nice -n -19 ionice -c2 -n0 etcd \
        --logger=zap \
        --log-level=${VERBOSITY} \
        --initial-advertise-peer-urls=https://${NODE_master_0_IP}:2380 \
        --cert-file=/etc/kubernetes/static-pod-certs/secrets/etcd-all-certs/etcd-serving-master-0.crt \
        --key-file=/etc/kubernetes/static-pod-certs/secrets/etcd-all-certs/etcd-serving-master-0.key \
` + clientCertAuth + `        --peer-cert-file=/etc/kubernetes/static-pod-certs/secrets/etcd-all-certs/etcd-peer-master-0.crt \
        --peer-key-file=/etc/kubernetes/static-pod-certs/secrets/etcd-all-certs/etcd-peer-master-0.key \
        --peer-trusted-ca-file=/etc/kubernetes/static-pod-certs/configmaps/etcd-peer-client-ca/ca-bundle.crt \
        --peer-client-cert-auth=true \
        --advertise-client-urls=https://${NODE_master_0_IP}:2379 \
        --listen-client-urls=` + listen + ` \
        --listen-peer-urls=https://${LISTEN_ON_ALL_IPS}:2380 \
        --metrics=extensive \
        --listen-metrics-urls=https://${LISTEN_ON_ALL_IPS}:9978 ||  mv /etc/kubernetes/etcd-backup-dir/etcd-member.yaml /etc/kubernetes/manifests
` + env + `    volumeMounts: [{mountPath: /etc/kubernetes/static-pod-certs, name: cert-dir}, {mountPath: /var/lib/etcd/, name: data-dir}]
  - name: etcd-metrics
    image: quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:0123
    command:
    - /bin/sh
    - -c
    - |
      #!/bin/sh
      set -euo pipefail
      export ETCD_NAME=${NODE_master_0_ETCD_NAME}
      exec nice -n -18 etcd grpc-proxy start \
        --endpoints https://${NODE_master_0_ETCD_URL_HOST}:9978 \
        --metrics-addr https://${LISTEN_ON_ALL_IPS}:9979 \
        --listen-addr 127.0.0.1:9977 \
        --advertise-client-url ""
` + env + `  - name: etcd-readyz
    image: quay.io/openshift-release-dev/ocp-v4.0-art-dev@sha256:4567
    command: [/bin/sh, -c, "exec nice -n -18 cluster-etcd-operator readyz --target=https://localhost:2379 --listen-port=9980"]
  volumes:
  - {name: cert-dir, hostPath: {path: /etc/kubernetes/static-pod-resources/etcd-certs}}
  - {name: data-dir, hostPath: {path: /var/lib/etcd}}
`
}

// etcdManagerPod is the Pod of one of kOps' two etcds.
func etcdManagerPod(name, port, peerPort string) string {
	return `apiVersion: v1
kind: Pod
metadata: {name: etcd-manager-` + name + `, namespace: kube-system, labels: {k8s-app: etcd-manager-` + name + `}}
spec:
  hostNetwork: true
  hostPID: true
  initContainers:
  - {name: init-etcd-3-5-21, image: "registry.k8s.io/etcd:3.5.21-0", command: [/opt/kops-utils/kops-utils-cp], args: [--target-dir=/opt/etcd-v3.5.21, --src=/usr/local/bin/etcd, --src=/usr/local/bin/etcdctl]}
  containers:
  - name: etcd-manager
    image: registry.k8s.io/etcd-manager/etcd-manager-slim:v3.0.20250628
    command:
    - /bin/sh
    - -c
    - mkfifo /tmp/pipe; (tee -a /var/log/etcd.log < /tmp/pipe & ) ; exec /ko-app/etcd-manager
      --backup-store=s3://kops/backups/etcd/` + name + ` --client-urls=https://__name__:` + port + `
      --cluster-name=etcd --containerized=true --dns-suffix=.internal.example.com
      --grpc-port=3996 --peer-urls=https://__name__:` + peerPort + ` --quarantine-client-urls=https://__name__:3994
      --v=6 --volume-provider=aws > /tmp/pipe 2>&1
    volumeMounts: [{mountPath: /rootfs, name: rootfs}, {mountPath: /etc/kubernetes/pki/etcd-manager, name: pki}]
  volumes:
  - {name: rootfs, hostPath: {path: /}}
  - {name: pki, hostPath: {path: /etc/kubernetes/pki/etcd-manager-` + name + `}}
`
}

const kubeadmPod = `apiVersion: v1
kind: Pod
metadata: {name: etcd, namespace: kube-system, labels: {component: etcd, tier: control-plane}}
spec:
  containers:
  - command:
    - etcd
    - --advertise-client-urls=https://10.0.0.11:2379
    - --cert-file=/etc/kubernetes/pki/etcd/server.crt
    - --client-cert-auth=true
    - --data-dir=/var/lib/etcd
    - --initial-cluster=cp-0=https://10.0.0.11:2380
    - --key-file=/etc/kubernetes/pki/etcd/server.key
    - --listen-client-urls=https://127.0.0.1:2379,https://10.0.0.11:2379
    - --listen-metrics-urls=http://127.0.0.1:2381
    - --listen-peer-urls=https://10.0.0.11:2380
    - --name=cp-0
    - --peer-cert-file=/etc/kubernetes/pki/etcd/peer.crt
    - --peer-client-cert-auth=true
    - --peer-key-file=/etc/kubernetes/pki/etcd/peer.key
    - --peer-trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
    - --trusted-ca-file=/etc/kubernetes/pki/etcd/ca.crt
    image: registry.k8s.io/etcd:3.6.8-0
    name: etcd
    volumeMounts: [{mountPath: /var/lib/etcd, name: etcd-data}, {mountPath: /etc/kubernetes/pki/etcd, name: etcd-certs}]
  hostNetwork: true
  volumes:
  - {name: etcd-certs, hostPath: {path: /etc/kubernetes/pki/etcd, type: DirectoryOrCreate}}
  - {name: etcd-data, hostPath: {path: /var/lib/etcd, type: DirectoryOrCreate}}
`

// bitnamiPod is a Pod as the etcd chart of Bitnami makes it, with a container's command.
func bitnamiPod(command string) string {
	return `apiVersion: v1
kind: Pod
metadata: {name: etcd-0, labels: {app.kubernetes.io/name: etcd}}
spec:
  containers:
  - name: etcd
    image: docker.io/bitnami/etcd:3.6.4-debian-12-r0
` + command + `    env:
    - {name: BITNAMI_DEBUG, value: "false"}
    - {name: MY_POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    - {name: MY_POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: ETCDCTL_API, value: "3"}
    - {name: ETCD_NAME, value: $(MY_POD_NAME)}
    - {name: ETCD_DATA_DIR, value: /bitnami/etcd/data}
    - {name: ALLOW_NONE_AUTHENTICATION, value: "yes"}
    - {name: ETCD_ADVERTISE_CLIENT_URLS, value: "http://$(MY_POD_NAME).etcd-headless.default.svc.cluster.local:2379,http://etcd.default.svc.cluster.local:2379"}
    - {name: ETCD_LISTEN_CLIENT_URLS, value: "http://0.0.0.0:2379"}
    - {name: ETCD_LISTEN_PEER_URLS, value: "http://$(MY_POD_IP):2380"}
`
}

func layouts() map[string]layout {
	const (
		pods       = "etc/kubernetes/manifests/"
		clientTLS  = " config-client-tls"
		clientAuth = " config-client-cert-auth"
		peerTLS    = " config-peer-tls"
		unit       = "[Unit]\nDescription=etcd\nAfter=network.target\n\n[Service]\nType=notify\nUser=root\nEnvironmentFile=/etc/etcd.env\nExecStart=/usr/local/bin/etcd\nNotifyAccess=all\nRestart=always\n\n[Install]\nWantedBy=multi-user.target\n"
	)
	kubespray := "ETCD_DATA_DIR=/var/lib/etcd\nETCD_ADVERTISE_CLIENT_URLS=https://10.0.0.11:2379\nETCD_METRICS=basic\nETCD_LISTEN_CLIENT_URLS=https://10.0.0.11:2379,https://127.0.0.1:2379\n" +
		"ETCD_LISTEN_PEER_URLS=https://10.0.0.11:2380\nETCD_NAME=etcd1\nETCD_PROXY=off\n# Flannel need etcd v2 API\nETCD_TRUSTED_CA_FILE=/etc/ssl/etcd/ssl/ca.pem\n" +
		"ETCD_CERT_FILE=/etc/ssl/etcd/ssl/member-node1.pem\nETCD_KEY_FILE=/etc/ssl/etcd/ssl/member-node1-key.pem\nETCD_CLIENT_CERT_AUTH=true\n" +
		"ETCD_PEER_TRUSTED_CA_FILE=/etc/ssl/etcd/ssl/ca.pem\nETCD_PEER_CERT_FILE=/etc/ssl/etcd/ssl/member-node1.pem\nETCD_PEER_KEY_FILE=/etc/ssl/etcd/ssl/member-node1-key.pem\nETCD_PEER_CLIENT_CERT_AUTH=True\n"
	const enabled, wants = "etc/systemd/system/etcd.service", "etc/systemd/system/multi-user.target.wants/etcd.service"
	const trusted = "        --trusted-ca-file=/etc/kubernetes/static-pod-certs/configmaps/etcd-serving-ca/ca-bundle.crt \\\n"
	script := func(text string) string {
		return "kind: Pod\nspec:\n  containers:\n  - name: etcd\n    image: registry.k8s.io/etcd:3.6.8-0\n    command: [/bin/sh, -c, '" + text + "']\n    env: [{name: TLS, value: \"--cert-file=/c --key-file=/k --trusted-ca-file=/ca\"}, {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]\n"
	}
	return map[string]layout{
		"kubeadm": {hostFiles{pods + "etcd.yaml": kubeadmPod}, []string{"etcd.yaml"}, map[string]string{"etcd.yaml" + clientTLS: "pass", "etcd.yaml" + clientAuth: "pass"}},
		"OpenShift": {hostFiles{pods + "etcd-pod.yaml": openShiftPod(trusted+"        --client-cert-auth=true \\\n", "https://${LISTEN_ON_ALL_IPS}:2379,unixs://${NODE_master_0_IP}:0")},
			[]string{"etcd-pod.yaml"}, map[string]string{"etcd-pod.yaml" + clientTLS: "pass", "etcd-pod.yaml" + clientAuth: "pass", "etcd-pod.yaml" + peerTLS: "pass"}},
		"OpenShift without certificates of clients": {hostFiles{pods + "etcd-pod.yaml": openShiftPod("        --client-cert-auth=false \\\n", "https://${LISTEN_ON_ALL_IPS}:2379,unix://${NODE_IP}:0")},
			[]string{"etcd-pod.yaml"}, map[string]string{"etcd-pod.yaml" + clientTLS: "fail plaintext-socket", "etcd-pod.yaml" + clientAuth: "fail plaintext-socket"}},
		"OpenShift without a CA": {hostFiles{pods + "etcd-pod.yaml": openShiftPod("        --client-cert-auth=false \\\n", "https://${LISTEN_ON_ALL_IPS}:2379")},
			[]string{"etcd-pod.yaml"}, map[string]string{"etcd-pod.yaml" + clientTLS: "pass", "etcd-pod.yaml" + clientAuth: "fail not-required"}},
		"kOps": {hostFiles{pods + "etcd-main.manifest": etcdManagerPod("main", "4001", "2380"), pods + "etcd-events.manifest": etcdManagerPod("events", "4002", "2381")},
			[]string{"etcd-events.manifest", "etcd-main.manifest"}, map[string]string{"etcd-main.manifest" + clientTLS: "unknown", "etcd-events.manifest" + clientAuth: "unknown"}},
		"kOps that runs": {hostFiles{pods + "etcd-main.manifest": etcdManagerPod("main", "4001", "2380"), pods + "etcd-events.manifest": etcdManagerPod("events", "4002", "2381"),
			"proc/1/cmdline": "/sbin/init\x00", "proc/20/cmdline": "/opt/etcd-v3.5.21/etcd\x00", "proc/21/cmdline": "/opt/etcd-v3.5.21/etcd\x00", "proc/19/cmdline": "/ko-app/etcd-manager\x00--v=6\x00",
			"proc/20/environ": "ETCD_NAME=etcd-a\x00ETCD_LISTEN_CLIENT_URLS=http://0.0.0.0:4002\x00", "proc/21/environ": "ETCD_NAME=etcd-a\x00ETCD_LISTEN_CLIENT_URLS=https://0.0.0.0:4001\x00ETCD_CERT_FILE=/c\x00ETCD_KEY_FILE=/k\x00"},
			[]string{"etcd-events.manifest", "etcd-main.manifest"}, map[string]string{"etcd-main.manifest" + clientTLS: "pass", "etcd-events.manifest" + clientTLS: "fail plaintext"}},
		"kubespray":                       {hostFiles{enabled: unit, wants: "-> /" + enabled, "etc/etcd.env": kubespray}, []string{"etcd.service"}, map[string]string{"etcd.service" + clientTLS: "pass", "etcd.service" + clientAuth: "pass"}},
		"kubespray without its variables": {hostFiles{enabled: unit, wants: "-> /" + enabled}, []string{"etcd.service"}, map[string]string{"etcd.service" + clientTLS: "unknown", "etcd.service" + clientAuth: "unknown"}},
		"Bitnami": {hostFiles{pods + "etcd.yaml": bitnamiPod("")}, []string{"etcd.yaml"},
			map[string]string{"etcd.yaml" + clientTLS: "fail plaintext", "etcd.yaml" + clientAuth: "fail plaintext", "etcd.yaml" + peerTLS: "fail plaintext"}},
		"Bitnami by its scripts": {hostFiles{pods + "etcd.yaml": bitnamiPod("    command: [/opt/bitnami/scripts/etcd/entrypoint.sh]\n    args: [/opt/bitnami/scripts/etcd/run.sh]\n")}, []string{"etcd.yaml"},
			map[string]string{"etcd.yaml" + clientTLS: "fail plaintext", "etcd.yaml config-auto-tls": "unknown"}},
		"Bitnami's snapshots": {hostFiles{pods + "etcd.yaml": kubeadmPod, pods + "snapshot.yaml": bitnamiPod("    command: [/opt/bitnami/scripts/etcd/snapshot.sh]\n")}, []string{"etcd.yaml"}, nil},
		"what is no etcd": {hostFiles{
			pods + "etcd.yaml":    kubeadmPod,
			pods + "proxy.yaml":   "kind: Pod\nspec: {containers: [{image: 'quay.io/coreos/etcd:v3.5.21', command: [etcd], args: [grpc-proxy, start, --endpoints=https://10.0.0.1:2379]}]}\n",
			pods + "proxy2.yaml":  "kind: Pod\nspec: {containers: [{image: 'quay.io/coreos/etcd:v3.5.21', args: [/usr/local/bin/etcd, gateway, start]}]}\n",
			pods + "defrag.yaml":  script("while true; do etcdctl defrag; sleep 3600; done"),
			pods + "restore.yaml": script("etcdutl snapshot restore /s.db --data-dir=/var/lib/etcd && echo \"etcd --name=x is restored\""),
			pods + "version.yaml": script("etcd --version; sleep infinity"),
		}, []string{"etcd.yaml"}, map[string]string{"etcd.yaml" + clientTLS: "pass"}},
		"two etcds in one Pod": {hostFiles{pods + "etcd.yaml": strings.Replace(kubeadmPod, "  hostNetwork: true\n",
			"  - {name: events, image: 'registry.k8s.io/etcd:3.6.8-0', command: [etcd, --name=events, --data-dir=/var/lib/events, '--listen-client-urls=http://10.0.0.11:2382']}\n  hostNetwork: true\n", 1)},
			[]string{"etcd.yaml, container etcd", "etcd.yaml, container events"}, map[string]string{"etcd.yaml, container etcd" + clientTLS: "pass", "etcd.yaml, container events" + clientTLS: "fail plaintext"}},
		"a sidecar": {hostFiles{pods + "app.yaml": "kind: Pod\nspec:\n  initContainers: [{name: etcd, restartPolicy: Always, command: [etcd, '--listen-client-urls=http://10.0.0.1:2379']}, {name: once, command: [etcd, --auto-tls]}]\n  containers: [{command: [app]}]\n"},
			[]string{"app.yaml"}, map[string]string{"app.yaml" + clientTLS: "fail plaintext"}},
		"a script": {hostFiles{pods + "etcd.yaml": script("exec etcd $TLS --client-cert-auth=true --listen-client-urls=https://0.0.0.0:2379")}, []string{"etcd.yaml"},
			map[string]string{"etcd.yaml" + clientTLS: "pass", "etcd.yaml" + clientAuth: "pass"}},
		"a script with an address of the kubelet": {hostFiles{pods + "etcd.yaml": script("exec etcd $TLS --listen-client-urls=https://${POD_IP}:2379,http://${POD_IP}:2378")}, []string{"etcd.yaml"},
			map[string]string{"etcd.yaml" + clientTLS: "fail plaintext", "etcd.yaml" + clientAuth: "fail plaintext", "etcd.yaml config-auto-tls": "pass"}},
		"a script with an address of the kubelet alone": {hostFiles{pods + "etcd.yaml": script("exec etcd $TLS --listen-client-urls=https://${POD_IP}:2379")}, []string{"etcd.yaml"},
			map[string]string{"etcd.yaml" + clientTLS: "unknown"}},
		"a script with more flags": {hostFiles{pods + "etcd.yaml": script("exec etcd --listen-client-urls=http://0.0.0.0:2379 $MORE --auto-tls=true")}, []string{"etcd.yaml"},
			map[string]string{"etcd.yaml" + clientTLS: "unknown", "etcd.yaml config-auto-tls": "unknown"}},
		"a script in a file": {hostFiles{
			pods + "etcd.yaml":   "kind: Pod\nspec:\n  containers: [{image: 'quay.io/coreos/etcd:v3.5.21', command: [/scripts/run.sh], volumeMounts: [{name: s, mountPath: /scripts}]}]\n  volumes: [{name: s, hostPath: {path: /srv/scripts}}]\n",
			"srv/scripts/run.sh": "#!/bin/sh\nexec etcd --listen-client-urls=http://0.0.0.0:2379\n",
		}, []string{"etcd.yaml"}, map[string]string{"etcd.yaml" + clientTLS: "fail plaintext"}},
		"a script in a ConfigMap": {hostFiles{pods + "etcd.yaml": "kind: Pod\nspec: {containers: [{image: 'quay.io/coreos/etcd:v3.5.21', command: [/scripts/run.sh]}]}\n"},
			[]string{"etcd.yaml"}, map[string]string{"etcd.yaml" + clientTLS: "unknown"}},
		"a unit with a root of its own": {hostFiles{enabled: "[Service]\nRootDirectory=/srv/root\nBindReadOnlyPaths=/srv/conf:/conf\nTemporaryFileSystem=/tmp:ro /conf/tmp\nExecStart=/usr/bin/etcd --config-file=/etc/etcd.yaml\n", wants: "-> /" + enabled,
			"etc/etcd.yaml": "listen-client-urls: https://127.0.0.1:2379\n", "srv/root/etc/etcd.yaml": "listen-client-urls: http://10.0.0.1:2379\n"},
			[]string{"etcd.service"}, map[string]string{"etcd.service" + clientTLS: "fail plaintext"}},
		"a unit with paths of its own": {hostFiles{enabled: "[Service]\nBindReadOnlyPaths=/srv/conf:/conf\nTemporaryFileSystem=/conf/tmp:ro\nExecStart=/usr/bin/etcd --config-file=/conf/etcd.yaml\n", wants: "-> /" + enabled,
			"conf/etcd.yaml": "listen-client-urls: https://127.0.0.1:2379\n", "srv/conf/etcd.yaml": "listen-client-urls: http://10.0.0.1:2379\n"},
			[]string{"etcd.service"}, map[string]string{"etcd.service" + clientTLS: "fail plaintext"}},
		"a unit with a temporary folder": {hostFiles{enabled: "[Service]\nTemporaryFileSystem=/conf\nExecStart=/usr/bin/etcd --config-file=/conf/etcd.yaml\n", wants: "-> /" + enabled, "conf/etcd.yaml": "listen-client-urls: http://10.0.0.1:2379\n"},
			[]string{"etcd.service"}, map[string]string{"etcd.service" + clientTLS: "unknown"}},
		"a unit with another temporary folder": {hostFiles{enabled: "[Service]\nTemporaryFileSystem=/tmp\nExecStart=/usr/bin/etcd --config-file=/conf/etcd.yaml\n", wants: "-> /" + enabled, "conf/etcd.yaml": "listen-client-urls: http://10.0.0.1:2379\n"},
			[]string{"etcd.service"}, map[string]string{"etcd.service" + clientTLS: "fail plaintext"}},
		"a unit with a container": {hostFiles{enabled: "[Service]\nExecStart=/usr/bin/docker run --rm --name etcd -v etcd-data:/var/lib/etcd -v /etc/ssl/etcd:/etc/ssl/etcd:ro quay.io/coreos/etcd:v3.5.21 /usr/local/bin/etcd --name=a\n", wants: "-> /" + enabled},
			[]string{"etcd.service"}, map[string]string{"etcd.service" + clientTLS: "unknown"}},
		"a unit with a container of etcdctl": {hostFiles{pods + "etcd.yaml": kubeadmPod, enabled: "[Service]\nExecStart=/usr/bin/docker run --rm quay.io/coreos/etcd:v3.5.21 etcdctl defrag\n", wants: "-> /" + enabled}, []string{"etcd.yaml"}, nil},
		"a volume over a folder of the host": {hostFiles{pods + "etcd.yaml": "kind: Pod\nspec:\n  containers: [{command: [etcd, --config-file=/etc/kubernetes/etcd/conf.yaml], volumeMounts: [{name: h, mountPath: /etc/kubernetes}, {name: e, mountPath: /etc/kubernetes/etcd}]}]\n" +
			"  volumes: [{name: h, hostPath: {path: /etc/kubernetes}}, {name: e, emptyDir: {}}]\n", "etc/kubernetes/etcd/conf.yaml": "listen-client-urls: http://10.0.0.1:2379\n"},
			[]string{"etcd.yaml"}, map[string]string{"etcd.yaml" + clientTLS: "unknown"}},
		"a part of a volume that the kubelet names": {hostFiles{pods + "etcd.yaml": "kind: Pod\nspec:\n  containers: [{command: [etcd, --config-file=/conf/conf.yaml], volumeMounts: [{name: h, mountPath: /conf, subPathExpr: $(POD_NAME)}]}]\n" +
			"  volumes: [{name: h, hostPath: {path: /srv/etcd}}]\n", "srv/etcd/conf.yaml": "listen-client-urls: http://10.0.0.1:2379\n"},
			[]string{"etcd.yaml"}, map[string]string{"etcd.yaml" + clientTLS: "unknown"}},
		"a unit with a script": {hostFiles{enabled: "[Service]\nEnvironment=URLS=http://10.0.0.1:2379\nExecStart=/usr/local/bin/etcd-start.sh\n", wants: "-> /" + enabled,
			"usr/local/bin/etcd-start.sh": "#!/bin/bash\nexec chrt -f 50 taskset -c 0-3 /usr/local/bin/etcd --listen-client-urls=\"$URLS\"\n"},
			[]string{"etcd.service"}, map[string]string{"etcd.service" + clientTLS: "fail plaintext"}},
	}
}

// Every etcd of a host as real distributions set it up is found once, and nothing else is taken
// for one. What its files say for certain is judged.
func TestLayouts(t *testing.T) {
	t.Parallel()
	for name, l := range layouts() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := l.files.write(t)
			h, err := host.Find(t.Context(), host.Config{Root: root})
			if err != nil {
				t.Fatal(err)
			}
			var origins []string
			for _, s := range h.Etcds {
				origins = append(origins, strings.TrimPrefix(s.Origin, "/etc/kubernetes/manifests/"))
			}
			if !slices.Equal(origins, l.etcds) {
				t.Errorf("found %q, want %q", origins, l.etcds)
			}
			results := map[string]audit.Result{}
			for key, r := range verdictsOf(t, root) {
				results[strings.TrimPrefix(strings.TrimPrefix(key, "host:"), "/etc/kubernetes/manifests/")] = r
			}
			for key, want := range l.want {
				r := results[key]
				if got := strings.TrimSpace(string(r.Verdict) + " " + strings.Join(r.Codes, ",")); got != want {
					t.Errorf("%s: %s (%s), want %s", key, got, r.Evidence, want)
				}
			}
		})
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
