// Package prose finds code that decides by the text of an error. Such text changes without warning,
// and can contain foreign text: the name of a folder once made a check pass.
package prose

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A Place is a place in code that decides by the text of an error.
type Place struct {
	Package  string // import path
	Function string // its name, "Type.name" for a method, or empty outside of functions
	Position token.Position
	Does     string // such as "strings.Contains"
}

// String returns the place as "FILE:LINE: FUNCTION: DOES".
func (p Place) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", p.Position.Filename, p.Position.Line, p.Function, p.Does)
}

// Package is a type-checked package of the product, without its tests.
type Package struct {
	Path  string
	Files []*ast.File
	Fset  *token.FileSet
	Types *types.Package
	Info  *types.Info
}

// Load type-checks the packages of a module on which the given packages depend, from their sources. For
// other imports it reads the compiler's export data. dir is in the module.
func Load(ctx context.Context, dir, module string, patterns ...string) ([]*Package, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"list", "-export", "-deps", "-json=ImportPath,Export,Dir,GoFiles"}, patterns...)...) //nolint:gosec // patterns are the test's
	cmd.Dir = dir
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("go list: %w\n%s", err, stderr.Bytes())
	}
	type listed struct {
		ImportPath, Export, Dir string
		GoFiles                 []string
	}
	exports := map[string]string{}
	var ours []listed
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var l listed
		if err := decoder.Decode(&l); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("reading what go list printed: %w", err)
		}
		exports[l.ImportPath] = l.Export
		if l.ImportPath == module || strings.HasPrefix(l.ImportPath, module+"/") {
			ours = append(ours, l)
		}
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })
	var packages []*Package
	for _, l := range ours {
		p, err := check(fset, imports, l.ImportPath, l.Dir, l.GoFiles)
		if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
	return packages, nil
}

func check(fset *token.FileSet, imports types.Importer, path, dir string, names []string) (*Package, error) {
	p := &Package{Path: path, Fset: fset, Info: &types.Info{
		Types: map[ast.Expr]types.TypeAndValue{}, Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}, Selections: map[*ast.SelectorExpr]*types.Selection{},
	}}
	for _, name := range names {
		f, err := parser.ParseFile(fset, filepath.Join(dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.Files = append(p.Files, f)
	}
	var err error
	p.Types, err = (&types.Config{Importer: imports}).Check(path, fset, p.Files, p.Info)
	return p, err
}

// Matches returns the places of a package that decide by the text of an error: with a function that
// searches or compares text, an operator, or a switch. It follows the text through variables, through
// parameters of functions of the package, and through functions of strings and bytes that return a
// part of it.
func Matches(p *Package) []Place {
	f := finder{Package: p, words: map[types.Object]bool{}}
	for again := true; again; {
		again = false
		for _, file := range p.Files {
			ast.Inspect(file, func(n ast.Node) bool {
				again = f.learn(n) || again
				return true
			})
		}
	}
	for _, file := range p.Files {
		for _, decl := range file.Decls {
			ast.Inspect(decl, func(n ast.Node) bool {
				if does := f.decides(n); does != "" {
					f.places = append(f.places, Place{Package: p.Path, Function: functionName(decl), Position: p.Fset.Position(n.Pos()), Does: does})
				}
				return true
			})
		}
	}
	return f.places
}

// finder finds the places of one package.
type finder struct {
	*Package
	words  map[types.Object]bool // variables that hold words of an error
	places []Place
}

// learn records variables with the text of an error, and reports whether one is new.
func (f *finder) learn(n ast.Node) bool {
	found := false
	noteObject := func(object types.Object) {
		if object != nil && !f.words[object] && isText(object.Type()) {
			f.words[object], found = true, true
		}
	}
	note := func(left ast.Expr) {
		if id, ok := left.(*ast.Ident); ok {
			noteObject(f.Info.ObjectOf(id))
		}
	}
	switch n := n.(type) {
	case *ast.AssignStmt:
		for i, left := range n.Lhs {
			if right := n.Rhs[min(i, len(n.Rhs)-1)]; f.isWords(right) {
				note(left)
			}
		}
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if len(n.Values) > 0 && f.isWords(n.Values[min(i, len(n.Values)-1)]) {
				note(name)
			}
		}
	case *ast.CallExpr:
		called := f.called(n)
		if called == nil || called.Pkg() != f.Types {
			break
		}
		parameters := called.Signature().Params()
		for i, arg := range n.Args {
			if parameters.Len() > 0 && f.isWords(arg) {
				noteObject(parameters.At(min(i, parameters.Len()-1)))
			}
		}
	case *ast.RangeStmt:
		if f.isWords(n.X) {
			for _, left := range []ast.Expr{n.Key, n.Value} {
				if left != nil {
					note(left)
				}
			}
		}
	}
	return found
}

// isText reports whether a variable of this type can hold words.
func isText(t types.Type) bool {
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return u.Info()&types.IsString != 0
	case *types.Slice:
		return isText(u.Elem()) || types.Identical(u.Elem(), types.Typ[types.Byte])
	}
	return false
}

// isWords reports whether an expression is the text of an error.
func (f *finder) isWords(e ast.Expr) bool {
	switch e := ast.Unparen(e).(type) {
	case *ast.Ident:
		return f.words[f.Info.ObjectOf(e)]
	case *ast.BinaryExpr:
		return e.Op == token.ADD && (f.isWords(e.X) || f.isWords(e.Y))
	case *ast.SliceExpr:
		return f.isWords(e.X)
	case *ast.IndexExpr:
		return f.isWords(e.X)
	case *ast.CallExpr:
		if f.Info.Types[e.Fun].IsType() { // a conversion
			return f.isWords(e.Args[0])
		}
		called := f.called(e)
		if called == nil {
			return false
		}
		if recv := called.Signature().Recv(); recv != nil {
			return called.Name() == "Error" && len(e.Args) == 0 || called.Name() == "Message" && isStatus(recv.Type())
		}
		switch pkg := packagePath(called); {
		case pkg == "fmt" && strings.HasPrefix(called.Name(), "Sprint"):
			return slices.ContainsFunc(e.Args, func(arg ast.Expr) bool { return f.isWords(arg) || isError(f.Info.TypeOf(arg)) })
		case pkg == "strings" || pkg == "bytes":
			return slices.ContainsFunc(e.Args, f.isWords)
		}
	}
	return false
}

var errorInterface = types.Universe.Lookup("error").Type().Underlying().(*types.Interface)

func isError(t types.Type) bool {
	return t != nil && !types.Identical(t, types.Typ[types.UntypedNil]) && types.Implements(t, errorInterface)
}

// isStatus reports whether a type is gRPC's status, which carries an error's words.
func isStatus(t types.Type) bool {
	if pointer, ok := t.(*types.Pointer); ok {
		t = pointer.Elem()
	}
	named, ok := t.(*types.Named)
	return ok && named.Obj().Name() == "Status" && strings.HasSuffix(named.Obj().Pkg().Path(), "grpc/internal/status")
}

// called returns the function that a call calls, or nil where that is a variable or built in.
func (f *finder) called(call *ast.CallExpr) *types.Func {
	var id *ast.Ident
	switch fun := ast.Unparen(call.Fun).(type) {
	case *ast.Ident:
		id = fun
	case *ast.SelectorExpr:
		id = fun.Sel
	default:
		return nil
	}
	called, _ := f.Info.Uses[id].(*types.Func)
	return called
}

func packagePath(called *types.Func) string {
	if called.Pkg() == nil { // error's own method
		return ""
	}
	return called.Pkg().Path()
}

// searches has the prefixes of the functions of strings and bytes that search or compare.
var searches = []string{"Contains", "HasPrefix", "HasSuffix", "Index", "LastIndex", "Cut", "Equal", "Split", "Count", "Compare"}

// decides returns how a node decides by the text of an error, or "".
func (f *finder) decides(n ast.Node) string {
	switch n := n.(type) {
	case *ast.BinaryExpr:
		if slices.Contains([]token.Token{token.EQL, token.NEQ, token.LSS, token.GTR, token.LEQ, token.GEQ}, n.Op) && (f.isWords(n.X) || f.isWords(n.Y)) {
			return n.Op.String()
		}
	case *ast.SwitchStmt:
		if n.Tag != nil && f.isWords(n.Tag) {
			return "switch"
		}
	case *ast.IndexExpr:
		if _, isMap := f.Info.TypeOf(n.X).Underlying().(*types.Map); isMap && f.isWords(n.Index) {
			return "index of a map"
		}
	case *ast.CallExpr:
		called := f.called(n)
		if called == nil || !slices.ContainsFunc(n.Args, f.isWords) {
			return ""
		}
		begins := func(prefix string) bool { return strings.HasPrefix(called.Name(), prefix) }
		switch packagePath(called) {
		case "strings", "bytes":
			if slices.ContainsFunc(searches, begins) {
				return called.Pkg().Name() + "." + called.Name()
			}
		case "slices":
			if begins("Contains") || begins("Index") {
				return "slices." + called.Name()
			}
		case "regexp":
			if begins("Match") || begins("Find") {
				return "regexp: " + called.Name()
			}
		}
	}
	return ""
}

// functionName returns the name of a function, or "Type.name" for a method.
func functionName(decl ast.Decl) string {
	fn, ok := decl.(*ast.FuncDecl)
	if !ok {
		return ""
	}
	if fn.Recv == nil || len(fn.Recv.List) == 0 {
		return fn.Name.Name
	}
	at := fn.Recv.List[0].Type
	if star, ok := at.(*ast.StarExpr); ok {
		at = star.X
	}
	if generic, ok := at.(*ast.IndexExpr); ok {
		at = generic.X
	}
	if id, ok := at.(*ast.Ident); ok {
		return id.Name + "." + fn.Name.Name
	}
	return fn.Name.Name
}
