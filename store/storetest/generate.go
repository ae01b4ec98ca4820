package storetest

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// What generated images look like, on average.
const (
	distroPackages  = 3000 // in the distribution
	packagesPerDoc  = 250  // of which an image has
	filesPerPackage = 12
	vulnsPerDoc     = 40
	filesOfTheApp   = 300 // that no other image has
)

// Generate makes up documents that make about n statements: bills of images, which share layers, packages and files,
// three quarters of it files; licences and dependencies of packages; a scan and a provenance for each image. They are
// the same for the same seed.
func Generate(n int, seed uint64) iter.Seq[graph.Entry] {
	return func(yield func(graph.Entry) bool) {
		g := generator{random: rand.New(rand.NewPCG(seed, 0)), seed: seed}
		for made := 0; made < n; g.image++ {
			for _, e := range []graph.Entry{g.bill(), g.scan(), g.provenance()} {
				made += len(e.Statements)
				if !yield(e) {
					return
				}
			}
		}
	}
}

// GeneratedImage is the nth image that Generate makes up.
func GeneratedImage(n int, seed uint64) seaworthy.Subject {
	return seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(seaworthy.SHA256(fmt.Append(nil, "image ", seed, n)))}
}

// generator makes up the documents of one image after the other.
type generator struct {
	random   *rand.Rand
	seed     uint64
	image    int
	packages []seaworthy.Subject // of the image
}

func (g *generator) subject() seaworthy.Subject { return GeneratedImage(g.image, g.seed) }

func distroPackage(n, release int) (name, version seaworthy.Subject, label string) {
	words := []string{"lib", "python3", "perl", "core", "net", "ssl", "util", "data", "java", "gtk"}
	label = fmt.Sprintf("%s-%s%d", words[n%10], words[n/10%10], n)
	key := "pkg:deb/debian/" + label
	return seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: key},
		seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: fmt.Sprintf("%s@%d.%d.%d-%d?arch=amd64&distro=debian-%d", key, n%4, n%17, release, n%3, 10+release/4)}, label
}

func digested(kind seaworthy.SubjectKind, parts ...any) seaworthy.Subject {
	return seaworthy.Subject{Kind: kind, Key: string(seaworthy.SHA256(fmt.Append(nil, parts...)))}
}

func (g *generator) bill() graph.Entry {
	image, release := g.subject(), g.random.IntN(8)
	var b strings.Builder
	fmt.Fprintf(&b, `{"spdxVersion":"SPDX-2.3","name":"registry.example/team%d/app%d","files":[`, g.image%20, g.image)
	var s []seaworthy.Statement
	say := func(a seaworthy.Subject, p seaworthy.Predicate, o seaworthy.Subject, attrs ...seaworthy.Property) {
		s = append(s, seaworthy.Statement{Subject: a, Predicate: p, Object: o, Attrs: attrs})
	}
	names := []graph.Name{{Subject: image, Text: fmt.Sprintf("registry.example/team%d/app%d:1.%d", g.image%20, g.image, g.image%7)}}
	layers := make([]seaworthy.Subject, 5)
	for i := range layers {
		layers[i] = digested(seaworthy.ArtifactSubject, "layer ", release, i, i/4*(g.image+1))
		say(image, seaworthy.SaysContains, layers[i])
	}
	file := func(f seaworthy.Subject, path string, layer int) {
		say(image, seaworthy.SaysHasFile, f, seaworthy.Property{Name: "layer", Value: layers[layer].Key}, seaworthy.Property{Name: "path", Value: path})
		fmt.Fprintf(&b, `{"SPDXID":"SPDXRef-File-%x","fileName":%q,"checksums":[{"algorithm":"SHA256","checksumValue":%q}],"licenseConcluded":"NOASSERTION"},`, len(s), path, f.Key[7:])
		names = append(names, graph.Name{Subject: f, Text: path}) // which the statement says already
	}
	g.packages = g.packages[:0]
	for i := range packagesPerDoc {
		n := i // the base that all have, and what few have
		if i >= packagesPerDoc/3 {
			n = g.random.IntN(1 + g.random.IntN(distroPackages))
		}
		name, version, label := distroPackage(n, release)
		g.packages = append(g.packages, version)
		say(image, seaworthy.SaysContains, version, seaworthy.Property{Name: "layer", Value: layers[i%4].Key})
		say(name, seaworthy.SaysContains, version)
		say(version, seaworthy.SaysLicensed, seaworthy.Subject{Kind: seaworthy.LicenceSubject, Key: []string{"MIT", "GPL-2.0-or-later", "Apache-2.0", "BSD-3-Clause", "LGPL-2.1-only"}[n%5]}, seaworthy.Property{Name: "how", Value: "declared"})
		for d := range n % 4 {
			_, other, _ := distroPackage((n*7+d*31)%(n+1), release)
			say(version, seaworthy.SaysDepends, other, seaworthy.Property{Name: "direct", Value: "true"})
		}
		for f := range n % (2 * filesPerPackage) {
			folder := []string{"/usr/share/doc/" + label, "/usr/lib/x86_64-linux-gnu/" + label, "/usr/share/locale/" + label, "/usr/bin"}[f%4%(3+n%2)]
			file(digested(seaworthy.ArtifactSubject, "file ", n, release, f), fmt.Sprintf("%s/%s-%d", folder, label, f), i%4)
		}
	}
	for f := range filesOfTheApp {
		file(digested(seaworthy.ArtifactSubject, "app ", g.seed, g.image, f), fmt.Sprintf("/app/node_modules/module-%d/dist/file-%d.js", f/20, f), 4)
	}
	b.WriteString(`{}],"packages":[`)
	for _, p := range g.packages {
		fmt.Fprintf(&b, `{"SPDXID":"SPDXRef-Package-%d","name":%q,"downloadLocation":"NOASSERTION","filesAnalyzed":false,"externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":%[2]q}]},`, g.random.Uint32(), p.Key)
	}
	b.WriteString(`{}]}`)
	return g.entry(seaworthy.BillDocument, "SPDX-2.3", b.String(), s, names)
}

func (g *generator) scan() graph.Entry {
	var s []seaworthy.Statement
	for range vulnsPerDoc {
		p := g.packages[g.random.IntN(len(g.packages))]
		n := seaworthy.SHA256([]byte(p.Key))[8:11]
		s = append(s, seaworthy.Statement{
			Subject: seaworthy.Subject{Kind: seaworthy.VulnSubject, Key: fmt.Sprintf("CVE-2026-%s%d", n, g.random.IntN(3))}, Predicate: seaworthy.SaysAffects, Object: p,
			Attrs: []seaworthy.Property{{Name: "by", Value: "scanner"}, {Name: "severity", Value: "high"}, {Name: "status", Value: "affected"}},
		})
	}
	return g.entry(seaworthy.ScanDocument, "scan", fmt.Sprintf(`{"scan":%d,"seed":%d}`, g.image, g.seed), s, nil)
}

func (g *generator) provenance() graph.Entry {
	image := g.subject()
	source := seaworthy.Subject{Kind: seaworthy.SourceSubject, Key: fmt.Sprintf("git+https://git.example/team%d/app%d@%040x", g.image%20, g.image%500, g.image)}
	builder := seaworthy.Subject{Kind: seaworthy.ActorSubject, Key: fmt.Sprintf("builder:https://ci.example/runner%d", g.image%9)}
	return g.entry(seaworthy.ProvenanceDocument, "in-toto v1", fmt.Sprintf(`{"provenance":%d,"seed":%d}`, g.image, g.seed), []seaworthy.Statement{
		{Subject: image, Predicate: seaworthy.SaysBuilt, Object: source},
		{Subject: image, Predicate: seaworthy.SaysBuiltBy, Object: builder, Attrs: []seaworthy.Property{{Name: "buildType", Value: "https://ci.example/build"}}},
		{Subject: image, Predicate: seaworthy.SaysSigned, Object: seaworthy.Subject{Kind: seaworthy.ActorSubject, Key: fmt.Sprintf("identity:ci%d@example.com|https://issuer.example", g.image%20)}},
	}, nil)
}

func (g *generator) entry(kind seaworthy.DocumentKind, format, body string, s []seaworthy.Statement, names []graph.Name) graph.Entry {
	b := []byte(body)
	return graph.Entry{
		Document: seaworthy.Document{
			Digest: seaworthy.SHA256(b), Kind: kind, Format: format, Name: fmt.Sprintf("app%d", g.image), Ingested: start.Add(time.Duration(g.image) * time.Minute),
			Verification: seaworthy.Verification{State: seaworthy.UnsignedState},
		},
		Body: b, Statements: s, Names: names,
	}
}
