package config

import (
	"fmt"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// IntentVsReality finds listeners that do other than their settings say: a control that
// looks right and is open, or that looks wrong and holds.
func IntentVsReality() audit.Check {
	return audit.AsCheck(audit.ListenerCheck{
		ID:       "intent-vs-reality",
		Title:    "The settings say one thing and the port does another",
		Severity: audit.Critical,
		Rationale: "Benchmarks judge flags. A control that looks right by its flags and is open on the wire passes them all: " +
			"with every flag for mutual TLS and one http:// URL beside them, CIS 2.1 to 2.7 pass and the port answers " +
			"everybody. The reverse is a finding to argue with, and a process may run with settings of yesterday.",
		Method: "Puts three things side by side for each control: what its flags alone say, what etcd makes of all settings " +
			"by its own rules, and what the port did when it was asked.",
		Remediation: func(p audit.Place) audit.Remediation {
			return audit.Remediation{
				audit.Say("Make the settings say what the port is to do, and restart the member so that it runs with them:"),
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

// sight is how a control looks from one side. Its text is what was seen.
type sight struct {
	open bool
	text string
}

func opened(text string) sight { return sight{open: true, text: text} }
func shut(text string) sight   { return sight{text: text} }

// control is a protection of a listener as it is seen from three sides.
type control struct {
	code     string
	severity audit.Severity // where it is open against what the settings say
	// arises reports whether there is something to compare. nil: always.
	arises func(*port) bool
	flags  func(*port) sight // what its flags alone say, as benchmarks read them
	rules  func(*port) sight // what etcd makes of all settings
	wire   func(*port) sight // what the port did
}

// port is a listener with the settings of its etcd.
type port struct {
	*reading
	target    *audit.Listener
	side      side
	listeners []listener // the URLs that are this port; two where it has TLS and plaintext
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
		return worth(audit.Failed(findings...), func(code string) audit.Severity { return severity[code] })
	case doubt != "":
		return audit.CouldNotTell(doubt)
	default:
		return audit.Passed("the port does what its settings say: " + strings.Join(agreed, ", "))
	}
}

// disagreement tells the three sides, and which of them were wrong about the port.
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
		f.Text += "; the port is not served with these settings (was the process restarted since they were written?)"
	}
	return f
}

// newPort finds the URLs of the settings that are a target.
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
	p.listeners = at(t, all)
	if len(p.listeners) == 0 {
		p.doubts("no URL of the settings has the port of " + t.Address)
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
