// Package shellword writes text as one word of a shell, for the command lines that messages
// show to be pasted. Nothing here or elsewhere starts a shell.
package shellword

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// plain characters need no quotes anywhere in a word.
const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+=:@,%"

// Quote returns text as one word of a POSIX shell. Text that cannot be shown as it is, such as
// line breaks or bytes that are no UTF-8, is written in the way of bash, ksh and zsh, because a
// line to paste has no line break and is to be read before it is run. A NUL is written too,
// although no shell keeps one.
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

// unprintable reports whether a reader would not see a character, or not where it stands: control
// characters, and those that turn the direction of the text around them.
func unprintable(c rune) bool { return !unicode.IsPrint(c) }

// Path returns a path as one word that is no flag: "./" is put before a path that begins with a
// dash. "-" alone stays, which commands take for standard input.
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
