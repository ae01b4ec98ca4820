package exactjson

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		in   string
		want seaworthy.Code
	}{
		"object":           {` {"a":[1,{"b":null}]} ` + "\n", ""},
		"scalar":           {`1`, ""},
		"equal names":      {`{"a":1,"a":2}`, seaworthy.Invalid},
		"equal deep names": {`[{"x":{"a":1,"\u0061":2}}]`, seaworthy.Invalid},
		"two values":       {`{} {}`, seaworthy.Invalid},
		"text behind":      {`{}x`, seaworthy.Invalid},
		"cut":              {`{"a":`, seaworthy.Invalid},
		"nothing":          {``, seaworthy.Invalid},
		"invalid UTF-8":    {"\"\xff\"", seaworthy.Invalid},
		"lone surrogate":   {`"\ud800"`, seaworthy.Invalid},
		"at the depth":     {strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth), ""},
		"too deep":         {strings.Repeat("[", MaxDepth+1) + strings.Repeat("]", MaxDepth+1), seaworthy.TooLarge},
		"far too deep":     {strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000), seaworthy.TooLarge},
	} {
		if got := seaworthy.CodeOf(Check([]byte(c.in))); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestLookalikes(t *testing.T) {
	for in, ok := range map[string]bool{
		`{"subject":1,"x":{"Subject":1}}`:      true, // deeper
		`{"Subject":1}`:                        false,
		`{"x":"Subject"}`:                      true, // a value
		`[{"subject":1},{"SUBJECT":1}]`:        false,
		`[{"subject":[{"Subject":1}]}]`:        true,
		`{"\u0053ubject":1}`:                   false, // escaped
		`{"ſubject":1}`:                        false, // folds to s
		`{"a":1,"b":{"c":[1]},"suBject":null}`: false,
	} {
		if err := Lookalikes([]byte(in), "subject"); (err == nil) != ok {
			t.Errorf("%s: got %v", in, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"a":[1,"x",null,true]}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if Check(b) == nil && !json.Valid(b) {
			t.Error("what is no JSON passed")
		}
		_ = Lookalikes(b, "a", "mediaType") // must end, and not panic
	})
}
