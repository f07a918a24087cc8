package policies

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// Backend is one way to enforce an intent.
type Backend struct {
	Name cluster.Backend
	// Summary describes it in one line of help.
	Summary string

	// hosted is set on backends for members that are Pods; the others are for members on hosts.
	hosted bool
	// form is the kind of file that the backend is made of.
	form   form
	render func(*Intent, RenderOptions) (Rendered, error)
	// files lists what a store keeps of the backend.
	files func(*Intent) ([]File, error)
	// normal converts the backend's objects of a cluster to a form in which they can be compared.
	// It is nil for backends that are not made of Kubernetes objects.
	normal func(kube.Objects) []normalObject
}

// Backends returns all backends, in the order in which help names them. To add one, write its
// file and name it here and in package cluster.
func Backends() []Backend {
	return []Backend{
		networkPolicyBackend(), calicoBackend(), ciliumBackend(), clusterNetworkPolicyBackend(), nftablesBackend(), systemdBackend(),
	}
}

// FindBackend returns the [Backend] with a name. The error lists all names.
func FindBackend(name cluster.Backend) (Backend, error) {
	all := Backends()
	if at := slices.IndexFunc(all, func(b Backend) bool { return b.Name == name }); at >= 0 {
		return all[at], nil
	}
	names := make([]string, 0, len(all))
	for _, b := range all {
		names = append(names, string(b.Name))
	}
	return Backend{}, fmt.Errorf("backend %q does not exist; want one of %s", name, strings.Join(names, ", "))
}

// MadeOfObjects reports whether the backend consists of objects of Kubernetes.
func (b Backend) MadeOfObjects() bool { return b.normal != nil }

// Refusal means that a [Backend] cannot enforce an [Intent].
type Refusal struct {
	Backend cluster.Backend
	Why     string
	Instead []cluster.Backend // backends that can
}

func (r Refusal) Error() string {
	text := fmt.Sprintf("%s cannot isolate this etcd: %s", r.Backend, r.Why)
	if len(r.Instead) > 0 {
		names := make([]string, 0, len(r.Instead))
		for _, b := range r.Instead {
			names = append(names, string(b))
		}
		text += "; what can: " + strings.Join(names, ", ")
	}
	return text
}

// neverClosed lists the ports that are needed to administer a host and to correct a mistake.
var neverClosed = []struct {
	port uint16
	of   string
}{{22, "SSH"}, {6443, "the API server"}}

// Refuse returns why a backend cannot enforce an intent, as far as that is known before
// rendering.
func (i *Intent) Refuse(name cluster.Backend) error {
	b, err := FindBackend(name)
	if err != nil {
		return err
	}
	var faults []error
	for _, p := range i.Ports.All() {
		for _, never := range neverClosed {
			if p == never.port {
				faults = append(faults, Refusal{Backend: name, Why: fmt.Sprintf("port %d of etcd is also the port of %s, which etcdsec never closes: give etcd another port", p, never.of)})
			}
		}
	}
	if !b.hosted && i.Runtime == cluster.Hosted {
		return Refusal{
			name, "hosted members are Pods, whose addresses change; a NetworkPolicy selects them by label, and Calico and Cilium enforce it",
			[]cluster.Backend{cluster.BackendNetworkPolicy},
		}
	}
	return errors.Join(faults...)
}
