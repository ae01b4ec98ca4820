package advisory

import (
	"encoding/binary"
	"hash/crc32"

	"github.com/seaworthy-dev/seaworthy"
)

// Sizes of the file format, in bytes.
const (
	HeaderBytes = 512
	BlockBytes  = 64 << 10 // what one CRC of the block table covers
)

// formatVersion is raised whenever an older reader would misread a newer file.
const formatVersion = 1

const magic = "SWADVDB\n"

// The sections, in file order.
const (
	secMeta = iota
	secStringTab
	secStringData
	secRecordTab
	secRecordData
	secPackageTab
	secPackageData
	secIDTab
	secIDList
	secGroupTab
	secGroupList
	secKEVTab
	secKEVData
	secEPSS
	sections
)

// Sizes of table entries, in bytes.
const (
	stringEntry  = 4  // end offset; the start is the end of the one before
	recordEntry  = 24 // offset u64, length u32, id string u32, group u32, source u16, flags u16
	packageEntry = 24 // ecosystem string u32, name string u32, offset u64, length u32, count u32
	idEntry      = 12 // string u32, first u32, count u32
	groupEntry   = 12 // preferred string u32, first u32, count u32
	listEntry    = 4  // record number
	kevEntry     = 16 // CVE number u64, offset u32, length u32
	epssEntry    = 16 // CVE number u64, probability u32, percentile u32; in units of 1e-9
)

// entrySize of each table section; 0 for data.
var entrySize = [sections]uint64{
	secStringTab: stringEntry, secRecordTab: recordEntry, secPackageTab: packageEntry, secIDTab: idEntry,
	secIDList: listEntry, secGroupTab: groupEntry, secGroupList: listEntry, secKEVTab: kevEntry, secEPSS: epssEntry,
}

// checkedAtOpen are the sections whose blocks Open checks: those a search goes through. The string bytes are
// left to be checked as they are read.
var checkedAtOpen = []int{secMeta, secPackageTab, secIDTab}

// Flags of a record.
const flagBundle = 1 // several CVEs: see the package doc

// Rating kinds, kept in one byte.
const (
	ratingWord = iota
	ratingV2
	ratingV3
	ratingV4
)

// Range types and events, kept in one byte each.
const (
	rangeSemver = iota
	rangeEcosystem
	rangeOther // a type we do not know: never compared
)

const (
	eventIntroduced = iota
	eventFixed
	eventLastAffected
	eventLimit
)

type span struct{ off, len uint64 }

// header is the decoded header.
type header struct {
	size     uint64 // of the file
	blocks   uint64 // offset of the block table; the body ends there
	blockCRC uint32 // of the block table
	sum      [32]byte
	sections [sections]span
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (h *header) encode() []byte {
	b := make([]byte, HeaderBytes)
	copy(b, magic)
	le := binary.LittleEndian
	le.PutUint32(b[8:], formatVersion)
	le.PutUint32(b[12:], sections)
	le.PutUint64(b[16:], h.size)
	le.PutUint64(b[24:], h.blocks)
	le.PutUint32(b[32:], h.blockCRC)
	copy(b[40:72], h.sum[:])
	for i, s := range h.sections {
		le.PutUint64(b[72+16*i:], s.off)
		le.PutUint64(b[80+16*i:], s.len)
	}
	le.PutUint32(b[HeaderBytes-4:], crc32.Checksum(b[:HeaderBytes-4], castagnoli))
	return b
}

// damaged is the error for a file that is not what was written.
func damaged(format string, args ...any) error {
	return seaworthy.Errorf(seaworthy.Mismatch, "advisory database is damaged: "+format, args...).
		WithHint("make it again with seaworthy advisories build, or fetch it with seaworthy advisories update")
}

// decodeHeader checks the header of a file of the given size. Errors: Invalid, Unsupported, Mismatch.
func decodeHeader(b []byte, size uint64) (header, error) {
	var h header
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return h, seaworthy.Errorf(seaworthy.Invalid, "this is no advisory database").
			WithHint("make one with seaworthy advisories build --from PATH -o FILE")
	}
	if len(b) < HeaderBytes {
		return h, damaged("it ends after %d bytes", size)
	}
	le := binary.LittleEndian
	if le.Uint32(b[HeaderBytes-4:]) != crc32.Checksum(b[:HeaderBytes-4], castagnoli) {
		return h, damaged("the header does not match its checksum")
	}
	if v := le.Uint32(b[8:]); v != formatVersion || le.Uint32(b[12:]) != sections {
		return h, seaworthy.Errorf(seaworthy.Unsupported, "advisory database has format %d, this program reads %d", v, formatVersion).
			WithHint("make it again with seaworthy advisories build")
	}
	h.size, h.blocks, h.blockCRC = le.Uint64(b[16:]), le.Uint64(b[24:]), le.Uint32(b[32:])
	copy(h.sum[:], b[40:72])
	if h.size != size {
		return h, damaged("it has %d bytes, %d were written", size, h.size)
	}
	if h.blocks < HeaderBytes || h.blocks > h.size || h.size-h.blocks != 4*blockCount(h.blocks) {
		return h, damaged("the block table is not where it should be")
	}
	end := uint64(HeaderBytes)
	for i := range h.sections {
		s := span{le.Uint64(b[72+16*i:]), le.Uint64(b[80+16*i:])}
		if s.off < end || s.off > h.blocks || s.len > h.blocks-s.off || (entrySize[i] != 0 && s.len%entrySize[i] != 0) {
			return h, damaged("section %d is not inside the file", i)
		}
		end = s.off + s.len
		h.sections[i] = s
	}
	return h, nil
}

// blockCount is the number of blocks of a body that ends at end.
func blockCount(end uint64) uint64 { return (end - HeaderBytes + BlockBytes - 1) / BlockBytes }
