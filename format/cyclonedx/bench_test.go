package cyclonedx

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	"github.com/seaworthy-dev/seaworthy"
)

// imageBill is a bill of n Debian-like packages with a dependency, a licence, a digest and evidence each.
func imageBill(n int) *seaworthy.Bill {
	b := &seaworthy.Bill{ID: "https://example.org/image", Roots: []string{"image"}}
	b.Packages = append(b.Packages, seaworthy.Package{Ref: "image", Role: seaworthy.Container, Name: "image"})
	for i := range n {
		p := seaworthy.Package{
			Role: seaworthy.Library, Ecosystem: "deb", Name: fmt.Sprint("lib", i), Version: "1.2.3-4", Arch: "amd64",
			PURL:     fmt.Sprintf("pkg:deb/debian/lib%d@1.2.3-4?arch=amd64&distro=debian-12", i),
			Supplier: seaworthy.Party{Kind: seaworthy.Organization, Name: "Debian", Email: "x@debian.org"},
			Licences: seaworthy.Licences{Declared: "GPL-2.0-or-later AND MIT"},
			Hashes:   []seaworthy.Digest{seaworthy.SHA256([]byte{byte(i)})}, HashOf: seaworthy.HashOfInstalled,
			Evidence: []seaworthy.Evidence{{Path: "var/lib/dpkg/status", DiffID: seaworthy.SHA256(nil), By: "dpkg"}},
		}
		p.Ref = p.PURL
		b.Packages = append(b.Packages, p)
		b.Relations = append(b.Relations, seaworthy.Relation{From: "image", Type: seaworthy.Contains, To: p.Ref},
			seaworthy.Relation{From: p.Ref, Type: seaworthy.DependsOn, To: b.Packages[i/2].Ref})
	}
	return b
}

func BenchmarkWriteJSON(b *testing.B) { benchWrite(b, WriteJSON) }
func BenchmarkWriteXML(b *testing.B)  { benchWrite(b, WriteXML) }

func benchWrite(b *testing.B, write func(io.Writer, *seaworthy.Bill) error) {
	bill := imageBill(2000)
	var out bytes.Buffer
	_ = write(&out, bill)
	b.SetBytes(int64(out.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if err := write(io.Discard, bill); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadJSON(b *testing.B) { benchRead(b, WriteJSON, ReadJSON) }
func BenchmarkReadXML(b *testing.B)  { benchRead(b, WriteXML, ReadXML) }

func benchRead(b *testing.B, write func(io.Writer, *seaworthy.Bill) error, read func(io.Reader, Limits) (*seaworthy.Bill, error)) {
	var doc bytes.Buffer
	_ = write(&doc, imageBill(2000))
	b.SetBytes(int64(doc.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := read(bytes.NewReader(doc.Bytes()), Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}
