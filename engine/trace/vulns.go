package trace

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// vulns lists the vulnerabilities of everything that the subject is made of. Those that VEX takes away come last,
// with what took them away.
func (a *asking) vulns() error {
	if s := a.subject.subject; s.Kind == seaworthy.VulnSubject {
		return seaworthy.Errorf(seaworthy.Usage, "%q is a vulnerability itself", s.Key).WithHint("the question vuln tells what it affects")
	}
	t, err := a.parts(a.subject.roots)
	if err != nil {
		return err
	}
	list, err := a.findings(t)
	if err != nil {
		return err
	}
	a.out.Title = a.findingsTitle(list)
	for _, f := range cut(a, list) {
		a.findingRow(t, &f)
	}
	for i := range a.out.Rows {
		if r := &a.out.Rows[i]; !r.Signed {
			a.note("a row that is not marked as signed rests on at least one statement that nobody signed")
			break
		}
	}
	return nil
}

func (a *asking) findingRow(t *trail, f *finding) {
	via, rests, signed := a.trailTo(t, f.at, 0)
	depth := t.visits[f.at].depth
	vuln := a.node(f.vuln, depth+1)
	rests = union(rests, a.edge(&f.edge))
	if len(f.aliases) > 0 {
		a.fact(f.vuln, "aliases", strings.Join(f.aliases, ", "))
	}
	a.fact(f.vuln, "severity", f.severity.String())
	if f.epss > 0 {
		a.fact(f.vuln, "epss", epssText(f.epss))
	}
	if f.kev {
		a.fact(f.vuln, "exploited", "known to be")
	}
	name, version := a.nameVersion(a.subjects[f.about].Key)
	if a.subjects[f.about].Kind != seaworthy.PackageSubject {
		name, version = a.label(f.about), ""
	}
	a.row(Row{
		Node: vuln, Via: append(via, vuln), Documents: rests, Signed: signed && f.signed,
		Cells: []string{f.name, f.severity.String(), string(f.status), name, version, f.fixed, epssText(f.epss), yes(f.kev), f.why},
	}, nil)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}

// epssText is a probability in percent, "" for none.
func epssText(p float64) string {
	if p == 0 {
		return ""
	}
	return strconv.FormatFloat(100*p, 'f', 2, 64) + "%"
}

// findingsTitle is "3 vulnerabilities (1 critical, 2 high) in 2 packages, 1 fixable; 1 taken away by VEX".
func (a *asking) findingsTitle(list []finding) string {
	parts, vulns := map[int]bool{}, map[string]bool{}
	var counts [seaworthy.SeverityCritical + 1]int
	n, fixable, exploited, away := 0, 0, 0, 0
	for i := range list {
		f := &list[i]
		if !f.open {
			away++
			continue
		}
		n++
		counts[f.severity]++
		parts[f.at], vulns[f.name] = true, true
		if f.fixed != "" {
			fixable++
		}
		if f.kev {
			exploited++
		}
	}
	text := "no vulnerability known"
	if len(a.leftOut) > 0 {
		text = "no vulnerability known from what the question lets count"
	}
	if n > 0 {
		var words []string
		for s := seaworthy.SeverityCritical; s >= seaworthy.SeverityUnknown; s-- {
			if counts[s] > 0 {
				words = append(words, fmt.Sprintf("%d %s", counts[s], s))
			}
		}
		text = fmt.Sprintf("%s (%s) in %s, %d fixable", plural(n, "finding"), strings.Join(words, ", "), plural(len(parts), "part"), fixable)
		if len(vulns) != n {
			text = fmt.Sprintf("%s, %s", plural(len(vulns), "vulnerability"), text)
		}
		if exploited > 0 {
			text += fmt.Sprintf(", %d known to be exploited", exploited)
		}
	}
	if away > 0 {
		text += fmt.Sprintf("; %d taken away by VEX", away)
	}
	return text
}

// openFindings are those that no VEX statement takes away.
func openFindings(list []finding) []finding {
	return slices.DeleteFunc(slices.Clone(list), func(f finding) bool { return !f.open })
}
