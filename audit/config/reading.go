// Package config holds the checks of the settings of etcd, and of the kube-apiserver on the same host.
// They interpret the settings by the rules of the programs themselves.
package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

const (
	etcd          = "etcd"
	kubeAPIServer = "kube-apiserver"
)

// reading is one question about settings. If a setting that the question needs is unknown, it notes why,
// and the question has no answer. Other settings do not matter.
type reading struct {
	settings *audit.Settings
	doubt    string
	findings []audit.Finding
	// certain holds the findings that stand even if another setting is in doubt.
	certain []audit.Finding
	seen    []string
}

func (r *reading) addDoubt(reason string) {
	if r.doubt == "" {
		r.doubt = reason
	}
}

func (r *reading) addFinding(code, text string) {
	r.findings = append(r.findings, audit.Finding{Code: code, Text: text})
}

// addFindingIn adds a finding about one item of a setting that is a list. The finding also stands if
// another item, or another setting, is unknown.
func (r *reading) addFindingIn(flag, code, text string) {
	file := r.configFile()
	known := r.settings.Fault(flag) == "" && r.settings.Value(flag) != "" || r.settings.Values[flag].Partial
	if known && (file == "" || r.settings.Fault(file) == "") {
		r.certain = append(r.certain, audit.Finding{Code: code, Text: text})
		return
	}
	r.addFinding(code, text)
}

func (r *reading) addEvidence(text string) { r.seen = append(r.seen, text) }

// value returns the effective value of a setting.
func (r *reading) value(flag string) string {
	if reason := r.settings.Fault(flag); reason != "" {
		r.addDoubt("--" + flag + ": " + reason)
	}
	// A configuration file says everything, also by what is not in it. It can be read and
	// still not count: when it was changed after the start.
	if file := r.configFile(); file != "" {
		if reason := r.settings.Fault(file); reason != "" {
			r.addDoubt(file + ": " + reason)
		}
	}
	return r.settings.Value(flag)
}

// configFile returns the configuration file's path as the sources of its settings name it. The flag
// itself may have a relative path.
func (r *reading) configFile() string {
	for _, setting := range r.settings.Values {
		if file, found := strings.CutPrefix(setting.Source, "config file "); found {
			return file
		}
	}
	return r.settings.Value("config-file")
}

// enabled returns the effective value of a boolean setting.
func (r *reading) enabled(flag string) bool {
	value := r.value(flag)
	if value == "" {
		return false
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		r.addDoubt(fmt.Sprintf("--%s: %q is neither true nor false, and etcd does not start with it", flag, value))
	}
	return on
}

// describe formats a setting for people, with its source and the values that it overrides.
func (r *reading) describe(flag string) string {
	setting := r.settings.Values[flag]
	text := "--" + flag + " is not set"
	if setting.Value != "" {
		text = "--" + flag + "=" + setting.Value
	}
	if setting.Source != "" && setting.Source != "flag" {
		text += " (" + setting.Source + ")"
	}
	if overridden := setting.OverriddenText(); overridden != "" {
		text += " (without effect: " + overridden + ")"
	}
	return text
}

// ask answers questions about settings. Findings count even if other questions are in doubt; without a
// finding, one doubt makes the outcome unknown.
func ask(s *audit.Settings, questions ...func(*reading)) audit.Outcome {
	var findings []audit.Finding
	var seen []string
	var doubt string
	for _, question := range questions {
		r := &reading{settings: s}
		question(r)
		findings = append(findings, r.certain...)
		if r.doubt != "" {
			if doubt == "" {
				doubt = r.doubt
			}
			continue
		}
		findings = append(findings, r.findings...)
		seen = append(seen, r.seen...)
	}
	switch {
	case len(findings) > 0:
		return audit.Failed(findings...)
	case doubt != "":
		return audit.CouldNotTell(doubt)
	default:
		return audit.Passed(strings.Join(seen, "; "))
	}
}

// askEtcd returns the Run of a check that asks questions about the settings of a target's etcd.
func askEtcd(questions ...func(*reading)) func(*audit.HostSettings) audit.Outcome {
	return ofEtcd(func(_ *audit.HostSettings, s *audit.Settings) audit.Outcome { return ask(s, questions...) })
}

// ofEtcd returns the Run of a check that judges the settings of a target's etcd.
func ofEtcd(judge func(*audit.HostSettings, *audit.Settings) audit.Outcome) func(*audit.HostSettings) audit.Outcome {
	return func(t *audit.HostSettings) audit.Outcome {
		switch {
		case t.Settings == nil:
			return audit.CouldNotTell("the settings were not read")
		case t.Settings.Program == kubeAPIServer:
			return audit.Skipped("these settings are kube-apiserver's")
		default:
			return judge(t, t.Settings)
		}
	}
}

// ofAPIServer returns the Run of a check that judges the settings of the kube-apiserver on a target's host.
func ofAPIServer(judge func(*audit.Settings) audit.Outcome) func(*audit.HostSettings) audit.Outcome {
	return func(t *audit.HostSettings) audit.Outcome {
		if t.Settings == nil {
			return audit.CouldNotTell("the settings were not read")
		}
		s := apiServer(t.Settings)
		if s == nil {
			return audit.Skipped("there is no kube-apiserver on the host of etcd")
		}
		return judge(s)
	}
}

func apiServer(s *audit.Settings) *audit.Settings {
	if s.Program == kubeAPIServer {
		return s
	}
	return s.APIServer
}

// withWorstSeverity returns an outcome with the worst severity of its findings' codes.
func withWorstSeverity(o audit.Outcome, severity func(code string) audit.Severity) audit.Outcome {
	for i, f := range o.Findings {
		if s := severity(f.Code); i == 0 || s.Rank() < o.Severity.Rank() {
			o.Severity = s
		}
	}
	return o
}
