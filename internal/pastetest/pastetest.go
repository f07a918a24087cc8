// Package pastetest tells tests whether a line can be pasted as it is.
package pastetest

import (
	"crypto/tls"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var standIn = regexp.MustCompile(`\b[A-Z][A-Z0-9_]*[A-Z][A-Z0-9_]*\b|<[^<>/()]+>|\.\.\.|…`)

// StandIns returns the words of a line that its reader must fill in: a word of two or more capitals
// that is no name of a format, a version of TLS, a cipher suite or a flag of openssl; <word>; dots.
func StandIns(line string) []string {
	names := []string{"CA", "DER", "TLS1"}
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		names = append(names, suite.Name, strings.TrimSuffix(suite.Name, "_SHA256"))
	}
	return slices.DeleteFunc(standIn.FindAllString(line, -1), func(word string) bool { return slices.Contains(names, word) })
}

// Fault returns why a line cannot be pasted as it is, or an empty text if it can.
func Fault(t testing.TB, line string) string {
	t.Helper()
	if words := StandIns(line); len(words) > 0 {
		return "the reader must fill in " + strings.Join(words, ", ")
	}
	if out, err := exec.CommandContext(t.Context(), "bash", "-n", "-c", "--", line).CombinedOutput(); err != nil {
		return strings.TrimSpace(err.Error() + ": " + string(out))
	}
	return ""
}
