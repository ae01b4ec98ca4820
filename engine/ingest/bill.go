package ingest

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/format/facet"
	"github.com/seaworthy-dev/seaworthy/format/purl"
	"github.com/seaworthy-dev/seaworthy/format/vcs"
)

// element is a part of a bill as a subject.
type element struct {
	subject seaworthy.Subject // Kind "" when it has no identity: a file without a digest
	pkg     int               // index in Packages, -1 for files
	file    int               // index in Files, -1 for packages
	held    bool              // something in the bill contains it
}

// billPage turns a bill into statements.
type billPage struct {
	*page
	b        *seaworthy.Bill
	elements map[string]*element // by Ref
	all      []element
	texts    map[string]seaworthy.Digest // of licences, by LicenseRef-
	isRoot   map[string]bool             // by Ref
	areRoots map[seaworthy.Subject]bool
	paths    map[seaworthy.Subject]int // how many paths of a file were said
	nowhere  int                       // files without a digest
	image    bool                      // the root is an image or file system: what is in the bill is in it
	next     map[string][]string
	layers   map[string]string // by the comment that names it
}

// sayBill says what a bill says. about is what somebody who attests the bill says that it is about; nil when nobody
// does.
func (p *page) sayBill(b *seaworthy.Bill, about []seaworthy.Subject) {
	p.bill = b
	x := &billPage{page: p, b: b, elements: make(map[string]*element, len(b.Packages)+len(b.Files)), all: make([]element, 0, len(b.Packages)+len(b.Files)), paths: map[seaworthy.Subject]int{}}
	p.statements = slices.Grow(p.statements, 3*len(b.Packages)+len(b.Files)+len(b.Relations))
	x.readTexts()
	x.readElements()
	x.readRoots(about)
	x.areRoots = make(map[seaworthy.Subject]bool, len(x.roots))
	for _, s := range x.roots {
		x.areRoots[s] = true
	}
	x.relations()
	x.contents()
	for i := range x.all {
		if e := &x.all[i]; e.pkg >= 0 {
			x.sayPackage(e, &b.Packages[e.pkg])
		}
	}
	if x.nowhere > 0 {
		p.problems.Add("files", seaworthy.Noted, "%d files have no digest: there is nothing they could be recognised by, so they are in the document only", x.nowhere)
	}
	p.problems.List = append(p.problems.List, b.Problems...)
	packages := count(x.software())
	for _, root := range x.roots {
		p.describes(root, "files", count(len(b.Files)), "name", b.Name, "packages", packages)
	}
	if g, err := bill.Check(b, bill.NTIA); err == nil && g.Components > 0 {
		p.say(p.subject(), seaworthy.SaysRated, p.subject(), "by", "NTIA minimum elements", "score", strconv.Itoa(g.Score), "type", "grade")
	}
}

func count(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

// software counts packages that are no structure of the bill.
func (x *billPage) software() int {
	n := 0
	for i := range x.b.Packages {
		switch x.b.Packages[i].Role {
		case seaworthy.Container, seaworthy.Layer, seaworthy.OS, seaworthy.FileRole:
		default:
			if !x.isRoot[x.b.Packages[i].Ref] {
				n++
			}
		}
	}
	return n
}

func (x *billPage) readTexts() {
	for _, l := range x.b.Licences {
		if l.Text == "" {
			continue
		}
		if x.texts == nil {
			x.texts = map[string]seaworthy.Digest{}
		}
		x.texts[l.ID] = seaworthy.SHA256([]byte(l.Text))
	}
}

func (x *billPage) readElements() {
	for i := range x.b.Packages {
		pk := &x.b.Packages[i]
		x.all = append(x.all, element{subject: x.packageSubject(pk), pkg: i, file: -1})
		x.own(pk.Ref)
	}
	for i := range x.b.Files {
		f := &x.b.Files[i]
		e := element{pkg: -1, file: i}
		if d := best(f.Hashes); d != "" {
			e.subject = artifact(d)
			if x.isBinary(f.Types, f.Path) {
				x.name(e.subject, f.Path)
				for _, other := range f.Hashes {
					x.say(e.subject, seaworthy.SaysSame, artifact(other), "why", "digests of one file")
				}
			}
		} else {
			x.nowhere++
		}
		x.all = append(x.all, e)
		x.own(f.Ref)
	}
}

// own ties a Ref to the element that was added last. Of equal Refs the first counts.
func (x *billPage) own(ref string) {
	if _, ok := x.elements[ref]; !ok {
		x.elements[ref] = &x.all[len(x.all)-1]
	}
}

// packageSubject is what a package of a bill is in the graph: images and layers are artifacts where their digest is
// known, all else is a package by its purl, and by its name where it has none.
func (x *billPage) packageSubject(pk *seaworthy.Package) seaworthy.Subject {
	switch pk.Role {
	case seaworthy.Container:
		if s := x.imageSubject(pk); s.Kind != "" {
			return s
		}
	case seaworthy.Layer:
		if d := layerDigest(pk); d != "" {
			return artifact(d)
		}
	case seaworthy.FileRole:
		if d := best(pk.Hashes); d != "" {
			if x.isBinary(nil, pk.Name) {
				x.name(artifact(d), pk.Name)
			}
			return artifact(d)
		}
	}
	if pk.PURL != "" {
		if s, ok := x.packageNamed(pk.PURL); ok {
			return s
		}
		x.problems.Add(facet.Clip(pk.Ref), seaworthy.Invalid, "%q is no package URL", facet.Clip(pk.PURL))
	}
	return x.generic(pk.Name, pk.Version)
}

// generic is a package that only has a name.
func (x *billPage) generic(name, version string) seaworthy.Subject {
	if name == "" {
		name = "unnamed"
	}
	s, ok := x.packageNamed(purl.New("generic", "", name, version))
	if !ok {
		return seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:generic/unnamed"}
	}
	return s
}

func layerDigest(pk *seaworthy.Package) seaworthy.Digest {
	if d := best(pk.Hashes); d != "" {
		return d
	}
	d, err := seaworthy.ParseDigest(pk.Version)
	if err != nil {
		return ""
	}
	return d
}

// relations says what holds between the elements.
func (x *billPage) relations() {
	for i := range x.b.Relations {
		r := &x.b.Relations[i]
		from, to := x.elements[r.From], x.elements[r.To]
		if from == nil || to == nil {
			continue // the reader has noted it
		}
		switch r.Type {
		case seaworthy.Contains:
			if from == to {
				continue
			}
			to.held = true
			x.contains(from, to)
		case seaworthy.DependsOn:
			direct := ""
			if to.pkg >= 0 && x.b.Packages[to.pkg].Direct {
				direct = "true"
			}
			x.say(from.subject, seaworthy.SaysDepends, to.subject, "direct", direct, "scope", string(r.Scope))
		case seaworthy.EvidentBy: // the package was found in the file
			if to.file >= 0 {
				x.say(to.subject, seaworthy.SaysContains, from.subject, "path", x.b.Files[to.file].Path)
			}
		case seaworthy.GeneratedFrom, seaworthy.DescendantOf:
			x.say(from.subject, seaworthy.SaysBuilt, to.subject, "how", string(r.Type))
		case seaworthy.VariantOf:
			x.say(to.subject, seaworthy.SaysContains, from.subject)
		}
	}
}

func (x *billPage) contains(from, to *element) {
	if to.file >= 0 {
		x.hasFile(from.subject, to)
		return
	}
	pk := &x.b.Packages[to.pkg]
	if pk.Role == seaworthy.FileRole && to.subject.Kind == seaworthy.ArtifactSubject {
		x.say(from.subject, seaworthy.SaysHasFile, to.subject, "path", pk.Name)
		return
	}
	where, layer := found(pk.Evidence)
	x.say(from.subject, seaworthy.SaysContains, to.subject, "layer", layer, "path", where)
}

// found is the best evidence of a package.
func found(list []seaworthy.Evidence) (where, layer string) {
	if len(list) == 0 {
		return "", ""
	}
	where = list[0].Path
	if where != "" && !strings.HasPrefix(where, "/") {
		where = "/" + where
	}
	return where, string(list[0].DiffID)
}

// contents puts what nothing in the bill contains into what the bill is about. In an image is everything that its bill
// lists; an application has by itself only what its dependencies do not lead to.
func (x *billPage) contents() {
	if len(x.roots) != 1 {
		x.loose()
		return
	}
	root := x.roots[0]
	reached := map[string]bool{}
	if !x.image {
		x.reach(reached, x.b.Roots)
	}
	for i := range x.all {
		e := &x.all[i]
		ref := x.ref(e)
		switch {
		case e.subject == root || x.isRoot[ref]:
		case e.file >= 0:
			x.hasFile(root, e)
		case e.held && !x.isStructure(e):
		case !x.image && reached[ref]:
		case e.held:
		default:
			x.contains(&element{subject: root, pkg: -1, file: -1}, e)
			if !x.image {
				x.reach(reached, []string{ref})
			}
		}
	}
}

// isStructure reports whether an element only gives the bill its shape.
func (x *billPage) isStructure(e *element) bool {
	return e.pkg >= 0 && x.b.Packages[e.pkg].Role == seaworthy.Layer
}

func (x *billPage) ref(e *element) string {
	if e.pkg >= 0 {
		return x.b.Packages[e.pkg].Ref
	}
	return x.b.Files[e.file].Ref
}

// loose is contents for bills that are about several things, or nothing: the document itself tells of what nothing
// contains.
func (x *billPage) loose() {
	for i := range x.all {
		e := &x.all[i]
		switch {
		case e.held || e.subject.Kind == "" || x.areRoots[e.subject]:
		case e.file >= 0:
			x.hasFile(x.subject(), e)
		default:
			x.describes(e.subject)
		}
	}
}

// reach marks all that dependencies and containment lead to.
func (x *billPage) reach(reached map[string]bool, from []string) {
	next := x.edges()
	queue := slices.Clone(from)
	for len(queue) > 0 {
		ref := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if reached[ref] {
			continue
		}
		reached[ref] = true
		queue = append(queue, next[ref]...)
	}
}

// edges are made once: by Ref, what an element depends on or contains.
func (x *billPage) edges() map[string][]string {
	if x.next == nil {
		x.next = make(map[string][]string, len(x.b.Packages))
		for _, r := range x.b.Relations {
			if r.Type == seaworthy.DependsOn || r.Type == seaworthy.Contains {
				x.next[r.From] = append(x.next[r.From], r.To)
			}
		}
	}
	return x.next
}

// hasFile says that something has a file. Programs can be found by their path.
func (x *billPage) hasFile(holder seaworthy.Subject, e *element) {
	if e.subject.Kind == "" || holder.Kind == "" {
		return
	}
	f := &x.b.Files[e.file]
	if n := x.paths[e.subject]; n >= maxPaths {
		if n == maxPaths {
			x.paths[e.subject]++
			x.problems.Add("files", seaworthy.TooLarge, "the file %s is in more than %d places; the rest is in the document only", e.subject.Key, maxPaths)
		}
		return
	}
	x.paths[e.subject]++
	x.say(holder, seaworthy.SaysHasFile, e.subject, "layer", x.fileLayer(f), "path", f.Path, "types", strings.Join(f.Types, ","))
}

// fileLayer is the layer a file is in: our evidence, or the comment in which syft writes it. There are as many files as
// there are layers few, so the same text is kept once.
func (x *billPage) fileLayer(f *seaworthy.File) string {
	if len(f.Evidence) > 0 && f.Evidence[0].DiffID != "" {
		return string(f.Evidence[0].DiffID)
	}
	rest, ok := strings.CutPrefix(f.Comment, "layerID: ")
	if !ok {
		return ""
	}
	layer, seen := x.layers[rest]
	if !seen {
		if d, err := seaworthy.ParseDigest(strings.TrimSpace(rest)); err == nil {
			layer = string(d)
		}
		if x.layers == nil {
			x.layers = map[string]string{}
		}
		x.layers[rest] = layer
	}
	return layer
}

// programFolders are where programs lie; programEndings are of what is run wherever it lies.
var (
	programFolders = []string{"bin", "sbin", "libexec", "games"}
	programEndings = []string{".exe", ".dll", ".so", ".dylib", ".jar", ".war", ".ear", ".wasm"}
)

// isBinary reports whether a file is one that people look for by its path: an SPDX type says that it is a BINARY, or
// that it is an APPLICATION and its path agrees. syft calls APPLICATION whatever it has no better word for, the 1,162
// files of a time zone database among it, and an image has tens of thousands of files, whose paths would be most of
// the index and are never asked for. All paths are in the statements.
func (x *billPage) isBinary(types []string, where string) bool {
	if slices.Contains(types, "BINARY") {
		return true
	}
	if types != nil && !slices.Contains(types, "APPLICATION") {
		return false
	}
	dir, base := path.Split(where)
	return slices.Contains(programFolders, path.Base(dir)) || slices.Contains(programEndings, path.Ext(base)) || types != nil && strings.Trim(dir, "./") == ""
}

// sayPackage says what a package is by itself.
func (x *billPage) sayPackage(e *element, pk *seaworthy.Package) {
	s := e.subject
	x.licensed(s, "declared", pk.Licences.Declared)
	x.licensed(s, "concluded", pk.Licences.Concluded)
	for _, l := range pk.Licences.Found {
		x.licensed(s, "found", l)
	}
	if s.Kind == seaworthy.PackageSubject && hashIsOfArtifact(pk) {
		for _, d := range pk.Hashes {
			x.say(s, seaworthy.SaysSame, artifact(d), "why", "hash of the package")
		}
	}
	if d := pk.Property("seaworthy:layer:diffID"); d != "" && pk.Role == seaworthy.Layer {
		if id, err := seaworthy.ParseDigest(d); err == nil {
			x.say(s, seaworthy.SaysSame, artifact(id), "why", "layer and its diffID")
		}
	}
	x.sources(s, pk)
	if party := supplier(pk); party != "" {
		x.say(s, seaworthy.SaysNoted, x.subject(), "key", "supplier", "value", party)
	}
}

// hashIsOfArtifact reports whether the hashes of a package are of the file that was distributed. Go's are of the list
// of files, whoever wrote the bill, and a bill that does not say so means the file.
func hashIsOfArtifact(pk *seaworthy.Package) bool {
	switch pk.HashOf {
	case seaworthy.HashOfArtifact:
		return true
	case "":
		return !strings.HasPrefix(pk.PURL, "pkg:golang/")
	}
	return false
}

func (x *billPage) licensed(s seaworthy.Subject, how, expression string) {
	switch expression {
	case "", "NONE", "NOASSERTION":
		return
	}
	key := expression
	if d := x.texts[expression]; d != "" {
		key += "@" + string(d)
	}
	x.say(s, seaworthy.SaysLicensed, seaworthy.Subject{Kind: seaworthy.LicenceSubject, Key: key}, "how", how)
}

// sources says which repository a package comes from, where the bill says it in one of the places made for it.
func (x *billPage) sources(s seaworthy.Subject, pk *seaworthy.Package) {
	add := func(how, address string) {
		if how == "vcs" {
			address, _, _ = strings.Cut(address, " ") // a comment
		} else if !vcs.Says(address) {
			return
		}
		if l, err := vcs.Parse(address); err == nil {
			x.say(s, seaworthy.SaysSource, x.source(l), "how", how)
		}
	}
	add("download", pk.Download)
	add("homepage", pk.Homepage)
	for _, prop := range pk.Properties {
		if prop.Name == "vcs" || strings.HasSuffix(prop.Name, ":vcs") {
			add("vcs", prop.Value)
		}
	}
}

func supplier(pk *seaworthy.Package) string {
	for _, party := range []seaworthy.Party{pk.Supplier, pk.Originator} {
		switch {
		case party.Name != "" && party.Email != "":
			return party.Name + " <" + party.Email + ">"
		case party.Name != "":
			return party.Name
		case party.Email != "":
			return party.Email
		}
	}
	return ""
}
