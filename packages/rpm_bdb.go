package packages

import "encoding/binary"

// The hash format of Berkeley DB (its dbinc/db_page.h), in the byte order of the machine that wrote it.
const (
	bdbHashMagic   = 0x00061561
	bdbMetaSize    = 72
	bdbPageHeader  = 26
	bdbOverflow    = 7  // page type
	bdbHashOld     = 2  // page type: unsorted
	bdbHashSorted  = 13 // page type
	bdbInline      = 1  // item type
	bdbOffPage     = 3  // item type: the value is on overflow pages
	bdbOffPageSize = 12
)

// bdbOrder returns the byte order of a Berkeley DB hash file, nil for anything else.
func bdbOrder(body []byte) binary.ByteOrder {
	if len(body) < bdbMetaSize {
		return nil
	}
	for _, order := range [...]binary.ByteOrder{binary.LittleEndian, binary.BigEndian} {
		if order.Uint32(body[12:]) == bdbHashMagic {
			return order
		}
	}
	return nil
}

// bdbFile is a hash file. used marks overflow pages that belong to a value already read: no page belongs to
// two, so values together are no larger than the file.
type bdbFile struct {
	body     []byte
	order    binary.ByteOrder
	pageSize int
	used     []bool
	value    []byte // scratch
}

// bdbBlobs calls each with every package header of a Berkeley DB hash file. each may not keep it.
func bdbBlobs(body []byte, each func([]byte)) error {
	f := bdbFile{body: body, order: bdbOrder(body)}
	size := f.order.Uint32(body[20:])
	if size < 512 || size > 64<<10 || size&(size-1) != 0 {
		return rpmBroken("pages of %d bytes", size)
	}
	f.pageSize = int(size)
	if body[24] != 0 {
		return rpmBroken("it is encrypted")
	}
	pages := len(body) / f.pageSize
	f.used = make([]bool, pages)
	var first error
	if last := f.order.Uint32(body[32:]); uint64(last) >= uint64(pages) {
		first = rpmBroken("cut off: %d of %d pages", pages, uint64(last)+1)
	}
	for n := 1; n < pages; n++ {
		page := f.page(n)
		if kind := page[25]; kind != bdbHashOld && kind != bdbHashSorted {
			continue
		}
		if err := f.hashPage(page, each); err != nil && first == nil {
			first = err
		}
	}
	return first
}

func (f *bdbFile) page(n int) []byte { return f.body[n*f.pageSize : (n+1)*f.pageSize] }

// hashPage reads the values of a page. Its index holds the places of key, value, key, value …; items are laid
// from the end of the page downwards.
func (f *bdbFile) hashPage(page []byte, each func([]byte)) error {
	count := int(f.order.Uint16(page[20:]))
	if bdbPageHeader+2*count > len(page) {
		return rpmBroken("%d items on a page of %d bytes", count, len(page))
	}
	place := func(i int) int { return int(f.order.Uint16(page[bdbPageHeader+2*i:])) }
	var first error
	inline := 0 // items do not overlap, so together they are no larger than their page
	for i := 1; i < count; i += 2 {
		at, end := place(i), place(i-1)
		if at < bdbPageHeader+2*count || at >= len(page) {
			return rpmBroken("an item is said to be at byte %d of a page of %d", at, len(page))
		}
		switch page[at] {
		case bdbOffPage:
			if at+bdbOffPageSize > len(page) {
				return rpmBroken("an item is cut off by the end of its page")
			}
			value, err := f.overflow(f.order.Uint32(page[at+4:]), f.order.Uint32(page[at+8:]))
			if err == nil {
				each(value)
			} else if first == nil {
				first = err
			}
		case bdbInline:
			// The value under key 0 is the number of the next package; headers are larger than that.
			if end > at && end <= len(page) && end-at > 16 {
				if inline += end - at; inline > len(page) {
					return rpmBroken("items of a page overlap")
				}
				each(page[at+1 : end])
			}
		}
	}
	return first
}

// overflow collects a value of size bytes from a chain of pages.
func (f *bdbFile) overflow(n, size uint32) ([]byte, error) {
	if uint64(size) > uint64(len(f.body)) {
		return nil, rpmBroken("a value of %d bytes in a file of %d", size, len(f.body))
	}
	f.value = f.value[:0]
	for n != 0 {
		if uint64(n) >= uint64(len(f.used)) {
			return nil, rpmBroken("a value goes on at page %d of %d", n, len(f.used))
		}
		if f.used[n] {
			return nil, rpmBroken("page %d belongs to two values", n)
		}
		f.used[n] = true
		page := f.page(int(n))
		length := int(f.order.Uint16(page[22:]))
		if page[25] != bdbOverflow || bdbPageHeader+length > len(page) {
			return nil, rpmBroken("page %d is no part of a value", n)
		}
		f.value = append(f.value, page[bdbPageHeader:bdbPageHeader+length]...)
		n = f.order.Uint32(page[16:])
	}
	if len(f.value) < int(size) {
		return nil, rpmBroken("a value of %d bytes has only %d", size, len(f.value))
	}
	return f.value[:size], nil
}
