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
	switch {
	case err != nil || len(files) == 0:
		return nil
	case has(podFile):
		return []string{"then copy " + podFile + " of each member to " + kubeletManifests + " on its node: the kubelet starts etcd"}
	case !has(unitFile):
		return []string{"start etcd of each member with its " + configFile}
	case !has(configFile):
		return []string{"then copy " + unitFile + " of each member to /etc/systemd/system on its node, and run there: systemctl enable --now etcd"}
	default:
		return []string{"then copy " + configFile + " of each member to " + cluster.ConfigPath + " and " + unitFile + " to /etc/systemd/system on its node, and run there: systemctl enable --now etcd"}
	}
}
