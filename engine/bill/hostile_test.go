package bill_test

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
)

// evil are texts that would steer a terminal, turn the reading direction, or leave an element or script of a
// page or document.
var evil = []string{
	"\x1b[2J\x1b]0;owned\x07", "\u202e\u2066gnp.exe\u2069", "</script><script>alert(1)</script>", `"><img src=x onerror=alert(1)>`,
	"a\r\nPackageName: forged\n", "--> <!--", "]]> <![CDATA[", "</text>", "\u2028line", "\u009b31m", "{{.}}", "'; DROP TABLE x;--", "\u0000nul",
}

// readable are the formats that bill.Read reads.
func readable() []bill.Format {
	var out []bill.Format
	for _, f := range bill.Formats {
		if f.Name != "purls" {
			out = append(out, f)
		}
	}
	return out
}

// written is b in a format, and what is read back.
func written(t testing.TB, f bill.Format, b *seaworthy.Bill) ([]byte, *seaworthy.Bill) {
	t.Helper()
	var out bytes.Buffer
	if err := f.Write(&out, b); err != nil {
		t.Fatalf("%s: %v", f.Name, err)
	}
	back, err := bill.Read(bytes.NewReader(out.Bytes()), "x")
	if err != nil {
		t.Fatalf("%s: reading back: %v", f.Name, err)
	}
	return out.Bytes(), back
}

// TestHostileNamesComeBackUnharmed puts evil texts into every name of a bill. What is read back is the same where
// the format can say it: XML 1.0 has no control characters, tag-value no line ends within most values.
func TestHostileNamesComeBackUnharmed(t *testing.T) {
	for _, f := range readable() {
		for _, s := range evil {
			p := pkg("a", "1", "MIT", diff1)
			p.Name, p.Description, p.Supplier = "n"+s, "d"+s, seaworthy.Party{Kind: seaworthy.Organization, Name: "s" + s}
			p.Properties = []seaworthy.Property{{Name: "seaworthy:image:label:x", Value: "v" + s}}
			b := &seaworthy.Bill{
				ID: "https://example.org/bill", Name: "bill", Created: time.Unix(1, 0).UTC(), Tools: []seaworthy.Tool{{Name: "t"}},
				Roots: []string{"root"}, Packages: []seaworthy.Package{p, {Ref: "root", Role: seaworthy.Application, Name: "root"}},
				Relations: []seaworthy.Relation{{From: "root", Type: seaworthy.Contains, To: p.Ref}},
			}
			body, back := written(t, f, b)
			for _, raw := range []string{"\x1b", "\x07", "\x00"} {
				if bytes.Contains(body, []byte(raw)) {
					t.Errorf("%s holds a raw %q", f.Name, raw)
				}
			}
			if len(back.Packages) != 2 {
				t.Fatalf("%s: %q makes %d packages of two", f.Name, s, len(back.Packages))
			}
			var got *seaworthy.Package
			for i := range back.Packages {
				if strings.HasPrefix(back.Packages[i].Name, "n") {
					got = &back.Packages[i]
				}
			}
			if got == nil {
				t.Fatalf("%s: the package called %q is gone", f.Name, p.Name)
			}
			plain := !strings.ContainsAny(s, "\x00\x07\x1b\r\n\u009b\u2028")
			if (plain || strings.HasSuffix(f.Name, "json")) && (got.Name != p.Name || got.Supplier.Name != p.Supplier.Name) {
				t.Errorf("%s: name %q, supplier %q come back as %q, %q", f.Name, p.Name, p.Supplier.Name, got.Name, got.Supplier.Name)
			}
		}
	}
}

// tangled is a bill with a cycle of n packages, self edges, and relations to what is not there.
func tangled(n int) *seaworthy.Bill {
	b := &seaworthy.Bill{ID: "https://example.org/bill", Name: "bill", Created: time.Unix(1, 0).UTC(), Tools: []seaworthy.Tool{{Name: "t"}}, Roots: []string{"pkg:npm/p0@1"}}
	for i := range n {
		p := pkg(fmt.Sprintf("p%d", i), "1", "MIT")
		b.Packages = append(b.Packages, p)
		b.Relations = append(b.Relations, seaworthy.Relation{From: p.Ref, Type: seaworthy.DependsOn, To: fmt.Sprintf("pkg:npm/p%d@1", (i+1)%n)})
	}
	b.Relations = append(b.Relations,
		seaworthy.Relation{From: b.Packages[0].Ref, Type: seaworthy.DependsOn, To: b.Packages[0].Ref},
		seaworthy.Relation{From: b.Packages[0].Ref, Type: seaworthy.DependsOn, To: "pkg:npm/nowhere@1"})
	return b
}

// TestTangledBills writes and reads packages in one cycle in every format: ten thousand, and in one of them two
// hundred thousand.
func TestTangledBills(t *testing.T) {
	for _, f := range readable() {
		n := 10_000
		if f.Name == "cyclonedx-json" && !testing.Short() {
			n = 200_000
		}
		b := tangled(n)
		start := time.Now()
		_, back := written(t, f, b)
		if len(back.Packages) < n || len(back.Packages) > n+1 {
			t.Errorf("%s: %d packages, want %d", f.Name, len(back.Packages), n)
		}
		if f.Name != "json" && len(back.Problems) == 0 {
			t.Errorf("%s: nothing is said of a cycle, a self edge and a dangling relation", f.Name)
		}
		if took := time.Since(start); took > time.Minute {
			t.Errorf("%s: took %v", f.Name, took)
		}
		if _, err := bill.Check(back, bill.CISA2025); err != nil {
			t.Error(err)
		}
	}
}

// TestHostileDocuments reads documents that contradict themselves.
func TestHostileDocuments(t *testing.T) {
	long := strings.Repeat("x", 10<<20)
	spdx := func(packages, relations string) string {
		return `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","name":"n","dataLicense":"CC0-1.0","documentNamespace":"https://e.org/n","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: t"]},
			"packages":[` + packages + `],"relationships":[` + relations + `]}`
	}
	cdx := func(components, dependencies string) string {
		return `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[` + components + `],"dependencies":[` + dependencies + `]}`
	}
	for _, tc := range []struct {
		name, doc string
		packages  int
		problem   string // in one of the problems; "" for none needed
	}{
		{"spdx, one id twice", spdx(`{"SPDXID":"SPDXRef-a","name":"a"},{"SPDXID":"SPDXRef-a","name":"b"}`, ""), 2, "SPDXRef-a"},
		{"spdx, dangling", spdx(`{"SPDXID":"SPDXRef-a","name":"a"}`, `{"spdxElementId":"SPDXRef-a","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-z"}`), 1, "SPDXRef-z"},
		{"spdx, itself", spdx(`{"SPDXID":"SPDXRef-a","name":"a"}`, `{"spdxElementId":"SPDXRef-a","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-a"}`), 1, "SPDXRef-a"},
		{"spdx, long name", spdx(`{"SPDXID":"SPDXRef-a","name":"`+long+`"}`, ""), 1, ""},
		{"cyclonedx, one ref twice", cdx(`{"type":"library","bom-ref":"a","name":"a"},{"type":"library","bom-ref":"a","name":"b"}`, ""), 2, "a"},
		{"cyclonedx, dangling", cdx(`{"type":"library","bom-ref":"a","name":"a"}`, `{"ref":"a","dependsOn":["z"]}`), 1, "z"},
		{"cyclonedx, itself", cdx(`{"type":"library","bom-ref":"a","name":"a"}`, `{"ref":"a","dependsOn":["a"]}`), 1, "a"},
		{"cyclonedx, long name", cdx(`{"type":"library","bom-ref":"a","name":"`+long+`"}`, ""), 1, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b, err := bill.Read(strings.NewReader(tc.doc), "x")
			if err != nil {
				if code := seaworthy.CodeOf(err); tc.problem == "" && code == seaworthy.TooLarge {
					return // refused by its size is as good
				}
				t.Fatal(err)
			}
			if len(b.Packages) != tc.packages {
				t.Errorf("%d packages, want %d", len(b.Packages), tc.packages)
			}
			found := tc.problem == ""
			for _, p := range b.Problems {
				found = found || strings.Contains(p.Where+" "+p.Detail, tc.problem)
			}
			if !found {
				t.Errorf("problems %v do not name %q", b.Problems, tc.problem)
			}
			refs := map[string]bool{}
			for _, p := range b.Packages {
				if refs[p.Ref] {
					t.Errorf("two packages have the ref %q", p.Ref)
				}
				refs[p.Ref] = true
			}
			for _, f := range bill.Formats {
				if err := f.Write(io.Discard, b); err != nil {
					t.Errorf("writing %s: %v", f.Name, err)
				}
			}
		})
	}
}

// TestComparingAndMergingManyAlike is about bills made to cost: a package in a hundred thousand versions, with
// one hash each in common with the next, all under one ref.
func TestComparingAndMergingManyAlike(t *testing.T) {
	const many = 50_000
	digest := func(i int) seaworthy.Digest { return seaworthy.Digest(fmt.Sprintf("sha256:%064x", i)) }
	one, two := &seaworthy.Bill{Name: "one"}, &seaworthy.Bill{Name: "two"}
	for i := range many {
		a := pkg("a", fmt.Sprintf("1.%07d", i), "")
		one.Packages = append(one.Packages, a)
		a.Version += "b"
		two.Packages = append(two.Packages, a)
	}
	start := time.Now()
	d := bill.Compare(one, two)
	if len(d.Changed) != many || len(d.Added)+len(d.Removed) != 0 {
		t.Errorf("%d changed, %d added, %d removed; want all changed", len(d.Changed), len(d.Added), len(d.Removed))
	}
	for i := range many {
		one.Packages[i] = seaworthy.Package{Ref: "same", Name: "n" + fmt.Sprint(i)}
		b := pkg("b", "1", "", digest(i+1), digest(i))
		b.Ref, b.Evidence = fmt.Sprint("b", i), []seaworthy.Evidence{{Path: fmt.Sprint(i)}}
		two.Packages[i] = b
	}
	m, err := bill.Merge([]*seaworthy.Bill{one, two}, bill.Options{Name: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if len(m.Packages) != 1+many+1 {
		t.Errorf("%d packages, want the root, %d and one", len(m.Packages), many)
	}
	refs := map[string]bool{}
	for _, p := range m.Packages {
		if refs[p.Ref] {
			t.Fatalf("two packages have the ref %q", p.Ref)
		}
		refs[p.Ref] = true
	}
	if took := time.Since(start); took > 30*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestOwnFormatIsToldFromTextAboutIt(t *testing.T) {
	for s, want := range map[string]bool{
		"{\n  \"format\": \"seaworthy-1\",\n":           true,
		`const ownFormat = "seaworthy-1"`:               false,
		`{"name": "seaworthy-1"}`:                       false,
		`{"bomFormat":"CycloneDX","specVersion":"1.6"}`: true,
		"Package: jq\nStatus: install ok installed\n\n": false,
	} {
		if got := bill.IsBill([]byte(s)); got != want {
			t.Errorf("IsBill(%q) = %v", s, got)
		}
	}
	var out bytes.Buffer
	f, err := bill.FormatNamed("json")
	if err != nil {
		t.Fatal(err)
	}
	b := bill.FromReport(report(), options())
	if err := f.Write(&out, b); err != nil {
		t.Fatal(err)
	}
	back, err := bill.Read(&out, "x")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, back); diff != "" {
		t.Errorf("our own JSON does not bring a bill back (-written +read):\n%s", diff)
	}
}
