package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/policies"
	"github.com/etcdsec/etcdsec/policies/guard"
	"github.com/etcdsec/etcdsec/policies/nft"
)

const autoNode = "auto"

func nodeFlag(cmd *cobra.Command, node *string) {
	cmd.Flags().StringVar(node, "node", autoNode, "`name` of the member or node whose rules are meant; auto goes by the addresses of this host")
}

// filteredHost is a host whose packet filter is meant.
type filteredHost struct {
	name   string
	member bool
	addrs  []netip.Addr // of this host
}

func (h filteredHost) String() string {
	if h.member {
		return "host of member " + h.name
	}
	return "node without a member"
}

// rules are those that the host should have.
func (h filteredHost) rules(i *policies.Intent) *nft.Ruleset {
	if h.member {
		return policies.Nftables(i)
	}
	return policies.NftablesForward(i)
}

// namedHost is the member of that name or on the node of that name, or a node of which only
// the name is known.
func namedHost(i *policies.Intent, name string) filteredHost {
	for _, m := range i.Members {
		if m.Name == name || m.Node == name {
			return filteredHost{name: m.Name, member: true}
		}
	}
	return filteredHost{name: name}
}

// thisHost is the host we are on, by its addresses or as it is named.
func thisHost(i *policies.Intent, name string) (filteredHost, error) {
	addrs, err := localAddrs()
	if err != nil {
		return filteredHost{}, failure(err, "")
	}
	found := filteredHost{name: "this host"}
	for _, m := range i.Members {
		if at := slices.IndexFunc(m.Addrs, func(a netip.Addr) bool { return slices.Contains(addrs, a) }); at >= 0 && !found.member {
			found = filteredHost{name: m.Name, member: true}
		}
	}
	if name != autoNode {
		named := namedHost(i, name)
		// A wrong name must not leave a member with the rules of a node, which let its ports be.
		if found.member && !named.member {
			return named, usageError(fmt.Errorf("--node %s: is no member of the spec, and this host has an address of member %s", name, found.name), "--node "+found.name)
		}
		found = named
	}
	found.addrs = addrs
	return found, nil
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

// nftablesIntent is who may reach etcd by a spec that nftables can enforce.
func (a *app) nftablesIntent(spec string) (*policies.Intent, error) {
	c, err := a.loadSpec(spec)
	if err != nil {
		return nil, err
	}
	i, err := policies.NewIntent(c)
	if err == nil {
		err = i.Refuse("nftables")
	}
	if err != nil {
		return nil, usageError(err, "")
	}
	for _, w := range i.Warnings {
		a.narrate("warning: %s", w)
	}
	return i, nil
}

// nftFailure is an error of nft(8) with the way out.
func nftFailure(err error, verb string) error {
	switch {
	case errors.Is(err, guard.ErrNoNft):
		return failure(err, "apt-get install nftables, or dnf install nftables")
	case errors.Is(err, guard.ErrNotPermitted):
		return failure(err, "sudo etcdsec policies "+verb)
	}
	return failure(err, "")
}
