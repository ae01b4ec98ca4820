package graph

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"github.com/cockroachdb/pebble/v2"

	"github.com/seaworthy-dev/seaworthy"
)

// The keys of the Pebble engine. All that is said of a subject is in one place, so that a question about it is one
// seek, and so that its id is written once and not with every row:
//
//	s id 0                        its kind and key
//	s id i predicate subject doc  a statement, seen from its object: attributes (of files: only on the other side)
//	s id n hash doc               a name that a document gives it
//	s id o predicate object doc   a statement, seen from its subject: attributes
//	d doc                         the document, without its bytes, as JSON
//	b doc number                  its bytes, compressed as a whole and cut into chunks
//	r doc number                  the pairs of subject and predicate that begin its statements, and what it names
//	l newest-first doc            the kind of document, for lists
//	f kind term 0 class id hash   an entry of the index for Find: the name; nothing for a key or a file's path
//	h kind algorithm digest id    the same of digests: six bytes of the digest, six of the id
//	c predicate object            how many subjects point there
//	t predicate kind most-first object   the same, in the order of Top, from two on
//	j job                         a job
//	q kind 0 urgent-first due job its place in the queue
//	m name                        the version of this layout; how much there is
const (
	tableSubject  = 's'
	tableDocument = 'd'
	tableBody     = 'b'
	tableRests    = 'r'
	tableList     = 'l'
	tableFind     = 'f'
	tableDigest   = 'h'
	tableCount    = 'c'
	tableTop      = 't'
	tableJob      = 'j'
	tableQueue    = 'q'
	tableMeta     = 'm'

	sideKey  = 0
	sideIn   = 'i'
	sideName = 'n'
	sideOut  = 'o'
)

const (
	subjectLen = 1 + 16                // s id
	edgeLen    = subjectLen + 2 + 2*16 // side predicate other doc
	hashLen    = 6
	nameLen    = subjectLen + 1 + hashLen + 16
)

// comparer orders keys as bytes. What it has of its own is that the keys of one subject have a common prefix, which
// makes one entry of a Bloom filter.
var comparer = func() *pebble.Comparer {
	c := *pebble.DefaultComparer
	c.Name = "seaworthy.graph.1"
	c.Split = func(k []byte) int {
		if len(k) > subjectLen && k[0] == tableSubject {
			return subjectLen
		}
		return len(k)
	}
	// Of a subject's prefix, what is next is the next subject: appending a zero would make it a key with a suffix.
	c.ImmediateSuccessor = func(dst, a []byte) []byte {
		if len(a) == subjectLen && a[0] == tableSubject {
			return append(dst, after(a)...)
		}
		return append(append(dst, a...), 0)
	}
	// Bounds between tables are whole keys: shortened, one could have another prefix than both its neighbours.
	c.Separator = func(dst, a, _ []byte) []byte { return append(dst, a...) }
	c.Successor = func(dst, a []byte) []byte { return append(dst, a...) }
	return &c
}()

// after is the least key that is greater than all that begin with k.
func after(k []byte) []byte {
	out := append([]byte(nil), k...)
	for i := len(out) - 1; i >= 0; i-- {
		if out[i]++; out[i] != 0 {
			return out[:i+1]
		}
	}
	return []byte{0xff, 0xff}
}

func subjectKey(id ID) []byte {
	return append(append(make([]byte, 0, subjectLen+1), tableSubject), id[:]...)
}

func nodeKey(id ID) []byte { return append(subjectKey(id), sideKey) }

// edgeKey is the key of a statement seen from one side; side, from and predicate alone begin a range of them.
func edgeKey(side byte, from ID, predicate byte, to, document ID) []byte {
	k := make([]byte, 0, edgeLen)
	k = append(append(k, tableSubject), from[:]...)
	k = append(append(k, side, predicate), to[:]...)
	return append(k, document[:]...)
}

func sidePrefix(dst []byte, side byte, from ID, predicate byte) []byte {
	return append(append(append(dst[:0], tableSubject), from[:]...), side, predicate)
}

// cutEdge takes a key apart that edgeKey made.
func cutEdge(k []byte) (side byte, at place, ok bool) {
	if len(k) != edgeLen {
		return 0, place{}, false
	}
	return k[17], place{ID(k[1:17]), k[18], ID(k[19:35]), ID(k[35:51])}, true
}

// documentOf is the document of a row about a subject: the end of its key.
func documentOf(k []byte) ID { return ID(k[len(k)-16:]) }

func nameHash(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	return sum[:hashLen]
}

func nameKey(id ID, text string, document ID) []byte {
	k := append(make([]byte, 0, nameLen), subjectKey(id)...)
	k = append(append(k, sideName), nameHash(text)...)
	return append(k, document[:]...)
}

func documentKey(table byte, id ID) []byte { return append([]byte{table}, id[:]...) }

func chunkKey(table byte, id ID, n int) []byte {
	return binary.BigEndian.AppendUint32(documentKey(table, id), uint32(n))
}

func listKey(p listPlace) []byte {
	k := binary.BigEndian.AppendUint64([]byte{tableList}, ^(uint64(p.ingested) ^ 1<<63))
	return append(k, p.id[:]...)
}

func cutListKey(k []byte) listPlace {
	return listPlace{int64(^binary.BigEndian.Uint64(k[1:9]) ^ 1<<63), ID(k[9:25])}
}

// Classes of entries in the index: whole keys and names come before words of them, and files after both. An entry
// of a file says only how its path ends: the path is with the statements about it.
const (
	classWhole = 0
	classWord  = 1
	classFile  = 2
)

func classOf(whole bool) byte {
	if whole {
		return classWhole
	}
	return classWord
}

// termKey is the key of an entry, without the hash of a name.
func termKey(kind byte, term string, class byte, id ID) []byte {
	k := append(make([]byte, 0, 2+maxTerm+2+16+hashLen), tableFind, kind)
	k = append(append(k, term...), 0, class)
	return append(k, id[:]...)
}

// fileKey is the entry by which a file is found.
func fileKey(f fileTerm) []byte {
	return termKey(numberOfKind(f.object.subject.Kind), term{text: f.base}.cut(), classFile, f.object.id)
}

// findKeys gives the index keys by which a subject is found, by its key or, if that is not "", by a name.
func findKeys(n node, name string) [][]byte {
	kind := numberOfKind(n.subject.Kind)
	if name == "" && hasDigests(kind) {
		if algorithm, raw, ok := packDigest(n.subject.Key); ok {
			k := append([]byte{tableDigest, kind, algorithm}, raw[:min(len(raw), digestLen)]...)
			return [][]byte{append(k, n.id[:digestLen]...)}
		}
	}
	terms := keyTerms(n.subject)
	if name != "" {
		terms = nameTerms(name)
	}
	keys := make([][]byte, len(terms))
	for i, t := range terms {
		k := termKey(kind, t.cut(), classOf(t.whole), n.id)
		if name != "" {
			k = append(k, nameHash(name)...)
		}
		keys[i] = k
	}
	return keys
}

// hasDigests says whether the keys of a kind are digests.
func hasDigests(kind byte) bool {
	return kindOf(kind) == seaworthy.ArtifactSubject || kindOf(kind) == seaworthy.DocumentSubject
}

// cutFindKey gives the term and class of an entry, and the subject that it finds.
func cutFindKey(k []byte) (term string, class byte, id ID, ok bool) {
	end := bytes.IndexByte(k[min(2, len(k)):], 0) + 2
	if end < 2 || len(k) < end+2+16 {
		return "", 0, ID{}, false
	}
	return string(k[2:end]), k[end+1], ID(k[end+2 : end+18]), true
}

// digestLen is how much of a digest, and of the id that has it, is in the index.
const digestLen = 6

func countKey(predicate byte, object ID) []byte {
	return append([]byte{tableCount, predicate}, object[:]...)
}

func topKey(predicate, kind byte, count uint64, object ID) []byte {
	k := binary.BigEndian.AppendUint64([]byte{tableTop, predicate, kind}, ^count)
	return append(k, object[:]...)
}

func jobKey(id string) []byte { return append([]byte{tableJob}, id...) }

// queueKey is the place of a job that is not parked.
func queueKey(j Job) []byte {
	k := append(append([]byte{tableQueue}, j.Kind...), 0)
	k = binary.BigEndian.AppendUint32(k, ^(uint32(int32(j.Urgency)) ^ 1<<31))
	k = binary.BigEndian.AppendUint64(k, uint64(nanos(j.Due))^1<<63)
	return append(k, j.ID...)
}
