package deps

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// Write writes the answer for a person: for each presence a line that says what it is, and below it a line for
// each chain.
func (a *Answer) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	for i := range a.Found {
		p := &a.Found[i]
		if i > 0 {
			out.WriteByte('\n')
		}
		where := p.Manifest
		if p.Source != "" {
			where = p.Source + "/" + where
		}
		rel := string(p.Relationship)
		if rel != "" {
			rel += ", "
		}
		fmt.Fprintf(out, "%s (%s, %s): %s%s\n", p.Step.text(), console.Escape(p.Ecosystem), console.Escape(where), rel, console.Escape(string(p.Scope)))
		for _, c := range p.Chains {
			for _, steps := range c.Paths {
				texts := make([]string, len(steps))
				for k := range steps {
					texts[k] = steps[k].text()
				}
				fmt.Fprintf(out, "  %s\n", strings.Join(texts, " › "))
			}
			if c.More {
				fmt.Fprintf(out, "  … there are more ways from %s; --paths shows more of them\n", console.Escape(c.Project))
			}
		}
		switch {
		case len(p.Chains) > 0, a.Cut:
		case p.Relationship == Direct:
			fmt.Fprintf(out, "  %s asks for it itself\n", console.Escape(p.Manifest))
		case p.Relationship == Transitive:
			fmt.Fprintf(out, "  %s says that something else needs it, and not what\n", console.Escape(p.Manifest))
		case p.Relationship == Inconclusive:
			fmt.Fprintf(out, "  %s lists it and does not say why\n", console.Escape(p.Manifest))
		}
	}
	if a.Cut {
		out.WriteString("\n… there is too much to look at: the last of these are without their chains\n")
	}
	return seaworthy.Wrap(out.Flush(), seaworthy.Storage, "writing the answer")
}

// text is a step as it is shown.
func (s Step) text() string {
	return console.Escape(strings.TrimSuffix(s.Name+" "+s.Version, " "))
}

// shownDependents is how many packages Dependents.Write names; JSON has them all.
const shownDependents = 20

// Write writes who uses the package for a person.
func (d *Dependents) Write(w io.Writer) error {
	if len(d.Projects) == 0 {
		fmt.Fprintf(w, "no project is known to use %s\n", console.Escape(d.Package))
	} else {
		t := console.Table{Columns: []console.Column{
			{Name: "PROJECT", Shrink: true},
			{Name: "IN", Shrink: true},
			{Name: "MANIFEST", Shrink: true},
			{Name: "USES"},
			{Name: "RELATIONSHIP"},
			{Name: "BROUGHT IN BY", Shrink: true},
		}}
		for i := range d.Projects {
			p := &d.Projects[i]
			via := ""
			if len(p.Path) > 2 {
				via = strings.Join(p.Path[1:len(p.Path)-1], " › ")
			}
			t.Add(p.Name, p.Source, p.Manifest, p.Version, string(p.Relationship), via)
		}
		if err := t.Write(w); err != nil {
			return err
		}
	}
	fmt.Fprintf(w, "\nprojects that use it: %d direct, %d transitive\n", d.Direct, d.Indirect)
	if len(d.Packages) == 0 {
		return nil
	}
	fmt.Fprintf(w, "packages that depend on it: %d\n", len(d.Packages))
	for i := range d.Packages {
		p := &d.Packages[i]
		if i == shownDependents {
			_, err := fmt.Fprintf(w, "  … and %d more; -o json lists them all\n", len(d.Packages)-i)
			return seaworthy.Wrap(err, seaworthy.Storage, "writing the answer")
		}
		how := "directly"
		if !p.Direct {
			how = fmt.Sprintf("%d steps away", p.Distance)
		}
		if _, err := fmt.Fprintf(w, "  %s (%s)\n", p.Step.text(), how); err != nil {
			return seaworthy.Wrap(err, seaworthy.Storage, "writing the answer")
		}
	}
	return nil
}
