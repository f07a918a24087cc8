package nft

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Hook is a place where the kernel filters a packet.
type Hook int

// The hooks that filter. Prerouting comes before the destination is translated, and the others
// see the translated one; no hook sees a source address that is translated on the way out. Ingress
// and Egress are those of a device.
const (
	Input Hook = iota
	Forward
	Output
	Prerouting
	Postrouting
	Ingress
	Egress
)

// String returns the name of the hook, as a base chain writes it.
func (h Hook) String() string {
	switch h {
	case Input:
		return "input"
	case Forward:
		return "forward"
	case Output:
		return "output"
	case Prerouting:
		return "prerouting"
	case Postrouting:
		return "postrouting"
	case Ingress:
		return "ingress"
	case Egress:
		return "egress"
	}
	return "none"
}

// Packet is the first packet of a TCP connection to Port, or a later one. Its addresses are of one
// family.
type Packet struct {
	Hook       Hook
	Src, Dst   netip.Addr
	Port       uint16 // where the server listens
	InLoopback bool   // it stays on its host, and comes in at the interface lo
	Stage      Stage

	layer        layer
	translated   bool  // the connection has got another destination
	untracked    bool  // perhaps nothing keeps the state of the connection
	fromHost     truth // its source is an address of this host; no, if it is not said
	toHost       truth // its destination is
	knowsAddress bool  // fromHost and toHost are known
	anySource    bool  // Src tells the family alone
}

// Stage is how far a connection is.
type Stage int

// The stages.
const (
	Opens   Stage = iota // the packet is the first one
	Answers              // it goes from the server to the client
	Goes                 // it goes from the client to the server, after an answer
)

// layer is the kind of data that a chain sees.
type layer int

const (
	packets layer = iota // of IP
	device               // what a device receives or sends
	frames               // what a bridge forwards
	arp
)

// Decision tells what happens to a packet.
type Decision struct {
	Accept bool
	By     Source // the rule or policy that says so
	// Err is set if the decision depends on something unknown, or on a rule that is not understood.
	// Accept is then false and has no meaning.
	Err error
}

// ErrUndecided is the Err of a decision that depends on something unknown.
var ErrUndecided = errors.New("unknown")

// Rule returns the text of the rule or policy that decides.
func (d Decision) Rule() string { return d.By.String() }

// Decide returns what the filters of one hook do to a packet. Every base chain of the hook has to
// accept it: what one drops, none brings back. [Tracer.Follow] follows it through all hooks, and what
// they translate.
func (r *Ruleset) Decide(p Packet) Decision {
	if !p.Src.IsValid() || !p.Dst.IsValid() || p.Src.Unmap().BitLen() != p.Dst.Unmap().BitLen() {
		return Decision{Err: fmt.Errorf("%w: the addresses of the packet, %s and %s, are of two families", ErrUndecided, p.Src, p.Dst)}
	}
	p.Src, p.Dst = p.Src.Unmap(), p.Dst.Unmap()
	d, _ := p.decide(r.bases()[p.at()], func(*Chain) bool { return true })
	return d
}

// changes tells what filters may do to a packet, besides a verdict on it.
type changes struct {
	untracks bool  // take the state of its connection away
	rewrites place // give it another address or port, by this rule
	// unlisted has what would have to be listed to know the rest.
	unlisted []Part
}

// decide returns what those of some base chains that filter a packet do to it. What comes after a
// rewrite is not known, because the packet is another one.
func (p *Packet) decide(bases []base, will func(*Chain) bool) (d Decision, found changes) {
	accepted := Decision{Accept: true, By: Source{unfiltered: true, hook: p.Hook}}
	var undecided Decision
	specific := false
	for _, b := range bases {
		if b.chain.Type == "nat" || !p.meets(b) || !will(b.chain) {
			continue
		}
		e := evaluation{table: b.table, packet: *p}
		o := e.evalChain(b.chain, 0)
		if o.can&falls != 0 {
			o.fallThrough(b)
		}
		found.untracks = found.untracks || e.untracks
		found.unlisted = append(found.unlisted, e.unlisted...)
		if found.rewrites = e.rewrites; found.rewrites != (place{}) {
			return undecidedBy(doubt{at: found.rewrites}), found
		}
		if o.can&drops != 0 {
			if what := p.doubtOf(b.chain); what != "" {
				o.can |= accepts
				e.doubt = doubt{o.placeOf(drops), what}
			}
		}
		switch {
		case o.can == drops:
			return Decision{By: o.placeOf(drops).source()}, found
		case o.can == accepts:
			if rule := o.placeOf(accepts); !specific {
				specific = rule.statement != nil || rule.rule != nil
				accepted.By = rule.source()
			}
		case undecided.Err == nil:
			undecided = undecidedBy(e.doubt)
		}
	}
	if undecided.Err != nil {
		return undecided, found
	}
	return accepted, found
}

func undecidedBy(d doubt) Decision {
	return Decision{By: Source{doubt: d}, Err: &undecidedError{d}}
}

// doubtOf tells why a packet may not pass a chain of its hook; it is empty if it does.
func (p *Packet) doubtOf(c *Chain) string {
	switch p.layer {
	case device:
		if !p.InLoopback || !slices.Contains(c.Devices, "lo") {
			return "whether it passes the device"
		}
	case frames:
		return "whether it passes a bridge"
	case arp:
		return "whether the address is asked for"
	case packets:
	}
	return ""
}

type base struct {
	table *Table
	chain *Chain
}

// layeredHook is a hook, as the packets of one layer pass it.
type layeredHook struct {
	hook  Hook
	layer layer
}

func (p *Packet) at() layeredHook { return layeredHook{p.Hook, p.layer} }

// bases returns the base chains of each hook, in their order. Chains of type nat translate a packet;
// the others filter it.
func (r *Ruleset) bases() map[layeredHook][]base {
	found := map[layeredHook][]base{}
	var tables []*Table
	for i := range r.Tables {
		tables = append(tables, &r.Tables[i])
	}
	for _, family := range r.LegacyUnread {
		tables = append(tables, unreadLegacy(family))
	}
	for _, t := range tables {
		if t.Dormant {
			continue
		}
		for j := range t.Chains {
			c := &t.Chains[j]
			if t.MaybeDormant {
				c = perhapsDormant(c)
			}
			for h := Input; h <= Egress; h++ {
				if c.Hook == h.String() {
					at := layeredHook{h, layerOf(t.Family, h)}
					found[at] = append(found[at], base{t, c})
				}
			}
		}
	}
	for _, all := range found {
		slices.SortStableFunc(all, func(a, b base) int { return cmp.Compare(a.chain.Priority, b.chain.Priority) })
	}
	return found
}

// perhapsDormant returns a base chain that may let every packet pass, as that of a dormant table does.
func perhapsDormant(c *Chain) *Chain {
	const unknown = "whether the table is dormant: nft does not print its flags as JSON"
	pass := Rule{Statements: []Statement{{Perhaps: unknown}, {Verdict: &Verdict{Kind: "accept"}}}, Text: unknown}
	copied := *c
	copied.Rules = append([]Rule{pass}, c.Rules...)
	copied.before = 1
	return &copied
}

func layerOf(family string, h Hook) layer {
	switch {
	case family == "netdev", h == Ingress, h == Egress:
		return device
	case family == "bridge":
		return frames
	case family == "arp":
		return arp
	}
	return packets
}

// meets reports whether a packet meets a base chain of its hook and layer.
func (p *Packet) meets(b base) bool {
	switch b.table.Family {
	case "ip", "arp":
		return p.Src.Is4()
	case "ip6":
		return !p.Src.Is4()
	}
	return p.passes(b.chain)
}

// passes reports whether the packet may pass the devices of a chain.
func (p *Packet) passes(c *Chain) bool {
	if p.layer != device || len(c.Devices) == 0 {
		return true
	}
	if p.InLoopback {
		return slices.Contains(c.Devices, "lo")
	}
	return slices.ContainsFunc(c.Devices, func(name string) bool { return name != "lo" })
}
