package layout

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func draw(t *testing.T, width int) string {
	t.Helper()
	var b strings.Builder
	table := NewTable(NewWriter(&b, width), "STATE", "NAME", "ENDS", "ISSUER", "DETAIL")
	table.Row("ok", "etcd-0/server", "2027-02-28", "prod-eu1 server-issuing 2658d6da", "")
	table.Row("due", "ü", "2026-12-01", "prod-eu1 peer-issuing f4917a2b", "a third of its life is left and its names changed too")
	if err := table.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTable(t *testing.T) {
	t.Parallel()
	for width, want := range map[int]string{
		0: `STATE  NAME           ENDS        ISSUER                            DETAIL
ok     etcd-0/server  2027-02-28  prod-eu1 server-issuing 2658d6da
due    ü              2026-12-01  prod-eu1 peer-issuing f4917a2b    a third of its life is left and its names changed too
`,
		100: `STATE  NAME           ENDS        ISSUER                            DETAIL
ok     etcd-0/server  2027-02-28  prod-eu1 server-issuing 2658d6da
due    ü              2026-12-01  prod-eu1 peer-issuing f4917a2b    a third of its life is left and
                                                                    its names changed too
`,
		80: `STATE  NAME           ENDS        ISSUER                  DETAIL
ok     etcd-0/server  2027-02-28  prod-eu1
                                  server-issuing
                                  2658d6da
due    ü              2026-12-01  prod-eu1 peer-issuing   a third of its life is
                                  f4917a2b                left and its names
                                                          changed too
`,
		60: `STATE  NAME           ENDS
ok     etcd-0/server  2027-02-28
    issuer: prod-eu1 server-issuing 2658d6da
due    ü              2026-12-01
    issuer: prod-eu1 peer-issuing f4917a2b
    detail: a third of its life is left and its names
    changed too
`,
	} {
		if got := draw(t, width); got != want {
			t.Errorf("width %d:\n%s\nwant:\n%s", width, got, want)
		}
	}
}

// Whatever the width, no line is longer, and no word is lost or broken.
func TestTableKeepsWords(t *testing.T) {
	t.Parallel()
	for width := narrowest; width < 140; width++ {
		got := draw(t, width)
		for line := range strings.SplitSeq(got, "\n") {
			if utf8.RuneCountInString(line) > width {
				t.Errorf("width %d: %q", width, line)
			}
		}
		have := map[string]int{}
		for _, word := range strings.Fields(got) {
			have[word]++
		}
		for _, word := range strings.Fields("ok etcd-0/server 2027-02-28 prod-eu1 server-issuing 2658d6da due ü a third of its life is left and names changed too") {
			if have[word] == 0 {
				t.Errorf("width %d: %q is missing in\n%s", width, word, got)
			}
		}
	}
}

func TestReflow(t *testing.T) {
	t.Parallel()
	const text = `A sentence that was wrapped
somewhere else before, and is long.

  etcdsec audit run --a-long-command --that-one-pastes
  0  done, and clean of everything that could be
  https://example.com/a/long/word

The end.`
	const want = `A sentence that was wrapped
somewhere else before, and is
long.

  etcdsec audit run --a-long-command --that-one-pastes
  0  done, and clean of
     everything that could be
  https://example.com/a/long/word

The end.`
	if got := Reflow(text, 30); got != want {
		t.Errorf("got:\n%s", got)
	}
}
