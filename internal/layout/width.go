// Package layout fits text into the width of a terminal: it wraps prose, and folds the columns of tables.
package layout

import (
	"io"
	"strings"
	"unicode/utf8"
)

// Default is the width of a terminal that does not tell its own.
const Default = 80

// File is the width of prose in a file or a pipe.
const File = 100

// narrowest is the least width that a layout obeys. A terminal of three columns is no place to read.
const narrowest = 40

// Writer is a writer whose reader has lines of a known width.
type Writer struct {
	io.Writer
	width int
}

// NewWriter returns a writer to w, whose lines have the given number of columns. 0 means that the width is
// unknown, as that of a file.
func NewWriter(w io.Writer, width int) Writer { return Writer{w, width} }

// Width returns the width of the lines of w, or 0 if it is unknown. Tables fold their columns only if it is
// known: a line of a file is one row, for grep and awk.
func Width(w io.Writer) int {
	if known, ok := w.(Writer); ok && known.width > 0 {
		return max(known.width, narrowest)
	}
	return 0
}

// ProseWidth returns the width of prose for w: that of its lines, or [File] if it is unknown.
func ProseWidth(w io.Writer) int {
	if width := Width(w); width > 0 {
		return width
	}
	return File
}

// Wrap breaks a text into lines of at most width characters. It breaks only at white space, so a word that
// is longer than a line has a line of its own.
func Wrap(text string, width int) []string {
	return WrapItems(strings.Fields(text), width)
}

// WrapItems joins items to lines of at most width characters, with spaces between them. It breaks no item. A
// width of 0 has no end.
func WrapItems(items []string, width int) []string {
	return wrapItems(items, " ", width)
}

func wrapItems(items []string, gap string, width int) []string {
	lines := []string{""}
	used := 0
	for _, item := range items {
		n := columnsOf(item)
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last, used = item, n
		case width > 0 && used+len(gap)+n > width:
			lines, used = append(lines, item), n
		default:
			*last += gap + item
			used += len(gap) + n
		}
	}
	return lines
}

// Reflow wraps the paragraphs of a text again. Indented lines stay as they are, since they are lines to
// paste, unless they are items of a list or have columns: then the item, or the last column, wraps below
// itself. With a width of 0, the text stays as it is.
func Reflow(text string, width int) string {
	if width == 0 {
		return text
	}
	var out []string
	head, words := "", []string(nil) // of the paragraph, or of the last column with what is before it
	end := func() {
		if len(words) > 0 {
			for i, line := range Wrap(strings.Join(words, " "), max(width-columnsOf(head), leastColumn)) {
				if i > 0 {
					head = strings.Repeat(" ", columnsOf(head))
				}
				out = append(out, head+line)
			}
		}
		head, words = "", nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		body := strings.TrimLeft(line, " ")
		indent, columns := len(line)-len(body), strings.LastIndex(body, "  ")
		switch {
		case body == "":
			end()
			out = append(out, "")
		case strings.HasPrefix(body, "- "):
			end()
			head, words = line[:indent+len("- ")], []string{body[len("- "):]}
		case len(words) > 0 && indent == columnsOf(head):
			words = append(words, body) // it continues the paragraph or the column
		case indent == 0:
			end()
			words = []string{body}
		case columns >= 0:
			end()
			head, words = line[:indent+columns+2], []string{body[columns+2:]}
		default:
			end()
			out = append(out, line)
		}
	}
	end()
	return strings.Join(out, "\n")
}

// columnsOf returns the number of characters of a text, without the colours of ANSI in it.
func columnsOf(s string) int {
	n := utf8.RuneCountInString(s)
	for {
		_, rest, found := strings.Cut(s, "\x1b[")
		if !found {
			return n
		}
		code, after, found := strings.Cut(rest, "m")
		if !found {
			return n
		}
		n -= len("\x1b[m") + utf8.RuneCountInString(code)
		s = after
	}
}
