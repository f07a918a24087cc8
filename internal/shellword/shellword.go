// Package shellword writes text as one word of a shell, for the command lines in messages, which
// people paste. Neither this package nor any other starts a shell.
package shellword

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain has the characters that need no quotes anywhere in a word.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+=:@,%"

// Quote returns text as one word of a POSIX shell. Text with unprintable characters, such as line
// breaks or invalid UTF-8, gets the quotes of bash, ksh and zsh, because a line to paste has no line
// break, and people must be able to read it before they run it. Quote also writes a NUL, although no
// shell keeps one.
func Quote(text string) string {
	switch {
	case text != "" && strings.Trim(text, plain) == "":
		return text
	case utf8.ValidString(text) && !strings.ContainsFunc(text, unprintable):
		return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for _, c := range []byte(text) {
		switch {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			// Octal has at most three digits in each shell; ksh reads \x to the last digit.
			b.Write([]byte{'\\', '0' + c>>6, '0' + c>>3&7, '0' + c&7})
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('\'')
	return b.String()
}

// unprintable reports whether a reader would not see a character, or would see it in the wrong place:
// control characters, and characters that change the direction of text.
func unprintable(c rune) bool { return !unicode.IsPrint(c) }

// Path returns a path as one word that is not a flag: it puts "./" before a path that begins with a
// dash. It does not change "-", which means standard input.
func Path(path string) string {
	if path != "-" && strings.HasPrefix(path, "-") {
		path = "./" + path
	}
	return Quote(path)
}

// Join returns a command line that runs exactly the given arguments.
func Join(args []string) string {
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = Quote(arg)
	}
	return strings.Join(words, " ")
}
