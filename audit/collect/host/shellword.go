package host

import (
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// argument is one word of a command as far as it is known.
type argument struct {
	text  string // of what is not known as it is written: ${NAME}, $(…)
	known bool   // all of it
	many  bool   // nothing of it is known, and it may be any number of words
}

// knownArguments returns words that are all known.
func knownArguments(words []string) []argument {
	args := make([]argument, len(words))
	for i, word := range words {
		args[i] = argument{text: word, known: true}
	}
	return args
}

// expansion builds the words that one word of a script becomes.
type expansion struct {
	words   []argument
	text    strings.Builder
	unknown bool // some part of the word that is being built
	begun   bool // also an empty word in quotes is one
	literal bool // a part of it is known or in quotes, so that it is one word
}

func (e *expansion) end() {
	if e.begun {
		e.words = append(e.words, argument{text: e.text.String(), known: !e.unknown, many: e.unknown && !e.literal})
	}
	e.text.Reset()
	e.unknown, e.begun, e.literal = false, false, false
}

func (e *expansion) add(text string, known bool) {
	e.text.WriteString(text)
	e.begun, e.unknown = true, e.unknown || !known
	e.literal = e.literal || known
}

// split adds a known value that is not in quotes: white space in it ends words.
func (e *expansion) split(value string) {
	fields := strings.Fields(value)
	if value != "" && strings.TrimLeft(value[:1], " \t\n") == "" {
		e.end()
	}
	for i, field := range fields {
		if i > 0 {
			e.end()
		}
		e.add(field, true)
	}
	if len(fields) > 0 && strings.TrimRight(value[len(value)-1:], " \t\n") == "" {
		e.end()
	}
}

// words returns the words that a word of a script becomes.
func (s *shell) words(w *syntax.Word) []argument {
	if w == nil {
		return nil
	}
	var e expansion
	for i, part := range w.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			e.add(s.literal(part.Value, i == 0))
		case *syntax.SglQuoted:
			e.add(s.singleQuoted(part))
			e.literal = true
		case *syntax.DblQuoted:
			s.quoted(part, &e)
		case *syntax.ParamExp:
			s.unquoted(part, &e)
		case *syntax.CmdSubst:
			e.add(s.substitution(part))
		default:
			e.add("$(…)", false)
		}
	}
	e.end()
	return e.words
}

// value returns the value of an assignment, which is never split.
func (s *shell) value(w *syntax.Word) argument {
	if w == nil {
		return argument{known: true}
	}
	joined := argument{known: true}
	var e expansion
	for i, part := range w.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			e.add(s.literal(part.Value, i == 0))
		case *syntax.SglQuoted:
			e.add(s.singleQuoted(part))
		case *syntax.DblQuoted:
			s.quoted(part, &e)
		case *syntax.ParamExp:
			v := s.parameter(part)
			e.add(s.bounded(v.text), v.known)
		case *syntax.CmdSubst:
			e.add(s.substitution(part))
		default:
			e.add("$(…)", false)
		}
	}
	e.end()
	for i, word := range e.words { // "$@" in quotes makes several
		if i > 0 {
			joined.text += " "
		}
		joined.text += word.text
		joined.known = joined.known && word.known
	}
	return joined
}

// quoted adds what is in double quotes.
func (s *shell) quoted(q *syntax.DblQuoted, e *expansion) {
	e.begun = true
	for i, part := range q.Parts {
		switch part := part.(type) {
		case *syntax.Lit:
			e.add(s.bounded(unescapeQuoted(part.Value)), true)
		case *syntax.ParamExp:
			if list, isList := s.list(part); isList {
				// "a$@b" is rare: its first and last word would have a and b.
				alone := len(q.Parts) == 1 && i == 0 && e.text.Len() == 0
				if alone {
					e.begun = false
					e.words = append(e.words, list...)
					continue
				}
				e.add("${@}", false)
				continue
			}
			v := s.parameter(part)
			e.add(s.bounded(v.text), v.known)
		case *syntax.CmdSubst:
			e.add(s.substitution(part))
		default:
			e.add("$(…)", false)
		}
	}
	if len(q.Parts) == 0 {
		e.add("", true)
	}
	e.literal = e.literal || e.begun
}

// unquoted adds a variable that is not in quotes.
func (s *shell) unquoted(p *syntax.ParamExp, e *expansion) {
	if list, isList := s.list(p); isList {
		for i, item := range list {
			if i > 0 {
				e.end()
			}
			switch {
			case item.known:
				e.split(s.bounded(item.text))
			default:
				e.add(item.text, false)
			}
		}
		return
	}
	v := s.parameter(p)
	if v.known {
		e.split(s.bounded(v.text))
		return
	}
	e.add(s.bounded(v.text), false)
}

// list returns the words of $@, $* or ${array[@]}.
func (s *shell) list(p *syntax.ParamExp) ([]argument, bool) {
	if p.Param == nil || p.Excl || p.Length || p.Slice != nil || p.Repl != nil || p.Names != 0 {
		return nil, false
	}
	if p.Exp != nil && p.Exp.Op != syntax.AlternateUnset && p.Exp.Op != syntax.AlternateUnsetOrNull && p.Exp.Op != syntax.DefaultUnset && p.Exp.Op != syntax.DefaultUnsetOrNull {
		return nil, false
	}
	name := p.Param.Value
	if name == "@" || name == "*" {
		return s.args, true
	}
	v, found := s.variables[name]
	if !isWhole(p.Index) {
		return nil, false
	}
	if !found || !v.isArray {
		return []argument{{text: "${" + name + "[@]}", many: true}}, true
	}
	return v.items, true
}

// isWhole reports whether an index is @ or *.
func isWhole(index syntax.ArithmExpr) bool {
	word, ok := index.(*syntax.Word)
	return ok && (word.Lit() == "@" || word.Lit() == "*")
}

// parameter returns the value of a variable, with the defaults of its expansion.
func (s *shell) parameter(p *syntax.ParamExp) argument {
	if p.Param == nil {
		return argument{text: "${…}"}
	}
	name := p.Param.Value
	unknown := argument{text: "${" + name + "}"}
	v, found := s.variables[name]
	current := argument{text: v.text, known: v.known}
	switch {
	case p.Excl || p.Length || p.Index != nil || p.Slice != nil || p.Repl != nil || p.Names != 0 || v.isArray:
		return unknown
	case len(name) == 1 && name[0] >= '1' && name[0] <= '9':
		at := int(name[0] - '1')
		if at < len(s.args) && !hasMany(s.args[:at+1]) {
			current = s.args[at]
		} else if hasMany(s.args) {
			current = unknown
		} else {
			current = argument{known: true}
		}
	case !found:
		current = unknown
	}
	if p.Exp == nil {
		return current
	}
	if s.nesting++; s.nesting > maxNesting {
		s.steps = maxSteps
		return unknown
	}
	defer func() { s.nesting-- }()
	switch p.Exp.Op {
	case syntax.DefaultUnset, syntax.ErrorUnset, syntax.AssignUnset:
		return current
	case syntax.DefaultUnsetOrNull, syntax.AssignUnsetOrNull:
		if current.known && current.text == "" {
			return s.value(p.Exp.Word)
		}
		return current
	case syntax.ErrorUnsetOrNull:
		return current
	case syntax.AlternateUnset, syntax.AlternateUnsetOrNull:
		if current.known && current.text != "" {
			return s.value(p.Exp.Word)
		}
		if current.known && p.Exp.Op == syntax.AlternateUnsetOrNull {
			return argument{known: true}
		}
	}
	return unknown
}

func hasMany(args []argument) bool {
	for _, a := range args {
		if a.many {
			return true
		}
	}
	return false
}

// substitution returns what a command prints, which is known of those alone that look up a program.
func (s *shell) substitution(c *syntax.CmdSubst) (text string, known bool) {
	const unknown = "$(…)"
	if len(c.Stmts) != 1 {
		return unknown, false
	}
	call, ok := c.Stmts[0].Cmd.(*syntax.CallExpr)
	if !ok || len(call.Args) < 2 || len(call.Args) > 3 {
		return unknown, false
	}
	words := make([]string, len(call.Args))
	for i, arg := range call.Args {
		words[i] = arg.Lit()
	}
	switch program := words[len(words)-1]; {
	case program == "" || strings.ContainsAny(program, `\*?[`):
		return unknown, false
	case words[0] == "which" && len(words) == 2, words[0] == "command" && words[1] == "-v", words[0] == "type" && (words[1] == "-p" || words[1] == "-P"):
		return program, true
	default:
		return unknown, false
	}
}

// literal returns a text that is not in quotes. At the beginning of a word, ~ is a home.
func (s *shell) literal(text string, first bool) (value string, known bool) {
	if rest, home := strings.CutPrefix(text, "~"); home && first {
		return s.bounded("${HOME}" + rest), false
	}
	return s.bounded(unescapeLiteral(text)), true
}

// singleQuoted returns a text in single quotes, in which bash has escapes behind a dollar sign.
func (s *shell) singleQuoted(q *syntax.SglQuoted) (value string, known bool) {
	if q.Dollar && strings.Contains(q.Value, `\`) {
		return "$(…)", false
	}
	return s.bounded(q.Value), true
}

// unescapeLiteral removes the backslashes of a text that is not in quotes.
func unescapeLiteral(text string) string {
	return unescapeOf(text, func(byte) bool { return true })
}

// unescapeQuoted removes the backslashes of a text in double quotes, where they are special
// before some characters alone.
func unescapeQuoted(text string) string {
	return unescapeOf(text, func(c byte) bool { return strings.IndexByte("$`\"\\\n", c) >= 0 })
}

func unescapeOf(text string, special func(byte) bool) string {
	if !strings.Contains(text, `\`) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '\\' && i+1 < len(text) && special(text[i+1]) {
			if i++; text[i] != '\n' {
				b.WriteByte(text[i])
			}
			continue
		}
		b.WriteByte(text[i])
	}
	return b.String()
}
