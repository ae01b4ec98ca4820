package packages

import (
	"bytes"
	"crypto/sha1" // Maven repositories name jars by it
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// jar recognises Java archives and the archives in them, to a depth of maxJarDepth. Who an archive is comes,
// in this order, from META-INF/maven/**/pom.properties that fits its name, its path in a Maven repository, the
// manifest, its file name. A group that is only likely is marked by the property maven:groupGuessedFrom.
//
// Other pom.properties in the same archive are of libraries that were merged into it ("shaded"): packages that
// the archive contains.
var jar = Recogniser{
	Name:    "jar",
	Version: 1,
	Wants: func(p string, size int64, _ fs.FileMode) bool {
		return size >= 22 && isJarName(p)
	},
	Read: readJar,
	Join: joinJars,
}

const (
	// maxJarDepth is how deep archives are opened within archives; the outermost has depth 1.
	maxJarDepth = 8
	// maxJarInflated is how many bytes all entries of one outermost archive may unpack to: 512 MiB.
	maxJarInflated = 512 << 20
	// maxJarHeld is how many unpacked bytes may be in memory at a time besides the outermost archive: 64 MiB.
	// Archives stored without compression, as Spring Boot does, cost nothing.
	maxJarHeld = 64 << 20
	// maxJarRatio is how many times its packed size an entry over 1 MiB may have. Deflate itself allows 1,032.
	maxJarRatio = 200
	// maxJarArchives is how many archives are opened within one outermost archive.
	maxJarArchives = 10_000
	// maxPom is the largest pom.xml, pom.properties or manifest that is read: 2 MiB.
	maxPom = 2 << 20
	// maxPoms is how many pom.xml and pom.properties of one archive are read.
	maxPoms = 2_000
)

// isJarName reports whether a path ends like a Java archive: a jar, or one of the containers that hold jars.
func isJarName[T string | []byte](p T) bool {
	dot := len(p) - 1
	for ; dot >= 0 && p[dot] != '.'; dot-- {
		if len(p)-dot > 5 || p[dot] == '/' {
			return false
		}
	}
	if dot < 0 {
		return false
	}
	switch string(p[dot:]) {
	case ".jar", ".war", ".ear", ".jpi", ".hpi", ".par", ".sar", ".lpkg", ".nar", ".kar":
		return true
	}
	return false
}

// jarReader reads one outermost archive and what is in it.
type jarReader struct {
	facts    Facts
	inflated uint64
	held     uint64
	archives int
	refs     int
}

func readJar(f *File) (Facts, error) {
	b, err := f.Bytes()
	if err != nil {
		return Facts{}, err
	}
	if len(b) < 4 || string(b[:2]) != "PK" && zipEnd(b) < 0 {
		return Facts{}, nil // a stub or an empty file of that name
	}
	r := jarReader{}
	r.archive(strings.Clone(f.Path), b, "", 1)
	return r.facts, nil
}

func (r *jarReader) problem(where string, err error) {
	const most = 200
	if len(r.facts.Problems) < most {
		r.facts.Problems = append(r.facts.Problems, seaworthy.NewProblem(where, err))
	}
}

// archive reads the archive b, found at where, in the package whose Ref is parent.
func (r *jarReader) archive(where string, b []byte, parent string, depth int) {
	if r.archives++; r.archives > maxJarArchives {
		if r.archives == maxJarArchives+1 {
			r.problem(where, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d archives in one", where, maxJarArchives))
		}
		return
	}
	var classes []byte
	seen := false
	z, err := openZip(b, func(name []byte) bool {
		if bytes.HasSuffix(name, []byte(".class")) {
			if slash := bytes.LastIndexByte(name, '/'); slash > 0 && !bytes.HasPrefix(name, []byte("META-INF/")) {
				if !seen {
					classes, seen = name[:slash], true
				}
				classes = commonDir(classes, name[:slash])
			}
			return false
		}
		return isJarMetadata(name) || isJarLicence(name) || isJarName(name)
	})
	if err != nil {
		r.problem(where, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", where))
		if z == nil {
			return
		}
	}
	for _, c := range z.complaints {
		r.problem(where, seaworthy.Errorf(seaworthy.Mismatch, "reading %q: %s", where, c))
	}
	meta := r.metadata(where, z)
	meta.classes = string(classes)
	self := r.add(where, parent, meta, b)
	for i := range z.entries {
		if e := &z.entries[i]; isJarName(e.name) {
			r.nested(where, z, e, self, depth)
		}
	}
}

// nested reads an archive within one.
func (r *jarReader) nested(where string, z *zipArchive, e *zipEntry, parent string, depth int) {
	inner := where + "!" + string(e.name)
	if depth == maxJarDepth {
		r.problem(inner, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: archives are nested more than %d deep", inner, maxJarDepth))
		return
	}
	b, err := r.open(z, e, maxJarHeld)
	if err != nil {
		r.problem(inner, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", inner))
		return
	}
	if e.method != 0 {
		r.held += e.size
		defer func() { r.held -= e.size }()
	}
	r.archive(inner, b, parent, depth+1)
}

// open unpacks an entry if the limits allow it. Errors: TooLarge, and those of zipArchive.open.
func (r *jarReader) open(z *zipArchive, e *zipEntry, limit uint64) ([]byte, error) {
	switch {
	case e.method == 0:
	case e.size > limit || e.size > maxJarHeld-r.held:
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "%q unpacks to %d bytes, more than is held in memory", e.name, e.size)
	case e.size > 1<<20 && e.size/maxJarRatio > e.packed:
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "%q unpacks to %d times its size", e.name, e.size/max(e.packed, 1))
	case e.size > maxJarInflated-r.inflated:
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "the entries up to %q unpack to more than %d bytes", e.name, maxJarInflated)
	}
	// Stored entries count too: entries may lie upon each other, and each is hashed.
	if e.size > maxJarInflated-r.inflated {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "the entries up to %q hold more than %d bytes", e.name, maxJarInflated)
	}
	r.inflated += e.size
	return z.open(e, nil)
}

// commonDir returns the deepest directory that both a and b are in or below; it is a part of a.
func commonDir(a, b []byte) []byte {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	if n == len(a) && (n == len(b) || b[n] == '/') || n == len(b) && n < len(a) && a[n] == '/' {
		return a[:n]
	}
	return a[:max(0, bytes.LastIndexByte(a[:n], '/'))]
}

// isJarLicence reports whether an entry is the archive's licence text.
func isJarLicence(name []byte) bool {
	switch string(bytes.TrimPrefix(name, []byte("META-INF/"))) {
	case "LICENSE", "LICENSE.txt", "LICENSE.md", "license.txt", "license/LICENSE.txt":
		return true
	}
	return false
}

// isJarMetadata reports whether an entry says what the archive is.
func isJarMetadata(name []byte) bool {
	if !bytes.HasPrefix(name, []byte("META-INF/")) {
		return false
	}
	return string(name) == "META-INF/MANIFEST.MF" || bytes.HasPrefix(name, []byte("META-INF/maven/")) && bytes.Count(name, []byte{'/'}) == 4 &&
		(bytes.HasSuffix(name, []byte("/pom.properties")) || bytes.HasSuffix(name, []byte("/pom.xml")))
}

// metadata reads the manifest and poms of an archive.
func (r *jarReader) metadata(where string, z *zipArchive) *jarMetadata {
	meta := &jarMetadata{poms: map[string]*pom{}}
	manifests, poms := 0, 0
	for i := range z.entries {
		e := &z.entries[i]
		if isJarLicence(e.name) && e.size <= maxPom && len(meta.texts) == 0 {
			if b, err := r.open(z, e, maxPom); err != nil {
				r.problem(where, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", where))
			} else if s := licence.FromText(b); s != "" {
				meta.texts = []string{s}
			}
			continue
		}
		if !isJarMetadata(e.name) {
			continue
		}
		isManifest := string(e.name) == "META-INF/MANIFEST.MF"
		if isManifest {
			if manifests++; manifests > 1 {
				r.problem(where, seaworthy.Errorf(seaworthy.Mismatch, "reading %q: the central directory names %q twice", where, e.name))
				continue
			}
		} else if poms++; poms > maxPoms {
			r.problem(where, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d pom files", where, maxPoms))
			break
		}
		if e.size > maxPom {
			r.problem(where, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: %q has %d bytes", where, e.name, e.size))
			continue
		}
		b, err := r.open(z, e, maxPom)
		if err != nil {
			r.problem(where, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", where))
			continue
		}
		if isManifest {
			meta.manifest = readManifest(b)
			continue
		}
		dir := path.Dir(string(e.name))
		have := meta.poms[dir]
		if have == nil {
			have = &pom{dir: dir}
			meta.poms[dir] = have
			meta.order = append(meta.order, dir)
		}
		if bytes.HasSuffix(e.name, []byte("/pom.properties")) {
			have.properties(b)
		} else if err := have.xml(b); err != nil {
			r.problem(where, seaworthy.Errorf(seaworthy.Invalid, "reading %q: %q: %w", where, e.name, err))
		}
	}
	return meta
}

// add makes the packages of one archive, itself first, and returns its Ref.
func (r *jarReader) add(where, parent string, meta *jarMetadata, b []byte) string {
	own, shaded := meta.identify(where)
	evidence := []seaworthy.Evidence{{Path: where, By: "jar"}}
	own.Evidence = evidence
	sum1, sum256 := sha1.Sum(b), sha256.Sum256(b)
	own.Hashes = []seaworthy.Digest{
		seaworthy.Digest("sha1:" + hex.EncodeToString(sum1[:])),
		seaworthy.Digest("sha256:" + hex.EncodeToString(sum256[:])),
	}
	own.HashOf = seaworthy.HashOfArtifact
	self := r.put(own)
	if parent != "" {
		r.facts.Relations = append(r.facts.Relations, seaworthy.Relation{From: parent, Type: seaworthy.Contains, To: self})
	}
	for _, p := range shaded {
		p.Evidence = evidence
		p.Properties = append(p.Properties, seaworthy.Property{Name: "maven:shaded", Value: "true"})
		r.facts.Relations = append(r.facts.Relations, seaworthy.Relation{From: self, Type: seaworthy.Contains, To: r.put(p)})
	}
	return self
}

func (r *jarReader) put(p seaworthy.Package) string {
	r.refs++
	p.Ref = strconv.Itoa(r.refs)
	r.facts.Packages = append(r.facts.Packages, p)
	return p.Ref
}

// mavenPackage makes a package of coordinates; group may be "".
func mavenPackage(group, artifact, version string) seaworthy.Package {
	p := seaworthy.Package{Ecosystem: "maven", Name: artifact, Version: version, PURL: purl.New("maven", group, artifact, version)}
	if group != "" {
		p.Name = group + ":" + artifact
	}
	return p
}

// joinJars gives packages their place, and finds what each pom's dependencies lead to: an archive in the same
// outermost archive, or beside it in the same directory. Which other directories a class path names is not known.
func joinJars(_ Context, all []Facts) Joined {
	var j Joined
	type key struct{ place, name string }
	index := map[key]string{} // → Ref
	var places [][2]string    // of j.Packages: outermost archive, its directory
	for i := range all {
		facts := &all[i]
		j.Problems = append(j.Problems, facts.Problems...)
		refs := make(map[string]string, len(facts.Packages))
		seen := make(map[string]int, len(facts.Packages))
		for k := range facts.Packages {
			p := facts.Packages[k]
			ref := placedRef(p.PURL, p.Evidence[0].Path)
			seen[ref]++
			if n := seen[ref]; n > 1 {
				ref += "#" + strconv.Itoa(n)
			}
			refs[p.Ref], p.Ref = ref, ref
			j.Packages = append(j.Packages, p)
			places = append(places, [2]string{facts.Path, path.Dir(facts.Path)})
			at := []string{facts.Path}
			if !strings.Contains(p.Evidence[0].Path, "!") {
				at = append(at, path.Dir(facts.Path))
			}
			for _, place := range at {
				if _, ok := index[key{place, p.Name}]; !ok {
					index[key{place, p.Name}] = ref
				}
			}
		}
		for _, r := range facts.Relations {
			if from, to := refs[r.From], refs[r.To]; from != "" && to != "" {
				j.Relations = append(j.Relations, seaworthy.Relation{From: from, Type: r.Type, To: to})
			}
		}
	}
	for i := range j.Packages {
		p := &j.Packages[i]
		for _, d := range p.Depends {
			for _, place := range places[i] {
				if to, ok := index[key{place, d.Name}]; ok {
					if to != p.Ref {
						j.Relations = append(j.Relations, seaworthy.Relation{From: p.Ref, Type: seaworthy.DependsOn, To: to, Scope: d.Scope})
					}
					break
				}
			}
		}
	}
	sortRelations(j.Relations)
	return j
}
