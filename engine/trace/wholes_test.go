package trace

import (
	"strings"
	"testing"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// A name that several programs have means the image of that name, when there is one: what something is known to be in.
// Of two images nobody can say which.
func TestNamesMeanWholes(t *testing.T) {
	m := graph.NewMemory()
	artifact := func(n string) seaworthy.Subject {
		return seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(seaworthy.SHA256([]byte(n)))}
	}
	put := func(body string, statements []seaworthy.Statement, names []graph.Name) {
		t.Helper()
		doc := seaworthy.Document{
			Digest: seaworthy.SHA256([]byte(body)), Kind: seaworthy.BillDocument, Format: "test", Size: int64(len(body)), Ingested: time.Unix(1, 0).UTC(),
			Statements: len(statements), Verification: seaworthy.Verification{State: seaworthy.UnsignedState},
		}
		if _, err := m.Put(t.Context(), graph.Entry{Document: doc, Body: []byte(body), Statements: statements, Names: names}); err != nil {
			t.Fatal(err)
		}
	}
	builder := seaworthy.Subject{Kind: seaworthy.ActorSubject, Key: "builder:https://b.example"}
	lib := seaworthy.Subject{Kind: seaworthy.PackageSubject, Key: "pkg:npm/lib@1"}
	put("provenance", []seaworthy.Statement{
		{Subject: artifact("arm"), Predicate: seaworthy.SaysBuiltBy, Object: builder},
		{Subject: artifact("amd"), Predicate: seaworthy.SaysBuiltBy, Object: builder},
		{Subject: artifact("image"), Predicate: seaworthy.SaysContains, Object: lib},
	}, []graph.Name{
		{Subject: artifact("arm"), Text: "out/arm/tool"}, {Subject: artifact("amd"), Text: "out/amd/tool"}, {Subject: artifact("image"), Text: "registry.example/tool-v1"},
	})
	a, err := New(m, Options{}).Ask(t.Context(), Question{Verb: "provenance", Subject: "tool"})
	id := artifact("image").ID()
	if err != nil || a.Subject != graph.FormatID(id) {
		t.Fatalf("%v, %v", a, err)
	}
	if !strings.Contains(strings.Join(a.Notes, "\n"), `"tool" could be any of 3`) {
		t.Errorf("it is not said that others were meant, too: %q", a.Notes)
	}
	put("bill", []seaworthy.Statement{{Subject: artifact("other"), Predicate: seaworthy.SaysContains, Object: lib}}, []graph.Name{{Subject: artifact("other"), Text: "registry.example/tool-v2"}})
	if _, err := New(m, Options{}).Ask(t.Context(), Question{Verb: "provenance", Subject: "tool"}); seaworthy.CodeOf(err) != seaworthy.Usage {
		t.Errorf("of two images: %v", err)
	}
}
