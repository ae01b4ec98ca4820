package graph

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits of an entry.
const (
	// MaxKey is how long a subject's key or a name may be, in bytes.
	MaxKey = 8 << 10
	// MaxAttrs is how long the attributes of one statement may be together, in bytes.
	MaxAttrs = 1 << 20
)

// row is a statement as engines keep it, without its document.
type row struct {
	subject   ID
	predicate byte // its number, from 1
	object    ID
	attrs     []seaworthy.Property
}

func compareRows(a, b row) int {
	return cmp.Or(bytes.Compare(a.subject[:], b.subject[:]), cmp.Compare(a.predicate, b.predicate), bytes.Compare(a.object[:], b.object[:]))
}

// node is a subject with its id.
type node struct {
	id      ID
	subject seaworthy.Subject
}

// alias is a name with the id of its subject.
type alias struct {
	node
	text string
}

func compareAliases(a, b alias) int {
	return cmp.Or(bytes.Compare(a.id[:], b.id[:]), strings.Compare(a.text, b.text))
}

// fileTerm is what a file is found by: the last element of a path that a statement gives it.
type fileTerm struct {
	object node
	base   string
}

func compareFileTerms(a, b fileTerm) int {
	return cmp.Or(compareIDs(a.object.id, b.object.id), strings.Compare(a.base, b.base))
}

// ready is an entry in the form that all engines store: checked, sorted, nothing twice.
type ready struct {
	id    ID
	doc   seaworthy.Document
	body  []byte
	nodes []node // by id; the document is one of them
	rows  []row  // by subject, predicate, object
	names []alias
	files []fileTerm // by object, base
	jobs  []Job
	done  string // job
}

// prepare checks an entry and puts it into order. Two statements of a document about the same subject, predicate
// and object become one with the attributes of both.
func prepare(e Entry) (*ready, error) {
	doc := e.Document
	if len(e.Body) > MaxBody {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "storing %q: %d bytes, at most %d are kept", doc.Digest, len(e.Body), MaxBody)
	}
	if got := seaworthy.SHA256(e.Body); got != doc.Digest {
		return nil, seaworthy.Errorf(seaworthy.Mismatch, "storing %q: the bytes are those of %s", doc.Digest, got)
	}
	doc.Size, doc.Ingested = int64(len(e.Body)), instant(doc.Ingested)
	doc, err := plain(doc)
	if err != nil {
		return nil, err
	}
	r := &ready{id: DocumentID(doc.Digest), body: e.Body, done: e.Finishes}
	ids := make(map[seaworthy.Subject]ID, len(e.Statements))
	add := func(s seaworthy.Subject) (ID, error) {
		if id, ok := ids[s]; ok {
			return id, nil
		}
		if numberOfKind(s.Kind) == 0 || s.Key == "" || len(s.Key) > MaxKey {
			return ID{}, seaworthy.Errorf(seaworthy.Invalid, "storing %s: it speaks of the %s %.100q (%d bytes), which is no subject", doc.Digest, s.Kind, s.Key, len(s.Key))
		}
		id := s.ID()
		ids[s] = id
		r.nodes = append(r.nodes, node{id, s})
		return id, nil
	}
	if _, err := add(doc.Subject()); err != nil {
		return nil, err
	}
	r.rows = make([]row, 0, len(e.Statements))
	for i := range e.Statements {
		s := &e.Statements[i]
		p := numberOfPredicate(s.Predicate)
		if p == 0 {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "storing %s: there is no predicate %q", doc.Digest, s.Predicate)
		}
		subject, err := add(s.Subject)
		if err != nil {
			return nil, err
		}
		object, err := add(s.Object)
		if err != nil {
			return nil, err
		}
		r.rows = append(r.rows, row{subject, p, object, s.Attrs})
	}
	for _, n := range e.Names {
		if n.Text == "" || len(n.Text) > MaxKey {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "storing %s: a name of %d bytes for the %s %.100q", doc.Digest, len(n.Text), n.Subject.Kind, n.Subject.Key)
		}
		if n.Text == n.Subject.Key {
			continue
		}
		id, err := add(n.Subject)
		if err != nil {
			return nil, err
		}
		r.names = append(r.names, alias{node{id, n.Subject}, n.Text})
	}
	slices.SortFunc(r.nodes, func(a, b node) int { return bytes.Compare(a.id[:], b.id[:]) })
	slices.SortFunc(r.names, compareAliases)
	r.names = slices.CompactFunc(r.names, func(a, b alias) bool { return compareAliases(a, b) == 0 })
	r.doc = doc
	if err := r.merge(); err != nil {
		return nil, err
	}
	r.doc.Statements = len(r.rows)
	r.findFiles()
	for _, j := range e.Jobs {
		j, err := prepareJob(j)
		if err != nil {
			return nil, err
		}
		r.jobs = append(r.jobs, j)
	}
	return r, nil
}

// plain is a document as it comes back from any engine: one that went through JSON, which is how they keep it.
func plain(doc seaworthy.Document) (out seaworthy.Document, err error) {
	b, err := json.Marshal(doc)
	if err == nil {
		err = json.Unmarshal(b, &out)
	}
	return out, seaworthy.Wrap(err, seaworthy.Invalid, "storing %s", doc.Digest)
}

// merge sorts the rows and joins those that are about the same three.
func (r *ready) merge() error {
	slices.SortStableFunc(r.rows, compareRows)
	kept := r.rows[:0]
	for from := 0; from < len(r.rows); {
		to := from + 1
		for to < len(r.rows) && compareRows(r.rows[from], r.rows[to]) == 0 {
			to++
		}
		one := r.rows[from]
		size := 0
		if to > from+1 || !slices.IsSortedFunc(one.attrs, compareAttrs) {
			var all []seaworthy.Property
			for _, other := range r.rows[from:to] {
				all = append(all, other.attrs...)
			}
			slices.SortFunc(all, compareAttrs)
			one.attrs = slices.Compact(all)
		}
		for _, a := range one.attrs {
			size += len(a.Name) + len(a.Value)
		}
		if size > MaxAttrs {
			return seaworthy.Errorf(seaworthy.TooLarge, "storing %s: a statement with %d bytes of attributes, at most %d are kept", r.doc.Digest, size, MaxAttrs)
		}
		kept = append(kept, one)
		from = to
	}
	clear(r.rows[len(kept):])
	r.rows = kept
	return nil
}

// findFiles collects what files are found by, and drops names that only repeat it.
func (r *ready) findFiles() {
	type named struct {
		id   ID
		text string
	}
	paths := map[named]bool{}
	for i := range r.rows {
		x := &r.rows[i]
		if x.predicate != numberOfFile {
			continue
		}
		for path := range pathsOf(x.attrs) {
			if key := (named{x.object, path}); !paths[key] {
				paths[key] = true
				r.files = append(r.files, fileTerm{node{id: x.object}, baseOf(path)})
			}
		}
	}
	slices.SortFunc(r.files, compareFileTerms)
	r.files = slices.CompactFunc(r.files, func(a, b fileTerm) bool { return compareFileTerms(a, b) == 0 })
	at := 0
	for i := range r.files { // both are sorted by id
		for r.nodes[at].id != r.files[i].object.id {
			at++
		}
		r.files[i].object = r.nodes[at]
	}
	r.names = slices.DeleteFunc(r.names, func(n alias) bool { return paths[named{n.id, n.text}] })
}

func compareAttrs(a, b seaworthy.Property) int {
	return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
}

// counted says whether Top counts a predicate: all but the most frequent by far, of which nobody asks it.
func counted(p byte) bool { return p != numberOfFile }

// prepareJob checks a job and gives its times the one form in which engines keep them.
func prepareJob(j Job) (Job, error) {
	if j.ID == "" || j.Kind == "" || len(j.ID) > 255 || len(j.Kind) > 255 || strings.ContainsRune(j.ID+j.Kind, 0) || !utf8.ValidString(j.ID+j.Kind) {
		return Job{}, seaworthy.Errorf(seaworthy.Invalid, "queueing the job %.100q of kind %.100q: both must be text of 1 to 255 bytes, none of them zero", j.ID, j.Kind)
	}
	if j.Urgency > math.MaxInt32 || j.Urgency < math.MinInt32 {
		return Job{}, seaworthy.Errorf(seaworthy.Invalid, "queueing the job %q: its urgency is %d", j.ID, j.Urgency)
	}
	j.Title, j.LastFail = clean(j.Title), clean(j.LastFail)
	j.Created, j.Due = instant(j.Created), instant(j.Due)
	j.Payload = bytes.Clone(j.Payload)
	if len(j.Payload) == 0 {
		j.Payload = nil
	}
	switch j.State {
	case "":
		j.State = JobWaiting
	case JobWaiting, JobParked:
	default:
		return Job{}, seaworthy.Errorf(seaworthy.Invalid, "queueing the job %q: it cannot start as %q", j.ID, j.State)
	}
	return j, nil
}

// clean is text that every engine can keep.
func clean(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// instant is t in UTC, without a monotonic reading.
func instant(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Round(0)
}

// moreUrgent orders jobs as TakeJob takes them.
func moreUrgent(a, b Job) int {
	return cmp.Or(cmp.Compare(b.Urgency, a.Urgency), a.Due.Compare(b.Due), strings.Compare(a.ID, b.ID))
}
