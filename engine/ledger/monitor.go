package ledger

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"time"

	rekornote "github.com/sigstore/rekor-tiles/v2/pkg/note"
	"github.com/sigstore/sigstore/pkg/signature"
	formatsnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/tessera/api/layout"
	"golang.org/x/mod/sumdb/note"

	"github.com/seaworthy-dev/seaworthy"
)

// Verifier makes what a log's checkpoints are checked with, of its origin and public key.
func Verifier(origin string, key crypto.PublicKey, certificates bool) (note.Verifier, error) {
	if certificates {
		text, err := formatsnote.RFC6962VerifierString("https://"+origin, key)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Usage, "reading the key of the log %q", origin)
		}
		v, err := formatsnote.NewRFC6962Verifier(text)
		return v, seaworthy.Wrap(err, seaworthy.Usage, "reading the key of the log %q", origin)
	}
	switch key.(type) {
	case ed25519.PublicKey, *ecdsa.PublicKey:
	default:
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "reading the key of the log %q: %T", origin, key)
	}
	sv, err := signature.LoadVerifier(key, crypto.SHA256)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Usage, "reading the key of the log %q", origin)
	}
	v, err := rekornote.NewNoteVerifier(origin, sv)
	return v, seaworthy.Wrap(err, seaworthy.Usage, "reading the key of the log %q", origin)
}

// Web reads the log at a URL below which tlog-tiles are: https://log.example/api/v2.
type Web struct {
	URL    string
	Client *http.Client // nil: one that waits 30 s at most
}

// MaxResource is the longest file of a log that is read, in bytes: 256 entries of 64 KiB.
const MaxResource = 256 * (MaxEntry + 2)

var webClient = &http.Client{Timeout: 30 * time.Second}

func (w Web) get(ctx context.Context, path string) ([]byte, error) {
	at, err := url.JoinPath(w.URL, path)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Usage, "reading the log at %q", w.URL)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Usage, "reading the log at %q", w.URL)
	}
	client := w.Client
	if client == nil {
		client = webClient
	}
	res, err := client.Do(req)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Unavailable, "reading the log")
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusNotFound:
		return nil, seaworthy.Wrap(fs.ErrNotExist, seaworthy.NotFound, "reading %q", at)
	case res.StatusCode != http.StatusOK:
		return nil, seaworthy.Errorf(seaworthy.Unavailable, "reading %q: status %d", at, res.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxResource+1))
	if err == nil && len(body) > MaxResource {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: more than %d bytes", at, MaxResource)
	}
	return body, seaworthy.Wrap(err, seaworthy.Unavailable, "reading %q", at)
}

func (w Web) partialOrFull(ctx context.Context, partial uint8, path func(uint8) string) ([]byte, error) {
	b, err := w.get(ctx, path(partial))
	if partial != 0 && errors.Is(err, fs.ErrNotExist) {
		return w.get(ctx, path(0))
	}
	return b, err
}

// ReadCheckpoint implements Reader.
func (w Web) ReadCheckpoint(ctx context.Context) ([]byte, error) {
	return w.get(ctx, layout.CheckpointPath)
}

// ReadTile implements Reader.
func (w Web) ReadTile(ctx context.Context, level, index uint64, partial uint8) ([]byte, error) {
	return w.partialOrFull(ctx, partial, func(p uint8) string { return layout.TilePath(level, index, p) })
}

// ReadEntryBundle implements Reader.
func (w Web) ReadEntryBundle(ctx context.Context, index uint64, partial uint8) ([]byte, error) {
	return w.partialOrFull(ctx, partial, func(p uint8) string { return layout.EntriesPath(index, p) })
}

// Monitor watches a log from outside. It remembers the newest checkpoint it saw, and every later one must contain it.
type Monitor struct {
	Log      Reader
	Origin   string
	Verifier note.Verifier
	// Seen is the newest checkpoint as the log signed it; nil before the first Look.
	Seen []byte
	// Watch says which entries are told of; nil: none.
	Watch func(Record) bool
}

// Look is what a Monitor saw.
type Look struct {
	Origin  string   `json:"origin"`
	Before  uint64   `json:"before"`  // entries the log had
	Entries uint64   `json:"entries"` // entries it has
	Found   []Record `json:"found"`   // new ones that are watched for
}

// Look reads the newest checkpoint, checks that its tree contains the one seen before, checks the new entries against
// it, and remembers it. Errors: Refused when the log contradicts itself, which is the alarm; Mismatch when a signature
// is wrong; Unavailable, Storage.
func (m *Monitor) Look(ctx context.Context) (Look, error) {
	look := Look{Origin: m.Origin, Found: []Record{}}
	now, body, err := readCheckpoint(ctx, m.Log, m.Origin, m.Verifier)
	if err != nil {
		return look, err
	}
	before := mark{0, emptyRoot}
	if m.Seen != nil {
		if before, err = parseCheckpoint(m.Seen, m.Origin, m.Verifier); err != nil {
			return look, err
		}
	}
	look.Before, look.Entries = before.size, now.size
	n := newNodes(m.Log)
	err = n.extends(ctx, before, now)
	if err == nil {
		var root []byte
		if root, err = n.root(ctx, now.size); err == nil && [32]byte(root) != now.root {
			err = seaworthy.Errorf(seaworthy.Mismatch, "its tiles make another root than its checkpoint says")
		}
	}
	if err == nil {
		err = m.entries(ctx, n, before.size, now.size, &look)
	}
	if seaworthy.CodeOf(err) == seaworthy.Mismatch {
		e := seaworthy.Errorf(seaworthy.Refused, "watching the log %q: it contradicts itself: %w", m.Origin, err)
		return look, e.WithHint("keep both checkpoints: they are the proof")
	} else if err != nil {
		return look, err
	}
	m.Seen = body
	return look, nil
}

// entries checks that new entries are what the tree has, and finds those that are watched for.
func (m *Monitor) entries(ctx context.Context, n *nodes, from, size uint64, look *Look) error {
	for at := from; at < size; {
		index := at / layout.EntryBundleWidth
		bundle, err := m.Log.ReadEntryBundle(ctx, index, layout.PartialTileSize(0, index, size))
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "reading entries from %d", at)
		}
		leaves, err := bundleLeaves(bundle)
		if err != nil {
			return err
		}
		end := min(size, (index+1)*layout.EntryBundleWidth)
		t, err := n.tile(ctx, tileID{0, index}, int(end-index*layout.EntryBundleWidth))
		if err != nil {
			return err
		}
		var bodies [][]byte
		if err := eachEntry(bundle, func(body []byte) { bodies = append(bodies, body) }); err != nil {
			return err
		}
		for ; at < end; at++ {
			i := at % layout.EntryBundleWidth
			if i >= uint64(len(leaves)) || [32]byte(leaves[i]) != t.rows[0][i] {
				return seaworthy.Errorf(seaworthy.Mismatch, "entry %d is not the one its tile names", at)
			}
			if r := recordOf(at, bodies[i]); m.Watch != nil && m.Watch(r) {
				look.Found = append(look.Found, r)
			}
		}
	}
	return nil
}

// Local reports whether a place is a folder, not the URL of a log.
func Local(place string) bool {
	return !strings.HasPrefix(place, "http://") && !strings.HasPrefix(place, "https://")
}
