package graph

import (
	"runtime"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
	"github.com/cockroachdb/pebble/v2/sstable/block"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// What is written is in memory, and in the log, before it is sorted into tables: up to three times a quarter of
	// the cache, and these bytes at most each time.
	maxMemTable = 16 << 20
	minMemTable = 256 << 10
	// blockSize is how much is decompressed to read one row, in bytes. With 32 KiB, questions about what is spread over a
	// large graph took twice as long, for a graph that is a twentieth smaller.
	blockSize = 4 << 10
	// tableSize is how large a table of the first level is, in bytes; those of each further one are twice as large.
	tableSize = 8 << 20
	// indexSize is up to where a table has one index, in bytes, and not an index of indexes.
	indexSize = 2 << 20
	// baseLevel is how large a graph may be, in bytes, before there is a second level below that of flushed tables. A
	// question looks into every level: with two, it takes a third longer. Of this, ten million statements make half, and
	// storing them takes a sixth longer, as more is written again.
	baseLevel = 2 << 30
)

func (f *folder) pebbleOptions(d *opened) *pebble.Options {
	o := &pebble.Options{
		FS:       d.gate,
		ReadOnly: f.o.ReadOnly,
		Comparer: comparer,
		Logger:   quiet{d},
		// What cannot be read is an error for whoever asks for it.
		EventListener:               &pebble.EventListener{DataCorruption: func(pebble.DataCorruptionInfo) {}},
		Cache:                       f.cache,
		FileCache:                   f.files,
		MemTableSize:                uint64(min(max(f.o.Cache/4, minMemTable), maxMemTable)),
		MemTableStopWritesThreshold: 3,
		L0CompactionThreshold:       4, // of tables that overlap, every question looks into each
		L0StopWritesThreshold:       24,
		FormatMajorVersion:          pebble.FormatNewest,
		MaxOpenFiles:                maxFiles,
		CompactionConcurrencyRange:  func() (int, int) { return 1, 2 },
	}
	o.LBaseMaxBytes = baseLevel
	o.TargetFileSizes[0] = tableSize
	for i := 1; i < len(o.TargetFileSizes); i++ {
		o.TargetFileSizes[i] = 2 * o.TargetFileSizes[i-1]
	}
	for i := range o.Levels {
		l := &o.Levels[i]
		l.BlockSize, l.IndexBlockSize = blockSize, indexSize
		l.FilterPolicy = bloom.FilterPolicy(10)
	}
	// Tables are compressed when they are first written: most are not written again soon.
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings {
		c := pebble.UniformDBCompressionSettings(block.BalancedCompression)
		c.Levels[len(c.Levels)-1] = block.GoodCompression
		return c
	})
	return o
}

// quiet is a logger that says nothing: errors come back to whoever asked.
type quiet struct{ *opened }

// Infof implements pebble.Logger, as do those below.
func (quiet) Infof(string, ...any) {}

// Errorf says nothing.
func (quiet) Errorf(string, ...any) {}

// Fatalf is called where Pebble would end the process, and must not return. It ends the goroutine; what that held is
// given back by its deferred calls. The database can still be read.
func (q quiet) Fatalf(format string, args ...any) {
	q.gate.close(seaworthy.Errorf(seaworthy.Storage, format, args...))
	runtime.Goexit()
}
