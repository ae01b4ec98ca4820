package spdx

import (
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/facet"
)

// problemFunc notes a problem with the element at hand.
type problemFunc func(format string, args ...any)

func ignore(string, ...any) {}

func clip(s string) string                { return facet.Clip(s) }
func party(p seaworthy.Party) string      { return facet.FormatParty(p) }
func parseParty(s string) seaworthy.Party { return facet.ParseParty(s) }

// fileTypes are those SPDX 2.3 clause 8.3 lists.
var fileTypes = []string{
	"SOURCE", "BINARY", "ARCHIVE", "APPLICATION", "AUDIO", "IMAGE", "TEXT", "VIDEO", "DOCUMENTATION", "SPDX", "OTHER",
}

// fromFile fills e with what SPDX can say of f.
func (e *fileElement) fromFile(f *seaworthy.File) {
	e.Name = f.Path
	for _, t := range f.Types {
		if slices.Contains(fileTypes, t) {
			e.Types = append(e.Types, t)
		}
	}
	e.Checksums = checksums(f.Hashes)
	if len(e.Checksums) == 0 {
		e.Checksums = append(e.Checksums, checksum{Algorithm: "SHA1", Value: noHash})
	}
	e.Concluded, e.InFile = orNoAssertion(f.Licences.Concluded), f.Licences.Found
	e.Copyright, e.Comment = orNoAssertion(f.Copyright), f.Comment
	for _, prop := range f.Properties {
		switch prop.Name {
		case Property + "licenseComments":
			e.LicenseComments = prop.Value
		case Property + "noticeText":
			e.Notice = prop.Value
		case Property + "fileContributors":
			e.Contributors = append(e.Contributors, prop.Value)
		case Property + "attributionTexts":
			e.Attributions = append(e.Attributions, prop.Value)
		}
	}
}

// toFile is the way back.
func (e *fileElement) toFile(problem problemFunc) seaworthy.File {
	f := seaworthy.File{
		Path: e.Name, Types: e.Types, Hashes: digests(e.Checksums, problem),
		Copyright: assertion(e.Copyright), Comment: e.Comment,
	}
	f.Licences.Concluded = assertion(e.Concluded)
	for _, found := range e.InFile {
		if found = assertion(found); found != "" {
			f.Licences.Found = append(f.Licences.Found, found)
		}
	}
	add := func(name string, values ...string) {
		for _, v := range values {
			if v != "" {
				f.Properties = append(f.Properties, seaworthy.Property{Name: Property + name, Value: v})
			}
		}
	}
	add("licenseComments", e.LicenseComments)
	add("noticeText", e.Notice)
	add("fileContributors", e.Contributors...)
	add("attributionTexts", e.Attributions...)
	for _, v := range e.ArtifactOf {
		add("artifactOfs", string(v))
	}
	return f
}

func (e *licenceElement) fromText(l *seaworthy.LicenceText) {
	*e = licenceElement{ID: l.ID, Name: l.Name, Text: l.Text, SeeAlso: l.URLs, Comment: l.Comment}
}

func (e *licenceElement) toText() seaworthy.LicenceText {
	l := seaworthy.LicenceText{ID: e.ID, Name: assertion(e.Name), Text: e.Text, URLs: e.SeeAlso, Comment: e.Comment}
	for _, ref := range e.CrossRefs {
		if ref.URL != "" && !slices.Contains(l.URLs, ref.URL) {
			l.URLs = append(l.URLs, ref.URL)
		}
	}
	return l
}

// fromBill fills h with what SPDX can say of the bill itself. Creators has at least one entry, as SPDX demands.
func (h *header) fromBill(b *seaworthy.Bill) {
	h.Version, h.DataLicense = "SPDX-2.3", b.DataLicence
	if h.DataLicense == "" {
		h.DataLicense = "CC0-1.0"
	}
	h.Name, h.Namespace, h.Comment = b.Name, b.ID, b.Comment
	h.Creation.Created = facet.FormatTime(b.Created)
	for _, a := range b.Authors {
		h.Creation.Creators = append(h.Creation.Creators, party(a))
	}
	for _, t := range b.Tools {
		h.Creation.Creators = append(h.Creation.Creators, "Tool: "+facet.FormatTool(t))
	}
	if len(h.Creation.Creators) == 0 {
		h.Creation.Creators = []string{"Tool: seaworthy"}
	}
	for _, prop := range b.Properties {
		switch prop.Name {
		case Property + "licenseListVersion":
			h.Creation.ListVersion = prop.Value
		case Property + "creationInfo.comment":
			h.Creation.Comment = prop.Value
		case Property + "externalDocumentRefs":
			if doc, ok := parseExternal(prop.Value); ok {
				h.External = append(h.External, doc)
			}
		}
	}
}

// toBill is the way back; it sets the head of b only.
func (h *header) toBill(b *seaworthy.Bill, problem problemFunc) {
	b.Name, b.ID, b.Comment = h.Name, h.Namespace, h.Comment
	if h.DataLicense != "CC0-1.0" {
		b.DataLicence = h.DataLicense
	}
	b.Created = readTime(h.Creation.Created, problem)
	for _, c := range h.Creation.Creators {
		kind, name, ok := strings.Cut(c, ":")
		if ok && strings.EqualFold(strings.TrimSpace(kind), "Tool") {
			b.Tools = append(b.Tools, facet.ParseTool(name))
			continue
		}
		b.Authors = append(b.Authors, parseParty(c))
	}
	add := func(name, value string) {
		if value != "" {
			b.Properties = append(b.Properties, seaworthy.Property{Name: Property + name, Value: value})
		}
	}
	add("licenseListVersion", h.Creation.ListVersion)
	add("creationInfo.comment", h.Creation.Comment)
	for i := range h.External {
		add("externalDocumentRefs", h.External[i].String())
	}
}

func readTime(s string, problem problemFunc) time.Time {
	if s == "" {
		return time.Time{}
	}
	t, exact, err := facet.ParseTime(s)
	switch {
	case err != nil:
		problem("the time %q is none", clip(s))
	case !exact:
		problem("the time %q is not in UTC and whole seconds, as SPDX demands", clip(s))
	}
	return t
}

// String writes the reference as tag-value does: "DocumentRef-x URI SHA1: hex" (SPDX 2.3 clause 6.6).
func (d *externalDocument) String() string {
	return d.ID + " " + d.Document + " " + d.Checksum.Algorithm + ": " + d.Checksum.Value
}

func parseExternal(s string) (externalDocument, bool) {
	words := strings.Fields(s)
	if len(words) < 3 {
		return externalDocument{}, false
	}
	alg, value, ok := strings.Cut(strings.Join(words[2:], ""), ":")
	d := externalDocument{ID: words[0], Document: words[1], Checksum: checksum{Algorithm: alg, Value: value}}
	known := slices.ContainsFunc(algorithms, func(a [2]string) bool { return a[0] == alg })
	return d, ok && known && strings.HasPrefix(d.ID, "DocumentRef-")
}

// Relations without a type in SPDX 2 are OTHER. Those we make often are told by the first word of their comment,
// which other tools know; the rest by a facet there.
const (
	evidentBy = "evident-by: the file shows that the package is there"
	coveredBy = "ownership-by-file-overlap: the first package installed the files of the second"
)

// fromRelation fills e with r; the identifiers are the plan's.
func (e *relationship) fromRelation(r seaworthy.Relation, clean func(string) string) {
	*e = relationship{From: r.From, To: r.To, Comment: r.Comment}
	if verb, inverse, ok := facet.Verb(r); ok {
		e.Type = string(verb)
		if inverse {
			e.From, e.To = e.To, e.From
		}
	} else {
		e.Type = "OTHER"
		switch {
		case r.Type == seaworthy.EvidentBy && r.Scope == "":
			e.Comment = lines(evidentBy, r.Comment)
		case r.Type == seaworthy.CoveredBy && r.Scope == "":
			e.Comment = lines(coveredBy, r.Comment)
			e.From, e.To = e.To, e.From
		}
	}
	if clean != nil {
		e.Comment = clean(e.Comment)
	}
	if back, _ := e.toRelation(); back != r {
		got, want := seaworthy.Relation{}, r
		e.From, e.To, e.Type = r.From, r.To, "OTHER"
		e.Comment = facet.Diff(facet.OfRelation, &got, &want, "From", "To")
	}
}

func lines(first, rest string) string {
	if rest == "" {
		return first
	}
	return first + "\n" + rest
}

// toRelation is the way back.
func (e *relationship) toRelation() (seaworthy.Relation, error) {
	r := seaworthy.Relation{From: e.From, Type: seaworthy.RelationType(e.Type), To: e.To, Comment: e.Comment}
	if kind, object, ok := facet.Split(e.Comment); ok && kind == facet.OfRelation {
		r.Comment = ""
		err := facet.Apply(&r, object, "From", "To")
		if err != nil {
			r.Comment = e.Comment
		}
		return r, err
	}
	if e.Type == "OTHER" {
		switch {
		case strings.HasPrefix(e.Comment, "evident-by:"):
			r.Type, r.Comment = seaworthy.EvidentBy, afterLine(e.Comment, evidentBy)
			return r, nil
		case strings.HasPrefix(e.Comment, "ownership-by-file-overlap:"):
			r.Type, r.Comment = seaworthy.CoveredBy, afterLine(e.Comment, coveredBy)
			r.From, r.To = r.To, r.From
			return r, nil
		}
	}
	return facet.Turn(r), nil
}

// afterLine drops our own first line of a comment.
func afterLine(comment, first string) string {
	rest, ok := strings.CutPrefix(comment, first)
	switch {
	case ok && rest == "":
		return ""
	case ok && strings.HasPrefix(rest, "\n"):
		return rest[1:]
	}
	return comment
}

// fromNote fills a with n. ok is false when SPDX cannot hold the note as it is.
func (a *annotation) fromNote(n *seaworthy.Note, id string, clean, line func(string) string) (ok bool) {
	*a = annotation{About: id, Annotator: line(party(n.By)), Date: facet.FormatTime(n.At), Type: n.Kind, Comment: clean(n.Text)}
	back := a.toNote(ignore)
	_, _, isFacet := facet.Split(a.Comment)
	return !isFacet && a.Annotator != "" && (n.Kind == "REVIEW" || n.Kind == "OTHER") &&
		back.By == n.By && back.At.Equal(n.At) && back.Text == n.Text && !n.At.IsZero()
}

func (a *annotation) toNote(problem problemFunc) seaworthy.Note {
	return seaworthy.Note{Ref: a.About, By: parseParty(a.Annotator), At: readTime(a.Date, problem), Kind: a.Type, Text: a.Comment}
}

// unknown notes members that SPDX does not have.
func unknown(v jsontext.Value, problem problemFunc) {
	if len(v) == 0 {
		return
	}
	problem("it has members that SPDX 2.3 does not know and that are not kept: %s", clip(string(v)))
}
