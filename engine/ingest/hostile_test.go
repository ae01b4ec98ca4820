package ingest_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

func tarOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipOf(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i+1 < len(files); i += 2 {
		f, err := w.Create(files[i])
		if err == nil {
			_, err = f.Write([]byte(files[i+1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipOf(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, err := w.Write(b)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// numbered is a bill that differs from others.
func numbered(n int) string {
	return strings.Replace(npmBill, `"version":1,`, fmt.Sprintf(`"version":%d,`, n), 1)
}

func TestWrappings(t *testing.T) {
	one, two, three := numbered(1), numbered(2), numbered(3)
	lines := one + "\n\n" + two + "\r\n" + three
	deep := gzipOf(t, tarOf(t, "a.zip", string(zipOf(t, "b.json", one))))
	for name, c := range map[string]struct {
		body             []byte
		documents, fails int
		code             seaworthy.Code
	}{
		"one":                   {[]byte(one), 1, 0, ""},
		"one with a line end":   {[]byte(one + "\n"), 1, 0, ""},
		"lines":                 {[]byte(lines), 3, 0, ""},
		"lines with a bad one":  {[]byte(one + "\n{\"x\":1}\n" + two + "\n{"), 2, 2, seaworthy.Incomplete},
		"tar":                   {tarOf(t, "a", one, "b", two), 2, 0, ""},
		"tar.gz":                {gzipOf(t, tarOf(t, "a", one, "b", two)), 2, 0, ""},
		"gzip":                  {gzipOf(t, []byte(one)), 1, 0, ""},
		"gzip of lines":         {gzipOf(t, []byte(lines)), 3, 0, ""},
		"zip":                   {zipOf(t, "a", one, "d/b", two, ".hidden", "x", "__MACOSX/a", "x"), 2, 0, ""},
		"three deep":            {deep, 1, 0, ""},
		"four deep":             {gzipOf(t, gzipOf(t, gzipOf(t, deep))), 0, 0, seaworthy.TooLarge},
		"archive with a bad":    {tarOf(t, "a", one, "readme", "hello"), 1, 1, seaworthy.Incomplete},
		"cut tar.gz":            {gzipOf(t, tarOf(t, "a", one, "b", two)[:1500]), 1, 1, seaworthy.Incomplete},
		"cut gzip":              {gzipOf(t, []byte(one))[:60], 0, 0, seaworthy.Invalid},
		"zip that is none":      {[]byte("PK\x03\x04rubbish"), 0, 0, seaworthy.Invalid},
		"nothing":               {nil, 0, 0, seaworthy.Unsupported},
		"an archive of nothing": {tarOf(t), 0, 0, seaworthy.Unsupported},
	} {
		t.Run(name, func(t *testing.T) {
			in, store := newIngester(t, ingest.Options{})
			r, err := in.Bytes(t.Context(), "x", c.body)
			if seaworthy.CodeOf(err) != c.code {
				t.Errorf("got %v, want %q", err, c.code)
			}
			n := 0
			r.Each(func(d *seaworthy.Document, added bool) {
				if n++; !added || d.Digest == "" {
					t.Errorf("got %+v, %v", d, added)
				}
			})
			if n != c.documents || len(r.Failed) != c.fails && c.documents > 0 {
				t.Errorf("%d documents and %d failures: %+v", n, len(r.Failed), r.Failed)
			}
			if stats, err := store.Stats(t.Context()); err != nil || stats.Documents != int64(c.documents) {
				t.Errorf("the store has %d documents, %v", stats.Documents, err)
			}
		})
	}
}

// A bomb is left at the limit of one part, and the rest goes on.
func TestBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("unpacks 256 MiB")
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range 257 {
		if _, err := w.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	in, _ := newIngester(t, ingest.Options{})
	r, err := in.Bytes(t.Context(), "x", tarOf(t, "bomb.gz", b.String(), "a", npmBill))
	if seaworthy.CodeOf(err) != seaworthy.Incomplete || len(r.Failed) != 1 || r.Failed[0].Code != seaworthy.TooLarge || len(r.Inside) != 1 {
		t.Errorf("got %+v, %v", r.Failed, err)
	}
}

// An error says what the bytes look like.
func TestUnknown(t *testing.T) {
	in, _ := newIngester(t, ingest.Options{})
	for body, says := range map[string]string{
		"":                            "it is empty",
		"hello":                       `text that begins "hello"`,
		"\x1b[31mred":                 `"\x1b[31mred"`,
		"\x7fELF\x02":                 "an ELF program",
		"<html>":                      "a web page",
		"<a/>":                        "XML of another kind",
		"[]":                          "a JSON array",
		"{}":                          "an empty JSON object",
		`{"a":1,"b":{"_type":2}}`:     `the members ["a" "b"]`,
		`{"a":`:                       "broken or cut off",
		"-----BEGIN PUBLIC KEY-----":  "a PEM file",
		"\x00\x01\x02":                "binary data",
		`{"_type":"link","name":"x"}`: "in-toto metadata",
		`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`: "a trusted root",
	} {
		_, err := in.Bytes(t.Context(), "file", []byte(body))
		if seaworthy.CodeOf(err) != seaworthy.Unsupported || !strings.Contains(err.Error(), says) || strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("%q: got %v, want it to say %q", body, err, says)
		}
	}
}

// Bills that are wrong in every way that does not keep them from being read are read, in linear time.
func TestHostileBills(t *testing.T) {
	head := `{"spdxVersion":"SPDX-2.3","SPDXID":"SPDXRef-DOCUMENT","dataLicense":"CC0-1.0","name":"x","documentNamespace":"https://x.example","creationInfo":{"created":"2026-01-01T00:00:00Z","creators":["Tool: x"]},`
	many := func(n int, f func(i int) string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(f(i))
		}
		return b.String()
	}
	pkg := func(i int) string {
		return fmt.Sprintf(`{"SPDXID":"SPDXRef-%d","name":"p%d","downloadLocation":"NOASSERTION"}`, i, i)
	}
	const n = 20_000
	empty := strings.Repeat("0", 63) + "1"
	for name, c := range map[string]struct {
		body     string
		problems bool
	}{
		"a cycle of all": {head + `"packages":[` + many(n, pkg) + `],"relationships":[` + many(n, func(i int) string {
			return fmt.Sprintf(`{"spdxElementId":"SPDXRef-%d","relationshipType":"DEPENDS_ON","relatedSpdxElement":"SPDXRef-%d"}`, i, (i+1)%n)
		}) + `]}`, true},
		"a chain that contains": {head + `"documentDescribes":["SPDXRef-0"],"packages":[` + many(n, pkg) + `],"relationships":[` + many(n-1, func(i int) string {
			return fmt.Sprintf(`{"spdxElementId":"SPDXRef-%d","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-%d"}`, i, i+1)
		}) + `]}`, false},
		"self-edges": {head + `"packages":[` + many(10, pkg) + `],"relationships":[` + many(10, func(i int) string {
			return fmt.Sprintf(`{"spdxElementId":"SPDXRef-%d","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-%d"}`, i, i)
		}) + `]}`, true},
		"equal ids":   {head + `"packages":[` + many(100, func(int) string { return pkg(1) }) + `]}`, true},
		"dangling":    {head + `"packages":[` + pkg(1) + `],"relationships":[{"spdxElementId":"SPDXRef-1","relationshipType":"CONTAINS","relatedSpdxElement":"SPDXRef-2"}]}`, true},
		"many roots":  {head + `"documentDescribes":[` + many(1000, func(i int) string { return fmt.Sprintf(`"SPDXRef-%d"`, i) }) + `],"packages":[` + many(2000, pkg) + `]}`, false},
		"no names":    {head + `"packages":[{"SPDXID":"SPDXRef-1","name":"","downloadLocation":"NOASSERTION"}]}`, true},
		"bad purl":    {head + `"packages":[{"SPDXID":"SPDXRef-1","name":"x","downloadLocation":"NOASSERTION","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:"}]}]}`, true},
		"a long name": {head + `"packages":[{"SPDXID":"SPDXRef-1","name":"` + strings.Repeat("x", 100_000) + `","downloadLocation":"NOASSERTION"}]}`, true},
		"an empty file in very many places": {head + `"files":[` + many(n, func(i int) string {
			return fmt.Sprintf(`{"SPDXID":"SPDXRef-f%d","fileName":"/usr/lib/python3/dist-packages/a-rather-long-name-of-a-folder/%d/__init__.py","checksums":[{"algorithm":"SHA256","checksumValue":"%s"}]}`, i, i, empty)
		}) + `]}`, true},
		"texts of ten megabytes": {strings.Replace(head, `"name":"x"`, `"name":"`+strings.Repeat("ä", 5<<20)+`"`, 1) + `"packages":[` + pkg(1) + `],"files":[{"SPDXID":"SPDXRef-f","fileName":"/` + strings.Repeat("x", 10<<20) + `","fileTypes":["BINARY"],"checksums":[{"algorithm":"SHA256","checksumValue":"` + empty + `"}]}]}`, true},
		"terminal escapes":       {head + `"packages":[{"SPDXID":"SPDXRef-1","name":"\u001b[2J\u202e","versionInfo":"\u0000","downloadLocation":"NOASSERTION"}]}`, false},
		"equal members":          {strings.Replace(numbered(1), "{", `{"bomFormat":"CycloneDX",`, 1), true},
	} {
		t.Run(name, func(t *testing.T) {
			in, store := newIngester(t, ingest.Options{})
			d := mustBytes(t, in, "x", []byte(c.body)).Document
			if c.problems != (len(d.Problems) > 0) {
				t.Errorf("got the problems %+v", d.Problems)
			}
			if len(d.Name) > 4<<10 {
				t.Errorf("its name is %d bytes long", len(d.Name))
			}
			if len(d.Problems) > 110 {
				t.Errorf("%d problems are listed", len(d.Problems))
			}
			if problems, err := store.Check(t.Context()); err != nil || len(problems) > 0 {
				t.Errorf("%v, %v", problems, err)
			}
		})
	}
}

// Documents that list two things and speak of every pair are refused when that is too much.
func TestTooManyPairs(t *testing.T) {
	list := func(n int, f string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, f, i)
		}
		return b.String()
	}
	subjects := list(1000, `{"name":"s","digest":{"sha256":"%064d"}}`)
	statement := func(typ, predicate string) string {
		return `{"_type":"https://in-toto.io/Statement/v1","predicateType":"` + typ + `","subject":[` + subjects + `],"predicate":` + predicate + `}`
	}
	vex := func(statements string) string {
		return `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"x","timestamp":"2026-01-01T00:00:00Z","version":1,"statements":[` + statements + `]}`
	}
	in, _ := newIngester(t, ingest.Options{})
	for name, body := range map[string]string{
		"materials":          statement("https://slsa.dev/provenance/v0.2", `{"builder":{"id":"x"},"materials":[`+list(1000, `{"uri":"git+https://h.example/%d"}`)+`]}`),
		"findings":           statement("https://in-toto.io/attestation/vulns/v0.2", `{"scanner":{"result":[`+list(1000, `{"id":"CVE-%d"}`)+`]}}`),
		"VEX of many images": statement("https://openvex.dev/ns", vex(list(1000, `{"vulnerability":{"name":"CVE-%d"},"status":"fixed"}`))),
		"VEX of many parts":  vex(`{"vulnerability":{"name":"CVE-1"},"status":"fixed","products":[` + list(1000, `{"@id":"pkg:npm/a@%d"}`) + `],"subcomponents":[` + list(1000, `{"@id":"pkg:npm/b@%d"}`) + `]}`),
	} {
		if _, err := in.Bytes(t.Context(), name, []byte(body)); seaworthy.CodeOf(err) != seaworthy.TooLarge {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

// Any number of writers of the same documents leave what one would have left.
func TestConcurrentIsSerial(t *testing.T) {
	files, err := filepath.Glob("testdata/documents/*.json")
	if err != nil {
		t.Fatal(err)
	}
	var bodies [][]byte
	for _, f := range files {
		bodies = append(bodies, mustRead(t, f))
	}
	for n := range 20 {
		bodies = append(bodies, []byte(numbered(n)))
	}
	db := advisories(t, map[string]string{"CVE-2026-0001": "a", "CVE-2026-0002": "b"})
	in, serial := newIngester(t, ingest.Options{Advisories: db})
	for _, b := range bodies {
		mustBytes(t, in, "x", b)
	}
	in, store := newIngester(t, ingest.Options{Advisories: db})
	var mu sync.Mutex
	added := 0
	group, ctx := errgroup.WithContext(t.Context())
	for w := range 8 {
		group.Go(func() error {
			for i := range bodies {
				r, err := in.Bytes(ctx, "x", bodies[(i*7+w*5)%len(bodies)])
				if err != nil {
					return err
				}
				if r.Added {
					mu.Lock()
					added++
					mu.Unlock()
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	if added != len(bodies) {
		t.Errorf("%d documents were added, want %d", added, len(bodies))
	}
	if left := jobs(t, store); len(left) > 0 {
		t.Errorf("there are jobs left: %+v", left)
	}
	same(t, serial, store)
}

func TestPaths(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, body []byte) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("a.json", []byte(numbered(1)))
	write("d/b.tgz", gzipOf(t, tarOf(t, "x", numbered(2), "y", "no")))
	write("d/readme.md", []byte("# hello"))
	write(".git/c.json", []byte(numbered(3)))
	write("d/.hidden", []byte(numbered(4)))
	if err := os.Symlink(dir, filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	in, store := newIngester(t, ingest.Options{})
	var last ingest.Summary
	summary, err := in.Paths(t.Context(), []string{dir}, func(s ingest.Summary) { last = s })
	if seaworthy.CodeOf(err) != seaworthy.Incomplete || summary.Documents != 2 || summary.Failed != 2 || last.Documents+last.Failed != 4 {
		t.Errorf("got %+v, %v; last %+v", summary, err, last)
	}
	for _, p := range summary.Failures {
		if !strings.Contains(p.Where, "readme") && !strings.Contains(p.Where, "b.tgz!y") || strings.Contains(p.Detail, dir) {
			t.Errorf("got %+v", p)
		}
	}
	if stats, err := store.Stats(t.Context()); err != nil || stats.Documents != 2 {
		t.Errorf("got %+v, %v", stats, err)
	}
	if _, err := in.Paths(t.Context(), []string{filepath.Join(dir, "gone")}, nil); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := in.Paths(ctx, []string{dir}, nil); seaworthy.CodeOf(err) != seaworthy.Interrupted {
		t.Errorf("got %v", err)
	}
	full := ingest.New(fullStore{store}, ingest.Options{})
	write("new.json", []byte(numbered(5)))
	if _, err := full.Paths(t.Context(), []string{dir}, nil); seaworthy.CodeOf(err) != seaworthy.Storage {
		t.Errorf("got %v", err)
	}
}

// fullStore is a store that keeps nothing more.
type fullStore struct{ graph.Store }

func (fullStore) Put(context.Context, graph.Entry) (bool, error) {
	return false, seaworthy.Errorf(seaworthy.Storage, "the disk is full")
}

// FuzzBytes: nothing that is given makes the program fall over, all that is kept can be read again to the same, and
// no statement is about nothing.
func FuzzBytes(f *testing.F) {
	files, err := filepath.Glob("testdata/documents/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		f.Add(mustRead(f, file))
	}
	f.Add([]byte(`{"format":"seaworthy-seen-1","reference":"x","tag":"sha256-` + strings.Repeat("a", 64) + `.sbom","manifest":"e30=","part":"0","content":"e30="}`))
	f.Add([]byte(numbered(1) + "\n" + numbered(2)))
	f.Fuzz(func(t *testing.T, b []byte) {
		in, store := newIngester(t, ingest.Options{})
		r, err := in.Bytes(t.Context(), "x", b)
		if stops := []seaworthy.Code{seaworthy.Internal, seaworthy.Storage}; slices.Contains(stops, seaworthy.CodeOf(err)) {
			t.Errorf("%v", err)
		}
		r.Each(func(d *seaworthy.Document, _ bool) {
			body, err := store.Body(t.Context(), d.Digest)
			if err != nil {
				t.Fatal(err)
			}
			e, err := in.Reparse(*d, body)
			if err != nil {
				t.Fatal(err)
			}
			again, err := in.Reparse(*d, body)
			if err != nil || written(e) != written(again) {
				t.Errorf("reading again says something else (%v)", err)
			}
		})
		if problems, err := store.Check(t.Context()); err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
	})
}
