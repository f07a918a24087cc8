package policies

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
)

// SystemdDropIn limits with whom the unit of a member talks at all.
type SystemdDropIn struct {
	Member      string
	Unit        string
	Deny, Allow []netip.Prefix // what both have is allowed
	Text        []byte
}

// systemdDropIns are the same for every member. systemd filters both directions and knows no
// ports, so that a scraper reaches the peer port's TLS handshake.
func systemdDropIns(i *Intent) ([]SystemdDropIn, error) {
	if i.Runtime != cluster.Systemd {
		return nil, Refusal{"systemd", "a static Pod has no unit to put a filter on", []string{"calico", "cilium", "nftables"}}
	}
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	anybody := []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}
	var b strings.Builder
	fmt.Fprintf(&b, `# Written by etcdsec: with whom the etcd of %s talks.
# Put it into /etc/systemd/system/etcd.service.d/, then:
#   systemctl daemon-reload && systemctl restart etcd
#
# A second filter, and not isolation by itself: it knows no ports, so that whoever is here reaches
# every port of the unit, and a Pod of a host that is here, with that host's address, too. Add
# nftables, calico or cilium. It filters what etcd sends as well: where members are known by name,
# a DNS server that is not on loopback needs an IPAddressAllow= of its own.
[Service]
IPAddressDeny=any
IPAddressAllow=localhost
`, i.Cluster)
	allow := loopback
	for _, of := range []struct {
		why      string
		networks []netip.Prefix
	}{
		{"members, those that are about to join too", hosts(i.MemberAddrs())},
		{"API servers", hosts(i.APIServerAddrs())},
		{"scrapers", i.Scrapers},
		{"backups", i.Backups},
	} {
		if len(of.networks) == 0 {
			continue
		}
		fmt.Fprintf(&b, "# %s\n", of.why)
		for _, n := range texts(of.networks) {
			fmt.Fprintf(&b, "IPAddressAllow=%s\n", n)
		}
		allow = slices.Concat(allow, of.networks)
	}
	units := make([]SystemdDropIn, 0, len(i.Members))
	for _, m := range i.Members {
		units = append(units, SystemdDropIn{m.Name, "etcd.service", anybody, merge(allow), []byte(b.String())})
	}
	return units, nil
}
