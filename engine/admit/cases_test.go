package admit

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

func TestCases(t *testing.T) {
	h, k := newHarbour(t), newKey(t)
	d := h.push(t, "signed")
	h.sign(t, d, k)
	other := newHarbour(t)
	other.push(t, "unsigned")
	dir := t.TempDir()
	write(t, filepath.Join(dir, "policies", "p.yaml"), signedBy("p", "registry.example/**", k, "").Bytes)
	write(t, filepath.Join(dir, "policies", "w.yaml"), signedBy("w", "registry.example/app:warn**", newKey(t), "  mode: warn\n").Bytes)
	write(t, filepath.Join(dir, "deploy.yaml"), []byte("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\nspec: {template: {spec: {containers: [{name: c, image: 'registry.example/app:unsigned'}]}}}\n"))
	file := filepath.Join(dir, "x.cases.yaml")
	write(t, file, []byte(`images:
  registry.example/app:signed: `+h.dir+`
  registry.example/app:warned: `+h.dir+`
  registry.example/app:unsigned: `+other.dir+`
cases:
- {name: signed, image: "registry.example/app:signed", expect: admit, reason: policy p}
- {name: by digest, image: "registry.example/app@`+string(d.Digest)+`", expect: admit}
- {name: unsigned, image: "registry.example/app:unsigned", expect: refuse, reason: to mend}
- {name: warned, image: "registry.example/app:warned", expect: warn}
- {name: manifest, manifest: deploy.yaml, expect: refuse, namespace: prod}
- {name: object, object: {apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {containers: [{name: c, image: "registry.example/app:signed"}]}}, expect: admit}
- {name: wrongly expected, image: "registry.example/app:signed", expect: refuse}
- {name: wrong reason, image: "registry.example/app:signed", expect: admit, reason: because I say so}
- {image: "registry.example/elsewhere:1", expect: refuse, reason: nobody serves it}
`))
	c, err := ReadCases(file)
	if err != nil {
		t.Fatal(err)
	}
	loaded, err := c.Load(policy.Options{})
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := newHarbour(t)
	elsewhere.set(seaworthy.Errorf(seaworthy.Unavailable, "nobody serves it"), nil)
	registries, closeAll, err := c.Registries(RegistriesFunc(func(context.Context, oci.Reference, Asker) (oci.Place, string, error) { return elsewhere, "", nil }))
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll()
	g := h.gate(t, Options{Registries: registries})
	g.Use(loaded.Set, loaded.Root)
	out, err := c.Run(t.Context(), g)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out {
		if want := !strings.HasPrefix(o.Name, "wrong"); o.Passed != want {
			t.Errorf("%s: passed %t, got %s: %s", o.Name, o.Passed, o.Got, o.Detail)
		}
	}
	if len(out) != 9 || out[8].Name != "case 9" {
		t.Errorf("%d outcomes", len(out))
	}
}

func TestReadCases(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		says string
	}{
		"empty":             {"", "EOF"},
		"none":              {"cases: []", "there are none"},
		"a typo":            {"cases: [{imgae: a, expect: admit}]", "imgae"},
		"two subjects":      {"cases: [{image: a, manifest: b, expect: admit}]", "one of image"},
		"no subject":        {"cases: [{expect: admit}]", "one of image"},
		"nothing expected":  {"cases: [{image: a}]", "not admit, refuse or warn"},
		"another word":      {"cases: [{image: a, expect: deny}]", "cases[0].expect"},
		"two documents":     {"cases: [{image: a, expect: admit}]\n---\ncases: []", "more than one document"},
		"policies no list":  {"policies: {a: b}\ncases: [{image: a, expect: admit}]", "cannot unmarshal"},
		"as it should be":   {"cases: [{image: a, expect: admit}]", ""},
		"the whole of it":   {"policies: [a]\nimages: {a: b}\ncases: [{name: n, image: a, namespace: n, namespaceLabels: {a: b}, expect: warn, reason: r}]", ""},
		"image is a number": {"cases: [{image: [1], expect: admit}]", "cannot unmarshal"},
	} {
		file := filepath.Join(t.TempDir(), "cases.yaml")
		write(t, file, []byte(c.text))
		_, err := ReadCases(file)
		if c.says == "" && err != nil || c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, want := range map[string]bool{"cases.yaml": true, "a/b.cases.yml": true, "x-cases.yaml": true, "cases.json": false, "policy.yaml": false, "suitcases.yaml": false} {
		if CaseFile(name) != want {
			t.Errorf("%s: %t", name, !want)
		}
	}
}
