package graph

import (
	"context"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/seaworthy-dev/seaworthy"
)

// Defaults of Options.
const (
	DefaultCache       = 128 << 20 // 128 MiB
	DefaultConnections = 8
	DefaultPatience    = 30 * time.Second
)

// Options say how a store is kept. The zero value has the defaults above.
type Options struct {
	// Cache is how many bytes of a folder are kept in memory; 0: DefaultCache. What was just written takes up to half
	// as much again. PostgreSQL has its own.
	Cache int64
	// ReadOnly opens a folder without changing anything in it. It must be there.
	ReadOnly bool
	// Connections is how many connections to PostgreSQL are open at most; 0: DefaultConnections.
	Connections int
	// Patience is how long something is tried again when PostgreSQL is away or breaks it off; 0: DefaultPatience.
	Patience time.Duration
	// Files is the file system of folders, for tests; nil: the real one.
	Files vfs.FS `json:"-"`
}

func (o Options) withDefaults() (Options, error) {
	if o.Cache < 0 || o.Connections < 0 || o.Patience < 0 {
		return o, seaworthy.Errorf(seaworthy.Invalid, "opening a graph: less than nothing of cache, connections or patience")
	}
	if o.Cache == 0 {
		o.Cache = DefaultCache
	}
	if o.Connections == 0 {
		o.Connections = DefaultConnections
	}
	if o.Patience == 0 {
		o.Patience = DefaultPatience
	}
	if o.Files == nil {
		o.Files = vfs.Default
	}
	return o, nil
}

// Open opens the graph at a place: a folder, which is made when it is not there, or a database, named by a URL that
// begins with postgres:// or postgresql://. Errors: Conflict when another process has the folder, Mismatch when what
// is there is not what was written, Stale when it was written by a newer program, Storage.
func Open(ctx context.Context, where string, o Options) (Store, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if IsDatabase(where) {
		return openPostgres(ctx, where, o)
	}
	return openFolder(where, o)
}

// IsDatabase says whether a place is a database and not a folder.
func IsDatabase(where string) bool {
	return strings.HasPrefix(where, "postgres://") || strings.HasPrefix(where, "postgresql://")
}
