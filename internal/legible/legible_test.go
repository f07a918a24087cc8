package legible

import (
	"bytes"
	"strings"
	"testing"
)

func TestLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain ü 日本 \t":         "plain ü 日本 \t",
		"a\x1b[2Jb":             `a\x1b[2Jb`,
		"a\nb\r\x00\x7f\u0085c": `a\nb\x0d\x00\x7f\u0085c`,
		"a\u202eb\u2066c\u200ed\u061ce\u200bf\ufeffg": `a\u202eb\u2066c\u200ed\u061ce\u200bf\ufeffg`,
		"a\u2028b\u2029c": `a\u2028b\u2029c`,
		"a\xffb":          `a\xffb`,
		"\U000e0041":      `\U000e0041`,
	} {
		if got := Line(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
		if again := Line(Line(in)); again != want {
			t.Errorf("%q: a second time %q", in, again)
		}
	}
	if got := Line(strings.Repeat("ü", 10_000)); got != strings.Repeat("ü", 10_000) {
		t.Error("a text of 10,000 characters was cut")
	}
	if got := Line(strings.Repeat("ü", 10_123)); !strings.HasSuffix(got, "ü… and 123 characters more") {
		t.Errorf("got …%s", got[len(got)-40:])
	}
	var b bytes.Buffer
	if n, err := NewWriter(&b).Write([]byte("a\x1b\nb\n")); n != 5 || err != nil || b.String() != "a\\x1b\nb\n" {
		t.Errorf("%q, %d, %v", b.String(), n, err)
	}
}
