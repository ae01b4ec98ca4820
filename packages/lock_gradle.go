package packages

import (
	"bytes"
	"io/fs"
	"path"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// lockGradle reads gradle.lockfile and buildscript-gradle.lockfile (docs.gradle.org, "Locking Versions"): lines of
// group:artifact:version=configuration,configuration. They have no edges. What is direct is in build.gradle(.kts), as far
// as that is written down plainly, and in version catalogs (docs.gradle.org, "Version Catalogs").
var lockGradle = Recogniser{
	Name: "gradle-lock", Version: 2, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		return (baseIs(p, "gradle.lockfile", "buildscript-gradle.lockfile") || isGradleScript(p) || isGradleCatalog(p)) && inTree(p)
	},
	Read: func(f *File) (Facts, error) {
		switch {
		case isGradleScript(f.Path):
			return readGradleScript(f)
		case isGradleCatalog(f.Path):
			return readGradleCatalog(f)
		}
		return readGradleLock(f)
	},
	Join: func(_ Context, all []Facts) Joined { return joinGradle(all) },
}

var gradleFamily = lockFamily{
	ecosystem: "maven", purl: mavenPURL,
	exact: func(rng string) string {
		if strings.HasSuffix(rng, "+") || strings.HasPrefix(rng, "latest.") {
			return ""
		}
		return mavenExact(rng)
	},
	manifest: func(base string) bool { return isGradleScript(base) || strings.HasSuffix(base, ".versions.toml") },
}

func isGradleScript(p string) bool {
	return baseIs(p, "build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts")
}

// isGradleCatalog reports whether p is a version catalog: gradle/libs.versions.toml by convention.
func isGradleCatalog(p string) bool {
	return baseIs(p, "libs.versions.toml") || strings.HasSuffix(p, ".versions.toml") && baseIs(path.Dir(p), "gradle")
}

func readGradleLock(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	l := newLockFacts(f)
	l.project(here, "maven")
	build := baseIs(f.Path, "buildscript-gradle.lockfile")
	for raw := range bytes.Lines(b) {
		line := strings.TrimSpace(string(raw))
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "empty=") {
			continue
		}
		name, configurations, _ := strings.Cut(line, "=")
		i := strings.LastIndexByte(name, ':')
		if i <= 0 || !strings.Contains(name[:i], ":") {
			l.problem(seaworthy.Invalid, quoted(line)+" is not group:artifact:version")
			continue
		}
		p := seaworthy.Package{Ref: name, Ecosystem: "maven", Name: name[:i], Version: name[i+1:], Scope: gradleScope(configurations)}
		if build {
			p.Scope = seaworthy.Build
		}
		l.add(p)
		l.resolves(p.Name, p.Ref)
	}
	return l.Facts, nil
}

// gradleScope is the widest of the configurations something is in.
func gradleScope(configurations string) seaworthy.Scope {
	scope := seaworthy.Scope("")
	for c := range strings.SplitSeq(strings.ToLower(configurations), ",") {
		one := seaworthy.Runtime
		switch {
		case strings.Contains(c, "test"):
			one = seaworthy.Test
		case strings.Contains(c, "annotationprocessor"), strings.Contains(c, "plugin"),
			strings.HasPrefix(c, "kapt"), strings.HasPrefix(c, "ksp"), c == "classpath":
			one = seaworthy.Build
		case strings.HasSuffix(c, "compileonly"), strings.HasPrefix(c, "provided"):
			one = seaworthy.Provided
		case strings.Contains(c, "lint"), strings.Contains(c, "developmentonly"), strings.Contains(c, "checkstyle"), strings.Contains(c, "detekt"):
			one = seaworthy.Development
		}
		scope = widerScope(scope, one)
	}
	return scope
}
