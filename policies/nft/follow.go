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
type Tracer struct {
	bases map[layeredHook][]base
	leads []place // the statements at the hook prerouting that may give packets another destination
}

// Tracer returns a tracer for the ruleset.
func (r *Ruleset) Tracer() *Tracer {
	t := &Tracer{bases: r.bases()}
	t.leads = leads(t.bases[layeredHook{Prerouting, packets}])
	return t
}

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
