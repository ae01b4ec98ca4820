package inspect

import (
	"path"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/packages"
	"github.com/seaworthy-dev/seaworthy/source/image"
)

// tree is the file system of an image while its layers are put on top of each other, lowest first, as a
// container runtime does (image-spec layer.md, "Applying Changesets"): every path is followed through the
// symbolic links of the layers below, and whiteouts hide only what lower layers brought.
type tree struct {
	root *node

	// What the layer being applied changed.
	layer    int
	counts   FileCounts
	changes  []FileChange
	listAll  bool
	came     []*packages.Facts
	gone     []*packages.Facts
	hidden   map[string]bool // files that whiteouts of this layer removed
	problems []seaworthy.Problem

	// The directory that the last entry was put in: tars are grouped by directory.
	lastDir  string
	lastNode *node

	files []fileNode // made in advance, many at a time
}

// fileNode is a file's node and content in one piece.
type fileNode struct {
	node
	content
}

// newFile returns a node for a file, with room for its content.
func (t *tree) newFile() *fileNode {
	if len(t.files) == 0 {
		t.files = make([]fileNode, 512)
	}
	f := &t.files[0]
	t.files = t.files[1:]
	return f
}

// node is a file or directory. A directory that no entry made has no entry.
type node struct {
	children map[string]*node
	entry    *image.Entry
	layer    int // that brought or last changed it
	content  *content
}

// content is what a regular file holds; hard links share it.
type content struct {
	entry *image.Entry
	layer int
	facts []*packages.Facts
	links int
}

func newTree(listAll bool) *tree {
	return &tree{root: &node{children: map[string]*node{}}, listAll: listAll}
}

func (n *node) isDir() bool { return n.children != nil }

func (n *node) symlink() (target string, ok bool) {
	if n.entry != nil && n.entry.Kind == image.Symlink {
		return n.entry.Link, true
	}
	return "", false
}

// apply puts layer number i on top.
func (t *tree) apply(i int, layer *image.Layer) {
	t.layer, t.counts, t.changes, t.came, t.gone, t.problems = i, FileCounts{}, nil, nil, nil, nil
	t.hidden = map[string]bool{}
	t.lastNode = nil
	for e := range layer.Entries {
		switch entry := &layer.Entries[e]; entry.Kind {
		case image.Whiteout:
			t.whiteout(entry.Path)
		case image.Opaque:
			t.opaque(entry.Path)
		}
	}
	facts := make(map[string][]*packages.Facts, len(layer.Facts))
	for f := range layer.Facts {
		p := layer.Facts[f].Path
		facts[p] = append(facts[p], &layer.Facts[f])
	}
	t.lastNode = nil
	for e := range layer.Entries {
		if entry := &layer.Entries[e]; entry.Kind != image.Whiteout && entry.Kind != image.Opaque {
			t.put(entry, facts[entry.Path])
		}
	}
	for p := range t.hidden {
		t.note(p, Removed, 0)
	}
}

func (t *tree) put(e *image.Entry, facts []*packages.Facts) {
	dir := t.directory(parentOf(e.Path), true)
	base := path.Base(e.Path)
	old := dir.children[base]
	if e.Kind == image.Dir {
		if old != nil && old.isDir() {
			old.entry, old.layer = e, t.layer
			return
		}
		if old != nil {
			t.remove(old, e.Path)
			t.lastNode = nil
		}
		dir.children[base] = &node{children: map[string]*node{}, entry: e, layer: t.layer}
		return
	}
	file := t.newFile()
	made := &file.node
	made.entry, made.layer = e, t.layer
	switch e.Kind {
	case image.Regular:
		file.content = content{entry: e, layer: t.layer, facts: facts, links: 1}
		made.content = &file.content
		t.came = append(t.came, facts...)
	case image.Hardlink:
		if made.content = t.linked(e); made.content == nil {
			t.problems = append(t.problems, seaworthy.Problem{Where: e.Path, Code: seaworthy.Invalid, Detail: "hard link to " + quote(e.Link) + ", which is not there"})
		}
	}
	t.countPut(e, old)
	if old != nil {
		if old.isDir() || e.Kind == image.Symlink {
			t.lastNode = nil
		}
		t.drop(old)
	} else if e.Kind == image.Symlink {
		t.lastNode = nil
	}
	dir.children[base] = made
}

// countPut says whether a file is new or changed in this layer; one that the layer holds twice counts once.
func (t *tree) countPut(e *image.Entry, old *node) {
	switch {
	case t.hidden[e.Path]:
		delete(t.hidden, e.Path)
		t.note(e.Path, Changed, e.Size)
	case old == nil:
		t.note(e.Path, Added, e.Size)
	case old.isDir():
		t.remove(old, e.Path)
		delete(t.hidden, e.Path)
		t.note(e.Path, Changed, e.Size)
	case old.layer != t.layer:
		t.note(e.Path, Changed, e.Size)
	}
}

func (t *tree) note(p string, how Change, size int64) {
	switch how {
	case Added:
		t.counts.Added++
	case Changed:
		t.counts.Changed++
	case Removed:
		t.counts.Removed++
	}
	t.counts.Bytes += size
	if t.listAll {
		t.changes = append(t.changes, FileChange{Path: p, Change: how, Size: size})
	}
}

// linked returns the content behind a hard link, and shares it.
func (t *tree) linked(e *image.Entry) *content {
	dir := t.directory(parentOf(e.Link), false)
	if dir == nil {
		return nil
	}
	target := dir.children[path.Base(e.Link)]
	if target == nil || target.content == nil {
		return nil
	}
	target.content.links++
	return target.content
}

func (t *tree) whiteout(p string) {
	dir := t.directory(parentOf(p), false)
	if dir == nil {
		return
	}
	base := path.Base(p)
	if old := dir.children[base]; old != nil {
		t.remove(old, p)
		delete(dir.children, base)
		t.lastNode = nil
	}
}

func (t *tree) opaque(p string) {
	dir := t.directory(p, false)
	if dir == nil {
		return
	}
	for base, old := range dir.children {
		t.remove(old, path.Join(p, base))
	}
	clear(dir.children)
	t.lastNode = nil
}

// remove takes a whole subtree away and counts its files as removed. It keeps its own stack: how deep a tree
// is, the image decides.
func (t *tree) remove(top *node, topPath string) {
	type item struct {
		n *node
		p string
	}
	for stack := []item{{top, topPath}}; len(stack) > 0; {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !at.n.isDir() {
			t.hidden[at.p] = true
			t.drop(at.n)
			continue
		}
		for base, child := range at.n.children {
			stack = append(stack, item{child, path.Join(at.p, base)})
		}
	}
}

// drop gives up one name of a file's content.
func (t *tree) drop(n *node) {
	if n.content == nil {
		return
	}
	if n.content.links--; n.content.links == 0 {
		t.gone = append(t.gone, n.content.facts...)
	}
}

// maxSymlinks is how many symbolic links one path may lead through, as Linux has it (path_resolution(7)).
const maxSymlinks = 40

// directory returns the directory at p, following symbolic links. With create, what is missing or in the way is
// made a directory; a path that leads in circles is then taken literally.
func (t *tree) directory(p string, create bool) *node {
	if t.lastNode != nil && t.lastDir == p {
		return t.lastNode
	}
	var n *node
	if below, ok := strings.CutPrefix(p, t.lastDir+"/"); ok && t.lastNode != nil && !strings.Contains(below, "/") {
		if child := t.lastNode.children[below]; child != nil && child.isDir() {
			n = child // one step down, as tars go: no need to begin at the root again
		}
	}
	if n == nil {
		n = t.resolve(p, create)
	}
	if n != nil {
		t.lastDir, t.lastNode = p, n
	}
	return n
}

func (t *tree) resolve(p string, create bool) *node {
	if p == "" {
		return t.root
	}
	trail := []level{{n: t.root}} // the directories passed, for ".."
	rest := strings.Split(p, "/")
	for links := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		at := trail[len(trail)-1].n
		switch part {
		case "", ".":
			continue
		case "..":
			if len(trail) > 1 {
				trail = trail[:len(trail)-1]
			}
			continue
		}
		child := at.children[part]
		if child != nil && !child.isDir() {
			target, isLink := child.symlink()
			if isLink && links < maxSymlinks {
				links++
				if strings.HasPrefix(target, "/") {
					trail = trail[:1]
				}
				rest = append(strings.Split(target, "/"), rest...)
				continue
			}
			if !create {
				return nil
			}
			// A file where a directory must be gives way, as runtimes have it.
			t.drop(child)
			t.note(strings.Join(append(names(trail), part), "/"), Removed, 0)
			child = nil
		}
		if child == nil {
			if !create {
				return nil
			}
			child = &node{children: map[string]*node{}, layer: t.layer}
			at.children[part] = child
		}
		trail = append(trail, level{child, part})
	}
	return trail[len(trail)-1].n
}

// level is one directory on the way down.
type level struct {
	n    *node
	name string
}

// names are those of the directories below the root.
func names(trail []level) []string {
	out := make([]string, 0, len(trail))
	for _, l := range trail[1:] {
		out = append(out, l.name)
	}
	return out
}

// parentOf is path.Dir with "" for the root.
func parentOf(p string) string {
	if i := strings.LastIndexByte(p, '/'); i >= 0 {
		return p[:i]
	}
	return ""
}

// visible calls visit for every file that is visible in the end, directories left out, in no order.
func (t *tree) visible(visit func(p string, n *node)) {
	type item struct {
		n *node
		p string
	}
	for stack := []item{{t.root, ""}}; len(stack) > 0; {
		at := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !at.n.isDir() {
			visit(at.p, at.n)
			continue
		}
		for base, child := range at.n.children {
			p := base
			if at.p != "" {
				p = at.p + "/" + base
			}
			stack = append(stack, item{child, p})
		}
	}
}
