package host

import (
	"errors"
	"path"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

const (
	// maxScript is far above an entry point. The parser goes down one level for each open bracket.
	maxScript = 64 << 10

	// maxSteps bounds the commands of a script that are followed, those of its functions included
	// each time that they are called.
	maxSteps = 10_000

	// maxVariables bounds the variables of a script, which are copied for each of its branches.
	maxVariables = 1000

	// maxStarts bounds in how many ways a script starts a program.
	maxStarts = 50

	// maxNesting bounds functions, scripts in scripts and expansions in each other.
	maxNesting = 20
)

var errTooMuch = errors.New("it does more than is followed")

// shellVariable holds one variable of a script. Of one that is not known, the text is as it would
// be written: ${NAME}.
type shellVariable struct {
	text     string
	known    bool
	exported bool
	items    []argument // of an array
	isArray  bool
}

// start is one place in a script that starts a program.
type start struct {
	program string
	args    []argument
	env     []variable // a value that is not all known has its unknown parts as ${NAME}
}

// shell follows a script without running it: it knows literals, the variables that the script was
// given, and what the script makes of them in a straight line. What a command prints, and what was
// set on one way of several, is not known.
type shell struct {
	readFile  func(name string) ([]byte, error) // of the program's files; nil if there are none
	variables map[string]shellVariable
	functions map[string]*syntax.Stmt
	args      []argument // $1 and so on
	export    bool       // set -a
	starts    []start
	anything  string // what the script runs in the end, where it is not known what that is; empty if it is
	given     []variable
	scripted  bool // a script was followed
	steps     int
	nesting   int
	left      int // bytes that values may still grow by
}

func newShell(env []variable, unknown []string, args []argument, readFile func(string) ([]byte, error)) *shell {
	s := &shell{readFile: readFile, variables: map[string]shellVariable{}, functions: map[string]*syntax.Stmt{}, args: args, left: maxFile}
	for _, v := range env {
		s.variables[v.name] = shellVariable{text: v.value, known: true, exported: true}
	}
	for _, name := range unknown {
		s.forget(name)
	}
	return s
}

// run follows a script.
func (s *shell) run(script []byte) error {
	if len(script) > maxScript {
		return errTooMuch
	}
	if s.nesting++; s.nesting > maxNesting {
		return errTooMuch
	}
	defer func() { s.nesting-- }()
	s.scripted = true
	// To parse is work too, and a script may run itself or another many times.
	if s.steps += len(script) / 16; s.steps > maxSteps {
		return errTooMuch
	}
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(string(script)), "")
	if err != nil {
		return errors.New("it is no script of a shell")
	}
	return s.statements(file.Stmts)
}

func (s *shell) statements(list []*syntax.Stmt) error {
	for _, stmt := range list {
		if err := s.statement(stmt); err != nil {
			return err
		}
	}
	return nil
}

func (s *shell) statement(stmt *syntax.Stmt) error {
	if s.steps++; s.steps > maxSteps {
		return errTooMuch
	}
	if stmt == nil {
		return nil
	}
	if stmt.Background || stmt.Coprocess {
		return s.apart(func() error { return s.command(stmt.Cmd) })
	}
	return s.command(stmt.Cmd)
}

func (s *shell) command(cmd syntax.Command) error {
	switch cmd := cmd.(type) {
	case *syntax.CallExpr:
		return s.call(cmd)
	case *syntax.DeclClause:
		return s.declare(cmd)
	case *syntax.Block:
		return s.statements(cmd.Stmts)
	case *syntax.Subshell:
		return s.apart(func() error { return s.statements(cmd.Stmts) })
	case *syntax.TimeClause:
		return s.statement(cmd.Stmt)
	case *syntax.CoprocClause:
		return s.apart(func() error { return s.statement(cmd.Stmt) })
	case *syntax.BinaryCmd:
		if cmd.Op == syntax.AndStmt || cmd.Op == syntax.OrStmt {
			if err := s.statement(cmd.X); err != nil {
				return err
			}
			return s.branch(cmd.Y, func() error { return s.statement(cmd.Y) })
		}
		if err := s.apart(func() error { return s.statement(cmd.X) }); err != nil {
			return err
		}
		return s.apart(func() error { return s.statement(cmd.Y) })
	case *syntax.IfClause:
		return s.ifClause(cmd)
	case *syntax.WhileClause:
		s.forgetAssigned(cmd) // also what the last round set
		return s.branch(cmd, func() error { return errors.Join(s.statements(cmd.Cond), s.statements(cmd.Do)) })
	case *syntax.ForClause:
		s.forgetAssigned(cmd)
		return s.branch(cmd, func() error { return s.statements(cmd.Do) })
	case *syntax.CaseClause:
		for _, item := range cmd.Items {
			if err := s.branch(item, func() error { return s.statements(item.Stmts) }); err != nil {
				return err
			}
		}
		s.forgetAssigned(cmd)
	case *syntax.FuncDecl:
		if cmd.Name != nil {
			s.functions[cmd.Name.Value] = cmd.Body
		}
	case nil:
	default: // of arithmetic and tests
		s.forgetAssigned(cmd)
	}
	return nil
}

func (s *shell) ifClause(clause *syntax.IfClause) error {
	if err := s.statements(clause.Cond); err != nil {
		return err
	}
	if err := s.branch(nil, func() error { return s.statements(clause.Then) }); err != nil {
		return err
	}
	if clause.Else != nil {
		if err := s.branch(nil, func() error { return s.ifClause(clause.Else) }); err != nil {
			return err
		}
	}
	s.forgetAssigned(clause)
	return nil
}

// apart follows commands that change no variable of the others.
func (s *shell) apart(follow func() error) error {
	if s.steps += len(s.variables) / 10; s.steps > maxSteps {
		return errTooMuch
	}
	before, args, export := make(map[string]shellVariable, len(s.variables)), s.args, s.export
	for name, v := range s.variables {
		before[name] = v
	}
	err := follow()
	s.variables, s.args, s.export = before, args, export
	return err
}

// branch follows commands that may be run or not: afterwards nothing that they set is known.
func (s *shell) branch(node syntax.Node, follow func() error) error {
	if err := s.apart(follow); err != nil {
		return err
	}
	if node != nil {
		s.forgetAssigned(node)
	}
	return nil
}

// forget notes that a variable may have any value.
func (s *shell) forget(name string) {
	v := s.variables[name]
	s.set(name, shellVariable{text: "${" + name + "}", exported: v.exported || v.text == ""})
}

func (s *shell) set(name string, v shellVariable) {
	if _, found := s.variables[name]; !found && len(s.variables) >= maxVariables {
		s.steps = maxSteps // and so it ends
		return
	}
	s.variables[name] = v
}

// forgetAll notes that every variable, the arguments too, may have been set.
func (s *shell) forgetAll() {
	for name := range s.variables {
		s.forget(name)
	}
	s.args = []argument{{text: "$@", many: true}}
}

// forgetAssigned forgets the variables that commands set.
func (s *shell) forgetAssigned(node syntax.Node) {
	visited := 0
	defer func() { s.steps += visited / 16 }()
	syntax.Walk(node, func(n syntax.Node) bool {
		visited++
		switch n := n.(type) {
		case *syntax.Assign:
			if n.Name != nil {
				s.forget(n.Name.Value)
			}
		case *syntax.WordIter:
			s.forget(n.Name.Value)
		case *syntax.ParamExp:
			if n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) && n.Param != nil {
				s.forget(n.Param.Value)
			}
		case *syntax.ArithmCmd, *syntax.ArithmExp, *syntax.LetClause, *syntax.CStyleLoop:
			syntax.Walk(n, func(inner syntax.Node) bool {
				if lit, ok := inner.(*syntax.Lit); ok && syntax.ValidName(lit.Value) && s.has(lit.Value) {
					s.forget(lit.Value)
				}
				return true
			})
			return false
		case *syntax.CallExpr:
			s.forgetRead(n)
		}
		return true
	})
}

func (s *shell) has(name string) bool { _, found := s.variables[name]; return found }

// forgetRead forgets what the shell's own commands set.
func (s *shell) forgetRead(call *syntax.CallExpr) {
	if len(call.Args) == 0 {
		return
	}
	switch call.Args[0].Lit() {
	case "read", "printf", "getopts", "mapfile", "readarray", "unset", "local", "export", "declare", "typeset", "readonly":
		for _, word := range call.Args[1:] {
			name, _, _ := strings.Cut(word.Lit(), "=")
			if syntax.ValidName(name) {
				s.forget(name)
			}
		}
	case ".", "source", "eval":
		s.forgetAll()
	case "set", "shift":
		s.args = []argument{{text: "$@", many: true}}
	}
}

// assign sets a variable, as one of the environment where exported says so.
func (s *shell) assign(a *syntax.Assign, exported bool) {
	if a.Name == nil {
		return
	}
	name := a.Name.Value
	before := s.variables[name]
	v := shellVariable{exported: exported || before.exported || s.export}
	switch {
	case a.Index != nil:
		s.forget(name)
		return
	case a.Naked:
		if !s.has(name) {
			v.text = "${" + name + "}"
		} else {
			v.text, v.known, v.items, v.isArray = before.text, before.known, before.items, before.isArray
		}
	case a.Array != nil:
		v.isArray = true
		if a.Append && before.isArray {
			v.items = slices.Clone(before.items)
		} else if a.Append {
			v.items = []argument{{text: "${" + name + "[@]}", many: true}}
		}
		for _, e := range a.Array.Elems {
			if e.Index != nil || e.Value == nil {
				v.items = append(v.items, argument{text: "${" + name + "[@]}", many: true})
				continue
			}
			v.items = append(v.items, s.words(e.Value)...)
		}
		if len(v.items) > maxVariables {
			s.steps = maxSteps
		}
	default:
		value := s.value(a.Value)
		v.text, v.known = value.text, value.known
		if a.Append && before.isArray {
			v.isArray, v.items = true, append(slices.Clone(before.items), value)
		} else if a.Append {
			if !s.has(name) {
				before.text = "${" + name + "}"
			}
			v.text, v.known = s.bounded(before.text+v.text), v.known && before.known
		}
	}
	s.set(name, v)
}

// bounded returns a text unless all of them together grow too large.
func (s *shell) bounded(text string) string {
	if s.left -= len(text); s.left < 0 {
		s.steps = maxSteps
		return ""
	}
	return text
}

func (s *shell) declare(d *syntax.DeclClause) error {
	variant := ""
	if d.Variant != nil {
		variant = d.Variant.Value
	}
	exported := variant == "export"
	for _, a := range d.Args {
		if a.Name == nil && a.Value != nil { // an option
			exported = exported || strings.HasPrefix(a.Value.Lit(), "-") && strings.ContainsRune(a.Value.Lit(), 'x')
			continue
		}
		s.assign(a, exported)
	}
	return nil
}

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
		if len(argv) > 0 && (argv[0].many || argv[0].text == "exec" && len(argv) > 1) {
			s.anything = argv[len(argv[:min(len(argv)-1, 1)])].text
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

// environment returns what a command sees of the variables, in the order of their names.
func (s *shell) environment() []variable {
	var names []string
	for name, v := range s.variables {
		if v.exported && !v.isArray {
			names = append(names, name)
		}
	}
	var env []variable
	for _, name := range sortText(names) {
		env = append(env, variable{name, s.variables[name].text})
	}
	if s.has(unreadSource) {
		env = append(env, variable{name: unreadSource})
	}
	return env
}
