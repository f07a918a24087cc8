package host

import (
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// call follows a simple command.
func (s *shell) call(call *syntax.CallExpr) error {
	if len(call.Args) == 0 {
		for _, a := range call.Assigns {
			s.assign(a, false)
		}
		return nil
	}
	var argv []argument
	for _, word := range call.Args {
		argv = append(argv, s.words(word)...)
	}
	if len(call.Assigns) == 0 {
		return s.execute(argv)
	}
	return s.apart(func() error {
		for _, a := range call.Assigns {
			s.assign(a, true)
		}
		return s.execute(argv)
	})
}

// execute follows a command of which the words are known as far as they can be.
func (s *shell) execute(argv []argument) error {
	at, env := skipWrappers(argv)
	if at < 0 {
		// exec of something, or the words that an entry point was given.
		switch {
		case len(argv) > 0 && argv[0].many:
			s.anything = argv[0].text
		case len(argv) > 1 && argv[0].text == "exec":
			s.anything = argv[1].text
		}
		return nil
	}
	argv = argv[at:]
	name := path.Base(argv[0].text)
	switch {
	case slices.Contains(programs(), name) || name == etcdManager:
		all := s.given
		if s.scripted {
			all = s.environment()
		}
		if len(s.starts) >= maxStarts {
			return errTooMuch
		}
		s.starts = append(s.starts, start{program: name, args: argv[1:], env: slices.Concat(all, env)})
		return nil
	case slices.Contains(shells(), name):
		return s.shellCommand(argv, env)
	case at > 0:
		return s.script(argv, env)
	}
	switch argv[0].text {
	case "set":
		s.options(argv[1:])
	case "shift":
		if len(argv) > 1 || len(s.args) > 0 && s.args[0].many {
			s.args = []argument{{text: "$@", many: true}}
		} else {
			s.args = s.args[min(1, len(s.args)):]
		}
	case "unset", "read", "getopts", "mapfile", "readarray", "printf":
		for _, a := range argv[1:] {
			if syntax.ValidName(a.text) && (argv[0].text != "printf" || argv[1].text == "-v") {
				s.forget(a.text)
			}
		}
	case "eval":
		return s.eval(argv[1:])
	case ".", "source":
		return s.source(argv[1:])
	default:
		if body, found := s.functions[argv[0].text]; found {
			return s.function(body, argv[1:])
		}
		return s.script(argv, env)
	}
	return nil
}

// options follows the command set.
func (s *shell) options(argv []argument) {
	for i := 0; i < len(argv); i++ {
		text := argv[i].text
		switch {
		case !argv[i].known:
			s.args = argv[i:]
			return
		case text == "--":
			s.args = slices.Clone(argv[i+1:])
			return
		case text == "-o" || text == "+o":
			if i++; i < len(argv) && argv[i].text == "allexport" {
				s.export = text == "-o"
			}
		case len(text) > 1 && (text[0] == '-' || text[0] == '+'):
			if strings.ContainsRune(text, 'a') {
				s.export = text[0] == '-'
			}
			if strings.HasSuffix(text, "o") {
				i++ // its name, as in -euo pipefail
			}
		default:
			s.args = slices.Clone(argv[i:])
			return
		}
	}
}

func (s *shell) eval(argv []argument) error {
	var text []string
	for _, a := range argv {
		if !a.known {
			s.forgetAll()
			s.anything = "eval"
			return nil
		}
		text = append(text, a.text)
	}
	return s.run([]byte(s.bounded(strings.Join(text, " "))))
}

// source follows a script that is read into this one, and forgets everything if it cannot be read.
func (s *shell) source(argv []argument) error {
	if len(argv) > 0 && argv[0].known && path.IsAbs(argv[0].text) && s.readFile != nil {
		if data, err := s.readFile(argv[0].text); err == nil {
			return s.run(data)
		}
	}
	s.forgetAll()
	s.variables[unreadSource] = shellVariable{}
	return nil
}

// unreadSource is no name of a variable. It stands for those that a script may have set which could
// not be read.
const unreadSource = "."

func (s *shell) function(body *syntax.Stmt, args []argument) error {
	if s.nesting++; s.nesting > maxNesting {
		return errTooMuch
	}
	defer func() { s.nesting-- }()
	before := s.args
	s.args = args
	err := s.statement(body)
	s.args = before
	return err
}

// shellCommand follows a shell in the shell.
func (s *shell) shellCommand(argv []argument, env []variable) error {
	script, file, args := scriptOf(argv)
	if file != "" {
		return s.script(args, env)
	}
	if script == "" {
		return nil
	}
	return s.within(env, args[min(1, len(args)):], []byte(script))
}

// script follows a command that may be a script among the program's files.
func (s *shell) script(argv []argument, env []variable) error {
	if len(argv) == 0 || !argv[0].known || !path.IsAbs(argv[0].text) || s.readFile == nil {
		return nil
	}
	data, err := s.readFile(argv[0].text)
	if err != nil || !isShellScript(data) {
		return nil
	}
	return s.within(env, argv[1:], data)
}

// within follows a script that has the exported variables and arguments of its own.
func (s *shell) within(env []variable, args []argument, script []byte) error {
	return s.apart(func() error {
		for name, v := range s.variables {
			if !v.exported {
				delete(s.variables, name)
			}
		}
		for _, v := range env {
			s.set(v.name, shellVariable{text: v.value, known: !hasUnknownPart(v.value), exported: true})
		}
		functions := s.functions
		s.functions, s.args, s.export = map[string]*syntax.Stmt{}, args, false
		err := s.run(script)
		s.functions = functions
		return err
	})
}

// isShellScript reports whether a file says that a shell runs it.
func isShellScript(data []byte) bool {
	line, _, _ := strings.Cut(string(data[:min(len(data), 256)]), "\n")
	fields := strings.Fields(strings.TrimPrefix(line, "#!"))
	return strings.HasPrefix(line, "#!") && slices.ContainsFunc(fields, func(f string) bool { return slices.Contains(shells(), path.Base(f)) })
}
