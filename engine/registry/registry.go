// Package registry is what a container registry does, without HTTP: the rules of the OCI distribution
// specification 1.1 over a store of blobs and a memory of repositories. serve/oci speaks HTTP to it.
//
//	r := registry.New(blobs, names, registry.Options{})
//	pushed, err := r.PutManifest(ctx, "team/app", "1.0", mediaType, body, nil)
//	m, err := r.Manifest("team/app", "1.0")
//
// What a method has acknowledged is on the disk. A blob is read only in repositories it was pushed to or mounted
// into, wherever else its bytes may be known. Who may do what is decided before a method is called: by Rules.
//
// A manifest may name blobs and manifests that are not there ("sparse"), as the specification allows; with
// Options.Complete it may not.
//
// # Garbage
//
// Deleting a manifest or a blob makes it unreadable at once. Collect gives the room back, while others push and
// pull: first the links of blobs that no manifest of the repository uses, then bytes without links. Both must have
// been left alone for a grace period; asking whether a blob is there counts, because whoever asks then leaves out
// the upload. Manifests go only when they are deleted, or, with CollectOptions.Untagged, when nothing leads to
// them; what refers to a manifest that is kept is kept with it.
package registry

import (
	"context"
	"hash/maphash"
	"io"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/blob"
	"github.com/seaworthy-dev/seaworthy/store/repo"
)

// Blobs keeps bytes under their digest. What Add and Uploads.Finish have stored is durable when they return, and
// whole or not there at all. *blob.Store is one.
type Blobs interface {
	Get(d seaworthy.Digest) (*blob.Content, error)
	Add(ctx context.Context, want seaworthy.Digest, r io.Reader) (int64, error)
	Remove(d seaworthy.Digest) error
	Each(fn func(d seaworthy.Digest, size int64, modified time.Time) error) error
}

// Uploads are blobs that come in pieces. *blob.Store has them.
type Uploads interface {
	Start(owner, algorithm string) (id string, err error)
	Append(ctx context.Context, owner, id string, at int64, r io.Reader) (int64, error)
	Finish(ctx context.Context, owner, id string, at int64, want seaworthy.Digest, r io.Reader) (int64, error)
	Status(ctx context.Context, owner, id string) (int64, error)
	Cancel(ctx context.Context, owner, id string) error
	Purge(before time.Time) (int, error)
}

// Options say how a registry behaves. The zero value is what most people want.
type Options struct {
	// Complete refuses manifests that name blobs or manifests which are not in their repository.
	Complete bool
	// Grace is how long garbage is left alone; 0: DefaultGrace.
	Grace time.Duration
	// Listener, when set, hears of every pushed manifest, one after the other, in order, at least once: also
	// after a restart. While it returns an error the same event comes again, later.
	Listener func(context.Context, repo.Event) error
	Log      *slog.Logger     // nil: none
	Now      func() time.Time // nil: time.Now
}

// Limits.
const (
	// MaxManifest is the size of a manifest: what the specification asks registries to take, and no more.
	MaxManifest = 4 << 20
	// MaxTags is how many tags one push may set.
	MaxTags = 100
	// MaxPage is how many names one page of a list has.
	MaxPage = 10_000
	// MaxReferrersPage is how many bytes of descriptors one page of referrers has, unless a single one is larger.
	MaxReferrersPage = 1 << 20
	// DefaultGrace is how long garbage is left alone.
	DefaultGrace = 24 * time.Hour
)

// Registry is a registry. Its methods may be called at the same time.
type Registry struct {
	blobs   Blobs
	uploads Uploads
	names   *repo.Store
	o       Options
	log     *slog.Logger
	now     func() time.Time

	// stripes keep Collect from removing bytes that are about to be linked: whoever links holds one for reading.
	stripes [64]sync.RWMutex
	seed    maphash.Seed

	checkMu   sync.Mutex // guards the two below
	checked   error
	checkedAt time.Time

	news  chan struct{} // has one element when there may be events to deliver
	stop  context.CancelFunc
	heard sync.WaitGroup
}

// New makes a registry of its parts. Close stops what it started.
func New(store interface {
	Blobs
	Uploads
}, names *repo.Store, o Options,
) *Registry {
	if o.Grace == 0 {
		o.Grace = DefaultGrace
	}
	r := &Registry{
		blobs: store, uploads: store, names: names, o: o, log: o.Log, now: o.Now,
		seed: maphash.MakeSeed(), news: make(chan struct{}, 1), stop: func() {},
	}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	if r.now == nil {
		r.now = time.Now
	}
	if o.Listener != nil {
		ctx, stop := context.WithCancel(context.Background())
		r.stop = stop
		r.heard.Go(func() { r.deliver(ctx) })
	}
	return r
}

// Close waits until the listener has returned from what it is at. The stores are the caller's to close.
func (r *Registry) Close() {
	r.stop()
	r.heard.Wait()
}

// nameSyntax is that of the specification, "Pulling manifests".
var nameSyntax = regexp.MustCompile(`^[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)

// tagSyntax goes without its bound, 128 characters: to compile a bound of that size takes milliseconds of every start.
var tagSyntax = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]*$`)

const maxTag = 128

// SoundName reports whether a repository may be called so.
func SoundName(name string) bool { return len(name) <= repo.MaxName && nameSyntax.MatchString(name) }

// SoundTag reports whether a tag may be called so.
func SoundTag(tag string) bool { return len(tag) <= maxTag && tagSyntax.MatchString(tag) }

// ParseDigest reads a digest that names content here: sha256 or sha512, in lower case. Errors: DigestInvalid.
func ParseDigest(s string) (seaworthy.Digest, error) {
	if d := seaworthy.Digest(s); d.NamesContent() {
		return d, nil
	}
	return "", fault(DigestInvalid, seaworthy.Errorf(seaworthy.Invalid, "%q is no digest of sha256 or sha512", clip(s)))
}

// checkName returns an error for names a repository cannot have.
func checkName(name string) error {
	if !SoundName(name) {
		return fault(NameInvalid, seaworthy.Errorf(seaworthy.Invalid, "%q cannot be the name of a repository", clip(name)))
	}
	return nil
}

// isDigest tells digests from tags, which have no colon.
func isDigest(reference string) bool { return strings.Contains(reference, ":") }

func clip(s string) string {
	if len(s) > 128 {
		return s[:128] + "…"
	}
	return s
}

// linking keeps Collect from the bytes of a digest until the returned function is called.
func (r *Registry) linking(d seaworthy.Digest) (done func()) {
	m := r.stripe(d)
	m.RLock()
	return m.RUnlock
}

func (r *Registry) stripe(d seaworthy.Digest) *sync.RWMutex {
	return &r.stripes[maphash.String(r.seed, string(d))%uint64(len(r.stripes))]
}

// Repositories lists up to n repositories after last.
func (r *Registry) Repositories(last string, n int) ([]string, error) {
	names, err := r.names.Repositories(last, min(n, MaxPage))
	return names, internal(err)
}

// Tags lists up to n tags after last, and says whether there are more. Errors: NameInvalid, NameUnknown.
func (r *Registry) Tags(repository, last string, n int) (tags []string, more bool, err error) {
	if err := checkName(repository); err != nil {
		return nil, false, err
	}
	n = min(n, MaxPage)
	tags, err = r.names.Tags(repository, last, n+1)
	if err != nil {
		return nil, false, internal(err)
	}
	if len(tags) == 0 {
		known, err := r.names.Exists(repository)
		if err != nil {
			return nil, false, internal(err)
		}
		if !known {
			return nil, false, fault(NameUnknown, seaworthy.Errorf(seaworthy.NotFound, "there is no repository %q", repository))
		}
	}
	if len(tags) > n {
		return tags[:n], n > 0, nil
	}
	return tags, false, nil
}

// checkEvery is how long an answer of Check holds.
const checkEvery = time.Second

// Check returns why the registry cannot keep anything at present, nil when it can: what readiness is. It tries
// that on the disk, but not more often than each second.
func (r *Registry) Check() error {
	r.checkMu.Lock()
	defer r.checkMu.Unlock()
	if now := r.now(); now.Sub(r.checkedAt) >= checkEvery || now.Before(r.checkedAt) {
		err := r.names.Check()
		if c, ok := r.blobs.(interface{ Check() error }); ok && err == nil {
			err = c.Check()
		}
		r.checked, r.checkedAt = internal(err), now
	}
	return r.checked
}
