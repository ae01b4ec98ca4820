// Package trace answers questions about evidence: what is known of something, what is wrong with it, how one thing
// leads to another, what depends on it, what is missing. It walks the graph of statements that store/graph keeps.
//
//	t := trace.New(store, trace.Options{})
//	answer, err := t.Ask(ctx, trace.Question{Verb: "vulns", Subject: "registry.example/app:1.2"})
//
// One walk answers all of them: a whole frontier a step, both directions, bounded, safe with cycles. Every row and
// edge of an answer names the documents that say so, and the answer says who signed these. Trust and time are
// filters of the walk: a statement whose document does not pass is not seen, and the answer says how many did not.
// Only what a name means is not a matter of trust: who asks about a tag wants to hear of what is signed about the image.
//
// # Signed
//
// A document is signed when somebody is proven to have signed it: it was verified when it came, or another document
// that was verified signs it as a file. A row or edge is signed when everything it rests on is: for each step on the
// way to it, and for what it says, there is a signed document. What is not is marked, and never mixed with what is.
// A document that another one attaches to an artifact is evidence about it, but its signature says nothing of that.
//
// # VEX
//
// Of several VEX statements about a finding one that is signed goes before those that are not. Among these the order
// is that of package match: the latest, then the one about the more specific product. not_affected and fixed take the
// finding away; it stays in the answer with the statement that did it. A statement about a part of a product
// (attribute product) speaks of it in that product only.
//
// # What is missing
//
// Evidence that should be there and is not is part of the answer, as a Gap of its node. That a document is not there
// and that it does not count (Trust, AsOf) look the same there; Notes tell them apart.
package trace

import (
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

// Question is what somebody wants to know.
type Question struct {
	// Verb is one of Verbs.
	Verb string `json:"verb"`
	// Subject is what it is about, as a person writes it: a digest or its beginning, a purl, an image reference, an
	// advisory id, a file path, an identity, or an id of 32 hexadecimal digits.
	Subject string `json:"subject,omitempty"`
	To      string `json:"to,omitempty"` // of path and diff: the other end
	Trust   Trust  `json:"trust,omitzero"`
	// AsOf leaves out documents that were ingested later. Zero: none.
	AsOf  time.Time `json:"asOf,omitzero"`
	Depth int       `json:"depth,omitempty"` // how many steps; 0: DefaultDepth of the verb
	Limit int       `json:"limit,omitempty"` // how many rows or nodes; 0: of the verb
	// Expand are ids of groups ("+ 412 files") that a neighbourhood is to show the members of.
	Expand []string `json:"expand,omitempty"`
	// Kinds restricts find and top.
	Kinds []seaworthy.SubjectKind `json:"kinds,omitempty"`
}

// Trust says whose statements count.
type Trust struct {
	// Signed leaves out what nobody signed, and what was signed and could not be verified.
	Signed bool `json:"signed,omitempty"`
	// Signers are keys of actors whose statements count, and nobody else's: "identity:ci@example.com|https://issuer",
	// "key:sha256:…"; one that ends with * is a prefix.
	Signers []string `json:"signers,omitempty"`
}

// Answer is what is known. Nodes, edges and documents are each named once and referred to by id or digest. An empty
// list is an answer too, and is never null in JSON.
type Answer struct {
	Question Question `json:"question"`
	Subject  string   `json:"subject,omitempty"` // id of the node it is about
	Title    string   `json:"title"`             // the answer in one line: "3 vulnerabilities, 1 fixable"
	Nodes    []Node   `json:"nodes"`
	Edges    []Edge   `json:"edges"` // of graphs, paths and trees
	// Columns and Rows are the answer as a table, the most important first.
	Columns []string `json:"columns"`
	Rows    []Row    `json:"rows"`
	Tiles   []Tile   `json:"tiles,omitempty"` // of artifact: signature, provenance, bill, findings, verdict
	Missing []Gap    `json:"missing"`         // evidence that should be there and is not
	// Documents are those that rows and edges rest on.
	Documents []Document `json:"documents"`
	Notes     []string   `json:"notes,omitempty"`
	Truncated bool       `json:"truncated,omitempty"` // there was more than the limit
	Took      float64    `json:"tookMs"`              // milliseconds
}

// Node is a subject, or a group of them.
type Node struct {
	ID    string                `json:"id"` // 32 hexadecimal digits, or "group:…"
	Kind  seaworthy.SubjectKind `json:"kind"`
	Key   string                `json:"key"`
	Label string                `json:"label"`           // short, for people: "/go-runner", "libc6 2.36-9", "CVE-2023-44487"
	Role  string                `json:"role,omitempty"`  // of artifacts: image, index, layer, file, binary, bill, attestation
	Facts []seaworthy.Property  `json:"facts,omitempty"` // what is worth showing beside it
	Depth int                   `json:"depth"`           // steps from the subject; negative on the side that leads to it
	Group int                   `json:"group,omitempty"` // of groups: how many it stands for
}

// Edge is a statement, or several that say the same.
type Edge struct {
	From      string               `json:"from"`
	To        string               `json:"to"`
	Predicate seaworthy.Predicate  `json:"predicate"`
	Attrs     []seaworthy.Property `json:"attrs,omitempty"`
	Documents []string             `json:"documents"` // digests of those that say so
	Signed    bool                 `json:"signed"`    // at least one of them is signed and verified
}

// Row is a line of an answer.
type Row struct {
	Node      string   `json:"node,omitempty"`  // what it is about
	Cells     []string `json:"cells"`           // as many as there are columns
	Level     int      `json:"level,omitempty"` // of trees: how deep
	Via       []string `json:"via,omitempty"`   // nodes from the subject to it
	Documents []string `json:"documents"`
	Signed    bool     `json:"signed"`
}

// Tile is one of the answers that everybody wants first.
type Tile struct {
	Name      string   `json:"name"`  // signature, provenance, bill, findings, verdict
	State     string   `json:"state"` // good, bad, warn, missing
	Text      string   `json:"text"`  // "signed by ci@example.com"
	Detail    string   `json:"detail,omitempty"`
	Documents []string `json:"documents"`
}

// Gap is evidence that is not there.
type Gap struct {
	Node   string `json:"node"`             // whose evidence is missing
	What   string `json:"what"`             // signature, attestation, bill, provenance, scorecard
	Detail string `json:"detail,omitempty"` // and how to mend it
}

// Document is a document that an answer rests on.
type Document struct {
	Digest        seaworthy.Digest       `json:"digest"`
	Node          string                 `json:"node"` // its id as a subject
	Kind          seaworthy.DocumentKind `json:"kind"`
	Format        string                 `json:"format"`
	PredicateType string                 `json:"predicateType,omitempty"`
	Name          string                 `json:"name,omitempty"`
	Origin        string                 `json:"origin,omitempty"`
	Ingested      time.Time              `json:"ingested"`
	Verification  seaworthy.Verification `json:"verification"`
}
