package inspect

import (
	"bufio"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"sort"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

//go:embed report.html.tmpl
var pageText string

// HTML writes the report as one self-contained page: no style, script or picture is fetched from anywhere, and
// the page is complete without script. Names from outside are escaped, bidirectional controls included.
func (r *Report) HTML(w io.Writer) error {
	page, err := template.New("report").Funcs(template.FuncMap{
		"safe": console.Escape, "size": console.Size, "short": seaworthy.Digest.Short, "hue": hue, "instruction": shortInstruction,
		"plural": plural, "count": func(n int, what string) string { return fmt.Sprintf("%d %s", n, plural(n, what)) },
	}).Parse(pageText)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Internal, "parsing the page's template")
	}
	out := bufio.NewWriter(w)
	if err := page.Execute(out, r.page()); err != nil {
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the page")
	}
	return out.Flush()
}

// plural is what n of a thing are called.
func plural(n int, what string) string {
	if n == 1 {
		return what
	}
	return what + "s"
}

// page is the report with what only the page needs.
type page struct {
	*Report
	Title      string
	Ecosystems []share
	Blocks     []block // the layers as a picture, the topmost first
	Licences   []share
	Unknown    int // packages without a licence
	Others     []seaworthy.Problem
}

// share is one part of a whole.
type share struct {
	Name    string
	N       int
	Percent float64 // of the largest in a list, or of the whole in a bar
}

// block is a layer in the picture.
type block struct {
	*Layer
	Height   int // CSS pixels
	Percent  float64
	Parts    []share // packages it brought, by ecosystem; percent of all packages of the image
	Added    int
	Upgraded int
	Removed  int
}

func (r *Report) page() page {
	p := page{Report: r, Title: r.title()}
	counts := map[string]int{}
	for i := range r.Packages {
		counts[r.Packages[i].Ecosystem]++
	}
	p.Ecosystems = shares(counts, len(r.Packages))
	var total int64
	for i := range r.Layers {
		total += r.Layers[i].Unpacked
	}
	for i := len(r.Layers) - 1; i >= 0; i-- {
		p.Blocks = append(p.Blocks, newBlock(&r.Layers[i], total, len(r.Packages)))
	}
	single, unknown := r.singleLicences()
	p.Unknown = unknown
	most := 0
	for _, l := range single {
		most = max(most, l.Packages)
		p.Licences = append(p.Licences, share{Name: l.Licence, N: l.Packages})
	}
	for i := range p.Licences {
		p.Licences[i].Percent = 100 * float64(p.Licences[i].N) / float64(most)
	}
	said := map[seaworthy.Problem]bool{}
	for i := range r.Layers {
		for _, problem := range r.Layers[i].Problems {
			said[problem] = true
		}
	}
	for _, problem := range r.Problems {
		if !said[problem] {
			p.Others = append(p.Others, problem)
		}
	}
	return p
}

// newBlock sizes a layer's block by the square root of its share, so that small layers can still be seen beside
// large ones and their order of size is kept.
func newBlock(l *Layer, total int64, packages int) block {
	b := block{Layer: l, Height: 34}
	if total > 0 {
		part := float64(l.Unpacked) / float64(total)
		b.Height += int(140 * math.Sqrt(part))
		b.Percent = 100 * part
	}
	counts := map[string]int{}
	for i := range l.Packages {
		switch l.Packages[i].Change {
		case Added:
			b.Added++
			counts[l.Packages[i].Ecosystem]++
		case Upgraded:
			b.Upgraded++
			counts[l.Packages[i].Ecosystem]++
		default:
			b.Removed++
		}
	}
	b.Parts = shares(counts, max(packages, 1))
	return b
}

func shares(counts map[string]int, whole int) []share {
	out := make([]share, 0, len(counts))
	for name, n := range counts {
		out = append(out, share{Name: name, N: n, Percent: 100 * float64(n) / float64(whole)})
	}
	sort.Slice(out, func(a, b int) bool {
		if out[a].N != out[b].N {
			return out[a].N > out[b].N
		}
		return out[a].Name < out[b].Name
	})
	return out
}

// hues give ecosystems colours that are told apart by most eyes; an unknown one gets its own by its letters.
var hues = map[string]int{"deb": 212, "apk": 190, "rpm": 8, "npm": 265, "pypi": 48, "maven": 150, "golang": 175, "cargo": 30, "gem": 330}

func hue(ecosystem string) int {
	if h, ok := hues[ecosystem]; ok {
		return h
	}
	h := 0
	for _, c := range ecosystem {
		h = (h*31 + int(c)) % 360
	}
	return h
}

// shortInstruction is a history line without what builders wrap around it.
func shortInstruction(createdBy string) string {
	in := historyInstruction(createdBy)
	line, _, more := strings.Cut(in.text, "\n")
	if more {
		line += " …"
	}
	line = strings.TrimPrefix(line, "RUN /bin/sh -c ")
	if in.kind == "RUN" && !strings.HasPrefix(line, "RUN") {
		line = "RUN " + line
	}
	if len(line) > 400 {
		line = line[:400] + "…"
	}
	return fmt.Sprint(line)
}
