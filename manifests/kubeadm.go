package manifests

import (
	"fmt"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/cluster"
)

// The parts of kubeadm's ClusterConfiguration (kubeadm.k8s.io/v1beta4) that concern etcd.
type (
	kubeadmConfig struct {
		APIVersion      string            `json:"apiVersion"`
		Kind            string            `json:"kind"`
		CertificatesDir string            `json:"certificatesDir"`
		APIServer       *kubeadmAPIServer `json:"apiServer,omitempty"`
		Etcd            kubeadmEtcd       `json:"etcd"`
	}
	kubeadmAPIServer struct {
		ExtraArgs []kubeadmArg `json:"extraArgs"`
	}
	kubeadmEtcd struct {
		Local kubeadmLocalEtcd `json:"local"`
	}
	kubeadmLocalEtcd struct {
		ImageTag  string       `json:"imageTag"`
		DataDir   string       `json:"dataDir"`
		ExtraArgs []kubeadmArg `json:"extraArgs"`
	}
	kubeadmArg struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
)

// kubeadmFile returns the settings of etcd for `kubeadm init`, which runs etcd itself. An extraArg
// replaces kubeadm's own flag of that name. kubeadm sets the names, URLs and other files of each node
// on its own.
func kubeadmFile(c *cluster.Cluster) (File, error) {
	m := c.Etcd.Members[0]
	config := newEtcdConfig(c, m)
	args := []kubeadmArg{
		{"peer-trusted-ca-file", config.PeerTLS.TrustedCAFile},
		{"tls-min-version", config.TLSMinVersion},
		{"strict-reconfig-check", strconv.FormatBool(config.StrictReconfigCheck)},
		{"enable-grpc-gateway", strconv.FormatBool(config.EnableGRPCGateway)},
		{"enable-pprof", strconv.FormatBool(config.EnablePprof)},
		{"quota-backend-bytes", strconv.FormatInt(config.QuotaBackendBytes, 10)},
	}
	if config.ClientTLS.ClientCertFile != "" {
		args = append(args, kubeadmArg{"client-cert-file", config.ClientTLS.ClientCertFile}, kubeadmArg{"client-key-file", config.ClientTLS.ClientKeyFile})
	}
	if config.ClientTLS.CRLFile != "" {
		args = append(args, kubeadmArg{"client-crl-file", config.ClientTLS.CRLFile}, kubeadmArg{"peer-crl-file", config.PeerTLS.CRLFile})
	}
	if len(config.CipherSuites) > 0 {
		args = append(args, kubeadmArg{"cipher-suites", strings.Join(config.CipherSuites, ",")})
	}
	var apiServer *kubeadmAPIServer
	if c.RBAC.Compaction == cluster.CompactionByEtcd {
		args = append(args, kubeadmArg{"auto-compaction-mode", config.AutoCompactionMode}, kubeadmArg{"auto-compaction-retention", config.AutoCompactionRetention})
		apiServer = &kubeadmAPIServer{[]kubeadmArg{{"etcd-compaction-interval", "0"}}}
	}
	body, err := yaml.Marshal(kubeadmConfig{
		APIVersion: "kubeadm.k8s.io/v1beta4", Kind: "ClusterConfiguration",
		CertificatesDir: c.Etcd.PKIDir(m), APIServer: apiServer,
		Etcd: kubeadmEtcd{kubeadmLocalEtcd{
			ImageTag: c.Etcd.Version.String() + "-0", DataDir: config.DataDir, ExtraArgs: args,
		}},
	})
	if err != nil {
		return File{}, fmt.Errorf("encoding kubeadm's configuration: %w", err)
	}
	header := "# Written by etcdsec. Merge it into the configuration that kubeadm init gets, after\n# nodes/MEMBER/pki was copied into certificatesDir on each node.\n"
	return File{"kubernetes/kubeadm-config.yaml", append([]byte(header), body...)}, nil
}

// All renders every file of a store besides certificates: those of [Cluster], and those of each
// [Member].
func All(c *cluster.Cluster) ([]File, error) {
	all, err := Cluster(c)
	if err != nil {
		return nil, err
	}
	for _, m := range c.Etcd.Members {
		files, err := Member(c, m)
		if err != nil {
			return nil, err
		}
		all = append(all, files...)
	}
	return all, nil
}

// Cluster renders the files that the whole cluster needs once.
func Cluster(c *cluster.Cluster) ([]File, error) {
	if c.PKI.Layout != cluster.LayoutKubeadm || !c.OwnFlags() {
		return nil, nil
	}
	file, err := kubeadmFile(c)
	return []File{file}, err
}
