package packages

import (
	"io/fs"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// lockActions reads GitHub Actions workflows and composite actions: the actions, reusable workflows and images they
// use. The property "pinned" of each says whether it is named by a commit or digest, which nobody can move.
var lockActions = Recogniser{
	Name: "github-actions", Version: 1, Lock: true,
	Wants: func(p string, _ int64, _ fs.FileMode) bool {
		if !strings.HasSuffix(p, ".yml") && !strings.HasSuffix(p, ".yaml") {
			return false
		}
		if baseIs(p, "action.yml", "action.yaml") {
			return inTree(p)
		}
		dir := p[:max(strings.LastIndexByte(p, '/'), 0)]
		return (dir == ".github/workflows" || strings.HasSuffix(dir, "/.github/workflows")) && inTree(p)
	},
	Read: readActions,
	Join: func(_ Context, all []Facts) Joined { return actionsFamily.join(all) },
}

var actionsFamily = lockFamily{ecosystem: "githubactions"}

type actionSteps []struct {
	Uses yamlText `yaml:"uses"`
}

func readActions(f *File) (Facts, error) {
	b, err := lockBytes(f)
	if err != nil {
		return Facts{}, err
	}
	var w struct {
		Jobs map[string]struct {
			Uses  yamlText    `yaml:"uses"`
			Steps actionSteps `yaml:"steps"`
		} `yaml:"jobs"`
		Runs struct {
			Steps actionSteps `yaml:"steps"`
			Image yamlText    `yaml:"image"`
		} `yaml:"runs"`
	}
	if err := yaml.Unmarshal(b, &w); err != nil {
		return Facts{}, lockInvalid(f.Path, err)
	}
	l := newLockFacts(f)
	l.project(here, "githubactions")
	var uses []seaworthy.Dependency
	add := func(s yamlText) { uses = append(uses, seaworthy.Dependency{Name: string(s)}) }
	for _, job := range w.Jobs {
		add(job.Uses)
		for _, step := range job.Steps {
			add(step.Uses)
		}
	}
	for _, step := range w.Runs.Steps {
		add(step.Uses)
	}
	add(w.Runs.Image)
	sortDepends(uses)
	for _, u := range uses {
		if p, ok := actionUsed(u.Name); ok {
			l.add(p)
			l.dependsOn(here, p.Ref, "")
		}
	}
	if len(l.Packages) == 1 {
		return Facts{}, nil
	}
	return l.Facts, nil
}

// actionUsed reads what stands behind uses: owner/repository[/path]@ref, or docker://image. Those of the same
// repository (./…) are part of the tree.
func actionUsed(s string) (seaworthy.Package, bool) {
	p := seaworthy.Package{Ref: s, Direct: true, Scope: seaworthy.Build}
	pinned := "false"
	if image, ok := strings.CutPrefix(s, "docker://"); ok {
		name, digest, byDigest := strings.Cut(image, "@")
		if byDigest {
			p.Version, pinned = digest, "true"
		}
		if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
			if !byDigest {
				p.Version = name[i+1:]
			}
			name = name[:i]
		}
		p.Ecosystem, p.Name = "docker", name
		i := strings.LastIndexByte(name, '/')
		p.PURL = purl.New("docker", name[:max(i, 0)], name[i+1:], p.Version)
	} else {
		name, ref, ok := strings.Cut(s, "@")
		parts := strings.SplitN(name, "/", 3)
		if !ok || ref == "" || len(parts) < 2 || strings.HasPrefix(name, ".") || strings.Contains(s, "${{") {
			return p, false
		}
		p.Ecosystem, p.Name, p.Version = "githubactions", name, ref
		if _, err := seaworthy.NewDigest("sha1", ref); err == nil {
			pinned = "true"
		}
		p.PURL = purl.New("githubactions", parts[0], parts[1], ref)
		if len(parts) == 3 && p.PURL != "" {
			p.PURL += "#" + strings.Trim(parts[2], "/")
			if canonical, err := purl.Canonical(p.PURL); err == nil {
				p.PURL = canonical
			}
		}
		p.Download = "https://github.com/" + parts[0] + "/" + parts[1]
	}
	p.Properties = []seaworthy.Property{{Name: "pinned", Value: pinned}}
	return p, p.Name != ""
}
