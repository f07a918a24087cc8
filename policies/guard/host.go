package guard

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies"
)

// Host is this host and its packet filter by an intent.
type Host struct {
	policies.NodeFilter
	Addrs []netip.Addr // of this host
}

// WrongNodeError means that a name is not a member's, but the host has the address of a member. A
// wrong name must not give a member the rules of a node, which do not protect its ports.
type WrongNodeError struct {
	Name   string
	Member string
}

func (e *WrongNodeError) Error() string {
	return fmt.Sprintf("%s: is not a member of the spec, but this host has an address of member %s", e.Name, e.Member)
}

// ThisHost finds which member of an intent runs here, by the addresses of this host, or by the
// name of the member or node. If the name is empty, only the addresses count.
func ThisHost(i *policies.Intent, name string) (Host, error) {
	addrs, err := localAddrs()
	if err != nil {
		return Host{}, err
	}
	return findHost(i, addrs, name)
}

// Find finds this host and nft(8), if nftables can enforce the intent.
func Find(i *policies.Intent, name string) (Host, Nft, error) {
	if err := i.Refuse(cluster.BackendNftables); err != nil {
		return Host{}, "", err
	}
	h, err := ThisHost(i, name)
	if err != nil {
		return h, "", err
	}
	n, err := FindNft()
	return h, n, err
}

// Drift compares the rules that this host has loaded with those of the intent. It also returns the
// rules by which other software sends connections to a member's ports elsewhere.
func Drift(ctx context.Context, i *policies.Intent, name string) ([]policies.Difference, error) {
	h, n, err := Find(i, name)
	if err != nil {
		return nil, err
	}
	live, err := n.RulesFor(ctx, i, h.NodeFilter)
	if err != nil {
		return nil, err
	}
	return append(policies.RulesDrift(h.Name, h.Rules(i), live), policies.TranslationDrift(h.Name, i, h.NodeFilter, live)...), nil
}

func findHost(i *policies.Intent, addrs []netip.Addr, name string) (Host, error) {
	h := Host{NodeFilter: policies.NodeFilter{Name: "this host"}, Addrs: addrs}
	at := slices.IndexFunc(i.Members, func(m policies.Host) bool {
		return slices.ContainsFunc(m.Addrs, func(a netip.Addr) bool { return slices.Contains(addrs, a) })
	})
	if at >= 0 {
		h.NodeFilter = policies.NodeFilter{Name: i.Members[at].Name, Member: true}
	}
	if name == "" {
		return h, nil
	}
	named := i.NodeFilter(name)
	if h.Member && !named.Member {
		return h, &WrongNodeError{Name: name, Member: h.Name}
	}
	h.NodeFilter = named
	return h, nil
}

func localAddrs() ([]netip.Addr, error) {
	written, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("listing the addresses of this host: %w", err)
	}
	var addrs []netip.Addr
	for _, w := range written {
		if p, err := netip.ParsePrefix(w.String()); err == nil {
			addrs = append(addrs, p.Addr().Unmap())
		}
	}
	return addrs, nil
}

// Probes lists what this host must reach: the members' ports, the API servers at a port and, on
// the host of a member, the health of its etcd, which needs a quorum.
func (h Host) Probes(i *policies.Intent, apiServerPort uint16) []Probe {
	var probes []Probe
	add := func(name string, a netip.Addr, port uint16) {
		probes = append(probes, Probe{Name: name, Address: netip.AddrPortFrom(a, port).String(), Kind: AnswersTLS})
	}
	wanted := func(port uint16) bool {
		return slices.ContainsFunc(h.Addrs, func(a netip.Addr) bool { return i.Wanted(a, port) })
	}
	for _, m := range i.Members {
		for _, a := range m.Addrs {
			if wanted(i.Ports.Client) {
				add(m.Name+" client port", a, i.Ports.Client)
			}
			if wanted(i.Ports.Peer) {
				add(m.Name+" peer port", a, i.Ports.Peer)
			}
		}
	}
	for _, s := range i.APIServers {
		for _, a := range s.Addrs {
			add("API server "+s.Name, a, apiServerPort)
		}
	}
	if h.Member {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(i.Ports.Metrics)))
		probes = append(probes, Probe{Name: "health of etcd here", Address: address, Kind: Healthy})
	}
	return probes
}
