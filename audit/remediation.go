package audit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/internal/shellword"
)

// Line is one line of a remediation.
type Line struct {
	Text  string `json:"text"`  // without a line break
	Paste bool   `json:"paste"` // it can be copied as it is: a command, a flag or a part of a file
}

// Remediation holds the lines that say how to fix a finding.
type Remediation []Line

// Say returns a line for people. Line breaks become spaces.
func Say(format string, args ...any) Line {
	return Line{Text: joinLines(fmt.Sprintf(format, args...))}
}

// Paste returns a line to copy. Each string among the arguments becomes one word of a shell, whatever
// it contains, so that the line never runs more than its format says. A [Word] is used as it is.
func Paste(format string, args ...any) Line {
	for i, arg := range args {
		if text, ok := arg.(string); ok {
			args[i] = shellword.Quote(text)
		}
	}
	return Line{Text: joinLines(fmt.Sprintf(format, args...)), Paste: true}
}

// String joins the lines, as in the field "remediation" of a report.
func (r Remediation) String() string {
	texts := make([]string, len(r))
	for i, line := range r {
		texts[i] = line.Text
	}
	return strings.Join(texts, "\n")
}

// Word is text that a shell reads as one word, or as a part of one.
type Word string

func joinLines(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' {
			return ' '
		}
		return r
	}, text)
}

// remediationOf returns the remediation of a check's outcome for a place. It is never nil, because a
// report has a list of lines even if it is empty.
func remediationOf(c About, o Outcome, p Place) Remediation {
	switch {
	case len(o.Remediation) > 0:
		return o.Remediation
	case c.Remediation == nil:
		return Remediation{}
	}
	return slices.Concat(Remediation{}, c.Remediation(p))
}
