// Package bill makes, reads, checks, converts, merges and compares bills of materials. It knows all formats
// that package format holds, by name; a seaworthy.Bill is what they have in common.
package bill

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"path"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// Options say what a Report does not.
type Options struct {
	Tool    seaworthy.Tool
	Authors []seaworthy.Party
	Name    string // of the subject; "" means that of the report
	Version string // of the subject; "" means its tag, or its digest
	// Created is when the bill was made. Zero means the time the image itself was created, so that the same
	// image always gives the same bytes.
	Created time.Time
}

// namespaceBase is the prefix of the identity of every bill we make.
const namespaceBase = "https://seaworthy.dev/bill/"

// FromReport makes the bill of an inspected image, directory or file. Equal reports and options give equal
// bills: nothing depends on when or where it is made.
func FromReport(r *inspect.Report, o Options) *seaworthy.Bill {
	m := maker{report: r, bill: &seaworthy.Bill{Tools: []seaworthy.Tool{o.Tool}, Authors: o.Authors, Created: o.Created.UTC().Truncate(time.Second)}}
	if o.Created.IsZero() {
		m.bill.Created = r.Created.UTC().Truncate(time.Second)
	}
	if m.bill.Created.Year() < 1970 {
		m.bill.Created = time.Unix(0, 0).UTC()
	}
	root := m.root(o)
	m.bill.Name = root.Name
	if root.Version != "" {
		m.bill.Name += " " + root.Version
	}
	m.bill.Roots = []string{root.Ref}
	m.bill.Packages = append(m.bill.Packages, root)
	m.layers(root.Ref)
	m.system(root.Ref)
	m.packages(root.Ref)
	m.files(root.Ref)
	m.bill.Relations = append(m.bill.Relations, r.Relations...)
	m.bill.Context = "post-build"
	if r.Kind == "dir" && r.Release == nil {
		m.bill.Context = "pre-build"
	}
	m.bill.Problems = r.Problems
	if r.Incomplete {
		m.bill.Comment = "Incomplete: parts of the subject could not be read."
	}
	Sort(m.bill)
	m.bill.ID = namespaceBase + slug(root.Name) + "-" + fingerprint(m.bill, o)
	return m.bill
}

type maker struct {
	report *inspect.Report
	bill   *seaworthy.Bill
	layer  map[seaworthy.Digest]string // Ref of a layer by diffID
}

func (m *maker) relate(from string, typ seaworthy.RelationType, to string) {
	m.bill.Relations = append(m.bill.Relations, seaworthy.Relation{From: from, Type: typ, To: to})
}

// root is the package the bill is about.
func (m *maker) root(o Options) seaworthy.Package {
	r := m.report
	name, tag := repository(r)
	p := seaworthy.Package{Role: seaworthy.Container, Name: name, Version: tag}
	switch r.Kind {
	case "dir":
		p.Role = seaworthy.Application
		if r.Release != nil {
			p.Role = seaworthy.OS
		}
	case "file":
		p.Role = seaworthy.FileRole
	default:
		p.Ecosystem = "oci"
		if p.Version == "" {
			p.Version = string(r.Digest)
		}
		if i := strings.IndexByte(r.Platform, '/'); i >= 0 {
			p.Arch = r.Platform[i+1:]
		}
		p.PURL = imagePURL(r, name, tag, p.Arch)
		p.Description = r.Labels["org.opencontainers.image.description"]
		p.Homepage = r.Labels["org.opencontainers.image.url"]
		p.Properties = imageProperties(r)
		nameSupplier(&p, imageSupplier(r, name))
	}
	if o.Name != "" {
		p.Name = o.Name
	}
	if o.Version != "" {
		p.Version = o.Version
	}
	if r.Digest != "" {
		p.Hashes, p.HashOf = []seaworthy.Digest{r.Digest}, seaworthy.HashOfArtifact
	}
	p.Ref = "root:" + slug(p.Name)
	if r.Digest != "" {
		p.Ref = "image:" + string(r.Digest)
		if r.Kind == "file" {
			p.Ref = "file:" + string(r.Digest)
		}
	}
	return p
}

// repository splits what the image is called into its repository and tag. Of a layout or archive that gives it
// no name, that is the last part of its path: where it lies on this machine is nobody's business.
func repository(r *inspect.Report) (name, tag string) {
	name = r.Reference
	if name == "" && len(r.Tags) > 0 {
		name = r.Tags[0]
	}
	if name == "" || r.Kind == "dir" || r.Kind == "file" {
		return baseName(r.Target), ""
	}
	local := (r.Kind == "oci-dir" || r.Kind == "archive") && !slices.Contains(r.Tags, name)
	name, _, _ = strings.Cut(name, "@")
	if i := strings.LastIndexByte(name, ':'); i > strings.LastIndexByte(name, '/') {
		name, tag = name[:i], name[i+1:]
	}
	if local {
		name = baseName(name)
	}
	return name, tag
}

// baseName is the last part of a path, "image" where it has none.
func baseName(p string) string {
	switch base := path.Base(strings.TrimRight(p, "/")); base {
	case ".", "..", "/", "":
		return "image"
	default:
		return base
	}
}

// imagePURL follows the purl-spec's oci type: the last part of the repository is the name, the digest the
// version, and where it lives a qualifier. Only an image in a registry has a place.
func imagePURL(r *inspect.Report, repo, tag, arch string) string {
	if r.MediaType == "" || !r.Digest.NamesContent() {
		return ""
	}
	where := ""
	if r.Kind == "registry" {
		where = repo
	}
	return purl.New("oci", "", strings.ToLower(path.Base(repo)), string(r.Digest), "arch", arch, "repository_url", where, "tag", tag)
}

func imageProperties(r *inspect.Report) []seaworthy.Property {
	var out []seaworthy.Property
	add := func(name, value string) {
		if value != "" {
			out = append(out, seaworthy.Property{Name: name, Value: value})
		}
	}
	add("seaworthy:image:mediaType", r.MediaType)
	add("seaworthy:image:platform", r.Platform)
	add("seaworthy:image:index", string(r.Index))
	labels := make([]string, 0, len(r.Labels))
	for l := range r.Labels {
		labels = append(labels, l)
	}
	sort.Strings(labels)
	for _, l := range labels {
		add("seaworthy:image:label:"+l, r.Labels[l])
	}
	return out
}

// layers adds the image's layers as packages that it contains, the lowest first.
func (m *maker) layers(root string) {
	m.layer = map[seaworthy.Digest]string{}
	for i := range m.report.Layers {
		l := &m.report.Layers[i]
		p := seaworthy.Package{
			Ref: fmt.Sprintf("layer:%03d:%s", l.Number, l.DiffID), Role: seaworthy.Layer, Name: "layer " + strconv.Itoa(l.Number), Version: string(l.DiffID),
			Description: l.CreatedBy,
			Properties:  []seaworthy.Property{{Name: "seaworthy:layer:diffID", Value: string(l.DiffID)}, {Name: "seaworthy:layer:number", Value: strconv.Itoa(l.Number)}},
		}
		switch {
		case l.Digest != "":
			p.Hashes, p.HashOf = []seaworthy.Digest{l.Digest}, seaworthy.HashOfArtifact
		case l.DiffID != "":
			p.Hashes, p.HashOf = []seaworthy.Digest{l.DiffID}, seaworthy.HashOfArtifact
		}
		if _, twice := m.layer[l.DiffID]; !twice {
			m.layer[l.DiffID] = p.Ref
		}
		m.bill.Packages = append(m.bill.Packages, p)
		m.relate(root, seaworthy.Contains, p.Ref)
	}
}

// system adds the operating system.
func (m *maker) system(root string) {
	rel := m.report.Release
	if rel == nil || rel.ID == "" {
		return
	}
	p := seaworthy.Package{
		Ref: "os:" + rel.Distro(), Role: seaworthy.OS, Name: rel.ID, Version: rel.VersionID, Description: rel.PrettyName, Homepage: rel.Homepage,
		Supplier: seaworthy.Party{Kind: seaworthy.Organization, Name: rel.Name},
	}
	if rel.Name == "" {
		p.Supplier.Name = rel.ID
	}
	if rel.CPE != "" {
		p.Identifiers = []seaworthy.Identifier{{Type: cpeType(rel.CPE), Value: rel.CPE}}
	}
	m.bill.Packages = append(m.bill.Packages, p)
	m.relate(root, seaworthy.Contains, p.Ref)
}

func cpeType(cpe string) string {
	if strings.HasPrefix(cpe, "cpe:2.3:") {
		return "cpe23Type"
	}
	return "cpe22Type"
}

// packages adds what was found, each contained in the layer that brought it.
func (m *maker) packages(root string) {
	for _, p := range m.report.Packages {
		if p.Role == "" {
			p.Role = seaworthy.Library
		}
		if p.Licences.Concluded == "" {
			p.Licences.Concluded = conclude(p.Licences)
		}
		if p.Supplier == (seaworthy.Party{}) {
			nameSupplier(&p, packageSupplier(&p))
		}
		// Owned files and dependencies by name are in the bill as relations, where what they name is.
		p.Files, p.Depends = nil, nil
		m.bill.Packages = append(m.bill.Packages, p)
		m.relate(m.holder(p.Evidence, root), seaworthy.Contains, p.Ref)
	}
}

// holder is the layer that evidence points to, or the root where there is none.
func (m *maker) holder(evidence []seaworthy.Evidence, root string) string {
	if len(evidence) > 0 {
		if ref := m.layer[evidence[0].DiffID]; ref != "" && evidence[0].DiffID != "" {
			return ref
		}
	}
	return root
}

// files adds executables no package owns, and ties the packages found in them to them.
func (m *maker) files(root string) {
	refs := make(map[string]string, len(m.report.Loose))
	for _, f := range m.report.Loose {
		file := seaworthy.File{Ref: "file:/" + f.Path, Path: "/" + f.Path, Types: []string{"BINARY"}}
		if f.Digest != "" {
			file.Hashes = []seaworthy.Digest{f.Digest}
		}
		holder := root
		if f.Layer < len(m.report.Layers) {
			l := m.report.Layers[f.Layer]
			file.Evidence = []seaworthy.Evidence{{Path: f.Path, Layer: f.Layer, DiffID: l.DiffID, History: l.CreatedBy}}
			holder = m.holder(file.Evidence, root)
		}
		refs[f.Path] = file.Ref
		m.bill.Files = append(m.bill.Files, file)
		m.relate(holder, seaworthy.Contains, file.Ref)
	}
	for i := range m.report.Packages {
		p := &m.report.Packages[i]
		for _, e := range p.Evidence {
			outer, _, _ := strings.Cut(e.Path, "!")
			if ref := refs[outer]; ref != "" {
				m.relate(p.Ref, seaworthy.EvidentBy, ref)
			}
		}
	}
}

// conclude says what licence we hold to be true: what the package declares, or else what was found in its
// files; nothing when either is no licence SPDX knows.
func conclude(l seaworthy.Licences) string {
	expr := l.Declared
	if expr == "" && len(l.Found) > 0 {
		expr = strings.Join(l.Found, " AND ")
	}
	if strings.Contains(expr, "LicenseRef-") {
		return ""
	}
	return expr
}

// Sort puts a bill's parts into the one order that all writers keep: packages and files by Ref, relations by
// From, Type, To; doubles removed.
func Sort(b *seaworthy.Bill) {
	sort.SliceStable(b.Packages, func(i, j int) bool { return b.Packages[i].Ref < b.Packages[j].Ref })
	sort.SliceStable(b.Files, func(i, j int) bool { return b.Files[i].Ref < b.Files[j].Ref })
	less := func(x, y *seaworthy.Relation) bool {
		switch {
		case x.From != y.From:
			return x.From < y.From
		case x.Type != y.Type:
			return x.Type < y.Type
		case x.To != y.To:
			return x.To < y.To
		case x.Scope != y.Scope:
			return x.Scope < y.Scope
		}
		return x.Comment < y.Comment
	}
	sort.SliceStable(b.Relations, func(i, j int) bool { return less(&b.Relations[i], &b.Relations[j]) })
	kept := b.Relations[:0]
	for i, r := range b.Relations {
		if i == 0 || r != b.Relations[i-1] {
			kept = append(kept, r)
		}
	}
	b.Relations = kept
}

// fingerprint is a digest of what a bill says, so that its identity follows from its content.
func fingerprint(b *seaworthy.Bill, o Options) string {
	h := sha256.New()
	line := func(parts ...string) {
		for _, p := range parts {
			io.WriteString(h, p)
			h.Write([]byte{0})
		}
		h.Write([]byte{'\n'})
	}
	line(b.Name, b.Created.Format(time.RFC3339), o.Tool.Name, o.Tool.Version)
	for _, a := range b.Authors {
		line(string(a.Kind), a.Name, a.Email)
	}
	for i := range b.Packages {
		p := &b.Packages[i]
		line(p.Ref, p.Name, p.Version, p.Licences.Declared, p.Licences.Concluded)
		for _, d := range p.Hashes {
			line(string(d))
		}
	}
	for i := range b.Files {
		line(b.Files[i].Ref)
		for _, d := range b.Files[i].Hashes {
			line(string(d))
		}
	}
	for _, r := range b.Relations {
		line(r.From, string(r.Type), r.To, string(r.Scope))
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// slug makes a name safe to be part of a URI.
func slug(name string) string {
	var b strings.Builder
	for _, c := range []byte(name) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == '-', c == '/':
			b.WriteByte(c)
		default:
			b.WriteByte('-')
		}
	}
	return strings.Trim(b.String(), "/-")
}
