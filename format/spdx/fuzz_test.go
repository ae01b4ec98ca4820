package spdx_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/spdx"
)

func seedBill() *seaworthy.Bill {
	return &seaworthy.Bill{
		ID: "https://example.org/n", Name: "n", Roots: []string{"a"}, Authors: []seaworthy.Party{{Kind: seaworthy.Person, Name: "Jane", Email: "j@example.org"}},
		Packages: []seaworthy.Package{
			{Ref: "a", Role: seaworthy.Layer, Name: "a", Hashes: []seaworthy.Digest{seaworthy.SHA256(nil)}, Source: seaworthy.Upstream{Name: "s"}},
			{Ref: "b", Name: "b\n", Version: "1", PURL: "pkg:npm/b@1", Evidence: []seaworthy.Evidence{{Path: "x", By: "npm"}}},
		},
		Files: []seaworthy.File{{Ref: "f", Path: "f", Hashes: []seaworthy.Digest{"sha1:da39a3ee5e6b4b0d3255bfef95601890afd80709"}}},
		Relations: []seaworthy.Relation{
			{From: "a", Type: seaworthy.Contains, To: "f"},
			{From: "a", Type: seaworthy.DependsOn, To: "b", Scope: seaworthy.Test},
			{From: "b", Type: seaworthy.EvidentBy, To: "f"},
			{From: "b", Type: "odd", To: "gone"},
		},
		Licences: []seaworthy.LicenceText{{ID: "LicenseRef-x", Text: "two\nlines"}},
		Notes:    []seaworthy.Note{{Ref: "a", Text: "note"}},
	}
}

func fuzzReader(f *testing.F, read func(io.Reader, spdx.Limits) (*seaworthy.Bill, error), write func(io.Writer, *seaworthy.Bill) error) {
	var out bytes.Buffer
	if err := write(&out, seedBill()); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := read(bytes.NewReader(body), spdx.Limits{Element: 1 << 20, Elements: 1000})
		if err != nil {
			return
		}
		// What was read can be written, and the writing read, with the same parts.
		var out bytes.Buffer
		if err := write(&out, b); err != nil {
			t.Fatal(err)
		}
		again, err := read(bytes.NewReader(out.Bytes()), spdx.Limits{})
		if err != nil {
			t.Fatalf("%v\n%s", err, out.Bytes())
		}
		if len(again.Packages) != len(b.Packages) || len(again.Files) != len(b.Files) || len(again.Relations) != len(b.Relations) {
			t.Fatalf("%d packages of %d, %d files of %d, %d relations of %d\n%s", len(again.Packages), len(b.Packages),
				len(again.Files), len(b.Files), len(again.Relations), len(b.Relations), out.Bytes())
		}
	})
}

func FuzzReadJSON(f *testing.F) {
	f.Add([]byte(`{` + head + `,"packages":[{"SPDXID":"SPDXRef-a","name":"a","hasFiles":["SPDXRef-f"]}],"snippets":[{}],"documentDescribes":["SPDXRef-a"]}`))
	fuzzReader(f, spdx.ReadJSON, spdx.WriteJSON)
}

func FuzzReadTagValue(f *testing.F) {
	f.Add([]byte("SPDXVersion: SPDX-2.2\nPackageName: a\nSPDXID: SPDXRef-a\nFileName: f\nSPDXID: SPDXRef-f\nReviewer: Person: x\nReviewDate: 2020-01-01T00:00:00Z\n"))
	fuzzReader(f, spdx.ReadTagValue, spdx.WriteTagValue)
}
