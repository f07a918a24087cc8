package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/etcdsec/etcdsec/policies/guard"
	"github.com/etcdsec/etcdsec/policies/rbac"
)

// A line feed from outside makes no line; the lines of this program stay.
func TestErrorLines(t *testing.T) {
	t.Parallel()
	hostile := errors.New("x509: certificate is valid for a\netcdsec: all clean, not b\x1b[2J")
	const shown = `x509: certificate is valid for a\netcdsec: all clean, not b\x1b[2J`
	two := errors.Join(errors.New("one"), hostile)
	for name, tc := range map[string]struct {
		err  error
		want string
	}{
		"leaf":             {hostile, "error: " + shown},
		"wrapped":          {fmt.Errorf("asking %s: %w", "a\nb", hostile), `error: asking a\nb: ` + shown},
		"joined":           {two, "error: one\nerror: " + shown},
		"joined, wrapped":  {failure(fmt.Errorf("asking: %w", two), ""), "error: asking: one\nerror: " + shown},
		"a line behind":    {fmt.Errorf("%w\nnothing was changed", two), "error: one\nerror: " + shown + "\nerror: nothing was changed"},
		"a line before":    {fmt.Errorf("x would refuse it:\n%w", two), "error: x would refuse it:\nerror: one\nerror: " + shown},
		"its own lines":    {&rbac.Refusal{Problem: "a\nb", Fix: "c"}, "error: a\\nb\n  c"},
		"cut hosts":        {&guard.CutError{Cut: []guard.Cut{{From: "a", Port: 1}}}, "error: nothing was loaded, because hosts are connected that the spec does not let in:\n  a at port 1"},
		"two in one text":  {fmt.Errorf("%w by %w", errors.New("a\nb"), errors.New("c")), `error: a\nb by c`},
		"joined, one line": {errors.Join(errors.New("a")), "error: a"},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			report(&b, tc.err)
			if got := strings.ReplaceAll(strings.TrimRight(b.String(), "\n"), "etcdsec: ", ""); got != strings.ReplaceAll(tc.want, "etcdsec: ", "") {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}
