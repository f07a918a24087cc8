package policies

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// Rendered is an intent in the form of one backend.
type Rendered struct {
	Backend string
	// Text is what an operator applies. Equal intents give equal bytes.
	Text []byte
	// Objects are those in Text, of backends that are objects of Kubernetes.
	Objects kube.Objects
	// Rules are those in Text, of backend nftables.
	Rules *nft.Ruleset
	// Units are the drop-ins of backend systemd, one for each member.
	Units []SystemdDropIn
}

// RenderOptions are what a spec does not say.
type RenderOptions struct {
	// CiliumStrict shuts out the hosts of other nodes too, which takes an agent that knows the
	// labels of nodes.
	CiliumStrict bool
	// OtherNode is a node without a member, whose nftables are only about what it forwards.
	OtherNode bool
}

// Refusal is a backend that could not enforce an intent, however it were written.
type Refusal struct {
	Backend string
	Why     string
	Instead []string // backends that can
}

func (r Refusal) Error() string {
	text := fmt.Sprintf("%s cannot isolate this etcd: %s", r.Backend, r.Why)
	if len(r.Instead) > 0 {
		text += "; what can: " + strings.Join(r.Instead, ", ")
	}
	return text
}

// Render writes an intent for a backend. The error is a Refusal where the backend would not
// enforce it.
func Render(i *Intent, backend string, o RenderOptions) (Rendered, error) {
	if err := i.Refuse(backend); err != nil {
		return Rendered{}, err
	}
	r := Rendered{Backend: backend}
	var documents []document
	var err error
	switch backend {
	case "networkpolicy":
		documents, err = networkPolicy(i)
	case "calico":
		documents = calico(i)
	case "cilium":
		documents, err = cilium(i, o.CiliumStrict)
	case "clusternetworkpolicy":
		documents, err = clusterNetworkPolicy(i)
	case "systemd":
		r.Units, err = systemdDropIns(i)
		if err == nil && len(r.Units) > 0 {
			r.Text = r.Units[0].Text // the same for all of them
		}
		return r, err
	case "nftables":
		r.Rules = Nftables(i)
		if o.OtherNode {
			r.Rules = NftablesForward(i)
		}
		r.Text = r.Rules.Text()
		return r, nil
	default:
		return Rendered{}, fmt.Errorf("%q is no backend; want one of %s", backend, strings.Join(cluster.Backends(), ", "))
	}
	if err != nil {
		return Rendered{}, err
	}
	if r.Text, err = writeDocuments(i, backend, documents); err != nil {
		return Rendered{}, fmt.Errorf("writing the objects of %s: %w", backend, err)
	}
	for _, d := range documents {
		r.Objects.Add(d.objects())
	}
	return r, nil
}

// neverClosed are the ports by which a host is administered and a mistake is mended.
var neverClosed = []struct {
	port uint16
	of   string
}{{22, "SSH"}, {6443, "the API server"}}

// Refuse says why a backend is not for an intent, as far as that needs no rendering.
func (i *Intent) Refuse(backend string) error {
	var faults []error
	for _, p := range i.Ports.All() {
		for _, never := range neverClosed {
			if p == never.port {
				faults = append(faults, Refusal{Backend: backend, Why: fmt.Sprintf("port %d of etcd is that of %s, which no rule here ever closes: give etcd another", p, never.of)})
			}
		}
	}
	if backend != "networkpolicy" && i.Runtime == cluster.Hosted {
		return Refusal{backend, "hosted members are Pods, whose addresses change; a NetworkPolicy selects them by label, and Calico and Cilium enforce it", []string{"networkpolicy"}}
	}
	return errors.Join(faults...)
}

// hosts are prefixes of single addresses.
func hosts(addrs []netip.Addr) []netip.Prefix {
	prefixes := make([]netip.Prefix, 0, len(addrs))
	for _, a := range addrs {
		prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen()))
	}
	return prefixes
}

// families are the IPv4 networks and the IPv6 networks, merged, as text.
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

// texts are networks, merged, as text.
func texts(networks ...[]netip.Prefix) []string {
	four, six := families(networks...)
	return append(four, six...)
}

// inPods are the networks among some that hold addresses of Pods.
func (i *Intent) inPods(networks []netip.Prefix) []netip.Prefix {
	var found []netip.Prefix
	for _, p := range networks {
		if slices.ContainsFunc(i.PodCIDRs, p.Overlaps) {
			found = append(found, p)
		}
	}
	return found
}

// refusePodClients refuses a backend that knows Pods by label where the spec has some by address.
func (i *Intent) refusePodClients(backend, why string) error {
	for _, of := range []struct {
		name     string
		networks []netip.Prefix
	}{{"scrapers", i.Scrapers}, {"backups", i.Backups}} {
		if found := i.inPods(of.networks); len(found) > 0 {
			return Refusal{backend, fmt.Sprintf("spec.isolation.%s: %s is of Pods, and %s; let them run on the host network and give the addresses of their nodes", of.name, found[0], why), []string{"calico", "nftables"}}
		}
	}
	return nil
}

// managed is the metadata of an object of ours.
func (i *Intent) managed(name string) kube.ObjectMeta {
	return kube.ObjectMeta{Name: name, Labels: map[string]string{ManagedBy: Manager}}
}

// The label by which objects of ours are known.
const (
	ManagedBy = "app.kubernetes.io/managed-by"
	Manager   = "etcdsec"
)

func matchLabels(labels []cluster.Label) map[string]string {
	match := make(map[string]string, len(labels))
	for _, l := range labels {
		match[l.Key] = l.Value
	}
	return match
}
