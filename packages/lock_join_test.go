package packages

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// tree lets one recogniser read files given as path and content, joins them, and checks what must always hold.
func tree(t *testing.T, r *Recogniser, files ...string) Joined {
	t.Helper()
	var all []Facts
	for i := 0; i+1 < len(files); i += 2 {
		if !r.Wants(files[i], int64(len(files[i+1])), 0o644) {
			t.Fatalf("%s does not want %q", r.Name, files[i])
		}
		facts, err := readAs(r, files[i], []byte(files[i+1]))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, facts)
	}
	slices.SortFunc(all, func(a, b Facts) int { return strings.Compare(a.Path, b.Path) })
	first := r.Join(Context{}, all)
	checkJoined(t, first)
	if again := r.Join(Context{}, all); fmt.Sprint(first) != fmt.Sprint(again) {
		t.Errorf("joining twice gives\n%v\nand then\n%v", first, again)
	}
	return first
}

// lines writes packages as "name version scope direct?" and relations as "from -> to scope", without what their Refs
// share.
func lines(j Joined) []string {
	var out []string
	names := map[string]string{}
	for _, p := range j.Packages {
		name := strings.TrimSpace(p.Name + " " + p.Version)
		names[p.Ref] = name
		line := name
		if p.Role == seaworthy.Application {
			line += " project"
		}
		if p.Scope != "" {
			line += " " + string(p.Scope)
		}
		if p.Direct {
			line += " direct"
		}
		if r := p.Property("range"); r != "" {
			line += " [" + r + "]"
		}
		out = append(out, line)
	}
	for _, r := range j.Relations {
		out = append(out, strings.TrimSpace(names[r.From]+" -> "+names[r.To]+" "+string(r.Scope)))
	}
	slices.Sort(out)
	return out
}

// TestLockTrees is the table of small trees: what their files say together.
func TestLockTrees(t *testing.T) {
	for _, test := range []struct {
		name   string
		reader *Recogniser
		files  []string
		want   []string
	}{
		{"npm: node_modules decide which version", &lockNPM, []string{
			"web/package.json", `{"name":"web","version":"1.0.0","dependencies":{"a":"^1","b":"^2"},"devDependencies":{"d":"*"}}`,
			"web/package-lock.json", `{"name":"web","lockfileVersion":3,"packages":{
				"":{"name":"web","version":"1.0.0","dependencies":{"a":"^1","b":"^2"},"devDependencies":{"d":"*"}},
				"node_modules/a":{"version":"1.0.0","dependencies":{"b":"^1"}},
				"node_modules/a/node_modules/b":{"version":"1.5.0"},
				"node_modules/b":{"version":"2.0.0","peerDependencies":{"a":"*"}},
				"node_modules/d":{"version":"3.0.0","dev":true,"dependencies":{"b":"^2"}}}}`,
		}, []string{
			"a 1.0.0 -> b 1.5.0", "a 1.0.0 direct", "b 1.5.0", "b 2.0.0 -> a 1.0.0 provided", "b 2.0.0 direct",
			"d 3.0.0 -> b 2.0.0", "d 3.0.0 development direct",
			"web 1.0.0 -> a 1.0.0", "web 1.0.0 -> b 2.0.0", "web 1.0.0 -> d 3.0.0 development", "web 1.0.0 project",
		}},
		{"npm: no lock file", &lockNPM, []string{
			"package.json", `{"name":"x","dependencies":{"a":"^1","b":"2.0.0"},"optionalDependencies":{"c":"~3"}}`,
		}, []string{
			"a direct [^1]", "b 2.0.0 direct", "c optional direct [~3]", "x -> a", "x -> b 2.0.0", "x -> c optional", "x project",
		}},
		{"yarn: a workspace and its member", &lockNPM, []string{
			"package.json", `{"name":"root","private":true,"workspaces":["packages/*"],"devDependencies":{"t":"^1.0.0"}}`,
			"packages/p/package.json", `{"name":"p","version":"0.1.0","dependencies":{"a":"^1.0.0"}}`,
			"yarn.lock", "# yarn lockfile v1\n\na@^1.0.0:\n  version \"1.2.0\"\n  dependencies:\n    b \"^1.0.0\"\n\nb@^1.0.0:\n  version \"1.0.5\"\n\nt@^1.0.0:\n  version \"1.0.0\"\n  dependencies:\n    b \"^1.0.0\"\n",
		}, []string{
			"a 1.2.0 -> b 1.0.5", "a 1.2.0 direct", "b 1.0.5", "p 0.1.0 -> a 1.2.0", "p 0.1.0 project",
			"root -> t 1.0.0 development", "root project", "t 1.0.0 -> b 1.0.5", "t 1.0.0 development direct",
		}},
		{"pnpm: importers and snapshots", &lockNPM, []string{
			"package.json", `{"name":"root","dependencies":{"a":"^1.0.0"}}`,
			"pnpm-lock.yaml", "lockfileVersion: '9.0'\nimporters:\n  .:\n    dependencies:\n      a: {specifier: ^1.0.0, version: 1.0.0(b@2.0.0)}\n    devDependencies:\n      w: {specifier: 'workspace:*', version: 'link:w'}\n  w:\n    dependencies:\n      b: {specifier: ^2, version: 2.0.0}\npackages:\n  a@1.0.0:\n    resolution: {integrity: sha512-AA==}\n  b@2.0.0: {}\nsnapshots:\n  a@1.0.0(b@2.0.0):\n    dependencies:\n      b: 2.0.0\n  b@2.0.0: {}\n",
			"w/package.json", `{"name":"w","version":"7.0.0"}`,
		}, []string{
			"a 1.0.0 -> b 2.0.0", "a 1.0.0 direct", "b 2.0.0 direct", "root -> a 1.0.0", "root -> w 7.0.0 development", "root project",
			"w 7.0.0 -> b 2.0.0", "w 7.0.0 project",
		}},
		{"poetry: groups come from pyproject.toml", &lockPython, []string{
			"poetry.lock", "[[package]]\nname = \"flask\"\nversion = \"2.0\"\n[package.dependencies]\nWerkzeug = \">=2\"\n[[package]]\nname = \"werkzeug\"\nversion = \"2.1\"\n[[package]]\nname = \"pytest\"\nversion = \"7.0\"\n",
			"pyproject.toml", "[tool.poetry]\nname = \"app\"\nversion = \"0.1\"\n[tool.poetry.dependencies]\npython = \"^3\"\nFlask = \"^2\"\n[tool.poetry.group.test.dependencies]\npytest = \"*\"\n",
		}, []string{
			"app 0.1 -> flask 2.0", "app 0.1 -> pytest 7.0 test", "app 0.1 project", "flask 2.0 -> werkzeug 2.1", "flask 2.0 direct",
			"pytest 7.0 test direct", "werkzeug 2.1",
		}},
		{"requirements: via says what is direct", &lockPython, []string{
			"svc/requirements.txt", "flask==2.0 \\\n    --hash=sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n    # via -r requirements.in\nwerkzeug==2.1\n    # via flask\nuvicorn[standard]>=0.1 ; python_version > \"3\"\n",
		}, []string{
			"flask 2.0 -> werkzeug 2.1", "flask 2.0 direct", "svc -> flask 2.0", "svc -> uvicorn", "svc project", "uvicorn direct [>=0.1]", "werkzeug 2.1",
		}},
		{"cargo: Cargo.toml says what for", &lockCargo, []string{
			"Cargo.toml", "[package]\nname = \"m\"\nversion = \"0.1.0\"\n[dependencies]\na = \"1\"\n[dev-dependencies]\nb = \"2\"\n",
			"Cargo.lock", "version = 4\n[[package]]\nname = \"m\"\nversion = \"0.1.0\"\ndependencies = [\"a\", \"b 2.0.0\"]\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\ndependencies = [\"b 1.0.0\"]\n[[package]]\nname = \"b\"\nversion = \"1.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n",
		}, []string{
			"a 1.0.0 -> b 1.0.0", "a 1.0.0 direct", "b 1.0.0", "b 2.0.0 development direct", "m 0.1.0 -> a 1.0.0",
			"m 0.1.0 -> b 2.0.0 development", "m 0.1.0 project",
		}},
		{"ruby: groups come from the Gemfile", &lockRuby, []string{
			"Gemfile", "source 'https://rubygems.org'\ngem 'rack', '~> 2.0'\ngroup :test do\n  gem 'rspec'\nend\n",
			"Gemfile.lock", "GEM\n  remote: https://rubygems.org/\n  specs:\n    rack (2.2.3)\n    rspec (3.0.0)\n      rspec-core (~> 3.0)\n    rspec-core (3.0.1)\n\nDEPENDENCIES\n  rack (~> 2.0)\n  rspec\n",
		}, []string{
			"Gemfile -> rack 2.2.3", "Gemfile -> rspec 3.0.0 test", "Gemfile project", "rack 2.2.3 direct", "rspec 3.0.0 -> rspec-core 3.0.1",
			"rspec 3.0.0 test direct", "rspec-core 3.0.1 test",
		}},
		{"maven: properties and managed versions of a parent in the tree", &lockMaven, []string{
			"app/pom.xml", `<project><parent><groupId>g</groupId><artifactId>parent</artifactId><version>1</version></parent><artifactId>app</artifactId><dependencies><dependency><groupId>x</groupId><artifactId>y</artifactId></dependency><dependency><groupId>x</groupId><artifactId>z</artifactId><version>${z}</version><scope>test</scope></dependency><dependency><groupId>x</groupId><artifactId>unknown</artifactId></dependency></dependencies></project>`,
			"pom.xml", `<project><groupId>g</groupId><artifactId>parent</artifactId><version>1</version><properties><y>2.0</y><z>${y}.1</z></properties><dependencyManagement><dependencies><dependency><groupId>x</groupId><artifactId>y</artifactId><version>${y}</version><scope>provided</scope></dependency></dependencies></dependencyManagement></project>`,
		}, []string{
			"g:app 1 -> x:unknown", "g:app 1 -> x:y 2.0 provided", "g:app 1 -> x:z 2.0.1 test", "g:app 1 project", "g:parent 1 project",
			"x:unknown direct [unknown: a parent or imported pom outside of the tree sets it]", "x:y 2.0 provided direct", "x:z 2.0.1 test direct",
		}},
		{"go: replaced, indirect, tools", &lockGo, []string{
			"go.mod", "module example.com/m\n\nrequire (\n\texample.com/a v1.0.0\n\texample.com/t v0.1.0 // indirect\n\texample.com/i v0.2.0 // indirect\n)\n\ngo 1.24\n\ntool example.com/t/cmd/x\n\nreplace example.com/a => example.com/fork v1.0.1\n",
			"go.sum", "example.com/fork v1.0.1 h1:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
		}, []string{
			"example.com/fork v1.0.1 direct", "example.com/i v0.2.0", "example.com/m -> example.com/fork v1.0.1",
			"example.com/m -> example.com/t v0.1.0 build", "example.com/m -> stdlib 1.24", "example.com/m project",
			"example.com/t v0.1.0 build direct", "stdlib 1.24 direct",
		}},
		{"terraform: the lock says which", &lockTerraform, []string{
			".terraform.lock.hcl", "provider \"registry.terraform.io/hashicorp/aws\" {\n  version = \"5.1.0\"\n  hashes = [\n    \"zh:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\",\n  ]\n}\n",
			"main.tf", "terraform {\n  required_providers {\n    aws = {\n      source  = \"hashicorp/aws\"\n      version = \"~> 5.0\"\n    }\n  }\n}\n\nmodule \"vpc\" {\n  source  = \"terraform-aws-modules/vpc/aws\"\n  version = \"5.0.0\"\n}\n",
		}, []string{
			"hashicorp/aws 5.1.0 direct", "main.tf -> hashicorp/aws 5.1.0", "main.tf -> terraform-aws-modules/vpc/aws 5.0.0",
			"main.tf project", "terraform-aws-modules/vpc/aws 5.0.0 direct",
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := lines(tree(t, test.reader, test.files...)); !slices.Equal(got, test.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
			}
		})
	}
}

// TestLockMalformed checks that damage is an error that names the file, with the code for it.
func TestLockMalformed(t *testing.T) {
	deep := strings.Repeat(`{"dependencies":{"a":`, 200) + "{}" + strings.Repeat("}}", 200)
	for _, test := range []struct {
		reader        *Recogniser
		path, content string
		code          seaworthy.Code
	}{
		{&lockNPM, "package-lock.json", `{"packages":{"a":`, seaworthy.Invalid},
		{&lockNPM, "package-lock.json", `[]`, seaworthy.Invalid},
		{&lockNPM, "package-lock.json", deep, seaworthy.TooLarge},
		{&lockNPM, "package.json", `{"name":`, seaworthy.Invalid},
		{&lockNPM, "yarn.lock", "this is not a lock file\n", seaworthy.Invalid},
		{&lockNPM, "pnpm-lock.yaml", "a: [", seaworthy.Invalid},
		{&lockPython, "poetry.lock", "[[package]\n", seaworthy.Invalid},
		{&lockPython, "poetry.lock", "a = " + strings.Repeat("[", 1000), seaworthy.TooLarge},
		{&lockPython, "Pipfile.lock", "{", seaworthy.Invalid},
		{&lockPython, "requirements.txt", "a\x00b", seaworthy.Invalid},
		{&lockRuby, "Gemfile.lock", "nothing of the kind\n", seaworthy.Invalid},
		{&lockGo, "go.mod", "module (\n", seaworthy.Invalid},
		{&lockGo, "go.sum", "a b\n", seaworthy.Invalid},
		{&lockCargo, "Cargo.lock", "package = 1", seaworthy.Invalid},
		{&lockMaven, "pom.xml", "<project><dependencies>", seaworthy.Invalid},
		{&lockTerraform, "main.tf", "a {", seaworthy.Invalid},
		{&lockTerraform, "main.tf", strings.Repeat("a {", 100), seaworthy.TooLarge},
	} {
		_, err := readAs(test.reader, test.path, []byte(test.content))
		if got := seaworthy.CodeOf(err); got != test.code || !strings.Contains(fmt.Sprint(err), test.path) {
			t.Errorf("%s %.40q: %v (%s), want %s and the file's name", test.path, test.content, err, got, test.code)
		}
	}
}

// TestLockSecrets checks that what a URL of a lock file carries for its user alone goes no further.
func TestLockSecrets(t *testing.T) {
	for in, want := range map[string]string{
		"https://user:secret@npm.example/a/-/a-1.tgz?token=secret": "https://npm.example/a/-/a-1.tgz",
		"git+ssh://git@github.com/o/r.git":                         "git+ssh://git@github.com/o/r.git",
		"git+https://x-token:secret@h.example/r.git#abc":           "git+https://h.example/r.git#abc",
		"file:../a": "",
	} {
		if got := cleanDownload(in); got != want {
			t.Errorf("%q gives %q, want %q", in, got, want)
		}
	}
}

// TestLockFound is what fuzzing found: packages and projects that came out with the same Ref.
func TestLockFound(t *testing.T) {
	tree(t, &lockNPM, "package-lock.json", `{"packages":{"node_modules/w":{},"":{"name":"w"}}}`)
	tree(t, &lockPython, "pyproject.toml", "[project]\nname = \"A\"\ndependencies = [\"A !0\"]\n")
	tree(t, &lockCargo, "Cargo.lock", "[[package]]\nname=\"0\"\n[[package]]\nname=\"0\"\nsource=\"0\"\n")
}
