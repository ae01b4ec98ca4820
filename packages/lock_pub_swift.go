package packages

import (
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockPub reads Dart's pubspec.lock and pubspec.yaml (dart.dev/tools/pub/pubspec).
var lockPub = Recogniser{
	Name: "pub-lock", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return baseIs(p, "pubspec.lock", "pubspec.yaml") && inTree(p)
	},
	Read: func(f *File) (Facts, error) {
		if baseIs(f.Path, "pubspec.yaml") {
			return readPubspec(f)
		}
		return readPubspecLock(f)
	},
	Join: func(_ Context, all []Facts) Joined { return pubFamily.join(all) },
}

var pubFamily = lockFamily{
	ecosystem: "pub",
	purl:      func(name, version string) string { return purl.New("pub", "", name, version) },
	exact: func(rng string) string {
		if isVersion(rng, 3) {
			return rng
		}
		return ""
	},
	manifest: func(base string) bool { return base == "pubspec.yaml" },
}

func readPubspec(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var m struct {
		Name        yamlText            `yaml:"name"`
		Version     yamlText            `yaml:"version"`
		Description yamlText            `yaml:"description"`
		Homepage    yamlText            `yaml:"homepage"`
		Depends     map[string]yamlText `yaml:"dependencies"`
		Dev         map[string]yamlText `yaml:"dev_dependencies"`
	}
	if err := yaml.Unmarshal(b, &m); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	p := l.project(here, "pub")
	p.Name, p.Version, p.Description = string(m.Name), string(m.Version), string(m.Description)
	p.Homepage = cleanDownload(string(m.Homepage))
	p.Depends = append(yamlDepends(m.Depends, ""), yamlDepends(m.Dev, seaworthy.Development)...)
	return l.Facts, nil
}

// readPubspecLock reads what was chosen; it has no edges between packages.
func readPubspecLock(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var lock struct {
		Packages map[string]struct {
			Dependency  yamlText  `yaml:"dependency"`
			Version     yamlText  `yaml:"version"`
			Source      yamlText  `yaml:"source"`
			Description yaml.Node `yaml:"description"`
		} `yaml:"packages"`
	}
	if err := yaml.Unmarshal(b, &lock); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	l.project(here, "pub")
	for _, name := range slices.Sorted(maps.Keys(lock.Packages)) {
		from := lock.Packages[name]
		var about struct {
			URL      yamlText `yaml:"url"`
			Hash     yamlText `yaml:"sha256"`
			Resolved yamlText `yaml:"resolved-ref"`
		}
		if from.Description.Kind == yaml.MappingNode {
			if err := from.Description.Decode(&about); err != nil {
				return Facts{}, lockInvalid(f.Path, err)
			}
		}
		p := seaworthy.Package{Ref: name, Ecosystem: "pub", Name: name, Version: string(from.Version)}
		switch from.Source {
		case "git":
			p.Download = vcsURL(cleanDownload(string(about.URL)), string(about.Resolved))
			p.PURL = purl.New("pub", "", name, p.Version, "vcs_url", p.Download)
		case "hosted":
			if host := cleanDownload(string(about.URL)); host != "" {
				p.Download = strings.TrimSuffix(host, "/") + "/packages/" + name + "/versions/" + p.Version + ".tar.gz"
			}
		}
		if d, err := seaworthy.NewDigest("sha256", string(about.Hash)); err == nil {
			setHashes(&p, []seaworthy.Digest{d})
		}
		l.add(p)
		l.resolves(name, name)
		switch from.Dependency {
		case "direct main", "direct overridden":
			l.dependsOn(here, name, "")
		case "direct dev":
			l.dependsOn(here, name, seaworthy.Development)
		}
	}
	return l.Facts, nil
}

// lockSwift reads Package.resolved of the Swift package manager, versions 1 to 3. It has no edges.
var lockSwift = Recogniser{
	Name: "swift-lock", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool { return baseIs(p, "Package.resolved") && inTree(p) },
	Read:  readPackageResolved,
	Join:  func(_ Context, all []Facts) Joined { return swiftFamily.join(all) },
}

var swiftFamily = lockFamily{ecosystem: "swift"}

func readPackageResolved(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	type pin struct {
		Package  string `json:"package"`
		Identity string `json:"identity"`
		URL      string `json:"repositoryURL"`
		Location string `json:"location"`
		State    struct {
			Version  jsonText `json:"version"`
			Revision jsonText `json:"revision"`
			Branch   jsonText `json:"branch"`
		} `json:"state"`
	}
	var lock struct {
		Pins   []pin `json:"pins"`
		Object struct {
			Pins []pin `json:"pins"`
		} `json:"object"`
	}
	if err := json.Unmarshal(stripBOM(b), &lock); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	l.project(here, "swift")
	for _, from := range append(lock.Pins, lock.Object.Pins...) {
		p := seaworthy.Package{Ecosystem: "swift", Name: from.Identity, Version: string(from.State.Version)}
		if p.Name == "" {
			p.Name = from.Package
		}
		if p.Name == "" {
			l.problem(seaworthy.Invalid, "a pin has no name")
			continue
		}
		if from.Location == "" {
			from.Location = from.URL
		}
		if p.Version == "" {
			p.Version = string(from.State.Revision)
		}
		address := strings.TrimSuffix(cleanDownload(from.Location), ".git")
		p.Download = vcsURL(cleanDownload(from.Location), string(from.State.Revision))
		if _, rest, ok := strings.Cut(address, "://"); ok {
			rest = strings.TrimPrefix(rest, "git@")
			if i := strings.LastIndexByte(rest, '/'); i > 0 {
				// Advisories know it by its address; identities are not unique.
				p.Name, p.PURL = rest, purl.New("swift", rest[:i], rest[i+1:], p.Version)
			}
		}
		p.Ref = p.Name + "@" + p.Version + " " + address
		l.add(p)
	}
	return l.Facts, nil
}
