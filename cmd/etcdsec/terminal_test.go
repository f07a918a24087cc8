package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/etcdsec/etcdsec/cmd/etcdsec/tests/clitest"
	"github.com/etcdsec/etcdsec/internal/ptytest"
)

// onScreen runs a command line in a terminal of the given width, and returns what the terminal shows.
func onScreen(t *testing.T, width uint16, args ...string) string {
	t.Helper()
	keyboard, screen := ptytest.Open(t)
	if err := unix.IoctlSetWinsize(int(screen.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: width}); err != nil {
		t.Fatal(err)
	}
	shown := make(chan string)
	go func() {
		all, _ := io.ReadAll(keyboard) // a closed terminal is an error here
		shown <- string(all)
	}()
	run(t.Context(), &app{stdin: strings.NewReader(""), stdout: screen, stderr: io.Discard, now: time.Now}, args)
	_ = screen.Close()
	return strings.ReplaceAll(<-shown, "\r\n", "\n")
}

// Every table, report and explanation is as wide as the terminal, and breaks no word.
func TestWidths(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	t.Setenv("COLUMNS", "")
	g := newGiven(t)
	store, spec := g.words["STORE"], g.words["SPEC"]
	other := store + "-report.json"
	_, report, _ := etcdsec(t, "audit", "run", "127.0.0.1:1", "-o", "json")
	clitest.WriteFile(t, other, []byte(report))
	lines := [][]string{
		{"audit", "list"},
		{"audit", "run", "127.0.0.1:1", "127.0.0.1:2", "--peer", "127.0.0.1:1"},
		{"audit", "diff", g.words["REPORT"], other},
		{"encryption", "lint", g.words["CONFIG"]},
		{"encryption", "generate", "-f", spec, store, "--dry-run"},
		{"pki", "status", store},
		{"pki", "renew", store, "--dry-run"},
		{"pki", "revoke", store, "auditor", "--reason", "superseded", "--dry-run"},
		{"pki", "export", "secrets", store, store + "-secrets", "--dry-run"},
		{"policies", "prove", "-f", spec},
		{"policies", "drift", "-f", spec, g.words["NODE"]},
		{"rbac", "plan", "-f", spec},
	}
	for _, c := range allChecks() {
		lines = append(lines, []string{"audit", "explain", c.ID})
	}
	for _, args := range lines {
		_, piped, _ := etcdsec(t, args...)
		for _, width := range []int{60, 80, 120} {
			checkWidth(t, width, piped, onScreen(t, uint16(width), args...), args)
		}
	}
}

// Help too. Its examples are lines to paste, which are not broken.
func TestHelpWidths(t *testing.T) {
	t.Setenv("COLUMNS", "")
	walk(newRootCommand(&app{stdout: &bytes.Buffer{}}), func(cmd *cobra.Command) {
		args := append(strings.Fields(cmd.CommandPath())[1:], "--help")
		_, piped, _ := etcdsec(t, args...)
		for _, width := range []int{60, 80, 120} {
			shown := onScreen(t, uint16(width), args...)
			if !strings.Contains(shown, cmd.Example) {
				t.Errorf("%q: the examples were changed:\n%s", args, shown)
			}
			checkWidth(t, width, strings.Replace(piped, cmd.Example, "", 1), strings.Replace(shown, cmd.Example, "", 1), args)
		}
	})
}

// walk calls do with a command and with all below it.
func walk(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, c := range cmd.Commands() {
		walk(c, do)
	}
}

func checkWidth(t *testing.T, width int, piped, shown string, args []string) {
	t.Helper()
	name := fmt.Sprintf("%q at %d", args, width)
	for line := range strings.SplitSeq(shown, "\n") {
		if utf8.RuneCountInString(line) > width && len(strings.Fields(line)) > 1 && !pasted(line) {
			t.Errorf("%s: a line of %d characters:\n%s", name, utf8.RuneCountInString(line), line)
		}
	}
	have := strings.Fields(shown)
	for _, word := range strings.Fields(piped) {
		if len(word) > 3 && strings.ToLower(word) == word && !slices.Contains(have, word) {
			t.Errorf("%s: the word %q was broken, or is missing", name, word)
			return
		}
	}
}

// pasted reports whether a line is one that a reader would paste. It is never broken.
func pasted(line string) bool {
	text := strings.TrimSpace(line)
	for _, label := range []string{"fix: ", "fix  "} {
		text = strings.TrimSpace(strings.TrimPrefix(text, label))
	}
	return strings.ContainsAny(text[:1], "/-.#{") || slices.Contains([]string{"etcdctl", "etcdsec", "kubectl", "chmod", "chown", "openssl", "systemctl", "nft", "ssh", "rsync", "kubeadm", "encryption:"}, strings.Fields(text)[0])
}
