package host

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// Where a setting was made.
const (
	fromFlag        = "flag"
	fromEnvironment = "environment"
	fromFile        = "config file " // and its path
)

// invocation is how a program is started: by whom, with what, and what it sees of the files.
type invocation struct {
	program string
	origin  string // as audit.Settings.Origin
	version string
	args    []string // behind the program's name
	env     []variable
	faults  []audit.Fault
	view    *view
	files   []file // that the origin itself consists of, such as a manifest
	binary  string // the first word of a unit's command
	sandbox *audit.Sandbox
	process *process

	script bool   // a shell starts it, by a script that is not read
	config []byte // of a configuration file that was given alone
}

// file is a file to be looked at.
type file struct {
	path string
	role audit.FileRole
}

// settings works out what is effective, by the program's own rules.
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
	if inv.config != nil {
		applyConfig(s, inv.origin, inv.config)
		finish(s)
		return s
	}
	flags, faults := parseFlags(inv.program, inv.args)
	s.Faults = append(s.Faults, faults...)
	if inv.program != etcd {
		applyFlags(s, flags)
		finish(s)
		return s
	}
	env, faults := etcdSettings(inv.env)
	configFile := last(flags, "config-file")
	if configFile.value == "" {
		configFile = last(env, "config-file")
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
	finish(s)
	return s
}

// last finds the setting that counts.
func last(settings []written, name string) written {
	for _, w := range slices.Backward(settings) {
		if w.name == name {
			return w
		}
	}
	return written{}
}

func applyFlags(s *audit.Settings, flags []written) {
	for _, f := range flags {
		setting := audit.Setting{Value: f.value, Source: fromFlag}
		before, twice := s.Values[f.name]
		switch {
		case twice && collected(s.Program, f.name):
			setting.Value = before.Value + "," + f.value
		case twice && before.Value != f.value:
			setting.Overridden = append(before.Overridden, flagOverride(written{f.name, before.Value}, "it is given again, and the last counts"))
		case twice:
			setting.Overridden = before.Overridden
		}
		s.Values[f.name] = setting
	}
}

// applyEnvironment adds what no flag says. etcd does not start where both do, even with an
// empty variable (pkg/flags verifyEnv).
func applyEnvironment(s *audit.Settings, env []written, all []variable) {
	for _, name := range flagNames(s) {
		if value, found := lookup(all, variableOf(name)); found && !s.Running {
			s.Faults = append(s.Faults, audit.Fault{Subject: name, Reason: fmt.Sprintf("etcd does not start: %s=%s in the environment conflicts with the flag --%s", variableOf(name), short(value), name)})
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

func flagNames(s *audit.Settings) []string {
	names := make([]string, 0, len(s.Values))
	for name := range s.Values {
		names = append(names, name)
	}
	return sorted(names)
}

// applyFile takes the settings from etcd's configuration file and notes what it replaces.
func (inv *invocation) applyFile(s *audit.Settings, configFile written, flags, env []written) {
	source := fromFlag
	if last(flags, "config-file").value == "" {
		source = fromEnvironment
	}
	s.Values["config-file"] = audit.Setting{Value: configFile.value, Source: source}
	at := inv.view.abs(configFile.value)
	inv.files = append(inv.files, file{at, audit.ConfigFile})
	data, err := inv.view.readFile(at, maxFile)
	if err != nil {
		s.Faults = append(s.Faults,
			audit.Fault{Subject: at, Reason: reason(err)},
			audit.Fault{Reason: "the configuration file, which replaces all flags, could not be read: " + reason(err)})
		return
	}
	applyConfig(s, at, data)
	for _, f := range flags {
		overridden(s, f.name, flagOverride(f, "a config file replaces all flags"))
	}
	for _, e := range env {
		overridden(s, e.name, environmentOverride(e, "a config file replaces the environment"))
	}
	if inv.process.startedBefore(inv.view.modified(at)) {
		s.Faults = append(s.Faults, audit.Fault{Subject: at, Reason: "it was changed after the process started, which may run with other settings: restart it"})
	}
}

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

func overridden(s *audit.Settings, name string, what audit.Override) {
	if name == "config-file" {
		return
	}
	setting := s.Values[name]
	setting.Overridden = append(setting.Overridden, what)
	s.Values[name] = setting
}

// flagOverride is a flag that has no effect, and why.
func flagOverride(f written, why string) audit.Override {
	return audit.Override{Source: fromFlag, Value: f.value, Flag: true, Text: "flag " + f.flag() + ": " + why}
}

// environmentOverride is a variable that has no effect, and why.
func environmentOverride(e written, why string) audit.Override {
	return audit.Override{Source: fromEnvironment, Value: e.value, Text: "environment " + variableOf(e.name) + "=" + e.value + ": " + why}
}

// finish makes every value one that can be shown and kept, and notes the ones that nobody
// knows yet or that the program refuses.
func finish(s *audit.Settings) {
	for _, name := range flagNames(s) {
		setting := s.Values[name]
		clean := printable(name)
		setting.Value = withoutSecret(name, printable(setting.Value))
		for i, o := range setting.Overridden {
			o.Value, o.Text = withoutSecret(name, printable(o.Value)), withoutSecret(name, printable(o.Text))
			setting.Overridden[i] = o
		}
		delete(s.Values, name)
		s.Values[clean] = setting
		boolean, known := isSwitch(name)
		_, err := strconv.ParseBool(setting.Value)
		switch {
		case setting.Source == "" || s.Running:
		case strings.Contains(setting.Value, "{{") || strings.Contains(setting.Value, "$("):
			s.Faults = append(s.Faults, audit.Fault{Subject: clean, Reason: fmt.Sprintf("its value %q is a template, which somebody else fills in", short(setting.Value))})
		case s.Program == etcd && boolean && known && err != nil:
			s.Faults = append(s.Faults, audit.Fault{Subject: clean, Reason: fmt.Sprintf("etcd does not start: %q is not true or false", short(setting.Value))})
		}
	}
}

// withoutSecret leaves out what must not be in a report: passwords, and those in URLs.
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

// dataDir is where etcd keeps its data when nobody says it (etcdmain).
func dataDir(s *audit.Settings) string {
	if dir := s.Value("data-dir"); dir != "" {
		return dir
	}
	if name := s.Value("name"); name != "" {
		return name + ".etcd"
	}
	return "default.etcd"
}

// processOrigin is the Origin of a process without a manifest or unit.
func processOrigin(program, name string) string {
	if name == "" {
		name = "default"
	}
	if program == kubeAPIServer {
		return "process " + program
	}
	return "process " + path.Base(printable(name))
}
