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
	Paste bool   `json:"paste"` // it can be copied as it is: a command, a flag or a part of a file, with no word to fill in
}

// Remediation holds the lines that say how to fix a finding.
type Remediation []Line

// Say returns a line for people. Line breaks become spaces.
func Say(format string, args ...any) Line {
	return Line{Text: joinLines(fmt.Sprintf(format, args...))}
}

// Paste returns a line to copy. Each string among the arguments becomes one word of a shell, whatever
// it contains, so that the line never runs more than its format says. A [Word] is used as it is. If
// one of them is a stand-in, the line is for people: it tells them what to fill in.
func Paste(format string, args ...any) Line {
	words, paste := make([]any, len(args)), true
	for i, arg := range args {
		words[i] = arg
		switch arg := arg.(type) {
		case string:
			words[i] = shellword.Quote(arg)
		case Word:
			paste = paste && !arg.standIn
		}
	}
	return Line{Text: joinLines(fmt.Sprintf(format, words...)), Paste: paste}
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
type Word struct {
	text    string
	standIn bool // it names a value that nobody knows
}

// StandIn returns a name, such as MEMBER_ID, in place of a word that the reader must fill in.
func StandIn(name string) Word { return Word{text: name, standIn: true} }

// String returns the text of the word.
func (w Word) String() string { return w.text }

// put returns the word with text before and after it.
func (w Word) put(before, after string) Word { return Word{before + w.text + after, w.standIn} }

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
