package policy

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// maxRegoText is how long a text may be that a function makes: 4 MiB.
	maxRegoText = 4 << 20
	// maxRegoList is how many elements a list may have that a function makes.
	maxRegoList = 200_000
)

// regoAllowed are the functions that policies have: those that depend on their arguments alone. A function that OPA
// adds later is not there until it is listed. What is missing: the network (http.send, net.lookup_ip_addr, JSON
// schemas, which fetch), the environment (opa.runtime), randomness, signing, and what is made to be large (YAML,
// templates, GraphQL, CIDR expansion, bit shifts).
var regoAllowed = strings.Fields(`
eq assign internal.member_2 internal.member_3 gt gte lt lte neq equal plus minus mul div round ceil floor abs rem
bits.or bits.and bits.negate bits.xor bits.rsh and or intersection union count sum product max min sort
array.concat array.flatten array.slice array.reverse to_number regex.match regex.is_valid
regex.find_all_string_submatch_n regex.split regex.find_n regex.replace strings.any_prefix_match
strings.any_suffix_match concat format_int indexof indexof_n substring contains strings.count startswith endswith
lower upper split replace trim trim_left trim_prefix trim_right trim_suffix trim_space sprintf strings.reverse
numbers.range units.parse units.parse_bytes uuid.parse json.filter json.remove json.patch object.subset object.union
object.union_n object.remove object.filter object.get object.keys json.marshal json.unmarshal json.is_valid
base64.encode base64.decode base64.is_valid base64url.encode base64url.encode_no_pad base64url.decode
urlquery.decode urlquery.encode uri.parse uri.is_valid hex.encode hex.decode io.jwt.decode
time.now_ns time.parse_ns time.parse_rfc3339_ns time.parse_duration_ns time.format time.date time.clock time.weekday
time.add_date time.diff crypto.x509.parse_certificates crypto.md5 crypto.sha1 crypto.sha256 crypto.hmac.sha256
crypto.hmac.sha512 crypto.hmac.equal walk is_number is_string is_boolean is_array is_set is_object is_null type_name
trace glob.match glob.quote_meta net.cidr_intersects net.cidr_contains net.cidr_contains_matches net.cidr_is_valid
semver.is_valid semver.compare print internal.print internal.template_string set_diff net.cidr_overlap cast_array
cast_set cast_string cast_boolean cast_null cast_object re_match all any`)

// regoCapabilities are OPA's, without the functions that policies must not have.
var regoCapabilities = sync.OnceValue(func() *ast.Capabilities {
	c := ast.CapabilitiesForThisVersion()
	c.Builtins = slices.DeleteFunc(c.Builtins, func(b *ast.Builtin) bool { return !slices.Contains(regoAllowed, b.Name) })
	c.AllowNet = []string{} // not even for references in schemas
	return c
})

// regoBounded are the functions that can make much of little, and what each would make at most, judged before it is
// called: a length of text, or a number of elements.
var regoBounded = map[string]func(args []*ast.Term) (text, elements int){
	"mul": allDigits, "div": allDigits, "rem": allDigits, "round": allDigits, "ceil": allDigits, "floor": allDigits,
	"bits.or": allDigits, "bits.and": allDigits, "bits.negate": allDigits, "bits.xor": allDigits, "bits.rsh": allDigits,
	"format_int":   allDigits,
	"product":      func(a []*ast.Term) (int, int) { return sumDigits(a[0]), 0 },
	"array.concat": func(a []*ast.Term) (int, int) { return 0, size(a[0]) + size(a[1]) },
	"array.flatten": func(a []*ast.Term) (int, int) {
		n := size(a[0])
		each(a[0], func(t *ast.Term) { n += size(t) })
		return 0, n
	},
	"object.union":   func(a []*ast.Term) (int, int) { return 0, size(a[0]) + size(a[1]) },
	"object.union_n": sumSizes, "union": sumSizes,
	"concat": func(a []*ast.Term) (int, int) {
		n := 0
		each(a[1], func(t *ast.Term) { n += textLen(t) + textLen(a[0]) })
		return n, 0
	},
	"replace": func(a []*ast.Term) (int, int) {
		return textLen(a[0]) + strings.Count(plain(a[0]), plain(a[1]))*textLen(a[2]), 0
	},
	"regex.replace": func(a []*ast.Term) (int, int) {
		text, _ := regexpWork(1, 0)(a)
		return text + textLen(a[0]) + (textLen(a[0])+1)*textLen(a[2]), 0
	},
	"regex.match": regexpWork(0, 1), "re_match": regexpWork(0, 1), "regex.split": regexpWork(0, 1), "regex.find_n": regexpWork(0, 1),
	"regex.find_all_string_submatch_n": regexpWork(0, 1), "regex.is_valid": regexpWork(0, 0),
	"sprintf": sprintfSize,
	"numbers.range": func(a []*ast.Term) (int, int) {
		from, ok1 := a[0].Value.(ast.Number)
		to, ok2 := a[1].Value.(ast.Number)
		if !ok1 || !ok2 {
			return 0, 0
		}
		f, _ := json.Number(from).Float64()
		t, _ := json.Number(to).Float64()
		if d := max(t-f, f-t); d > maxRegoList {
			return 0, maxRegoList + 1
		}
		return 0, 0
	},
	"split":          func(a []*ast.Term) (int, int) { return 0, strings.Count(plain(a[0]), plain(a[1])) },
	"base64.encode":  doubled,
	"hex.encode":     doubled,
	"json.marshal":   func(a []*ast.Term) (int, int) { return nodes(a[0]), 0 },
	"json.unmarshal": func(a []*ast.Term) (int, int) { return textLen(a[0]), 0 },
}

// boundedName is what a bounded function is called inside.
func boundedName(name string) string { return "bounded." + name }

// boundRego makes a module call the bounded forms of functions. Operators are calls too.
func boundRego(m *ast.Module) {
	rename := func(t *ast.Term) {
		if ref, ok := t.Value.(ast.Ref); ok && regoBounded[ref.String()] != nil {
			t.Value = ast.Ref{ast.VarTerm("bounded"), ast.StringTerm(strings.Split(ref.String(), ".")[0])}
			for _, part := range strings.Split(ref.String(), ".")[1:] {
				t.Value = append(t.Value.(ast.Ref), ast.StringTerm(part))
			}
		}
	}
	ast.WalkTerms(m, func(t *ast.Term) bool {
		if call, ok := t.Value.(ast.Call); ok && len(call) > 0 {
			rename(call[0])
		}
		return false
	})
	ast.WalkExprs(m, func(e *ast.Expr) bool {
		if terms, ok := e.Terms.([]*ast.Term); ok && len(terms) > 0 {
			rename(terms[0])
		}
		return false
	})
}

// boundFunctions declares the bounded forms.
func boundFunctions() []func(*rego.Rego) {
	var out []func(*rego.Rego)
	for name, measure := range regoBounded {
		decl := ast.BuiltinMap[name]
		if decl == nil {
			continue
		}
		original := topdown.GetBuiltin(name)
		out = append(out, rego.FunctionDyn(&rego.Function{Name: boundedName(name), Decl: decl.Decl},
			func(b rego.BuiltinContext, args []*ast.Term) (result *ast.Term, err error) {
				text, elements := measure(args)
				if text > maxRegoText || elements > maxRegoList {
					return nil, rego.NewHaltError(seaworthy.Errorf(seaworthy.TooLarge, "%s would make more than %d bytes or %d elements", name, maxRegoText, maxRegoList))
				}
				err = original(b, args, func(t *ast.Term) error { result = t; return nil })
				return result, err
			}))
	}
	return out
}

func plain(t *ast.Term) string {
	s, _ := t.Value.(ast.String)
	return string(s)
}

func textLen(t *ast.Term) int { return len(plain(t)) }

// digits is how many digits a number has when it is written out: an exponent is short and makes it long.
func digits(t *ast.Term) int {
	n, _ := t.Value.(ast.Number)
	mantissa, exponent, scaled := strings.Cut(strings.ToLower(string(n)), "e")
	if !scaled {
		return len(mantissa)
	}
	e, err := strconv.Atoi(exponent)
	if err != nil || max(e, -e) > maxRegoText {
		return maxRegoText + 1
	}
	return len(mantissa) + max(e, -e)
}

func allDigits(args []*ast.Term) (text, elements int) {
	for _, a := range args {
		text += digits(a)
	}
	return text, 0
}

func size(t *ast.Term) int {
	if l, ok := t.Value.(interface{ Len() int }); ok {
		return l.Len()
	}
	return 0
}

func each(t *ast.Term, f func(*ast.Term)) {
	switch v := t.Value.(type) {
	case *ast.Array:
		v.Foreach(f)
	case ast.Set:
		v.Foreach(f)
	}
}

func sumDigits(t *ast.Term) (n int) {
	each(t, func(e *ast.Term) { n += digits(e) })
	return n
}

func sumSizes(a []*ast.Term) (text, n int) {
	each(a[0], func(e *ast.Term) { n += size(e) })
	return 0, n
}

func doubled(a []*ast.Term) (text, elements int) { return 2 * textLen(a[0]), 0 }

// sprintfSize bounds what a format makes: each verb at most its widest argument, or the width it names.
func sprintfSize(a []*ast.Term) (text, elements int) {
	format := plain(a[0])
	widest := 0
	each(a[1], func(e *ast.Term) {
		if s, ok := e.Value.(ast.String); ok {
			widest = max(widest, 4*len(s))
		} else {
			widest = max(widest, nodes(e))
		}
	})
	number, run := 0, 0
	for _, c := range format {
		if c >= '0' && c <= '9' && run < 1<<20 {
			run = run*10 + int(c-'0')
			number = max(number, run)
		} else {
			run = 0
		}
	}
	if strings.Contains(format, "*") {
		number = max(number, 1_000_000) // the most that fmt takes from an argument
	}
	return len(format) + strings.Count(format, "%")*(widest+number), 0
}

// nodes counts the bytes a value would take in text, and stops when there are too many: values share their parts,
// so that a small one may be long to write.
func nodes(t *ast.Term) int {
	n := 0
	stack := []*ast.Term{t}
	for len(stack) > 0 && n <= maxRegoText {
		top := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		switch v := top.Value.(type) {
		case ast.String:
			n += len(v) + 3
		case *ast.Array:
			n += 2
			v.Foreach(func(e *ast.Term) { stack = append(stack, e) })
		case ast.Set:
			n += 2
			v.Foreach(func(e *ast.Term) { stack = append(stack, e) })
		case ast.Object:
			n += 2
			v.Foreach(func(k, e *ast.Term) { stack = append(stack, k, e) })
		case ast.Number:
			n += len(v) + 1
		default:
			n += 8
		}
	}
	return n
}
