package host

import (
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// shellVariable holds one variable of a script. Of one that is not known, the text is as it would
// be written: ${NAME}.
type shellVariable struct {
	text     string
	known    bool
	exported bool
	items    []argument // of an array
	isArray  bool
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
