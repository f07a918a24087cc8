package policies

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/etcdsec/etcdsec/policies/kube"
	"github.com/etcdsec/etcdsec/policies/nft"
)

// Filters holds every packet filter in front of etcd. A packet must pass all filters on its path.
type Filters struct {
	Objects kube.Objects
	// Rules are loaded on every node that NodeRules does not name.
	Rules     *nft.Ruleset
	NodeRules []NodeRules
	Units     []SystemdDropIn // a unit without a member applies to all members

	saved []SavedRules // that were not joined to rules yet
}

// NodeRules holds the rules that one node has loaded.
type NodeRules struct {
	Node  string
	Rules *nft.Ruleset
}

// form is a kind of file that filters are written in.
type form interface {
	// recognizes reports whether a file is of this form, by its content or its name.
	recognizes(file string, data []byte) bool
	// read adds what a file has to the filters. node is the name before the file's, or empty.
	read(f *Filters, node, file string, data []byte) error
	// compare adds what a file has to a comparison with the intent.
	compare(d *Drift, node, file string, data []byte) error
}

// forms returns the kinds of files in the order in which they are tried. The last one accepts
// every file.
func forms() []form { return []form{rulesetForm{}, iptablesForm{}, unitForm{}, objectsForm{}} }

func formOf(file string, data []byte) form {
	all := forms()
	for _, f := range all[:len(all)-1] {
		if f.recognizes(file, data) {
			return f
		}
	}
	return all[len(all)-1]
}

// Read adds the content of a file: a ruleset that nft lists as JSON, the output of iptables-save, a
// systemd unit, or objects of a cluster. Complete has to be called after the last file. Rules and units apply to the node or member, or to all if that is empty; objects
// apply to the whole cluster. file is used only in errors.
func (f *Filters) Read(node, file string, data []byte) error {
	return formOf(file, data).read(f, node, file, data)
}

// Join adds the filters that a [Backend] rendered.
func (f *Filters) Join(r Rendered) error {
	if r.Rules != nil {
		f.Rules = r.Rules
	}
	f.Units = append(f.Units, r.Units...)
	b, err := FindBackend(r.Backend)
	if err != nil || !b.MadeOfObjects() {
		return err
	}
	// What a reader of the text makes of it, not what it was made from.
	o, err := kube.Decode(string(r.Backend), r.Text)
	if err != nil {
		return fmt.Errorf("reading back what was rendered: %w", err)
	}
	f.Objects.Add(o)
	return nil
}

// objectsForm reads YAML or JSON as kubectl prints it.
type objectsForm struct{}

func (objectsForm) recognizes(string, []byte) bool { return true }

func (objectsForm) read(f *Filters, node, file string, data []byte) error {
	if node != "" {
		return fmt.Errorf("%s is neither a JSON ruleset, rules of iptables nor a unit; objects belong to the whole cluster and not to %s", file, node)
	}
	o, err := kube.Decode(file, data)
	if err != nil {
		return err
	}
	if o.IsEmpty() {
		return &UnusedFileError{file, o.Skipped}
	}
	f.Objects.Add(o)
	return nil
}

// UnusedFileError means that a file was given, and nothing in it is about packets.
type UnusedFileError struct {
	File    string
	Objects []kube.Skipped // what it has instead
}

func (e *UnusedFileError) Error() string {
	if len(e.Objects) == 0 {
		return e.File + ": a list of no objects; ask for every namespace, or leave the file out if the cluster really has none"
	}
	return fmt.Sprintf("%s: no object in it says who reaches whom; the first is a %s; leave the file out", e.File, e.Objects[0].Kind)
}

func (objectsForm) compare(d *Drift, _, file string, data []byte) error {
	o, err := kube.Decode(file, data)
	if err != nil {
		return err
	}
	d.given = true
	d.have.Add(o)
	return nil
}

// ParseNetwork reads a network or a single address, as Calico and Cilium do. A network of
// IPv4-mapped addresses becomes one of IPv4, and bits behind the length are cleared.
func ParseNetwork(s string) (netip.Prefix, error) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil {
			return netip.Prefix{}, err
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, err
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), nil
}

// ParseNetworks reads several networks.
func ParseNetworks(list []string) ([]netip.Prefix, error) {
	networks := make([]netip.Prefix, 0, len(list))
	for _, s := range list {
		p, err := ParseNetwork(s)
		if err != nil {
			return nil, err
		}
		networks = append(networks, p)
	}
	return networks, nil
}
