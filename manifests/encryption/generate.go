package encryption

import (
	"path"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/cluster"
)

// Generate makes the configuration of a spec. key is for every provider except kms, which has no
// key here. Rules with wildcards come last, as kube-apiserver requires.
func Generate(c *cluster.Cluster, key Key) *Configuration {
	spec := c.Encryption
	provider := Provider{Type: ProviderType(spec.Provider), Keys: []Key{key}}
	if provider.Type == KMS {
		provider = Provider{Type: KMS, Plugin: &KMSPlugin{APIVersion: KMSVersion2, Name: c.Name + "-kms", Endpoint: spec.Socket, Timeout: defaultTimeout}}
	}
	identity := Provider{Type: Identity}
	providers := map[cluster.Phase][]Provider{
		cluster.Encrypted: {provider},
		cluster.Enabling:  {provider, identity},
		cluster.Disabling: {identity, provider},
	}[cluster.Phase(spec.Phase)]

	var named, groups, everything []string
	for _, r := range spec.Resources {
		switch {
		case ParseGroupResource(r) == Everything():
			everything = append(everything, r)
		case cluster.Wildcard(r):
			groups = append(groups, r)
		default:
			named = append(named, r)
		}
	}
	result := &Configuration{}
	add := func(resources []string, providers ...Provider) {
		if len(resources) > 0 {
			result.Rules = append(result.Rules, Rule{Resources: resources, Providers: providers}.clone())
		}
	}
	add(spec.Exclude, identity)
	add(named, providers...)
	add(groups, providers...)
	add(everything, providers...)
	return result
}

// Cost returns what an operator should know before choosing a provider; empty if there is nothing.
func (t ProviderType) Cost() string {
	switch t {
	case AESGCM:
		return "aesgcm: replace the key before it has made 200,000 writes: its nonces are random and short, and two equal ones reveal the key"
	case AESCBC:
		return "aescbc: nothing authenticates what is stored: whoever writes to etcd can change or move ciphertext, and decrypt it by watching the answers to changed padding; secretbox costs no more"
	case Secretbox, KMS, Identity:
	}
	return ""
}

// Setup holds the settings of a kube-apiserver.
type Setup struct {
	// Path is the file on the host of the API server, in a folder of its own: a Pod must mount
	// the folder, because a mounted file stays the old one when it is replaced.
	Path  string
	Flags []string
	// Kubeadm is the same as kubeadm's ClusterConfiguration.
	Kubeadm []byte
}

// hostPath is where every API server's host keeps the file.
const hostPath = "/etc/kubernetes/encryption/encryption-config.yaml"

// The parts of kubeadm's ClusterConfiguration (kubeadm.k8s.io/v1beta4) that concern kube-apiserver.
type (
	kubeadmConfig struct {
		APIVersion string           `json:"apiVersion"`
		Kind       string           `json:"kind"`
		APIServer  kubeadmAPIServer `json:"apiServer"`
	}
	kubeadmAPIServer struct {
		ExtraArgs    []kubeadmArg    `json:"extraArgs"`
		ExtraVolumes []kubeadmVolume `json:"extraVolumes"`
	}
	kubeadmArg struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	}
	kubeadmVolume struct {
		Name      string `json:"name"`
		HostPath  string `json:"hostPath"`
		MountPath string `json:"mountPath"`
		ReadOnly  bool   `json:"readOnly,omitempty"`
		PathType  string `json:"pathType"`
	}
)

// NewSetup returns how the API servers of a cluster come to use its configuration.
func NewSetup(c *cluster.Cluster) (Setup, error) {
	args := []kubeadmArg{
		{"encryption-provider-config", hostPath},
		{"encryption-provider-config-automatic-reload", "true"},
	}
	s := Setup{Path: hostPath}
	for _, a := range args {
		s.Flags = append(s.Flags, "--"+a.Name+"="+a.Value)
	}
	directory := func(name, path string, readOnly bool) kubeadmVolume {
		return kubeadmVolume{Name: name, HostPath: path, MountPath: path, ReadOnly: readOnly, PathType: "Directory"}
	}
	volumes := []kubeadmVolume{directory("encryption-config", path.Dir(hostPath), true)}
	if c.Encryption.Provider == string(KMS) {
		volumes = append(volumes, directory("kms", path.Dir(strings.TrimPrefix(c.Encryption.Socket, "unix://")), false))
	}
	body, err := yaml.Marshal(kubeadmConfig{
		APIVersion: "kubeadm.k8s.io/v1beta4", Kind: "ClusterConfiguration",
		APIServer: kubeadmAPIServer{ExtraArgs: args, ExtraVolumes: volumes},
	})
	const header = "# Written by etcdsec. Merge it into the configuration that kubeadm gets, when the file\n# is on every control-plane node.\n"
	s.Kubeadm = append([]byte(header), body...)
	return s, err
}
