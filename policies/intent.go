// Package policies turns one [Intent], who may reach etcd over the network, into filters that
// enforce it, one [Backend] each: NetworkPolicies, Calico, Cilium, ClusterNetworkPolicies,
// nftables and systemd. It uses no network and prints nothing.
package policies

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/etcdsec/etcdsec/cluster"
)

// Intent holds who may reach the members of a cluster. [NewIntent] makes one.
type Intent struct {
	Cluster string
	Runtime cluster.Runtime
	Ports   Ports

	Members, APIServers []Host
	Scrapers, Backups   []netip.Prefix // sorted, none within another
	PodCIDRs, NodeCIDRs []netip.Prefix // the same
	PodAddresses        cluster.PodAddresses
	MemberNodes         []cluster.Label
	Pods                cluster.Pods
	Backends            []cluster.Backend
	// Warnings lists what is allowed but unwise.
	Warnings []string
}

// Ports holds the TCP ports of every member.
type Ports struct{ Client, Peer, Metrics uint16 }

// All returns the three ports, in the order of the tables.
func (p Ports) All() []uint16 { return []uint16{p.Client, p.Peer, p.Metrics} }

// Host is a member or an API server as a packet filter knows it.
type Host struct {
	Name    string
	Node    string       // of Kubernetes
	Addrs   []netip.Addr // empty for hosted members, whose Pods change their addresses
	Joining bool         // a member that is about to be added
}

// Role is the reason why a source may reach a port.
type Role string

// The roles. A source without a role reaches nothing.
const (
	Member    Role = "member"
	APIServer Role = "api-server"
	Scraper   Role = "scraper"
	Backup    Role = "backup"
)

// Reaches reports whether a role may reach a port of a member. Members also reach each other's
// client port: etcdctl on a member's host asks there about the others.
func (i *Intent) Reaches(r Role, port uint16) bool {
	switch r {
	case Member:
		return port == i.Ports.Client || port == i.Ports.Peer
	case APIServer, Backup:
		return port == i.Ports.Client
	case Scraper:
		return port == i.Ports.Metrics
	}
	return false
}

// Roles returns the roles of a source address.
func (i *Intent) Roles(a netip.Addr) []Role {
	a = a.Unmap()
	var roles []Role
	holds := func(h Host) bool { return slices.Contains(h.Addrs, a) }
	within := func(p netip.Prefix) bool { return p.Contains(a) }
	if slices.ContainsFunc(i.Members, holds) {
		roles = append(roles, Member)
	}
	if slices.ContainsFunc(i.APIServers, holds) {
		roles = append(roles, APIServer)
	}
	if slices.ContainsFunc(i.Scrapers, within) {
		roles = append(roles, Scraper)
	}
	if slices.ContainsFunc(i.Backups, within) {
		roles = append(roles, Backup)
	}
	return roles
}

// Wanted reports whether a source address may reach a port of a member.
func (i *Intent) Wanted(a netip.Addr, port uint16) bool {
	return slices.ContainsFunc(i.Roles(a), func(r Role) bool { return i.Reaches(r, port) })
}

// MemberAddrs returns the addresses of all members, sorted.
func (i *Intent) MemberAddrs() []netip.Addr { return addresses(i.Members) }

// APIServerAddrs returns the addresses of all API servers, sorted.
func (i *Intent) APIServerAddrs() []netip.Addr { return addresses(i.APIServers) }

func addresses(hosts []Host) []netip.Addr {
	var all []netip.Addr
	for _, h := range hosts {
		all = append(all, h.Addrs...)
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// NewIntent returns the intent of a spec. The error joins all faults: a packet filter cannot
// accept a host that has only a DNS name.
func NewIntent(c *cluster.Cluster) (*Intent, error) {
	i := &Intent{
		Cluster: c.Name, Runtime: c.Etcd.Runtime,
		Ports:        Ports{c.Etcd.ClientPort, c.Etcd.PeerPort, c.Etcd.MetricsPort},
		Scrapers:     merge(c.Isolation.Scrapers),
		Backups:      merge(c.Isolation.Backups),
		PodCIDRs:     merge(c.Isolation.PodCIDRs),
		NodeCIDRs:    merge(c.Isolation.NodeCIDRs),
		PodAddresses: c.Isolation.PodAddresses,
		MemberNodes:  c.Isolation.MemberNodes,
		Pods:         c.Isolation.Pods,
		Backends:     c.Isolation.Backends,
	}
	var faults []error
	for n, m := range c.Etcd.Members {
		h := Host{Name: m.Name, Node: m.Node, Addrs: m.IPs(), Joining: m.Joining}
		if i.Runtime == cluster.Hosted {
			h.Addrs = nil
		} else if len(h.Addrs) == 0 {
			faults = append(faults, fmt.Errorf("spec.etcd.members[%d].addresses: %s has no IP address: add one, because packet filters do not know names", n, m.Name))
		}
		i.Members = append(i.Members, h)
	}
	for n, s := range c.APIServers {
		h := Host{Name: s.Name, Node: s.Name, Addrs: s.IPs()}
		if len(h.Addrs) == 0 && i.Pods.APIServer.IsZero() {
			faults = append(faults, fmt.Errorf("spec.apiServers[%d].addresses: %s has no IP address: add one, because packet filters do not know names", n, s.Name))
		}
		i.APIServers = append(i.APIServers, h)
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	i.warn()
	return i, nil
}

// warn notes lines of the spec that do not mean what they seem to mean.
func (i *Intent) warn() {
	add := func(format string, a ...any) { i.Warnings = append(i.Warnings, fmt.Sprintf(format, a...)) }
	for _, pod := range i.PodCIDRs {
		for _, of := range []struct {
			name     string
			networks []netip.Prefix
		}{{"scrapers", i.Scrapers}, {"backups", i.Backups}} {
			for _, p := range of.networks {
				if pod.Overlaps(p) && i.Runtime != cluster.Hosted && i.PodAddresses == cluster.Masqueraded {
					add("spec.isolation.%s: %s is a range of Pods, which reach the members of other nodes with the address of their own node; "+
						"let them run on the host network, or set podAddresses: routed if Pods keep their addresses", of.name, p)
				}
			}
		}
		for _, h := range slices.Concat(i.Members, i.APIServers) {
			for _, a := range h.Addrs {
				if pod.Contains(a) {
					add("spec.isolation.podCIDRs: %s holds %s of %s, which is not a Pod", pod, a, h.Name)
				}
			}
		}
	}
	if len(i.PodCIDRs) == 0 && i.Runtime != cluster.Hosted {
		add("spec.isolation.podCIDRs is empty: etcdsec knows only that Pods have other addresses than the hosts")
	}
}

// merge sorts networks and leaves out those inside another one.
func merge(networks []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(networks)
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	var merged []netip.Prefix
	for _, p := range sorted {
		if n := len(merged); n > 0 && merged[n-1].Overlaps(p) {
			continue // the wider comes first
		}
		merged = append(merged, p)
	}
	return merged
}
