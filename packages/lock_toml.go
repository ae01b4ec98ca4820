package packages

import (
	"github.com/BurntSushi/toml"

	"github.com/seaworthy-dev/seaworthy"
)

// readTOML decodes a whole TOML file into v.
func readTOML(f *File, v any) error {
	b, err := lockBytes(f)
	if err != nil {
		return err
	}
	if err := boundTOML(b); err != nil {
		return seaworthy.Wrap(err, seaworthy.TooLarge, "reading %q", f.Path)
	}
	if _, err := toml.Decode(string(stripBOM(b)), v); err != nil {
		return lockInvalid(f.Path, err)
	}
	return nil
}

// boundTOML refuses what would make the decoder, which is recursive, nest deeper than any honest file does:
// brackets within brackets, and names with many dots.
func boundTOML(b []byte) error {
	depth, dots, line := 0, 0, 1
	for i := 0; i < len(b); i++ {
		switch c := b[i]; c {
		case '\n':
			line++
			dots = 0
		case '#':
			for i+1 < len(b) && b[i+1] != '\n' {
				i++
			}
		case '"', '\'':
			end := endOfTOMLString(b, i)
			for _, c := range b[i:end] {
				if c == '\n' {
					line++
				}
			}
			i = end - 1
		case '[', '{':
			depth++
		case ']', '}':
			depth = max(0, depth-1)
		case ',':
			dots = 0
		case '.':
			dots++
		}
		if depth > maxLockDepth || dots > maxLockDepth {
			return seaworthy.Errorf(seaworthy.TooLarge, "line %d: nested more than %d deep", line, maxLockDepth)
		}
	}
	return nil
}

// endOfTOMLString returns the index behind the string that starts at i.
func endOfTOMLString(b []byte, i int) int {
	q := b[i]
	if i+2 < len(b) && b[i+1] == q && b[i+2] == q {
		for j := i + 3; j < len(b); j++ {
			switch {
			case b[j] == '\\' && q == '"':
				j++
			case b[j] == q && j+2 < len(b) && b[j+1] == q && b[j+2] == q:
				return j + 3
			}
		}
		return len(b)
	}
	for j := i + 1; j < len(b); j++ {
		switch {
		case b[j] == '\\' && q == '"':
			j++
		case b[j] == q:
			return j + 1
		case b[j] == '\n':
			return j // an unfinished string: the decoder will say so
		}
	}
	return len(b)
}
