package advisory

import (
	"encoding/binary"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// decoder reads a body. The first thing that does not fit sets err, and everything after reads as zero; lists
// are bounded by the bytes that are left, so a lying count costs nothing.
type decoder struct {
	db  *DB
	b   []byte
	err error
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = damaged("an entry does not fit its place")
	}
	d.b = nil
}

func (d *decoder) uint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

// count reads the length of a list whose elements take at least one byte each.
func (d *decoder) count() int {
	n := d.uint()
	if n > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.count()
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) ref() string {
	n := d.uint()
	if d.err != nil {
		return ""
	}
	b, err := d.db.stringBytes(n)
	if err != nil {
		d.err, d.b = err, nil
		return ""
	}
	return string(b)
}

func (d *decoder) refs() []string {
	n := d.count()
	if n == 0 {
		return nil
	}
	list := make([]string, 0, n)
	for i := 0; i < n && d.err == nil; i++ {
		list = append(list, d.ref())
	}
	return list
}

func (d *decoder) time() time.Time {
	v := d.uint()
	if v == 0 || v > 1<<40 {
		return time.Time{}
	}
	return time.Unix(int64(v), 0).UTC()
}

func (d *decoder) ratings() []Rating {
	n := d.count()
	var list []Rating
	for i := 0; i < n && d.err == nil; i++ {
		kind, severity, score := d.byte(), d.byte(), d.byte()
		if int(kind) >= len(ratingTypes) || severity > byte(seaworthy.SeverityCritical) || score > 100 {
			d.fail()
			return nil
		}
		list = append(list, Rating{
			Type: ratingTypes[kind], Severity: seaworthy.Severity(severity), Score: float64(score) / 10, Text: d.ref(),
		})
	}
	return list
}

// affected reads what one record says of one package. The enumerated versions stay encoded until asked for.
func (d *decoder) affected() Affected {
	a := Affected{db: d.db, Record: int(d.uint())}
	fix := d.byte()
	if int(fix) >= len(fixes) {
		d.fail()
		return a
	}
	a.Fix = fixes[fix]
	a.Notes = d.refs()
	a.Ratings = d.ratings()
	n := d.count()
	if n > 0 {
		a.Ranges = make([]Range, 0, n)
	}
	for i := 0; i < n && d.err == nil; i++ {
		kind := d.byte()
		if kind > rangeOther {
			d.fail()
			return a
		}
		r := Range{Type: RangeType(kind)}
		events := d.count()
		r.Events = make([]Event, 0, events)
		for j := 0; j < events && d.err == nil; j++ {
			what := d.byte()
			if what > eventLimit {
				d.fail()
				return a
			}
			r.Events = append(r.Events, Event{Kind: EventKind(what), Version: d.ref()})
		}
		a.Ranges = append(a.Ranges, r)
	}
	a.versions = d.b
	return a
}
