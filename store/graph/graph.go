// Package graph keeps documents, the statements they make, and the work that is still to be done about them.
//
//	s, err := graph.Open(ctx, "/var/lib/seaworthy/graph", graph.Options{}) // or postgres://…
//	added, err := s.Put(ctx, graph.Entry{Document: doc, Body: bytes, Statements: statements})
//	page, err := s.Edges(ctx, graph.Query{From: []graph.ID{id}, Predicates: …})
//
// There are three tables: subjects, documents and statements; a statement is indexed from both of its ends. Ids
// come from content, so writers never read before they write and writing twice is free. Documents are the truth:
// the rest is an index that Rebuild makes again from their bytes.
//
// Two engines keep it, Pebble in a folder (one process at a time) and PostgreSQL; Memory is a third, for tests and
// as the plainest statement of the contract. store/storetest holds all of them to it.
package graph

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// ID is a subject's identity: seaworthy.Subject.ID. A document's is that of the document as a subject.
type ID = [16]byte

// DocumentID is the identity of the document with this digest.
func DocumentID(d seaworthy.Digest) ID {
	return seaworthy.Subject{Kind: seaworthy.DocumentSubject, Key: string(d)}.ID()
}

// FormatID writes an id as 32 hexadecimal digits.
func FormatID(id ID) string { return hex.EncodeToString(id[:]) }

// ParseID reads what FormatID writes. Errors: Invalid.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != hex.EncodedLen(len(id)) {
		return ID{}, seaworthy.Errorf(seaworthy.Invalid, "reading an id of %d characters: not 32 hexadecimal digits", len(s))
	}
	if _, err := hex.Decode(id[:], []byte(s)); err != nil {
		return ID{}, seaworthy.Errorf(seaworthy.Invalid, "reading the id %q: not 32 hexadecimal digits", s)
	}
	return id, nil
}

// Limits.
const (
	// MaxEdges is how many edges one page has at most.
	MaxEdges = 10_000
	// MaxFound is how many hits one search gives at most.
	MaxFound = 200
	// MaxBody is how large a document may be: 512 MiB.
	MaxBody = 512 << 20
)

// Entry is a document on its way in, with everything that becomes true at the same moment.
type Entry struct {
	Document   seaworthy.Document
	Body       []byte                // of which Document.Digest is the sha256; not changed, not kept
	Statements []seaworthy.Statement // two with the same subject, predicate and object become one with the attributes of both
	// Names are what else subjects are to be found by: image references, titles. The path of a SaysHasFile is one
	// already: a file is found by the beginning of its path's last element, with all folders before it or with none.
	Names []Name
	Jobs  []Job // work that follows from it
	// Finishes is the id of the job whose work this was; it is gone with the same transaction. "" for none.
	Finishes string
}

// Name is a text by which a subject is to be found, beside its key.
type Name struct {
	Subject seaworthy.Subject
	Text    string
}

// Store is what an engine does. Every method may be called from many goroutines at once. What Put, Delete and
// the job methods have done is durable when they return.
//
// Errors: Storage when the engine cannot (a full disk, a database that is gone and stayed gone after retries);
// NotFound for documents and jobs that are not there; Invalid for arguments that make no sense.
type Store interface {
	Reader
	// Put adds a document and all it says, or nothing; its Size and Statements are counted here. A document that is
	// there already is left as it is, added is false, and its jobs are not queued again; Finishes is honoured even so.
	// It is safe with any number of writers whose subjects overlap. What a deadlock, a restart or a failover broke off
	// is tried again with the same ids. Errors: also Mismatch when the bytes are not those of the digest, TooLarge.
	Put(ctx context.Context, e Entry) (added bool, err error)
	// Delete removes a document and what it said. Subjects that nothing speaks of any more are no longer found.
	Delete(ctx context.Context, document ID) error
	// Body returns the bytes of a document, checked against its digest. Errors: also Mismatch.
	Body(ctx context.Context, d seaworthy.Digest) ([]byte, error)
	// List returns documents, the newest first.
	List(ctx context.Context, q ListQuery) (ListPage, error)
	// Replace gives a document other statements, names and verification, in one transaction: what a parser or the
	// advisories now say about the same bytes. Its Ingested and Origin stay, and so does its Body, which need not be
	// given.
	Replace(ctx context.Context, e Entry) error

	JobQueue

	// Stats counts what there is. Counts of statements may lag.
	Stats(ctx context.Context) (Stats, error)
	// Check reads everything once and says what is wrong; no problem is found without being told.
	Check(ctx context.Context) ([]seaworthy.Problem, error)
	// Backup writes a consistent copy that Open (or psql-free Restore) can use into an empty folder, while others
	// read and write.
	Backup(ctx context.Context, dir string) error
	Close() error
}

// Reader is the part of a Store that questions need.
type Reader interface {
	// Edges returns the statements that lead away from subjects, a whole frontier in one call.
	Edges(ctx context.Context, q Query) (Page, error)
	// Subjects returns the subjects of ids, in their order; one that is not known has Kind "".
	Subjects(ctx context.Context, ids []ID) ([]seaworthy.Subject, error)
	// Documents returns documents without their bytes, in the order of ids; one that is not there has Digest "".
	Documents(ctx context.Context, ids []ID) ([]seaworthy.Document, error)
	// Find looks for subjects by what people remember of their keys.
	Find(ctx context.Context, s Search) ([]Hit, error)
	// Top returns the objects of a predicate that the most subjects point to, the most first. However many documents
	// say so, a subject counts once. SaysHasFile is not counted: Invalid.
	Top(ctx context.Context, predicate seaworthy.Predicate, kinds []seaworthy.SubjectKind, limit int) ([]Counted, error)
}

// Query asks for edges.
type Query struct {
	From []ID // each once; the order does not matter
	// Back asks for statements whose object is in From, instead of those whose subject is.
	Back       bool
	Predicates []seaworthy.Predicate // nil: all
	After      Cursor                // of the page before; "" for the first
	Limit      int                   // 0: MaxEdges
	// Enough is how many documents that say the same (From, Predicate and To) are enough: an engine may leave out
	// those after them. It is what bounds questions about things that every document speaks of. 0: all of them.
	Enough int
}

// Edge is a statement as seen from one of its ends.
type Edge struct {
	From      ID // the end that was asked about
	Predicate seaworthy.Predicate
	To        ID // the other end
	Document  ID
	Attrs     []seaworthy.Property // sorted by name, then value
}

// Page is part of an answer. Edges are ordered by From (as bytes, whatever the order of the query), predicate (in the
// order of seaworthy.Predicates), To and Document (as bytes). Next is "" on the last page. A cursor stays good while
// others write: it is the last edge's key.
type Page struct {
	Edges []Edge
	Next  Cursor
}

// Cursor says where a page ends. It is text for engines only.
type Cursor string

// Search looks for subjects.
type Search struct {
	// Text is a prefix of a key or name, or of one of its words: "sha256:ada9", "ada949e0", "openssl", "CVE-2023-4",
	// "ci@example.com", "kube-controller-manager". Case does not matter.
	Text  string
	Kinds []seaworthy.SubjectKind // nil: all
	Limit int                     // of each kind; 0: 20; MaxFound at most, which is also how many there are in all
}

// Hit is a subject that was found. Hits are ordered by kind (as in seaworthy.SubjectKinds), then by the word that
// begins with the text, whole keys and names before words in them, then by id.
type Hit struct {
	ID      ID
	Subject seaworthy.Subject
	Name    string // the name that was found by, when it was not the key
	Exact   bool   // the text is the whole key or name, or a digest without its algorithm
}

// Counted is a subject and how many others point to it.
type Counted struct {
	ID    ID
	Count int64
}

// ListQuery asks for documents.
type ListQuery struct {
	Kinds []seaworthy.DocumentKind // nil: all
	After Cursor
	Limit int // 0: 100
}

// ListPage is part of a list.
type ListPage struct {
	Documents []seaworthy.Document
	Next      Cursor
}

// Stats counts what a store has.
type Stats struct {
	Subjects   int64  `json:"subjects"`
	Documents  int64  `json:"documents"`
	Statements int64  `json:"statements"`
	Bytes      int64  `json:"bytes"` // on disk
	Engine     string `json:"engine"`
	Jobs       int64  `json:"jobs"` // waiting, running or parked
}

// JobQueue keeps work that is still to be done, in the same transactions as the data.
type JobQueue interface {
	// AddJobs queues work. A job whose ID is queued already is left as it is.
	AddJobs(ctx context.Context, jobs ...Job) error
	// TakeJob gives the most urgent job of these kinds (nil: all) that is due, and keeps it from others until lease
	// has passed: a worker that died loses it. ok is false when there is none.
	TakeJob(ctx context.Context, kinds []string, now time.Time, lease time.Duration) (job Job, ok bool, err error)
	// FinishJob removes a job that is done. Errors: NotFound.
	FinishJob(ctx context.Context, id string) error
	// FailJob says why a job could not be done; it is due again at again, or parked for a person when that is zero.
	FailJob(ctx context.Context, id string, cause string, again time.Time) error
	// RetryJob makes a parked or waiting job due now. Errors: Conflict when somebody works on it.
	RetryJob(ctx context.Context, id string, now time.Time) error
	// Jobs lists jobs, parked ones first, then by urgency. A limit of 0 is all of them, up to 10,000.
	Jobs(ctx context.Context, limit int) ([]Job, error)
}

// Job is work to be done.
type Job struct {
	ID       string    `json:"id"`      // from its content: the same work has the same id
	Kind     string    `json:"kind"`    // "ingest", "image", "match"
	Urgency  int       `json:"urgency"` // the greater, the sooner: UserWork before ScheduledWork
	Payload  []byte    `json:"-"`       // what the kind needs
	Title    string    `json:"title"`   // for people
	Created  time.Time `json:"created"` // UTC
	Due      time.Time `json:"due"`     // not before
	Tries    int       `json:"tries"`   // how often it was taken
	State    JobState  `json:"state"`   // as listed
	LastFail string    `json:"lastFail,omitempty"`
}

// Urgencies.
const (
	ScheduledWork = 0
	EventWork     = 10
	UserWork      = 20
)

// JobState is where a job stands.
type JobState string

// The states.
const (
	JobWaiting JobState = "waiting"
	JobRunning JobState = "running"
	JobParked  JobState = "parked" // it failed too often; a person decides
)
