package host

import (
	"cmp"
	"fmt"
	"path"
	"slices"

	"github.com/etcdsec/etcdsec/audit"
)

// instance is one etcd or API server of the host.
type instance struct {
	*invocation
	settings *audit.Settings
}

// match joins the parts of one etcd: the process, which shows what is in effect, and the static
// Pod or unit that started it, which shows what a restart changes.
func (c *collector) match(running, declared []*invocation) []*instance {
	var processes, found []*instance
	for _, inv := range running {
		p := &instance{inv, inv.settings(c.hostname)}
		p.settings.Origin = processOrigin(inv.program, p.settings.Value("name"))
		if slices.ContainsFunc(processes, func(other *instance) bool { return other.settings.Origin == p.settings.Origin }) {
			p.settings.Origin += fmt.Sprintf(" %d", inv.process.pid)
		}
		processes = append(processes, p)
	}
	taken := make([]bool, len(processes))
	for _, inv := range declared {
		d := &instance{inv, inv.settings(c.hostname)}
		at := bestMatch(d, processes, taken, countOf(declared, inv.program) == 1 && countOf(running, inv.program) == 1)
		switch {
		case at >= 0:
			taken[at] = true
			processes[at].adopt(d)
		case c.startsByItself(inv):
			if c.sawProcesses {
				d.settings.Faults = append(d.settings.Faults, audit.Fault{Subject: inv.files[0].path, Reason: "no process of it is running"})
			}
			found = append(found, d)
		}
	}
	found = append(found, processes...)
	slices.SortStableFunc(found, func(a, b *instance) int { return cmp.Compare(a.settings.Origin, b.settings.Origin) })
	return found
}

func countOf(invs []*invocation, program string) int {
	n := 0
	for _, inv := range invs {
		if inv.program == program {
			n++
		}
	}
	return n
}

// startsByItself reports whether the program is started automatically. A kubelet starts every
// static Pod, systemd every unit that is enabled. Packages bring units that are not enabled.
func (c *collector) startsByItself(inv *invocation) bool {
	if inv.files[0].role != audit.UnitFile {
		return true
	}
	return c.isEnabled(inv.origin)
}

// bestMatch finds the process of a static Pod or unit: the one that shares most of the values
// that only one etcd can have. If there is one of each, they belong together.
func bestMatch(d *instance, processes []*instance, taken []bool, only bool) int {
	best, most := -1, 0
	for i, p := range processes {
		if taken[i] || p.program != d.program {
			continue
		}
		shared := 0
		for _, name := range []string{"name", "data-dir", "listen-client-urls", "listen-peer-urls", "secure-port", "advertise-address"} {
			if v := d.settings.Value(name); v != "" && v == p.settings.Value(name) {
				shared++
			}
		}
		if d.manages != "" && portOf(p.settings.Value("listen-client-urls")) == d.manages {
			shared++
		}
		if only {
			shared++
		}
		if shared > most {
			best, most = i, shared
		}
	}
	return best
}

// adopt notes on a process which manifest or unit started it, and in what the two differ.
func (p *instance) adopt(d *instance) {
	p.settings.Origin = d.settings.Origin
	p.files = append(slices.Clone(d.files), p.files...)
	p.view.mounts = slices.Concat(p.view.mounts, d.view.mounts)
	if d.settings.Sandbox != nil {
		p.settings.Sandbox = d.settings.Sandbox
	}
	if p.version == "" {
		p.version, p.settings.Version = d.version, d.settings.Version
	}
	at := d.files[0].path
	for _, f := range d.settings.Faults {
		if f.Subject != "" && path.IsAbs(f.Subject) && !slices.Contains(p.settings.Faults, f) {
			p.settings.Faults = append(p.settings.Faults, f)
		}
	}
	if d.script || d.settings.Fault("") != "" {
		return // what it would run with is not known
	}
	for _, name := range flagNames(d.settings) {
		says, runs := d.settings.Values[name], p.settings.Values[name]
		if says.Source == "" || d.settings.Fault(name) != "" || says.Value == runs.Value && runs.Source != "" {
			continue
		}
		if runs.Source == "" {
			p.addDifference(at, fmt.Sprintf("it says --%s=%s, and the process runs without it: restart it", name, shorten(says.Value)))
			continue
		}
		runs.Overridden = append(runs.Overridden, audit.Override{
			Source: at, Value: says.Value, Flag: true,
			Text: fmt.Sprintf("%s says --%s=%s: the process was started without it: restart it", at, name, says.Value),
		})
		p.settings.Values[name] = runs
	}
	for _, name := range flagNames(p.settings) {
		if p.settings.Values[name].Source != "" && d.settings.Values[name].Source == "" && d.settings.Fault(name) == "" {
			p.addDifference(at, fmt.Sprintf("it does not say --%s, with which the process runs: restart it", name))
		}
	}
}

// addDifference notes in what a process differs from its manifest or unit.
func (p *instance) addDifference(at, how string) {
	p.settings.Faults = append(p.settings.Faults, audit.Fault{Subject: at, Reason: how})
}
