package packages

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits of what reading Starlark may build up.
const (
	// maxStarText is the longest string that joining, "%" and format may make.
	maxStarText = 4 << 10
	// maxStarMade is how many bytes all strings made in one file may have together: 16 MiB.
	maxStarMade = 16 << 20
	// maxStarItems is how many items all lists of one file may copy from each other.
	maxStarItems = 1 << 18
)

// starValue is what an expression is worth, as far as it is written down.
type starValue struct {
	kind starKind
	text string      // of a string, a name or a number; of a call, what is called
	list []starValue // of a list or tuple, or the positional arguments of a call
}

type starKind byte

const (
	starUnknown starKind = iota
	starString
	starName // a name without a value, a number, True
	starList
	starResult // what a call gave
)

// starCall is a call as it closes.
type starCall struct {
	callee string // "maven.install": a method as it is written
	args   []starValue
	named  map[string]starValue
}

// text returns the argument of that name when it is a string.
func (c *starCall) text(name string) string {
	if v := c.named[name]; v.kind == starString {
		return v.text
	}
	return ""
}

// texts returns the strings of the argument of that name, a list or one string.
func (c *starCall) texts(name string) []string { return c.named[name].texts() }

func (v starValue) texts() []string {
	if v.kind == starString {
		return []string{v.text}
	}
	var out []string
	if v.kind == starList {
		for _, item := range v.list {
			if item.kind == starString {
				out = append(out, item.text)
			}
		}
	}
	return out
}

// starFrame is a bracket that is open, or the file itself, and the expression in it that is being read.
type starFrame struct {
	open   byte      // '(', '[', '{' or 0
	callee string    // of a call; "[]" of an index
	method starValue // the string that format is called on
	calls  string    // the name that was read and is called next
	named  map[string]starValue
	args   []starValue
	key    string // before "="
	// value is worth what was read of the expression; op joins the next term to it.
	value starValue
	op    byte // '+', '%' or 0
	terms int
}

// starReader reads Starlark (github.com/bazelbuild/starlark, spec.md) as a list of calls. It is no evaluator: it
// knows strings, lists, names that stand for them, "+", "%" and format, and takes everything else for unknown.
type starReader struct {
	stack []starFrame
	vars  map[string]starValue
	room  int // items that may still be copied
	made  int // bytes of strings that may still be made
	done  func(*starCall)
}

// readStarlark calls done for every call as it closes, inner ones first, with the variables known by then.
// Errors: Invalid, TooLarge.
func readStarlark(b []byte, done func(c *starCall, vars map[string]starValue)) error {
	r := &starReader{stack: []starFrame{{}}, vars: map[string]starValue{}, room: maxStarItems, made: maxStarMade}
	r.done = func(c *starCall) { done(c, r.vars) }
	line := 1
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '\n':
			line++
			if i++; len(r.stack) == 1 {
				r.endOfStatement()
			}
		case c == '\\' && i+1 < len(b) && b[i+1] == '\n':
			line++
			i += 2
		case c == ' ' || c == '\t' || c == '\r':
			i++
		case c == '#':
			for i < len(b) && b[i] != '\n' {
				i++
			}
		case c == '"' || c == '\'':
			text, end := starText(b, i, false)
			if end < 0 {
				return seaworthy.Errorf(seaworthy.Invalid, "line %d: a string does not end", line)
			}
			line += bytes.Count(b[i:end], []byte("\n"))
			r.term(starValue{kind: starString, text: text})
			i = end
		case (c == 'r' || c == 'b') && i+1 < len(b) && (b[i+1] == '"' || b[i+1] == '\''):
			text, end := starText(b, i+1, c == 'r')
			if end < 0 {
				return seaworthy.Errorf(seaworthy.Invalid, "line %d: a string does not end", line)
			}
			line += bytes.Count(b[i:end], []byte("\n"))
			r.term(starValue{kind: starString, text: text})
			i = end
		case isAlnum(c) || c == '_' || c >= 0x80:
			start := i
			for i < len(b) && (isAlnum(b[i]) || b[i] == '_' || b[i] == '.' || b[i] >= 0x80) {
				i++
			}
			name, next := string(b[start:i]), afterSpace(b[i:])
			switch {
			case next == '=':
				r.term(starValue{kind: starName, text: name})
			case next == '(' && r.top().op != '.':
				r.top().calls = name
			default:
				r.word(name)
			}
		case c == '(' || c == '[' || c == '{':
			if len(r.stack) > maxLockDepth {
				return seaworthy.Errorf(seaworthy.TooLarge, "line %d: nested more than %d deep", line, maxLockDepth)
			}
			r.open(c)
			i++
		case c == ')' || c == ']' || c == '}':
			top := r.top()
			if top.open == 0 || closing(top.open) != c {
				return seaworthy.Errorf(seaworthy.Invalid, "line %d: %q closes what was not opened", line, c)
			}
			r.close()
			i++
		default:
			i += r.operator(b[i:])
		}
	}
	if len(r.stack) > 1 {
		return seaworthy.Errorf(seaworthy.Invalid, "line %d: a %q is not closed", line, r.top().open)
	}
	r.endOfStatement()
	return nil
}

func closing(open byte) byte {
	switch open {
	case '(':
		return ')'
	case '[':
		return ']'
	}
	return '}'
}

func (r *starReader) top() *starFrame { return &r.stack[len(r.stack)-1] }

// operator reads what stands between terms and returns how long it is.
func (r *starReader) operator(b []byte) int {
	top := r.top()
	switch c := b[0]; {
	case c == ',' || c == ';':
		if top.open == 0 {
			r.endOfStatement()
		} else {
			r.endOfItem()
		}
	case len(b) > 1 && b[1] == '=' && strings.IndexByte("=!<>+-*/%", c) >= 0:
		top.value, top.op, top.terms = starValue{}, 0, 2 // a comparison, or "+=", which needs an order of events
		return 2
	case c == '=':
		if top.key == "" && top.value.kind == starName && top.terms == 1 {
			top.key = top.value.text
			top.value, top.terms = starValue{}, 0
		}
	case c == '+' || c == '%':
		top.op = c
	case c == '.' && top.value.kind == starString:
		top.op = '.' // a method of a string follows
	case c == ':' && top.open == '{':
		top.value, top.terms, top.op = starValue{}, 0, 0 // the key of a dictionary; what it is for is not known
	default:
		top.value, top.op, top.terms = starValue{}, 0, 2
	}
	return 1
}

// afterSpace returns the character that comes next; for "==" that is 0.
func afterSpace(b []byte) byte {
	i := 0
	for i < len(b) && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	if i == len(b) || b[i] == '=' && i+1 < len(b) && b[i+1] == '=' {
		return 0
	}
	return b[i]
}

// word takes a name: one with a value stands for that.
func (r *starReader) word(name string) {
	top := r.top()
	if top.op == '.' {
		top.op = 0
		if name == "format" {
			top.calls = ".format" // of the string before it
		} else {
			top.value, top.terms = starValue{}, 2
		}
		return
	}
	if v, ok := r.vars[name]; ok && v.kind != starResult {
		r.term(v)
		return
	}
	r.term(starValue{kind: starName, text: name})
}

// term joins v to the expression being read.
func (r *starReader) term(v starValue) {
	top := r.top()
	op := top.op
	top.op = 0
	top.terms++
	switch {
	case top.terms == 1:
		top.value = v
	case op == '+' && top.value.kind == starString && v.kind == starString && len(top.value.text)+len(v.text) <= maxStarText:
		top.value = r.make(top.value.text + v.text)
	case op == '+' && top.value.kind == starList && v.kind == starList && len(top.value.list)+len(v.list) <= r.room:
		r.room -= len(top.value.list) + len(v.list)
		joined := make([]starValue, 0, len(top.value.list)+len(v.list))
		top.value.list = append(append(joined, top.value.list...), v.list...)
	case op == '+' && top.value.kind == starList:
		// One part of a list is not known; the other is.
	case op == '+' && v.kind == starList:
		top.value = v
	case op == '%' && top.value.kind == starString:
		top.value = r.percent(top.value.text, v)
	default:
		top.value = starValue{}
	}
}

// percent replaces each %s and %d of format by what comes after "%".
func (r *starReader) percent(format string, v starValue) starValue {
	args := []starValue{v}
	if v.kind == starList {
		args = v.list
	}
	var b strings.Builder
	for {
		at := strings.IndexByte(format, '%')
		if at < 0 || at+1 >= len(format) {
			break
		}
		b.WriteString(format[:at])
		switch format[at+1] {
		case '%':
			b.WriteByte('%')
		case 's', 'd':
			if len(args) == 0 || !args[0].written() {
				return starValue{}
			}
			b.WriteString(args[0].text)
			args = args[1:]
		default:
			return starValue{}
		}
		if format = format[at+2:]; b.Len() > maxStarText {
			return starValue{}
		}
	}
	b.WriteString(format)
	return r.make(b.String())
}

// make returns a string that was not written as it is, while there is room for such.
func (r *starReader) make(s string) starValue {
	if r.made -= len(s); r.made < 0 || len(s) > maxStarText {
		return starValue{}
	}
	return starValue{kind: starString, text: s}
}

// written reports whether v is a string or a number.
func (v starValue) written() bool {
	return v.kind == starString || v.kind == starName && v.text != "" && v.text[0] >= '0' && v.text[0] <= '9'
}

// format replaces {}, {0} and {name} of a string by the arguments of its method format.
func (r *starReader) format(s string, f *starFrame) starValue {
	var b strings.Builder
	for next := 0; ; {
		at := strings.IndexByte(s, '{')
		end := strings.IndexByte(s, '}')
		if at < 0 || end < at {
			break
		}
		b.WriteString(s[:at])
		name := s[at+1 : end]
		v, ok := f.named[name]
		if !ok {
			i, err := strconv.Atoi(name)
			if name == "" {
				i, err = next, nil
				next++
			}
			if err != nil || i < 0 || i >= len(f.args) {
				return starValue{}
			}
			v = f.args[i]
		}
		if s = s[end+1:]; !v.written() || b.Len()+len(v.text) > maxStarText {
			return starValue{}
		}
		b.WriteString(v.text)
	}
	b.WriteString(s)
	return r.make(b.String())
}

func (r *starReader) open(c byte) {
	top := r.top()
	f := starFrame{open: c}
	switch {
	case c == '(' && top.calls == ".format":
		f.callee, f.method = ".format", top.value
		top.value, top.terms = starValue{}, top.terms-1 // the call takes the place of the string
	case c == '(' && top.calls != "":
		f.callee = top.calls
		if object, ok := strings.CutSuffix(f.callee, ".format"); ok && r.vars[object].kind == starString {
			f.callee, f.method = ".format", r.vars[object]
		}
	case c != '{' && top.terms > 0 && top.op == 0:
		f.callee = "[]" // an index, or a call of what is no name
	}
	top.calls = ""
	r.stack = append(r.stack, f)
}

func (r *starReader) close() {
	r.endOfItem()
	f := *r.top()
	r.stack = r.stack[:len(r.stack)-1]
	switch {
	case f.open == '(' && f.callee == ".format":
		r.term(r.format(f.method.text, &f))
	case f.open == '(' && f.callee != "" && f.callee != "[]":
		r.done(&starCall{callee: f.callee, args: f.args, named: f.named})
		r.term(starValue{kind: starResult, text: f.callee, list: f.args})
	case f.open == '(' && len(f.args) == 1:
		r.term(f.args[0])
	case f.open == '{' || f.callee != "":
		r.top().terms++
		r.top().value = starValue{}
	default:
		r.term(starValue{kind: starList, list: f.args})
	}
}

// endOfItem ends an argument of a call, or an item of a list.
func (r *starReader) endOfItem() {
	top := r.top()
	if top.terms > 0 {
		if top.key != "" {
			if top.named == nil {
				top.named = map[string]starValue{}
			}
			top.named[top.key] = top.value
		} else {
			top.args = append(top.args, top.value)
		}
	}
	top.key, top.value, top.op, top.terms = "", starValue{}, 0, 0
}

// endOfStatement ends a line outside of brackets: an assignment is remembered.
func (r *starReader) endOfStatement() {
	top := r.top()
	if top.key != "" && top.terms > 0 {
		if top.value.kind == starUnknown || top.value.kind == starName {
			delete(r.vars, top.key)
		} else {
			r.vars[top.key] = top.value
		}
	}
	r.stack[0] = starFrame{}
}

// starText reads the string whose quote is at i: its text, and the index behind it, or -1.
func starText(b []byte, i int, raw bool) (string, int) {
	q := b[i]
	start, long := i+1, false
	if i+2 < len(b) && b[i+1] == q && b[i+2] == q {
		start, long = i+3, true
	}
	escaped := false
	for j := start; j < len(b); j++ {
		switch {
		case b[j] == '\\':
			escaped = true
			j++
		case b[j] == '\n' && !long:
			return "", -1
		case b[j] == q && long && (j+2 >= len(b) || b[j+1] != q || b[j+2] != q):
		case b[j] == q:
			end := j + 1
			if long {
				end = j + 3
			}
			if escaped && !raw {
				return unescape(b[start:j]), end
			}
			return string(b[start:j]), end
		}
	}
	return "", -1
}

// unescape replaces \n, \t and a backslash before anything else.
func unescape(b []byte) string {
	var out strings.Builder
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '\\' && i+1 < len(b) {
			i++
			switch c = b[i]; c {
			case 'n':
				c = '\n'
			case 't':
				c = '\t'
			case '\n':
				continue
			}
		}
		out.WriteByte(c)
	}
	return out.String()
}
