package advisory

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/osv"
)

// Limits on what is kept of one record; more is cut off, which never changes what matches.
const (
	maxSummary    = 1 << 10  // bytes
	maxDetails    = 32 << 10 // bytes
	maxReferences = 32
	maxNotes      = 8
)

// encoder appends to a body. Texts that repeat are numbers of the string table, asked for by intern.
type encoder struct {
	b      []byte
	intern func(string) uint32
}

func (e *encoder) uint(v uint64) { e.b = binary.AppendUvarint(e.b, v) }
func (e *encoder) ref(s string)  { e.uint(uint64(e.intern(s))) }
func (e *encoder) byte(v byte)   { e.b = append(e.b, v) }
func (e *encoder) text(s string) { e.uint(uint64(len(s))); e.b = append(e.b, s...) }
func (e *encoder) refs(list []string) {
	e.uint(uint64(len(list)))
	for _, s := range list {
		e.ref(s)
	}
}

// time is kept in seconds, 0 for none or before 1970.
func (e *encoder) time(t time.Time) { e.uint(uint64(max(t.Unix(), 0))) }

func (e *encoder) ratings(list []Rating) {
	e.uint(uint64(len(list)))
	for _, r := range list {
		kind := ratingWord
		for i, name := range ratingTypes {
			if name == r.Type {
				kind = i
			}
		}
		e.byte(byte(kind))
		e.byte(byte(r.Severity))
		e.byte(byte(math.Round(r.Score * 10)))
		e.ref(r.Text)
	}
}

// clip cuts s to n bytes at a character.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// entry is a record on its way into the database.
type entry struct {
	id        string
	names     []string // of the same vulnerability
	bundle    bool
	related   []string
	modified  time.Time
	published time.Time
	summary   string
	details   string
	ratings   []Rating
	urls      []osv.Reference
	affected  []osv.Affected
	notes     [][]string // beside affected: facts such as "urgency: low"
	fix       []seaworthy.Fix
}

// fromOSV turns an OSV record into an entry.
func fromOSV(r *osv.Record) entry {
	e := entry{
		id: r.ID, related: r.Related, summary: r.Summary, details: r.Details, urls: r.References, affected: r.Affected,
	}
	e.names, e.bundle = sameNames(r.ID, r.Aliases, r.Upstream)
	e.modified, _ = osv.Time(r.Modified) // checked by the parser
	e.published, _ = osv.Time(r.Published)
	e.ratings = ratingsOf(r.Severity, r.Database.Severity)
	e.notes = make([][]string, len(r.Affected))
	e.fix = make([]seaworthy.Fix, len(r.Affected))
	for i := range r.Affected {
		if u := r.Affected[i].Ecosystem.Urgency; u != "" {
			e.notes[i] = append(e.notes[i], "urgency: "+u)
		}
	}
	return e
}

// ratingsOf reads what an advisory says about severity; words come after vectors.
func ratingsOf(list []osv.Severity, words ...string) (out []Rating) {
	for _, s := range list {
		if r, ok := RateVector(s.Score); ok {
			out = append(out, r)
		} else {
			words = append([]string{s.Score}, words...)
		}
	}
	for _, w := range words {
		if r, ok := RateWord(w); ok {
			out = append(out, r)
		}
	}
	return out
}

// record appends the body of a record; see DB.record for the reading side.
func (e *encoder) record(en *entry) {
	e.time(en.modified)
	e.time(en.published)
	e.text(clip(en.summary, maxSummary))
	e.ratings(en.ratings)
	e.refs(en.names)
	e.refs(en.related)
	n := min(len(en.urls), maxReferences)
	e.uint(uint64(n))
	for _, u := range en.urls[:n] {
		e.ref(u.Type)
		e.text(clip(u.URL, maxSummary))
	}
	e.uint(uint64(len(en.affected)))
	for i := range en.affected {
		e.ref(en.affected[i].Package.Ecosystem)
		e.ref(en.affected[i].Package.Name)
	}
	e.text(clip(en.details, maxDetails))
}

// fixes are the words for a repair's state, by number.
var fixes = [...]seaworthy.Fix{"", seaworthy.FixNone, seaworthy.FixDeclined}

// affectedBody appends what record number rec says of one package; see decodeAffected for the reading side.
func (e *encoder) affectedBody(rec int, a *osv.Affected, notes []string, fix seaworthy.Fix) {
	e.uint(uint64(rec))
	fixNumber := 0
	for i, f := range fixes {
		if f == fix {
			fixNumber = i
		}
	}
	e.byte(byte(fixNumber))
	e.refs(notes[:min(len(notes), maxNotes)])
	e.ratings(ratingsOf(a.Severity, a.Ecosystem.Severity, a.Database.Severity, a.Ecosystem.Urgency))
	kept := 0
	for _, r := range a.Ranges {
		if r.Type != "GIT" {
			kept++
		}
	}
	if kept == 0 && len(a.Ranges) > 0 && len(a.Versions) == 0 { // git only: say that it cannot be compared
		e.uint(1)
		e.byte(rangeOther)
		e.uint(0)
		e.refs(nil)
		return
	}
	e.uint(uint64(kept))
	for _, r := range a.Ranges {
		switch r.Type {
		case "GIT":
			continue
		case "SEMVER":
			e.byte(rangeSemver)
		case "ECOSYSTEM":
			e.byte(rangeEcosystem)
		default:
			e.byte(rangeOther)
		}
		e.uint(uint64(len(r.Events)))
		for _, ev := range r.Events {
			switch {
			case ev.Introduced != "":
				e.byte(eventIntroduced)
				e.ref(ev.Introduced)
			case ev.Fixed != "":
				e.byte(eventFixed)
				e.ref(ev.Fixed)
			case ev.LastAffected != "":
				e.byte(eventLastAffected)
				e.ref(ev.LastAffected)
			default:
				e.byte(eventLimit)
				e.ref(ev.Limit)
			}
		}
	}
	e.refs(a.Versions)
}
