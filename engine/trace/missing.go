package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// mostAsked is how many artifacts missing looks at when it is asked about everything and documents cannot be listed.
const mostAsked = 500

// missing lists which evidence is not there: of the subject, the images and programs in it and what it runs, or, of
// no subject, of all images and workloads that are known.
func (a *asking) missing() error {
	ids, err := a.examined()
	if err != nil {
		return err
	}
	list, err := a.dossiers(ids)
	if err != nil {
		return err
	}
	cards, err := a.sourcesOf(list)
	if err != nil {
		return err
	}
	if err := a.loadNamed(ids); err != nil {
		return err
	}
	type line struct {
		row  Row
		docs []graph.ID
		gaps []Gap
	}
	var lines []line
	whole := 0
	for i := range list {
		row, docs, gaps := a.missingOf(&list[i], cards)
		if len(gaps) == 0 {
			whole++
		}
		lines = append(lines, line{row, docs, gaps})
	}
	slices.SortStableFunc(lines, func(x, y line) int {
		return cmp.Or(cmp.Compare(len(y.gaps), len(x.gaps)), cmp.Compare(x.row.Cells[0], y.row.Cells[0]), cmp.Compare(x.row.Node, y.row.Node))
	})
	a.out.Title = fmt.Sprintf("%d of %s with all evidence", whole, plural(len(list), "artifact"))
	for _, l := range cut(a, lines) {
		id, err := graph.ParseID(l.row.Node)
		if err != nil {
			return err
		}
		a.node(id, 1)
		for _, g := range l.gaps {
			a.gap(id, g.What, g.Detail)
		}
		a.row(l.row, l.docs)
	}
	return nil
}

// examined lists the artifacts whose evidence is looked at.
func (a *asking) examined() ([]graph.ID, error) {
	if a.q.Subject == "" {
		return a.everything()
	}
	inside, err := a.inside(a.subject.roots)
	if err != nil {
		return nil, err
	}
	files, err := a.binaries(inside)
	if err != nil {
		return nil, err
	}
	main := a.subject.main()
	ids := []graph.ID{main}
	for _, id := range append(inside, targets(files)...) {
		if a.subjects[id].Kind == seaworthy.ArtifactSubject && a.roles[id] != layerRole && !slices.Contains(ids, id) && a.judgedApart(id, main) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// judgedApart says whether something in the subject should have evidence of its own: images and programs, not
// layers.
func (a *asking) judgedApart(id, main graph.ID) bool {
	switch a.roles[id] {
	case imageRole, indexRole, binaryRole:
		return true
	}
	return id == main
}

// everything lists the images that manifests and workloads name.
func (a *asking) everything() ([]graph.ID, error) {
	var ids []graph.ID
	add := func(id graph.ID) {
		if !slices.Contains(ids, id) && len(ids) < a.q.Limit {
			ids = append(ids, id)
		}
	}
	for _, p := range []seaworthy.Predicate{seaworthy.SaysRuns, seaworthy.SaysDescribes} {
		top, err := a.r.Top(a.ctx, p, []seaworthy.SubjectKind{seaworthy.ArtifactSubject}, mostAsked)
		if err != nil {
			return nil, err
		}
		for _, c := range top {
			add(c.ID)
		}
		if len(top) == mostAsked {
			a.out.Truncated = true
		}
	}
	if len(ids) == a.q.Limit {
		a.out.Truncated = true
	}
	if _, err := a.fan(ids, true, []seaworthy.Predicate{seaworthy.SaysHasFile}, 1); err != nil { // for their roles
		return nil, err
	}
	return ids, a.load(ids)
}

// missingOf says of one artifact what there is and what is not.
func (a *asking) missingOf(d *dossier, cards map[graph.ID]*scorecard) (Row, []graph.ID, []Gap) {
	var gaps []Gap
	var docs []graph.ID
	signed := true
	cell := func(what, detail, text string, rests []graph.ID, ok bool) string {
		docs = append(docs, rests...)
		signed = signed && a.anySigned(rests)
		if ok {
			return text
		}
		gaps = append(gaps, Gap{What: what, Detail: detail})
		return none + what
	}
	var signatures []graph.ID
	for _, e := range d.signed {
		if e.signed {
			signatures = append(signatures, e.docs...)
		}
	}
	program := a.roles[d.id] == binaryRole || a.roles[d.id] == fileRole
	bills, provenance := d.documents[seaworthy.BillDocument], d.provenance(a)
	signature := cell("signature", "seaworthy sign", actorLabels(a.signersOf(signatures)), signatures, len(signatures) > 0 || program)
	bill := ""
	if !program {
		word := ""
		if len(bills) > 0 {
			word = a.docs[bills[0]].doc.Format
		}
		bill = cell("bill", "seaworthy sbom", word, bills, len(bills) > 0)
	}
	word := ""
	if len(provenance) > 0 {
		word = attestationWord(&a.docs[provenance[0]].doc)
	}
	how := cell("provenance", "its builder can attest it", word, provenance, len(provenance) > 0)
	score := ""
	if sources := a.sourceIDs(d); len(sources) > 0 {
		var scores []string
		var rests []graph.ID
		for _, id := range sources {
			if c := cards[id]; c != nil {
				scores = append(scores, c.score)
				rests = append(rests, c.edge.docs...)
			}
		}
		score = cell("scorecard", "scorecard --format json", strings.Join(unique(scores), ", "), rests, len(scores) > 0)
	}
	role := cmp.Or(a.roles[d.id], string(a.subjects[d.id].Kind))
	if isImageReference(a.subjects[d.id]) {
		role = imageRole
	}
	return Row{
		Node: graph.FormatID(d.id), Signed: signed, Cells: []string{a.label(d.id), role, signature, bill, how, score},
	}, docs, gaps
}

// sourceIDs lists the sources something was built from.
func (a *asking) sourceIDs(d *dossier) []graph.ID {
	var ids []graph.ID
	for _, id := range append(targets(d.built), targets(d.source)...) {
		if a.subjects[id].Kind == seaworthy.SourceSubject && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
