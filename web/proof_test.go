package web

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/transparency-dev/merkle/rfc6962"
	"github.com/transparency-dev/merkle/testonly"
)

// proven is what serve/graph says of an entry of the log, as far as the page checks it.
type proven struct {
	Index      uint64   `json:"index"`
	Kind       string   `json:"kind"`
	Origin     string   `json:"origin"`
	Body       []byte   `json:"body"`
	TreeSize   uint64   `json:"treeSize"`
	Hashes     [][]byte `json:"hashes"`
	Checkpoint string   `json:"checkpoint"`
}

const logOrigin = "seaworthy.example/log"

func checkpoint(size uint64, root []byte) string {
	return fmt.Sprintf("%s\n%d\n%s\n\n— %s c2lnbmF0dXJl\n", logOrigin, size, base64.StdEncoding.EncodeToString(root), logOrigin)
}

// prove makes the proof that entry index is in a log of size entries.
func prove(t *testing.T, index, size uint64) proven {
	t.Helper()
	tree := testonly.New(rfc6962.DefaultHasher)
	for i := range size {
		tree.AppendData([]byte(fmt.Sprintf("entry %d", i)))
	}
	hashes, err := tree.InclusionProof(index, size)
	if err != nil {
		t.Fatal(err)
	}
	return proven{
		Index: index, Kind: "dsse", Origin: logOrigin, Body: []byte(fmt.Sprintf("entry %d", index)), TreeSize: size,
		Hashes: append([][]byte{}, hashes...), Checkpoint: checkpoint(size, tree.Hash()),
	}
}

// TestProofsAreCheckedInTheBrowser has the page follow proofs of a well-known library, and of what is almost one.
func TestProofsAreCheckedInTheBrowser(t *testing.T) {
	s := look(t, false)
	var now proven
	s.f.entry = func(w http.ResponseWriter, _ *http.Request) {
		answer(w, now)
	}
	// show asks for an entry without loading the page anew.
	show := func(p proven, ask uint64, state string) {
		t.Helper()
		now = p
		s.do(fmt.Sprintf("entry %d of %d is %s", p.Index, p.TreeSize, state),
			run("history.pushState(null,'','/log');dispatchEvent(new PopStateEvent('popstate'))"), until(`!document.querySelector(".verdict")`),
			run("history.pushState(null,'','/log?index=%d');dispatchEvent(new PopStateEvent('popstate'))", ask),
			until(fmt.Sprintf(`document.querySelector(".verdict.%s")?.dataset.entry==="%d of %d"`, state, p.Index, p.TreeSize)))
	}
	s.open("/log")
	for _, size := range []uint64{1, 2, 3, 4, 5, 7, 8, 11, 16, 33} {
		for index := range size {
			if size <= 8 || index%5 == 0 || index == size-1 {
				show(prove(t, index, size), index, "good")
			}
		}
	}
	s.see("the way is drawn", `document.querySelectorAll("svg .way").length`, strconv.Itoa(len(prove(t, 32, 33).Hashes)))

	for name, change := range map[string]func(p *proven){
		"another body":                func(p *proven) { p.Body = []byte("entry 6") },
		"an empty body":               func(p *proven) { p.Body = nil },
		"a hash is another":           func(p *proven) { p.Hashes[1] = append([]byte{}, p.Hashes[0]...) },
		"a hash is gone":              func(p *proven) { p.Hashes = p.Hashes[1:] },
		"a hash too many":             func(p *proven) { p.Hashes = append(p.Hashes, p.Hashes[0]) },
		"hashes in another order":     func(p *proven) { p.Hashes[0], p.Hashes[1] = p.Hashes[1], p.Hashes[0] },
		"a hash is too short":         func(p *proven) { p.Hashes[0] = p.Hashes[0][:31] },
		"the node is given as leaf":   func(p *proven) { p.Hashes = nil; p.TreeSize = 1; p.Index = 0 },
		"no proof":                    func(p *proven) { p.Hashes = nil },
		"another root":                func(p *proven) { p.Checkpoint = checkpoint(p.TreeSize, rfc6962.DefaultHasher.EmptyRoot()) },
		"a checkpoint of more":        func(p *proven) { p.Checkpoint = checkpoint(p.TreeSize+1, rfc6962.DefaultHasher.EmptyRoot()) },
		"no checkpoint":               func(p *proven) { p.Checkpoint = "" },
		"a checkpoint without size":   func(p *proven) { p.Checkpoint = logOrigin + "\n\n\n" },
		"an index outside the log":    func(p *proven) { p.Index = p.TreeSize },
		"another entry of this log":   func(p *proven) { p.Index = 4 },
		"a size that is not this":     func(p *proven) { p.TreeSize = 12 },
		"a size that is more than 53": func(p *proven) { p.TreeSize = 1 << 53 },
	} {
		p := prove(t, 5, 11)
		change(&p)
		t.Run(name, func(t *testing.T) { show(p, p.Index, "bad") })
	}
	// A good proof, of something else than was asked for.
	show(prove(t, 5, 11), 6, "bad")
	quiet(t, s.ctx, s.said, "/api/gate/")
}
