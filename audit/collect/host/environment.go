package host

import (
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// variable is one environment variable.
type variable struct {
	name, value string
}

const etcdPrefix = "ETCD_"

// variableOf returns the environment variable of a flag of etcd (pkg/flags FlagToEnv).
func variableOf(flag string) string {
	return etcdPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// lookup finds a variable. If a program was given it twice, it sees the last.
func lookup(env []variable, name string) (value string, found bool) {
	for _, v := range slices.Backward(env) {
		if v.name == name {
			return v.value, true
		}
	}
	return "", false
}

// etcdSettings returns the settings that etcd takes from its environment: variables that are
// not empty. etcd only warns of a variable that has its prefix and belongs to no flag. Such a
// variable is a fault, unless Kubernetes sets it in every container of a namespace that has a
// Service named etcd.
func etcdSettings(env []variable) ([]written, []audit.Fault) {
	var settings []written
	var faults []audit.Fault
	var seen []string
	for _, v := range slices.Backward(env) {
		rest, ok := strings.CutPrefix(v.name, etcdPrefix)
		if !ok || slices.Contains(seen, v.name) {
			continue
		}
		seen = append(seen, v.name)
		flag := strings.ToLower(strings.ReplaceAll(rest, "_", "-"))
		switch {
		case strings.ToUpper(rest) != rest || !isKnownFlag(flag):
			if !slices.Contains(ignoredVariables(), rest) && !strings.HasPrefix(rest, "SERVICE_") && !strings.HasPrefix(rest, "PORT") {
				faults = append(faults, audit.Fault{Subject: "environment " + makePrintable(v.name), Reason: "etcd has no flag of this name, so the variable has no effect"})
			}
		case v.value != "":
			settings = append(settings, written{flag, v.value})
		}
	}
	slices.Reverse(settings)
	slices.Reverse(faults)
	return settings, faults
}

// ignoredVariables returns the variables with etcd's prefix that belong to no flag: those that
// etcd itself reads (server/etcdmain/etcd.go) and those that images set.
func ignoredVariables() []string { return []string{"UNSUPPORTED_ARCH", "VERSION", "VER", "SERVER"} }

// parseEnviron reads /proc/PID/environ: NAME=value, each ended by a NUL.
func parseEnviron(data []byte) []variable {
	var env []variable
	for entry := range strings.SplitSeq(string(data), "\x00") {
		if name, value, found := strings.Cut(entry, "="); found && name != "" {
			env = append(env, variable{name, value})
		}
	}
	return env
}

// parseEnvironmentFile reads an EnvironmentFile= of systemd (systemd.exec(5)): NAME=value
// lines. # and ; begin a comment. A value may be in quotes, and a backslash continues it on the
// next line. Nothing is expanded. Other lines are ignored, as systemd does.
func parseEnvironmentFile(data []byte) []variable {
	var env []variable
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	for text != "" {
		text = strings.TrimLeft(text, " \t\n")
		if strings.HasPrefix(text, "#") || strings.HasPrefix(text, ";") {
			_, text, _ = strings.Cut(text, "\n")
			continue
		}
		end := strings.IndexAny(text, "=\n")
		if end < 0 {
			break
		}
		name := strings.TrimSpace(text[:end])
		if text[end] == '\n' {
			text = text[end+1:]
			continue
		}
		var value string
		value, text = environmentValue(text[end+1:])
		if isVariableName(name) {
			env = append(env, variable{name, value})
		}
	}
	return env
}

// environmentValue reads up to the end of an assignment and returns the value and what follows
// it.
func environmentValue(text string) (value, rest string) {
	var b strings.Builder
	text = strings.TrimLeft(text, " \t")
	kept := 0 // of b: white space at the end of a value counts only in quotes
	var quote byte
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && i+1 < len(text) && quote != '\'':
			i++
			switch {
			case text[i] == '\n':
			case quote == '"' && !strings.ContainsRune("\"\\`$", rune(text[i])):
				b.WriteByte('\\')
				b.WriteByte(text[i])
			default:
				b.WriteByte(text[i])
			}
			kept = b.Len()
		case quote != 0 && c == quote:
			quote = 0
			kept = b.Len()
		case quote != 0:
			b.WriteByte(c)
			kept = b.Len()
		case c == '\n':
			return b.String()[:kept], text[i+1:]
		case (c == '"' || c == '\'') && b.Len() == 0:
			quote = c
		default:
			b.WriteByte(c)
			if c != ' ' && c != '\t' {
				kept = b.Len()
			}
		}
	}
	return b.String()[:kept], ""
}

// isVariableName reports whether systemd takes a name for a variable.
func isVariableName(name string) bool {
	for i, c := range []byte(name) {
		letter := c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}
