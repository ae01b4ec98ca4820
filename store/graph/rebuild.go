package graph

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/seaworthy-dev/seaworthy"
)

// rebuilder can forget what documents say, and keep the documents.
type rebuilder interface {
	// forgetStatements removes all but documents, their bytes and jobs, in one transaction.
	forgetStatements(ctx context.Context) error
}

// Rebuild makes all but the documents anew from their bytes. reparse gives what a document says: at least
// Entry.Statements, Entry.Names and Entry.Document.Verification. While it runs, questions see less than there is. When
// it is interrupted, doing it again is all that is needed. Errors: those of reparse, Unsupported, Storage.
func Rebuild(ctx context.Context, s Store, reparse func(doc seaworthy.Document, body []byte) (Entry, error)) error {
	engine, ok := s.(interface {
		rebuilder
		holder
	})
	if !ok {
		return seaworthy.Errorf(seaworthy.Unsupported, "rebuilding the graph: this engine cannot")
	}
	if err := engine.forgetStatements(ctx); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "rebuilding the graph")
	}
	var documents []seaworthy.Document
	err := engine.each(ctx, false, func(e Entry) error {
		documents = append(documents, e.Document)
		return nil
	})
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "rebuilding the graph")
	}
	for _, doc := range documents {
		body, err := s.Body(ctx, doc.Digest)
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "rebuilding the graph from %s", doc.Digest)
		}
		e, err := reparse(doc, body)
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Invalid, "rebuilding the graph from %s", doc.Digest)
		}
		e.Document.Digest, e.Body = doc.Digest, body
		if err := s.Replace(ctx, e); err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "rebuilding the graph from %s", doc.Digest)
		}
	}
	return nil
}

// Fingerprint hashes all that documents are and say, in the order of their ids: two stores have the same fingerprint
// when the same is in them, whatever their engines. Jobs do not count.
func Fingerprint(ctx context.Context, s Store) (string, error) {
	engine, ok := s.(holder)
	if !ok {
		return "", seaworthy.Errorf(seaworthy.Unsupported, "hashing the graph: this engine cannot")
	}
	h := sha256.New()
	out := json.NewEncoder(h)
	err := engine.each(ctx, false, func(e Entry) error {
		return out.Encode(packEntry(e))
	})
	if err != nil {
		return "", seaworthy.Wrap(err, seaworthy.Storage, "hashing the graph")
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// entryOf makes an Entry of what a document says, once subjects has all it speaks of.
func entryOf(doc seaworthy.Document, rows []row, names []alias, subjects map[ID]seaworthy.Subject) Entry {
	e := Entry{Document: doc, Statements: make([]seaworthy.Statement, len(rows)), Names: make([]Name, len(names))}
	for i, r := range rows {
		e.Statements[i] = seaworthy.Statement{Subject: subjects[r.subject], Predicate: predicateOf(r.predicate), Object: subjects[r.object], Attrs: slices.Clone(r.attrs)}
	}
	for i, n := range names {
		e.Names[i] = Name{subjects[n.id], n.text}
	}
	return e
}
