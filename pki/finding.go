package pki

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/etcdsec/etcdsec/internal/shellword"
)

// Finding is one fault of a store.
type Finding struct {
	Path    string // in the store, slash-separated
	Problem string
	Fix     Fix  // never empty
	Note    bool // nothing is wrong yet: it becomes a fault in time, and gives no exit status
}

// MarshalJSON writes the fix as text and as lines.
func (f Finding) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		Path    string `json:"path"`
		Problem string `json:"problem"`
		Fix     string `json:"fix"`
		Lines   Fix    `json:"fix_lines"`
		Note    bool   `json:"note,omitempty"`
	}{f.Path, f.Problem, f.Fix.String(), f.Fix, f.Note})
}

// Line is one line of a [Fix].
type Line struct {
	Text  string `json:"text"`  // without a line break
	Paste bool   `json:"paste"` // whether a shell runs it as it is
}

// Fix tells how to correct a [Finding], line by line.
type Fix []Line

// String joins the lines.
func (f Fix) String() string {
	texts := make([]string, len(f))
	for i, line := range f {
		texts[i] = line.Text
	}
	return strings.Join(texts, "\n")
}

// say returns a line that people read.
func say(format string, args ...any) Line { return Line{Text: fmt.Sprintf(format, args...)} }

// paste returns a line that a shell runs. Each argument becomes one word and never a flag, whatever
// it contains.
func paste(format string, args ...string) Line {
	words := make([]any, len(args))
	for i, arg := range args {
		words[i] = shellword.Path(arg)
	}
	return Line{Text: fmt.Sprintf(format, words...), Paste: true}
}

// findings collects findings in the order in which they are found.
type findings []Finding

func (f *findings) add(path string, fix Fix, problem string, a ...any) {
	*f = append(*f, Finding{Path: path, Problem: fmt.Sprintf(problem, a...), Fix: fix})
}

// sortByPath returns the findings by path, without duplicates. Findings with the same path keep
// their order. The result is never nil, so that JSON has an empty list.
func (f findings) sortByPath() []Finding {
	if len(f) == 0 {
		return []Finding{}
	}
	slices.SortStableFunc(f, func(a, b Finding) int { return cmp.Compare(a.Path, b.Path) })
	return slices.CompactFunc(f, func(a, b Finding) bool {
		return a.Path == b.Path && a.Problem == b.Problem && slices.Equal(a.Fix, b.Fix)
	})
}

func sortedNames[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
