package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

const (
	// maxFields is how many values one file may have, those that an alias repeats counted each time.
	maxFields = 100_000
	// maxMistakes is how many mistakes of one file are told.
	maxMistakes = 200
	// maxParts is how many authorities, or attestations, sources or rules of one of them, a policy may have: each
	// costs a verification of all that is there.
	maxParts = 100
)

// object is one policy being read: it knows where it is and gathers what is wrong with it.
type object struct {
	l    *loader
	file string
	name string // "ClusterImagePolicy/name"
	left *int   // values of the file that may still be read
	told int    // mistakes of the object
	bad  bool   // it has a mistake that is no warning
}

// mistake notes something wrong at a path. What follows from the file being too large is not told.
func (o *object) mistake(m Mistake) {
	m.File, m.Object = o.file, o.name
	o.bad = o.bad || !m.Warning
	if o.told++; o.told == maxMistakes {
		m = Mistake{File: o.file, Object: o.name, Code: seaworthy.TooLarge, Detail: "there are more mistakes, which are not listed"}
	}
	if o.told <= maxMistakes && *o.left >= 0 || *o.left == -1 {
		o.l.mistakes = append(o.l.mistakes, m)
	}
}

// field is a value of a policy and where it stands. The zero field is one that is not there: it is of every type,
// and empty.
type field struct {
	o    *object
	node *yaml.Node
	path string
	line int // of the object it is missing in
}

func (f field) given() bool { return f.node != nil && f.node.Tag != "!!null" }

// wrong notes a mistake at this field.
func (f field) wrong(code seaworthy.Code, format string, args ...any) {
	f.note(Mistake{Code: code, Detail: fmt.Sprintf(format, args...)})
}

// hinted notes a mistake with a hint.
func (f field) hinted(code seaworthy.Code, hint, format string, args ...any) {
	f.note(Mistake{Code: code, Hint: hint, Detail: fmt.Sprintf(format, args...)})
}

// warn notes something that works, but perhaps not as its author thinks.
func (f field) warn(hint, format string, args ...any) {
	f.note(Mistake{Code: seaworthy.Noted, Warning: true, Hint: hint, Detail: fmt.Sprintf(format, args...)})
}

// failed notes an error that reading something in this field gave.
func (f field) failed(err error) {
	f.note(Mistake{Code: seaworthy.CodeOf(err), Hint: seaworthy.HintOf(err), Detail: err.Error()})
}

func (f field) note(m Mistake) {
	m.Path, m.Line = f.path, f.line
	if f.node != nil {
		m.Line = f.node.Line
	}
	f.o.mistake(m)
}

// members are the fields of an object by name.
type members map[string]field

// object reads a mapping whose names are among those given; others are mistakes. A "…" at the end lets any name
// pass.
func (f field) object(names ...string) members {
	m := members{}
	open := len(names) > 0 && names[len(names)-1] == "…"
	if open {
		names = names[:len(names)-1]
	}
	line := f.line
	if f.node != nil {
		line = f.node.Line
	}
	for _, n := range names {
		m[n] = field{o: f.o, path: join(f.path, n), line: line}
	}
	if !f.given() || !f.is(yaml.MappingNode, "an object") {
		return m
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(f.node.Content); i += 2 {
		key, value := f.node.Content[i], f.resolve(f.node.Content[i+1])
		if value == nil {
			return m
		}
		at := field{o: f.o, node: value, path: join(f.path, key.Value)}
		switch {
		case seen[key.Value]:
			at.hinted(seaworthy.Invalid, "remove one of them", "%q is given twice", key.Value)
		case key.Value == "<<":
			at.hinted(seaworthy.Unsupported, "write the fields out", "merge keys are not read")
		case open || slices.Contains(names, key.Value):
			m[key.Value] = at
		default:
			hint := "the fields here are " + strings.Join(names, ", ")
			if near := console.Nearest(key.Value, names); near != "" {
				hint = "did you mean " + near + "?"
			}
			at.hinted(seaworthy.Invalid, hint, "there is no field %q", key.Value)
		}
		seen[key.Value] = true
	}
	return m
}

// given returns those of the names that are given, in their order.
func (m members) given(names ...string) []string {
	var out []string
	for _, n := range names {
		if m[n].given() {
			out = append(out, n)
		}
	}
	return out
}

// oneOf says that exactly one of the fields must be given, and returns its name; "" after a mistake.
func (f field) oneOf(m members, names ...string) string {
	have := m.given(names...)
	switch len(have) {
	case 1:
		return have[0]
	case 0:
		f.wrong(seaworthy.Invalid, "one of %s must be given", strings.Join(names, ", "))
	default:
		f.wrong(seaworthy.Invalid, "only one of %s may be given, not %s", strings.Join(names, ", "), strings.Join(have, " and "))
	}
	return ""
}

// list reads a sequence.
func (f field) list() []field {
	if !f.given() || !f.is(yaml.SequenceNode, "a list") {
		return nil
	}
	var out []field
	for i, n := range f.node.Content {
		if n = f.resolve(n); n == nil {
			return out
		}
		out = append(out, field{o: f.o, node: n, path: f.path + "[" + strconv.Itoa(i) + "]"})
	}
	return out
}

// parts reads a list of which each element costs something to decide about.
func (f field) parts() []field {
	out := f.list()
	if len(out) > maxParts {
		f.wrong(seaworthy.TooLarge, "there are %d; the limit is %d", len(out), maxParts)
		return out[:maxParts]
	}
	return out
}

// text reads a string; numbers and booleans that were not quoted are not strings.
func (f field) text() string {
	if !f.given() || !f.is(yaml.ScalarNode, "a string") {
		return ""
	}
	if f.node.Tag != "!!str" {
		f.hinted(seaworthy.Invalid, "put it into quotes", "%s is not a string", f.node.Value)
	}
	return f.node.Value
}

// required reads a string that must not be empty.
func (f field) required() string {
	s := f.text()
	if s == "" && (!f.given() || f.node.Kind == yaml.ScalarNode) {
		f.wrong(seaworthy.Invalid, "it must be given")
	}
	return s
}

// word reads one of some words, "" when it is not given.
func (f field) word(words ...string) string {
	s := f.text()
	if s == "" || slices.Contains(words, s) {
		return s
	}
	hint := "it may be " + strings.Join(words, ", ")
	if near := console.Nearest(s, words); near != "" {
		hint = "did you mean " + near + "?"
	}
	f.hinted(seaworthy.Invalid, hint, "there is no %q here", s)
	return ""
}

// texts reads a list of strings that are not empty.
func (f field) texts() []string {
	var out []string
	for _, e := range f.list() {
		if s := e.required(); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// boolean reads true or false.
func (f field) boolean() bool {
	if !f.given() || !f.is(yaml.ScalarNode, "true or false") {
		return false
	}
	var b bool
	if f.node.Tag != "!!bool" || f.node.Decode(&b) != nil {
		f.wrong(seaworthy.Invalid, "%q is neither true nor false", f.node.Value)
	}
	return b
}

// table reads a mapping of strings.
func (f field) table() map[string]string {
	out := map[string]string{}
	for name, v := range f.object("…") {
		out[name] = v.text()
	}
	return out
}

// isText reports a scalar where something larger may stand as well.
func (f field) isText() bool { return f.given() && f.node.Kind == yaml.ScalarNode }

func (f field) is(kind yaml.Kind, want string) bool {
	if f.node.Kind == kind {
		return true
	}
	have := map[yaml.Kind]string{yaml.MappingNode: "an object", yaml.SequenceNode: "a list", yaml.ScalarNode: "a single value"}[f.node.Kind]
	f.wrong(seaworthy.Invalid, "it is %s, want %s", have, want)
	return false
}

// resolve follows aliases and counts. It returns nil when the file has too many values.
func (f field) resolve(n *yaml.Node) *yaml.Node {
	for range 16 { // an alias of an alias does not occur; a cycle of them must end
		if n.Kind != yaml.AliasNode {
			break
		}
		n = n.Alias
	}
	switch *f.o.left--; {
	case *f.o.left == -1:
		f.wrong(seaworthy.TooLarge, "the file has more than %d values", maxFields)
		*f.o.left--
		return nil
	case *f.o.left < 0:
		return nil
	}
	return n
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
