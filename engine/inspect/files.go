package inspect

import (
	"crypto/sha256"
	"encoding/hex"
	"path"
	"sort"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/source/image"
)

// seenFiles are the visible files of an image, for questions by path.
type seenFiles struct {
	tree  *tree
	loose []LooseFile
}

// topFile cuts a path inside an archive ("a.jar!b.jar") to the file that holds it.
func topFile(p string) string {
	outer, _, _ := strings.Cut(p, "!")
	return outer
}

// seenFiles also finds the executables that no package owns.
func (s *stack) seenFiles(all []seaworthy.Package) *seenFiles {
	seen := &seenFiles{tree: s.tree}
	owned := map[*node]bool{}
	for i := range all {
		for _, f := range all[i].Files {
			if n := seen.node(f.Path); n != nil {
				owned[n] = true
			}
		}
	}
	s.tree.visible(func(p string, n *node) {
		if n.content == nil || owned[n] || n.content.entry.Mode&0o111 == 0 || !n.content.entry.Program {
			return
		}
		seen.loose = append(seen.loose, LooseFile{Path: p, Size: n.content.entry.Size, Digest: n.content.entry.SHA256(), Layer: n.layer})
	})
	sort.Slice(seen.loose, func(a, b int) bool { return seen.loose[a].Path < seen.loose[b].Path })
	return seen
}

// node returns the visible file at p, following symbolic links in its directory.
func (f *seenFiles) node(p string) *node {
	dir := f.tree.directory(parentOf(p), false)
	if dir == nil {
		return nil
	}
	n := dir.children[path.Base(p)]
	if n == nil || n.content == nil {
		return nil
	}
	return n
}

func (f *seenFiles) at(p string) *node { return f.node(p) }

// hash gives a package without hashes one that can be computed from what is installed.
func (f *seenFiles) hash(p *seaworthy.Package) {
	if len(p.Hashes) > 0 {
		return
	}
	if sum, ok := f.installed(p.Files); ok {
		p.Hashes, p.HashOf = []seaworthy.Digest{sum}, seaworthy.HashOfInstalled
		return
	}
	if len(p.Evidence) == 0 {
		return
	}
	if n := f.node(topFile(p.Evidence[0].Path)); n != nil && n.content.entry.Hashed() {
		p.Hashes, p.HashOf = []seaworthy.Digest{n.content.entry.SHA256()}, seaworthy.HashOfEvidence
	}
}

// installed hashes the installed files of a package, as HashOfInstalled says: one line "hex  path\n" for each
// regular file, sorted by path, as sha256sum prints them. False when none of them is there.
func (f *seenFiles) installed(owned []seaworthy.OwnedFile) (seaworthy.Digest, bool) {
	if len(owned) == 0 {
		return "", false
	}
	sorted := owned
	if !sort.SliceIsSorted(owned, func(a, b int) bool { return owned[a].Path < owned[b].Path }) {
		sorted = append([]seaworthy.OwnedFile(nil), owned...)
		sort.Slice(sorted, func(a, b int) bool { return sorted[a].Path < sorted[b].Path })
	}
	sum := sha256.New()
	var line []byte
	any := false
	for i := range sorted {
		n := f.node(sorted[i].Path)
		if n == nil || !n.content.entry.Hashed() || n.entry.Kind != image.Regular && n.entry.Kind != image.Hardlink {
			continue
		}
		any = true
		line = hex.AppendEncode(line[:0], n.content.entry.Digest[:])
		line = append(append(append(line, "  "...), sorted[i].Path...), '\n')
		sum.Write(line)
	}
	return seaworthy.Digest("sha256:" + hex.EncodeToString(sum.Sum(nil))), any
}
