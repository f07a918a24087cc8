package collect

import (
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/collect/host"
)

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
