package census

import (
	"slices"
	"strings"
)

// kubernetesResource returns the resource that is stored at a place below the prefix of
// kube-apiserver. Those of the core group, and any that is not known here, are stored under their
// own names. The places are those of kubernetes/kubernetes test/integration/etcd/data.go; the
// exceptions are in pkg/kubeapiserver default_storage_factory_builder.go and pkg/controlplane.
func kubernetesResource(stored string) string {
	switch stored {
	case "minions":
		return "nodes"
	case "controllers":
		return "replicationcontrollers"
	case "services/specs":
		return "services"
	case "services/endpoints":
		return "endpoints"
	case "ingress":
		return "ingresses.networking.k8s.io"
	}
	for _, g := range kubernetesGroups() {
		if slices.Contains(g.resources, stored) {
			return stored + "." + g.name
		}
	}
	return stored
}

type group struct {
	name      string
	resources []string
}

func kubernetesGroups() []group {
	return []group{
		{"apps", []string{"controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"}},
		{"autoscaling", []string{"horizontalpodautoscalers"}},
		{"batch", []string{"cronjobs", "jobs"}},
		{"policy", []string{"poddisruptionbudgets", "podsecuritypolicy"}},
		{"admissionregistration.k8s.io", []string{
			"mutatingadmissionpolicies", "mutatingadmissionpolicybindings", "mutatingwebhookconfigurations",
			"validatingadmissionpolicies", "validatingadmissionpolicybindings", "validatingwebhookconfigurations",
		}},
		{"certificates.k8s.io", []string{"certificatesigningrequests", "clustertrustbundles", "podcertificaterequests"}},
		{"coordination.k8s.io", []string{"leasecandidates", "leases"}},
		{"discovery.k8s.io", []string{"endpointslices"}},
		{"flowcontrol.apiserver.k8s.io", []string{"flowschemas", "prioritylevelconfigurations"}},
		{"internal.apiserver.k8s.io", []string{"storageversions"}},
		{"networking.k8s.io", []string{"clustercidrs", "ingressclasses", "ipaddresses", "networkpolicies", "servicecidrs"}},
		{"node.k8s.io", []string{"runtimeclasses"}},
		{"rbac.authorization.k8s.io", []string{"clusterrolebindings", "clusterroles", "rolebindings", "roles"}},
		{"resource.k8s.io", []string{
			"deviceclasses", "devicetaintrules", "podschedulingcontexts", "resourceclaimparameters", "resourceclaims",
			"resourceclaimtemplates", "resourceclassparameters", "resourceclasses", "resourcepoolstatusrequests", "resourceslices",
		}},
		{"scheduling.k8s.io", []string{"podgroups", "priorityclasses", "workloads"}},
		{"storage.k8s.io", []string{
			"csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments", "volumeattributesclasses",
		}},
		{"storagemigration.k8s.io", []string{"storageversionmigrations"}},
	}
}

// neverEncrypted reports whether a resource is kube-apiserver's own bookkeeping, which it writes
// without the transformers of an EncryptionConfiguration, whatever that file says
// (pkg/controlplane/instance.go and pkg/controlplane/apiserver/peer.go; the services' ranges in
// pkg/registry/core/rest). None of them is an object of the API.
func neverEncrypted(resource string) bool {
	return slices.Contains([]string{"masterleases", "peerserverleases", "ranges"}, resource)
}

// openShiftResource does what kubernetesResource does, for the prefix of the OpenShift API server
// (openshift/openshift-apiserver and openshift/oauth-apiserver, specialDefaultResourcePrefixes).
func openShiftResource(stored string) string {
	if token, found := strings.CutPrefix(stored, "oauth/"); found {
		return "oauth" + token + ".oauth.openshift.io"
	}
	for _, g := range openShiftGroups() {
		if slices.Contains(g.resources, stored) {
			return stored + "." + g.name
		}
	}
	return stored
}

func openShiftGroups() []group {
	return []group{
		{"apps.openshift.io", []string{"deploymentconfigs"}},
		{"build.openshift.io", []string{"buildconfigs", "builds"}},
		{"image.openshift.io", []string{"images", "imagestreams"}},
		{"project.openshift.io", []string{"projects"}},
		{"route.openshift.io", []string{"routes"}},
		{"security.openshift.io", []string{"rangeallocations", "securitycontextconstraints"}},
		{"template.openshift.io", []string{"brokertemplateinstances", "templateinstances", "templates"}},
		{"user.openshift.io", []string{"groups", "identities", "useridentities", "users"}},
	}
}

// storedPrefixes returns where kube-apiserver stores its own resources, for a user who may not
// read everything below the prefix.
func storedPrefixes() []string {
	all := []string{
		"secrets", "configmaps", // what is encrypted, if anything is
		"apiextensions.k8s.io", "apiregistration.k8s.io", "controllers", "events", "ingress", "limitranges", "masterleases", "minions",
		"namespaces", "peerserverleases", "persistentvolumeclaims", "persistentvolumes", "pods", "podtemplates", "ranges",
		"resourcequotas", "serviceaccounts", "services/endpoints", "services/specs",
	}
	for _, g := range kubernetesGroups() {
		all = append(all, g.resources...)
	}
	return all
}
