package config

import (
	"fmt"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// IntentVsReality finds listeners that behave differently from their settings: a control looks right and
// is open, or looks wrong and holds.
func IntentVsReality() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "intent-vs-reality",
		Title:    "The settings say one thing and the port does another",
		Severity: audit.Critical,
		Rationale: "Benchmarks judge flags. A control that looks right by its flags but is open on the wire passes them all: with " +
			"every flag for mutual TLS and one extra http:// URL, CIS 2.1 to 2.7 pass and the port answers everybody. The " +
			"opposite also happens, and a process may still run with old settings.",
		Method: "Compares three views of each control: what its flags say, how etcd interprets all settings by its own rules, " +
			"and what the port did when the audit tried it.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Change the settings to what the port must do, and restart the member so that it uses them:"),
				audit.Paste("--listen-client-urls=https://%s --client-cert-auth --trusted-ca-file=ca.crt", p.Client()),
				audit.Paste("--listen-peer-urls=https://%s --peer-client-cert-auth --peer-trusted-ca-file=peer-ca.crt", p.Peer()),
			}
		},
		References: []string{
			"CIS Kubernetes Benchmark v1.12 2.1", "CIS Kubernetes Benchmark v2.0.1 2.1", "CIS Kubernetes Benchmark v1.12 2.2", "CIS Kubernetes Benchmark v2.0.1 2.2", "CIS Kubernetes Benchmark v1.12 2.4", "CIS Kubernetes Benchmark v2.0.1 2.4",
			"CIS Kubernetes Benchmark v1.12 2.5", "CIS Kubernetes Benchmark v2.0.1 2.5", "NIST 800-53 CA-2", "NIST 800-53 CM-6",
		},
		Applies: func(t *audit.Listener) bool { return audit.On(audit.Listeners()...)(t) && t.Settings != nil },
		Run:     runIntentVsReality,
	})
}

// sight is one view of a control: whether it looks open, and the reason.
type sight struct {
	open bool
	text string
}

func openSight(text string) sight   { return sight{open: true, text: text} }
func closedSight(text string) sight { return sight{text: text} }

// control is a protection of a listener with its three views.
type control struct {
	code     string
	severity audit.Severity // if it is open although the settings say otherwise
	// arises reports whether there is something to compare; nil means always.
	arises func(*port) bool
	flags  func(*port) sight // what its flags say, as benchmarks read them
	rules  func(*port) sight // how etcd interprets all settings
	wire   func(*port) sight // what the port did
}

// port is a listener with the settings of its etcd.
type port struct {
	*reading
	target    *audit.Listener
	side      side
	listeners []listener // the URLs of this port; two if it has TLS and plaintext
	grpcOnly  bool
}

func (p *port) plaintextURL() (string, bool) {
	for _, l := range p.listeners {
		if l.plaintext() {
			return l.url, true
		}
	}
	return "", false
}

func runIntentVsReality(t *audit.Listener) audit.Outcome {
	if t.Kind == audit.Metrics && t.NothingListens() {
		return audit.Skipped("nothing listens")
	}
	var findings []audit.Finding
	var agreed []string
	var doubt string
	severity := map[string]audit.Severity{}
	for _, c := range controls(t.Kind) {
		p := newPort(t)
		if p.doubt == "" && c.arises != nil && !c.arises(p) {
			continue
		}
		var flags, rules, wire sight
		if p.doubt == "" {
			flags, rules, wire = c.flags(p), c.rules(p), c.wire(p)
		}
		switch {
		case p.doubt != "":
			if doubt == "" {
				doubt = c.code + ": " + p.doubt
			}
		case flags.open == wire.open && rules.open == wire.open:
			agreed = append(agreed, c.code)
		default:
			f := disagreement(c.code, flags, rules, wire)
			findings = append(findings, f)
			severity[f.Code] = audit.Low
			if wire.open {
				severity[f.Code] = c.severity
			}
		}
	}
	switch {
	case len(findings) > 0:
		return withWorstSeverity(audit.Failed(findings...), func(code string) audit.Severity { return severity[code] })
	case doubt != "":
		return audit.CouldNotTell(doubt)
	default:
		return audit.Passed("the port does what its settings say: " + strings.Join(agreed, ", "))
	}
}

// disagreement returns the finding for three views that differ.
func disagreement(code string, flags, rules, wire sight) audit.Finding {
	f := audit.Finding{Code: code + "-holds", Text: "looks open and holds"}
	if wire.open {
		f = audit.Finding{Code: code + "-open", Text: "looks right and is open"}
	}
	if flags.open == wire.open {
		f.Text = "etcd's rules do not explain it"
	}
	f.Text = fmt.Sprintf("%s: %s: by the flags: %s; by etcd's rules: %s; on the wire: %s", code, f.Text, flags.text, rules.text, wire.text)
	if rules.open != wire.open {
		f.Text += "; the running process has other settings (was it restarted after they were written?)"
	}
	return f
}

// newPort returns a target with the URLs of its settings that belong to it.
func newPort(t *audit.Listener) *port {
	p := &port{reading: &reading{settings: t.Settings}, target: t, side: clientSide()}
	var all []listener
	switch t.Kind {
	case audit.Peer:
		p.side = peerSide()
		all = p.side.listeners(p.reading)
	case audit.Metrics:
		all = parseListeners(p.reading, "listen-metrics-urls", p.value("listen-metrics-urls"))
	default:
		all = p.side.listeners(p.reading)
	}
	if p.doubt != "" {
		return p
	}
	p.listeners = listenersAt(t, all)
	if len(p.listeners) == 0 {
		p.addDoubt("no URL of the settings has the port of " + t.Address)
		return p
	}
	if t.Kind == audit.Client && p.value("listen-client-http-urls") != "" {
		p.grpcOnly = true
		for _, l := range p.listeners {
			p.grpcOnly = p.grpcOnly && !l.httpOnly
		}
	}
	return p
}
