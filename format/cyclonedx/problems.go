package cyclonedx

import (
	"fmt"

	"github.com/seaworthy-dev/seaworthy"
)

// problemKind is something that is not as it should be. All of one kind become one Problem with their number
// and the first of them, so a hostile document cannot make more of them than there are kinds.
type problemKind int

const (
	problemDuplicateRef problemKind = iota
	problemDuplicateKey
	problemWrongType
	problemMember
	problemTop
	problemVulnerabilities
	problemCompositions
	problemPURL
	problemHash
	problemType
	problemScope
	problemTime
	problemProperty
	problemContext
	problemDependencyRef
	problemDangling
	problemSelfEdge
	problemCycle
	problemLicenceText
	problemReferenceHash
	problemSpecVersion
	problemKinds
)

// problemTexts say what happened and what became of it.
var problemTexts = [problemKinds]struct {
	code seaworthy.Code
	text string
}{
	problemDuplicateRef:    {seaworthy.Conflict, "bom-ref used again; the later component got another Ref"},
	problemDuplicateKey:    {seaworthy.Invalid, "JSON name used again in one object; the last one counts"},
	problemWrongType:       {seaworthy.Invalid, "value is not of its type; left out"},
	problemMember:          {seaworthy.Incomplete, "component member has no field; not represented"},
	problemTop:             {seaworthy.Incomplete, "part of the document is not represented"},
	problemVulnerabilities: {seaworthy.Incomplete, "vulnerability is not represented"},
	problemCompositions:    {seaworthy.Incomplete, "composition is not represented"},
	problemPURL:            {seaworthy.Invalid, "package URL is not valid; kept as an identifier of type purl"},
	problemHash:            {seaworthy.Invalid, "hash is unknown or malformed; kept as a property"},
	problemType:            {seaworthy.Invalid, "component type is unknown; kept as role"},
	problemScope:           {seaworthy.Invalid, "component scope is unknown; kept as a property"},
	problemTime:            {seaworthy.Invalid, "time is not a date-time; left out"},
	problemProperty:        {seaworthy.Invalid, "property of ours does not hold what it should; kept as a property"},
	problemContext:         {seaworthy.Incomplete, "additional context of an occurrence is not represented"},
	problemDependencyRef:   {seaworthy.Invalid, "dependency names nothing; left out"},
	problemDangling:        {seaworthy.Invalid, "relation with an element that is not in the document"},
	problemSelfEdge:        {seaworthy.Invalid, "relation of a component with itself"},
	problemCycle:           {seaworthy.Noted, "component is in, or between, dependency cycles"},
	problemLicenceText:     {seaworthy.Conflict, "licence name comes with different texts; the first one counts"},
	problemReferenceHash:   {seaworthy.Incomplete, "hash of an external reference is not represented"},
	problemSpecVersion:     {seaworthy.Unsupported, "specification version is not one of 1.2 to 1.7; read as 1.7"},
}

type tally struct {
	count          int
	where, example string
}

// maxExample is how much of a name a Problem repeats, in bytes.
const maxExample = 200

func clip(s string) string {
	if len(s) > maxExample {
		return s[:maxExample] + "…"
	}
	return s
}

func (r *reading) warn(kind problemKind, where, example string) {
	t := &r.tallies[kind]
	if t.count++; t.count == 1 {
		t.where, t.example = clip(where), clip(example)
	}
}

func (r *reading) problems() []seaworthy.Problem {
	var out []seaworthy.Problem
	for kind, t := range r.tallies {
		if t.count == 0 {
			continue
		}
		text := problemTexts[kind]
		detail := text.text
		if t.example != "" {
			detail = fmt.Sprintf("%s: %q", detail, t.example)
		}
		if t.count > 1 {
			detail = fmt.Sprintf("%s (the first of %d)", detail, t.count)
		}
		out = append(out, seaworthy.Problem{Where: t.where, Code: text.code, Detail: detail})
	}
	return out
}
