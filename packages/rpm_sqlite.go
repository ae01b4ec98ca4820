package packages

import (
	"encoding/binary"
	"strings"
)

// The database file format of SQLite (sqlite.org/fileformat2.html), as much of it as a table of blobs needs.
const (
	sqliteMagic      = "SQLite format 3\x00"
	sqliteHeaderSize = 100
	sqliteInterior   = 0x05 // b-tree page of a table, not a leaf
	sqliteLeaf       = 0x0d
)

// sqliteFile is a database. used marks the pages already read: none belongs to two places, so a walk ends.
type sqliteFile struct {
	body     []byte
	pageSize int
	usable   int // bytes of a page without the reserved ones at its end
	used     []bool
	payload  []byte // scratch
}

// sqliteBlobs calls each with the last column of every row of a table, where that is a blob. each may not
// keep it.
func sqliteBlobs(body []byte, table string, each func([]byte)) error {
	if len(body) < sqliteHeaderSize {
		return rpmBroken("cut off after %d bytes", len(body))
	}
	f := sqliteFile{body: body, pageSize: int(binary.BigEndian.Uint16(body[16:]))}
	if f.pageSize == 1 {
		f.pageSize = 64 << 10
	}
	f.usable = f.pageSize - int(body[20])
	if f.pageSize < 512 || f.pageSize&(f.pageSize-1) != 0 || f.usable < 480 {
		return rpmBroken("pages of %d bytes", f.pageSize)
	}
	f.used = make([]bool, len(body)/f.pageSize+1)
	root := uint64(0)
	// The schema is a table of type, name, table, root page, SQL, at page 1.
	err := f.walk(1, func(row []byte) error {
		columns, ok := sqliteColumns(row)
		if ok && len(columns) >= 4 && string(columns[0].data) == "table" && strings.EqualFold(string(columns[1].data), table) {
			root = columns[3].integer()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if root == 0 {
		return rpmBroken("it has no table %q", table)
	}
	bad := 0
	err = f.walk(root, func(row []byte) error {
		columns, ok := sqliteColumns(row)
		if !ok || len(columns) == 0 {
			bad++
			return nil
		}
		if last := columns[len(columns)-1]; last.kind >= 12 && last.kind%2 == 0 {
			each(last.data)
		}
		return nil
	})
	if err == nil && bad > 0 {
		err = rpmBroken("%d rows are damaged", bad)
	}
	return err
}

// page returns page n, counted from 1, once.
func (f *sqliteFile) page(n uint64) ([]byte, error) {
	if n == 0 || n >= uint64(len(f.used)) {
		return nil, rpmBroken("page %d of %d is missing", n, len(f.used)-1)
	}
	if f.used[n] {
		return nil, rpmBroken("page %d is used twice", n)
	}
	f.used[n] = true
	return f.body[(int(n)-1)*f.pageSize : int(n)*f.pageSize], nil
}

// walk calls row with the record of every row of the table whose b-tree starts at root, in order. Damaged
// parts are left out and the first damage is the error.
func (f *sqliteFile) walk(root uint64, row func([]byte) error) error {
	var first error
	note := func(err error) {
		if first == nil {
			first = err
		}
	}
	stack := []uint64{root}
	for len(stack) > 0 {
		n := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		page, err := f.page(n)
		if err != nil {
			note(err)
			continue
		}
		head := 0
		if n == 1 {
			head = sqliteHeaderSize
		}
		kind, cells := page[head], int(binary.BigEndian.Uint16(page[head+3:]))
		index := head + 8
		if kind == sqliteInterior {
			index = head + 12
		} else if kind != sqliteLeaf {
			note(rpmBroken("page %d is no part of a table", n))
			continue
		}
		if index+2*cells > f.usable {
			note(rpmBroken("%d cells on page %d", cells, n))
			continue
		}
		if kind == sqliteInterior {
			if len(stack)+cells > len(f.used) {
				return rpmBroken("page %d has more children than there are pages", n)
			}
			stack = append(stack, uint64(binary.BigEndian.Uint32(page[head+8:])))
			for i := cells - 1; i >= 0; i-- {
				at := int(binary.BigEndian.Uint16(page[index+2*i:]))
				if at+4 > f.usable {
					note(rpmBroken("a cell of page %d is behind its end", n))
					continue
				}
				stack = append(stack, uint64(binary.BigEndian.Uint32(page[at:])))
			}
			continue
		}
		inline := 0 // cells do not overlap, so together they are no larger than their page
		for i := range cells {
			record, err := f.record(page[:f.usable], int(binary.BigEndian.Uint16(page[index+2*i:])))
			if len(record) < f.usable {
				inline += len(record)
			}
			if inline > f.usable {
				note(rpmBroken("cells of page %d overlap", n))
				break
			}
			if err == nil {
				err = row(record)
			}
			if err != nil {
				note(err)
			}
		}
	}
	return first
}

// record collects the payload of a leaf cell, with what is on overflow pages (section 1.6).
func (f *sqliteFile) record(page []byte, at int) ([]byte, error) {
	if at >= len(page) {
		return nil, rpmBroken("a cell is behind the end of its page")
	}
	size, n := sqliteVarint(page[at:])
	_, m := sqliteVarint(page[min(at+n, len(page)):]) // the row's id
	if n == 0 || m == 0 || size > uint64(len(f.body)) {
		return nil, rpmBroken("a cell of %d bytes", size)
	}
	rest := page[at+n+m:]
	local := int(size)
	if limit := f.usable - 35; local > limit {
		least := (f.usable-12)*32/255 - 23
		local = least + (int(size)-least)%(f.usable-4)
		if local > limit {
			local = least
		}
	}
	if local == int(size) {
		if local > len(rest) {
			return nil, rpmBroken("a cell is cut off by the end of its page")
		}
		return rest[:local], nil
	}
	if local+4 > len(rest) {
		return nil, rpmBroken("a cell is cut off by the end of its page")
	}
	f.payload = append(f.payload[:0], rest[:local]...)
	next := uint64(binary.BigEndian.Uint32(rest[local:]))
	for len(f.payload) < int(size) {
		over, err := f.page(next)
		if err != nil {
			return nil, err
		}
		next = uint64(binary.BigEndian.Uint32(over))
		part := over[4:f.usable]
		f.payload = append(f.payload, part[:min(len(part), int(size)-len(f.payload))]...)
	}
	return f.payload, nil
}

// sqliteColumn is a value of a row and its serial type.
type sqliteColumn struct {
	kind uint64
	data []byte
}

// integer reads a column that holds a number; others are 0.
func (c sqliteColumn) integer() uint64 {
	if c.kind == 9 {
		return 1
	}
	if c.kind == 0 || c.kind > 6 {
		return 0
	}
	n := uint64(0)
	for _, b := range c.data {
		n = n<<8 | uint64(b)
	}
	return n
}

// maxSqliteColumns is how many columns of a row are read.
const maxSqliteColumns = 16

// sqliteColumns takes a record apart (section 2.1).
func sqliteColumns(record []byte) ([]sqliteColumn, bool) {
	size, n := sqliteVarint(record)
	if n == 0 || size > uint64(len(record)) || size < uint64(n) {
		return nil, false
	}
	kinds, data := record[n:size], record[size:]
	var out []sqliteColumn
	for len(kinds) > 0 && len(out) < maxSqliteColumns {
		kind, n := sqliteVarint(kinds)
		if n == 0 {
			return nil, false
		}
		kinds = kinds[n:]
		length := uint64(0)
		switch {
		case kind >= 12:
			length = (kind - 12) / 2
		case kind <= 7:
			length = [...]uint64{0, 1, 2, 3, 4, 6, 8, 8}[kind]
		}
		if length > uint64(len(data)) {
			return nil, false
		}
		out = append(out, sqliteColumn{kind, data[:length]})
		data = data[length:]
	}
	return out, true
}

// sqliteVarint reads a variable-length integer; n is 0 when it is cut off.
func sqliteVarint(b []byte) (v uint64, n int) {
	for i := 0; i < len(b) && i < 9; i++ {
		if i == 8 {
			return v<<8 | uint64(b[i]), 9
		}
		v = v<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, 0
}
