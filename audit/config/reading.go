// Package config holds the checks of what etcd, and the kube-apiserver beside it, were told
// on their host, by the rules by which the programs themselves understand it.
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

// reading is one question put to settings. It notes why a setting that it asked for is not
// known: then the question has no answer. What it did not ask for does not matter to it.
type reading struct {
	settings *audit.Settings
	doubt    string
	findings []audit.Finding
	// certain are the findings that stand whatever is in doubt beside them.
	certain []audit.Finding
	seen    []string
}

func (r *reading) doubts(reason string) {
	if r.doubt == "" {
		r.doubt = reason
	}
}

func (r *reading) found(code, text string) {
	r.findings = append(r.findings, audit.Finding{Code: code, Text: text})
}

// foundIn is found, of an item of a setting that is a list: it stands also where another item, or
// another setting, is not known.
func (r *reading) foundIn(flag, code, text string) {
	file := r.configFile()
	known := r.settings.Fault(flag) == "" && r.settings.Value(flag) != "" || r.settings.Values[flag].Partial
	if known && (file == "" || r.settings.Fault(file) == "") {
		r.certain = append(r.certain, audit.Finding{Code: code, Text: text})
		return
	}
	r.found(code, text)
}

func (r *reading) saw(text string) { r.seen = append(r.seen, text) }

// value is the effective value of a setting.
func (r *reading) value(flag string) string {
	if reason := r.settings.Fault(flag); reason != "" {
		r.doubts("--" + flag + ": " + reason)
	}
	// A configuration file says everything, also by what is not in it. It can be read and
	// still not count: when it was changed after the start.
	if file := r.configFile(); file != "" {
		if reason := r.settings.Fault(file); reason != "" {
			r.doubts(file + ": " + reason)
		}
	}
	return r.settings.Value(flag)
}

// configFile is the configuration file as the sources of what it says name it: the setting
// itself may have a relative path.
func (r *reading) configFile() string {
	for _, setting := range r.settings.Values {
		if file, found := strings.CutPrefix(setting.Source, "config file "); found {
			return file
		}
	}
	return r.settings.Value("config-file")
}

// enabled is value, of a boolean.
func (r *reading) enabled(flag string) bool {
	value := r.value(flag)
	if value == "" {
		return false
	}
	on, err := strconv.ParseBool(value)
	if err != nil {
		r.doubts(fmt.Sprintf("--%s: %q is neither true nor false, and etcd does not start with it", flag, value))
	}
	return on
}

// written is a setting for people, with where it was made and what has no effect beside it.
func (r *reading) written(flag string) string {
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

// ask puts questions to settings. Findings stand whatever is in doubt besides them; without
// one, a single doubt is an unknown.
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

// askEtcd puts questions to the settings of a target's etcd.
func askEtcd(questions ...func(*reading)) func(*audit.HostSettings) audit.Outcome {
	return ofEtcd(func(_ *audit.HostSettings, s *audit.Settings) audit.Outcome { return ask(s, questions...) })
}

// ofEtcd judges the settings of a target's etcd.
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

// ofAPIServer judges the settings of the kube-apiserver of a target's host.
func ofAPIServer(judge func(*audit.Settings) audit.Outcome) func(*audit.HostSettings) audit.Outcome {
	return func(t *audit.HostSettings) audit.Outcome {
		if t.Settings == nil {
			return audit.CouldNotTell("the settings were not read")
		}
		s := apiServer(t.Settings)
		if s == nil {
			return audit.Skipped("no kube-apiserver was found beside etcd")
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

// worth lowers an outcome to the worst severity that its findings have by their codes.
func worth(o audit.Outcome, severity func(code string) audit.Severity) audit.Outcome {
	for i, f := range o.Findings {
		if s := severity(f.Code); i == 0 || s.Rank() < o.Severity.Rank() {
			o.Severity = s
		}
	}
	return o
}
