package advisory

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"hash"
	"hash/crc32"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/seaworthy-dev/seaworthy"
)

// fileWriter writes sections and keeps count, checksums and digest.
type fileWriter struct {
	w      *bufio.Writer
	header header
	off    uint64
	sum    hash.Hash
	crcs   []byte
	block  uint32 // CRC so far of the block being written
	inside uint64 // bytes of it
}

// Write implements io.Writer.
func (w *fileWriter) Write(p []byte) (int, error) {
	w.sum.Write(p)
	for rest := p; len(rest) > 0; {
		n := min(uint64(len(rest)), BlockBytes-w.inside)
		w.block = crc32.Update(w.block, castagnoli, rest[:n])
		if w.inside += n; w.inside == BlockBytes {
			w.endBlock()
		}
		rest = rest[n:]
	}
	w.off += uint64(len(p))
	return w.w.Write(p)
}

func (w *fileWriter) endBlock() {
	w.crcs = binary.LittleEndian.AppendUint32(w.crcs, w.block)
	w.block, w.inside = 0, 0
}

// section writes one section by calling fill.
func (w *fileWriter) section(sec int, fill func(io.Writer) error) error {
	if pad := -w.off & 7; pad > 0 {
		if _, err := w.Write(make([]byte, pad)); err != nil {
			return err
		}
	}
	start := w.off
	err := fill(w)
	w.header.sections[sec] = span{off: start, len: w.off - start}
	return err
}

// write assembles the file beside path and renames it into place.
func (b *builder) write(ctx context.Context, path string) (err error) {
	if err := b.spill.w.Flush(); err != nil {
		return seaworthy.Errorf(seaworthy.Storage, "writing temporary file: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".advisories-*.tmp")
	if err != nil {
		return seaworthy.Errorf(seaworthy.Storage, "making a temporary file: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	w := &fileWriter{w: bufio.NewWriterSize(f, 1<<20), off: HeaderBytes, sum: sha256.New()}
	if _, err := w.w.Write(make([]byte, HeaderBytes)); err != nil {
		return err
	}
	if err := b.writeBody(ctx, w); err != nil {
		return err
	}
	if w.inside > 0 {
		w.endBlock()
	}
	w.header.blocks, w.header.blockCRC = w.off, crc32.Checksum(w.crcs, castagnoli)
	w.header.size = w.off + uint64(len(w.crcs))
	copy(w.header.sum[:], w.sum.Sum(nil))
	if _, err := w.w.Write(w.crcs); err != nil {
		return err
	}
	if err := w.w.Flush(); err != nil {
		return err
	}
	if _, err := f.WriteAt(w.header.encode(), 0); err != nil {
		return err
	}
	b.summary.Size = int64(w.header.size)
	if err := ctx.Err(); err != nil {
		return err
	}
	return install(f, path)
}

// install makes a finished temporary file durable under its name, in one step.
func install(f *os.File, path string) error {
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// writeBody writes all sections. Every text has its number by now: add gave them.
func (b *builder) writeBody(ctx context.Context, w *fileWriter) error {
	packages, places := b.sortPackages()
	groupTab, groupList, groupOf := b.sortGroups()
	b.summary.Sources, b.summary.Records = b.sources, len(b.records)
	b.summary.Groups, b.summary.Packages = len(groupTab)/groupEntry, len(packages)/packageEntry
	for _, s := range b.sources {
		b.summary.Withdrawn += s.Withdrawn
	}
	idTab, idList := b.sortIDs()
	kevTab, kevData := b.sortKEV()
	body, err := json.Marshal(meta{Sources: b.sources, Ecosystems: b.summary.Ecosystems})
	if err != nil {
		return err
	}
	put := func(body []byte) func(io.Writer) error {
		return func(w io.Writer) error { _, err := w.Write(body); return err }
	}
	fill := [sections]func(io.Writer) error{
		secMeta:       put(body),
		secStringTab:  b.writeTextEnds,
		secStringData: b.writeTexts,
		secRecordTab:  func(w io.Writer) error { return b.writeRecordTable(w, groupOf) },
		secRecordData: func(w io.Writer) error {
			for _, r := range b.records {
				if err := b.copy(ctx, w, r.place, false); err != nil {
					return err
				}
			}
			return nil
		},
		secPackageTab: put(packages),
		secPackageData: func(w io.Writer) error {
			for _, p := range places {
				if err := b.copy(ctx, w, p, true); err != nil {
					return err
				}
			}
			return nil
		},
		secIDTab: put(idTab), secIDList: put(idList), secGroupTab: put(groupTab), secGroupList: put(groupList),
		secKEVTab: put(kevTab), secKEVData: put(kevData), secEPSS: b.writeEPSS,
	}
	for sec, f := range fill {
		if err := w.section(sec, f); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) writeTextEnds(w io.Writer) error {
	end := uint64(0)
	for _, s := range b.texts {
		if end += uint64(len(s)); end > math.MaxUint32 {
			return seaworthy.Errorf(seaworthy.TooLarge, "the texts of all advisories are over 4 GiB")
		}
		if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, uint32(end))); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) writeTexts(w io.Writer) error {
	for _, s := range b.texts {
		if _, err := io.WriteString(w, s); err != nil {
			return err
		}
	}
	return nil
}

func (b *builder) writeRecordTable(w io.Writer, groupOf []uint32) error {
	le := binary.LittleEndian
	off := uint64(0)
	for i, r := range b.records {
		e := le.AppendUint64(nil, off)
		e = le.AppendUint32(e, r.len)
		e = le.AppendUint32(e, r.id)
		e = le.AppendUint32(e, groupOf[i])
		e = le.AppendUint16(e, r.source)
		if _, err := w.Write(le.AppendUint16(e, r.flags)); err != nil {
			return err
		}
		off += uint64(r.len)
	}
	return nil
}

func (b *builder) writeEPSS(w io.Writer) error {
	le := binary.LittleEndian
	for _, n := range slices.Sorted(maps.Keys(b.epss)) {
		e := le.AppendUint64(nil, n)
		e = le.AppendUint32(e, b.epss[n][0])
		if _, err := w.Write(le.AppendUint32(e, b.epss[n][1])); err != nil {
			return err
		}
	}
	return nil
}

// copy copies a body out of the spill, after its length when that is asked for.
func (b *builder) copy(ctx context.Context, w io.Writer, p place, length bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.enc.b = b.enc.b[:0]
	if length {
		b.enc.uint(uint64(p.len))
	}
	n := len(b.enc.b)
	b.enc.b = slices.Grow(b.enc.b, int(p.len))[:n+int(p.len)]
	if _, err := b.spill.f.ReadAt(b.enc.b[n:], int64(p.off)); err != nil {
		return seaworthy.Errorf(seaworthy.Storage, "reading temporary file: %w", err)
	}
	_, err := w.Write(b.enc.b)
	return err
}
