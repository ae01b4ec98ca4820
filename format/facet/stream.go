package facet

import (
	"bufio"
	"io"
	"unicode/utf8"
)

// Stream writes JSON as it goes: two spaces of indent, LF, members in the order of the calls. Nothing is held
// back but a buffer of 64 KiB. The first error stays and is returned by Close.
type Stream struct {
	w     *bufio.Writer
	open  []byte // the closing brackets still owed
	empty bool   // nothing has been written since the last bracket was opened
	buf   []byte
}

// NewStream returns a Stream that writes to w.
func NewStream(w io.Writer) *Stream {
	return &Stream{w: bufio.NewWriterSize(w, 64<<10), empty: true}
}

// Object opens an object; name is "" inside an array.
func (s *Stream) Object(name string) { s.begin(name, '{', '}') }

// Array opens an array; name is "" inside an array.
func (s *Stream) Array(name string) { s.begin(name, '[', ']') }

func (s *Stream) begin(name string, open, end byte) {
	s.member(name)
	s.buf = append(s.buf, open)
	s.flush()
	s.open = append(s.open, end)
	s.empty = true
}

// End closes what was opened last.
func (s *Stream) End() {
	end := s.open[len(s.open)-1]
	s.open = s.open[:len(s.open)-1]
	if !s.empty {
		s.newline()
	}
	s.buf = append(s.buf, end)
	s.flush()
	s.empty = false
}

// String writes a member, or an element when name is "".
func (s *Stream) String(name, value string) {
	s.member(name)
	s.buf = AppendString(s.buf, value)
	s.flush()
	s.empty = false
}

// Some writes a member unless its value is "".
func (s *Stream) Some(name, value string) {
	if value != "" {
		s.String(name, value)
	}
}

// Strings writes an array of strings unless it is empty.
func (s *Stream) Strings(name string, values []string) {
	if len(values) == 0 {
		return
	}
	s.Array(name)
	for _, v := range values {
		s.String("", v)
	}
	s.End()
}

// Bool writes a member.
func (s *Stream) Bool(name string, value bool) {
	s.member(name)
	if value {
		s.buf = append(s.buf, "true"...)
	} else {
		s.buf = append(s.buf, "false"...)
	}
	s.flush()
	s.empty = false
}

// Close ends the document with a line feed. Errors: those of the writer.
func (s *Stream) Close() error {
	s.w.WriteByte('\n')
	return s.w.Flush()
}

func (s *Stream) member(name string) {
	if len(s.open) > 0 {
		if !s.empty {
			s.buf = append(s.buf, ',')
		}
		s.newline()
	}
	if name != "" {
		s.buf = AppendString(s.buf, name)
		s.buf = append(s.buf, ": "...)
	}
}

func (s *Stream) newline() {
	s.buf = append(s.buf, '\n')
	for range s.open {
		s.buf = append(s.buf, ' ', ' ')
	}
}

func (s *Stream) flush() {
	s.w.Write(s.buf) // bufio keeps the error for Close
	s.buf = s.buf[:0]
}

// AppendString appends s as a JSON string. Misleading characters are escaped; bytes that are not UTF-8 become
// U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= 0x20 && c < 0x7f && c != '"' && c != '\\' {
			i++
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		bad := r == utf8.RuneError && n == 1
		if !bad && r >= 0x80 && !Misleading(r) {
			i += n
			continue
		}
		dst = append(dst, s[start:i]...)
		switch {
		case bad:
			dst = append(dst, "\uFFFD"...)
		case r == '"' || r == '\\':
			dst = append(dst, '\\', byte(r))
		case r == '\n':
			dst = append(dst, '\\', 'n')
		case r == '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = appendEscape(dst, r)
		}
		i += n
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

const hexDigits = "0123456789abcdef"

// appendEscape appends \uXXXX; all misleading characters are in the basic plane.
func appendEscape(dst []byte, r rune) []byte {
	return append(dst, '\\', 'u', hexDigits[r>>12&15], hexDigits[r>>8&15], hexDigits[r>>4&15], hexDigits[r&15])
}
