package packages

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// A source tree with its dependencies installed names each of them twice: once in the lock file, once where the
// package manager put it. Both are one package.

// installedDirs are the directories that package managers fill beside a project's lock file.
var installedDirs = map[string]bool{"node_modules": true, "site-packages": true, "dist-packages": true, "vendor": true}

// maxProjectDepth is how many directories above an installed package its project's lock file is looked for.
const maxProjectDepth = 64

// partPackage is a package of one part, by place.
type partPackage struct{ part, at int }

// stands says that a package of a lock file is there as an installed one.
type stands struct {
	nearest partPackage // the installed package nearest to the project
	// copies are all that are installed of it, that one too.
	copies []partPackage
}

// joinLocked finds the packages of lock files that are installed in the lock file's own directory, hands what
// only the lock file knows to the installed ones, and takes them out of their part. It returns, for each part,
// the Refs that were taken out and which package has them now. lock[i] says that part i comes from lock files.
func joinLocked(parts []Joined, lock []bool) []map[string]partPackage {
	type project struct{ purl, dir string }
	locked := map[project]partPackage{}
	purls := map[string]bool{}
	for i := range parts {
		for k := range parts[i].Packages {
			p := &parts[i].Packages[k]
			if !lock[i] || p.Role == seaworthy.Application || p.PURL == "" || p.Version == "" {
				continue
			}
			at := project{p.PURL, path.Dir(p.Evidence[0].Path)}
			if _, taken := locked[at]; !taken {
				locked[at], purls[p.PURL] = partPackage{i, k}, true
			}
		}
	}
	moved := make([]map[string]partPackage, len(parts))
	if len(locked) == 0 {
		return moved
	}
	found := map[partPackage]*stands{}
	for i := range parts {
		for k := range parts[i].Packages {
			p := &parts[i].Packages[k]
			if lock[i] || !purls[p.PURL] {
				continue
			}
			below := false
			for dir, up := path.Dir(p.Evidence[0].Path), 0; dir != "." && up < maxProjectDepth; up++ {
				below = below || installedDirs[path.Base(dir)]
				dir = path.Dir(dir)
				wish, ok := locked[project{p.PURL, dir}]
				if !ok || !below {
					continue
				}
				here := partPackage{i, k}
				s := found[wish]
				if s == nil {
					s = &stands{nearest: here}
					found[wish] = s
				} else if nearer(p, &parts[s.nearest.part].Packages[s.nearest.at]) {
					s.nearest = here
				}
				s.copies = append(s.copies, here)
				break
			}
		}
	}
	gone := make([]map[int]bool, len(parts))
	for wish, s := range found {
		w := &parts[wish.part].Packages[wish.at]
		for _, c := range s.copies {
			learn(&parts[c.part].Packages[c.at], w, c == s.nearest)
		}
		if moved[wish.part] == nil {
			moved[wish.part], gone[wish.part] = map[string]partPackage{}, map[int]bool{}
		}
		moved[wish.part][w.Ref] = s.nearest
		gone[wish.part][wish.at] = true
	}
	for i := range parts {
		if gone[i] == nil {
			continue
		}
		kept := make([]seaworthy.Package, 0, len(parts[i].Packages)-len(gone[i]))
		for k := range parts[i].Packages {
			if !gone[i][k] {
				kept = append(kept, parts[i].Packages[k])
			}
		}
		parts[i].Packages = kept
	}
	dropKnown(parts, moved)
	return moved
}

// nearer reports whether a is installed nearer to the project than b.
func nearer(a, b *seaworthy.Package) bool {
	x, y := a.Evidence[0].Path, b.Evidence[0].Path
	return cmp.Or(cmp.Compare(strings.Count(x, "/"), strings.Count(y, "/")), strings.Compare(x, y)) < 0
}

// learn adds to an installed package what its lock file says. Only the copy that the project itself gets is
// asked for directly.
func learn(p, locked *seaworthy.Package, nearest bool) {
	p.Evidence = append(slices.Clip(p.Evidence), locked.Evidence...)
	if nearest {
		p.Direct = p.Direct || locked.Direct
	}
	p.Scope = cmp.Or(p.Scope, locked.Scope)
	if len(p.Hashes) == 0 {
		p.Hashes, p.HashOf = locked.Hashes, locked.HashOf
	}
	p.Download = cmp.Or(p.Download, locked.Download)
	p.Licences.Declared = cmp.Or(p.Licences.Declared, locked.Licences.Declared)
	p.Description = cmp.Or(p.Description, locked.Description)
	p.Homepage = cmp.Or(p.Homepage, locked.Homepage)
	for _, prop := range locked.Properties {
		if p.Property(prop.Name) == "" {
			p.Properties = append(slices.Clip(p.Properties), prop)
		}
	}
	if p.Ref == "" {
		p.Ref = placedRef(p.PURL, p.Evidence[0].Path)
	}
}

// dropKnown removes what a lock file says of the dependencies of an installed package that leads to installed
// ones by itself: it knows which of several copies.
func dropKnown(parts []Joined, moved []map[string]partPackage) {
	knows := map[partPackage]bool{}
	for i := range parts {
		refs := make(map[string]bool, len(parts[i].Relations))
		for _, r := range parts[i].Relations {
			if r.Type == seaworthy.DependsOn {
				refs[r.From] = true
			}
		}
		for k := range parts[i].Packages {
			if refs[parts[i].Packages[k].Ref] {
				knows[partPackage{i, k}] = true
			}
		}
	}
	for i := range parts {
		if moved[i] == nil {
			continue
		}
		parts[i].Relations = slices.DeleteFunc(parts[i].Relations, func(r seaworthy.Relation) bool {
			from, ok := moved[i][r.From]
			_, both := moved[i][r.To]
			return ok && both && knows[from]
		})
	}
}

// dropVendored leaves out lock files and manifests in the vendor directory of a project that has its own: what
// is vendored says what its makers wish, and the project's lock file what was taken.
func dropVendored(facts []Facts) []Facts {
	dirs := make(map[string]bool, len(facts))
	for i := range facts {
		dirs[path.Dir(facts[i].Path)] = true
	}
	return slices.DeleteFunc(facts, func(f Facts) bool {
		for at := 0; ; {
			i := strings.Index(f.Path[at:], "vendor/")
			if i < 0 {
				return false
			}
			i += at
			at = i + len("vendor/")
			if i > 0 && f.Path[i-1] != '/' {
				continue
			}
			if dirs[cmp.Or(strings.TrimSuffix(f.Path[:i], "/"), ".")] {
				return true
			}
		}
	})
}
