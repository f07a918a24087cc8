package clitest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/etcdsec/etcdsec/internal/oracle"
)

// KubeadmCerts lets the real kubeadm make an etcd PKI for one node. Its configuration is
// kubeadm.yaml in dir, and the certificates are below into.
func KubeadmCerts(t testing.TB, dir, into string) {
	t.Helper()
	binary, err := oracle.Binary(t.Context(), "kubeadm", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "kubeadm.yaml")
	text := `apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {advertiseAddress: 10.99.0.1}
nodeRegistration: {name: cp-0, criSocket: unix:///run/containerd/containerd.sock}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.36.3
encryptionAlgorithm: ECDSA-P256
certificatesDir: ` + into + "\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), binary, "init", "phase", "certs", "all", "--config", config).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}
