package packages

import (
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockComposer reads composer.lock and composer.json (getcomposer.org/doc/04-schema.md).
var lockComposer = Recogniser{
	Name: "composer-lock", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return baseIs(p, "composer.lock", "composer.json") && inTree(p)
	},
	Read: func(f *File) (Facts, error) {
		if baseIs(f.Path, "composer.json") {
			return readComposerJSON(f)
		}
		return readComposerLock(f)
	},
	Join: func(_ Context, all []Facts) Joined { return composerFamily.join(all) },
}

var composerFamily = lockFamily{
	ecosystem: "composer", name: strings.ToLower, purl: composerPURL,
	exact: func(rng string) string {
		if v := strings.TrimPrefix(strings.TrimPrefix(rng, "="), "v"); isVersion(v, 3) {
			return v
		}
		return ""
	},
	manifest: func(base string) bool { return base == "composer.json" },
}

func composerPURL(name, version string) string {
	vendor, rest, ok := strings.Cut(name, "/")
	if !ok {
		vendor, rest = "", name
	}
	return purl.New("composer", vendor, rest, version)
}

type composerPackage struct {
	Name        string      `json:"name"`
	Version     jsonText    `json:"version"`
	Description jsonText    `json:"description"`
	Homepage    jsonText    `json:"homepage"`
	Licence     jsonLicence `json:"license"`
	Require     jsonTexts   `json:"require"`
	RequireDev  jsonTexts   `json:"require-dev"`
	Dist        struct {
		URL  jsonText `json:"url"`
		Hash jsonText `json:"shasum"`
	} `json:"dist"`
	Source struct {
		URL jsonText `json:"url"`
		Ref jsonText `json:"reference"`
	} `json:"source"`
}

// composerDepends leaves out what the platform provides: php, its extensions and libraries have no vendor.
func composerDepends(from jsonTexts, scope seaworthy.Scope) []seaworthy.Dependency {
	var out []seaworthy.Dependency
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if strings.Contains(name, "/") {
			out = append(out, seaworthy.Dependency{Name: name, Range: from[name], Scope: scope})
		}
	}
	return out
}

func readComposerJSON(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var m composerPackage
	if err := json.Unmarshal(stripBOM(b), &m); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	p := l.project(here, "composer")
	p.Name, p.Version, p.Description = m.Name, string(m.Version), string(m.Description)
	if m.Licence != "" {
		p.Licences.Declared = licence.Normalise(string(m.Licence))
	}
	p.Depends = append(composerDepends(m.Require, ""), composerDepends(m.RequireDev, seaworthy.Development)...)
	return l.Facts, nil
}

func readComposerLock(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var lock struct {
		Packages    []composerPackage `json:"packages"`
		PackagesDev []composerPackage `json:"packages-dev"`
	}
	if err := json.Unmarshal(stripBOM(b), &lock); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	for i, list := range [...][]composerPackage{lock.Packages, lock.PackagesDev} {
		scope := [...]seaworthy.Scope{seaworthy.Runtime, seaworthy.Development}[i]
		for _, from := range list {
			if from.Name == "" {
				l.problem(seaworthy.Invalid, "a package has no name")
				continue
			}
			p := seaworthy.Package{Ref: strings.ToLower(from.Name) + "@" + string(from.Version), Ecosystem: "composer", Name: from.Name, Version: string(from.Version), Scope: scope}
			p.Description, p.Homepage = string(from.Description), cleanDownload(string(from.Homepage))
			p.Depends = composerDepends(from.Require, "")
			if p.Download = cleanDownload(string(from.Dist.URL)); p.Download == "" {
				p.Download = vcsURL(cleanDownload(string(from.Source.URL)), string(from.Source.Ref))
			}
			if from.Licence != "" {
				p.Licences.Declared = licence.Normalise(string(from.Licence))
			}
			if d, err := seaworthy.NewDigest("sha1", string(from.Dist.Hash)); err == nil {
				setHashes(&p, []seaworthy.Digest{d})
			}
			l.add(p)
		}
	}
	byName := make(map[string]string, len(l.Packages))
	for _, p := range l.Packages {
		if name := strings.ToLower(p.Name); byName[name] == "" {
			byName[name] = p.Ref
			l.resolves(name, p.Ref)
		}
	}
	for _, p := range l.Packages {
		for _, d := range p.Depends {
			if to := byName[strings.ToLower(d.Name)]; to != "" {
				l.dependsOn(p.Ref, to, d.Scope)
			}
		}
	}
	return l.Facts, nil
}
