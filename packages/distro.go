package packages

import (
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// providesProperty carries, from Read to Join, the names that a distribution package provides besides its
// own, one a line. It is always the last property, and Join takes it off again.
const providesProperty = "provides"

// takeProvides takes the provided names off p.
func takeProvides(p *seaworthy.Package) []string {
	n := len(p.Properties) - 1
	if n < 0 || p.Properties[n].Name != providesProperty {
		return nil
	}
	names := strings.Split(p.Properties[n].Value, "\n")
	if p.Properties = p.Properties[:n:n]; n == 0 {
		p.Properties = nil
	}
	return names
}

// maxProviders is how many packages that give the same name are followed; real systems have a handful.
const maxProviders = 64

// dependencyEdges finds who gives what each package depends on. provides are the further names of each
// package; a package's own name is always one. Of alternatives, the first that is there counts; of several
// packages that give it, those of the same architecture, or else all.
func dependencyEdges(packages []seaworthy.Package, provides [][]string, anyArch func(string) bool) []seaworthy.Relation {
	named := make(map[string][]int32, 2*len(packages))
	given := make(map[string][]int32, 2*len(packages))
	for i := range packages {
		if list := named[packages[i].Name]; len(list) < maxProviders {
			named[packages[i].Name] = append(list, int32(i))
		}
		for _, name := range provides[i] {
			if list := given[name]; len(list) == 0 || len(list) < maxProviders && list[len(list)-1] != int32(i) {
				given[name] = append(list, int32(i))
			}
		}
	}
	var edges []seaworthy.Relation
	var targets []int32
	for i := range packages {
		p := &packages[i]
		targets = targets[:0]
		for _, d := range p.Depends {
			if d.Scope != "" && d.Scope != seaworthy.Runtime {
				continue
			}
			any := d.Any
			if len(any) == 0 {
				any = []string{d.Name}
			}
			for _, name := range any {
				found := named[name]
				if len(found) == 0 {
					found = given[name]
				}
				if len(found) == 0 {
					continue
				}
				targets = appendSameArch(targets, packages, found, p.Arch, anyArch)
				break
			}
		}
		slices.Sort(targets)
		for _, t := range slices.Compact(targets) {
			if int(t) != i {
				edges = append(edges, seaworthy.Relation{From: p.Ref, Type: seaworthy.DependsOn, To: packages[t].Ref})
			}
		}
	}
	return edges
}

func appendSameArch(targets []int32, packages []seaworthy.Package, found []int32, arch string, anyArch func(string) bool) []int32 {
	before := len(targets)
	for _, t := range found {
		if a := packages[t].Arch; a == arch || anyArch(a) {
			targets = append(targets, t)
		}
	}
	if len(targets) == before {
		targets = append(targets, found...)
	}
	return targets
}

// distroPURL makes the purl of a distribution package. upstream is the source package where it is another
// one: "name", or "name@version" where the version differs too.
func distroPURL(typ string, release *OSRelease, fallback string, p *seaworthy.Package, version, epoch string) string {
	vendor := fallback
	if release != nil && release.ID != "" {
		vendor = release.ID
	}
	upstream := ""
	if s := p.Source; s.Name != "" && (s.Name != p.Name || s.Version != "" && s.Version != p.Version) {
		upstream = s.Name
		if s.Version != "" && s.Version != p.Version {
			upstream += "@" + s.Version
		}
	}
	return purl.New(typ, vendor, p.Name, version, "arch", p.Arch, "distro", release.Distro(), "epoch", epoch, "upstream", upstream)
}

// parseParty reads "Name <address>".
func parseParty(s string) seaworthy.Party {
	s = strings.TrimSpace(s)
	open := strings.LastIndexByte(s, '<')
	if open < 0 || !strings.HasSuffix(s, ">") {
		return seaworthy.Party{Name: s}
	}
	party := seaworthy.Party{Name: strings.Trim(strings.TrimSpace(s[:open]), `"`)}
	if inside := s[open+1 : len(s)-1]; strings.Contains(inside, "://") {
		party.URL = inside
	} else {
		party.Email = inside
	}
	return party
}

// sortFiles sorts files by path and leaves out repetitions, keeping the one that has a digest.
func sortFiles(files []seaworthy.OwnedFile) []seaworthy.OwnedFile {
	slices.SortFunc(files, func(a, b seaworthy.OwnedFile) int {
		if c := strings.Compare(a.Path, b.Path); c != 0 {
			return c
		}
		return strings.Compare(string(b.Digest), string(a.Digest))
	})
	return slices.CompactFunc(files, func(a, b seaworthy.OwnedFile) bool { return a.Path == b.Path })
}

// addPathProvides lets a package provide those of its files that others depend on ("/bin/sh").
func addPathProvides(packages []seaworthy.Package, provides [][]string) {
	wanted := make(map[string][]string) // merged path → as depended on
	for i := range packages {
		for _, d := range packages[i].Depends {
			if strings.HasPrefix(d.Name, "/") {
				key := mergedPath(d.Name[1:])
				if !slices.Contains(wanted[key], d.Name) {
					wanted[key] = append(wanted[key], d.Name)
				}
			}
		}
	}
	if len(wanted) == 0 {
		return
	}
	for i := range packages {
		for _, f := range packages[i].Files {
			provides[i] = append(provides[i], wanted[mergedPath(f.Path)]...)
		}
	}
}
