package policies

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/kube"
)

// Rendered holds the filters with which one backend enforces an intent.
type Rendered struct {
	Backend cluster.Backend
	// Text is the file that an operator applies. Equal intents give equal bytes.
	Text []byte
	// Filters hold what Text says. Units have a drop-in for each member, all of the same text.
	Filters
}

// RenderOptions holds settings that a spec does not have.
type RenderOptions struct {
	// CiliumStrict also shuts out the hosts of other nodes. The agent must know the labels of nodes
	// for it.
	CiliumStrict bool
	// OtherNode renders for a node without a member, whose nftables only filter what it forwards.
	OtherNode bool
}

// Render writes an intent for a backend. The error is a Refusal if the backend cannot
// enforce it.
func Render(i *Intent, name cluster.Backend, o RenderOptions) (Rendered, error) {
	b, err := FindBackend(name)
	if err != nil {
		return Rendered{}, err
	}
	if err := i.Refuse(name); err != nil {
		return Rendered{}, err
	}
	r, err := b.render(i, o)
	if err != nil {
		return Rendered{}, err
	}
	r.Backend = name
	return r, nil
}

// renderDocuments writes objects, with their comments.
func renderDocuments(i *Intent, name cluster.Backend, documents []document) (Rendered, error) {
	var r Rendered
	var err error
	if r.Text, err = writeDocuments(i, name, documents); err != nil {
		return Rendered{}, fmt.Errorf("writing the objects of %s: %w", name, err)
	}
	for _, d := range documents {
		r.Objects.Append(d.object)
	}
	return r, nil
}

// hosts returns a network for each single address.
func hosts(addrs []netip.Addr) []netip.Prefix {
	prefixes := make([]netip.Prefix, 0, len(addrs))
	for _, a := range addrs {
		prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen()))
	}
	return prefixes
}

// families returns the IPv4 networks and the IPv6 networks, merged, as text.
func families(networks ...[]netip.Prefix) (four, six []string) {
	for _, p := range merge(slices.Concat(networks...)) {
		if p.Addr().Is4() {
			four = append(four, p.String())
		} else {
			six = append(six, p.String())
		}
	}
	return four, six
}

// networkTexts merges the networks and returns each as text.
func networkTexts(networks ...[]netip.Prefix) []string {
	four, six := families(networks...)
	return append(four, six...)
}

// inPods returns those networks that hold addresses of Pods.
func (i *Intent) inPods(networks []netip.Prefix) []netip.Prefix {
	var found []netip.Prefix
	for _, p := range networks {
		if slices.ContainsFunc(i.PodCIDRs, p.Overlaps) {
			found = append(found, p)
		}
	}
	return found
}

// refusePodClients refuses a backend that knows Pods by label if the spec names some by address.
func (i *Intent) refusePodClients(backend cluster.Backend, why string) error {
	for _, of := range []struct {
		name     string
		networks []netip.Prefix
	}{{"scrapers", i.Scrapers}, {"backups", i.Backups}} {
		if found := i.inPods(of.networks); len(found) > 0 {
			return Refusal{backend, fmt.Sprintf("spec.isolation.%s: %s is a range of Pods, and %s; let them run on the host network and give the addresses of their nodes", of.name, found[0], why), []cluster.Backend{cluster.BackendCalico, cluster.BackendNftables}}
		}
	}
	return nil
}

// managed returns the metadata of an object that etcdsec makes.
func (i *Intent) managed(name string) kube.ObjectMeta {
	return kube.ObjectMeta{Name: name, Labels: map[string]string{ManagedBy: Manager, clusterLabel: i.Cluster}}
}

// The labels that mark objects as made by etcdsec, and for which cluster of etcd: one cluster of Kubernetes
// may have several of them.
const (
	ManagedBy = "app.kubernetes.io/managed-by"
	Manager   = "etcdsec"

	clusterLabel = "etcdsec.dev/cluster"
)

func matchLabels(labels []cluster.Label) map[string]string {
	match := make(map[string]string, len(labels))
	for _, l := range labels {
		match[l.Key] = l.Value
	}
	return match
}
