package host

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

// maxText of one value that is kept; a list of URLs has some hundred bytes.
const maxText = 16 << 10

// printable is a foreign text that may be shown and compared: control characters and bytes
// that are no UTF-8 become U+FFFD, and what is too long is cut.
func printable(s string) string {
	if len(s) > maxText {
		s = s[:maxText] + "…"
	}
	return strings.Map(func(r rune) rune {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

// short is a foreign text for the middle of a sentence.
func short(s string) string {
	const most = 80
	if s = printable(s); len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
