package arch

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
)

// source is one parsed Go file.
type source struct {
	name    string // slash-separated, from the root of the module
	folder  string
	test    bool
	body    []byte
	syntax  *ast.File
	lines   *token.FileSet
	imports []importLine
	uses    []use
}

type importLine struct {
	path string
	line int
}

// use is a call of a standard function, "time.Now", or a statement, "go".
type use struct {
	what string
	line int
}

// readSources parses all Go files of a module. It leaves out what the go tool leaves out (testdata, folders
// that start with "." or "_"), folders with a go.mod of their own, and what is made by make.
func readSources(fsys fs.FS) ([]source, error) {
	var all []source
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name != "." && leftOut(fsys, name) {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		s, err := parse(fsys, name)
		all = append(all, s)
		return err
	})
	return all, err
}

func leftOut(fsys fs.FS, folder string) bool {
	switch base := path.Base(folder); {
	case strings.HasPrefix(base, "."), strings.HasPrefix(base, "_"):
		return true
	case base == "testdata", base == "vendor", base == "node_modules":
		return true
	case folder == "bin", folder == "demo", folder == "dist":
		return true
	}
	_, err := fs.Stat(fsys, path.Join(folder, "go.mod"))
	return err == nil
}

func parse(fsys fs.FS, name string) (source, error) {
	body, err := fs.ReadFile(fsys, name)
	if err != nil {
		return source{}, err
	}
	s := source{
		name: name, folder: path.Dir(name), test: strings.HasSuffix(name, "_test.go"),
		body: body, lines: token.NewFileSet(),
	}
	s.syntax, err = parser.ParseFile(s.lines, name, body, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	packages := map[string]string{} // name in this file to import path
	for _, spec := range s.syntax.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, importLine{imported, s.line(spec)})
		local := path.Base(imported)
		if spec.Name != nil {
			local = spec.Name.Name
		}
		packages[local] = imported
	}
	ast.Inspect(s.syntax, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			s.uses = append(s.uses, use{"go", s.line(n)})
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && packages[x.Name] != "" {
				s.uses = append(s.uses, use{packages[x.Name] + "." + n.Sel.Name, s.line(n)})
			}
		}
		return true
	})
	return s, nil
}

func (s source) line(n ast.Node) int { return s.lines.Position(n.Pos()).Line }

// unformatted says whether gofmt would change the file.
func (s source) unformatted() []string {
	want, err := format.Source(s.body)
	if err != nil || !bytes.Equal(want, s.body) {
		return []string{s.name + ": not as gofmt writes it"}
	}
	return nil
}

// undocumented lists exported names without a comment: functions, types, methods of exported types, and
// constants and variables that neither their own line nor their group says anything about.
func (s source) undocumented() []string {
	var wrong []string
	missing := func(n ast.Node, what string) {
		wrong = append(wrong, fmt.Sprintf("%s:%d: %s has no comment", s.name, s.line(n), what))
	}
	if s.test || s.syntax.Name.Name == "main" {
		return nil
	}
	for _, decl := range s.syntax.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() && exportedReceiver(d) && d.Doc.Text() == "" {
				missing(d, "func "+d.Name.Name)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.IsExported() && spec.Doc.Text() == "" && (d.Doc.Text() == "" || len(d.Specs) > 1) {
						missing(spec, "type "+spec.Name.Name)
					}
				case *ast.ValueSpec:
					if spec.Doc.Text() != "" || spec.Comment.Text() != "" || d.Doc.Text() != "" {
						continue
					}
					for _, name := range spec.Names {
						if name.IsExported() {
							missing(name, d.Tok.String()+" "+name.Name)
						}
					}
				}
			}
		}
	}
	return wrong
}

func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	of := d.Recv.List[0].Type
	for {
		switch t := of.(type) {
		case *ast.StarExpr:
			of = t.X
		case *ast.IndexExpr:
			of = t.X
		case *ast.IndexListExpr:
			of = t.X
		case *ast.Ident:
			return t.IsExported()
		default:
			return true
		}
	}
}

// wordless lists packages whose doc comment is missing, in more than one file, or does not begin as godoc
// expects.
func wordless(files []source) []string {
	docs := map[string][]string{}
	names := map[string]string{}
	for _, s := range files {
		if strings.HasSuffix(s.syntax.Name.Name, "_test") {
			continue
		}
		if _, ok := names[s.folder]; !ok || !s.test {
			names[s.folder] = s.syntax.Name.Name
		}
		if text := s.syntax.Doc.Text(); text != "" && !s.test {
			docs[s.folder] = append(docs[s.folder], text)
		}
	}
	var wrong []string
	for _, folder := range sorted(names) {
		begin := "Package " + names[folder] + " "
		if names[folder] == "main" {
			begin = "Command " + path.Base(folder) + " "
		}
		switch doc := docs[folder]; {
		case len(doc) == 0:
			wrong = append(wrong, folder+": no file says what the package is for")
		case len(doc) > 1:
			wrong = append(wrong, folder+": more than one file has a package comment")
		case !strings.HasPrefix(doc[0], begin):
			wrong = append(wrong, fmt.Sprintf("%s: its comment does not begin with %q", folder, begin))
		}
	}
	return wrong
}

// drawers lists folders named after nothing.
func drawers(files []source) []string {
	var wrong []string
	seen := map[string]bool{}
	for _, s := range files {
		for _, word := range strings.Split(s.folder, "/") {
			if slices.Contains([]string{"util", "utils", "common", "helper", "helpers", "manager", "managers", "impl", "misc", "pkg"}, word) && !seen[s.folder] {
				seen[s.folder] = true
				wrong = append(wrong, s.folder+": "+word+" says nothing; name the folder after what is in it")
			}
		}
	}
	return wrong
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
