package advisory

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"os"
	"sync/atomic"

	"github.com/edsrzf/mmap-go"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/feed"
)

// DB is an open advisory database. It may be used by several goroutines at once. What it returns is copied out
// and stays valid after Close.
//
// The file must not be changed in place while it is open; Build and Update replace it by renaming, which is safe.
type DB struct {
	data   []byte
	unmap  func() error
	header header
	meta   meta
	// checked has a bit for each block that matched its CRC.
	checked []atomic.Uint32
}

// meta is the first section, as JSON.
type meta struct {
	Sources    []Source         `json:"sources"`
	Ecosystems []EcosystemCount `json:"ecosystems"`
}

// EcosystemCount says how many packages of an ecosystem have advisories.
type EcosystemCount struct {
	Name     string `json:"name"`
	Packages int    `json:"packages"`
}

// Open maps the database at path and checks its header and indexes; see the package doc for what is checked
// when. Errors: NotFound, Invalid (no such database), Unsupported (another version), Mismatch (damaged or cut).
func Open(path string) (*DB, error) {
	f, err := os.Open(path)
	if err != nil {
		code := seaworthy.Storage
		if os.IsNotExist(err) {
			code = seaworthy.NotFound
		}
		return nil, seaworthy.Errorf(code, "opening advisory database: %w", err).
			WithHint("make one with seaworthy advisories build --from PATH -o FILE")
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() || info.Size() < int64(len(magic)) {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "opening advisory database %q: this is no advisory database", path).
			WithHint("make one with seaworthy advisories build --from PATH -o FILE")
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Storage, "mapping advisory database %q: %w", path, err)
	}
	db, err := open(m)
	if err != nil {
		m.Unmap()
		return nil, seaworthy.Wrap(err, seaworthy.Mismatch, "opening advisory database %q", path)
	}
	db.unmap = m.Unmap
	return db, nil
}

// open reads a database that is in memory.
func open(data []byte) (*DB, error) {
	h, err := decodeHeader(data, uint64(len(data)))
	if err != nil {
		return nil, err
	}
	if crc32.Checksum(data[h.blocks:], castagnoli) != h.blockCRC {
		return nil, damaged("the block table does not match its checksum")
	}
	db := &DB{data: data, header: h, checked: make([]atomic.Uint32, (blockCount(h.blocks)+31)/32)}
	for _, sec := range checkedAtOpen {
		if _, err := db.span(h.sections[sec].off, h.sections[sec].len); err != nil {
			return nil, err
		}
	}
	b, err := db.section(secMeta, 0, h.sections[secMeta].len)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &db.meta); err != nil {
		return nil, damaged("its list of sources cannot be read")
	}
	return db, nil
}

// Close gives the mapping back. Nothing may use the DB afterwards.
func (db *DB) Close() error {
	if db.unmap == nil {
		return nil
	}
	err := db.unmap()
	db.data, db.unmap = nil, nil
	return seaworthy.Wrap(err, seaworthy.Storage, "closing advisory database")
}

// span returns bytes of the file, after the blocks they are in were checked.
func (db *DB) span(off, n uint64) ([]byte, error) {
	if off < HeaderBytes || off > db.header.blocks || n > db.header.blocks-off {
		return nil, damaged("something points outside the file")
	}
	if n == 0 {
		return nil, nil
	}
	for block := (off - HeaderBytes) / BlockBytes; block <= (off+n-1-HeaderBytes)/BlockBytes; block++ {
		word, bit := &db.checked[block/32], uint32(1)<<(block%32)
		if word.Load()&bit != 0 {
			continue
		}
		start := HeaderBytes + block*BlockBytes
		end := min(start+BlockBytes, db.header.blocks)
		want := binary.LittleEndian.Uint32(db.data[db.header.blocks+4*block:])
		if crc32.Checksum(db.data[start:end], castagnoli) != want {
			return nil, damaged("block %d does not match its checksum", block)
		}
		word.Or(bit)
	}
	return db.data[off : off+n : off+n], nil
}

// section returns bytes of a section.
func (db *DB) section(sec int, off, n uint64) ([]byte, error) {
	s := db.header.sections[sec]
	if off > s.len || n > s.len-off {
		return nil, damaged("something points outside section %d", sec)
	}
	return db.span(s.off+off, n)
}

// entries is the number of entries in a table.
func (db *DB) entries(sec int) uint64 { return db.header.sections[sec].len / entrySize[sec] }

// entry returns entry i of a table.
func (db *DB) entry(sec int, i uint64) ([]byte, error) {
	if i >= db.entries(sec) {
		return nil, damaged("there is no entry %d in section %d", i, sec)
	}
	return db.section(sec, i*entrySize[sec], entrySize[sec])
}

// stringBytes returns a text of the string table; valid until Close.
func (db *DB) stringBytes(i uint64) ([]byte, error) {
	var start uint64
	if i > 0 {
		b, err := db.entry(secStringTab, i-1)
		if err != nil {
			return nil, err
		}
		start = uint64(binary.LittleEndian.Uint32(b))
	}
	b, err := db.entry(secStringTab, i)
	if err != nil {
		return nil, err
	}
	end := uint64(binary.LittleEndian.Uint32(b))
	if end < start {
		return nil, damaged("text %d ends before it starts", i)
	}
	return db.section(secStringData, start, end-start)
}

// search finds the entry of a sorted table that compares equal; compare says how the entry compares to what is
// looked for.
func (db *DB) search(sec int, compare func(entry []byte) (int, error)) ([]byte, error) {
	lo, hi := uint64(0), db.entries(sec)
	for lo < hi {
		mid := (lo + hi) / 2
		b, err := db.entry(sec, mid)
		if err != nil {
			return nil, err
		}
		c, err := compare(b)
		switch {
		case err != nil:
			return nil, err
		case c == 0:
			return b, nil
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return nil, nil
}

// compareText compares a text of the string table with s.
func (db *DB) compareText(i uint32, s string) (int, error) {
	b, err := db.stringBytes(uint64(i))
	if err != nil {
		return 0, err
	}
	switch { // no conversion, no allocation
	case string(b) == s:
		return 0, nil
	case string(b) < s:
		return -1, nil
	}
	return 1, nil
}

// Sources returns what the database was made of.
func (db *DB) Sources() []Source { return append([]Source(nil), db.meta.Sources...) }

// Ecosystems returns the ecosystems with advisories, sorted by name.
func (db *DB) Ecosystems() []EcosystemCount {
	return append([]EcosystemCount(nil), db.meta.Ecosystems...)
}

// Records returns the number of advisories, each counted once per source.
func (db *DB) Records() int { return int(db.entries(secRecordTab)) }

// Size returns the size of the file in bytes.
func (db *DB) Size() int64 { return int64(db.header.size) }

// Lookup returns what every advisory says of a package, in the order of sources. The name is normalised. No
// advisory is no error. Errors: Mismatch.
func (db *DB) Lookup(ecosystem, name string) ([]Affected, error) {
	name = NormalName(ecosystem, name)
	le := binary.LittleEndian
	b, err := db.search(secPackageTab, func(entry []byte) (int, error) {
		c, err := db.compareText(le.Uint32(entry), ecosystem)
		if c != 0 || err != nil {
			return c, err
		}
		return db.compareText(le.Uint32(entry[4:]), name)
	})
	if b == nil || err != nil {
		return nil, err
	}
	body, err := db.section(secPackageData, le.Uint64(b[8:]), uint64(le.Uint32(b[16:])))
	if err != nil {
		return nil, err
	}
	d := decoder{db: db, b: body}
	count := le.Uint32(b[20:])
	if uint64(count) > uint64(len(body)) {
		return nil, damaged("a package has more advisories than bytes")
	}
	out := make([]Affected, 0, count)
	for range count {
		n := d.count()
		one := decoder{db: db, b: d.b[:n]}
		d.b = d.b[n:]
		a := one.affected()
		if one.err != nil {
			return nil, one.err
		}
		if d.err != nil {
			return nil, d.err
		}
		out = append(out, a)
	}
	return out, nil
}

// KEV returns the catalogue entry of a CVE, nil when there is none. Errors: Mismatch.
func (db *DB) KEV(cve string) (*seaworthy.KEV, error) {
	b, err := db.searchCVE(secKEVTab, cve)
	if b == nil || err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	body, err := db.section(secKEVData, uint64(le.Uint32(b[8:])), uint64(le.Uint32(b[12:])))
	if err != nil {
		return nil, err
	}
	d := decoder{db: db, b: body}
	k := &seaworthy.KEV{Ransomware: d.byte() == 1, Added: d.text(), Due: d.text(), Name: d.text()}
	return k, d.err
}

// EPSS returns the score of a CVE, nil when there is none. Errors: Mismatch.
func (db *DB) EPSS(cve string) (*seaworthy.EPSS, error) {
	b, err := db.searchCVE(secEPSS, cve)
	if b == nil || err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	return &seaworthy.EPSS{
		Probability: float64(le.Uint32(b[8:])) / epssUnits, Percentile: float64(le.Uint32(b[12:])) / epssUnits,
	}, nil
}

// epssUnits is how many units of the file make 1.
const epssUnits = 1e9

func (db *DB) searchCVE(sec int, cve string) ([]byte, error) {
	want, ok := feed.CVENumber(cve)
	if !ok {
		return nil, nil
	}
	return db.search(sec, func(entry []byte) (int, error) {
		switch got := binary.LittleEndian.Uint64(entry); {
		case got < want:
			return -1, nil
		case got > want:
			return 1, nil
		}
		return 0, nil
	})
}

// Verify checks every byte: all blocks and the SHA-256 of the body. Errors: Mismatch, Interrupted.
func (db *DB) Verify(ctx context.Context) error {
	sum := sha256.New()
	for off := uint64(HeaderBytes); off < db.header.blocks; off += BlockBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		b, err := db.span(off, min(BlockBytes, db.header.blocks-off))
		if err != nil {
			return err
		}
		sum.Write(b)
	}
	if !bytes.Equal(sum.Sum(nil), db.header.sum[:]) {
		return damaged("the body does not match its SHA-256")
	}
	return nil
}
