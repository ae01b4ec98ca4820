package packages

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// maxZipEntries is how many entries of one archive are looked at.
	maxZipEntries = 500_000
	// maxZipComplaints is how many of an archive's contradictions are named one by one.
	maxZipComplaints = 8
)

// zipArchive is a zip file in memory (PKWARE APPNOTE 6.3.10). Unlike archive/zip it looks at both of a zip
// file's descriptions of itself, the central directory and the local headers, and says where they disagree:
// programs differ in which of them they believe.
type zipArchive struct {
	b          []byte
	entries    []zipEntry // those that keep was asked for and wanted
	count      int        // all of them
	complaints []string
}

// zipEntry is one file of the central directory. name points into the archive.
type zipEntry struct {
	name         []byte
	method       uint16
	crc          uint32
	packed, size uint64
	data         uint64 // where its packed bytes begin
}

// openZip reads the central directory of b and checks each entry's local header. Of the entries it keeps those
// that keep wants. Errors: Invalid for what is no zip file, TooLarge.
func openZip(b []byte, keep func(name []byte) bool) (*zipArchive, error) {
	count, directory, size, err := zipDirectory(b)
	if err != nil {
		return nil, err
	}
	if count > maxZipEntries {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "archive of %d entries, more than %d", count, maxZipEntries)
	}
	// Bytes before the first entry (a launcher script) shift all offsets when whoever put them there did not
	// correct them.
	end := zipEnd(b)
	base := uint64(0)
	if found := uint64(end) - min(size, uint64(end)); directory < found && count > 0 && !isZipHeader(b, directory, zipCentral) {
		base, directory = found-directory, found
	}
	z := &zipArchive{b: b}
	expected := uint64(0) // where the next local header should be
	for range count {
		h := part(b, directory, 46)
		if h == nil || binary.LittleEndian.Uint32(h) != zipCentral {
			return z, seaworthy.Errorf(seaworthy.Invalid, "the central directory ends after %d of %d entries", z.count, count)
		}
		name := part(b, directory+46, uint64(binary.LittleEndian.Uint16(h[28:])))
		extra := part(b, directory+46+uint64(len(name)), uint64(binary.LittleEndian.Uint16(h[30:])))
		if name == nil || extra == nil {
			return z, seaworthy.Errorf(seaworthy.Invalid, "the central directory is cut short")
		}
		directory += 46 + uint64(len(name)) + uint64(len(extra)) + uint64(binary.LittleEndian.Uint16(h[32:]))
		e := zipEntry{
			name: name, method: binary.LittleEndian.Uint16(h[10:]), crc: binary.LittleEndian.Uint32(h[16:]),
			packed: uint64(binary.LittleEndian.Uint32(h[20:])), size: uint64(binary.LittleEndian.Uint32(h[24:])),
		}
		offset := uint64(binary.LittleEndian.Uint32(h[42:]))
		zip64Extra(extra, &e.size, &e.packed, &offset)
		z.count++
		expected = z.check(&e, base+offset, expected)
		if e.data > 0 && keep(name) {
			z.entries = append(z.entries, e)
		}
	}
	return z, nil
}

const (
	zipLocal   = 0x04034b50
	zipCentral = 0x02014b50
	zipEndMark = 0x06054b50
)

func isZipHeader(b []byte, at uint64, mark uint32) bool {
	h := part(b, at, 4)
	return h != nil && binary.LittleEndian.Uint32(h) == mark
}

// zipEnd returns where the end-of-central-directory record is, or -1: the last one whose comment fits.
func zipEnd(b []byte) int {
	const most = 22 + 1<<16 // record and longest comment
	for end := len(b); ; {
		i := bytes.LastIndex(b[max(0, len(b)-most):end], []byte("PK\x05\x06"))
		if i < 0 {
			return -1
		}
		i += max(0, len(b)-most)
		if i+22 <= len(b) && i+22+int(binary.LittleEndian.Uint16(b[i+20:])) <= len(b) {
			return i
		}
		end = i
	}
}

// zipDirectory finds the central directory, of a Zip64 archive too.
func zipDirectory(b []byte) (count, offset, size uint64, err error) {
	end := zipEnd(b)
	if end < 0 {
		return 0, 0, 0, seaworthy.Errorf(seaworthy.Invalid, "not a zip archive: no end record")
	}
	r := b[end:]
	count = uint64(binary.LittleEndian.Uint16(r[10:]))
	size, offset = uint64(binary.LittleEndian.Uint32(r[12:])), uint64(binary.LittleEndian.Uint32(r[16:]))
	if count != 0xffff && size != 0xffffffff && offset != 0xffffffff {
		return count, offset, size, nil
	}
	locator := part(b, uint64(max(0, end-20)), 20)
	if end < 20 || string(locator[:4]) != "PK\x06\x07" {
		return count, offset, size, nil
	}
	r = part(b, binary.LittleEndian.Uint64(locator[8:]), 56)
	if r == nil || string(r[:4]) != "PK\x06\x06" {
		return 0, 0, 0, seaworthy.Errorf(seaworthy.Invalid, "the Zip64 end record is not where it should be")
	}
	return binary.LittleEndian.Uint64(r[32:]), binary.LittleEndian.Uint64(r[48:]), binary.LittleEndian.Uint64(r[40:]), nil
}

// zip64Extra replaces values that did not fit 32 bits (APPNOTE 4.5.3).
func zip64Extra(extra []byte, size, packed, offset *uint64) {
	for len(extra) >= 4 {
		id, n := binary.LittleEndian.Uint16(extra), int(binary.LittleEndian.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			return
		}
		if id == 1 {
			field := extra[:n]
			for _, v := range [...]*uint64{size, packed, offset} {
				if *v == 0xffffffff && len(field) >= 8 {
					*v, field = binary.LittleEndian.Uint64(field), field[8:]
				}
			}
			return
		}
		extra = extra[n:]
	}
}

// check compares an entry with its local header at offset and sets its data. The header should be at expected,
// right after the entry before it; it returns where the next should be.
func (z *zipArchive) check(e *zipEntry, offset, expected uint64) uint64 {
	h := part(z.b, offset, 30)
	if h == nil || binary.LittleEndian.Uint32(h) != zipLocal {
		z.complain("the central directory names %q, there is no local header for it", e.name)
		return expected
	}
	name := part(z.b, offset+30, uint64(binary.LittleEndian.Uint16(h[26:])))
	extra := part(z.b, offset+30+uint64(len(name)), uint64(binary.LittleEndian.Uint16(h[28:])))
	if name == nil || extra == nil {
		z.complain("the local header of %q is cut short", e.name)
		return expected
	}
	data := offset + 30 + uint64(len(name)) + uint64(len(extra))
	if part(z.b, data, e.packed) == nil {
		z.complain("the central directory says %q has %d packed bytes, the archive ends before", e.name, e.packed)
		return expected
	}
	e.data = data
	if !bytes.Equal(name, e.name) {
		z.complain("the central directory names %q, the local header of the same entry %q", e.name, name)
	}
	if method := binary.LittleEndian.Uint16(h[8:]); method != e.method {
		z.complain("the central directory says %q is packed by method %d, the local header %d", e.name, e.method, method)
	}
	flags := binary.LittleEndian.Uint16(h[6:])
	crc, packed, size := binary.LittleEndian.Uint32(h[14:]), uint64(binary.LittleEndian.Uint32(h[18:])), uint64(binary.LittleEndian.Uint32(h[22:]))
	zip64Extra(extra, &size, &packed, new(uint64))
	const later = 8 // sizes follow the data; the header's may be zero
	if (flags&later == 0 || size|packed != 0) && (size != e.size || packed != e.packed) {
		z.complain("the central directory says %q has %d bytes, %d packed, the local header %d and %d", e.name, e.size, e.packed, size, packed)
	} else if flags&later == 0 && crc != e.crc {
		z.complain("the central directory says %q has CRC-32 %08x, the local header %08x", e.name, e.crc, crc)
	}
	if offset < expected {
		z.complain("%q lies within the entry before it", e.name)
	} else {
		z.checkGap(expected, offset)
	}
	end := data + e.packed
	if flags&later != 0 { // data descriptor: signature or not, 32 or 64 bit sizes
		if isZipHeader(z.b, end, 0x08074b50) {
			end += 4
		}
		end += 12
		if !isZipHeader(z.b, end, zipLocal) && !isZipHeader(z.b, end, zipCentral) &&
			(isZipHeader(z.b, end+8, zipLocal) || isZipHeader(z.b, end+8, zipCentral)) {
			end += 8
		}
	}
	return max(expected, end)
}

// checkGap complains of a local header that no entry of the central directory leads to.
func (z *zipArchive) checkGap(from, to uint64) {
	h := part(z.b, from, 30)
	if to-from < 30 || h == nil || binary.LittleEndian.Uint32(h) != zipLocal {
		return
	}
	name := part(z.b, from+30, uint64(binary.LittleEndian.Uint16(h[26:])))
	z.complain("a local header names %q, the central directory does not", name)
}

func (z *zipArchive) complain(format string, args ...any) {
	if len(z.complaints) < maxZipComplaints {
		z.complaints = append(z.complaints, fmt.Sprintf(format, args...))
	}
}

// open returns the content of e: a part of the archive where it is stored as it is, else inflated into buf,
// which is grown to at most e.size. Errors: Mismatch where size or CRC-32 are not those of the directory,
// Unsupported for other methods, Invalid.
func (z *zipArchive) open(e *zipEntry, buf []byte) ([]byte, error) {
	packed := part(z.b, e.data, e.packed)
	var out []byte
	switch e.method {
	case 0:
		out = packed
	case 8:
		r := flate.NewReader(bytes.NewReader(packed))
		defer r.Close()
		b := bytes.NewBuffer(buf[:0])
		b.Grow(int(min(e.size, 64<<10)) + bytes.MinRead)
		if _, err := b.ReadFrom(io.LimitReader(r, int64(e.size)+1)); err != nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "unpacking %q: %w", e.name, err)
		}
		out = b.Bytes()
	default:
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "unpacking %q: method %d", e.name, e.method)
	}
	if uint64(len(out)) != e.size {
		return nil, seaworthy.Errorf(seaworthy.Mismatch, "unpacking %q: its data are not the %d bytes the central directory says", e.name, e.size)
	}
	if crc32.ChecksumIEEE(out) != e.crc {
		return nil, seaworthy.Errorf(seaworthy.Mismatch, "unpacking %q: CRC-32 is not that of the central directory", e.name)
	}
	return out, nil
}
