package facet

import (
	"fmt"
	"unicode/utf8"

	"github.com/seaworthy-dev/seaworthy"
)

// DefaultProblems is how many problems a reader lists before it only counts them.
const DefaultProblems = 1000

// Problems collects what was not as it should be, up to a number, and counts the rest.
type Problems struct {
	Max  int // 0 means DefaultProblems
	List []seaworthy.Problem
	more int
	code seaworthy.Code
}

// Add notes a problem at where. Strings from outside among args should be clipped with Clip and written as %q.
func (p *Problems) Add(where string, code seaworthy.Code, format string, args ...any) {
	limit := p.Max
	if limit == 0 {
		limit = DefaultProblems
	}
	if len(p.List) >= limit {
		p.more++
		p.code = code
		return
	}
	p.List = append(p.List, seaworthy.Problem{Where: Clip(where), Code: code, Detail: fmt.Sprintf(format, args...)})
}

// All returns the list, ended by one entry that says how many more there were.
func (p *Problems) All() []seaworthy.Problem {
	if p.more > 0 {
		return append(p.List, seaworthy.Problem{Where: "document", Code: p.code, Detail: fmt.Sprintf("%d more problems are not listed", p.more)})
	}
	return p.List
}

// maxClip is how many bytes of a name from outside a problem repeats.
const maxClip = 200

// Clip shortens s for a message.
func Clip(s string) string {
	if len(s) <= maxClip {
		return s
	}
	cut := maxClip
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
