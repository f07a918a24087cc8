package nft

import (
	"fmt"
	"net/netip"
	"slices"
)

// alternative is one thing that the chains of type nat may do at a hook.
type alternative struct {
	translation // the nat is nil if none applies
	drops       bool
}

// translators returns what the chains of type nat may do to a packet, and what that depends on if it
// may be several things. A rule for one connection that has come before decides about its later
// packets too.
func (w *walk) translators(p *Packet) (all []alternative, unsure doubt) {
	all, unsure, _ = w.translatorsAnd(p)
	return all, unsure
}

// translatorsAnd also returns what would have to be listed to know more.
func (w *walk) translatorsAnd(p *Packet) (all []alternative, unsure doubt, unlisted []Part) {
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
		unlisted = append(unlisted, e.unlisted...)
		if o.can&drops != 0 {
			all = append(all, alternative{translation{at: o.placeOf(drops)}, true})
		}
		for _, t := range o.translates {
			all = append(all, alternative{translation: t})
		}
		if o.can&accepts == 0 {
			return all, unsure, unlisted
		}
	}
	return append(all, alternative{}), unsure, unlisted
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

// leads returns the statements of some base chains, and of what these may jump to, that may give packets
// another destination.
func leads(bases []base) []place {
	var found []place
	for _, b := range bases {
		for i := range b.table.Chains {
			chain := &b.table.Chains[i]
			for j := range chain.Rules {
				rule := &chain.Rules[j]
				for k := range rule.Statements {
					s := &rule.Statements[k]
					if b.chain.Type == "nat" && s.NAT != nil && s.NAT.Destination() || s.Rewrite != nil {
						found = append(found, place{table: b.table, chain: chain, rule: rule, number: j + 1, statement: s})
					}
				}
			}
		}
	}
	return found
}

// Leads reports whether [Tracer.LeadsTo] may find a rule for any connection.
func (r *Tracer) Leads() bool { return len(r.leads) > 0 }

// LeadsTo returns the first rule at the hook prerouting that may give connections a destination, such as a
// port of a node. Those that nft does not list in full, and those that rewrite packets, are left out if
// their host only sends on.
func (r *Tracer) LeadsTo(c Connection) (Source, bool) {
	for _, at := range r.leads {
		s := at.statement
		if s.NAT != nil && s.NAT.leadsTo(c) || s.Rewrite != nil && c.Way == Receives {
			return at.source(), true
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
// wherever they come from. It also returns what has to be listed before all of them are known.
func (r *Tracer) Translations(dst netip.Addr, port uint16) (found []Translation, unlisted []Part) {
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
		_, filtered := p.decide(r.bases[p.at()], func(*Chain) bool { return true })
		if filtered.rewrites != (place{}) {
			add(filtered.rewrites)
		}
		all, _, parts := (&walk{bases: r.bases}).translatorsAnd(&p)
		unlisted = slices.Concat(unlisted, filtered.unlisted, parts)
		for _, a := range all {
			if a.nat != nil && a.nat.Destination() {
				add(a.at)
			}
		}
	}
	return found, unlisted
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
