package main

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/etcdsec/etcdsec/audit"
	"github.com/etcdsec/etcdsec/audit/catalog"
	encryptionlint "github.com/etcdsec/etcdsec/manifests/encryption/lint"
	policieslint "github.com/etcdsec/etcdsec/policies/lint"
)

// shownCommand is an etcdsec command line in a text, up to where a shell or a sentence ends it.
var shownCommand = regexp.MustCompile(`(?:^|[\s(:;` + "`" + `])etcdsec ([a-z][^;#|)\n` + "`" + `]*)`)

// faultOf returns why the command line of a shown command does not parse; empty if it does.
// Arguments are not looked at: they are those of the reader.
func faultOf(t *testing.T, words []string) string {
	t.Helper()
	root := newRootCommand(&app{stdin: &bytes.Buffer{}, stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}})
	verb, rest, err := root.Find(words)
	switch {
	case err != nil:
		return err.Error()
	case verb.HasSubCommands() && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && !runsAlone(verb):
		return strconv.Quote(rest[0]) + " is no verb of " + verb.CommandPath()
	}
	if err := verb.ParseFlags(rest); err != nil {
		return err.Error()
	}
	return ""
}

// runsAlone reports whether a command takes arguments although it has verbs below it.
func runsAlone(c *cobra.Command) bool { return strings.Contains(c.Use, " ") }

// wordsOf splits a command line as bash does.
func wordsOf(t *testing.T, line string) []string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "bash", "-fc", `printf '%s\0' `+line).Output()
	if err != nil {
		t.Fatalf("bash does not split %q: %v", line, err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func remediations() map[string]audit.Remediation {
	lines := map[string]audit.Remediation{}
	for _, c := range slices.Concat(audit.Abouts(catalog.All()), audit.Abouts(encryptionlint.Checks()), audit.Abouts(policieslint.Checks())) {
		if c.Remediation != nil {
			lines[c.ID] = c.Remediation(audit.Place{
				AskedAddr: "192.0.2.1:2379", HostAddr: "192.0.2.1", ClientAddr: "192.0.2.1:2379", MemberID: 1,
				FilePath: "e.yaml", StoreDir: "store",
			})
		}
	}
	return lines
}

// Every line of a remediation that calls etcdsec names verbs and flags that it has.
func TestRemediationsNameRealVerbs(t *testing.T) {
	tried := 0
	for id, remediation := range remediations() {
		for _, line := range remediation {
			for _, found := range shownCommand.FindAllStringSubmatch(line.Text, -1) {
				if !line.Paste {
					continue
				}
				tried++
				if fault := faultOf(t, wordsOf(t, found[1])); fault != "" {
					t.Errorf("%s: %s: %s", id, line.Text, fault)
				}
			}
		}
	}
	if tried < 40 {
		t.Fatalf("%d lines were tried", tried)
	}
}

// Every example of the help names verbs and flags that there are.
func TestExamplesNameRealVerbs(t *testing.T) {
	tried := 0
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		for line := range strings.Lines(c.Example) {
			for _, found := range shownCommand.FindAllStringSubmatch(line, -1) {
				tried++
				command, _, _ := strings.Cut(found[1], " > ")
				if fault := faultOf(t, wordsOf(t, strings.TrimSpace(command))); fault != "" {
					t.Errorf("%s: %s: %s", c.CommandPath(), line, fault)
				}
			}
		}
		for _, below := range c.Commands() {
			walk(below)
		}
	}
	walk(newRootCommand(&app{stdin: &bytes.Buffer{}, stdout: &bytes.Buffer{}, stderr: &bytes.Buffer{}}))
	if tried < 60 {
		t.Fatalf("%d examples were tried", tried)
	}
}

// Every text of the product's source that shows an etcdsec command, hints and fixes among them,
// names a verb that there is. Only the words before the first argument are looked at, because
// the rest may be put in when the text is made.
func TestTextsNameRealVerbs(t *testing.T) {
	tried := 0
	text := regexp.MustCompile(`(?:^|[\s(:;` + "`" + `])etcdsec ((?:audit|bootstrap|encryption|init|pki|policies|rbac)(?: [a-z][a-z0-9-]*)*)`)
	err := filepath.WalkDir("../..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == ".git" || entry.Name() == "test" || entry.Name() == "tests") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			literal, is := n.(*ast.BasicLit)
			if !is || literal.Kind != token.STRING {
				return true
			}
			value, err := strconv.Unquote(literal.Value)
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			for _, found := range text.FindAllStringSubmatch(value, -1) {
				tried++
				words := strings.Fields(found[1])
				if fault := faultOf(t, words); fault != "" {
					t.Errorf("%s: etcdsec %s: %s", path, found[1], fault)
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if tried < 80 {
		t.Fatalf("%d texts were found", tried)
	}
}

// The tests above refuse what there is not.
func TestFaultOf(t *testing.T) {
	for line, real := range map[string]bool{
		"pki rotate issuing ./store":                     false,
		"pki renew ./store --no-such-flag":               false,
		"audti run":                                      false,
		"pki renew ./store etcd-0 --new-key":             true,
		"encryption rotate ./store --kubeconfig k":       true,
		"encryption rotate abort ./store":                true,
		"audit census --endpoints https://10.0.0.1:2379": true,
	} {
		if fault := faultOf(t, strings.Fields(line)); (fault == "") != real {
			t.Errorf("%s: %q", line, fault)
		}
	}
}
