package packages

import (
	"bytes"
	"io/fs"
	"path"
	"slices"
	"sort"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// npm recognises installed Node.js packages.
//
// What is one follows from where Node.js looks (nodejs.org/api/modules.html, "Loading from node_modules
// folders"). A package.json that has a name and a version is
//
//   - an installed package, when its directory is M/name or M/@scope/name, M being a module directory: an
//     outermost node_modules (or Debian's usr/share/nodejs, usr/lib/nodejs, usr/lib/<triplet>/nodejs), or the
//     node_modules of another installed package, or one in pnpm's store M/.pnpm/x/node_modules;
//   - an application, when no module directory is above it, it is not in usr/share/doc, and it is not part of
//     another application's tree unless that names it as a workspace.
//
// All others (dist/esm/package.json, benchmarks and fixtures within a package's own files) are not installed.
var npm = Recogniser{
	Name:    "npm",
	Version: 1,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		if dir, ok := strings.CutSuffix(p, npmHiddenLock); ok {
			return dir == "" || dir[len(dir)-1] == '/'
		}
		dir, ok := strings.CutSuffix(p, "package.json")
		return ok && (dir == "" || dir[len(dir)-1] == '/') && npmPlace(dir) != npmNowhere
	},
	Read: readNPM,
	Join: joinNPM,
}

const (
	// npmHiddenLock is the file in which npm 7 and later remembers what it installed.
	npmHiddenLock = "node_modules/.package-lock.json"
	// maxPackageJSON is the largest package.json that is read: 16 MiB; the largest real ones are near 200 kB.
	maxPackageJSON = 16 << 20
	// maxNPMText is the longest text kept of one field, in bytes.
	maxNPMText = 4 << 10
	// maxNPMList is how many licences or workspace patterns of one package.json are kept.
	maxNPMList = 64
)

// npmKind is what the package.json of a directory stands for.
type npmKind uint8

const (
	npmNowhere npmKind = iota
	npmInstalled
	npmApplication
)

// npmPlace judges a directory ("" or ending in a slash) by its path alone.
func npmPlace(dir string) npmKind {
	rest := npmAfterModules(dir)
	if rest < 0 {
		if strings.HasPrefix(dir, "usr/share/doc/") {
			return npmNowhere
		}
		return npmApplication
	}
	for tail := dir[rest:]; ; {
		name, after, ok := strings.Cut(tail, "/")
		if !ok || name == "" {
			return npmNowhere
		}
		switch {
		case name == ".pnpm":
			_, after, ok = strings.Cut(after, "/")
		case name[0] == '@':
			name, after, ok = strings.Cut(after, "/")
			ok = ok && name != ""
		case name[0] == '.':
			ok = false
		}
		if !ok {
			return npmNowhere
		}
		if after == "" {
			return npmInstalled
		}
		if tail, ok = strings.CutPrefix(after, "node_modules/"); !ok {
			return npmNowhere
		}
	}
}

// npmAfterModules returns where the part of dir below its outermost module directory begins, or -1.
func npmAfterModules(dir string) int {
	const modules = "node_modules/"
	found := -1
	for from := 0; found < 0; {
		i := strings.Index(dir[from:], modules)
		if i < 0 {
			break
		}
		if i += from; i == 0 || dir[i-1] == '/' {
			found = i + len(modules)
		}
		from = i + len(modules)
	}
	if n := debianNodeRoot(dir); n > 0 && (found < 0 || n < found) {
		return n
	}
	return found
}

// debianNodeRoot returns the length of Debian's own module directory at the start of dir, or 0.
func debianNodeRoot(dir string) int {
	rest, ok := strings.CutPrefix(dir, "usr/")
	if !ok {
		return 0
	}
	if strings.HasPrefix(rest, "share/nodejs/") {
		return len("usr/share/nodejs/")
	}
	if rest, ok = strings.CutPrefix(rest, "lib/"); !ok {
		return 0
	}
	if strings.HasPrefix(rest, "nodejs/") {
		return len("usr/lib/nodejs/")
	}
	triplet, rest, _ := strings.Cut(rest, "/")
	if strings.Contains(triplet, "-linux-gnu") && strings.HasPrefix(rest, "nodejs/") {
		return len("usr/lib/") + len(triplet) + len("/nodejs/")
	}
	return 0
}

// packageJSON is what we read of a package.json (docs.npmjs.com, "package.json"). Everything may be of any
// type in files found in the wild, so values are looked at one by one.
type packageJSON struct {
	Name         jsontext.Value `json:"name"`
	Version      jsontext.Value `json:"version"`
	Description  jsontext.Value `json:"description"`
	Homepage     jsontext.Value `json:"homepage"`
	Repository   jsontext.Value `json:"repository"`
	Author       jsontext.Value `json:"author"`
	Maintainers  jsontext.Value `json:"maintainers"`
	Licence      jsontext.Value `json:"license"`
	Licences     jsontext.Value `json:"licenses"`
	Workspaces   jsontext.Value `json:"workspaces"`
	Dependencies jsontext.Value `json:"dependencies"`
	Optional     jsontext.Value `json:"optionalDependencies"`
	Peers        jsontext.Value `json:"peerDependencies"`
	PeersMeta    jsontext.Value `json:"peerDependenciesMeta"`
	Development  jsontext.Value `json:"devDependencies"`
	Bundled      jsontext.Value `json:"bundleDependencies"`
	BundledToo   jsontext.Value `json:"bundledDependencies"`
	Private      jsontext.Value `json:"private"`
}

// npmJSON reads JSON as npm does: the last of duplicate names wins, bad UTF-8 is replaced.
var npmJSON = json.JoinOptions(jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))

func readNPM(f *File) (Facts, error) {
	if f.Size > maxPackageJSON && !strings.HasSuffix(f.Path, ".package-lock.json") {
		return Facts{}, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d bytes", f.Path, maxPackageJSON)
	}
	b, err := f.Bytes()
	if err != nil {
		return Facts{}, err
	}
	b = bytes.TrimPrefix(b, []byte("\xef\xbb\xbf"))
	if strings.HasSuffix(f.Path, ".package-lock.json") {
		return readNPMHiddenLock(f.Path, b)
	}
	var j packageJSON
	if err := json.Unmarshal(b, &j, npmJSON); err != nil {
		return Facts{}, seaworthy.Errorf(seaworthy.Invalid, "reading %q: %w", f.Path, err)
	}
	name, version := npmText(j.Name), npmText(j.Version)
	if name == "" || version == "" {
		return Facts{}, nil
	}
	p := seaworthy.Package{
		Ecosystem: "npm", Name: name, Version: version, PURL: purl.NPM(name, version),
		Description: npmText(j.Description), Homepage: npmURL(j.Homepage), Originator: npmParty(j.Author),
		Licences: seaworthy.Licences{Declared: npmLicence(&j)},
	}
	if parties := npmParties(j.Maintainers); len(parties) > 0 {
		p.Supplier = parties[0]
	}
	if repository := npmRepository(j.Repository); repository != "" {
		p.Properties = append(p.Properties, seaworthy.Property{Name: "npm:repository", Value: repository})
	}
	p.Depends = npmDepends(&j)
	dir := strings.TrimSuffix(f.Path, "package.json")
	if npmPlace(dir) == npmApplication {
		p.Role, p.Direct = seaworthy.Application, true
		for _, glob := range npmWorkspaceGlobs(j.Workspaces) {
			p.Properties = append(p.Properties, seaworthy.Property{Name: npmWorkspace, Value: glob})
		}
	}
	return Facts{Packages: []seaworthy.Package{p}}, nil
}

// npmWorkspace is the property that tells Join which directories below an application are its own packages.
const npmWorkspace = "npm:workspace"

func npmDepends(j *packageJSON) []seaworthy.Dependency {
	var out []seaworthy.Dependency
	index := map[string]int{}
	add := func(v jsontext.Value, scope seaworthy.Scope) {
		npmMembers(v, func(name string, value jsontext.Value) {
			d := seaworthy.Dependency{Name: name, Range: npmText(value), Scope: scope}
			i, ok := index[name]
			switch {
			case !ok:
				index[name] = len(out)
				out = append(out, d)
			case scope == seaworthy.Optional: // overrides dependencies of the same name
				out[i] = d
			}
		})
	}
	add(j.Dependencies, "")
	add(j.Optional, seaworthy.Optional)
	add(j.Peers, seaworthy.Provided)
	npmMembers(j.PeersMeta, func(name string, value jsontext.Value) {
		if i, ok := index[name]; ok && out[i].Scope == seaworthy.Provided {
			var meta struct {
				Optional bool `json:"optional"`
			}
			if json.Unmarshal(value, &meta, npmJSON) == nil && meta.Optional {
				out[i].Scope = seaworthy.Optional
			}
		}
	})
	add(j.Development, seaworthy.Development)
	for _, v := range []jsontext.Value{j.Bundled, j.BundledToo} {
		npmElements(v, func(value jsontext.Value) {
			if name := npmText(value); name != "" {
				if _, ok := index[name]; !ok { // named here alone: any version will do
					index[name] = len(out)
					out = append(out, seaworthy.Dependency{Name: name})
				}
			}
		})
	}
	sort.Slice(out, func(i, k int) bool { return out[i].Name < out[k].Name })
	return out
}

func npmLicence(j *packageJSON) string {
	one := func(v jsontext.Value) string {
		if s := npmText(v); s != "" {
			return s
		}
		var o struct {
			Type jsontext.Value `json:"type"`
			Name jsontext.Value `json:"name"`
		}
		if v.Kind() != '{' || json.Unmarshal(v, &o, npmJSON) != nil {
			return ""
		}
		if s := npmText(o.Type); s != "" {
			return s
		}
		return npmText(o.Name)
	}
	many := func(v jsontext.Value) []string {
		var all []string
		npmElements(v, func(value jsontext.Value) {
			if s := one(value); s != "" && len(all) < maxNPMList {
				if s = licence.Normalise(s); !slices.Contains(all, s) {
					all = append(all, s)
				}
			}
		})
		return all
	}
	for _, v := range []jsontext.Value{j.Licence, j.Licences} {
		if s := one(v); s != "" {
			return licence.Normalise(s)
		}
		// The old array meant a choice between its licences.
		if all := many(v); len(all) == 1 {
			return all[0]
		} else if len(all) > 1 {
			for i, s := range all {
				if strings.Contains(s, " AND ") || strings.Contains(s, " OR ") {
					all[i] = "(" + s + ")"
				}
			}
			return strings.Join(all, " OR ")
		}
	}
	return ""
}

// npmParty reads a person, "Name <mail> (url)" or the object of that.
func npmParty(v jsontext.Value) seaworthy.Party {
	if v.Kind() == '{' {
		var o struct {
			Name  jsontext.Value `json:"name"`
			Email jsontext.Value `json:"email"`
			URL   jsontext.Value `json:"url"`
		}
		if json.Unmarshal(v, &o, npmJSON) != nil {
			return seaworthy.Party{}
		}
		return seaworthy.Party{Name: npmText(o.Name), Email: npmText(o.Email), URL: npmURL(o.URL)}
	}
	s := npmText(v)
	party := seaworthy.Party{Name: s}
	if i := strings.IndexAny(s, "<("); i >= 0 {
		party.Name = s[:i]
	}
	party.Name = strings.TrimSpace(party.Name)
	if _, rest, ok := strings.Cut(s, "<"); ok {
		party.Email, _, _ = strings.Cut(rest, ">")
	}
	if _, rest, ok := strings.Cut(s, "("); ok {
		party.URL, _, _ = strings.Cut(rest, ")")
	}
	return party
}

func npmParties(v jsontext.Value) []seaworthy.Party {
	var out []seaworthy.Party
	npmElements(v, func(value jsontext.Value) {
		if p := npmParty(value); p != (seaworthy.Party{}) {
			out = append(out, p)
		}
	})
	return out
}

func npmRepository(v jsontext.Value) string {
	s := npmText(v)
	if v.Kind() == '{' {
		var o struct {
			URL jsontext.Value `json:"url"`
		}
		if json.Unmarshal(v, &o, npmJSON) == nil {
			s = npmText(o.URL)
		}
	}
	if repository, _, ok := gitSource(s); ok {
		return repository
	}
	if owner, name, ok := strings.Cut(s, "/"); ok && owner != "" && name != "" && !strings.ContainsAny(s, ":@ ") && !strings.Contains(name, "/") {
		return "git+https://github.com/" + s + ".git"
	}
	return cleanDownload(s)
}

func npmURL(v jsontext.Value) string {
	if s := npmText(v); strings.HasPrefix(s, "http://") || strings.HasPrefix(s, "https://") {
		return s
	}
	return ""
}

func npmWorkspaceGlobs(v jsontext.Value) []string {
	if v.Kind() == '{' {
		var o struct {
			Packages jsontext.Value `json:"packages"`
		}
		if json.Unmarshal(v, &o, npmJSON) != nil {
			return nil
		}
		v = o.Packages
	}
	var out []string
	npmElements(v, func(value jsontext.Value) {
		if s := path.Clean(npmText(value)); s != "." && !strings.HasPrefix(s, "..") && s[0] != '/' && len(out) < maxNPMList {
			out = append(out, s)
		}
	})
	return out
}

// npmText returns a JSON string's text, and "" for any other value.
func npmText(v jsontext.Value) string {
	if v.Kind() != '"' {
		return ""
	}
	b, err := jsontext.AppendUnquote(nil, v)
	if err != nil && len(b) == 0 {
		return ""
	}
	s := strings.TrimSpace(string(b))
	if len(s) > maxNPMText {
		s = strings.ToValidUTF8(s[:maxNPMText], "")
	}
	return s
}

// npmMembers calls f for each member of a JSON object.
func npmMembers(v jsontext.Value, f func(name string, value jsontext.Value)) {
	if v.Kind() != '{' {
		return
	}
	d := jsontext.NewDecoder(bytes.NewReader(v), npmJSON)
	if _, err := d.ReadToken(); err != nil {
		return
	}
	for d.PeekKind() == '"' {
		t, err := d.ReadToken()
		if err != nil {
			return
		}
		name := t.String()
		value, err := d.ReadValue()
		if err != nil {
			return
		}
		f(name, value)
	}
}

// npmElements calls f for each element of a JSON array.
func npmElements(v jsontext.Value, f func(value jsontext.Value)) {
	if v.Kind() != '[' {
		return
	}
	d := jsontext.NewDecoder(bytes.NewReader(v), npmJSON)
	if _, err := d.ReadToken(); err != nil {
		return
	}
	for k := d.PeekKind(); k != ']' && k != 0; k = d.PeekKind() {
		value, err := d.ReadValue()
		if err != nil {
			return
		}
		f(value)
	}
}
