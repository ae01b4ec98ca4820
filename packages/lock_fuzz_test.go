package packages

import "testing"

// fuzzLock feeds one recogniser, as each of the files named, and joins what comes out. Nothing may panic, and what
// is joined has unique Refs and no relation that leads nowhere.
func fuzzLock(f *testing.F, r *Recogniser, names []string, seeds ...string) {
	for i := range names {
		for _, s := range seeds {
			f.Add(uint8(i), s)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, content string) {
		name := names[int(which)%len(names)]
		facts, err := readAs(r, name, []byte(content))
		if err != nil {
			return
		}
		checkJoined(t, r.Join(Context{}, []Facts{facts}))
	})
}

func checkJoined(t *testing.T, joined Joined) {
	t.Helper()
	refs := map[string]bool{}
	for _, p := range joined.Packages {
		if p.Ref == "" || refs[p.Ref] {
			t.Errorf("Ref %q of %q is empty or taken", p.Ref, p.Name)
		}
		refs[p.Ref] = true
		if len(p.Evidence) == 0 {
			t.Errorf("%q has no evidence", p.Ref)
		}
	}
	for _, rel := range joined.Relations {
		if !refs[rel.From] || !refs[rel.To] {
			t.Errorf("relation %q → %q leads nowhere", rel.From, rel.To)
		}
	}
}

func FuzzLockNPM(f *testing.F) {
	fuzzLock(f, &lockNPM, []string{"package-lock.json", "package.json"},
		`{"name":"a","version":"1","lockfileVersion":3,"packages":{"":{"dependencies":{"b":"^1"},"workspaces":["w/*"]},"node_modules/b":{"version":"1.2.3","integrity":"sha512-AA==","license":"MIT","dependencies":{"c":"*"}},"node_modules/b/node_modules/c":{"version":"2.0.0","dev":true},"node_modules/w":{"link":true,"resolved":"w/a"},"w/a":{"name":"w"}}}`,
		`{"name":"a","lockfileVersion":1,"dependencies":{"b":{"version":"1.0.0","requires":{"c":"1"},"dependencies":{"c":{"version":"git+https://h/c.git#0"}}}}}`)
}

func FuzzLockPNPM(f *testing.F) {
	fuzzLock(f, &lockNPM, []string{"pnpm-lock.yaml"},
		"lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a:\n        specifier: ^1\n        version: 1.0.0(b@2.0.0)\n  w:\n    dependencies:\n      r:\n        specifier: 'workspace:*'\n        version: link:..\npackages:\n  a@1.0.0:\n    resolution: {integrity: sha512-AA==}\nsnapshots:\n  a@1.0.0(b@2.0.0):\n    dependencies:\n      b: 2.0.0\n  b@2.0.0: {}\n",
		"lockfileVersion: 5.4\nspecifiers:\n  a: ^1\ndependencies:\n  a: 1.0.0_b@2.0.0\npackages:\n  /a/1.0.0_b@2.0.0:\n    dev: false\n  /@s/c/1.0:\n    dev: true\n  host.example/d/1.0.0: {}\n")
}

func FuzzLockYarn(f *testing.F) {
	fuzzLock(f, &lockNPM, []string{"yarn.lock"},
		"# yarn lockfile v1\n\n\"@s/a@^1.0.0\", a@1:\n  version \"1.0.1\"\n  resolved \"https://registry.yarnpkg.com/a/-/a-1.0.1.tgz#da39a3ee5e6b4b0d3255bfef95601890afd80709\"\n  dependencies:\n    b \"^2\"\n\nb@^2:\n  version \"2.0.0\"\n",
		"__metadata:\n  version: 8\n\n\"a@npm:^1\":\n  version: 1.0.0\n  resolution: \"a@npm:1.0.0\"\n  dependencies:\n    b: \"npm:^2\"\n\"w@workspace:w\":\n  version: 0.0.0-use.local\n  resolution: \"w@workspace:w\"\n")
}

func FuzzLockPython(f *testing.F) {
	fuzzLock(f, &lockPython, []string{"requirements.txt", "poetry.lock", "uv.lock", "Pipfile.lock", "Pipfile", "pyproject.toml", "setup.py", "setup.cfg"},
		"flask[async]==2.0 ; python_version > \"3\" \\\n  --hash=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n    # via -r x.in\n-e git+https://h/p.git@abc#egg=p\n-r other.txt\n",
		"[[package]]\nname = \"a\"\nversion = \"1\"\noptional = false\nfiles = [{file = \"f\", hash = \"sha256:00\"}]\n[package.dependencies]\nb = {version = \">=1\", optional = true}\n",
		"[[package]]\nname = \"p\"\nversion = \"1\"\nsource = { editable = \".\" }\ndependencies = [{ name = \"a\" }]\n[[package]]\nname = \"a\"\nversion = \"2\"\nsource = { registry = \"https://pypi.org/simple\" }\n",
		`{"_meta":{},"default":{"a":{"version":"==1.0","hashes":["sha256:00"]}},"develop":{"b":{"git":"https://h/b.git","ref":"1"}}}`,
		"[packages]\na = \"*\"\n[dev-packages]\nb = {version = \"==1\"}\n",
		"[project]\nname = \"p\"\ndependencies = [\"a>=1\"]\n[tool.poetry.group.dev.dependencies]\nb = \"^1\"\n",
		"setup(name='p', version='1', install_requires=['a>=1', \"b\"])\n",
		"[metadata]\nname = p\n[options]\ninstall_requires =\n    a>=1\n    b\n")
}

func FuzzLockRuby(f *testing.F) {
	fuzzLock(f, &lockRuby, []string{"Gemfile.lock", "Gemfile", "a.gemspec"},
		"GIT\n  remote: https://h/x.git\n  revision: abc\n  specs:\n    x (1.0)\n\nGEM\n  remote: https://rubygems.org/\n  specs:\n    rack (2.0.1-java)\n      rake (>= 1)\n    rake (13.0)\n\nDEPENDENCIES\n  rack (~> 2)\n  x!\n\nCHECKSUMS\n  rake (13.0) sha256=00\n",
		"source 'https://rubygems.org'\ngem 'a', '~> 1', '>= 1.2'\ngroup :test do\n  gem \"b\", group: :development\nend\n",
		"Gem::Specification.new do |s|\n  s.name = 'a'\n  s.add_dependency 'b', '>= 1'\nend\n")
}

func FuzzLockGo(f *testing.F) {
	fuzzLock(f, &lockGo, []string{"go.mod", "go.sum"},
		"module example.com/m\n\ngo 1.24\n\ntoolchain go1.24.1\n\ntool example.com/t/cmd/x\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/t v0.1.0 // indirect\n)\n\nreplace example.com/a => ../a\n\nexclude example.com/b v1.0.0\n",
		"example.com/a v1.0.0 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\nexample.com/a v1.0.0/go.mod h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n")
}

func FuzzLockCargo(f *testing.F) {
	fuzzLock(f, &lockCargo, []string{"Cargo.lock", "Cargo.toml"},
		"version = 4\n[[package]]\nname = \"m\"\nversion = \"0.1.0\"\ndependencies = [\"a 1.0.0\", \"b\"]\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"\n[[package]]\nname = \"b\"\nversion = \"1.0.0\"\nsource = \"git+https://h/b?rev=1#abc\"\n",
		"[package]\nname = \"m\"\nversion.workspace = true\n[dependencies]\na = \"1\"\nc = { package = \"b\", version = \"=1.0.0\", optional = true }\n[target.'cfg(unix)'.dev-dependencies]\nd = { git = \"https://h/d\" }\n[workspace]\nmembers = [\"x\"]\n")
}

func FuzzLockMaven(f *testing.F) {
	fuzzLock(f, &lockMaven, []string{"pom.xml"},
		`<project><parent><groupId>g</groupId><artifactId>p</artifactId><version>1</version></parent><artifactId>a</artifactId><properties><v>${w}</v><w>${v}</w></properties><dependencyManagement><dependencies><dependency><groupId>x</groupId><artifactId>y</artifactId><version>${v}</version></dependency></dependencies></dependencyManagement><dependencies><dependency><groupId>x</groupId><artifactId>y</artifactId><scope>test</scope></dependency></dependencies></project>`)
}

func FuzzLockHCL(f *testing.F) {
	fuzzLock(f, &lockTerraform, []string{".terraform.lock.hcl", "main.tf"},
		"# made\nprovider \"registry.terraform.io/hashicorp/aws\" {\n  version     = \"5.1.0\"\n  constraints = \"~> 5.0\"\n  hashes = [\n    \"h1:AA==\",\n    \"zh:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\n  ]\n}\n",
		"terraform {\n  required_providers {\n    aws = { source = \"hashicorp/aws\", version = \">= 5\" }\n    old = \"~> 1\"\n  }\n}\nmodule \"m\" {\n  source = \"git::https://u:p@h/x.git//sub?ref=v1\"\n}\nresource \"a\" \"b\" {\n  c = <<-E\n   }\n  E\n  d = \"${f(\"x\")}\"\n}\n")
}

func FuzzLockOthers(f *testing.F) {
	fuzzLock(f, &lockNuGet, []string{"packages.lock.json", "packages.config", "a.csproj", "a.nuspec"},
		`{"version":1,"dependencies":{"net8.0":{"A":{"type":"Direct","resolved":"1.0.0","contentHash":"AA==","dependencies":{"B":"1"}},"B":{"type":"Transitive","resolved":"1.1.0"}}}}`,
		`<packages><package id="A" version="1.0" developmentDependency="true"/></packages>`,
		`<Project><ItemGroup><PackageReference Include="A"><Version>[1.0]</Version></PackageReference></ItemGroup></Project>`)
}

func FuzzLockActions(f *testing.F) {
	fuzzLock(f, &lockActions, []string{".github/workflows/a.yml"},
		"jobs:\n  a:\n    uses: o/r/.github/workflows/w.yml@main\n  b:\n    steps:\n      - uses: actions/checkout@v4\n      - uses: docker://alpine@sha256:00\n")
}

func FuzzLockPub(f *testing.F) {
	fuzzLock(f, &lockPub, []string{"pubspec.lock", "pubspec.yaml"},
		"packages:\n  a:\n    dependency: \"direct main\"\n    description: {name: a, sha256: \"00\", url: \"https://pub.dev\"}\n    source: hosted\n    version: \"1.0.0\"\n",
		"name: x\ndependencies:\n  a: ^1.0.0\n  b:\n    path: ../b\n")
}

func FuzzLockComposer(f *testing.F) {
	fuzzLock(f, &lockComposer, []string{"composer.lock", "composer.json"},
		`{"packages":[{"name":"v/a","version":"1.0.0","require":{"php":">=8","v/b":"^1"},"license":["MIT"]}],"packages-dev":[{"name":"v/b","version":"1.1.0"}]}`,
		`{"name":"x/y","require":{"v/a":"^1"},"require-dev":{"v/b":"1.1.0"}}`)
}
