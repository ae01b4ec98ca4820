package licence

import "strings"

// maxNameWords is how many words a name may have to be believed a name when nothing about it is known.
const maxNameWords = 5

// maxGroups is how deep parentheses may be nested in names that are no SPDX expression.
const maxGroups = 16

// severalNames reads names joined by and, or, commas, slashes and parentheses, in the manner of DEP-5
// ("GPL-1+ or Artistic, and Expat": the comma binds loosest) and of rpm. "" means that s reads like prose.
func severalNames(s string) string {
	p := namesParser{levels: []*level{{}}}
	s = joinLater(s)
	p.comma = "AND"
	if lower := strings.ToLower(s); strings.Contains(lower, " or ") && !strings.Contains(lower, " and ") {
		p.comma = "OR"
	}
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '(' && strings.TrimSpace(s[p.start:i]) == "":
			if len(p.levels) == maxGroups || p.top().pending {
				return ""
			}
			p.levels = append(p.levels, new(level))
			i++
			p.start = i
		case c == '(': // part of a name
			close := strings.IndexByte(s[i:], ')')
			if close < 0 {
				return ""
			}
			i += close + 1
		case c == ')':
			if len(p.levels) == 1 || !p.operand(s[p.start:i]) {
				return ""
			}
			inner := p.top().join()
			p.levels = p.levels[:len(p.levels)-1]
			if strings.Contains(inner, " ") {
				inner = "(" + inner + ")"
			}
			p.top().add(inner)
			i++
			p.start = i
		default:
			n, op, loose := separator(s, i, p.comma)
			if n == 0 {
				i++
				continue
			}
			if !p.operand(s[p.start:i]) || !p.top().pending {
				return ""
			}
			p.top().next(op, loose)
			i += n
			p.start = i
		}
	}
	if !p.operand(s[p.start:]) || len(p.levels) != 1 || !p.top().pending || p.prose && !p.known {
		return ""
	}
	return p.top().join()
}

// namesParser is the state of severalNames. levels is the stack of open parentheses.
type namesParser struct {
	levels []*level
	start  int    // of the name being read
	comma  string // the operator a bare comma stands for
	known  bool   // a name was recognised
	prose  bool   // a name that was not has several words
}

func (p *namesParser) top() *level { return p.levels[len(p.levels)-1] }

// operand adds the name s, if any, and reports whether it can be one.
func (p *namesParser) operand(s string) bool {
	s = strings.Trim(s, " \t\r\n.")
	if s == "" {
		return p.top().pending
	}
	if p.top().pending {
		return false
	}
	id := oneName(s)
	if id == "" {
		if out, ok := parse(s, false); ok {
			id = out
		}
	}
	if id == "" {
		words := len(strings.Fields(s))
		if words > maxNameWords {
			return false
		}
		p.prose = p.prose || words > 1
		id = reference(s)
	} else {
		p.known = true
	}
	p.top().add(id)
	return true
}

// level is what stands between one pair of parentheses: groups that a comma divides, joined by ops.
type level struct {
	groups  []string
	ops     []string
	group   strings.Builder
	pending bool // an operand stands last
}

func (l *level) add(operand string) {
	l.group.WriteString(operand)
	l.pending = true
}

// next notes the operator op behind an operand; loose ones divide groups.
func (l *level) next(op string, loose bool) {
	l.pending = false
	if loose {
		l.close()
		l.ops = append(l.ops, op)
		return
	}
	l.group.WriteString(" " + op + " ")
}

func (l *level) close() {
	l.groups = append(l.groups, l.group.String())
	l.group.Reset()
}

// join puts parentheses round the groups with a choice that stand beside AND.
func (l *level) join() string {
	if len(l.groups) == 0 {
		return l.group.String()
	}
	l.close()
	all := false
	for _, op := range l.ops {
		all = all || op == "AND"
	}
	var out strings.Builder
	for i, g := range l.groups {
		if i > 0 {
			out.WriteString(" " + l.ops[i-1] + " ")
		}
		if all && strings.Contains(g, " OR ") {
			g = "(" + g + ")"
		}
		out.WriteString(g)
	}
	return out.String()
}

// separator reports the length of the separator at s[i], 0 for none, the operator it stands for, and whether
// it divides groups.
func separator(s string, i int, comma string) (n int, op string, loose bool) {
	switch s[i] {
	case ',', ';':
		j := i + 1
		for j < len(s) && s[j] == ' ' {
			j++
		}
		if j > 0 && j < len(s) {
			if n, op := wordOperator(s, j); n > 0 {
				return j - i + n, op, true
			}
		}
		return 1, comma, true
	case '/', '|':
		n = 1
		for i+n < len(s) && s[i+n] == s[i] {
			n++
		}
		return n, "OR", false
	case '&':
		return 1, "AND", false
	}
	if i > 0 && (s[i-1] == ' ' || s[i-1] == ')' || s[i-1] == '\n' || s[i-1] == '\t') {
		n, op = wordOperator(s, i)
		return n, op, false
	}
	return 0, "", false
}

// wordOperator reads and, or, and/or at s[i]. "and/or" lets the user choose.
func wordOperator(s string, i int) (int, string) {
	for _, w := range [...]struct{ word, op string }{{"and/or", "OR"}, {"and", "AND"}, {"or", "OR"}, {"plus", "AND"}} {
		end := i + len(w.word)
		if end < len(s) && strings.EqualFold(s[i:end], w.word) && (s[end] == ' ' || s[end] == '(' || s[end] == '\n' || s[end] == '\t') {
			return len(w.word), w.op
		}
	}
	return 0, ""
}

// joinLater writes "or later" as "+", so that the "or" is not taken for a choice.
func joinLater(s string) string {
	for _, words := range [...]string{
		" (at your option) any later version", " or (at your option) any later version", ", or (at your option) any later version",
		" or any later version", ", or any later version", " or later versions", " or later version", " or later", ", or later",
		" and later", " or newer", " or greater", " or above",
	} {
		for {
			i := indexFold(s, words)
			if i < 0 {
				break
			}
			s = s[:i] + "+" + s[i+len(words):]
		}
	}
	return s
}

// indexFold is strings.Index for ASCII without regard to case.
func indexFold(s, sub string) int {
	for i := 0; i+len(sub) <= len(s); i++ {
		if s[i]|0x20 == sub[0]|0x20 && strings.EqualFold(s[i:i+len(sub)], sub) {
			return i
		}
	}
	return -1
}
