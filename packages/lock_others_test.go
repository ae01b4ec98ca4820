package packages

import (
	"slices"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

const bunLockFile = `{
  "lockfileVersion": 1,
  "workspaces": {
    "": {
      "name": "root", // the tree
      "dependencies": { "chalk": "^4.0.0", "has-flag": "^2.0.0", },
      "devDependencies": { "@types/bun": "latest" },
    },
    "packages/app": { "name": "@me/app", "version": "1.1.0", "dependencies": { "chalk": "^5" } },
  },
  "packages": {
    "@me/app": ["@me/app@workspace:packages/app"],
    "@me/app/chalk": ["chalk@5.3.0", "", {}, "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="],
    "@types/bun": ["@types/bun@1.1.0", "", { "peerDependencies": { "chalk": "*", "missing": "*" }, "optionalPeers": ["missing"] }, ""],
    "chalk": ["chalk@4.1.2", "", { "dependencies": { "has-flag": "^4.0.0", "x": "github:o/x" } }, "sha512-AA=="],
    "chalk/has-flag": ["has-flag@4.0.0", "", {}, ""],
    "has-flag": ["has-flag@2.0.0", "", {}, ""],
    "x": ["x@github:o/x#6609a88", {}, "o-x-6609a88"],
  },
}`

func TestBun(t *testing.T) {
	joined := wantTree(t, &lockNPM, []string{
		"@me/app 1.1.0 -> chalk 5.3.0", "@me/app 1.1.0 project", "@types/bun 1.1.0 -> chalk 4.1.2 provided", "@types/bun 1.1.0 development direct",
		"chalk 4.1.2 -> has-flag 4.0.0", "chalk 4.1.2 -> x", "chalk 4.1.2 direct", "chalk 5.3.0 direct",
		"has-flag 2.0.0 direct", "has-flag 4.0.0",
		"root -> @types/bun 1.1.0 development", "root -> chalk 4.1.2", "root -> has-flag 2.0.0", "root project", "x",
	}, "bun.lock", bunLockFile)
	for _, p := range joined.Packages {
		if p.Name == "x" && (!strings.Contains(p.PURL, "vcs_url=") || !strings.Contains(p.Download, "6609a88")) {
			t.Errorf("x comes from %q %q", p.PURL, p.Download)
		}
		if p.Name == "chalk" && p.Version == "5.3.0" && len(p.Hashes) != 1 {
			t.Errorf("chalk has hashes %v", p.Hashes)
		}
	}
}

func TestDeno(t *testing.T) {
	manifest := `{
  // the application
  "name": "@me/app", "version": "0.2.0",
  "imports": { "@std/path": "jsr:@std/path@^1.0.0", "chalk": "npm:chalk@5", "local": "./x.ts", },
}`
	v3 := `{"version": "3", "packages": {
		"specifiers": {"jsr:@std/path@^1.0.0": "jsr:@std/path@1.0.8", "jsr:@std/internal@^1": "jsr:@std/internal@1.0.5", "npm:chalk@5": "npm:chalk@5.3.0"},
		"jsr": {"@std/path@1.0.8": {"integrity": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "dependencies": ["jsr:@std/internal@^1"]}, "@std/internal@1.0.5": {"integrity": "00"}},
		"npm": {"chalk@5.3.0": {"integrity": "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==", "dependencies": {"ansi": "ansi@6.0.0"}}, "ansi@6.0.0": {"integrity": "", "dependencies": {}}}},
		"remote": {"https://deno.land/x/oak@v12.6.1/mod.ts": "00", "https://deno.land/x/oak@v12.6.1/router.ts": "00", "https://example.com/x.ts": "00"},
		"workspace": {"dependencies": ["jsr:@std/path@^1.0.0", "npm:chalk@5"]}}`
	v5 := `{"version": "5",
		"specifiers": {"jsr:@std/path@^1.0.0": "1.0.8", "jsr:@std/internal@^1": "1.0.5", "npm:chalk@5": "5.3.0_ansi@6.0.0"},
		"jsr": {"@std/path@1.0.8": {"integrity": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "dependencies": ["jsr:@std/internal"]}, "@std/internal@1.0.5": {"integrity": "00"}},
		"npm": {"chalk@5.3.0_ansi@6.0.0": {"integrity": "", "dependencies": ["ansi"]}, "ansi@6.0.0": {"integrity": ""}},
		"remote": {"https://deno.land/x/oak@v12.6.1/mod.ts": "00"},
		"workspace": {"dependencies": ["jsr:@std/path@^1.0.0", "npm:chalk@5"]}}`
	want := []string{
		"@me/app 0.2.0 -> @std/path 1.0.8", "@me/app 0.2.0 -> chalk 5.3.0", "@me/app 0.2.0 -> deno.land/x/oak v12.6.1", "@me/app 0.2.0 project",
		"@std/internal 1.0.5", "@std/path 1.0.8 -> @std/internal 1.0.5", "@std/path 1.0.8 direct", "ansi 6.0.0",
		"chalk 5.3.0 -> ansi 6.0.0", "chalk 5.3.0 direct", "deno.land/x/oak v12.6.1 direct",
	}
	for _, lock := range []string{v3, v5} {
		wantTree(t, &lockDeno, want, "deno.json", manifest, "deno.lock", lock)
	}
	joined := wantTree(t, &lockDeno, []string{
		"@me/app 0.2.0 -> @std/path", "@me/app 0.2.0 -> chalk", "@me/app 0.2.0 project", "@std/path direct [^1.0.0]", "chalk direct [5]",
	}, "deno.jsonc", manifest)
	if got := purlsOf(joined); !slices.Equal(got, []string{"pkg:jsr/%40std/path", "pkg:npm/chalk"}) {
		t.Errorf("unlocked: %q", got)
	}
}

func TestMix(t *testing.T) {
	joined := wantTree(t, &lockMix, []string{
		"credo 1.7.0 development direct", "mime 2.0.5", "my_app 0.1.0 -> credo 1.7.0 development", "my_app 0.1.0 -> other a9574ab75d6ed01e1288c453ae1d943d7a964595",
		"my_app 0.1.0 -> plug 1.15.0", "my_app 0.1.0 -> stream_data test", "my_app 0.1.0 project",
		"other a9574ab75d6ed01e1288c453ae1d943d7a964595 direct", "plug 1.15.0 -> mime 2.0.5", "plug 1.15.0 direct", "stream_data test direct [~> 0.6]",
	},
		"mix.exs", `defmodule MyApp.MixProject do
  use Mix.Project
  @version "0.1.0" # bumped by hand

  def project do
    [
      app: :my_app,
      version: @version,
      elixir: "~> 1.14",
      deps: deps()
    ]
  end

  def application, do: [extra_applications: [:logger], mod: {MyApp, []}]

  defp deps do
    [
      {:plug, "~> 1.15"},
      {:credo, "~> 1.7", only: [:dev, :test], runtime: false},
      {:stream_data, "~> 0.6", only: :test},
      {:other, git: "https://github.com/me/other.git", branch: "main"},
      {:sibling, in_umbrella: true}
    ]
  end

  defp aliases do
    [setup: [{:ok, "deps.get"}]]
  end
end
`,
		"mix.lock", `%{
  "credo": {:hex, :credo, "1.7.0", "6119", [:mix], [], "hexpm", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
  "mime": {:hex, :mime, "2.0.5", "dc34", [:mix], [], "hexpm", "da0d"},
  "other": {:git, "https://github.com/me/other.git", "a9574ab75d6ed01e1288c453ae1d943d7a964595", [branch: "main"]},
  "plug": {:hex, :plug, "1.15.0", "f40d", [:mix], [{:mime, "~> 1.0 or ~> 2.0", [hex: :mime, repo: "hexpm", optional: false]}, {:telemetry, "~> 0.4", [hex: :telemetry, repo: "hexpm", optional: true]}], "hexpm:me", "01ab"},
}
`)
	want := []string{
		"pkg:hex/credo@1.7.0", "pkg:hex/me/plug@1.15.0", "pkg:hex/mime@2.0.5",
		"pkg:hex/other@a9574ab75d6ed01e1288c453ae1d943d7a964595?vcs_url=git%2Bhttps:%2F%2Fgithub.com%2Fme%2Fother.git%40a9574ab75d6ed01e1288c453ae1d943d7a964595",
		"pkg:hex/stream_data",
	}
	if got := purlsOf(joined); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestPythonNewerLocks(t *testing.T) {
	project := "[project]\nname = \"app\"\nversion = \"1\"\ndependencies = [\"requests>=2\"]\n[dependency-groups]\ntest = [\"pytest\"]\n"
	want := []string{
		"app 1 -> pytest 8.0 test", "app 1 -> requests 2.31.0", "app 1 project", "idna 3.6", "pytest 8.0 test direct",
		"requests 2.31.0 -> idna 3.6", "requests 2.31.0 direct",
	}
	wantTree(t, &lockPython, want, "pyproject.toml", project, "pdm.lock", `[metadata]
groups = ["default", "test"]
lock_version = "4.4.1"
[[package]]
name = "idna"
version = "3.6"
groups = ["default"]
files = [{file = "idna-3.6-py3-none-any.whl", hash = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}]
[[package]]
name = "pytest"
version = "8.0"
groups = ["test"]
[[package]]
name = "requests"
version = "2.31.0"
groups = ["default"]
dependencies = ["idna<4,>=2.5"]
[[package]]
name = "requests"
version = "2.31.0"
extras = ["socks"]
groups = ["default"]
dependencies = ["requests==2.31.0"]
`)
	wantTree(t, &lockPython, want, "pyproject.toml", project, "pylock.toml", `lock-version = "1.0"
created-by = "x"
[[packages]]
name = "app"
directory = { path = ".", editable = true }
[[packages]]
name = "idna"
version = "3.6"
[[packages]]
name = "pytest"
version = "8.0"
marker = "'test' in dependency_groups"
[[packages]]
name = "requests"
version = "2.31.0"
dependencies = [{ name = "idna" }]
wheels = [{ url = "https://files.example/requests.whl", hashes = { sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" } }]
`)
	if !isPylock("a/pylock.dev.toml") || isPylock("pylock.a.b.toml") || isPylock("mypylock.toml") {
		t.Error("which files are pylock.toml")
	}
}

func TestGradleScripts(t *testing.T) {
	joined := wantTree(t, &lockGradle, []string{
		"app 3.0 -> com.google.guava:guava 33.0.0-jre", "app 3.0 -> com.h2database:h2 2.2.224 test", "app 3.0 -> org.a:b 1.2", "app 3.0 -> org.c:d 1.2.3 provided",
		"app 3.0 -> org.dynamic:x", "app 3.0 -> org.named:n 4", "app 3.0 -> org.slf4j:slf4j-api 2.0.9", "app 3.0 project",
		"com.android.application:com.android.application.gradle.plugin 8.1 build direct", "com.google.guava:guava 33.0.0-jre direct",
		"com.h2database:h2 2.2.224 test direct", "org.a:b 1.2 direct", "org.c:d 1.2.3 direct", "org.dynamic:x direct [1.+]",
		"org.jetbrains.kotlin.jvm:org.jetbrains.kotlin.jvm.gradle.plugin 1.9.0 build direct", "org.jetbrains.kotlin:kotlin-stdlib 1.9.0 direct",
		"org.named:n 4 direct", "org.slf4j:slf4j-api 2.0.9 direct", "org.unused:u 9 direct",
		"root -> com.android.application:com.android.application.gradle.plugin 8.1 build",
		"root -> org.jetbrains.kotlin.jvm:org.jetbrains.kotlin.jvm.gradle.plugin 1.9.0 build",
		"root -> org.jetbrains.kotlin:kotlin-stdlib 1.9.0", "root -> org.unused:u 9", "root project", "transitive:t 1",
	},
		"settings.gradle.kts", "rootProject.name = \"root\"\ninclude(\":app\")\n",
		"build.gradle.kts", `plugins {
    kotlin("jvm") version "1.9.0"
    alias(libs.plugins.android.application) apply false
    id("java")
}
val kotlinVersion = "1.9.0"
dependencies {
    implementation("org.jetbrains.kotlin:kotlin-stdlib:$kotlinVersion") // the language
}
`,
		"app/build.gradle", `/* app */
version = '3.0'
ext { dVersion = '1.2.3' }
dependencies {
    implementation libs.bundles.logging
    api(libs.guava) {
        exclude group: 'not.this', module: 'one'
    }
    implementation 'org.a:b:1.2', project(':lib')
    compileOnly "org.c:d:${dVersion}"
    testImplementation platform('com.h2database:h2:' + '')
    implementation group: 'org.named', name: 'n', version: '4'
    runtimeOnly 'org.dynamic:x:1.+'
    implementation project(':lib')
    implementation fileTree(dir: 'libs', include: ['*.jar'])
}
`,
		"app/gradle.lockfile", "com.google.guava:guava:33.0.0-jre=compileClasspath,runtimeClasspath\ncom.h2database:h2:2.2.224=testRuntimeClasspath\norg.c:d:1.2.3=compileClasspath\ntransitive:t:1=runtimeClasspath\nempty=\n",
		"gradle/libs.versions.toml", "[versions]\nslf4j = \"2.0.9\"\nandroid = { strictly = \"8.1\" }\n[libraries]\nguava = \"com.google.guava:guava:32.1.0-jre\"\nslf4j-api = { module = \"org.slf4j:slf4j-api\", version.ref = \"slf4j\" }\nunused = { group = \"org.unused\", name = \"u\", version = \"9\" }\n[bundles]\nlogging = [\"slf4j-api\"]\n[plugins]\nandroid-application = { id = \"com.android.application\", version.ref = \"android\" }\n")
	if slices.Contains(purlsOf(joined), "") {
		t.Error("a package has no purl")
	}
}

func TestNuGetCentral(t *testing.T) {
	props := `<Project>
  <PropertyGroup><ManagePackageVersionsCentrally>true</ManagePackageVersionsCentrally><LogVersion>3.1.1</LogVersion></PropertyGroup>
  <ItemGroup>
    <PackageVersion Include="Serilog" Version="$(LogVersion)" />
    <PackageVersion Include="Newtonsoft.Json" Version="13.0.3" />
    <PackageVersion Include="Unused" Version="1.0.0" />
    <GlobalPackageReference Include="Analyzers" Version="2.0.0" />
  </ItemGroup>
</Project>`
	wantTree(t, &lockNuGet, []string{
		"A -> Analyzers 2.0.0 development", "A -> Newtonsoft.Json 12.0.0", "A -> serilog 3.1.1", "A project",
		"Analyzers 2.0.0 development direct", "Newtonsoft.Json 12.0.0 direct", "serilog 3.1.1 direct",
	},
		"Directory.Packages.props", props,
		"src/A/A.csproj", `<Project Sdk="Microsoft.NET.Sdk"><ItemGroup><PackageReference Include="serilog" /><PackageReference Include="Newtonsoft.Json" VersionOverride="12.0.0" /></ItemGroup></Project>`)
	wantTree(t, &lockNuGet, []string{
		"Analyzers 2.0.0 development direct", "Directory.Packages.props -> Analyzers 2.0.0 development", "Directory.Packages.props -> Newtonsoft.Json 13.0.3",
		"Directory.Packages.props -> Serilog 3.1.1", "Directory.Packages.props -> Unused 1.0.0", "Directory.Packages.props project",
		"Newtonsoft.Json 13.0.3 direct", "Serilog 3.1.1 direct", "Unused 1.0.0 direct",
	}, "Directory.Packages.props", props)
}

// TestLockOthersMalformed checks that damage is an error, and what is nested too deep is one too.
func TestLockOthersMalformed(t *testing.T) {
	deep := strings.Repeat("[", 1000)
	for _, test := range []struct {
		reader        *Recogniser
		path, content string
	}{
		{&lockBazel, "MODULE.bazel", "module("},
		{&lockBazel, "MODULE.bazel", "module(name = 'a)\n"},
		{&lockBazel, "MODULE.bazel", "x = " + deep},
		{&lockBazel, "MODULE.bazel", "x = ]"},
		{&lockBazel, "MODULE.bazel.lock", "{"},
		{&lockBazel, "maven_install.json", "[]"},
		{&lockJulia, "Manifest.toml", "[["},
		{&lockNPM, "bun.lock", "{/*"},
		{&lockDeno, "deno.lock", "[]"},
		{&lockDeno, "deno.json", "{,}x"},
		{&lockMix, "mix.lock", "%{"},
		{&lockMix, "mix.lock", deep},
		{&lockMix, "mix.exs", "\"\"\""},
		{&lockPython, "pdm.lock", "[["},
		{&lockPython, "pylock.toml", "packages = 1"},
		{&lockGradle, "libs.versions.toml", "x"},
		{&lockNuGet, "Directory.Packages.props", "<a>"},
	} {
		if facts, err := readAs(test.reader, test.path, []byte(test.content)); err == nil {
			t.Errorf("%s %.20q: no error but %v", test.path, test.content, facts.Packages)
		}
	}
}

// TestScriptsHostile reads the largest scripts there may be, made to cost: time is linear and memory bounded.
func TestScriptsHostile(t *testing.T) {
	for _, test := range []struct {
		reader      *Recogniser
		path, piece string
	}{
		{&lockBazel, "MODULE.bazel", "a,"},
		{&lockBazel, "MODULE.bazel", "f(a='b')+"},
		{&lockBazel, "MODULE.bazel", "a='x'*9+a\na=a+a\n"},
		{&lockBazel, "MODULE.bazel", "a=['']+a\n"},
		{&lockMix, "mix.lock", "a "},
		{&lockMix, "mix.exs", "def deps [{:a,b: 1}]"},
		{&lockGradle, "build.gradle", "api 'a:b:${a}${a}'\na='${a}${a}'\n"},
		{&lockGradle, "build.gradle", "api libs.a,"},
		{&lockNPM, "bun.lock", "/**/,"},
	} {
		content := strings.Repeat(test.piece, maxScript/len(test.piece))
		facts, err := readAs(test.reader, test.path, []byte(content))
		if err == nil {
			test.reader.Join(Context{}, []Facts{facts})
		}
	}
	for _, r := range []*Recogniser{&lockBazel, &lockGradle, &lockMix} {
		name := map[*Recogniser]string{&lockBazel: "WORKSPACE", &lockGradle: "build.gradle", &lockMix: "mix.exs"}[r]
		if _, err := readAs(r, name, make([]byte, maxScript+1)); seaworthy.CodeOf(err) != seaworthy.TooLarge {
			t.Errorf("%s of more than %d bytes: %v", name, maxScript, err)
		}
	}
}

func FuzzLockBun(f *testing.F) {
	fuzzLock(f, &lockNPM, []string{"bun.lock"}, bunLockFile, "{\"packages\":{\"a/b\":[\"a@file:x\",{}],/*c*/\"a\":[\"a@root:\",{\"bin\":{}}],}}")
}

func FuzzLockDeno(f *testing.F) {
	fuzzLock(f, &lockDeno, []string{"deno.lock", "deno.json"},
		`{"version":"5","specifiers":{"jsr:@s/a@^1":"1.0.0","npm:b@2":"2.0.0_c@1.0.0"},"jsr":{"@s/a@1.0.0":{"integrity":"00","dependencies":["npm:b@2"]}},"npm":{"b@2.0.0_c@1.0.0":{"dependencies":["c"]},"c@1.0.0":{"optionalDependencies":["b"]}},"remote":{"https://deno.land/x/o@v1/m.ts":"0"},"workspace":{"dependencies":["jsr:@s/a@^1"],"members":{"w":{"packageJson":{"devDependencies":["npm:b@2"]}}}}}`,
		`{"version":"3","packages":{"specifiers":{"npm:b@2":"npm:b@2.0.0"},"npm":{"b@2.0.0":{"dependencies":{"b":"b@2.0.0"}}}}}`,
		`{"name":"@s/x","imports":{"a":"npm:@s/a@^1/sub","b":"jsr:b",},"workspace":["w"]}`)
}

func FuzzLockMix(f *testing.F) {
	fuzzLock(f, &lockMix, []string{"mix.lock", "mix.exs"},
		"%{\n  \"plug\": {:hex, :plug, \"1.11.1\", \"00\", [:mix], [{:mime, \"~> 1.0\", [hex: :mime, repo: \"hexpm\", optional: false]}], \"hexpm\", \"00\"},\n  \"m\" => {:git, \"https://h/m.git\", \"abc\", [tag: \"v1\"]},\n}\n",
		"defmodule A do\n  @version \"1.0.0\"\n  def project do\n    [app: :a, version: @version, deps: deps()]\n  end\n  defp deps do\n    [{:plug, \"~> 1.0\", only: [:dev]}, {:m, github: \"o/m\"}]\n  end\nend\n")
}

func FuzzLockPylock(f *testing.F) {
	fuzzLock(f, &lockPython, []string{"pdm.lock", "pylock.toml"},
		"[[package]]\nname = \"a\"\nversion = \"1\"\ngroups = [\"dev\"]\ndependencies = [\"b>=1; python_version > '3'\"]\n[[package]]\nname = \"b\"\ngit = \"https://h/b.git\"\nrevision = \"c\"\n",
		"lock-version = '1.0'\n[[packages]]\nname = 'a'\nversion = '1'\nmarker = \"'x' in extras\"\ndependencies = [{name = 'b'}]\n[[packages]]\nname = 'b'\nvcs = {url = 'https://h/b', commit-id = 'c'}\n[[packages]]\nname = 'p'\ndirectory = {path = '.'}\n")
}

func FuzzLockGradle(f *testing.F) {
	fuzzLock(f, &lockGradle, []string{"gradle.lockfile", "buildscript-gradle.lockfile", "build.gradle", "settings.gradle.kts", "gradle/libs.versions.toml"},
		"# made\ncom.a:b:1.0=compileClasspath,testRuntimeClasspath\nempty=annotationProcessor\nbroken\n",
		"plugins {\n  id 'x' version '1'\n  alias(libs.plugins.y)\n}\next.v = '2'\ndependencies {\n  implementation \"g:a:$v\"\n  testImplementation(platform(\"g:b:1@jar\"))\n  api group: 'g', name: 'c', version: '3'\n  kapt(libs.d.get())\n  implementation kotlin(\"stdlib\")\n}\n",
		"[versions]\nv = {strictly = \"1\"}\n[libraries]\na-b = {module = \"g:a\", version.ref = \"v\"}\nc = \"g:c:1\"\n[bundles]\nx = [\"a-b\", \"c\"]\n[plugins]\ny = \"id:1\"\n")
}

func FuzzLockSwift(f *testing.F) {
	fuzzLock(f, &lockSwift, []string{"Package.resolved"},
		`{"pins":[{"identity":"a","kind":"remoteSourceControl","location":"https://github.com/o/a.git","state":{"revision":"abc","version":"1.0.0"}},{"identity":"b","location":"git@github.com:o/b.git","state":{"branch":"main","revision":"def"}}],"version":2}`,
		`{"object":{"pins":[{"package":"A","repositoryURL":"https://github.com/o/a","state":{"branch":null,"revision":"abc","version":"1.0.0"}}]},"version":1}`)
}

func FuzzLockNuGetCentral(f *testing.F) {
	fuzzLock(f, &lockNuGet, []string{"Directory.Packages.props"},
		`<Project><PropertyGroup><V>1</V></PropertyGroup><ItemGroup><PackageVersion Include="A" Version="$(V)"/><GlobalPackageReference Include="B" Version="2"/><PackageReference Include="C"/></ItemGroup></Project>`)
}
