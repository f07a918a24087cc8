package manifests

import (
	"fmt"

	"sigs.k8s.io/yaml"

	"github.com/etcdsec/etcdsec/cluster"
)

// The parts of a Pod (k8s.io/api/core/v1) that a static etcd Pod has. The real types
// would add a third to the binary and write empty fields such as status.
type (
	pod struct {
		APIVersion string   `json:"apiVersion"`
		Kind       string   `json:"kind"`
		Metadata   metadata `json:"metadata"`
		Spec       podSpec  `json:"spec"`
	}
	metadata struct {
		Name      string            `json:"name"`
		Namespace string            `json:"namespace"`
		Labels    map[string]string `json:"labels"`
	}
	podSpec struct {
		HostNetwork       bool        `json:"hostNetwork"`
		PriorityClassName string      `json:"priorityClassName"`
		SecurityContext   podSecurity `json:"securityContext"`
		Containers        []container `json:"containers"`
		Volumes           []volume    `json:"volumes"`
	}
	podSecurity struct {
		SeccompProfile seccompProfile `json:"seccompProfile"`
	}
	seccompProfile struct {
		Type string `json:"type"`
	}
	container struct {
		Name            string            `json:"name"`
		Image           string            `json:"image"`
		Command         []string          `json:"command"`
		SecurityContext containerSecurity `json:"securityContext"`
		Resources       resources         `json:"resources"`
		VolumeMounts    []volumeMount     `json:"volumeMounts"`
		StartupProbe    probe             `json:"startupProbe"`
		LivenessProbe   probe             `json:"livenessProbe"`
		ReadinessProbe  probe             `json:"readinessProbe"`
	}
	containerSecurity struct {
		AllowPrivilegeEscalation bool         `json:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool         `json:"readOnlyRootFilesystem"`
		Capabilities             capabilities `json:"capabilities"`
	}
	capabilities struct {
		Drop []string `json:"drop"`
	}
	resources struct {
		Requests map[string]string `json:"requests"`
	}
	volumeMount struct {
		Name      string `json:"name"`
		MountPath string `json:"mountPath"`
		ReadOnly  bool   `json:"readOnly,omitempty"`
	}
	volume struct {
		Name     string   `json:"name"`
		HostPath hostPath `json:"hostPath"`
	}
	hostPath struct {
		Path string `json:"path"`
		Type string `json:"type"`
	}
	probe struct {
		HTTPGet          httpGet `json:"httpGet"`
		FailureThreshold int     `json:"failureThreshold"`
		PeriodSeconds    int     `json:"periodSeconds"`
		TimeoutSeconds   int     `json:"timeoutSeconds"`
	}
	httpGet struct {
		Host   string `json:"host"`
		Path   string `json:"path"`
		Port   int    `json:"port"`
		Scheme string `json:"scheme"`
	}
)

// livezSince is the first 3.5 release with /livez and /readyz.
var livezSince = cluster.Version{Major: 3, Minor: 5, Patch: 11}

// staticPod returns kubeadm's etcd Pod with what kubeadm leaves out: no capabilities, no way
// to gain any, a read-only root filesystem and read-only certificates. etcd runs as root
// without the power to override file permissions, so its files must be root's own.
func staticPod(c *cluster.Cluster, m cluster.Member, config etcdConfig) ([]byte, error) {
	live, ready := "/livez", "/readyz"
	if c.Etcd.Version.Compare(livezSince) < 0 {
		live, ready = "/health?exclude=NOSPACE&serializable=true", "/health?serializable=false"
	}
	check := func(path string, failures int) probe {
		return probe{
			HTTPGet:          httpGet{Host: metricsHost(m), Path: path, Port: int(c.Etcd.MetricsPort), Scheme: "HTTP"},
			FailureThreshold: failures, PeriodSeconds: 10, TimeoutSeconds: 15,
		}
	}
	p := pod{
		APIVersion: "v1",
		Kind:       "Pod",
		Metadata: metadata{
			Name: "etcd", Namespace: "kube-system",
			Labels: map[string]string{"component": "etcd", "tier": "control-plane"},
		},
		Spec: podSpec{
			HostNetwork:       true,
			PriorityClassName: "system-node-critical",
			SecurityContext:   podSecurity{seccompProfile{"RuntimeDefault"}},
			Containers: []container{{
				Name:    "etcd",
				Image:   "registry.k8s.io/etcd:" + c.Etcd.Version.String() + "-0",
				Command: append([]string{"etcd"}, config.flags()...),
				SecurityContext: containerSecurity{
					ReadOnlyRootFilesystem: true,
					Capabilities:           capabilities{Drop: []string{"ALL"}},
				},
				Resources: resources{map[string]string{"cpu": "100m", "memory": "100Mi"}},
				VolumeMounts: []volumeMount{
					{Name: "etcd-data", MountPath: config.DataDir},
					{Name: "etcd-certs", MountPath: c.Etcd.PKIDir(m), ReadOnly: true},
				},
				StartupProbe:   check(ready, 24),
				LivenessProbe:  check(live, 8),
				ReadinessProbe: check(ready, 3),
			}},
			Volumes: []volume{
				{"etcd-data", hostPath{config.DataDir, "Directory"}},
				{"etcd-certs", hostPath{c.Etcd.PKIDir(m), "Directory"}},
			},
		},
	}
	body, err := yaml.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encoding the Pod of %s: %w", m.Name, err)
	}
	// The kubelet would create the data dir with mode 0755.
	header := fmt.Sprintf("# Written by etcdsec. Before the kubelet starts this Pod: install -d -m 0700 %s\n", config.DataDir)
	return append([]byte(header), body...), nil
}
