package pki

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// A shell takes each argument of a pasted line for one word, whatever it holds.
func TestPasteQuotes(t *testing.T) {
	t.Parallel()
	for _, word := range []string{"store", "", "my store", "it's", "$(reboot)", "a;b", `back\slash`, "~", "two\nlines", "ümlaut", "'", "*"} {
		line := paste("printf '<%%s>' %s", word)
		if !line.Paste || strings.Contains(line.Text, "\n") {
			t.Errorf("%q: got %+v", word, line)
		}
		out, err := exec.CommandContext(t.Context(), "bash", "-c", line.Text).Output()
		if err != nil || string(out) != "<"+word+">" {
			t.Errorf("%q: %s printed %q, %v", word, line.Text, out, err)
		}
	}
}

// A path that begins with a dash is no flag of the command.
func TestPasteGivesNoFlags(t *testing.T) {
	t.Parallel()
	if got := paste("rm %s", "-rf").Text; got != "rm ./-rf" {
		t.Errorf("got %s", got)
	}
}

// A report has the fix as text, as it always had, and as lines beside it.
func TestFindingJSON(t *testing.T) {
	t.Parallel()
	f := Finding{Path: "a.key", Problem: "is open", Fix: Fix{say("if you trust it:"), paste("chmod 600 %s", "a b")}}
	got, err := json.Marshal(f)
	want := `{"path":"a.key","problem":"is open","fix":"if you trust it:\nchmod 600 'a b'",` +
		`"fix_lines":[{"text":"if you trust it:","paste":false},{"text":"chmod 600 'a b'","paste":true}]}`
	if err != nil || string(got) != want {
		t.Errorf("got %s, %v", got, err)
	}
}
