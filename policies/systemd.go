package policies

import (
	"bytes"
	"fmt"
	"net/netip"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/cluster"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// SystemdDropIn limits the addresses that the unit of a member may talk to.
type SystemdDropIn struct {
	Member      string
	Unit        string
	Deny, Allow []netip.Prefix // what both have is allowed
	Text        []byte

	Slice bool // the file is of a slice that the unit is in
	// EmptiesDeny and EmptiesAllow are set if the file also empties what earlier files have.
	EmptiesDeny, EmptiesAllow bool
	// Settings lists what else of the file decides about packets.
	Settings []UnitSetting
	// Program is the program of the last ExecStart; empty if the file has none. Within is the slice that
	// the unit asks for with Slice; empty if it asks for none.
	Program, Within string
}

func systemdBackend() Backend {
	return Backend{
		Name: cluster.BackendSystemd, Summary: "a filter on etcd's unit, without ports; in addition to one of the above",
		form: unitForm{}, files: systemdStoreFiles,
		render: func(i *Intent, _ RenderOptions) (Rendered, error) {
			units, err := systemdDropIns(i)
			r := Rendered{Filters: Filters{Units: units}}
			if len(units) > 0 {
				r.Text = units[0].Text // the same for all of them
			}
			return r, err
		},
	}
}

// systemdStoreFiles lists the drop-in of each member's unit.
func systemdStoreFiles(i *Intent) ([]File, error) {
	r, err := Render(i, cluster.BackendSystemd, RenderOptions{})
	if err != nil {
		return nil, err
	}
	files := make([]File, 0, len(r.Units))
	for _, unit := range r.Units {
		files = append(files, File{unit.Member, path.Join(unit.Unit+".d", "isolation.conf"), unit.Text})
	}
	return files, nil
}

// unitForm is a unit file or a drop-in of systemd.
type unitForm struct{}

func (unitForm) recognizes(file string, data []byte) bool {
	switch filepath.Ext(file) {
	case ".conf", ".service", ".slice", ".scope":
		return true
	}
	for _, section := range []string{"[Service]", "[Slice]", "[Scope]"} {
		if bytes.HasPrefix(data, []byte(section)) || bytes.Contains(data, []byte("\n"+section)) {
			return true
		}
	}
	return false
}

func (unitForm) read(f *Filters, node, file string, data []byte) error {
	unit, err := ParseDropIn(file, data)
	if err != nil {
		return err
	}
	unit.Member = node
	if unit.Unit = filepath.Base(file); file == Stdin {
		unit.Unit = ""
	}
	f.Units = append(f.Units, unit)
	return nil
}

// compare takes a drop-in, which is the same for every member.
func (unitForm) compare(d *Drift, _, file string, data []byte) error {
	rendered, err := Render(d.Intent, cluster.BackendSystemd, RenderOptions{})
	if err != nil {
		return err
	}
	live, err := ParseDropIn(file, data)
	if err != nil {
		return err
	}
	want, err := ParseDropIn("what is rendered", rendered.Text)
	if err != nil {
		return err
	}
	for _, list := range []struct {
		name       string
		want, live []netip.Prefix
	}{{"IPAddressDeny", want.Deny, live.Deny}, {"IPAddressAllow", want.Allow, live.Allow}} {
		for _, p := range list.want {
			if !slices.Contains(list.live, p) {
				d.found = append(d.found, Difference{Where: file, What: list.name, Kind: nft.Missing, Want: p.String()})
			}
		}
		for _, p := range list.live {
			if !slices.Contains(list.want, p) {
				d.found = append(d.found, Difference{Where: file, What: list.name, Kind: nft.Extra, Live: p.String()})
			}
		}
	}
	for _, s := range live.Settings {
		d.found = append(d.found, Difference{Where: file, What: s.Key, Kind: nft.Extra, Live: s.Value})
	}
	return nil
}

// ParseDropIn reads what decides about packets in a unit file, a slice or a drop-in of them:
// IPAddressAllow and IPAddressDeny (systemd.resource-control(5)), and other settings. An empty value
// empties the list.
func ParseDropIn(file string, data []byte) (SystemdDropIn, error) {
	d := SystemdDropIn{Text: data}
	section, pending := "", ""
	var sections []string
	for n, line := range bytes.Split(data, []byte("\n")) {
		text := strings.TrimSpace(string(line))
		if text == "" || text[0] == '#' || text[0] == ';' {
			continue // also within a value that goes on
		}
		if text = pending + text; strings.HasSuffix(text, `\`) {
			pending = strings.TrimSuffix(text, `\`) + " "
			continue
		}
		pending = ""
		if text[0] == '[' {
			section = text
			sections = append(sections, section)
			continue
		}
		key, value, ok := strings.Cut(text, "=")
		if !ok {
			return d, fmt.Errorf("%s:%d: %q is neither a section nor KEY=VALUE", file, n+1, text)
		}
		if !slices.Contains([]string{"[Service]", "[Slice]", "[Scope]", "[Unit]"}, section) {
			continue
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if isUnitSetting(section, key) {
			if key == unitPrivateNetwork && !isYes(value) && !isNo(value) {
				return d, fmt.Errorf("%s:%d: %s: %q is neither yes nor no", file, n+1, key, value)
			}
			d.Settings = append(d.Settings, UnitSetting{key, value})
			continue
		}
		if section == "[Unit]" {
			continue
		}
		list, empties := &d.Deny, &d.EmptiesDeny
		switch key {
		case "ExecStart":
			d.Program = programOf(value)
			continue
		case "Slice":
			d.Within = value
			continue
		case "IPAddressDeny":
		case "IPAddressAllow":
			list, empties = &d.Allow, &d.EmptiesAllow
		default:
			continue
		}
		if value == "" {
			*list, *empties = nil, true
			continue
		}
		for word := range strings.FieldsSeq(value) {
			prefixes, err := unitNetworks(word)
			if err != nil {
				return d, fmt.Errorf("%s:%d: %s: %w", file, n+1, key, err)
			}
			*list = append(*list, prefixes...)
		}
	}
	if pending != "" {
		return d, fmt.Errorf("%s: the last line continues, but nothing follows", file)
	}
	var err error
	d.Slice, err = unitKind(file, sections)
	return d, err
}

// unitNetworks returns the networks that one word of a list means.
func unitNetworks(word string) ([]netip.Prefix, error) {
	of := func(list ...string) ([]netip.Prefix, error) { return ParseNetworks(list) }
	switch word {
	case "any":
		return of("0.0.0.0/0", "::/0")
	case "localhost":
		return of("127.0.0.0/8", "::1/128")
	case "link-local":
		return of("169.254.0.0/16", "fe80::/64")
	case "multicast":
		return of("224.0.0.0/4", "ff00::/8")
	}
	p, err := of(word)
	if err != nil {
		return nil, fmt.Errorf("%q is neither an address, a network, any, localhost, link-local nor multicast", word)
	}
	return p, nil
}

// systemdDropIns returns one drop-in for each member, all of the same text. systemd filters both
// directions and knows no ports: a scraper reaches the peer port too, up to its TLS handshake.
func systemdDropIns(i *Intent) ([]SystemdDropIn, error) {
	if i.Runtime != cluster.Systemd {
		return nil, Refusal{
			cluster.BackendSystemd, "a static Pod has no unit to put a filter on",
			[]cluster.Backend{cluster.BackendCalico, cluster.BackendCilium, cluster.BackendNftables},
		}
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
		for _, n := range networkTexts(of.networks) {
			fmt.Fprintf(&b, "IPAddressAllow=%s\n", n)
		}
		allow = slices.Concat(allow, of.networks)
	}
	units := make([]SystemdDropIn, 0, len(i.Members))
	for _, m := range i.Members {
		units = append(units, SystemdDropIn{Member: m.Name, Unit: "etcd.service", Deny: anybody, Allow: merge(allow), Text: []byte(b.String())})
	}
	return units, nil
}
