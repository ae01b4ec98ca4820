package grade

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/licence"
)

// Judgement is what a policy says of a licence.
type Judgement string

// The judgements, the best first.
const (
	Allowed    Judgement = "allowed"
	Unjudged   Judgement = "unjudged" // there is no policy
	UnknownOne Judgement = "unknown"  // no licence is stated, or it is none that SPDX knows
	Review     Judgement = "review"   // somebody must look
	Denied     Judgement = "denied"
)

var judgementRank = map[Judgement]int{Allowed: 0, Unjudged: 1, UnknownOne: 2, Review: 3, Denied: 4}

// Licence is a licence expression, what the policy says of it, and the packages under it.
type Licence struct {
	Licence  string    `json:"licence"` // SPDX expression; "" when none is stated
	Verdict  Judgement `json:"verdict"`
	Reason   string    `json:"reason,omitempty"`
	Packages []string  `json:"packages"` // purls, or names where there is none; sorted
}

// Policy says which licences are allowed. Entries are SPDX identifiers ("MIT"), identifiers with an exception
// ("GPL-2.0-only WITH Classpath-exception-2.0"), whole expressions, or beginnings ("GPL-*"). Of several entries
// that fit, the whole expression wins, then the longer one; at the same length denied before review before
// allowed.
//
// An expression is judged from its parts: OR takes the best side, for one may choose; AND takes the worst.
// A licence that no list names is for review when there is an allow list, and allowed otherwise. A LicenseRef-
// that no list names, and no licence at all, are Unknown: what says how those are judged.
type Policy struct {
	Allow  []string `yaml:"allow"`
	Deny   []string `yaml:"deny"`
	Review []string `yaml:"review"`
	// What is made of the unknown: "unknown" (the default: it is named and counts as neither), "allowed",
	// "review" or "denied".
	Unknown Judgement `yaml:"unknown"`
}

// maxPolicyBytes is the largest policy file: 1 MiB.
const maxPolicyBytes = 1 << 20

// ReadPolicy reads a policy from YAML with the keys allow, deny, review and unknown. Errors: Invalid, TooLarge.
func ReadPolicy(r io.Reader) (*Policy, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxPolicyBytes+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading a licence policy")
	}
	if len(b) > maxPolicyBytes {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading a licence policy: it is over the limit of %d bytes", maxPolicyBytes)
	}
	dec := yaml.NewDecoder(strings.NewReader(string(b)))
	dec.KnownFields(true)
	p := new(Policy)
	if err := dec.Decode(p); err != nil && err != io.EOF {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading a licence policy: %w", err).
			WithHint("it is YAML with lists under allow, deny and review, and unknown: review or denied")
	}
	return p, p.Check()
}

// Check reports what cannot be meant. Errors: Invalid.
func (p *Policy) Check() error {
	for _, entries := range [][]string{p.Allow, p.Deny, p.Review} {
		for _, entry := range entries {
			if strings.HasSuffix(entry, "*") {
				continue
			}
			if !licence.Valid(licence.Normalise(entry)) || isReference(licence.Normalise(entry)) && !isReference(entry) {
				return seaworthy.Errorf(seaworthy.Invalid, "reading a licence policy: %q is no SPDX licence", entry).
					WithHint("identifiers are on spdx.org/licenses; LicenseRef-… names any other")
			}
		}
	}
	if _, ok := judgementRank[p.Unknown]; p.Unknown != "" && (!ok || p.Unknown == Unjudged) {
		return seaworthy.Errorf(seaworthy.Invalid, "reading a licence policy: unknown is %q", string(p.Unknown)).
			WithHint("it may be unknown, allowed, review or denied")
	}
	return nil
}

func isReference(s string) bool { return strings.Contains(s, "LicenseRef-") }

// firstReference is the first LicenseRef- of an expression.
func firstReference(expression string) string {
	for _, word := range strings.Fields(expression) {
		if word = strings.Trim(word, "()"); isReference(word) {
			return word
		}
	}
	return expression
}

// judge gathers the licences of a bill and says what the policy makes of each, denied first.
func (p *Policy) judge(bill *seaworthy.Bill) []Licence {
	at := map[string]int{}
	out := []Licence{}
	for i := range bill.Packages {
		pkg := &bill.Packages[i]
		if !isSoftware(pkg) || slices.Contains(bill.Roots, pkg.Ref) && len(bill.Packages) > 1 {
			continue
		}
		expr := cmp.Or(pkg.Licences.Concluded, pkg.Licences.Declared, licence.And(pkg.Licences.Found...))
		n, ok := at[expr]
		if !ok {
			n = len(out)
			at[expr] = n
			verdict, reason := p.Judge(expr)
			out = append(out, Licence{Licence: expr, Verdict: verdict, Reason: reason})
		}
		out[n].Packages = append(out[n].Packages, cmp.Or(pkg.PURL, pkg.Name))
	}
	for i := range out {
		slices.Sort(out[i].Packages)
		out[i].Packages = slices.Compact(out[i].Packages)
	}
	slices.SortFunc(out, func(a, b Licence) int {
		return cmp.Or(cmp.Compare(judgementRank[b.Verdict], judgementRank[a.Verdict]), cmp.Compare(len(b.Packages), len(a.Packages)),
			strings.Compare(a.Licence, b.Licence))
	})
	return out
}

// Judge says what the policy makes of an expression, and why. A nil Policy judges nothing, but still names what
// is unknown.
func (p *Policy) Judge(expression string) (Judgement, string) {
	if expression == "" || expression == "NONE" || expression == "NOASSERTION" {
		return p.unknown("no licence is stated")
	}
	if !licence.Valid(expression) { // what is no expression becomes a LicenseRef- of its words
		expression = licence.Normalise(expression)
	}
	if p == nil {
		if isReference(expression) {
			return UnknownOne, firstReference(expression) + " is not a licence of the SPDX list"
		}
		return Unjudged, ""
	}
	if verdict, entry := p.entry(expression, true); entry != "" {
		return verdict, string(verdict) + " as " + entry
	}
	return p.evaluate(expression)
}

func (p *Policy) unknown(why string) (Judgement, string) {
	if p == nil || p.Unknown == "" {
		return UnknownOne, why
	}
	return p.Unknown, why
}

// entry finds the policy's entry for a licence, or the whole of an expression.
func (p *Policy) entry(name string, whole bool) (Judgement, string) {
	var verdict Judgement
	best, score := "", -1
	for _, l := range []struct {
		verdict Judgement
		entries []string
	}{{Denied, p.Deny}, {Review, p.Review}, {Allowed, p.Allow}} {
		for _, e := range l.entries {
			n := -1
			prefix, glob := strings.CutSuffix(e, "*")
			switch {
			case glob && !whole && strings.HasPrefix(strings.ToLower(name), strings.ToLower(prefix)):
				n = len(prefix)
			case !glob && sameLicence(e, name):
				n = 1 << 20
			}
			if n > score {
				verdict, best, score = l.verdict, e, n
			}
		}
	}
	return verdict, best
}

func sameLicence(a, b string) bool {
	return a == b || strings.EqualFold(licence.Normalise(a), licence.Normalise(b))
}

// one judges a single licence, with its exception if it has one.
func (p *Policy) one(name string) (Judgement, string) {
	verdict, entry := p.entry(name, false)
	if entry == "" {
		if base, _, with := strings.Cut(name, " WITH "); with { // an exception only ever permits more
			verdict, entry = p.entry(base, false)
		}
	}
	switch {
	case entry == name:
		return verdict, name + " is " + string(verdict)
	case entry != "":
		return verdict, name + " is " + string(verdict) + " as " + entry
	case isReference(name):
		return p.unknown(name + " is not a licence of the SPDX list")
	case len(p.Allow) > 0:
		return Review, name + " is in no list"
	}
	return Allowed, name + " is in no list"
}

// answer is the judgement of a part of an expression.
type answer struct {
	verdict Judgement
	reason  string
}

// evaluate judges an expression from its parts by operator precedence (SPDX 2.3 annex D.4: WITH, AND, OR), with
// stacks of its own, so that no nesting is too deep.
func (p *Policy) evaluate(expression string) (Judgement, string) {
	var operands []answer
	var operators []string
	apply := func() {
		op := operators[len(operators)-1]
		operators = operators[:len(operators)-1]
		if len(operands) < 2 {
			return
		}
		a, b := operands[len(operands)-2], operands[len(operands)-1]
		operands = operands[:len(operands)-1]
		worse := judgementRank[b.verdict] > judgementRank[a.verdict]
		if worse == (op == "AND") && a.verdict != b.verdict {
			a = b
		}
		operands[len(operands)-1] = a
	}
	words := strings.Fields(strings.NewReplacer("(", " ( ", ")", " ) ").Replace(expression))
	for i := 0; i < len(words); i++ {
		switch word := words[i]; word {
		case "(":
			operators = append(operators, word)
		case ")":
			for len(operators) > 0 && operators[len(operators)-1] != "(" {
				apply()
			}
			if len(operators) > 0 {
				operators = operators[:len(operators)-1]
			}
		case "AND", "OR":
			for len(operators) > 0 && (operators[len(operators)-1] == "AND" || operators[len(operators)-1] == word) {
				apply()
			}
			operators = append(operators, word)
		default:
			if i+2 < len(words) && words[i+1] == "WITH" {
				word += " WITH " + words[i+2]
				i += 2
			}
			verdict, reason := p.one(word)
			operands = append(operands, answer{verdict, reason})
		}
	}
	for len(operators) > 0 {
		apply()
	}
	if len(operands) != 1 {
		return p.unknown("it is no SPDX expression")
	}
	return operands[0].verdict, operands[0].reason
}
