package host

import (
	"errors"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/etcdsec/etcdsec/audit"
)

// unit is the part of a systemd service that is read.
type unit struct {
	execStart        [][]string
	environment      []variable
	environmentFiles []string // with a dash in front where one may be missing
	workingDir       string
	limits           map[string]string // by the names of the directives
}

// assignment is one "Key=value" of a section of a unit.
type assignment struct {
	section, key, value string
}

// parseUnit reads the assignments of a unit file or drop-in. A line that ends in a backslash
// continues on the next; comments between the two are skipped.
func parseUnit(data []byte) []assignment {
	var found []assignment
	section, line := "", ""
	for text := range strings.Lines(string(data)) {
		text = strings.TrimRight(text, "\r\n")
		trimmed := strings.TrimSpace(text)
		if strings.HasPrefix(trimmed, "#") || strings.HasPrefix(trimmed, ";") || trimmed == "" && line == "" {
			continue
		}
		if before, goesOn := strings.CutSuffix(text, `\`); goesOn {
			line += before + " "
			continue
		}
		line += text
		whole := strings.TrimSpace(line)
		line = ""
		if strings.HasPrefix(whole, "[") && strings.HasSuffix(whole, "]") {
			section = whole[1 : len(whole)-1]
			continue
		}
		if key, value, found2 := strings.Cut(whole, "="); found2 {
			found = append(found, assignment{section, strings.TrimSpace(key), strings.TrimSpace(value)})
		}
	}
	return found
}

// apply adds the assignments of a unit file or drop-in. An empty value resets what was assigned
// before.
func (u *unit) apply(assignments []assignment, specifiers *strings.Replacer) {
	for _, a := range assignments {
		if a.section != "Service" {
			continue
		}
		switch a.key {
		case "ExecStart":
			if a.value == "" {
				u.execStart = nil
			} else if words := splitWords(a.value); len(words) > 0 {
				u.execStart = append(u.execStart, expandAll(words, specifiers))
			}
		case "Environment":
			if a.value == "" {
				u.environment = nil
			}
			for _, word := range expandAll(splitWords(a.value), specifiers) {
				if name, value, found := strings.Cut(word, "="); found && isVariableName(name) {
					u.environment = append(u.environment, variable{name, value})
				}
			}
		case "EnvironmentFile":
			if a.value == "" {
				u.environmentFiles = nil
			} else {
				u.environmentFiles = append(u.environmentFiles, specifiers.Replace(a.value))
			}
		case "WorkingDirectory":
			u.workingDir = strings.TrimPrefix(specifiers.Replace(a.value), "-")
		default:
			u.setLimit(a.key, specifiers.Replace(a.value))
		}
	}
}

func expandAll(words []string, specifiers *strings.Replacer) []string {
	for i, word := range words {
		words[i] = specifiers.Replace(word)
	}
	return words
}

// specifiersOf returns the specifiers that are known without the running system
// (systemd.unit(5)).
func specifiersOf(name, hostname string) *strings.Replacer {
	prefix := strings.TrimSuffix(name, path.Ext(name))
	instance := ""
	if before, after, found := strings.Cut(prefix, "@"); found {
		prefix, instance = before, after
	}
	return strings.NewReplacer("%%", "%", "%n", name, "%N", strings.TrimSuffix(name, path.Ext(name)), "%p", prefix,
		"%i", instance, "%I", strings.ReplaceAll(instance, "-", "/"), "%H", hostname, "%l", strings.SplitN(hostname, ".", 2)[0],
		"%S", "/var/lib", "%E", "/etc", "%t", "/run", "%C", "/var/cache", "%L", "/var/log")
}

// splitWords splits a text as systemd does: at white space, with quotes, and with the backslash
// escapes of C (systemd.syntax(7), systemd.service(5)).
func splitWords(text string) []string {
	var words []string
	var b strings.Builder
	inWord := false
	var quote rune
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRuneInString(text[i:])
		i += size
		switch {
		case c == '\\' && i < len(text):
			next, size := utf8.DecodeRuneInString(text[i:])
			i += size
			b.WriteString(unescape(next))
			inWord = true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '"' || c == '\''):
			quote, inWord = c, true
		case quote == 0 && strings.ContainsRune(" \t\n", c):
			if inWord {
				words = append(words, b.String())
			}
			b.Reset()
			inWord = false
		default:
			b.WriteRune(c)
			inWord = true
		}
	}
	if inWord {
		words = append(words, b.String())
	}
	return words
}

func unescape(c rune) string {
	switch c {
	case 'n':
		return "\n"
	case 't':
		return "\t"
	case 's':
		return " "
	case '\\', '"', '\'', ' ':
		return string(c)
	default:
		return `\` + string(c)
	}
}

// expandArguments replaces variables in a command line: ${NAME} anywhere in a word, and $NAME
// as a word of its own, which becomes as many words as its value has. A variable that is not
// set is empty.
func expandArguments(words []string, env []variable) []string {
	var args []string
	left := maxFile
	for _, word := range words {
		if name, found := strings.CutPrefix(word, "$"); found && isVariableName(name) {
			value, _ := lookup(env, name)
			if left -= len(value); left >= 0 {
				args = append(args, splitWords(value)...)
			}
			continue
		}
		args = append(args, substitute(word, env, &left))
	}
	return args
}

func substitute(word string, env []variable, left *int) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(word, '$')
		if at < 0 || at+1 == len(word) {
			return b.String() + word
		}
		b.WriteString(word[:at])
		word = word[at+1:]
		end := strings.IndexByte(word, '}')
		switch {
		case word[0] == '$':
			b.WriteByte('$')
			word = word[1:]
		case word[0] == '{' && end > 0 && isVariableName(word[1:end]):
			value, _ := lookup(env, word[1:end])
			if *left -= len(value); *left >= 0 {
				b.WriteString(value)
			}
			word = word[end+1:]
		default:
			b.WriteByte('$')
		}
	}
}

// mounts returns where a service sees other files than the host's at the same paths, by the
// directives of systemd.exec(5), and why it sees none of the host's beside these.
func (u *unit) mounts() (mounts []mount, elsewhere error) {
	if u.limits["RootImage"] != "" {
		elsewhere = errors.New("the unit has a root of its own, in an image")
	} else if root := u.limits["RootDirectory"]; path.IsAbs(root) {
		mounts = append(mounts, mount{"/", path.Clean(root)})
	}
	for _, item := range strings.Fields(u.limits["BindPaths"] + " " + u.limits["BindReadOnlyPaths"]) {
		parts := strings.Split(strings.TrimPrefix(item, "-"), ":")
		if inside := parts[min(1, len(parts)-1)]; path.IsAbs(parts[0]) && path.IsAbs(inside) {
			mounts = append(mounts, mount{path.Clean(inside), path.Clean(parts[0])})
		}
	}
	temporary := strings.Fields(u.limits["TemporaryFileSystem"])
	for _, item := range temporary {
		if inside, _, _ := strings.Cut(item, ":"); path.IsAbs(inside) {
			mounts = append(mounts, mount{path.Clean(inside), ""})
		}
	}
	if len(temporary) > 0 && elsewhere == nil {
		elsewhere = errors.New("it is in a temporary file system of the unit")
		if u.limits["RootDirectory"] == "" {
			mounts = append(mounts, mount{"/", "/"}) // all else is the host's
		}
	}
	return mounts, elsewhere
}

// invocation returns how a service starts a program; nil if it starts another one. The
// environment must be complete. readFile reads scripts, and is nil where there are none.
func (u *unit) invocation(readFile func(string) ([]byte, error)) *invocation {
	for _, words := range u.execStart {
		command := slices.Clone(words)
		program := strings.TrimLeft(command[0], "@-:+!|")
		prefix := strings.TrimSuffix(command[0], program)
		command[0] = program
		expanded := append([]string{command[0]}, expandArguments(command[1:], u.environment)...)
		found := launch{argv: expanded, env: u.environment, readFile: readFile}.follow()
		if inv := inContainer(expanded); inv != nil && len(found.invocations) == 0 {
			found.invocations = append(found.invocations, inv)
		}
		if len(found.invocations) > 0 {
			inv := found.invocations[0]
			inv.sandbox, inv.binary = u.sandbox(prefix), program
			return inv
		}
	}
	return nil
}

// inContainer returns the etcd or kube-apiserver whose image a unit runs. Its settings are not
// read from the words behind the image: their paths are those of the container.
func inContainer(argv []string) *invocation {
	at, _ := skipWrappers(knownArguments(argv))
	engines := []string{"docker", "podman", "nerdctl", "ctr", "rkt"}
	if at < 0 || !slices.Contains(engines, path.Base(argv[at])) || !slices.Contains(argv, "run") {
		return nil
	}
	for i := at + 1; i < len(argv); i++ {
		word, before := argv[i], argv[i-1]
		volume := before == "-v" || before == "--volume" || before == "--mount"
		program := imageProgram(word)
		if program == "" || volume || strings.HasPrefix(word, "-") || path.IsAbs(word) || strings.Contains(word, "=") || !strings.ContainsAny(word, "/:@") {
			continue
		}
		st := start{program: program, args: knownArguments(argv[i+1:])}
		if len(st.args) > 0 && path.Base(st.args[0].text) == program {
			st.args = st.args[1:]
		}
		if !st.serves() || len(st.args) > 0 && !strings.HasPrefix(st.args[0].text, "-") {
			return nil // another program of the image
		}
		return &invocation{program: program, faults: []audit.Fault{{Reason: "the unit runs it in a container of " + shorten(word) + ", whose settings are seen only while it runs"}}}
	}
	return nil
}
