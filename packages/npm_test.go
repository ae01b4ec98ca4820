package packages

import "testing"

func pkgJSON(name, version, more string) string {
	return `{"name":"` + name + `","version":"` + version + `"` + more + `}`
}

var npmTree1 = map[string]string{
	"app/package.json":                                       pkgJSON("app", "1.0.0", `,"license":"MIT","dependencies":{"a":"^1","gone":"1"},"devDependencies":{"@s/d":"1"},"workspaces":["packages/*"]`),
	"app/packages/w/package.json":                            pkgJSON("w", "2.0.0", `,"dependencies":{"b":"*"}`),
	"app/test/fixture/package.json":                          pkgJSON("fixture", "0.0.1", ""),
	"app/node_modules/.package-lock.json":                    `{"packages":{"node_modules/a":{"version":"1.1.0","resolved":"https://registry.npmjs.org/a/-/a-1.1.0.tgz","integrity":"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="},"node_modules/@s/d":{"dev":true},"packages/w":{"version":"2.0.0"},"node_modules/w":{"resolved":"packages/w","link":true}}}`,
	"app/node_modules/a/package.json":                        "\xef\xbb\xbf" + pkgJSON("a", "1.1.0", `,"licenses":[{"type":"MIT"},{"type":"Apache-2.0"}],"author":"Ann <ann@example.org> (https://example.org)","repository":"x/a","dependencies":{"b":"^2","w":"2"},"optionalDependencies":{"o":"1"},"peerDependencies":{"@s/d":"*"},"peerDependenciesMeta":{"@s/d":{"optional":true}},"name":"a"`),
	"app/node_modules/a/dist/esm/package.json":               `{"type":"module"}`,
	"app/node_modules/a/bench/package.json":                  pkgJSON("bench", "1.0.0", ""),
	"app/node_modules/a/node_modules/b/package.json":         pkgJSON("b", "2.0.0", ""),
	"app/node_modules/a/test/x/node_modules/f/package.json":  pkgJSON("f", "9.9.9", ""),
	"app/node_modules/b/package.json":                        pkgJSON("b", "1.0.0", `,"license":{"type":"ISC"}`),
	"app/node_modules/@s/d/package.json":                     pkgJSON("@s/d", "3.0.0", ""),
	"app/node_modules/.pnpm/p@1/node_modules/p/package.json": pkgJSON("p", "1.0.0", ""),
	"app/node_modules/bad/package.json":                      `{"name":"bad",`,
	"usr/share/nodejs/q/package.json":                        pkgJSON("q", "4.0.0", `,"dependencies":{"r":"1"}`),
	"usr/lib/x86_64-linux-gnu/nodejs/r/package.json":         pkgJSON("r", "5.0.0", ""),
	"usr/share/nodejs/q/bin/package.json":                    pkgJSON("bin", "1.0.0", ""),
	"usr/share/doc/node-q/package.json":                      pkgJSON("q", "4.0.0", ""),
}

func TestNPM(t *testing.T) {
	j := installed(npm, npmTree1)
	same(t, "packages", purlsAt(j), []string{
		"pkg:npm/%40s/d@3.0.0 app/node_modules/@s/d/package.json",
		"pkg:npm/a@1.1.0 app/node_modules/a/package.json",
		"pkg:npm/app@1.0.0 app/package.json",
		"pkg:npm/b@1.0.0 app/node_modules/b/package.json",
		"pkg:npm/b@2.0.0 app/node_modules/a/node_modules/b/package.json",
		"pkg:npm/p@1.0.0 app/node_modules/.pnpm/p@1/node_modules/p/package.json",
		"pkg:npm/q@4.0.0 usr/share/nodejs/q/package.json",
		"pkg:npm/r@5.0.0 usr/lib/x86_64-linux-gnu/nodejs/r/package.json",
		"pkg:npm/w@2.0.0 app/packages/w/package.json",
	})
	same(t, "edges", edges(j), []string{
		"pkg:npm/a@1.1.0 dependsOn pkg:npm/%40s/d@3.0.0 optional",
		"pkg:npm/a@1.1.0 dependsOn pkg:npm/b@2.0.0",
		"pkg:npm/a@1.1.0 dependsOn pkg:npm/w@2.0.0",
		"pkg:npm/app@1.0.0 dependsOn pkg:npm/%40s/d@3.0.0 development",
		"pkg:npm/app@1.0.0 dependsOn pkg:npm/a@1.1.0",
		"pkg:npm/q@4.0.0 dependsOn pkg:npm/r@5.0.0",
		"pkg:npm/w@2.0.0 dependsOn pkg:npm/b@1.0.0",
	})
	if len(j.Problems) != 1 || j.Problems[0].Where != "app/node_modules/bad/package.json" {
		t.Errorf("problems: %+v", j.Problems)
	}
	a := one(t, j, "pkg:npm/a@1.1.0")
	if a.Licences.Declared != "MIT OR Apache-2.0" || a.Originator.Name != "Ann" || a.Originator.Email != "ann@example.org" ||
		a.Originator.URL != "https://example.org" || a.HashOf != "artifact" || len(a.Hashes) != 1 || a.Hashes[0].Algorithm() != "sha512" ||
		a.Download != "https://registry.npmjs.org/a/-/a-1.1.0.tgz" || !a.Direct || a.Property("npm:repository") != "git+https://github.com/x/a.git" {
		t.Errorf("a: %+v", a)
	}
	if d := one(t, j, "pkg:npm/%40s/d@3.0.0"); d.Scope != "development" {
		t.Errorf("d: scope %q", d.Scope)
	}
	if app := one(t, j, "pkg:npm/app@1.0.0"); app.Role != "application" || app.Property(npmWorkspace) != "" {
		t.Errorf("app: %+v", app)
	}
}

func FuzzNPM(f *testing.F) {
	var seeds []string
	for _, s := range npmTree1 {
		seeds = append(seeds, s)
	}
	fuzzRead(f, npm, []string{"app/package.json", "app/node_modules/x/package.json", "app/node_modules/.package-lock.json"}, seeds...)
}

func FuzzNPMPlace(f *testing.F) {
	for p := range npmTree1 {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		npm.Wants(p, 1, 0)
		npmPlace(p)
		npmGlob("packages/**", p)
	})
}
