package cyclonedx

import (
	"crypto/sha1" // UUID version 5 is defined by it (RFC 9562, 5.5); nothing is protected by it
	"encoding/hex"
	"slices"
	"strconv"

	"github.com/seaworthy-dev/seaworthy"
)

// serialNumber returns the URN of the bill: its ID when that is one, else a UUID version 5 made of the ID in
// the URL name space. A bill without an ID has none.
func serialNumber(id string) string {
	if id == "" || plainUUID.MatchString(id) {
		return id
	}
	nameSpaceURL := [16]byte{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}
	sum := sha1.Sum(append(nameSpaceURL[:], id...))
	sum[6] = sum[6]&0x0f | 0x50
	sum[8] = sum[8]&0x3f | 0x80
	h := hex.EncodeToString(sum[:16])
	return "urn:uuid:" + h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// documentVersion reads a kept document version.
func documentVersion(p seaworthy.Property) (int, bool) {
	n, err := strconv.Atoi(p.Value)
	ok := p.Name == keptVersion && err == nil && n > 1 && strconv.Itoa(n) == p.Value
	return n, ok
}

// metadata returns everything that is said of the bill itself.
func (l *layout) metadata() *metadata {
	b := l.b
	m := &metadata{Timestamp: timestamp(b.Created)}
	var holder component // collects the properties
	if id := serialNumber(b.ID); id != b.ID {
		l.addText(&holder, propID, b.ID)
	}
	l.addText(&holder, propName, b.Name)
	l.addText(&holder, propComment, b.Comment)
	if m.Timestamp == "" && !b.Created.IsZero() {
		holder.add(propCreated, strconv.FormatInt(b.Created.Unix(), 10))
	}
	if phases[b.Context] {
		m.Lifecycles = []lifecycle{{Phase: b.Context}}
	} else {
		l.addText(&holder, propContext, b.Context)
	}
	l.setTools(m, &holder)
	l.setAuthors(m, &holder)
	if b.DataLicence != "" {
		m.Licenses = licenses{l.choice(b.DataLicence, "")}
	}
	l.setRoot(m, &holder)
	for i := range l.edges {
		e := &l.edges[i]
		if _, ok := l.byRef[e.From]; !ok && !l.native(l.edges, i) {
			holder.add(propRelation, jsonValue(relationValue{&e.From, e.Type, e.To, e.Scope, e.Comment}))
		}
	}
	l.addTexts(&holder)
	if !l.notesExact() {
		holder.add(propNotes, jsonValue(b.Notes))
	}
	_, _, rest := l.documentLevel()
	for _, p := range rest {
		holder.Properties = append(holder.Properties, l.property(p))
	}
	m.Properties = holder.Properties
	return m
}

func (l *layout) setRoot(m *metadata, holder *component) {
	if l.rootsAll {
		holder.add(propRoots, jsonValue(l.b.Roots))
	}
	if l.root < 0 {
		return
	}
	m.Component = l.component(l.root)
	m.Supplier = m.Component.Supplier
}

func (l *layout) setTools(m *metadata, holder *component) {
	if len(l.b.Tools) == 0 {
		return
	}
	m.Tools = new(tools)
	exact := true
	for _, t := range l.b.Tools {
		w := tool{Type: "application", Publisher: l.text(t.Vendor), Name: l.text(t.Name), Version: l.text(t.Version)}
		if len(w.Version) > maxVersion {
			w.Version = ""
		}
		exact = exact && toolOf(w) == t
		m.Tools.Components = append(m.Tools.Components, w)
	}
	if !exact {
		holder.add(propTools, jsonValue(l.b.Tools))
	}
}

// toolOf reads a tool in any of its spellings.
func toolOf(t tool) seaworthy.Tool {
	vendor := t.Vendor
	for _, s := range []string{t.Publisher, partyOf(t.Supplier).Name, partyOf(t.Manufacturer).Name, partyOf(t.Provider).Name, t.Author, t.Group} {
		if vendor == "" {
			vendor = s
		}
	}
	return seaworthy.Tool{Vendor: original(vendor), Name: original(t.Name), Version: original(t.Version)}
}

// setAuthors writes people as authors and the first organisation as the manufacturer of the bill.
func (l *layout) setAuthors(m *metadata, holder *component) {
	for _, p := range l.b.Authors {
		if p.Kind == seaworthy.Person {
			if c := l.contact(p); c != nil {
				m.Authors = append(m.Authors, *c)
			}
		} else if m.Manufacturer == nil {
			m.Manufacturer = l.entity(p)
		}
	}
	if !slices.Equal(authorsOf(m), l.b.Authors) {
		holder.add(propAuthors, jsonValue(l.b.Authors))
	}
}

func authorsOf(m *metadata) []seaworthy.Party {
	var out []seaworthy.Party
	for _, c := range m.Authors {
		if p := personOf(c); p != (seaworthy.Party{}) {
			out = append(out, p)
		}
	}
	if p := partyOf(m.Manufacturer); p != (seaworthy.Party{}) {
		out = append(out, p)
	}
	return out
}

// addTexts writes the licence texts that no component carries.
func (l *layout) addTexts(holder *component) {
	placed := make(map[string]bool)
	for i := range l.texts {
		t := &l.texts[i]
		if _, ok := l.textHome[t.ID]; ok && !placed[t.ID] {
			placed[t.ID] = true
			continue
		}
		holder.add(propLicenceText, jsonValue(*t))
	}
}

// documentLevel takes those properties of the bill apart that are written as the document's version (1 when
// none says otherwise) and as its external references. Reading puts these before all others, so only leading
// ones qualify.
func (l *layout) documentLevel() (version int, references []externalRef, rest []seaworthy.Property) {
	version, rest = 1, l.b.Properties
	if len(rest) > 0 {
		if n, ok := documentVersion(rest[0]); ok {
			version, rest = n, rest[1:]
		}
	}
	for len(rest) > 0 {
		ref, ok := l.reference(rest[0])
		if !ok {
			break
		}
		references, rest = append(references, ref), rest[1:]
	}
	return version, references, rest
}

// eachDependency calls f for every element that dependencies list, sorted.
func (l *layout) eachDependency(f func(*dependency) error) error {
	for i := 0; i < len(l.edges); {
		from := l.edges[i].From
		d := dependency{Ref: l.text(from)}
		for ; i < len(l.edges) && l.edges[i].From == from; i++ {
			e := &l.edges[i]
			if !inDependencies(e) {
				continue
			}
			list := &d.DependsOn
			if e.Type == provides {
				list = &d.Provides
			}
			if to := l.text(e.To); len(*list) == 0 || (*list)[len(*list)-1] != to {
				*list = append(*list, to)
			}
		}
		if len(d.DependsOn)+len(d.Provides) == 0 {
			continue
		}
		if err := f(&d); err != nil {
			return err
		}
	}
	return nil
}

// annotation writes a note; nil when the schema has no room for it.
func (l *layout) annotation(n *seaworthy.Note) *annotation {
	at := timestamp(n.At)
	if at == "" {
		return nil
	}
	a := &annotation{Timestamp: at, Text: l.text(n.Text), Subjects: []string{}}
	if n.Ref != seaworthy.DocumentRef {
		if n.Ref == "" {
			return nil
		}
		a.Subjects = []string{l.text(n.Ref)}
		a.XSubjects = []xmlRef{{l.text(n.Ref)}}
	}
	switch n.By.Kind {
	case seaworthy.Organization:
		a.Annotator.Organization = l.entity(n.By)
	case seaworthy.Software:
		a.Annotator.Component = &tool{Type: "application", Name: l.text(n.By.Name)}
	default:
		a.Annotator.Individual = l.contact(n.By)
	}
	if a.Annotator == (annotator{}) {
		a.Annotator.Individual = new(contact)
	}
	return a
}

// notesOf reads an annotation: a note for each subject.
func notesOf(a *annotation) []seaworthy.Note {
	n := seaworthy.Note{Text: original(a.Text)}
	n.At, _ = parseTime(a.Timestamp)
	switch who := a.Annotator; {
	case who.Organization != nil:
		n.By = partyOf(who.Organization)
	case who.Individual != nil:
		n.By = personOf(*who.Individual)
	case who.Component != nil:
		n.By = seaworthy.Party{Kind: seaworthy.Software, Name: original(who.Component.Name)}
	case who.Service != nil:
		n.By = seaworthy.Party{Kind: seaworthy.Software, Name: original(who.Service.Name)}
	}
	subjects := a.Subjects
	for _, s := range a.XSubjects {
		if len(a.Subjects) == 0 {
			subjects = append(subjects, s.Ref)
		}
	}
	if len(subjects) == 0 {
		n.Ref = seaworthy.DocumentRef
		return []seaworthy.Note{n}
	}
	var out []seaworthy.Note
	for _, s := range subjects {
		n.Ref = original(s)
		out = append(out, n)
	}
	return out
}

// notesExact reports whether annotations say all notes in full; otherwise they are also kept as they are.
func (l *layout) notesExact() bool {
	for i := range l.b.Notes {
		a := l.annotation(&l.b.Notes[i])
		if a == nil {
			return false
		}
		a.XSubjects = nil
		back := notesOf(a)
		if len(back) != 1 || !back[0].At.Equal(l.b.Notes[i].At) {
			return false
		}
		back[0].At = l.b.Notes[i].At
		if back[0] != l.b.Notes[i] {
			return false
		}
	}
	return true
}
