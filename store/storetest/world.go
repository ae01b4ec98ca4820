package storetest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// start is when the first document of a world comes in.
var start = time.Date(2026, 1, 2, 3, 4, 5, 6789, time.UTC)

func artifact(n int) seaworthy.Subject {
	return seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(seaworthy.SHA256(fmt.Append(nil, "artifact", n)))}
}

// subject gives one of few subjects, of all kinds, so that documents overlap and prefixes are shared.
func subject(n int) seaworthy.Subject {
	i := n / 8
	switch n % 8 {
	case 0:
		return artifact(i)
	case 1:
		return seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: fmt.Sprintf("pkg:deb/debian/Lib-c%d@2.36-%d?arch=amd64", i%3, i)}
	case 2:
		return seaworthy.Subject{Kind: seaworthy.SourceSubject, Key: fmt.Sprintf("git+https://github.com/seaworthy/app%d@%040x", i%2, i)}
	case 3:
		return seaworthy.Subject{Kind: seaworthy.VulnSubject, Key: fmt.Sprintf("CVE-2026-%04d", i)}
	case 4:
		return seaworthy.Subject{Kind: seaworthy.LicenceSubject, Key: []string{"MIT", "GPL-2.0-only OR MIT", "Apache-2.0", "LicenseRef-é\x00\xff"}[i%4]}
	case 5:
		return seaworthy.Subject{Kind: seaworthy.ActorSubject, Key: fmt.Sprintf("identity:ci%d@example.com|https://issuer.example", i)}
	case 6:
		return seaworthy.Subject{Kind: seaworthy.DocumentSubject, Key: string(seaworthy.SHA256(body(i)))}
	default:
		return seaworthy.Subject{Kind: seaworthy.ResourceSubject, Key: fmt.Sprintf("k8s://prod/ns%d/Deployment/app", i)}
	}
}

// body gives the bytes of a document.
func body(n int) []byte {
	return fmt.Appendf(nil, `{"document": %d, "padding": "%0*d"}`, n, n%5*1000, 0)
}

var names = []string{
	"registry.example/app:1.2", "/usr/bin/App", "/opt/app", "./app.go", "Libc", "app", "/", "/usr/bin/app-tool",
}

// document gives the nth document of a world of a size, saying what random makes up: the same for the same source.
func document(n, size int, random *rand.Rand) graph.Entry {
	b := body(n)
	e := graph.Entry{
		Document: seaworthy.Document{
			Digest: seaworthy.SHA256(b), Kind: []seaworthy.DocumentKind{seaworthy.BillDocument, seaworthy.VEXDocument, seaworthy.SignatureDocument}[n%3],
			Format: "SPDX-2.3", Name: fmt.Sprint("document ", n), Ingested: start.Add(time.Duration(random.IntN(4)) * time.Hour), Origin: "test",
			Verification: seaworthy.Verification{State: seaworthy.VerifiedState, Signers: []string{"key:sha256:00"}},
		},
		Body: b,
	}
	predicates := seaworthy.Predicates()
	for range random.IntN(12) {
		p := predicates[random.IntN(len(predicates))]
		if random.IntN(3) == 0 {
			p = seaworthy.SaysHasFile
		}
		s := seaworthy.Statement{Subject: subject(random.IntN(size)), Predicate: p, Object: subject(random.IntN(size))}
		for i := range random.IntN(3) {
			s.Attrs = append(s.Attrs, seaworthy.Property{
				Name:  []string{"path", "unheard of", "layer", "", "path"}[random.IntN(5)],
				Value: []string{"", []string{"/usr/lib/Libc.so", "/opt/app", "/usr/lib/app-" + string('a'+rune(random.IntN(3)))}[random.IntN(3)], string(artifact(i).Key), "sha256:ABC", "sha1:zz"}[random.IntN(5)],
			})
		}
		e.Statements = append(e.Statements, s)
	}
	for range random.IntN(4) {
		e.Names = append(e.Names, graph.Name{Subject: subject(random.IntN(size)), Text: names[random.IntN(len(names))]})
	}
	if random.IntN(3) == 0 {
		e.Jobs = append(e.Jobs, graph.Job{ID: fmt.Sprint("job ", random.IntN(5)), Kind: "match", Title: "match", Created: start})
	}
	return e
}

// source is a source of randomness that is the same for the same numbers.
func source(a, b int) *rand.Rand { return rand.New(rand.NewPCG(uint64(a), uint64(b))) }
