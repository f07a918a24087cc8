package nft

import (
	"fmt"
	"net/netip"
	"slices"
)

// Way is how a host handles a connection.
type Way int

// The ways. A host receives a connection from another host, or from a Pod of its own; it loops what it
// sends to itself.
const (
	Receives Way = iota + 1
	Forwards
	Sends
	Loops
)

// Connection is a TCP connection of which a host handles the packets. Its addresses are of one family.
type Connection struct {
	Way      Way
	Src, Dst netip.Addr
	Port     uint16
	// IsLocal reports whether the host has an address, besides those of loopback; nil stands for none.
	IsLocal func(netip.Addr) bool
}

// Fate tells how a connection ends on a host: it is dropped, delivered or sent on.
type Fate struct {
	Decision
	Hook Hook // of the decision
	// Way, Src, Dst and Port are those of the connection when the host delivers it or sends it on.
	Way      Way
	Src, Dst netip.Addr
	Port     uint16
	// Masqueraded is set if the connection gets some address of the host in place of Src.
	Masqueraded bool
	// Translated is the rule that gave it another destination; it is zero if none did.
	Translated Source
	// Unsure is what it depends on whether this is what becomes of the connection. It is zero if
	// nothing else may become of it.
	Unsure Source
}

// IsTranslated reports whether the connection got another destination.
func (f *Fate) IsTranslated() bool { return f.Translated != (Source{}) }

// The priorities at which the kernel translates addresses, whatever the chains of type nat say of
// theirs (Linux, include/uapi/linux/netfilter_ipv4.h, NF_IP_PRI_NAT_DST and NF_IP_PRI_NAT_SRC).
const (
	dstnat = -100
	srcnat = 100
)

// Tracer follows connections through a ruleset. It is valid as long as the ruleset does not change.
type Tracer struct{ bases map[layeredHook][]base }

// Tracer returns a tracer for the ruleset.
func (r *Ruleset) Tracer() *Tracer { return &Tracer{r.bases()} }

// Follow returns how a connection may end on a host: its first packet, the answers and what
// follows, at each hook, in each family of tables that sees them. There is more than one fate if it is
// not known which rule translates an address.
func (r *Tracer) Follow(c Connection) []Fate {
	src, dst := c.Src.Unmap(), c.Dst.Unmap()
	f := Fate{Way: c.Way, Src: src, Dst: dst, Port: c.Port}
	if !src.IsValid() || !dst.IsValid() || src.BitLen() != dst.BitLen() {
		f.Err = fmt.Errorf("%w: the addresses of the connection, %s and %s, are of two families", ErrUndecided, c.Src, c.Dst)
		return []Fate{f}
	}
	w := walk{bases: r.bases, isLocal: c.IsLocal}
	t := traveller{fate: f, packet: Packet{Src: src, Dst: dst, Port: c.Port, knowsAddress: true, fromHost: no, toHost: no}}
	if c.Way == Sends || c.Way == Loops {
		t.packet.fromHost = yes
	}
	if c.Way == Receives || c.Way == Loops {
		t.packet.toHost = yes
	}
	t.packet.InLoopback = c.Way == Loops
	if t.packet.fromHost == yes {
		w.leave(t)
	} else {
		w.arrive(t)
	}
	return w.fates
}

// walk follows a connection through one host.
type walk struct {
	bases   map[layeredHook][]base
	isLocal func(netip.Addr) bool
	fates   []Fate
}

// traveller is a connection on its way, with what is known of its fate so far.
type traveller struct {
	packet  Packet
	sent    Packet // before its destination was translated, if it was
	fate    Fate
	doubted Decision // the first decision that is not known
	hook    Hook     // of doubted
}

// maxFates bounds the alternatives of one connection, such as the endpoints of a Service.
const maxFates = 64

func (w *walk) end(t traveller) { w.fates = append(w.fates, t.fate) }

// arrive takes a first packet from a device up to where the host delivers it or sends it on.
func (w *walk) arrive(t traveller) {
	if !w.filter(&t, Ingress, device) || !w.filter(&t, Input, arp) || !w.filter(&t, Output, arp) ||
		!w.filter(&t, Prerouting, frames) || !w.filterBefore(&t, Prerouting, dstnat) {
		w.end(t)
		return
	}
	for _, t := range w.translateDestination(t, Prerouting) {
		switch {
		case t.ended() || !w.filterFrom(&t, Prerouting, dstnat):
			w.end(t)
		case t.packet.toHost == yes:
			w.deliver(t)
		default:
			w.forward(t)
		}
	}
}

// deliver takes a packet to a socket of the host.
func (w *walk) deliver(t traveller) {
	if !t.packet.InLoopback {
		t.fate.Way = Receives
	}
	if !t.packet.InLoopback && !w.filter(&t, Input, frames) || !w.filter(&t, Input, packets) {
		w.end(t)
		return
	}
	// What a chain of type nat does to the source here no filter sees, but it may drop the packet.
	t.packet.Hook, t.packet.layer = Input, packets
	all, _ := w.translators(&t.packet)
	if at := slices.IndexFunc(all, func(a alternative) bool { return a.drops }); at >= 0 {
		d := undecidedBy(doubt{at: all[at].at})
		if len(all) == 1 {
			t.fate.Decision = Decision{By: all[at].at.source()}
		} else if t.doubted.Err == nil {
			t.doubted, t.hook = d, Input
		}
	}
	w.finish(t)
}

// forward takes a packet on to another host.
func (w *walk) forward(t traveller) {
	t.fate.Way = Forwards
	if !w.filter(&t, Forward, frames) || !w.filter(&t, Forward, packets) {
		w.end(t)
		return
	}
	w.goOut(t)
}

// leave takes a packet of the host itself to where it goes out, or comes back in.
func (w *walk) leave(t traveller) {
	if !w.filterBefore(&t, Output, dstnat) {
		w.end(t)
		return
	}
	for _, t := range w.translateDestination(t, Output) {
		if t.ended() || !w.filterFrom(&t, Output, dstnat) {
			w.end(t)
			continue
		}
		if t.packet.toHost != yes {
			t.fate.Way, t.packet.InLoopback = Sends, false
			w.goOut(t)
			continue
		}
		t.fate.Way, t.packet.InLoopback = Loops, true
		for _, t := range w.sourceTranslated(t) {
			// Its destination is not translated a second time.
			if t.ended() || !w.filter(&t, Ingress, device) || !w.filter(&t, Prerouting, packets) {
				w.end(t)
				continue
			}
			w.deliver(t)
		}
	}
}

// goOut takes a packet out of a device.
func (w *walk) goOut(t traveller) {
	for _, t := range w.sourceTranslated(t) {
		if t.ended() || !w.filter(&t, Output, frames) || !w.filter(&t, Postrouting, frames) ||
			!w.filter(&t, Input, arp) || !w.filter(&t, Output, arp) || !w.filter(&t, Egress, device) {
			w.end(t)
			continue
		}
		w.finish(t)
	}
}

// sourceTranslated takes a packet through postrouting.
func (w *walk) sourceTranslated(t traveller) []traveller {
	if !w.filterBefore(&t, Postrouting, srcnat) {
		return []traveller{t}
	}
	all := w.translateSource(t, Postrouting)
	for n := range all {
		if !all[n].ended() {
			w.filterFrom(&all[n], Postrouting, srcnat)
		}
	}
	return all
}

// finish looks at the packets after the first one, whose filters may be others, and ends the walk.
func (w *walk) finish(t traveller) {
	if t.ended() {
		w.end(t)
		return
	}
	accepted, hook := t.fate.Decision, t.fate.Hook
	for _, stage := range []Stage{Answers, Goes} {
		for _, h := range t.fate.Way.hooks(stage) {
			later := traveller{fate: t.fate, doubted: t.doubted, hook: t.hook}
			before, from := t.later(stage, h)
			priority := dstnat
			if stage == Answers {
				priority = srcnat
			}
			later.packet = before
			through := w.pass(&later, h.hook, h.layer, func(c *Chain) bool { return c.Priority < priority })
			if later.packet = from; through {
				through = w.pass(&later, h.hook, h.layer, func(c *Chain) bool { return c.Priority >= priority })
			}
			t.doubted, t.hook = later.doubted, later.hook
			if !through {
				w.end(later)
				return
			}
		}
	}
	t.fate.Decision, t.fate.Hook = accepted, hook
	if t.doubted.Err != nil {
		t.fate.Decision, t.fate.Hook = t.doubted, t.hook
	}
	w.end(t)
}

// later returns the packet of a later stage at a hook: before the kernel translates an address there, and
// afterwards. Requests have their first destination until it is translated, and answers have that of
// the translation until they go out.
func (t *traveller) later(stage Stage, h layeredHook) (before, from Packet) {
	translated, sent := t.packet, t.packet
	if t.packet.translated {
		sent = t.sent
		sent.InLoopback = t.packet.InLoopback
	}
	for _, p := range []*Packet{&translated, &sent} {
		if p.Stage = stage; stage == Answers {
			p.Src, p.Dst = p.Dst, p.Src
			p.fromHost, p.toHost = p.toHost, p.fromHost
		}
	}
	switch {
	case stage == Goes && (h.hook == Ingress || h.hook == Prerouting && h.layer == frames):
		return sent, sent
	case stage == Goes && h.hook == Prerouting && t.fate.Way != Loops, stage == Goes && h.hook == Output && h.layer == packets:
		return sent, translated
	case stage == Answers && (h.hook == Egress || h.hook == Output && h.layer == frames || h.hook == Postrouting && h.layer == frames):
		return sent, sent
	case stage == Answers && h.hook == Postrouting:
		return translated, sent
	}
	return translated, translated
}

// hooks returns what the packets of a stage pass, once a connection goes a way.
func (way Way) hooks(stage Stage) []layeredHook {
	in := []layeredHook{{Ingress, device}, {Prerouting, frames}, {Prerouting, packets}}
	out := []layeredHook{{Postrouting, packets}, {Output, frames}, {Postrouting, frames}, {Egress, device}}
	receive := slices.Concat(in, []layeredHook{{Input, frames}, {Input, packets}})
	send := slices.Concat([]layeredHook{{Output, packets}}, out)
	switch {
	case way == Forwards:
		return slices.Concat(in, []layeredHook{{Forward, frames}, {Forward, packets}}, out)
	case way == Loops:
		return []layeredHook{{Output, packets}, {Postrouting, packets}, {Ingress, device}, {Prerouting, packets}, {Input, packets}}
	case (way == Receives) == (stage == Answers):
		return send
	}
	return receive
}

// ended reports whether a packet goes no further: it was dropped, or is not known any more.
func (t *traveller) ended() bool { return !t.fate.Accept && t.fate.By != (Source{}) }

func (w *walk) filter(t *traveller, h Hook, l layer) bool {
	return w.pass(t, h, l, func(*Chain) bool { return true })
}

func (w *walk) filterBefore(t *traveller, h Hook, priority int) bool {
	return w.pass(t, h, packets, func(c *Chain) bool { return c.Priority < priority })
}

func (w *walk) filterFrom(t *traveller, h Hook, priority int) bool {
	return w.pass(t, h, packets, func(c *Chain) bool { return c.Priority >= priority })
}

// pass takes a packet through the base chains of a hook that filter it, and reports whether it may
// go on. The rule that lets it in or on is that of the hook input or forward, or else of output.
func (w *walk) pass(t *traveller, h Hook, l layer, will func(c *Chain) bool) bool {
	t.packet.Hook, t.packet.layer = h, l
	if l != packets && len(w.bases[t.packet.at()]) == 0 {
		return true
	}
	d, found := t.packet.decide(w.bases[t.packet.at()], will)
	t.packet.untracked = t.packet.untracked || found.untracks
	switch {
	case found.rewrites != (place{}):
		t.fate.Decision, t.fate.Hook = d, h
		return false
	case d.Err != nil:
		if t.doubted.Err == nil {
			t.doubted, t.hook = d, h
		}
		return true
	case !d.Accept:
		t.fate.Decision, t.fate.Hook = d, h
		return false
	}
	if l == packets && (h == Input || h == Forward || h == Output) {
		t.fate.Decision, t.fate.Hook = d, h
	}
	return true
}

// alternative is one thing that the chains of type nat may do at a hook.
type alternative struct {
	translation // the nat is nil if none applies
	drops       bool
}

// translators returns what the chains of type nat may do to a packet, and what that depends on if it
// may be several things. A rule for one connection that has come before decides about its later
// packets too.
func (w *walk) translators(p *Packet) (all []alternative, unsure doubt) {
	for _, b := range w.bases[p.at()] {
		if b.chain.Type != "nat" || !p.meets(b) {
			continue
		}
		e := evaluation{table: b.table, packet: *p, nat: true}
		o := e.evalChain(b.chain, 0)
		if o.can&falls != 0 {
			o.fallThrough(b)
		}
		if unsure == (doubt{}) {
			unsure = e.doubt
		}
		if o.can&drops != 0 {
			all = append(all, alternative{translation{at: o.placeOf(drops)}, true})
		}
		for _, t := range o.translates {
			all = append(all, alternative{translation: t})
		}
		if o.can&accepts == 0 {
			return all, unsure
		}
	}
	return append(all, alternative{}), unsure
}

// branch returns a traveller for each alternative, after take has changed it.
func (w *walk) branch(t traveller, h Hook, take func(t *traveller, a alternative)) []traveller {
	t.packet.Hook, t.packet.layer = h, packets
	all, unsure := w.translators(&t.packet)
	if t.packet.untracked && !slices.Contains(all, alternative{}) {
		all = append(all, alternative{}) // what nothing keeps the state of is not translated
	}
	if len(all) > 1 && unsure == (doubt{}) {
		unsure = doubt{all[0].at, "which rule translates it"}
	}
	var several []traveller
	for n, a := range all {
		own := t
		if len(all) > 1 && own.fate.Unsure == (Source{}) {
			own.fate.Unsure = Source{doubt: unsure}
		}
		if a.drops {
			own.fate.Decision, own.fate.Hook = Decision{By: a.at.source()}, h
		} else if a.nat != nil {
			take(&own, a)
		}
		several = append(several, own)
		if n == maxFates {
			own := t
			own.fate.Decision, own.fate.Hook = undecidedBy(doubt{a.at, "one of many destinations"}), h
			return append(several, own)
		}
	}
	return several
}

// FollowTranslated follows a connection that a rule of the hook prerouting has just given the destination
// c.Dst and c.Port, whatever its first one was.
func (r *Tracer) FollowTranslated(c Connection) []Fate {
	src, dst := c.Src.Unmap(), c.Dst.Unmap()
	w := walk{bases: r.bases, isLocal: c.IsLocal}
	t := traveller{
		fate:   Fate{Way: c.Way, Src: src, Dst: dst, Port: c.Port},
		packet: Packet{Src: src, Dst: dst, Port: c.Port, knowsAddress: true, fromHost: no, toHost: no, translated: true},
	}
	if c.Way == Receives {
		t.packet.toHost = yes
	}
	t.sent = t.packet
	t.sent.Port = 0 // any other
	switch {
	case !w.filterFrom(&t, Prerouting, dstnat):
		w.end(t)
	case c.Way == Receives:
		w.deliver(t)
	default:
		w.forward(t)
	}
	return w.fates
}

// LeadsTo returns the first rule at the hook prerouting that may give connections a destination, such as a
// port of a node. Those that nft does not list in full, and those that rewrite packets, are left out if
// their host only sends on.
func (r *Tracer) LeadsTo(c Connection) (Source, bool) {
	for _, b := range r.bases[layeredHook{Prerouting, packets}] {
		for i := range b.table.Chains {
			chain := &b.table.Chains[i]
			for j := range chain.Rules {
				for _, s := range chain.Rules[j].Statements {
					translates := b.chain.Type == "nat" && s.NAT != nil && s.NAT.leadsTo(c)
					if translates || s.Rewrite != nil && c.Way == Receives {
						return place{table: b.table, chain: chain, rule: &chain.Rules[j], number: j + 1}.source(), true
					}
				}
			}
		}
	}
	return Source{}, false
}

// leadsTo reports whether a NAT may give a connection the destination of c, and not its first one.
func (n *NAT) leadsTo(c Connection) bool {
	switch {
	case !n.Destination():
		return false
	case n.Open:
		return c.Way == Receives
	case n.Port != 0 && n.Port != c.Port:
		return false
	case n.Addr.IsValid():
		return n.Addr == c.Dst.Unmap() || c.Way == Receives && n.Addr.IsLoopback()
	}
	return c.Way == Receives && n.Port != 0 // redirect
}

// Translation is a rule that may give a connection another destination.
type Translation struct {
	Chain  string // "table ip nat, chain DOCKER"
	Number int    // of the rule
	Rule   string
}

// Translations returns the rules that may give connections to a port of this host another destination,
// wherever they come from.
func (r *Tracer) Translations(dst netip.Addr, port uint16) []Translation {
	var found []Translation
	add := func(at place) {
		t := Translation{fmt.Sprintf("table %s %s, chain %s", at.table.Family, at.table.Name, at.chain.Name), at.number, at.rule.String()}
		if !slices.Contains(found, t) {
			found = append(found, t)
		}
	}
	for _, h := range []Hook{Prerouting, Output} {
		p := Packet{Hook: h, Src: dst.Unmap(), Dst: dst.Unmap(), Port: port, knowsAddress: true, toHost: yes, anySource: true, InLoopback: h == Output}
		if h == Output {
			p.fromHost = yes
		}
		if _, filtered := p.decide(r.bases[p.at()], func(*Chain) bool { return true }); filtered.rewrites != (place{}) {
			add(filtered.rewrites)
		}
		all, _ := (&walk{bases: r.bases}).translators(&p)
		for _, a := range all {
			if a.nat != nil && a.nat.Destination() {
				add(a.at)
			}
		}
	}
	return found
}

// translateDestination returns the travellers after the destination may have changed. Those for whom
// the new one is not known have the error of an undecided decision.
func (w *walk) translateDestination(t traveller, h Hook) []traveller {
	early := t.fate
	return w.branch(t, h, func(t *traveller, a alternative) {
		n := a.nat
		t.fate.Translated = a.at.source()
		if n.Open {
			// What comes after it may drop the packet, but nothing tells what it looks like there.
			t.fate = Fate{
				Decision: undecidedBy(doubt{at: a.at}), Hook: h, Way: early.Way, Src: early.Src, Dst: early.Dst, Port: early.Port,
				Translated: t.fate.Translated, Unsure: t.fate.Unsure,
			}
			return
		}
		t.sent = t.packet
		if n.Addr.IsValid() {
			t.packet.Dst = n.Addr
		} else if n.Kind == Redirect && h == Output {
			t.packet.Dst = loopback(t.packet.Src)
		}
		if n.Port != 0 {
			t.packet.Port = n.Port
		}
		t.packet.translated = true
		t.packet.toHost = no
		if n.Kind == Redirect || t.packet.Dst.IsLoopback() || t.packet.Dst == early.Dst && early.Way != Forwards && early.Way != Sends ||
			w.isLocal != nil && w.isLocal(t.packet.Dst) {
			t.packet.toHost = yes
		}
		t.fate.Dst, t.fate.Port = t.packet.Dst, t.packet.Port
	})
}

// translateSource returns the travellers after the source may have changed, which no filter sees.
func (w *walk) translateSource(t traveller, h Hook) []traveller {
	return w.branch(t, h, func(t *traveller, a alternative) {
		switch n := a.nat; {
		case n.Kind == Masquerade:
			t.fate.Masqueraded = true
		case n.Open:
			if t.doubted.Err == nil {
				t.doubted, t.hook = undecidedBy(doubt{at: a.at}), h
			}
		case n.Addr.IsValid():
			t.fate.Src = n.Addr
		}
	})
}

func loopback(like netip.Addr) netip.Addr {
	if like.Is4() {
		return netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	return netip.IPv6Loopback()
}
