package prose

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// unclearToday has the number of unclear headlines of unfinished folders. A number may only become
// smaller, and a folder that is not here has none.
var unclearToday = map[string]int{}

// No unclear headline comes back.
func TestHeadlines(t *testing.T) {
	root := filepath.Join("..", "..")
	found, files := map[string][]string{}, 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			name := entry.Name()
			if name == "testdata" || path != root && strings.HasPrefix(name, ".") || isOtherModule(root, path) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		files++
		folder, err := filepath.Rel(root, filepath.Dir(path))
		found[folder] = append(found[folder], UnclearHeadlines(file)...)
		return err
	})
	if err != nil || files < 100 {
		t.Fatalf("%d files: %v", files, err)
	}
	for folder, sentences := range found {
		if len(sentences) > unclearToday[folder] {
			t.Errorf("%q: %d unclear headlines, want %d at the most:\n%s", folder, len(sentences), unclearToday[folder], strings.Join(sentences, "\n"))
		}
	}
}

// isOtherModule reports whether a folder has a module of its own.
func isOtherModule(root, path string) bool {
	_, err := os.Stat(filepath.Join(path, "go.mod"))
	return path != root && err == nil
}

func TestUnclearHeadlines(t *testing.T) {
	const text = `// Package p says whether nothing.
package p

// One is what it is. More.
type One int

// two says
// whether it is so.
func two() {}

// Three reports whether it is. It is what it is, and says whether.
func Three() {}

const (
	// four are what they are
	four = 4
)
`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", text, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(UnclearHeadlines(file), "|")
	if want := "One is what it is|two says whether it is so.|four are what they are"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
