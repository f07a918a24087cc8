package main

import (
	"strings"

	"github.com/etcdsec/etcdsec/internal/legible"
)

// multiline is an error of more than one line by itself.
type multiline interface {
	error
	// ErrorLines returns the lines; those behind the first one begin with two spaces.
	ErrorLines() []string
}

// errorLines returns the lines of an error, each of them legible. Only errors that were joined, wrapped in
// lines of their own, or that are multiline have several. A line feed in the text of any other is from
// outside, and would make a line that looks like one of this program.
func errorLines(err error) []string {
	if m, ok := err.(multiline); ok { //nolint:errorlint // of this very error; those that it wraps come in their turn
		lines := m.ErrorLines()
		for i, line := range lines {
			lines[i] = legible.Line(line)
		}
		return lines
	}
	text := strings.TrimRight(err.Error(), "\n")
	switch wraps := err.(type) { //nolint:errorlint // as above
	case interface{ Unwrap() []error }:
		var lines []string
		rest, whole := text, true
		for i, inner := range wraps.Unwrap() {
			if i > 0 {
				rest, whole = cutPrefix(rest, "\n", whole)
			}
			rest, whole = cutPrefix(rest, inner.Error(), whole)
			lines = append(lines, errorLines(inner)...)
		}
		if whole && rest == "" {
			return lines // as errors.Join has them
		}
	case interface{ Unwrap() error }:
		inner := wraps.Unwrap()
		if inner == nil || inner.Error() == "" {
			break
		}
		if before, after, found := strings.Cut(text, inner.Error()); found {
			return wrapLines(before, errorLines(inner), after)
		}
	}
	return []string{legible.Line(text)}
}

func cutPrefix(s, prefix string, whole bool) (string, bool) {
	rest, ok := strings.CutPrefix(s, prefix)
	return rest, whole && ok
}

// wrapLines puts text before and behind lines. Only a line feed next to the lines begins another one.
func wrapLines(before string, lines []string, after string) []string {
	if above, ok := strings.CutSuffix(before, "\n"); ok {
		lines = append([]string{legible.Line(above)}, lines...)
	} else {
		lines[0] = legible.Line(before) + lines[0]
	}
	if below, ok := strings.CutPrefix(after, "\n"); ok {
		return append(lines, legible.Line(below))
	}
	lines[len(lines)-1] += legible.Line(after)
	return lines
}
