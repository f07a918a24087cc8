package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// trust draws who trusts whom: on the left the CAs that signed the ports' certificates, in the
// middle the ports, on the right the CAs whose clients the ports say they accept. A CA and
// everything below it have the same colour on both sides.
type trust struct {
	Width, Height int
	Boxes         []trustBox
	Edges         []trustEdge
}

type trustBox struct {
	X, Y, Width, Height int
	Name, Detail, Full  string
	Colour              int // of the CA; 0 is none
	Port                bool
}

type trustEdge struct {
	Path   string
	Colour int
	Open   bool // leads to nobody, or to anybody
	Full   string
}

const (
	trustWidth   = 960
	boxWidth     = 250
	boxHeight    = 48
	boxPitch     = 64
	trustTop     = 34
	boxChars     = 31
	trustColours = 6

	noTLS     = "no TLS"
	anybody   = "anybody"
	hostsOwn  = "the CAs of its host"
	noCAShown = "not shown"
)

// port groups equal listeners: all client ports of a fleet are one box.
type port struct {
	kind    audit.Kind
	targets []string
	signers []string // left
	roots   []string // of the chain of each signer, as far as it is sent
	clients []string // right
}

// column holds the boxes of one side, by name.
type column struct{ names, roots []string }

func (c *column) indexOf(name, root string) int {
	if i := slices.Index(c.names, name); i >= 0 {
		return i
	}
	c.names, c.roots = append(c.names, name), append(c.roots, root)
	return len(c.names) - 1
}

func (c *column) colour(i int, colours map[string]int) int { return colours[c.roots[i]] }

func (c *column) detail(i int) string {
	if root := c.roots[i]; root != c.names[i] {
		return "below " + commonName(root)
	}
	return explainBox(c.names[i])
}

func trustOf(r audit.Report) trust {
	ports := portsOf(r.Inventory.Listeners)
	if len(ports) == 0 {
		return trust{}
	}
	var left, right column
	for _, p := range ports {
		for i, name := range p.signers {
			left.indexOf(name, p.roots[i])
		}
		for _, name := range p.clients {
			right.indexOf(name, name)
		}
	}
	colours := coloursOf(slices.Concat(left.roots, right.roots))
	rows := max(len(left.names), len(ports), len(right.names))
	t := trust{Width: trustWidth, Height: trustTop + rows*boxPitch}
	y := func(i, of int) int { return trustTop + (rows-of)*boxPitch/2 + i*boxPitch }
	const middle, last = (trustWidth - boxWidth) / 2, trustWidth - boxWidth
	for _, side := range []struct {
		x      int
		column column
	}{{0, left}, {last, right}} {
		for i, name := range side.column.names {
			t.Boxes = append(t.Boxes, trustBox{
				X: side.x, Y: y(i, len(side.column.names)), Width: boxWidth, Height: boxHeight, Colour: side.column.colour(i, colours),
				Name: cutMiddle(commonName(name), boxChars), Detail: cutMiddle(side.column.detail(i), boxChars+2), Full: name,
			})
		}
	}
	for i, p := range ports {
		top := y(i, len(ports))
		t.Boxes = append(t.Boxes, trustBox{
			X: middle, Y: top, Width: boxWidth, Height: boxHeight, Port: true,
			Name: portName(p), Detail: servedBy(p.targets), Full: portName(p) + ": " + strings.Join(p.targets, ", "),
		})
		listens := p.kind == audit.Client || p.kind == audit.Peer
		for _, name := range p.signers {
			at := left.indexOf(name, name)
			t.Edges = append(t.Edges, trustEdge{
				Path: curve(boxWidth, y(at, len(left.names)), middle, top), Colour: left.colour(at, colours), Open: name == noTLS && listens,
				Full: fmt.Sprintf("%s serves a certificate of %s", portName(p), name),
			})
		}
		for _, name := range p.clients {
			at := right.indexOf(name, name)
			t.Edges = append(t.Edges, trustEdge{
				Path: curve(middle+boxWidth, top, last, y(at, len(right.names))), Colour: right.colour(at, colours), Open: name == anybody && listens,
				Full: fmt.Sprintf("%s accepts the clients of %s", portName(p), name),
			})
		}
	}
	return t
}

// portsOf joins the listeners that serve certificates of the same CAs and accept the same.
func portsOf(listeners []audit.InventoryListener) []port {
	var ports []port
	for _, l := range listeners {
		if !l.TLS && !l.Plaintext {
			continue // nothing is known
		}
		p := port{kind: l.Kind, targets: []string{l.Target}}
		if l.Plaintext {
			p.add(noTLS, noTLS)
		}
		chains := l.Chains()
		for _, chain := range chains {
			if signer := chain[0].Issuer; !slices.Contains(p.signers, signer) {
				p.add(signer, chain[len(chain)-1].Issuer)
			}
		}
		if len(chains) == 0 && l.TLS {
			p.add(noCAShown, noCAShown)
		}
		p.clients = clientsOf(l)
		at := slices.IndexFunc(ports, func(other port) bool {
			return other.kind == p.kind && slices.Equal(other.signers, p.signers) && slices.Equal(other.clients, p.clients)
		})
		if at < 0 {
			ports = append(ports, p)
			continue
		}
		ports[at].targets = append(ports[at].targets, l.Target)
	}
	slices.SortStableFunc(ports, func(a, b port) int { return strings.Compare(string(a.kind), string(b.kind)) })
	return ports
}

func (p *port) add(signer, root string) {
	p.signers, p.roots = append(p.signers, signer), append(p.roots, root)
}

// clientsOf returns the CAs whose clients a port accepts. A port without TLS, or one that
// requests no certificate, accepts anybody.
func clientsOf(l audit.InventoryListener) []string {
	var clients []string
	if l.Plaintext || !l.RequestsCertificate {
		clients = append(clients, anybody)
	}
	if l.RequestsCertificate && len(l.AcceptedCAs) == 0 {
		clients = append(clients, hostsOwn)
	}
	for _, name := range l.AcceptedCAs {
		if !slices.Contains(clients, name) {
			clients = append(clients, name)
		}
	}
	return clients
}

func portName(p port) string {
	if len(p.targets) == 1 {
		return string(p.kind) + " port"
	}
	return fmt.Sprintf("%d %s ports", len(p.targets), p.kind)
}

// explainBox explains a box that is not a CA.
func explainBox(name string) string {
	switch name {
	case anybody:
		return "no certificate is asked for"
	case hostsOwn:
		return "it names none"
	default:
		return ""
	}
}

// coloursOf numbers the CAs from 1. A box that is not a CA has no colour.
func coloursOf(names []string) map[string]int {
	colours := map[string]int{noTLS: 0, anybody: 0, hostsOwn: 0, noCAShown: 0}
	next := 0
	for _, name := range names {
		if _, known := colours[name]; !known {
			colours[name] = next%trustColours + 1
			next++
		}
	}
	return colours
}

// curve returns a path between two boxes of height boxHeight, from the middle of one side to the
// middle of the other.
func curve(x1, y1, x2, y2 int) string {
	y1, y2 = y1+boxHeight/2, y2+boxHeight/2
	half := (x1 + x2) / 2
	return fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, half, y1, half, y2, x2, y2)
}
