package packages

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockBazel reads what Bazel projects say: MODULE.bazel and MODULE.bazel.lock (bazel.build/external/module), WORKSPACE
// files, and the maven_install.json of rules_jvm_external. Of rules and macros it knows the common ones by name.
var lockBazel = Recogniser{
	Name: "bazel-lock", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return (isBazelManifest(p) || baseIs(p, "MODULE.bazel.lock") || strings.HasSuffix(p, "maven_install.json")) && inTree(p)
	},
	Read: func(f *File) (Facts, error) {
		switch {
		case baseIs(f.Path, "MODULE.bazel.lock"):
			return readBazelLock(f)
		case strings.HasSuffix(f.Path, "maven_install.json"):
			return readMavenInstall(f)
		}
		return readBazel(f)
	},
	Join: func(_ Context, all []Facts) Joined { return joinBazel(all) },
}

var bazelFamily = lockFamily{
	ecosystem: "bazel",
	purl: func(name, version string) string {
		if strings.Contains(name, ":") {
			return mavenPURL(name, version)
		}
		return purl.New("bazel", "", name, version)
	},
	// A module asks for the lowest version it can do with, and gets the highest that anybody asks for.
	exact:    func(rng string) string { return mavenExact(rng) },
	manifest: isBazelManifest,
}

func isBazelManifest(p string) bool {
	return baseIs(p, "MODULE.bazel", "WORKSPACE", "WORKSPACE.bazel", "WORKSPACE.bzlmod") || strings.HasSuffix(p, ".MODULE.bazel")
}

// bazelReader gathers what the calls of one file say.
type bazelReader struct {
	l *lockFacts
	// loaded names the label that a rule or macro was loaded from.
	loaded map[string]string
	// versions are those that an override decides.
	versions map[string]string
}

func readBazel(f *File) (Facts, error) {
	b, err := scriptBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	l.project(here, "bazel")
	r := bazelReader{l: l, loaded: map[string]string{}, versions: map[string]string{}}
	if err := readStarlark(stripBOM(b), r.call); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	p := l.project(here, "bazel")
	for i := range p.Depends {
		if v := r.versions[p.Depends[i].Name]; v != "" {
			p.Depends[i].Range = v
		}
	}
	if strings.HasSuffix(f.Path, ".MODULE.bazel") && len(l.Packages) == 1 && len(p.Depends) == 0 {
		return Facts{}, nil
	}
	return l.Facts, nil
}

func (r *bazelReader) call(c *starCall, vars map[string]starValue) {
	if c.callee == "maybe" && len(c.args) > 0 && c.args[0].kind == starName {
		c.callee, c.args = c.args[0].text, c.args[1:]
	}
	callee := c.callee
	if object, method, ok := strings.Cut(callee, "."); ok {
		r.tag(c, vars[object], object, method)
		return
	}
	switch callee {
	case "load":
		r.load(c)
	case "module", "workspace":
		p := r.l.project(here, "bazel")
		p.Name, p.Version = cmp.Or(p.Name, c.text("name")), cmp.Or(p.Version, c.text("version"))
	case "bazel_dep":
		r.asks(c.text("name"), c.text("version"), bazelScope(c))
	case "single_version_override":
		if name := c.text("module_name"); name != "" {
			r.versions[name] = c.text("version")
		}
	case "http_archive", "http_file", "http_jar", "new_http_archive", "archive_override":
		r.archive(c)
	case "git_repository", "new_git_repository", "git_override":
		r.repository(c)
	case "maven_install":
		if strings.Contains(r.loaded[callee], "rules_jvm_external") {
			r.artifacts(c, "")
		}
	case "maven_jar", "jvm_maven_import_external", "java_import_external":
		r.artifact(c.text("artifact"), "")
	case "go_repository":
		r.goModule(c)
	}
}

func bazelScope(c *starCall) seaworthy.Scope {
	if c.named["dev_dependency"].text == "True" {
		return seaworthy.Development
	}
	return ""
}

// load remembers where rules come from: load("label", "rule", other = "rule").
func (r *bazelReader) load(c *starCall) {
	if len(c.args) == 0 || c.args[0].kind != starString {
		return
	}
	for _, name := range c.args[1:] {
		r.loaded[name.text] = c.args[0].text
	}
}

func (r *bazelReader) asks(name, version string, scope seaworthy.Scope) {
	if name == "" {
		return
	}
	p := r.l.project(here, "bazel")
	p.Depends = append(p.Depends, seaworthy.Dependency{Name: name, Range: version, Scope: scope})
}

// tag reads what a module extension is asked for. The one that is known is rules_jvm_external's maven.
func (r *bazelReader) tag(c *starCall, extension starValue, object, method string) {
	is := func(label, name string) bool {
		return extension.kind == starResult && extension.text == "use_extension" && len(extension.list) > 1 &&
			strings.Contains(extension.list[0].text, label) && extension.list[1].text == name
	}
	switch {
	case is("rules_jvm_external", "maven") && method == "install":
		r.artifacts(c, bazelScope(c))
	case is("rules_jvm_external", "maven") && method == "artifact",
		object == "maven" && method == "artifact" && strings.Contains(r.loaded["maven"], "rules_jvm_external"):
		r.mavenArtifact(c)
	case is("gazelle", "go_deps") && method == "module":
		r.goModule(c)
	}
}

// mavenArtifact reads maven.artifact(group, artifact, version, testonly).
func (r *bazelReader) mavenArtifact(c *starCall) {
	part := func(at int, name string) string {
		if at < len(c.args) && c.args[at].kind == starString {
			return c.args[at].text
		}
		return c.text(name)
	}
	scope := bazelScope(c)
	if c.named["testonly"].text == "True" {
		scope = seaworthy.Test
	}
	group, artifact := part(0, "group"), part(1, "artifact")
	if group != "" && artifact != "" {
		r.asks(group+":"+artifact, part(2, "version"), scope)
	}
}

func (r *bazelReader) artifacts(c *starCall, scope seaworthy.Scope) {
	for _, s := range c.texts("artifacts") {
		r.artifact(s, scope)
	}
}

// artifact reads group:artifact[:packaging[:classifier]][:version].
func (r *bazelReader) artifact(s string, scope seaworthy.Scope) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 5 || parts[0] == "" || parts[1] == "" {
		return
	}
	version := ""
	if len(parts) > 2 {
		version = parts[len(parts)-1]
	}
	r.asks(parts[0]+":"+parts[1], version, scope)
}

// archive reads a file that is fetched from an address and checked against a hash.
func (r *bazelReader) archive(c *starCall) {
	name := cmp.Or(c.text("name"), c.text("module_name"))
	var address string
	for _, u := range append(c.texts("url"), c.texts("urls")...) {
		u = cleanDownload(u)
		if address == "" || strings.HasPrefix(u, "https://github.com/") { // others are mirrors of it
			address = cmp.Or(u, address)
		}
	}
	if name == "" || address == "" {
		return
	}
	p := seaworthy.Package{Ecosystem: "generic", Name: name, Download: address, Direct: true}
	hashes := subresource(c.text("integrity"))
	if d, err := seaworthy.NewDigest("sha256", c.text("sha256")); err == nil {
		hashes = []seaworthy.Digest{d}
	}
	setHashes(&p, hashes)
	if owner, repository, version, ok := githubArchive(address); ok {
		p.Ecosystem, p.Name, p.Version = "github", owner+"/"+repository, version
		p.PURL = purl.New("github", owner, repository, version)
		p.Properties = []seaworthy.Property{{Name: "repository", Value: name}}
	} else {
		checksum := ""
		if len(hashes) > 0 {
			checksum = string(hashes[0])
		}
		p.PURL = purl.New("generic", "", name, "", "download_url", address, "checksum", checksum)
	}
	r.fetched(c, p)
}

// fetched adds something with an address of its own. An override stands in for the module it names.
func (r *bazelReader) fetched(c *starCall, p seaworthy.Package) {
	p.Ref = cmp.Or(p.PURL, p.Download)
	r.l.add(p)
	if module := c.text("module_name"); module != "" {
		r.l.resolves(module+"@", p.Ref)
		r.l.resolves(module, p.Ref)
		return
	}
	r.l.dependsOn(here, p.Ref, "")
}

// githubArchive takes the addresses of archives and release files apart.
func githubArchive(address string) (owner, repository, version string, ok bool) {
	rest, ok := strings.CutPrefix(address, "https://github.com/")
	parts := strings.Split(rest, "/")
	if !ok || len(parts) < 4 || parts[0] == "" || parts[1] == "" {
		return "", "", "", false
	}
	switch {
	case parts[2] == "archive":
		version = strings.TrimPrefix(strings.TrimPrefix(strings.Join(parts[3:], "/"), "refs/tags/"), "refs/heads/")
		for _, suffix := range [...]string{".zip", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2"} {
			version = strings.TrimSuffix(version, suffix)
		}
	case parts[2] == "releases" && parts[3] == "download" && len(parts) > 4:
		version = parts[4]
	}
	return parts[0], strings.TrimSuffix(parts[1], ".git"), version, version != ""
}

func (r *bazelReader) repository(c *starCall) {
	remote, commit := cleanDownload(c.text("remote")), cmp.Or(c.text("commit"), c.text("tag"), c.text("branch"))
	name := cmp.Or(c.text("name"), c.text("module_name"))
	if remote == "" || name == "" {
		return
	}
	p := seaworthy.Package{Ecosystem: "generic", Name: name, Version: cmp.Or(c.text("tag"), commit), Direct: true}
	p.Download = vcsURL(remote, commit)
	rest, github := strings.CutPrefix(strings.TrimSuffix(strings.TrimSuffix(remote, "/"), ".git"), "https://github.com/")
	owner, repository, _ := strings.Cut(rest, "/")
	if github && repository != "" && !strings.Contains(repository, "/") {
		p.Ecosystem, p.Name = "github", owner+"/"+repository
		p.PURL = purl.New("github", owner, repository, p.Version)
		p.Properties = []seaworthy.Property{{Name: "repository", Value: name}}
	} else {
		p.PURL = purl.New("generic", "", name, p.Version, "vcs_url", p.Download)
	}
	r.fetched(c, p)
}

// goModule reads Gazelle's go_repository and go_deps.module.
func (r *bazelReader) goModule(c *starCall) {
	module := cmp.Or(c.text("importpath"), c.text("path"))
	if module == "" {
		return
	}
	p := seaworthy.Package{Ecosystem: "golang", Name: module, Direct: true}
	p.Version = cmp.Or(c.text("version"), c.text("tag"), c.text("commit"))
	p.PURL = purl.Golang(module, p.Version)
	if r.l.has(cmp.Or(p.PURL, module)) {
		return
	}
	r.fetched(c, p)
}

// joinBazel also finds out what of a maven_install.json is asked for directly: that is said by the MODULE.bazel or
// WORKSPACE in its own directory or the nearest above.
func joinBazel(all []Facts) Joined {
	asks := map[string]map[string]seaworthy.Scope{} // by directory: what is asked for
	for i := range all {
		if !isBazelManifest(all[i].Path) || len(all[i].Packages) == 0 {
			continue
		}
		dir := path.Dir(all[i].Path)
		if asks[dir] == nil {
			asks[dir] = map[string]seaworthy.Scope{}
		}
		for _, d := range all[i].Packages[0].Depends {
			if old, ok := asks[dir][d.Name]; !ok || old != "" {
				asks[dir][d.Name] = d.Scope
			}
		}
	}
	all = slices.Clone(all)
	for i := range all {
		if !strings.HasSuffix(all[i].Path, "maven_install.json") {
			continue
		}
		up := here
		for dir := path.Dir(all[i].Path); ; dir, up = path.Dir(dir), path.Join(up, "..") {
			if wanted := asks[dir]; wanted != nil {
				all[i] = mavenInstallOf(all[i], up, wanted)
				break
			}
			if dir == here || dir == "/" {
				break
			}
		}
	}
	joined := bazelFamily.join(all)
	for i := range joined.Packages {
		if p := &joined.Packages[i]; p.Role != seaworthy.Application && p.Ecosystem == "bazel" && strings.Contains(p.Name, ":") {
			p.Ecosystem = "maven"
		}
	}
	return joined
}

// mavenInstallOf returns a copy of the Facts of a maven_install.json that knows the project it is for, which is in
// the directory up of it.
func mavenInstallOf(f Facts, up string, wanted map[string]seaworthy.Scope) Facts {
	f.Packages = append(slices.Clip(f.Packages), seaworthy.Package{Ref: up, Role: seaworthy.Application, Ecosystem: "bazel"})
	f.Relations = slices.Clip(f.Relations)
	for i := range f.Packages {
		p := &f.Packages[i]
		if scope, ok := wanted[p.Name]; ok && p.Role != seaworthy.Application {
			f.Relations = append(f.Relations, seaworthy.Relation{From: up, Type: seaworthy.DependsOn, To: p.Ref, Scope: scope})
		}
	}
	return f
}
