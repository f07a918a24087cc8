package host

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

func sortText(s []string) []string {
	slices.Sort(s)
	return s
}

// maxText is the longest value that is kept. A list of URLs has some hundred bytes.
const maxText = 16 << 10

// makePrintable makes a foreign text safe to show and to compare: control characters and bytes
// that are not UTF-8 become U+FFFD, and a text that is too long is cut.
func makePrintable(s string) string {
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

// shorten makes a foreign text short enough for the middle of a sentence.
func shorten(s string) string {
	const most = 80
	if s = makePrintable(s); len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
