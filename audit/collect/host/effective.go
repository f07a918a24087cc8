package host

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// The sources of settings.
const (
	fromFlag        = "flag"
	fromEnvironment = "environment"
	fromFile        = "config file " // and its path
)

// invocation describes how a program is started: by whom, with what, and which files it sees.
type invocation struct {
	program string
	origin  string // as audit.Settings.Origin
	// container tells one of several etcds of a Pod apart, behind the origin; empty of the only one.
	container string
	version   string
	args      []string // behind the program's name
	env       []variable
	faults    []audit.Fault
	view      *view
	files     []file // that the origin itself consists of, such as a manifest
	binary    string // the first word of a unit's command
	sandbox   *audit.Sandbox
	process   *process

	script  bool   // a shell starts it, by a script that is not understood
	partial bool   // not all of args are known
	manages string // the client port of the etcd that an etcd-manager starts; empty of an etcd
	config  []byte // of a configuration file that was given alone
}

// file is a file to look at.
type file struct {
	path string
	role audit.FileRole
}

// settings works out which settings take effect, by the program's own rules.
func (inv *invocation) settings(hostname string) *audit.Settings {
	s := &audit.Settings{
		Program: inv.program,
		Host:    hostname,
		Origin:  inv.origin,
		Version: inv.version,
		Running: inv.process != nil,
		Sandbox: inv.sandbox,
		Values:  map[string]audit.Setting{},
		Faults:  slices.Clone(inv.faults),
	}
	if inv.script {
		s.Faults = append(s.Faults, audit.Fault{Reason: "a shell script starts " + inv.program + ", and what it makes of the flags is seen only while it runs"})
		return s
	}
	if inv.manages != "" {
		return s
	}
	if inv.config != nil {
		applyConfig(s, inv.origin, inv.config)
		cleanValues(s)
		return s
	}
	flags, faults := parseFlags(inv.program, inv.args)
	if !inv.partial { // else a word that is not known may be the one that is missed
		s.Faults = append(s.Faults, faults...)
	}
	if inv.program != etcd {
		applyFlags(s, flags)
		cleanValues(s)
		return s
	}
	env, faults := etcdSettings(inv.env)
	configFile := lastSetting(flags, "config-file")
	if configFile.value == "" {
		configFile = lastSetting(env, "config-file")
	}
	if configFile.value != "" {
		// etcdmain: a config file replaces all flags and the environment, which it does not
		// even look at then.
		inv.applyFile(s, configFile, flags, env)
	} else {
		s.Faults = append(s.Faults, faults...)
		applyFlags(s, flags)
		applyEnvironment(s, env, inv.env)
	}
	cleanValues(s)
	return s
}

// lastSetting returns the last setting of a name, which is the one that counts.
func lastSetting(settings []written, name string) written {
	for _, w := range slices.Backward(settings) {
		if w.name == name {
			return w
		}
	}
	return written{}
}

// applyFlags takes the settings from a command line.
func applyFlags(s *audit.Settings, flags []written) {
	for _, f := range flags {
		setting := audit.Setting{Value: f.value, Source: fromFlag}
		before, twice := s.Values[f.name]
		switch {
		case twice && isCumulative(s.Program, f.name):
			setting.Value = before.Value + "," + f.value
		case twice && before.Value != f.value:
			setting.Overridden = append(before.Overridden, flagOverride(written{f.name, before.Value}, "it is given again, and the last counts"))
		case twice:
			setting.Overridden = before.Overridden
		}
		s.Values[f.name] = setting
	}
}

// applyEnvironment adds the settings that no flag makes. etcd does not start if both make one,
// even with an empty variable (pkg/flags verifyEnv).
func applyEnvironment(s *audit.Settings, env []written, all []variable) {
	for _, name := range flagNames(s) {
		if value, found := lookup(all, variableOf(name)); found && !s.Running {
			s.Faults = append(s.Faults, audit.Fault{Subject: name, Reason: fmt.Sprintf("etcd does not start: %s=%s in the environment conflicts with the flag --%s", variableOf(name), shorten(value), name)})
		}
	}
	for _, e := range env {
		if given, found := s.Values[e.name]; found {
			given.Overridden = append(given.Overridden, environmentOverride(e, "the flag counts"))
			s.Values[e.name] = given
			continue
		}
		s.Values[e.name] = audit.Setting{Value: e.value, Source: fromEnvironment}
	}
}

// flagNames returns the names of the settings in order.
func flagNames(s *audit.Settings) []string {
	names := make([]string, 0, len(s.Values))
	for name := range s.Values {
		names = append(names, name)
	}
	return sortText(names)
}

// applyFile takes the settings from etcd's configuration file and notes which flags and
// variables it replaces.
func (inv *invocation) applyFile(s *audit.Settings, configFile written, flags, env []written) {
	source := fromFlag
	if lastSetting(flags, "config-file").value == "" {
		source = fromEnvironment
	}
	s.Values["config-file"] = audit.Setting{Value: configFile.value, Source: source}
	at := inv.view.absolute(configFile.value)
	inv.files = append(inv.files, file{at, audit.ConfigFile})
	data, err := inv.view.readFile(at, maxFile)
	if err != nil {
		s.Faults = append(s.Faults,
			audit.Fault{Subject: at, Reason: explainError(err)},
			audit.Fault{Reason: "the configuration file, which replaces all flags, could not be read: " + explainError(err)})
		return
	}
	applyConfig(s, at, data)
	for _, f := range flags {
		addOverride(s, f.name, flagOverride(f, "a config file replaces all flags"))
	}
	for _, e := range env {
		addOverride(s, e.name, environmentOverride(e, "a config file replaces the environment"))
	}
	if inv.process.startedBefore(inv.view.modTime(at)) {
		s.Faults = append(s.Faults, audit.Fault{Subject: at, Reason: "it was changed after the process started, which may run with other settings: restart it"})
	}
}

// applyConfig takes the settings from the content of etcd's configuration file.
func applyConfig(s *audit.Settings, at string, data []byte) {
	settings, faults, err := parseConfigFile(at, data)
	s.Faults = append(s.Faults, faults...)
	if err != nil {
		s.Faults = append(s.Faults,
			audit.Fault{Subject: at, Reason: "etcd does not start with it: " + err.Error()},
			audit.Fault{Reason: "etcd does not start with its configuration file: " + err.Error()})
	}
	for _, w := range settings {
		s.Values[w.name] = audit.Setting{Value: w.value, Source: fromFile + at}
	}
}

// addOverride notes a value of a setting that has no effect.
func addOverride(s *audit.Settings, name string, what audit.Override) {
	if name == "config-file" {
		return
	}
	setting := s.Values[name]
	setting.Overridden = append(setting.Overridden, what)
	s.Values[name] = setting
}

// flagOverride describes a flag that has no effect, with the reason.
func flagOverride(f written, why string) audit.Override {
	return audit.Override{Source: fromFlag, Value: f.value, Flag: true, Text: "flag " + f.flag() + ": " + why}
}

// environmentOverride describes a variable that has no effect, with the reason.
func environmentOverride(e written, why string) audit.Override {
	return audit.Override{Source: fromEnvironment, Value: e.value, Text: "environment " + variableOf(e.name) + "=" + e.value + ": " + why}
}

// cleanValues makes every value safe to show and to keep. It notes the values that are not
// known yet and those that the program refuses.
func cleanValues(s *audit.Settings) {
	for _, name := range flagNames(s) {
		setting := s.Values[name]
		clean := makePrintable(name)
		setting.Value = withoutSecret(name, makePrintable(setting.Value))
		for i, o := range setting.Overridden {
			o.Value, o.Text = withoutSecret(name, makePrintable(o.Value)), withoutSecret(name, makePrintable(o.Text))
			setting.Overridden[i] = o
		}
		delete(s.Values, name)
		s.Values[clean] = setting
		boolean, known := lookUpSwitch(name)
		_, err := strconv.ParseBool(setting.Value)
		switch {
		case setting.Source == "" || s.Running:
		case hasUnknownPart(setting.Value):
			setting.Partial = s.Fault(clean) == ""
			s.Values[clean] = setting
			s.Faults = append(s.Faults, audit.Fault{Subject: clean, Reason: fmt.Sprintf("its value %q is a template, which somebody else fills in", shorten(setting.Value))})
		case s.Program == etcd && boolean && known && err != nil:
			s.Faults = append(s.Faults, audit.Fault{Subject: clean, Reason: fmt.Sprintf("etcd does not start: %q is not true or false", shorten(setting.Value))})
		}
	}
}

// hasUnknownPart reports whether a value as it was written has a part that somebody else fills
// in: a template, or a variable of a manifest or of a script.
func hasUnknownPart(value string) bool {
	return strings.Contains(value, "{{") || strings.Contains(value, "$(") || strings.Contains(value, "${")
}

// withoutSecret removes what must not be in a report: passwords, also those in URLs.
func withoutSecret(name, value string) string {
	const left = "(left out)"
	if value == "" {
		return ""
	}
	switch name {
	case "discovery-password", "discovery-token", "discovery":
		return left
	case "discovery-user":
		if user, _, both := strings.Cut(value, ":"); both {
			return user + ":" + left
		}
	}
	return withoutUserinfo(value)
}

// withoutUserinfo removes the user and the password from URLs.
func withoutUserinfo(value string) string {
	var b strings.Builder
	for {
		scheme := strings.Index(value, "://")
		if scheme < 0 {
			return b.String() + value
		}
		scheme += len("://")
		b.WriteString(value[:scheme])
		value = value[scheme:]
		end := strings.IndexAny(value, "/, ;")
		if end < 0 {
			end = len(value)
		}
		if at := strings.LastIndexByte(value[:end], '@'); at >= 0 {
			value = value[at+1:]
		}
	}
}

// dataDir returns the data dir of an etcd, which has a default (etcdmain).
func dataDir(s *audit.Settings) string {
	if dir := s.Value("data-dir"); dir != "" {
		return dir
	}
	if name := s.Value("name"); name != "" {
		return name + ".etcd"
	}
	return "default.etcd"
}

// processOrigin returns the Origin of a process that has no manifest and no unit.
func processOrigin(program, name string) string {
	if name == "" {
		name = "default"
	}
	if program == kubeAPIServer {
		return "process " + program
	}
	return "process " + path.Base(makePrintable(name))
}
