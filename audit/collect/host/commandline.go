package host

import (
	"fmt"
	"strings"

	"github.com/etcdsec/etcdsec/audit"
)

// written is a setting with the value that was given to it.
type written struct {
	name, value string
}

// flag returns the setting as it looks on a command line.
func (w written) flag() string { return "--" + w.name + "=" + w.value }

// parseFlags reads a command line by the rules of the program. A fault without a subject means
// that the program does not start.
func parseFlags(program string, args []string) ([]written, []audit.Fault) {
	if program == etcd {
		return parseGoFlags(args)
	}
	return parsePFlags(args), nil
}

// parseGoFlags reads etcd's command line: Go's package flag takes one dash or two.
func parseGoFlags(args []string) ([]written, []audit.Fault) {
	var flags []written
	refuse := func(format string, a ...any) ([]written, []audit.Fault) {
		return flags, []audit.Fault{{Reason: "etcd does not start: " + fmt.Sprintf(format, a...)}}
	}
	for len(args) > 0 {
		arg := args[0]
		args = args[1:]
		if arg == "--" && len(args) == 0 {
			break
		}
		if arg == "--" {
			return refuse("%q is not a valid flag", shorten(args[0]))
		}
		if len(arg) < 2 || arg[0] != '-' {
			return refuse("%q is not a valid flag", shorten(arg))
		}
		name := strings.TrimPrefix(arg[1:], "-")
		if name == "" || name[0] == '-' || name[0] == '=' {
			return refuse("%q is not a flag", shorten(arg))
		}
		name, value, given := strings.Cut(name, "=")
		if given {
			flags = append(flags, written{name, value})
			continue
		}
		boolean, known := lookUpSwitch(name)
		// A flag of a later etcd: what begins with a dash is hardly its value.
		if !known && (len(args) == 0 || strings.HasPrefix(args[0], "-")) {
			boolean = true
		}
		switch {
		case boolean:
			flags = append(flags, written{name, "true"})
		case len(args) == 0:
			return refuse("--%s needs a value", shorten(name))
		default:
			flags = append(flags, written{name, args[0]})
			args = args[1:]
		}
	}
	return flags, nil
}

// parsePFlags reads kube-apiserver's command line: github.com/spf13/pflag wants two dashes and
// takes _ for - in names. kube-apiserver takes no arguments except flags, so a word without a
// dash is the value of the flag before it.
func parsePFlags(args []string) []written {
	var flags []written
	for i := 0; i < len(args); i++ {
		arg := args[i]
		long, found := strings.CutPrefix(arg, "--")
		if arg == "--" {
			break
		}
		name, value, given := strings.Cut(long, "=")
		if !given {
			value = "true"
			if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
				value = args[i]
			}
		}
		if found && name != "" { // -v has one dash, and says nothing here
			flags = append(flags, written{strings.ReplaceAll(name, "_", "-"), value})
		}
	}
	return flags
}
