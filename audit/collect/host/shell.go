package host

import (
	"errors"
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
