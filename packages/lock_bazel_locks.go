package packages

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// readBazelLock reads MODULE.bazel.lock. Until Bazel 7.1 it holds the graph of modules. Since then it holds the
// hashes of the registry's files: a module was chosen when its source.json was needed, and who needs it is not said.
func readBazelLock(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var lock struct {
		Graph map[string]bazelModule `json:"moduleDepGraph"`
		Files jsonTexts              `json:"registryFileHashes"`
	}
	if err := json.Unmarshal(stripBOM(b), &lock); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	l.project(here, "bazel")
	for _, key := range slices.Sorted(maps.Keys(lock.Graph)) {
		m := lock.Graph[key]
		if key == "<root>" {
			p := l.project(here, "bazel")
			p.Name, p.Version = string(m.Name), string(m.Version)
		} else if m.Name != "" && !strings.HasSuffix(key, "@_") { // that is what is part of Bazel
			m.add(l, key)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(lock.Graph)) {
		from := key
		if key == "<root>" {
			from = here
		} else if !l.has(key) {
			continue
		}
		for _, repository := range slices.Sorted(maps.Keys(lock.Graph[key].Deps)) {
			if to := lock.Graph[key].Deps[repository]; l.has(to) {
				l.dependsOn(from, to, "")
			}
		}
	}
	for _, address := range slices.Sorted(maps.Keys(lock.Files)) {
		registry, rest, ok := strings.Cut(address, "/modules/")
		rest, isSource := strings.CutSuffix(rest, "/source.json")
		name, version, both := strings.Cut(rest, "/")
		if !ok || !isSource || !both || name == "" || strings.Contains(version, "/") {
			continue
		}
		p := seaworthy.Package{Ref: name + "@" + version, Ecosystem: "bazel", Name: name, Version: version}
		if registry != "https://bcr.bazel.build" {
			p.PURL = purl.New("bazel", "", name, version, "repository_url", cleanDownload(registry))
		}
		l.add(p)
		l.resolves(name, p.Ref)
	}
	return l.Facts, nil
}

type bazelModule struct {
	Name    jsonText  `json:"name"`
	Version jsonText  `json:"version"`
	Deps    jsonTexts `json:"deps"`
	Spec    struct {
		Attributes struct {
			URLs      []jsonText `json:"urls"`
			Integrity jsonText   `json:"integrity"`
			Remote    jsonText   `json:"remote"`
			Commit    jsonText   `json:"commit"`
		} `json:"attributes"`
	} `json:"repoSpec"`
}

func (m *bazelModule) add(l *lockFacts, key string) {
	p := seaworthy.Package{Ref: key, Ecosystem: "bazel", Name: string(m.Name), Version: string(m.Version)}
	from := &m.Spec.Attributes
	if len(from.URLs) > 0 {
		p.Download = cleanDownload(string(from.URLs[0]))
		setHashes(&p, subresource(string(from.Integrity)))
	} else if remote := cleanDownload(string(from.Remote)); remote != "" {
		p.Download = vcsURL(remote, string(from.Commit))
		p.PURL = purl.New("bazel", "", p.Name, p.Version, "vcs_url", p.Download)
	}
	l.add(p)
	l.resolves(p.Name, key)
}

// readMavenInstall reads what rules_jvm_external pins (github.com/bazel-contrib/rules_jvm_external): its first
// format is a tree of coordinates with versions, its second names artifacts and, apart from them, edges.
func readMavenInstall(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var lock struct {
		Tree struct {
			Dependencies []mavenPinned `json:"dependencies"`
		} `json:"dependency_tree"`
		Artifacts map[string]struct {
			Version jsonText  `json:"version"`
			Sums    jsonTexts `json:"shasums"`
		} `json:"artifacts"`
		Dependencies map[string][]jsonText `json:"dependencies"`
	}
	if err := json.Unmarshal(stripBOM(b), &lock); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	for _, d := range lock.Tree.Dependencies {
		d.add(l)
	}
	for _, d := range lock.Tree.Dependencies {
		for _, to := range d.Direct {
			if l.has(string(to)) && l.has(string(d.Coordinates)) {
				l.dependsOn(string(d.Coordinates), string(to), "")
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(lock.Artifacts)) {
		a := lock.Artifacts[key]
		name, kind, classifier := mavenCoordinates(key)
		if name == "" {
			l.problem(seaworthy.Invalid, quoted(key)+" is not group:artifact")
			continue
		}
		p := seaworthy.Package{Ref: key, Ecosystem: "maven", Name: name, Version: string(a.Version)}
		group, artifact, _ := strings.Cut(name, ":")
		p.PURL = purl.New("maven", group, artifact, p.Version, "type", kind, "classifier", classifier)
		if d, err := seaworthy.NewDigest("sha256", a.Sums["jar"]); err == nil {
			setHashes(&p, []seaworthy.Digest{d})
		}
		l.add(p)
		l.resolves(name, key)
	}
	for _, from := range slices.Sorted(maps.Keys(lock.Dependencies)) {
		for _, to := range lock.Dependencies[from] {
			if l.has(from) && l.has(string(to)) {
				l.dependsOn(from, string(to), "")
			}
		}
	}
	return l.Facts, nil
}

// mavenCoordinates takes group:artifact[:type[:classifier]] apart; the type jar is "".
func mavenCoordinates(s string) (name, kind, classifier string) {
	parts := strings.Split(s, ":")
	if len(parts) < 2 || len(parts) > 4 || parts[0] == "" || parts[1] == "" {
		return "", "", ""
	}
	if len(parts) > 2 && parts[2] != "jar" {
		kind = parts[2]
	}
	if len(parts) > 3 {
		classifier = parts[3]
	}
	return parts[0] + ":" + parts[1], kind, classifier
}

// mavenPinned is an entry of the first format.
type mavenPinned struct {
	Coordinates jsonText   `json:"coord"`
	Direct      []jsonText `json:"directDependencies"`
	SHA256      jsonText   `json:"sha256"`
	URL         jsonText   `json:"url"`
}

// add keeps one whose coordinates are group:artifact[:type[:classifier]]:version. Sources are no package.
func (m *mavenPinned) add(l *lockFacts) {
	coordinates := string(m.Coordinates)
	i := strings.LastIndexByte(coordinates, ':')
	if i < 0 {
		l.problem(seaworthy.Invalid, quoted(coordinates)+" is not group:artifact:version")
		return
	}
	name, kind, classifier := mavenCoordinates(coordinates[:i])
	if name == "" || classifier == "sources" {
		return
	}
	p := seaworthy.Package{Ref: coordinates, Ecosystem: "maven", Name: name, Version: coordinates[i+1:]}
	group, artifact, _ := strings.Cut(name, ":")
	p.PURL = purl.New("maven", group, artifact, p.Version, "type", kind, "classifier", classifier)
	p.Download = cleanDownload(string(m.URL))
	if d, err := seaworthy.NewDigest("sha256", string(m.SHA256)); err == nil {
		setHashes(&p, []seaworthy.Digest{d})
	}
	l.add(p)
	l.resolves(name, coordinates)
}
