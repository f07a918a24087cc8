package prose

import (
	"go/ast"
	"regexp"
	"strings"
)

// unclear matches unclear sentences. They begin with "X is what" or "X are what", or use other words
// than Go's "reports whether".
var unclear = regexp.MustCompile(`^\w+ (is|are) what |\bsays whether\b`)

// UnclearHeadlines returns the first sentences of a file's doc comments that are unclear.
func UnclearHeadlines(file *ast.File) []string {
	var found []string
	look := func(doc *ast.CommentGroup) {
		if doc == nil {
			return
		}
		text := strings.Join(strings.Fields(doc.Text()), " ")
		sentence, _, _ := strings.Cut(text, ". ")
		if unclear.MatchString(sentence) {
			found = append(found, sentence)
		}
	}
	for _, decl := range file.Decls {
		switch decl := decl.(type) {
		case *ast.FuncDecl:
			look(decl.Doc)
		case *ast.GenDecl:
			look(decl.Doc)
			for _, spec := range decl.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					look(spec.Doc)
				case *ast.ValueSpec:
					look(spec.Doc)
				}
			}
		}
	}
	return found
}
