package graph

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/seaworthy-dev/seaworthy"
)

// described is what openapi.json says.
type described struct {
	Paths map[string]map[string]struct {
		Parameters []struct {
			Name, In string
			Schema   map[string]any
		}
		Security []map[string][]string
	}
	Components struct{ Schemas map[string]map[string]any }
}

func readDescription(t *testing.T) described {
	t.Helper()
	var d described
	if err := json.Unmarshal(openAPI, &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// The description has every endpoint with all its parameters and its scope, and no other.
func TestDescriptionIsComplete(t *testing.T) {
	d := readDescription(t)
	for _, r := range routes {
		op, ok := d.Paths[Prefix+r.path][strings.ToLower(r.method)]
		if !ok {
			t.Errorf("%s %s is not described", r.method, r.path)
			continue
		}
		delete(d.Paths[Prefix+r.path], strings.ToLower(r.method))
		in := map[string][]string{}
		for _, p := range op.Parameters {
			in[p.In] = append(in[p.In], p.Name)
			if many := p.Schema["type"] == "array"; p.In == "query" && many != slices.Contains(repeated, p.Name) {
				t.Errorf("%s %s: %s may be repeated: %v", r.method, r.path, p.Name, many)
			}
		}
		if want := slices.Sorted(slices.Values(r.parameters)); !slices.Equal(slices.Sorted(slices.Values(in["query"])), want) {
			t.Errorf("%s %s has the parameters %v, and %v are described", r.method, r.path, want, in["query"])
		}
		for _, name := range in["path"] {
			if !strings.Contains(r.path, "{"+name+"}") {
				t.Errorf("%s %s has no %s", r.method, r.path, name)
			}
		}
		if len(op.Security) != 2 || !slices.Equal(op.Security[1]["token"], []string{string(r.scope)}) {
			t.Errorf("%s %s takes the scope %s, and %v is described", r.method, r.path, r.scope, op.Security)
		}
	}
	for path, methods := range d.Paths {
		for method := range methods {
			t.Errorf("%s %s is described, and does not exist", method, path)
		}
	}
	for name, list := range map[string][]string{
		"code": texts([]seaworthy.Code{
			seaworthy.Usage, seaworthy.Invalid, seaworthy.Mismatch, seaworthy.TooLarge, seaworthy.Unsupported, seaworthy.NotFound, seaworthy.Unauthorized,
			seaworthy.Forbidden, seaworthy.Unavailable, seaworthy.Conflict, seaworthy.Stale, seaworthy.Incomplete, seaworthy.Refused, seaworthy.Unsigned,
			seaworthy.Untagged, seaworthy.Unmatched, seaworthy.Uncertified, seaworthy.Interrupted, seaworthy.Storage, seaworthy.Internal, seaworthy.Noted,
		}), "predicate": texts(seaworthy.Predicates()),
	} {
		schema, ok := map[string]any{
			"code":      at(d.Components.Schemas["Problem"], "properties", "code"),
			"predicate": at(d.Components.Schemas["Edge"], "properties", "predicate"),
		}[name].(map[string]any)
		if !ok || !slices.Equal(strs(schema["enum"]), list) {
			t.Errorf("%s: %v is described, and there are %v", name, schema["enum"], list)
		}
	}
	if got := strs(at(d.Components.Schemas["Node"], "properties", "kind").(map[string]any)["enum"]); !slices.Equal(got, texts(seaworthy.SubjectKinds())) {
		t.Errorf("kinds of subject: %v", got)
	}
	if got := strs(at(d.Components.Schemas["Document"], "properties", "kind").(map[string]any)["enum"]); !slices.Equal(got, texts(documentKinds)) {
		t.Errorf("kinds of document: %v", got)
	}
}

func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func strs(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, one := range list {
		s, _ := one.(string)
		out = append(out, s)
	}
	return out
}

func texts[K ~string](list []K) []string { return strings.Split(joined(list), ", ") }

// closed makes every object of the schemas refuse members that are not described: clients must not, but what we send is
// to be described.
func closed(v any) {
	switch v := v.(type) {
	case map[string]any:
		if _, ok := v["properties"]; ok {
			v["additionalProperties"] = false
		}
		for _, inner := range v {
			closed(inner)
		}
	case []any:
		for _, inner := range v {
			closed(inner)
		}
	}
}

// schemas gives the schema of an answer by its name.
func schemas(t *testing.T) func(name string) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(openAPI))
	if err != nil {
		t.Fatal(err)
	}
	closed(doc)
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource("api.json", doc); err != nil {
		t.Fatal(err)
	}
	return func(name string) *jsonschema.Schema {
		s, err := c.Compile("api.json#/components/schemas/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

// What the server says is as it is described.
func TestAnswersAreAsDescribed(t *testing.T) {
	w := newWorld(t, withLog(t, 3))
	schema := schemas(t)
	kinds := map[string]bool{}
	for name := range readDescription(t).Components.Schemas {
		kinds[name] = true
	}
	for _, c := range []struct {
		ask    request
		schema string
	}{
		{request{"GET", Prefix + "/ask/known?subject=a&to=b&signed=1&signer=s&asOf=2026-01-02T03:04:05Z&depth=1&limit=2&expand=g&kind=vuln", nil, ""}, "Answer"},
		{request{"GET", Prefix + "/ask/known", nil, ""}, "Answer"},
		{request{"GET", Prefix + "/ask/known?subject=large", nil, ""}, "Answer"},
		{request{"GET", Prefix + "/ask/known?subject=nobody", nil, ""}, "Error"},
		{request{"GET", Prefix + "/search?q=registry", nil, ""}, "Found"},
		{request{"GET", Prefix + "/search?q=lib", nil, ""}, "Found"},
		{request{"GET", Prefix + "/documents", nil, ""}, "Documents"},
		{request{"GET", Prefix + "/documents/" + string(w.bill), nil, ""}, "Document"},
		{request{"POST", Prefix + "/documents", []string{jsonType}, "{}"}, "Added"},
		{request{"POST", Prefix + "/documents", []string{jsonType}, "{}\nhello\n"}, "Added"},
		{request{"GET", Prefix + "/bills", nil, ""}, "Bills"},
		{request{"GET", Prefix + "/jobs", nil, ""}, "Jobs"},
		{request{"POST", Prefix + "/jobs/job-1/retry", []string{jsonType}, ""}, "Retried"},
		{request{"GET", Prefix + "/stats", nil, ""}, "Stats"},
		{request{"GET", Prefix + "/log", nil, ""}, "Entries"},
		{request{"GET", Prefix + "/log/1", nil, ""}, "Proven"},
	} {
		got := w.do(c.ask)
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(got.body))
		if err != nil {
			t.Fatalf("%s: %v: %s", c.ask.path, err, got.body)
		}
		if err := schema(c.schema).Validate(v); err != nil {
			t.Errorf("%s: %v\n%s", c.ask.path, err, got.body)
		}
		if (got.StatusCode >= 400) != (c.schema == "Error") {
			t.Errorf("%s: %d %s", c.ask.path, got.StatusCode, got.body)
		}
		if strings.Contains(got.body, ":null") && !strings.Contains(got.body, `"subject":null`) {
			t.Errorf("%s: a list is null: %s", c.ask.path, got.body)
		}
		delete(kinds, c.schema)
	}
	// The rest are parts of these.
	for _, part := range []string{"Property", "Problem", "Verification", "Question", "Node", "Edge", "Row", "Tile", "Gap", "Ground", "Hit", "Bill", "Job", "Entry"} {
		delete(kinds, part)
	}
	if len(kinds) > 0 {
		t.Errorf("described and never sent: %v", slices.Sorted(maps.Keys(kinds)))
	}
}

// A schema that lets everything pass tests nothing.
func TestDescriptionRefuses(t *testing.T) {
	schema := schemas(t)
	for name, body := range map[string]string{
		"Answer": `{"title":"x"}`, "Error": `{"error":{"code":"oops","message":"x"}}`, "Documents": `{"documents":null,"next":""}`,
		"Entries": `{"origin":"a","size":-1,"checkpoint":"","entries":[],"next":""}`, "Stats": `{"subjects":1,"documents":1,"statements":1,"bytes":1,"engine":"x","jobs":1,"more":1}`,
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if schema(name).Validate(v) == nil {
			t.Errorf("%s lets %s pass", name, body)
		}
	}
}

// Every path of the description can be asked for as it is.
func TestDescribedPathsAreURLs(t *testing.T) {
	for path := range readDescription(t).Paths {
		if u, err := url.Parse(path); err != nil || u.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
}
