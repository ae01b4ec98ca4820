//go:build images

package images

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
	"github.com/seaworthy-dev/seaworthy/source/image"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// BenchmarkAgain is the second look at an image whose layers are all in the cache, up to its bill.
func BenchmarkAgain(b *testing.B) {
	cache := image.OpenCache(b.TempDir(), 0)
	look := func() *inspect.Report {
		img, err := oci.Open(b.Context(), layout("debian-fat"), oci.Options{})
		if err != nil {
			b.Fatal(err)
		}
		defer img.Close()
		r, err := inspect.Image(b.Context(), img, inspect.Options{Read: image.Options{Cache: cache}})
		if err != nil {
			b.Fatal(err)
		}
		return r
	}
	look()
	b.Run("inspect", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			look()
		}
	})
	r := look()
	b.Run("bill", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			bill.FromReport(r, bill.Options{})
		}
	})
	made := bill.FromReport(r, bill.Options{})
	for _, f := range bill.Formats {
		b.Run(f.Name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				var out bytes.Buffer
				if err := f.Write(&out, made); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkScan matches the packages of debian-fat with the Go and PyPI advisories and CISA's list, the database
// opened each time so that every block of it is checked anew.
func BenchmarkScan(b *testing.B) {
	img, err := oci.Open(b.Context(), layout("debian-fat"), oci.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer img.Close()
	r, err := inspect.Image(b.Context(), img, inspect.Options{})
	if err != nil {
		b.Fatal(err)
	}
	made := bill.FromReport(r, bill.Options{})
	data := os.Getenv("SEAWORTHY_ADVISORY_DATA")
	if data == "" {
		data = "../../../shared/data"
	}
	file := filepath.Join(b.TempDir(), "advisories.db")
	var inputs []advisory.Input
	for _, name := range []string{"osv/go.zip", "osv/pypi-yaml.zip", "kev"} {
		inputs = append(inputs, advisory.Input{Path: filepath.Join(data, name)})
	}
	if _, err := advisory.Build(b.Context(), inputs, file, advisory.BuildOptions{}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		db, err := advisory.Open(file)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := match.Packages(b.Context(), db, made, match.Options{}); err != nil {
			b.Fatal(err)
		}
		db.Close()
	}
}
