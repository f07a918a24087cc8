// Package legible makes text from outside safe to print: a terminal shows it, and obeys none of it.
package legible

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longest is the number of characters of one line that are shown.
const longest = 10_000

// Line returns a text as a part of one line: what a terminal would obey, what changes the direction or the
// place of other characters, and what has no width is written as an escape of Go. Of a text of more than
// 10,000 characters, it shows the beginning, and says how many more there are.
func Line(s string) string {
	var b strings.Builder
	for i, n := 0, 0; i < len(s); n++ {
		if n == longest {
			fmt.Fprintf(&b, "… and %d characters more", utf8.RuneCountInString(s[i:]))
			break
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		writeRune(&b, r, s[i:i+size])
		i += size
	}
	return b.String()
}

// Lines returns a text of several lines, each made legible by itself.
func Lines(s string) string {
	if isLegible(s) {
		return s
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		lines[i] = Line(line)
	}
	return strings.Join(lines, "\n")
}

func isLegible(s string) bool {
	return len(s) <= longest && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r != '\n' && isObeyed(r) })
}

func writeRune(b *strings.Builder, r rune, written string) {
	switch {
	case r == utf8.RuneError && len(written) == 1:
		fmt.Fprintf(b, `\x%02x`, written[0])
	case !isObeyed(r):
		b.WriteString(written)
	case r == '\n':
		b.WriteString(`\n`)
	case r < 0x80:
		fmt.Fprintf(b, `\x%02x`, r)
	case r <= 0xffff:
		fmt.Fprintf(b, `\u%04x`, r)
	default:
		fmt.Fprintf(b, `\U%08x`, r)
	}
}

// isObeyed reports whether a character does something else than to show itself: controls, those of category
// Cf, such as marks of direction and characters without width, and the separators of lines and paragraphs.
func isObeyed(r rune) bool {
	return r != '\t' && (unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || r == '\u2028' || r == '\u2029')
}

// NewWriter returns a writer of text whose lines are made legible. Each Write must be of whole characters.
func NewWriter(w io.Writer) io.Writer { return writer{w} }

type writer struct{ w io.Writer }

func (l writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(l.w, Lines(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}
