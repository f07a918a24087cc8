package lint

import (
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/manifests/encryption"
)

// builtinRelease is the release of Kubernetes whose resources builtin lists.
const builtinRelease = "1.37"

// group is an API group of Kubernetes.
type group struct {
	name    string
	stored  string // what etcd has of it, by their plural names
	virtual string // what the API answers and never stores
}

// builtin returns the resources of Kubernetes itself, of every version that can be enabled
// (kubernetes/kubernetes api/discovery/aggregated_v2.json, and k8s.io/api for 1.37).
func builtin() []group {
	return []group{
		{"", "configmaps endpoints events limitranges namespaces nodes persistentvolumeclaims persistentvolumes pods podtemplates replicationcontrollers resourcequotas secrets serviceaccounts services", "bindings componentstatuses"},
		{"admissionregistration.k8s.io", "mutatingadmissionpolicies mutatingadmissionpolicybindings mutatingwebhookconfigurations validatingadmissionpolicies validatingadmissionpolicybindings validatingwebhookconfigurations", ""},
		{"apiextensions.k8s.io", "customresourcedefinitions", ""},
		{"apiregistration.k8s.io", "apiservices", ""},
		{"apps", "controllerrevisions daemonsets deployments replicasets statefulsets", ""},
		{"authentication.k8s.io", "", "selfsubjectreviews tokenreviews"},
		{"authorization.k8s.io", "", "localsubjectaccessreviews selfsubjectaccessreviews selfsubjectrulesreviews subjectaccessreviews"},
		{"autoscaling", "horizontalpodautoscalers", ""},
		{"batch", "cronjobs jobs", ""},
		{"certificates.k8s.io", "certificatesigningrequests clustertrustbundles podcertificaterequests", ""},
		{"coordination.k8s.io", "leasecandidates leases", ""},
		{"discovery.k8s.io", "endpointslices", ""},
		{"flowcontrol.apiserver.k8s.io", "flowschemas prioritylevelconfigurations", ""},
		{"internal.apiserver.k8s.io", "storageversions", ""},
		{"lifecycle.k8s.io", "evictions evictionrequests", ""},
		{"networking.k8s.io", "ingressclasses ingresses ipaddresses networkpolicies servicecidrs", ""},
		{"node.k8s.io", "runtimeclasses", ""},
		{"policy", "poddisruptionbudgets", ""},
		{"rbac.authorization.k8s.io", "clusterrolebindings clusterroles rolebindings roles", ""},
		{"resource.k8s.io", "deviceclasses devicetaintrules resourceclaims resourceclaimtemplates resourcepoolstatusrequests resourceslices", ""},
		{"scheduling.k8s.io", "compositepodgroups podgroups priorityclasses workloads", ""},
		{"storage.k8s.io", "csidrivers csinodes csistoragecapacities storageclasses volumeattachments volumeattributesclasses", ""},
		{"storagemigration.k8s.io", "storageversionmigrations", ""},
	}
}

func (g group) has(resource string) bool {
	return slices.Contains(strings.Fields(g.stored), resource)
}

func (g group) isVirtual(resource string) bool {
	return slices.Contains(strings.Fields(g.virtual), resource)
}

func findGroup(groups []group, name string) (group, bool) {
	at := slices.IndexFunc(groups, func(g group) bool { return g.name == name })
	if at < 0 {
		return group{}, false
	}
	return groups[at], true
}

// findNearest returns the only resource that a name may stand for; empty if there are none or several.
// A correct resource with a wrong or missing group comes before a misspelt one.
func findNearest(groups []group, gr encryption.GroupResource) string {
	var exact, near []string
	for _, g := range groups {
		for resource := range strings.FieldsSeq(g.stored) {
			full := encryption.GroupResource{Resource: resource, Group: g.name}.String()
			switch {
			case resource == gr.Resource:
				exact = append(exact, full)
			case (gr.Group == "" || gr.Group == g.name) && isCloseTo(resource, gr.Resource):
				near = append(near, full)
			}
		}
	}
	if len(exact) == 0 {
		exact = near
	}
	if len(exact) != 1 {
		return ""
	}
	return exact[0]
}

// isCloseTo reports whether a name is another's singular, or differs from it in one or two letters.
func isCloseTo(resource, written string) bool {
	const least = 4 // in shorter names, two letters are another name
	if resource == written+"s" || resource == written+"es" || strings.HasSuffix(resource, "ies") && written == strings.TrimSuffix(resource, "ies")+"y" {
		return true
	}
	return len(written) >= least && countEdits(resource, written) <= 1+len(written)/8
}

// countEdits counts the letters to insert, delete or replace, or neighbours to swap.
func countEdits(a, b string) int {
	if len(a)+len(b) > 200 {
		return len(a) + len(b) // no name is so long
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			replace := rows[i-1][j-1]
			if a[i-1] != b[j-1] {
				replace++
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
