package inspect

import (
	"cmp"
	"context"
	"sort"
	"strconv"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/packages"
	"github.com/seaworthy-dev/seaworthy/source/image"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// Options steer Image.
type Options struct {
	Read image.Options
	// Files asks for the list of files each layer added, changed or removed; the counts come always.
	Files bool
}

// Image reads img and says what is in it. What could not be read is among the Report's Problems; the error is
// only for a context that ended.
//
// With a cache, an image that was inspected before is not read again, nor is any layer it shares with one.
func Image(ctx context.Context, img *oci.Image, o Options) (*Report, error) {
	r := &Report{
		Target: img.Name, Kind: img.Kind, Reference: img.Reference, Tags: img.Tags, Digest: img.Digest, MediaType: img.MediaType,
		Platform: img.Platform.String(), Created: img.Created, Author: img.Author, Labels: img.Labels,
	}
	if img.Index != nil {
		r.Index = img.Index.Digest
	}
	r.Steps = steps(img)
	if r.recall(img, o) {
		return r, nil
	}
	layers, err := image.Read(ctx, img, o.Read)
	if err != nil {
		return nil, err
	}
	stack := newStack(o.Files)
	for i := range layers {
		r.Layers = append(r.Layers, stack.add(i, &img.Layers[i], &layers[i]))
		r.Problems = append(r.Problems, r.Layers[i].Problems...)
		r.Incomplete = r.Incomplete || r.Layers[i].Incomplete
	}
	stack.finish(r)
	r.remember(img, o)
	return r, nil
}

// Tree says what is in one layer that is a directory or file on disk, not an image.
func Tree(name, kind string, layer *image.Layer, o Options) *Report {
	r := &Report{Target: name, Kind: kind, Digest: layer.Digest}
	stack := newStack(o.Files)
	only := stack.add(0, &oci.Layer{}, layer)
	r.Problems = append(r.Problems, layer.Problems...)
	r.Incomplete = only.Incomplete
	stack.finish(r)
	for i := range r.Packages {
		for e := range r.Packages[i].Evidence {
			r.Packages[i].Evidence[e].DiffID = ""
		}
	}
	return r
}

// steps pairs the history with the layers: every entry that is not marked empty made the next layer.
func steps(img *oci.Image) []Step {
	var out []Step
	next := 1
	for _, h := range img.History {
		s := Step{CreatedBy: h.CreatedBy, Comment: h.Comment}
		if !h.EmptyLayer && next <= len(img.Layers) {
			s.Layer = next
			next++
		}
		out = append(out, s)
	}
	return out
}

// place is a package where one file declares it.
type place struct{ by, path, name, arch string }

// stack is an image while it is put together.
type stack struct {
	tree    *tree
	visible map[*packages.Facts]int  // how many names its file has
	since   map[place]map[string]int // version → index of the layer that brought it
	layers  []*image.Layer
	sources []*oci.Layer
	changes [][]PackageChange
}

func newStack(listFiles bool) *stack {
	return &stack{tree: newTree(listFiles), visible: map[*packages.Facts]int{}, since: map[place]map[string]int{}}
}

// add puts the next layer on top and says what it did.
func (s *stack) add(i int, from *oci.Layer, layer *image.Layer) Layer {
	s.layers, s.sources = append(s.layers, layer), append(s.sources, from)
	s.tree.apply(i, layer)
	out := Layer{
		Number: i + 1, Digest: layer.Digest, DiffID: layer.DiffID, CreatedBy: from.History, Stored: layer.Stored, Unpacked: layer.Unpacked,
		Files: s.tree.counts, Changes: s.tree.changes, Incomplete: layer.Incomplete, FromCache: layer.FromCache,
	}
	out.Problems = append(out.Problems, layer.Problems...)
	out.Problems = append(out.Problems, s.tree.problems...)
	sort.Slice(out.Changes, func(a, b int) bool { return out.Changes[a].Path < out.Changes[b].Path })
	seen := map[string]bool{}
	for _, f := range s.tree.came {
		s.visible[f]++
		out.Problems = append(out.Problems, f.Problems...)
		out.Incomplete = out.Incomplete || overLimit(f.Problems)
		if f.Release != nil && f.Release.PrettyName != "" {
			out.Release = f.Release.PrettyName
		}
		if len(f.Packages) > 0 && !seen[f.By] {
			seen[f.By] = true
			out.Databases = append(out.Databases, f.By)
		}
	}
	for _, f := range s.tree.gone {
		if s.visible[f]--; s.visible[f] <= 0 {
			delete(s.visible, f)
		}
	}
	sort.Strings(out.Databases)
	out.Packages = s.packageChanges(i)
	s.changes = append(s.changes, out.Packages)
	return out
}

// overLimit reports whether something was left unread because a limit forbids it: there may be more than is said.
// A file that is merely damaged has nothing more to say.
func overLimit(problems []seaworthy.Problem) bool {
	for _, p := range problems {
		if p.Code == seaworthy.TooLarge {
			return true
		}
	}
	return false
}

// packageChanges compares what the files that came and went in this layer declare.
func (s *stack) packageChanges(layer int) []PackageChange {
	type version struct{ before, after int }
	versions := map[place]map[string]*version{}
	detail := map[place]string{} // ecosystem
	count := func(f *packages.Facts, bump func(*version)) {
		for i := range f.Packages {
			p := &f.Packages[i]
			if p.Name == "" || p.Version == "" && p.PURL == "" {
				continue // says more of a package that another file declares
			}
			at := place{f.By, f.Path, p.Name, p.Arch}
			if versions[at] == nil {
				versions[at] = map[string]*version{}
			}
			if versions[at][p.Version] == nil {
				versions[at][p.Version] = &version{}
			}
			bump(versions[at][p.Version])
			detail[at] = p.Ecosystem
		}
	}
	for _, f := range s.tree.gone {
		count(f, func(v *version) { v.before++ })
	}
	for _, f := range s.tree.came {
		count(f, func(v *version) { v.after++ })
	}
	var out []PackageChange
	for at, all := range versions {
		var removed, added []string
		for v, n := range all {
			switch {
			case n.after > n.before && s.since[at][v] == 0:
				added = append(added, v)
			case n.before > n.after:
				removed = append(removed, v)
			}
		}
		sort.Strings(removed)
		sort.Strings(added)
		for _, v := range removed {
			delete(s.since[at], v)
		}
		for _, v := range added {
			if s.since[at] == nil {
				s.since[at] = map[string]int{}
			}
			s.since[at][v] = layer + 1
		}
		base := PackageChange{Ecosystem: detail[at], Name: at.name, Arch: at.arch, Path: at.path, By: at.by}
		for len(removed) > 0 || len(added) > 0 {
			c := base
			switch {
			case len(removed) > 0 && len(added) > 0:
				c.Change, c.Before, c.Version = Upgraded, removed[0], added[0]
				removed, added = removed[1:], added[1:]
			case len(added) > 0:
				c.Change, c.Version = Added, added[0]
				added = added[1:]
			default:
				c.Change, c.Version = Removed, removed[0]
				removed = removed[1:]
			}
			out = append(out, c)
		}
	}
	out = pairMoves(out)
	sort.Slice(out, func(a, b int) bool { return lessChange(&out[a], &out[b]) })
	return out
}

// pairMoves turns the removal of one version and the arrival of another at another path into an upgrade, where
// there is one of each: Python's metadata folders carry the version in their name.
func pairMoves(changes []PackageChange) []PackageChange {
	type name struct{ by, name, arch string }
	removed, added := map[name][]int{}, map[name][]int{}
	for i, c := range changes {
		key := name{c.By, c.Name, c.Arch}
		switch c.Change {
		case Removed:
			removed[key] = append(removed[key], i)
		case Added:
			added[key] = append(added[key], i)
		}
	}
	drop := map[int]bool{}
	for key, r := range removed {
		if a := added[key]; len(r) == 1 && len(a) == 1 && changes[r[0]].Version != changes[a[0]].Version {
			changes[a[0]].Change, changes[a[0]].Before = Upgraded, changes[r[0]].Version
			drop[r[0]] = true
		}
	}
	kept := changes[:0]
	for i := range changes {
		if !drop[i] {
			kept = append(kept, changes[i])
		}
	}
	return kept
}

func lessChange(a, b *PackageChange) bool {
	switch {
	case a.Ecosystem != b.Ecosystem:
		return a.Ecosystem < b.Ecosystem
	case a.Name != b.Name:
		return a.Name < b.Name
	case a.Version != b.Version:
		return a.Version < b.Version
	case a.Arch != b.Arch:
		return a.Arch < b.Arch
	}
	return a.Path < b.Path
}

// finish joins what is visible in the end into packages and completes the report.
func (s *stack) finish(r *Report) {
	facts := make([]packages.Facts, 0, len(s.visible))
	for f := range s.visible {
		facts = append(facts, *f)
	}
	sort.Slice(facts, func(a, b int) bool {
		if facts[a].Path != facts[b].Path {
			return facts[a].Path < facts[b].Path
		}
		return facts[a].By < facts[b].By
	})
	inventory := packages.Join(facts)
	r.Release, r.Packages, r.Relations = inventory.Release, inventory.Packages, inventory.Relations
	r.Problems = append(r.Problems, inventory.Problems...)
	seen := s.seenFiles(r.Packages)
	for i := range r.Packages {
		s.attribute(&r.Packages[i], seen)
		seen.hash(&r.Packages[i])
	}
	r.Loose = seen.loose
	s.detail(r)
	r.Licences = countLicences(r.Packages)
}

// attribute says which layer brought a package.
func (s *stack) attribute(p *seaworthy.Package, seen *seenFiles) {
	for e := range p.Evidence {
		ev := &p.Evidence[e]
		layer, ok := s.sinceLayer(ev, p)
		if !ok {
			file := seen.at(topFile(ev.Path))
			if file == nil {
				continue
			}
			layer = file.layer
		}
		ev.Layer, ev.DiffID, ev.History = layer, s.layers[layer].DiffID, s.sources[layer].History
	}
}

func (s *stack) sinceLayer(ev *seaworthy.Evidence, p *seaworthy.Package) (int, bool) {
	n := s.since[place{ev.By, topFile(ev.Path), p.Name, p.Arch}][p.Version]
	return n - 1, n > 0
}

// detail adds to the layers' package changes what only the joined packages know.
func (s *stack) detail(r *Report) {
	type key struct{ by, path, name, version, arch string }
	final := make(map[key]*seaworthy.Package, len(r.Packages))
	names := make(map[string]string, len(r.Packages))
	for i := range r.Packages {
		p := &r.Packages[i]
		names[p.Ref] = p.Name
		for _, ev := range p.Evidence {
			final[key{ev.By, topFile(ev.Path), p.Name, p.Version, p.Arch}] = p
		}
	}
	for l := range r.Layers {
		for c := range r.Layers[l].Packages {
			change := &r.Layers[l].Packages[c]
			if p := final[key{change.By, change.Path, change.Name, change.Version, change.Arch}]; p != nil {
				change.Licence, change.CoveredBy = licenceOf(p), names[p.CoveredBy]
			} else {
				change.Gone = change.Change != Removed
			}
		}
	}
	s.detailGone(r)
	detailRemoved(r)
}

// detailGone finds the licences of packages that a later layer removed, in the facts of the layer itself.
func (s *stack) detailGone(r *Report) {
	for l := range r.Layers {
		var wanted map[string][]*PackageChange
		for c := range r.Layers[l].Packages {
			if change := &r.Layers[l].Packages[c]; change.Gone {
				if wanted == nil {
					wanted = map[string][]*PackageChange{}
				}
				wanted[change.Name+"\x00"+change.Version] = append(wanted[change.Name+"\x00"+change.Version], change)
			}
		}
		if wanted == nil {
			continue
		}
		for _, p := range packages.Join(s.layers[l].Facts).Packages {
			for _, change := range wanted[p.Name+"\x00"+p.Version] {
				change.Licence = licenceOf(&p)
			}
		}
	}
}

// detailRemoved gives packages that a layer removed the licence they came with, in a layer below.
func detailRemoved(r *Report) {
	type key struct{ by, name, version, arch string }
	licences := map[key]string{}
	for l := range r.Layers {
		for c := range r.Layers[l].Packages {
			change := &r.Layers[l].Packages[c]
			at := key{change.By, change.Name, change.Version, change.Arch}
			if change.Change == Removed {
				change.Licence = cmp.Or(change.Licence, licences[at])
			} else if change.Licence != "" {
				licences[at] = change.Licence
			}
		}
	}
}

func licenceOf(p *seaworthy.Package) string {
	if p.Licences.Concluded != "" {
		return p.Licences.Concluded
	}
	return p.Licences.Declared
}

func countLicences(all []seaworthy.Package) []LicenceCount {
	counts := map[string]int{}
	for i := range all {
		counts[licenceOf(&all[i])]++
	}
	return sortedCounts(counts)
}

// sortedCounts has the most used first.
func sortedCounts(counts map[string]int) []LicenceCount {
	out := make([]LicenceCount, 0, len(counts))
	for l, n := range counts {
		out = append(out, LicenceCount{Licence: l, Packages: n})
	}
	sort.Slice(out, func(a, b int) bool {
		if out[a].Packages != out[b].Packages {
			return out[a].Packages > out[b].Packages
		}
		return out[a].Licence < out[b].Licence
	})
	return out
}

func quote(s string) string { return strconv.Quote(s) }

func sortedStrings(s []string) []string {
	sort.Strings(s)
	return s
}
