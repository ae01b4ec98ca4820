package packages

import "encoding/binary"

// The ndb format (rpm's lib/backend/ndb/rpmpkg.c): little-endian words; a header, pages of slots that say where
// each package's blob is, counted in blocks of 16 bytes, and the blobs.
const (
	ndbMagic      = "RpmP"
	ndbSlotMagic  = "Slot"
	ndbBlobMagic  = "BlbS"
	ndbHeaderSize = 32
	ndbPageSize   = 4096
	ndbBlock      = 16
)

// ndbBlobs calls each with every package header of an ndb database.
func ndbBlobs(body []byte, each func([]byte)) error {
	if len(body) < ndbHeaderSize {
		return rpmBroken("cut off after %d bytes", len(body))
	}
	if version := binary.LittleEndian.Uint32(body[4:]); version != 0 {
		return rpmBroken("version %d of the ndb format is not known", version)
	}
	pages := uint64(binary.LittleEndian.Uint32(body[12:]))
	if pages*ndbPageSize > uint64(len(body)) {
		return rpmBroken("%d pages of slots in a file of %d bytes", pages, len(body))
	}
	used := uint64(0) // blobs do not overlap, so together they are no larger than the file
	var err error
	for at := ndbHeaderSize; uint64(at)+ndbBlock <= pages*ndbPageSize; at += ndbBlock {
		slot := body[at : at+ndbBlock]
		if string(slot[:4]) != ndbSlotMagic {
			return rpmBroken("no slot at byte %d", at)
		}
		index, offset := binary.LittleEndian.Uint32(slot[4:]), uint64(binary.LittleEndian.Uint32(slot[8:]))*ndbBlock
		if index == 0 || offset == 0 {
			continue
		}
		if offset+ndbBlock > uint64(len(body)) {
			err = rpmBroken("package %d is said to be behind the end of the file", index)
			continue
		}
		blob := body[offset:]
		size := uint64(binary.LittleEndian.Uint32(blob[12:]))
		if string(blob[:4]) != ndbBlobMagic || binary.LittleEndian.Uint32(blob[4:]) != index || ndbBlock+size > uint64(len(blob)) {
			err = rpmBroken("no blob of package %d at byte %d", index, offset)
			continue
		}
		if used += size; used > uint64(len(body)) {
			return rpmBroken("packages overlap")
		}
		each(blob[ndbBlock : ndbBlock+size])
	}
	return err
}
