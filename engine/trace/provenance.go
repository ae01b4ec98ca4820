package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

const (
	// none stands in a cell where evidence should be.
	none = "∅ no "
	// shownMaterials is how many materials of one artifact an answer draws, beside its sources.
	shownMaterials = 20
)

// provenance tells of an image and of each program in it who built it, from which source, and how that is looked
// after. What is missing is an answer too.
func (a *asking) provenance() error {
	binaries, with, err := a.builds(a.q.Limit)
	if err != nil {
		return err
	}
	main := a.label(a.subject.main())
	switch {
	case binaries > 0:
		a.out.Title = fmt.Sprintf("%s: %d with an attestation of how it was built, %d without", plural(binaries, "binary"), with, binaries-with)
	case len(a.out.Missing) == 0:
		a.out.Title = main + ": it is known how it was built"
	default:
		a.out.Title = main + ": evidence of how it was built is missing"
	}
	return nil
}

// builds answers provenance for the subject and up to limit parts of it. It returns how many programs there are in the
// subject, and how many of them have an attestation.
func (a *asking) builds(limit int) (binaries, with int, err error) {
	inside, err := a.inside(a.subject.roots)
	if err != nil {
		return 0, 0, err
	}
	files, err := a.binaries(inside)
	if err != nil {
		return 0, 0, err
	}
	main := a.subject.main()
	images, err := a.imagesOf(main)
	if err != nil {
		return 0, 0, err
	}
	parts := append(images, files...)
	list, err := a.dossiers(append([]graph.ID{main}, targets(parts)...))
	if err != nil {
		return 0, 0, err
	}
	binaries = len(files)
	for i := range files {
		if len(list[1+len(images)+i].provenance(a)) > 0 {
			with++
		}
	}
	if len(parts) > limit {
		a.note("it has %s that should have evidence of their own; %d are shown", plural(len(parts), "part"), limit)
	}
	parts, list, err = a.withEvidenceFirst(parts, list, limit)
	if err != nil {
		return 0, 0, err
	}
	cards, err := a.sourcesOf(list)
	if err != nil {
		return 0, 0, err
	}
	for i := range list {
		if i == 0 {
			a.provenanceRow(&list[0], cards, 0, attested(a, images, list))
			continue
		}
		e := parts[i-1]
		if e.predicate == seaworthy.SaysHasFile {
			e.from = main
			a.fact(e.to, "path", e.attr("path"))
		}
		a.fact(e.to, "platform", e.attr("platform"))
		a.node(main, 0)
		a.node(e.to, 1)
		a.edge(&e)
		a.provenanceRow(&list[i], cards, 1, "")
	}
	return binaries, with, nil
}

// attested says of how many images of an index it is known how they were built; "" where there is no index.
func attested(a *asking, images []edge, list []dossier) string {
	n := 0
	for i := range list {
		if slices.ContainsFunc(images, func(e edge) bool { return e.to == list[i].id }) && len(list[i].provenance(a)) > 0 {
			n++
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("of %d of %s", n, plural(len(images), "image"))
}

// imagesOf lists the images of an index, by platform. Entries for what runs nowhere hold attestations.
func (a *asking) imagesOf(index graph.ID) ([]edge, error) {
	list, err := a.edges([]graph.ID{index}, false, []seaworthy.Predicate{seaworthy.SaysContains})
	if err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(e edge) bool {
		platform := e.attr("platform")
		return platform == "" || strings.HasPrefix(platform, "unknown")
	})
	slices.SortFunc(list, func(x, y edge) int {
		return cmp.Or(cmp.Compare(x.attr("platform"), y.attr("platform")), compareID(x.to, y.to))
	})
	return list, a.load(targets(list))
}

// inside lists the artifacts that roots consist of: of an index its images, of an image its layers, of a workload
// what it runs.
func (a *asking) inside(roots []graph.ID) ([]graph.ID, error) {
	t, err := a.walk(roots, []step{
		out(seaworthy.SaysContains, seaworthy.SaysRuns, seaworthy.SaysSame).to(seaworthy.ArtifactSubject, seaworthy.ResourceSubject).
			when(func(from, to seaworthy.Subject, e *edge) bool {
				return e.predicate != seaworthy.SaysSame || (from.Kind == seaworthy.ArtifactSubject && to.Kind == seaworthy.ArtifactSubject)
			}),
	}, insideDepth)
	if err != nil {
		return nil, err
	}
	a.deeper = false
	return t.ids(), nil
}

// insideDepth is how deep artifacts are in each other: cluster, namespace, workload, index, image, layer.
const insideDepth = 6

// binaries lists the programs among the files of artifacts: an edge for each, by path.
func (a *asking) binaries(ids []graph.ID) ([]edge, error) {
	var list []edge
	err := a.statements(ids, false, []seaworthy.Predicate{seaworthy.SaysHasFile}, func(e *graph.Edge, d *evidence) error {
		if isBinary(e.Attrs) {
			list = a.merge(list, e, d, false)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.noteRoles(list)
	slices.SortFunc(list, func(x, y edge) int {
		return cmp.Or(compareID(x.to, y.to), cmp.Compare(x.attr("path"), y.attr("path")), compareID(x.from, y.from))
	})
	list = slices.CompactFunc(list, func(x, y edge) bool { return x.to == y.to })
	slices.SortFunc(list, func(x, y edge) int {
		return cmp.Or(cmp.Compare(x.attr("path"), y.attr("path")), compareID(x.to, y.to))
	})
	return list, a.load(targets(list))
}

func targets(list []edge) []graph.ID {
	ids := make([]graph.ID, len(list))
	for i := range list {
		ids[i] = list[i].to
	}
	return ids
}

// withEvidenceFirst puts the parts with an attestation before those without, images before programs, and cuts to a
// limit. list has the subject first, then the parts.
func (a *asking) withEvidenceFirst(parts []edge, list []dossier, limit int) (sorted []edge, dossiers []dossier, err error) {
	order := make([]int, len(parts))
	has := make([]bool, len(parts))
	for i := range order {
		order[i], has[i] = i, len(list[i+1].provenance(a)) > 0
	}
	slices.SortStableFunc(order, func(x, y int) int {
		return cmp.Or(-compareBool(parts[x].predicate == seaworthy.SaysContains, parts[y].predicate == seaworthy.SaysContains), -compareBool(has[x], has[y]))
	})
	if len(order) > limit {
		order, a.out.Truncated = order[:limit], true
	}
	sorted, dossiers = make([]edge, len(order)), []dossier{list[0]}
	for i, at := range order {
		sorted[i] = parts[at]
		dossiers = append(dossiers, list[at+1])
	}
	ids := make([]graph.ID, len(dossiers))
	for i := range dossiers {
		ids[i] = dossiers[i].id
	}
	return sorted, dossiers, a.loadNamed(ids)
}

// sourcesOf reads the scorecards of all sources in dossiers.
func (a *asking) sourcesOf(list []dossier) (map[graph.ID]*scorecard, error) {
	var ids []graph.ID
	for i := range list {
		d := &list[i]
		ids = append(ids, targets(d.built)...)
		ids = append(ids, targets(d.builtBy)...)
		ids = append(ids, targets(d.source)...)
	}
	slices.SortFunc(ids, compareID)
	ids = slices.Compact(ids)
	if err := a.loadNamed(ids); err != nil {
		return nil, err
	}
	ids = slices.DeleteFunc(ids, func(id graph.ID) bool { return a.subjects[id].Kind != seaworthy.SourceSubject })
	return a.scorecards(ids)
}

// provenanceRow tells of one artifact. instead is said of an index whose images have the evidence.
func (a *asking) provenanceRow(d *dossier, cards map[graph.ID]*scorecard, depth int, instead string) {
	node := a.node(d.id, depth)
	docs := d.provenance(a)
	row := Row{Node: node, Level: depth}
	if len(docs) == 0 && instead != "" {
		row.Cells = []string{a.label(d.id), instead, "", "", "", "", ""}
		a.row(row, nil)
		return
	}
	if len(docs) == 0 {
		a.gap(d.id, "attestation", "nothing says how it was built; its builder can attest it: seaworthy attest --type slsaprovenance")
		row.Cells = []string{a.label(d.id), none + "attestation", "", "", "", "", ""}
		a.row(row, nil)
		return
	}
	word := attestationWord(&a.docs[docs[0]].doc)
	if len(docs) > 1 {
		word += fmt.Sprintf(" and %d more", len(docs)-1)
	}
	var builders []string
	for _, e := range d.builtBy {
		a.edge(&e)
		a.node(e.to, depth+1)
		builders = append(builders, a.label(e.to))
	}
	sources, commits, scores := a.sourceCells(d, cards, depth)
	signers := d.signers(a, docs)
	signed := actorLabels(signers)
	if signed == "" {
		signed = none + "signature"
		a.gap(d.id, "signature", "the attestation is not signed by anybody who could be verified")
	}
	row.Signed = len(signers) > 0
	row.Cells = []string{a.label(d.id), word, strings.Join(unique(builders), ", "), sources, commits, scores, signed}
	a.fact(d.id, "attestation", word)
	a.row(row, docs)
}

// sourceCells tells of the sources an artifact was built from, and draws them and the other materials.
func (a *asking) sourceCells(d *dossier, cards map[graph.ID]*scorecard, depth int) (where, commit, scores string) {
	edges := append(slices.Clone(d.built), d.source...)
	slices.SortStableFunc(edges, func(x, y edge) int {
		return cmp.Or(-compareBool(a.subjects[x.to].Kind == seaworthy.SourceSubject, a.subjects[y.to].Kind == seaworthy.SourceSubject),
			cmp.Compare(a.subjects[x.to].Key, a.subjects[y.to].Key))
	})
	var wheres, commits, scored []string
	for i, e := range edges {
		s := a.subjects[e.to]
		if s.Kind != seaworthy.SourceSubject {
			if i >= shownMaterials+len(wheres) {
				a.out.Truncated = true
				break
			}
			a.edge(&e)
			a.node(e.to, depth+1)
			continue
		}
		a.edge(&e)
		a.node(e.to, depth+1)
		w, c := splitSource(s.Key)
		wheres = append(wheres, w)
		if c != "" {
			commits = append(commits, c)
		}
		if card := cards[e.to]; card != nil {
			scored = append(scored, card.score)
			a.showScorecard(e.to, card, depth+1)
		} else {
			a.gap(e.to, "scorecard", "nothing says how this source is looked after; seaworthy graph ingest takes the output of scorecard --format json")
		}
	}
	where, commit, scores = strings.Join(unique(wheres), ", "), strings.Join(unique(commits), ", "), strings.Join(unique(scored), ", ")
	if where == "" {
		where = none + "source"
		a.gap(d.id, "source", "the attestation does not say from which source")
	} else if scores == "" {
		scores = none + "scorecard"
	}
	return where, commit, scores
}

// unique drops what is there already and keeps the order.
func unique(list []string) []string {
	var kept []string
	for _, s := range list {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}
