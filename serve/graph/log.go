package graph

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ledger"
)

// Entries is a page of a transparency log.
type Entries struct {
	Origin string `json:"origin"`
	Size   uint64 `json:"size"` // of the newest signed tree
	// Checkpoint is the newest signed tree, as the log signed it; "" while the log is empty.
	Checkpoint string  `json:"checkpoint"`
	Entries    []Entry `json:"entries"`
	Next       string  `json:"next"` // what "after" is for the next page; "" on the last one
}

// Entry is what can be said of an entry.
type Entry struct {
	Index    uint64           `json:"index"`
	Kind     string           `json:"kind"`
	Digest   seaworthy.Digest `json:"digest,omitempty"`   // of what was signed
	Identity string           `json:"identity,omitempty"` // in the certificate; "" when a key signed
	Issuer   string           `json:"issuer,omitempty"`   // who vouched for the identity
	Key      string           `json:"key,omitempty"`      // SHA-256 of the SubjectPublicKeyInfo, hexadecimal
	Time     time.Time        `json:"time,omitzero"`
}

// Proven is an entry with all that proves it is in the log. Its leaf is SHA-256(0x00 ‖ body), an inner node
// SHA-256(0x01 ‖ left ‖ right) (RFC 6962 2.1).
type Proven struct {
	Entry
	Origin     string   `json:"origin"`
	LogID      []byte   `json:"logId"`
	Body       []byte   `json:"body"`     // canonical JSON, as it was logged
	TreeSize   uint64   `json:"treeSize"` // of the tree the proof is against
	RootHash   []byte   `json:"rootHash"`
	Hashes     [][]byte `json:"hashes"`     // from the leaf upwards
	Checkpoint string   `json:"checkpoint"` // the signed tree: origin, size, root and signatures
}

// The orders of a list.
const (
	newestFirst = "newest"
	oldestFirst = "oldest"
)

// entries lists the newest entries first; with a filter, the oldest, because that is how the index is ordered.
func (h *Handler) entries(w http.ResponseWriter, req *http.Request, q url.Values) error {
	if h.Log == nil {
		return seaworthy.Errorf(seaworthy.NotFound, "there is no transparency log here")
	}
	limit, err := number(q, "limit", MaxPage, DefaultPage)
	if err != nil {
		return err
	}
	asked := ledger.Query{Digest: seaworthy.Digest(q.Get("digest")), Identity: q.Get("identity"), Key: q.Get("key"), Limit: limit}
	filtered := asked.Digest != "" || asked.Identity != "" || asked.Key != ""
	order := q.Get("order")
	switch {
	case order == "" && filtered:
		order = oldestFirst
	case order == "":
		order = newestFirst
	case order != newestFirst && order != oldestFirst:
		return seaworthy.Errorf(seaworthy.Usage, "reading the request: order is %q, and may be newest or oldest", order)
	case order == newestFirst && filtered:
		return seaworthy.Errorf(seaworthy.Usage, "reading the request: what is searched for comes oldest first")
	}
	size := h.Log.Size()
	after, given, err := index(q.Get("after"))
	if err != nil {
		return err
	}
	page := Entries{Origin: h.Log.Origin(), Size: size, Entries: []Entry{}}
	if size > 0 {
		newest, err := h.Log.Entry(req.Context(), size-1)
		if err != nil {
			return err
		}
		page.Checkpoint = newest.GetInclusionProof().GetCheckpoint().GetEnvelope()
	}
	end := size // of newest first: the page is what comes before it
	switch {
	case order == newestFirst:
		if given {
			end = min(after, size)
		}
		asked.From = end - min(end, uint64(limit))
		asked.Limit = int(end - asked.From)
	case given:
		asked.From = after + 1
	}
	if order == oldestFirst || asked.Limit > 0 {
		records, err := h.Log.Find(req.Context(), asked)
		if err != nil {
			return err
		}
		for _, r := range records {
			page.Entries = append(page.Entries, entryOf(r))
		}
	}
	if order == newestFirst {
		slices.Reverse(page.Entries)
		if asked.From > 0 {
			page.Next = strconv.FormatUint(asked.From, 10)
		}
	} else if n := len(page.Entries); n == limit && page.Entries[n-1].Index+1 < size {
		page.Next = strconv.FormatUint(page.Entries[n-1].Index, 10)
	}
	return write(w, http.StatusOK, page)
}

func entryOf(r ledger.Record) Entry {
	return Entry{Index: r.Index, Kind: r.Kind, Digest: r.Digest, Identity: strings.Join(r.Identities, ", "), Issuer: r.Issuer, Key: r.Key, Time: r.Time}
}

func (h *Handler) entry(w http.ResponseWriter, req *http.Request, _ url.Values) error {
	if h.Log == nil {
		return seaworthy.Errorf(seaworthy.NotFound, "there is no transparency log here")
	}
	at, _, err := index(req.PathValue("index"))
	if err != nil {
		return err
	}
	e, err := h.Log.Entry(req.Context(), at)
	if err != nil {
		return err
	}
	records, err := h.Log.Find(req.Context(), ledger.Query{From: at, Limit: 1})
	if err != nil {
		return err
	}
	proof := e.GetInclusionProof()
	said := Proven{
		Entry: Entry{Index: at, Kind: e.GetKindVersion().GetKind()}, Origin: h.Log.Origin(), LogID: e.GetLogId().GetKeyId(),
		Body: e.GetCanonicalizedBody(), TreeSize: uint64(proof.GetTreeSize()), RootHash: proof.GetRootHash(),
		Hashes: listed(proof.GetHashes()), Checkpoint: proof.GetCheckpoint().GetEnvelope(),
	}
	if len(records) == 1 && records[0].Index == at { // else it is not indexed yet
		said.Entry = entryOf(records[0])
	}
	return write(w, http.StatusOK, said)
}

// index reads the index of an entry. Largest is what a signed tree can have.
func index(text string) (at uint64, given bool, err error) {
	if text == "" {
		return 0, false, nil
	}
	if at, err = strconv.ParseUint(text, 10, 63); err != nil {
		return 0, false, seaworthy.Errorf(seaworthy.Usage, "reading the request: %q is no index", clipped(text))
	}
	return at, true, nil
}
