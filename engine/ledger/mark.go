package ledger

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/durable"
)

// mark is a state of a tree.
type mark struct {
	size uint64
	root [sha256.Size]byte
}

// highWater is the file that remembers the newest tree a signature was made for. It is written before the
// signature exists, so whatever anybody was shown, the file knows; a tree that does not contain it was rolled back.
//
// It has two lines, which are written in turn, so a line torn by a crash leaves the other one.
type highWater struct {
	path string
	disk *durable.Disk
	file *os.File
	turn int // of the line written next
}

const markLine = 20 + 1 + 64 + 1 + 16 + 1 // size, root, check and what separates them

func (m mark) line() []byte {
	text := fmt.Sprintf("%020d %x", m.size, m.root)
	sum := sha256.Sum256([]byte(text))
	return fmt.Appendf(nil, "%s %x\n", text, sum[:8])
}

func parseMark(line []byte) (m mark, ok bool) {
	if len(line) != markLine {
		return m, false
	}
	size, err := strconv.ParseUint(string(line[:20]), 10, 64)
	if err != nil {
		return m, false
	}
	m.size = size
	if _, err := hex.Decode(m.root[:], line[21:85]); err != nil {
		return m, false
	}
	return m, bytes.Equal(m.line(), line)
}

// openHighWater opens the file at path. found says whether it remembered anything.
func openHighWater(path string, disk *durable.Disk) (h *highWater, last mark, found bool, err error) {
	h = &highWater{path: path, disk: disk}
	body, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, last, false, seaworthy.Wrap(err, seaworthy.Storage, "reading the high-water file %q", path)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return h, last, false, nil
	}
	for i := range 2 {
		if len(body) < (i+1)*markLine {
			break
		}
		if m, ok := parseMark(body[i*markLine : (i+1)*markLine]); ok && (!found || m.size > last.size) {
			last, found, h.turn = m, true, 1-i
		}
	}
	if !found {
		return nil, last, false, seaworthy.Errorf(seaworthy.Invalid, "reading the high-water file %q: neither of its lines is whole", path).
			WithHint("it is what keeps the log from forking; put the file back, or check the log with a monitor's newest checkpoint and write it anew")
	}
	return h, last, true, nil
}

// keep returns when the mark is on the disk.
func (h *highWater) keep(m mark) error {
	if h.file == nil {
		// A new file, also after a failed sync: nobody knows what is in the old one.
		if err := h.disk.WriteFile(h.path, append(m.line(), m.line()...)); err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "writing the high-water file %q", h.path)
		}
		f, err := os.OpenFile(h.path, os.O_RDWR, 0)
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "opening the high-water file %q", h.path)
		}
		h.file, h.turn = f, 0
		return nil
	}
	err := h.disk.Before(durable.OpWrite, h.path)
	if err == nil {
		_, err = h.file.WriteAt(m.line(), int64(h.turn*markLine))
	}
	if err == nil {
		err = h.disk.Sync(h.file)
	}
	if err != nil {
		h.close()
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the high-water file %q", h.path)
	}
	h.turn = 1 - h.turn
	return nil
}

func (h *highWater) close() {
	if h.file != nil {
		h.file.Close()
		h.file = nil
	}
}
