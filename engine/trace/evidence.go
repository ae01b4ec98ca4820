package trace

import (
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// batch is how many ids one call of the reader is given.
const batch = 4096

// evidence is a document that edges rest on.
type evidence struct {
	doc     seaworthy.Document
	signers []string // who is known to have signed it: sorted, verified
	inTime  bool     // it was there at the time the question is about
	trusted bool     // the question lets it count
}

func (e *evidence) signed() bool { return len(e.signers) > 0 }

// edge is what one or more documents say, all of which pass.
type edge struct {
	from, to  graph.ID // as asked: from is in the frontier
	predicate seaworthy.Predicate
	back      bool // to is the subject of the statements, from their object
	attrs     []seaworthy.Property
	others    []seaworthy.Property // of contains: what further documents say of it
	docs      []graph.ID
	signed    bool // at least one of docs is
}

// said is an attribute that any of the documents has: a manifest knows which layer it is, a configuration what made it.
func (e *edge) said(name string) string {
	if value := e.attr(name); value != "" {
		return value
	}
	return seaworthy.AttrOf(e.others, name)
}

func (e *edge) attr(name string) string { return seaworthy.AttrOf(e.attrs, name) }

// ends returns the statement's subject and object.
func (e *edge) ends() (subject, object graph.ID) {
	if e.back {
		return e.to, e.from
	}
	return e.from, e.to
}

// enough is how many documents that say the same are looked at. Whoever filters documents wants to hear of each that
// passes; for everybody else, a statement that this many documents make rests on enough of them.
//
// Of what affects what each document has its own word, and one of them may be the one that decides: all are read.
func (a *asking) enough(predicates []seaworthy.Predicate) int {
	if a.q.Trust.Signed || len(a.q.Trust.Signers) > 0 || !a.q.AsOf.IsZero() || slices.Contains(predicates, seaworthy.SaysAffects) {
		return 0
	}
	return enoughDocuments
}

// enoughDocuments bounds what is read of things that everything has: a thousand images say that libc6 depends on
// libcrypt1.
const enoughDocuments = 8

// statements reads what leads away from ids and passes, one statement after the other; those of one (from,
// predicate, to) follow each other. Reading ends early, and the answer is truncated, at MaxRead.
func (a *asking) statements(ids []graph.ID, back bool, predicates []seaworthy.Predicate, each func(*graph.Edge, *evidence) error) error {
	for part := range slices.Chunk(ids, batch) {
		q := graph.Query{From: part, Back: back, Predicates: predicates, Enough: a.enough(predicates)}
		for {
			if a.read >= MaxRead {
				a.out.Truncated = true
				return nil
			}
			if err := a.ctx.Err(); err != nil {
				return err
			}
			page, err := a.r.Edges(a.ctx, q)
			if err != nil {
				return err
			}
			a.read += len(page.Edges)
			if err := a.weigh(page.Edges); err != nil {
				return err
			}
			for i := range page.Edges {
				d := a.docs[page.Edges[i].Document]
				if !a.passes(d) {
					a.leftOut[page.Edges[i].Document] = true
					continue
				}
				if err := each(&page.Edges[i], d); err != nil {
					return err
				}
			}
			if page.Next == "" {
				break
			}
			q.After = page.Next
		}
	}
	return nil
}

// edges is statements with those that say the same put together. The attributes are of the first document that is
// signed, else of the first.
func (a *asking) edges(ids []graph.ID, back bool, predicates []seaworthy.Predicate) ([]edge, error) {
	var all []edge
	err := a.statements(ids, back, predicates, func(e *graph.Edge, d *evidence) error {
		all = a.merge(all, e, d, back)
		return nil
	})
	a.noteRoles(all)
	return all, err
}

// maxOthers is of how many documents that say the same all attributes are kept.
const maxOthers = 16

func (a *asking) merge(all []edge, e *graph.Edge, d *evidence, back bool) []edge {
	signed := d.signed()
	if n := len(all); n > 0 {
		last := &all[n-1]
		if last.from == e.From && last.predicate == e.Predicate && last.to == e.To {
			if enough := a.enough([]seaworthy.Predicate{e.Predicate}); enough > 0 && len(last.docs) >= enough {
				a.manySay = true // whether the engine left them out or not
				return all
			}
			more := e.Attrs
			if signed && !last.signed {
				last.signed, last.attrs, more = true, e.Attrs, last.attrs
			}
			if e.Predicate == seaworthy.SaysContains && len(last.docs) < maxOthers {
				last.others = append(last.others, more...)
			}
			last.docs = append(last.docs, e.Document)
			return all
		}
	}
	return append(all, edge{
		from: e.From, to: e.To, predicate: e.Predicate, back: back, attrs: e.Attrs, docs: []graph.ID{e.Document}, signed: signed,
	})
}

// weigh reads the documents of edges that are not known yet and decides which of them pass.
func (a *asking) weigh(edges []graph.Edge) error {
	var fresh []graph.ID
	for i := range edges {
		id := edges[i].Document
		if _, ok := a.docs[id]; !ok {
			a.docs[id] = &evidence{}
			fresh = append(fresh, id)
		}
	}
	return a.admit(fresh)
}

// admitIDs is weigh for documents that are named.
func (a *asking) admitIDs(ids []graph.ID) error {
	var fresh []graph.ID
	for _, id := range ids {
		if _, ok := a.docs[id]; !ok {
			a.docs[id] = &evidence{}
			fresh = append(fresh, id)
		}
	}
	return a.admit(fresh)
}

func (a *asking) admit(fresh []graph.ID) error {
	for part := range slices.Chunk(fresh, batch) {
		docs, err := a.r.Documents(a.ctx, part)
		if err != nil {
			return err
		}
		for i := range docs {
			e := a.docs[part[i]]
			e.doc = docs[i]
			e.signers = verified(&docs[i])
		}
		if err := a.signaturesOver(part); err != nil {
			return err
		}
		for _, id := range part {
			e := a.docs[id]
			e.inTime, e.trusted = a.inTime(&e.doc), a.q.Trust.lets(e)
		}
	}
	return nil
}

func verified(d *seaworthy.Document) []string {
	if d.Verification.State != seaworthy.VerifiedState {
		return nil
	}
	signers := slices.Clone(d.Verification.Signers)
	slices.Sort(signers)
	return slices.Compact(signers)
}

// signaturesOver adds to documents whoever signed them as artifacts, in another document. Only what that one was
// verified to be signed by counts: a statement that names a signer proves nothing of itself.
func (a *asking) signaturesOver(ids []graph.ID) error {
	owner := make(map[graph.ID]graph.ID, 2*len(ids))
	var from []graph.ID
	for _, id := range ids {
		d := a.docs[id].doc.Digest
		if d == "" {
			continue
		}
		as := seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(d)}.ID()
		owner[id], owner[as] = id, id
		from = append(from, id, as)
	}
	type signature struct{ about, actor, by graph.ID }
	var found []signature
	var by []graph.ID
	for part := range slices.Chunk(from, batch) {
		q := graph.Query{From: part, Predicates: []seaworthy.Predicate{seaworthy.SaysSigned}}
		for {
			page, err := a.r.Edges(a.ctx, q)
			if err != nil {
				return err
			}
			a.read += len(page.Edges)
			for i := range page.Edges {
				e := &page.Edges[i]
				if about := owner[e.From]; about != e.Document {
					found = append(found, signature{about, e.To, e.Document})
					by = append(by, e.Document)
				}
			}
			if page.Next == "" || a.read >= MaxRead {
				break
			}
			q.After = page.Next
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.SortFunc(by, compareID)
	by = slices.Compact(by)
	docs := make(map[graph.ID]*seaworthy.Document, len(by))
	for part := range slices.Chunk(by, batch) {
		list, err := a.r.Documents(a.ctx, part)
		if err != nil {
			return err
		}
		for i := range list {
			docs[part[i]] = &list[i]
		}
	}
	for _, s := range found {
		d := docs[s.by]
		if !a.inTime(d) {
			continue
		}
		e := a.docs[s.about]
		for _, signer := range verified(d) {
			if (seaworthy.Subject{Kind: seaworthy.ActorSubject, Key: signer}).ID() == s.actor {
				e.signers = append(e.signers, signer)
			}
		}
		slices.Sort(e.signers)
		e.signers = slices.Compact(e.signers)
	}
	return nil
}

// passes says whether a document counts. What a name means is told by any document: a person who asks about a tag
// wants to hear of what is signed about the image, though tags are not.
func (a *asking) passes(e *evidence) bool { return e.inTime && (e.trusted || a.naming) }

// lets says whether the statements of a document count.
func (t *Trust) lets(e *evidence) bool {
	switch {
	case len(t.Signers) > 0:
		return slices.ContainsFunc(e.signers, t.accepts)
	case t.Signed:
		return e.signed()
	}
	return true
}

func (a *asking) inTime(d *seaworthy.Document) bool {
	return d.Digest != "" && (a.q.AsOf.IsZero() || !d.Ingested.After(a.q.AsOf))
}

// accepts says whether a signer is one whose statements count.
func (t *Trust) accepts(signer string) bool {
	return slices.ContainsFunc(t.Signers, func(want string) bool {
		if prefix, ok := strings.CutSuffix(want, "*"); ok {
			return strings.HasPrefix(signer, prefix)
		}
		return signer == want
	})
}
