package packages

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// readNPMHiddenLock reads node_modules/.package-lock.json: one package for each directory npm filled, with the
// directory as its Ref. They are not packages of the bill, they say more about those that are there.
func readNPMHiddenLock(p string, b []byte) (Facts, error) {
	var lock struct {
		Packages jsontext.Value `json:"packages"`
	}
	if err := json.Unmarshal(b, &lock, npmJSON); err != nil {
		return Facts{}, seaworthy.Errorf(seaworthy.Invalid, "reading %q: %w", p, err)
	}
	root := path.Dir(path.Dir(p))
	var facts Facts
	npmMembers(lock.Packages, func(dir string, value jsontext.Value) {
		var e struct {
			Resolved  jsontext.Value `json:"resolved"`
			Integrity jsontext.Value `json:"integrity"`
			Dev       bool           `json:"dev"`
			Optional  bool           `json:"optional"`
			DevOpt    bool           `json:"devOptional"`
			Link      bool           `json:"link"`
			InBundle  bool           `json:"inBundle"`
		}
		if json.Unmarshal(value, &e, npmJSON) != nil {
			return
		}
		if e.Link {
			facts.Relations = append(facts.Relations, seaworthy.Relation{
				From: path.Join(root, dir), Type: npmLink, To: path.Join(root, npmText(e.Resolved)),
			})
			return
		}
		entry := seaworthy.Package{Ref: path.Join(root, dir), Ecosystem: "npm", Name: npmNameOf(dir), Download: cleanDownload(npmText(e.Resolved))}
		setHashes(&entry, subresource(npmText(e.Integrity)))
		switch {
		case e.Dev:
			entry.Scope = seaworthy.Development
		case e.Optional, e.DevOpt:
			entry.Scope = seaworthy.Optional
		}
		if e.InBundle {
			entry.Properties = []seaworthy.Property{{Name: "npm:bundled", Value: "true"}}
		}
		facts.Packages = append(facts.Packages, entry)
	})
	return facts, nil
}

// npmLink is a relation inside the Facts of a hidden lock file: the directory From is a symbolic link to To.
const npmLink seaworthy.RelationType = "link"

// npmNameOf returns the name that a directory below node_modules stands for.
func npmNameOf(dir string) string {
	if i := strings.LastIndex(dir, "node_modules/"); i >= 0 {
		return dir[i+len("node_modules/"):]
	}
	return dir
}

func joinNPM(_ Context, all []Facts) Joined {
	var j Joined
	locked := map[string]*seaworthy.Package{} // directory → what the hidden lock file says
	var links []seaworthy.Relation
	var found []*Facts
	for i := range all {
		j.Problems = append(j.Problems, all[i].Problems...)
		switch {
		case strings.HasSuffix(all[i].Path, ".package-lock.json"):
			for k := range all[i].Packages {
				locked[all[i].Packages[k].Ref] = &all[i].Packages[k]
			}
			links = append(links, all[i].Relations...)
		case len(all[i].Packages) > 0:
			found = append(found, &all[i])
		}
	}
	// By directory, so that an application comes before what is below it.
	slices.SortFunc(found, func(a, b *Facts) int { return strings.Compare(path.Dir(a.Path), path.Dir(b.Path)) })
	tree := npmTree{at: make(map[string]int, len(found)), modules: map[string]bool{}}
	for _, facts := range found {
		dir := path.Dir(facts.Path)
		p := facts.Packages[0]
		lock := locked[dir]
		if p.Role == seaworthy.Application && lock == nil && npmInsideApplication(dir, tree.at, j.Packages) {
			continue
		}
		if lock != nil {
			p.Download, p.Scope = lock.Download, lock.Scope
			p.Hashes, p.HashOf = lock.Hashes, lock.HashOf
			p.Properties = append(p.Properties, lock.Properties...)
		}
		p.Ref = placedRef(p.PURL, dir)
		p.Evidence = []seaworthy.Evidence{{Path: facts.Path, By: "npm"}}
		tree.add(dir, len(j.Packages))
		j.Packages = append(j.Packages, p)
	}
	for _, link := range links {
		if to, ok := tree.at[link.To]; ok && path.Dir(link.From) != "." {
			if _, taken := tree.at[link.From]; !taken {
				tree.add(link.From, to)
			}
		}
	}
	for i := range j.Packages {
		p := &j.Packages[i]
		if p.Role == seaworthy.Application {
			p.Properties = withoutProperty(p.Properties, npmWorkspace)
		}
		if len(p.Depends) == 0 {
			continue
		}
		roots := tree.rootsAbove(path.Dir(p.Evidence[0].Path))
		for _, d := range p.Depends {
			if d.Scope == seaworthy.Development && p.Role != seaworthy.Application {
				continue // never installed for a dependency
			}
			to, ok := tree.resolve(roots, d.Name)
			if !ok || to == i {
				continue
			}
			j.Relations = append(j.Relations, seaworthy.Relation{From: p.Ref, Type: seaworthy.DependsOn, To: j.Packages[to].Ref, Scope: d.Scope})
			if p.Role == seaworthy.Application {
				j.Packages[to].Direct = true
			}
		}
	}
	sortRelations(j.Relations)
	return j
}

// npmTree is what is installed where.
type npmTree struct {
	at      map[string]int  // directory → index of its package
	modules map[string]bool // module directories that hold at least one package
	debian  []string        // those of them where Debian's node looks last, in its order
}

func (t *npmTree) add(dir string, i int) {
	t.at[dir] = i
	root := path.Dir(dir)
	if strings.HasPrefix(path.Base(root), "@") {
		root = path.Dir(root)
	}
	if t.modules[root] {
		return
	}
	t.modules[root] = true
	if debianNodeRoot(root+"/") == len(root)+1 {
		t.debian = append(t.debian, root)
		// Debian's order: usr/lib/<triplet>/nodejs, usr/share/nodejs, usr/lib/nodejs.
		rank := func(s string) int {
			return slices.Index([]string{"usr/share/nodejs", "usr/lib/nodejs"}, s)
		}
		slices.SortFunc(t.debian, func(a, b string) int { return cmp.Or(rank(a)-rank(b), strings.Compare(a, b)) })
	}
}

// rootsAbove lists the module directories that require() in dir looks through, nearest first: node_modules of
// dir and of each directory above it, then Debian's.
func (t *npmTree) rootsAbove(dir string) []string {
	var roots []string
	for up := dir; ; up = path.Dir(up) {
		if path.Base(up) != "node_modules" {
			if root := path.Join(up, "node_modules"); t.modules[root] {
				roots = append(roots, root)
			}
		}
		if up == "." {
			return append(roots, t.debian...)
		}
	}
}

func (t *npmTree) resolve(roots []string, name string) (int, bool) {
	var buf [256]byte
	for _, root := range roots {
		key := append(append(append(buf[:0], root...), '/'), name...)
		if i, ok := t.at[string(key)]; ok {
			return i, true
		}
	}
	return 0, false
}

// npmInsideApplication reports whether dir lies in the tree of an application that does not count it among its
// workspaces. Applications come before what is below them, since paths are sorted by directory.
func npmInsideApplication(dir string, at map[string]int, have []seaworthy.Package) bool {
	for up := dir; up != "."; {
		up = path.Dir(up)
		i, ok := at[up]
		if !ok {
			continue
		}
		rel := strings.TrimPrefix(dir, up+"/")
		if up == "." {
			rel = dir
		}
		for _, prop := range have[i].Properties {
			if prop.Name == npmWorkspace && npmGlob(prop.Value, rel) {
				return false
			}
		}
		return true
	}
	return false
}

// npmGlob matches a workspace pattern: path.Match, and "/**" at the end for any depth.
func npmGlob(pattern, rel string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "/**"); ok {
		n := strings.Count(prefix, "/") + 1
		head := rel
		for i := range rel {
			if rel[i] == '/' {
				if n--; n == 0 {
					head = rel[:i]
					break
				}
			}
		}
		ok, err := path.Match(prefix, head)
		return err == nil && ok && head != rel
	}
	ok, err := path.Match(pattern, rel)
	return err == nil && ok
}
