package shellword_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/internal/shellword"
)

// odd is text that a shell would take for more, or for something else, than one word.
var odd = []string{
	"", " ", "a", "a b", "a'b", "''", `a"b`, `a\b`, "$(reboot)", "`reboot`", "${HOME}", "~", "~root/x", "#x", "!x", "a;b", "a|b", "a&b",
	"*", "[a]", "{a,b}", "<a>", "a\nb", "a\r\nb", "\t", "\x1b[31mred", "\x7f", "é", "日本", "\u202egnp.exe", "\u200b", "\u00a0", "\xff\xfe", "a\xc3",
	`\x41`, `\n`, "\n7", "\x017", `'` + "\n" + `'\`, "-rf", "--", "=ls", "%1", "a=b", "café\n", "\uFFFD",
}

// runIn returns the arguments that a shell gives to a command.
func runIn(t *testing.T, shell string, words ...string) []string {
	t.Helper()
	line := `show() { for a in "$@"; do printf '%s\0' "$a"; done; }; show ` + strings.Join(words, " ")
	if strings.ContainsAny(strings.Join(words, " "), "\n\r") {
		t.Errorf("%q has a line break", words)
	}
	out, err := exec.CommandContext(t.Context(), shell, "-c", line).Output()
	if err != nil {
		t.Fatalf("%s -c %q: %v", shell, line, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestBashTakesOneWord(t *testing.T) {
	for _, text := range odd {
		if got := runIn(t, "bash", shellword.Quote(text)); !slices.Equal(got, []string{text}) {
			t.Errorf("%q: quoted as %s, bash takes it for %q", text, shellword.Quote(text), got)
		}
	}
	if got := runIn(t, "bash", shellword.Join(odd)); !slices.Equal(got, odd) {
		t.Errorf("all in one line: got %q", got)
	}
}

// Text that can be shown needs no more than a POSIX shell.
func TestShTakesPrintableText(t *testing.T) {
	tried := 0
	for _, text := range odd {
		word := shellword.Quote(text)
		if strings.HasPrefix(word, "$'") {
			continue
		}
		tried++
		if got := runIn(t, "sh", word); !slices.Equal(got, []string{text}) {
			t.Errorf("%q: quoted as %s, sh takes it for %q", text, word, got)
		}
	}
	if tried < len(odd)/2 {
		t.Fatalf("%d of %d texts were tried", tried, len(odd))
	}
}

func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"/var/lib/etcd":      "/var/lib/etcd",
		"https://[::1]:2379": "'https://[::1]:2379'",
		"a'b":                `'a'\''b'`,
		"a\nb'":              `$'a\012b\''`,
		"a\u202eb":           `$'a\342\200\256b'`,
	} {
		if got := shellword.Quote(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
	for path, want := range map[string]string{"-": "-", "-rf": "./-rf", "--": "./--", "- a": "'./- a'", "store": "store"} {
		if got := shellword.Path(path); got != want {
			t.Errorf("path %q: got %s, want %s", path, got, want)
		}
	}
}

func FuzzQuote(f *testing.F) {
	for _, text := range odd {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		text = strings.ReplaceAll(text, "\x00", "") // which no argument of a program holds
		if got := runIn(t, "bash", shellword.Quote(text)); !slices.Equal(got, []string{text}) {
			t.Errorf("%q: bash takes it for %q", text, got)
		}
	})
}
