package manifests

import (
	"path"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
)

// kubeletManifests is the folder from which the kubelet of kubeadm runs static Pods.
const kubeletManifests = "/etc/kubernetes/manifests"

// AfterBootstrap tells where the files of [Member] go on each node, and how etcd starts there. It is empty
// if another tool runs etcd.
func AfterBootstrap(c *cluster.Cluster) []string {
	files, err := Member(c, c.Etcd.Members[0])
	has := func(name string) bool {
		return slices.ContainsFunc(files, func(f File) bool { return path.Base(f.Path) == name })
	}
	pki := c.Etcd.PKIDir(c.Etcd.Members[0])
	start := "let its user own the keys: chown -R etcd:etcd " + pki + "; start it: systemctl enable --now --no-block etcd (the first member is ready only when a second one runs)"
	switch {
	case err != nil || len(files) == 0:
		return nil
	case has(podFile):
		return []string{"on each node make the data folder as the first line of " + podFile + " says, then copy " + podFile + " to " + kubeletManifests + ": the kubelet starts etcd"}
	case !has(unitFile):
		return []string{"start etcd of each member with its " + configFile}
	case !has(configFile):
		return []string{"on each node copy " + unitFile + " to /etc/systemd/system; " + start}
	default:
		return []string{"on each node copy " + configFile + " to " + cluster.ConfigPath + " and " + unitFile + " to /etc/systemd/system; " + start}
	}
}
