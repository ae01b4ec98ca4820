package packages

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// moduleDir returns where the sources of a module in go.mod are, or skips.
func moduleDir(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	dir := strings.TrimSpace(string(out))
	if err != nil || dir == "" {
		t.Skipf("SKIPPED: the sources of %s are not in the module cache: go mod download %s", module, module)
	}
	return dir
}

// readAs lets a recogniser read content as if it were a file called name.
func readAs(r *Recogniser, name string, content []byte) (Facts, error) {
	f := &File{Path: name, Size: int64(len(content)), Mode: 0o644, Body: bytes.NewReader(content)}
	facts, err := r.Read(f)
	facts.By, facts.Path = r.Name, name
	return facts, err
}

// TestLocksAgree compares with the packages that osv-scalibr's own tests expect of its test data. Its test files
// are read as Go source: each case with a path and the packages wanted.
func TestLocksAgree(t *testing.T) {
	root := filepath.Join(moduleDir(t, "github.com/google/osv-scalibr"), "extractor/filesystem/language")
	for _, family := range []struct {
		dir, test string
		reader    *Recogniser
		as        string
		manifest  bool // what is asked for counts; of ranges only the names, for they make up a version
	}{
		{"javascript/packagelockjson", "packagelockjson-v1_test.go", &lockNPM, "package-lock.json", false},
		{"javascript/packagelockjson", "packagelockjson-v2_test.go", &lockNPM, "package-lock.json", false},
		{"javascript/pnpmlock", "pnpmlock_test.go", &lockNPM, "pnpm-lock.yaml", false},
		{"javascript/pnpmlock", "pnpmlock-v9_test.go", &lockNPM, "pnpm-lock.yaml", false},
		{"javascript/yarnlock", "yarnlock-v1_test.go", &lockNPM, "yarn.lock", false},
		{"javascript/yarnlock", "yarnlock-v2_test.go", &lockNPM, "yarn.lock", false},
		{"python/poetrylock", "poetrylock_test.go", &lockPython, "poetry.lock", false},
		{"python/uvlock", "uvlock_test.go", &lockPython, "uv.lock", false},
		{"python/pipfilelock", "pipfilelock_test.go", &lockPython, "Pipfile.lock", false},
		{"python/requirements", "requirements_test.go", &lockPython, "requirements.txt", true},
		{"python/setup", "setup_test.go", &lockPython, "setup.py", true},
		{"golang/gomod", "gomod_test.go", &lockGo, "go.mod", false},
		{"rust/cargolock", "cargolock_test.go", &lockCargo, "Cargo.lock", false},
		{"ruby/gemfilelock", "gemfilelock_test.go", &lockRuby, "Gemfile.lock", false},
		{"java/pomxml", "pomxml_test.go", &lockMaven, "pom.xml", true},
		{"php/composerlock", "composerlock_test.go", &lockComposer, "composer.lock", false},
		{"dotnet/packageslockjson", "packageslockjson_test.go", &lockNuGet, "packages.lock.json", false},
		{"dotnet/packagesconfig", "packagesconfig_test.go", &lockNuGet, "packages.config", false},
		{"dotnet/csproj", "csproj_test.go", &lockNuGet, "a.csproj", true},
		{"../misc/githubactions", "githubactions_test.go", &lockActions, ".github/workflows/a.yml", false},
		{"dart/pubspec", "pubspec_test.go", &lockPub, "pubspec.lock", false},
		{"swift/packageresolved", "packageresolved_test.go", &lockSwift, "Package.resolved", false},
		{"java/gradlelockfile", "gradlelockfile_test.go", &lockGradle, "gradle.lockfile", false},
		{"julia/manifesttoml", "manifesttoml_test.go", &lockJulia, "Manifest.toml", false},
		{"../misc/bazelmaven", "bazel_test.go", &lockBazel, "MODULE.bazel", true},
		{"javascript/bunlock", "bunlock_test.go", &lockNPM, "bun.lock", false},
		{"erlang/mixlock", "mixlock_test.go", &lockMix, "mix.lock", false},
		{"python/pdmlock", "pdmlock_test.go", &lockPython, "pdm.lock", false},
		{"python/pylock", "pylock_test.go", &lockPython, "pylock.toml", false},
		{"java/gradleversioncatalog", "gradleversioncatalog_test.go", &lockGradle, "gradle/libs.versions.toml", true},
		{"dotnet/nugetcpm", "nugetcpm_test.go", &lockNuGet, "Directory.Packages.props", true},
		{"javascript/denojson", "denojson_test.go", &lockDeno, "deno.json", true},
		{"rust/cargotoml", "cargotoml_test.go", &lockCargo, "Cargo.toml", true},
	} {
		cases := oracleCases(t, filepath.Join(root, family.dir, family.test))
		if len(cases) == 0 {
			t.Errorf("%s: no cases found in it", family.test)
		}
		for path, want := range cases {
			t.Run(family.dir+"/"+path, func(t *testing.T) {
				if why := oracleDiffers[family.dir+"/"+path]; why != "" {
					t.Skip("differs on purpose: " + why)
				}
				content, err := os.ReadFile(filepath.Join(root, family.dir, path))
				if err != nil {
					t.Fatal(err)
				}
				facts, err := readAs(family.reader, family.as, content)
				if err != nil {
					t.Fatalf("reading it: %v", err)
				}
				if family.manifest {
					joined := family.reader.Join(Context{}, []Facts{facts}).Packages
					wantNames(t, joined, want)
					return
				}
				if got := namesVersions(facts.Packages); !slices.Equal(got, want) {
					t.Errorf("got  %q\nwant %q", got, want)
				}
			})
		}
	}
}

// oracleDiffers says where we read test data otherwise, and why.
var oracleDiffers = map[string]string{
	"erlang/mixlock/testdata/git.lock":                              "a git dependency has its commit for a version",
	"javascript/denojson/testdata/deno.json":                        "the scope of a jsr package is part of its name; see TestDeno",
	"golang/gomod/testdata/replace-local.mod":                       "a module replaced by a directory keeps its name; the directory is its property source",
	"java/pomxml/testdata/with-parent.xml":                          "its parent is another file; see TestMavenParent",
	"../misc/githubactions/testdata/valid.yml":                      actionPath,
	"../misc/githubactions/testdata/edge_cases.yaml":                actionPath + "; images are listed too",
	"golang/gomod/testdata/indirect-1.16.mod":                       "go.sum is another file, joined later; see TestGoOldModule",
	"python/uvlock/testdata/grouped-packages.lock":                  "they want only what is direct",
	"python/requirements/testdata/example.txt":                      "they follow -r; we read each file of the tree for itself",
	"python/requirements/testdata/per_req_options.txt":              "they take text behind a version for part of it",
	"python/setup/testdata/template":                                "they take a template with braces for a version",
	"javascript/packagelockjson/testdata/files.v2.json":             memberIsProject,
	"javascript/packagelockjson/testdata/workspaces.v3.json":        memberIsProject,
	"javascript/packagelockjson/testdata/workspaces-object.v3.json": memberIsProject,
	"javascript/yarnlock/testdata/exclude-root.v2.lock":             memberIsProject,
}

const actionPath = "the path of an action in its repository is part of its name"

const memberIsProject = "a directory of the tree is a project, not a package"

// wantNames checks that every package wanted is there, with its version if we name one.
func wantNames(t *testing.T, got []seaworthy.Package, want []string) {
	t.Helper()
	have := map[string]bool{}
	for _, p := range got {
		if have[p.Name] = true; p.Version != "" {
			have[p.Name+" "+p.Version] = true
		} else {
			have[p.Name+" "] = true
		}
	}
	for _, w := range want {
		name, _, _ := strings.Cut(w, " ")
		if !have[w] && !have[name+" "] {
			t.Errorf("%q is missing among %q", w, slices.Sorted(maps.Keys(have)))
		}
	}
}

func namesVersions(packages []seaworthy.Package) []string {
	var out []string
	for _, p := range packages {
		if p.Role != seaworthy.Application {
			out = append(out, p.Name+" "+strings.TrimPrefix(p.Version, "v"))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// oracleCases returns name and version of the packages each case of a test file wants, by the case's path.
func oracleCases(t *testing.T, file string) map[string][]string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	ast.Inspect(parsed, func(n ast.Node) bool {
		lit, ok := n.(*ast.CompositeLit)
		if !ok {
			return true
		}
		path, want, found := "", []string(nil), false
		for _, e := range lit.Elts {
			kv, ok := e.(*ast.KeyValueExpr)
			if !ok {
				continue
			}
			switch key, _ := kv.Key.(*ast.Ident); {
			case key == nil:
			case strings.EqualFold(key.Name, "path"):
				path = stringOf(kv.Value)
			case strings.EqualFold(key.Name, "inputconfig"):
				path = fieldOf(kv.Value, "Path")
			case strings.EqualFold(key.Name, "wantpackages"):
				found = true
				ast.Inspect(kv.Value, func(n ast.Node) bool {
					if p, ok := n.(*ast.CompositeLit); ok {
						if name := fieldOf(p, "Name"); name != "" {
							want = append(want, name+" "+fieldOf(p, "Version"))
							return false
						}
					}
					return true
				})
			case strings.EqualFold(key.Name, "wanterr"):
				if id, ok := kv.Value.(*ast.Ident); !ok || id.Name != "nil" {
					path = ""
				}
			}
		}
		if found && path != "" && len(want) > 0 {
			slices.Sort(want)
			out[path] = slices.Compact(want)
		}
		return true
	})
	return out
}

func fieldOf(e ast.Expr, field string) string {
	lit, ok := e.(*ast.CompositeLit)
	if !ok {
		return ""
	}
	for _, e := range lit.Elts {
		if kv, ok := e.(*ast.KeyValueExpr); ok {
			if key, ok := kv.Key.(*ast.Ident); ok && key.Name == field {
				return stringOf(kv.Value)
			}
		}
	}
	return ""
}

func stringOf(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok {
		if s, err := strconv.Unquote(lit.Value); err == nil {
			return s
		}
	}
	if call, ok := e.(*ast.CallExpr); ok && len(call.Args) == 1 {
		return stringOf(call.Args[0])
	}
	return ""
}
