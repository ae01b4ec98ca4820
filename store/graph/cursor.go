package graph

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"slices"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// place is where a page of edges ends: the key of its last edge. Being a key and not a number, it stays good while
// others write.
type place struct {
	from      ID
	predicate byte
	to        ID
	document  ID
}

const placeLen = 16 + 1 + 16 + 16

func (p place) cursor() Cursor {
	b := slices.Concat(p.from[:], []byte{p.predicate}, p.to[:], p.document[:])
	return Cursor(base64.RawURLEncoding.EncodeToString(b))
}

func badCursor(c Cursor) error {
	return seaworthy.Errorf(seaworthy.Invalid, "asking for the next page: %.100q is not where a page ended", string(c))
}

func (c Cursor) place() (place, error) {
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(b) != placeLen {
		return place{}, badCursor(c)
	}
	return place{ID(b[:16]), b[16], ID(b[17:33]), ID(b[33:49])}, nil
}

// question is a Query that was checked: its ids sorted, each once.
type question struct {
	from       []ID
	back       bool
	predicates []byte
	after      place
	started    bool // after counts
	limit      int
	enough     int // 0: all
}

func (q Query) check() (question, error) {
	out := question{back: q.Back, limit: q.Limit, enough: q.Enough}
	var err error
	if out.predicates, err = numbersOf(q.Predicates); err != nil {
		return out, err
	}
	if q.Limit < 0 || q.Limit > MaxEdges {
		return out, seaworthy.Errorf(seaworthy.Invalid, "asking for statements: %d at once, at most %d are given", q.Limit, MaxEdges)
	}
	if q.Limit == 0 {
		out.limit = MaxEdges
	}
	out.from = slices.Clone(q.From)
	slices.SortFunc(out.from, compareIDs)
	out.from = slices.Compact(out.from)
	if q.After == "" {
		return out, nil
	}
	if out.after, err = q.After.place(); err != nil {
		return out, err
	}
	out.started = true
	at, _ := slices.BinarySearchFunc(out.from, out.after.from, compareIDs)
	out.from = out.from[at:]
	return out, nil
}

func compareIDs(a, b ID) int { return bytes.Compare(a[:], b[:]) }

// listPlace is where a page of documents ends.
type listPlace struct {
	ingested int64 // as nanos gives it
	id       ID
}

func (p listPlace) cursor() Cursor {
	return Cursor(base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, uint64(p.ingested)), p.id[:]...)))
}

func (c Cursor) listPlace() (listPlace, error) {
	b, err := base64.RawURLEncoding.DecodeString(string(c))
	if err != nil || len(b) != 8+16 {
		return listPlace{}, badCursor(c)
	}
	return listPlace{int64(binary.BigEndian.Uint64(b)), ID(b[8:])}, nil
}

// listing is a ListQuery that was checked.
type listing struct {
	kinds   []seaworthy.DocumentKind // nil: all
	after   listPlace
	started bool
	limit   int
}

// maxList is how many documents one page of a list has at most.
const maxList = 1000

func (q ListQuery) check() (listing, error) {
	l := listing{kinds: q.Kinds, limit: q.Limit}
	for _, k := range q.Kinds {
		if !slices.Contains(documentKinds, k) {
			return l, seaworthy.Errorf(seaworthy.Invalid, "listing documents: there is no kind %q", k)
		}
	}
	if q.Limit < 0 || q.Limit > maxList {
		return l, seaworthy.Errorf(seaworthy.Invalid, "listing documents: %d at once, at most %d are given", q.Limit, maxList)
	}
	if q.Limit == 0 {
		l.limit = 100
	}
	if q.After == "" {
		return l, nil
	}
	var err error
	l.after, err = q.After.listPlace()
	l.started = err == nil
	return l, err
}

// nanos is t as a number that sorts like it: nanoseconds since 1970, and the least there is for no time at all.
func nanos(t time.Time) int64 {
	if t.IsZero() {
		return -1 << 63
	}
	return t.UnixNano()
}

// fromNanos is the time that nanos was given.
func fromNanos(n int64) time.Time {
	if n == -1<<63 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}
