package advisory

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// Affected is what one advisory says of one package.
type Affected struct {
	Record  int           // number of the advisory, for DB.Record and DB.Group
	Fix     seaworthy.Fix // said apart from the ranges: FixDeclined, FixNone, or ""
	Notes   []string
	Ratings []Rating // for this package; most advisories rate as a whole
	Ranges  []Range

	db       *DB
	versions []byte
}

// Range is a set of versions told by events; see the OSV schema for how they are read.
type Range struct {
	Type   RangeType
	Events []Event
}

// RangeType says how the versions of a range are ordered.
type RangeType byte

// The types of range. Git ranges are not kept.
const (
	Semver     RangeType = rangeSemver    // Semantic Versioning 2.0
	Ecosystem  RangeType = rangeEcosystem // the ecosystem's own order
	OtherRange RangeType = rangeOther     // git only, or not known to us: cannot be compared
)

// Event is one point of a range.
type Event struct {
	Kind    EventKind
	Version string
}

// EventKind is what happens at an event.
type EventKind byte

// The kinds of event.
const (
	Introduced   EventKind = eventIntroduced
	Fixed        EventKind = eventFixed
	LastAffected EventKind = eventLastAffected
	Limit        EventKind = eventLimit
)

// EachVersion calls yield with every enumerated version until it returns false. The bytes are valid during the
// call. Errors: Mismatch.
func (a *Affected) EachVersion(yield func(version []byte) bool) error {
	d := decoder{db: a.db, b: a.versions}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		i := d.uint()
		if d.err != nil {
			break
		}
		b, err := a.db.stringBytes(i)
		if err != nil {
			return err
		}
		if !yield(b) {
			return nil
		}
	}
	return d.err
}

// Record is one advisory of one source.
type Record struct {
	ID        string      `json:"id"`
	Source    string      `json:"source"`
	Names     []string    `json:"names,omitempty"` // of the same vulnerability; of a bundle: what it is about
	Bundle    bool        `json:"bundle,omitempty"`
	Related   []string    `json:"related,omitempty"`
	Modified  time.Time   `json:"modified,omitzero"`
	Published time.Time   `json:"published,omitzero"`
	Summary   string      `json:"summary,omitempty"`
	Details   string      `json:"details,omitempty"` // CommonMark; of at most 32 KiB
	Ratings   []Rating    `json:"ratings,omitempty"`
	URLs      []Reference `json:"references,omitempty"`
	Packages  []Name      `json:"packages,omitempty"`

	Number int `json:"-"` // within the database: Affected.Record
	group  uint32
}

// Reference is a link of a record.
type Reference struct {
	Type string `json:"type,omitempty"`
	URL  string `json:"url"`
}

// Name names a package within a database; Name is normal.
type Name struct {
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
}

// Record returns advisory number i. Errors: Mismatch.
func (db *DB) Record(i int) (*Record, error) { return db.record(i, true) }

// record returns advisory number i, without its details unless they are asked for.
func (db *DB) record(i int, details bool) (*Record, error) {
	b, err := db.entry(secRecordTab, uint64(i))
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	body, err := db.section(secRecordData, le.Uint64(b), uint64(le.Uint32(b[8:])))
	if err != nil {
		return nil, err
	}
	id, err := db.stringBytes(uint64(le.Uint32(b[12:])))
	if err != nil {
		return nil, err
	}
	source := int(le.Uint16(b[20:]))
	if source >= len(db.meta.Sources) {
		return nil, damaged("record %d has no source", i)
	}
	r := &Record{
		ID: string(id), Source: db.meta.Sources[source].Name, Bundle: le.Uint16(b[22:])&flagBundle != 0,
		Number: i, group: le.Uint32(b[16:]),
	}
	d := decoder{db: db, b: body}
	r.Modified, r.Published, r.Summary, r.Ratings = d.time(), d.time(), d.text(), d.ratings()
	r.Names, r.Related = d.refs(), d.refs()
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.URLs = append(r.URLs, Reference{Type: d.ref(), URL: d.text()})
	}
	for n := d.count(); n > 0 && d.err == nil; n-- {
		r.Packages = append(r.Packages, Name{Ecosystem: d.ref(), Name: d.ref()})
	}
	if details {
		r.Details = d.text()
	}
	return r, d.err
}

// Group is one vulnerability: the records about it, of all sources.
type Group struct {
	ID      string    `json:"id"`      // the preferred name
	Aliases []string  `json:"aliases"` // the others, sorted
	Records []*Record `json:"records"`
}

// GroupOf returns the number of the group a record is in; records of one vulnerability have the same.
// Errors: Mismatch.
func (db *DB) GroupOf(record int) (int, error) {
	b, err := db.entry(secRecordTab, uint64(record))
	if err != nil {
		return 0, err
	}
	return int(binary.LittleEndian.Uint32(b[16:])), nil
}

// Group returns group i; the details of its records are left out. Errors: Mismatch.
func (db *DB) Group(i int) (*Group, error) { return db.group(i, false) }

func (db *DB) group(i int, details bool) (*Group, error) {
	b, err := db.entry(secGroupTab, uint64(i))
	if err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	id, err := db.stringBytes(uint64(le.Uint32(b)))
	if err != nil {
		return nil, err
	}
	g := &Group{ID: string(id), Aliases: []string{}}
	first, count := uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:]))
	if count > db.entries(secGroupList) {
		return nil, damaged("group %d has more records than there are", i)
	}
	for k := range count {
		e, err := db.entry(secGroupList, first+k)
		if err != nil {
			return nil, err
		}
		r, err := db.record(int(le.Uint32(e)), details)
		if err != nil {
			return nil, err
		}
		g.Records = append(g.Records, r)
		g.Aliases = append(append(g.Aliases, r.ID), r.Names...)
	}
	slices.Sort(g.Aliases)
	g.Aliases = slices.DeleteFunc(slices.Compact(g.Aliases), func(s string) bool { return s == g.ID })
	return g, nil
}

// Advisory is everything a database knows of a vulnerability.
type Advisory struct {
	Group
	// Bundles are notices that speak of this vulnerability among others.
	Bundles []*Record       `json:"bundles,omitempty"`
	EPSS    *seaworthy.EPSS `json:"epss,omitempty"`
	KEV     *seaworthy.KEV  `json:"kev,omitempty"`
}

// Advisory returns what is known under a name: an id or any alias. Errors: NotFound, Mismatch.
func (db *DB) Advisory(id string) (*Advisory, error) {
	le := binary.LittleEndian
	b, err := db.search(secIDTab, func(entry []byte) (int, error) { return db.compareText(le.Uint32(entry), id) })
	if err != nil {
		return nil, err
	}
	out := &Advisory{Group: Group{ID: id, Aliases: []string{}}}
	if b != nil {
		if err := db.advisory(out, uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:]))); err != nil {
			return nil, err
		}
	}
	for _, name := range append([]string{out.ID}, out.Aliases...) {
		if out.KEV == nil {
			if out.KEV, err = db.KEV(name); err != nil {
				return nil, err
			}
		}
		if out.EPSS == nil {
			if out.EPSS, err = db.EPSS(name); err != nil {
				return nil, err
			}
		}
	}
	if b == nil && out.KEV == nil && out.EPSS == nil {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "no advisory %q in this database", id)
	}
	return out, nil
}

// advisory fills out from a list of records: the group of the first that is no bundle, and the bundles.
func (db *DB) advisory(out *Advisory, first, count uint64) error {
	if count > db.entries(secIDList) {
		return damaged("a name has more records than there are")
	}
	le := binary.LittleEndian
	var bundles []*Record
	group := -1
	for k := range count {
		e, err := db.entry(secIDList, first+k)
		if err != nil {
			return err
		}
		r, err := db.Record(int(le.Uint32(e)))
		if err != nil {
			return err
		}
		if r.Bundle {
			bundles = append(bundles, r)
		} else if group < 0 {
			group = int(r.group)
		}
	}
	if group < 0 && len(bundles) == 1 { // asked for by a bundle's name, or known from one only
		group, bundles = int(bundles[0].group), nil
	}
	if group >= 0 {
		g, err := db.group(group, true)
		if err != nil {
			return err
		}
		out.Group = *g
	}
	out.Bundles = bundles
	return nil
}
