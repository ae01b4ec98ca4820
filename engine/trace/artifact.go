package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// The states of a tile.
const (
	good    = "good"
	bad     = "bad"
	warn    = "warn"
	missing = "missing"
)

// shownParts is of how many images and programs in it an artifact's answer tells how they were built; provenance tells
// of more.
const shownParts = 20

// artifact tells of one artifact what everybody wants to know first, and which layer brought which package.
func (a *asking) artifact() error {
	if _, _, err := a.builds(shownParts); err != nil { // the nodes, edges and gaps; the rows are another question's
		return err
	}
	a.out.Rows = []Row{}
	main := a.subject.main()
	list, err := a.dossiers([]graph.ID{main})
	if err != nil {
		return err
	}
	d := &list[0]
	t, err := a.parts(a.subject.roots)
	if err != nil {
		return err
	}
	found, err := a.findings(t)
	if err != nil {
		return err
	}
	images, err := a.imagesOf(main)
	if err != nil {
		return err
	}
	of, err := a.dossiers(targets(images))
	if err != nil {
		return err
	}
	bill, err := a.billTile(d, of, t)
	if err != nil {
		return err
	}
	a.out.Tiles = []Tile{a.signatureTile(d), a.provenanceTile(d, of), bill, a.findingsTile(d, t, found), a.verdictTile(d)}
	a.artifactFacts(d)
	if err := a.layerRows(t, found); err != nil {
		return err
	}
	words := make([]string, 0, len(a.out.Tiles))
	for _, tile := range a.out.Tiles {
		words = append(words, tile.Text)
	}
	a.out.Title = a.label(main) + ": " + strings.Join(words, "; ")
	return nil
}

func (a *asking) tile(name, state, text, detail string, docs []graph.ID) Tile {
	return Tile{Name: name, State: state, Text: text, Detail: detail, Documents: a.digests(docs)}
}

// signatureTile says who signed the artifact itself, and not only something about it.
func (a *asking) signatureTile(d *dossier) Tile {
	var docs, unverified []graph.ID
	for _, e := range d.signed {
		a.edge(&e)
		a.node(e.to, 1)
		if e.signed {
			docs = append(docs, e.docs...)
		} else {
			unverified = append(unverified, e.docs...)
		}
	}
	for _, id := range d.documents[seaworthy.SignatureDocument] {
		if _, attached := d.attached[id]; attached {
			continue
		}
		if a.docs[id].signed() {
			docs = append(docs, id)
		} else {
			unverified = append(unverified, id)
		}
	}
	if signers := a.signersOf(docs); len(signers) > 0 {
		return a.tile("signature", good, "signed by "+actorLabels(signers), strings.Join(signers, "\n"), docs)
	}
	if len(unverified) > 0 {
		return a.tile("signature", warn, "signed, but not by anybody who could be verified", a.docs[unverified[0]].doc.Verification.Detail, unverified)
	}
	var about []graph.ID
	for _, list := range d.documents {
		about = append(about, list...)
	}
	a.gap(d.id, "signature", "nobody signed it: seaworthy sign")
	if signers := d.signers(a, about); len(signers) > 0 {
		return a.tile("signature", missing, "not signed, only attested by "+actorLabels(signers), "", about)
	}
	return a.tile("signature", missing, "nobody signed it", "", nil)
}

// imagesTile tells of the images in an index what is not known of the index itself; false when it is not known of
// them either.
func (a *asking) imagesTile(name string, images []dossier, docsOf func(*dossier) []graph.ID) (Tile, bool) {
	var docs []graph.ID
	have, signed := 0, 0
	for i := range images {
		of := docsOf(&images[i])
		if len(of) > 0 {
			have++
		}
		if len(images[i].signers(a, of)) > 0 {
			signed++
		}
		docs = append(docs, of...)
	}
	state := warn
	if signed == len(images) {
		state = good
	}
	text := fmt.Sprintf("of %d of %s, signed of %d", have, plural(len(images), "image"), signed)
	return a.tile(name, state, text, "", docs), have > 0
}

// provenanceTile says whether it is known how it was built.
func (a *asking) provenanceTile(d *dossier, images []dossier) Tile {
	docs := d.provenance(a)
	if len(docs) == 0 {
		if t, ok := a.imagesTile("provenance", images, func(of *dossier) []graph.ID { return of.provenance(a) }); ok {
			return t
		}
		return a.tile("provenance", missing, "nothing says how it was built", "", nil)
	}
	text := attestationWord(&a.docs[docs[0]].doc)
	var builders []string
	for _, e := range d.builtBy {
		builders = append(builders, a.label(e.to))
	}
	for _, e := range d.rated {
		if e.attr("type") == "slsa" {
			text += ", level " + e.attr("score")
			break
		}
	}
	detail := ""
	if builders = unique(builders); len(builders) > 0 {
		detail = "built by " + strings.Join(builders, ", ")
	}
	if signers := d.signers(a, docs); len(signers) > 0 {
		return a.tile("provenance", good, text+", signed by "+actorLabels(signers), detail, docs)
	}
	return a.tile("provenance", warn, text+", unsigned", detail, docs)
}

// billTile says whether there is a bill and how good it is.
func (a *asking) billTile(d *dossier, images []dossier, t *trail) (Tile, error) {
	bills := d.documents[seaworthy.BillDocument]
	if len(bills) == 0 {
		if t, ok := a.imagesTile("bill", images, func(of *dossier) []graph.ID { return of.documents[seaworthy.BillDocument] }); ok {
			return t, nil
		}
		a.gap(d.id, "bill", "nothing says what it contains: seaworthy sbom")
		return a.tile("bill", missing, "there is no bill", "", nil), nil
	}
	grades, err := a.grades(bills)
	if err != nil {
		return Tile{}, err
	}
	packages := 0
	for i := range t.visits {
		if a.subjects[t.visits[i].id].Kind == seaworthy.PackageSubject {
			packages++
		}
	}
	text := fmt.Sprintf("%s, %s", a.docs[bills[0]].doc.Format, plural(packages, "package"))
	if len(bills) > 1 {
		text = fmt.Sprintf("%s, %s", plural(len(bills), "bill"), plural(packages, "package"))
	}
	state := good
	if g, ok := grades[bills[0]]; ok {
		text = fmt.Sprintf("grade %s (%s of 100), %s", g.letter, g.score, text)
		switch g.letter {
		case "A", "B":
		case "C":
			state = warn
		default:
			state = bad
		}
	}
	signers := d.signers(a, bills)
	if len(signers) > 0 {
		return a.tile("bill", state, text, "signed by "+actorLabels(signers), bills), nil
	}
	if state == good {
		state = warn
	}
	return a.tile("bill", state, text, "unsigned", bills), nil
}

// grade is how good a bill is.
type grade struct{ letter, score string }

// grades reads how documents are graded.
func (a *asking) grades(docs []graph.ID) (map[graph.ID]grade, error) {
	grades := map[graph.ID]grade{}
	err := a.statements(docs, false, []seaworthy.Predicate{seaworthy.SaysRated}, func(e *graph.Edge, _ *evidence) error {
		if seaworthy.AttrOf(e.Attrs, "type") != "grade" {
			return nil
		}
		grades[e.From] = gradeOf(e.Attrs)
		return nil
	})
	return grades, err
}

// gradeOf reads a grade: a letter as score with points beside it, or a score out of 100.
func gradeOf(attrs []seaworthy.Property) grade {
	g := grade{letter: seaworthy.AttrOf(attrs, "grade"), score: seaworthy.AttrOf(attrs, "score")}
	if points, err := strconv.ParseFloat(g.score, 64); err != nil {
		g.letter, g.score = cmp.Or(g.letter, g.score), seaworthy.AttrOf(attrs, "points")
	} else if g.letter == "" {
		g.letter = letterOf(points)
	}
	return g
}

// letterOf is the letter of a score out of 100, in steps of ten as schools have them.
func letterOf(points float64) string {
	switch {
	case points >= 90:
		return "A"
	case points >= 80:
		return "B"
	case points >= 70:
		return "C"
	case points >= 60:
		return "D"
	case points >= 50:
		return "E"
	}
	return "F"
}

// findingsTile says how bad it is, after VEX.
func (a *asking) findingsTile(d *dossier, t *trail, found []finding) Tile {
	var docs []graph.ID
	docs = append(docs, d.documents[seaworthy.ScanDocument]...)
	worst := seaworthy.SeverityUnknown
	open := openFindings(found)
	for i := range found {
		docs = append(docs, found[i].docs...)
	}
	for i := range open {
		worst = max(worst, open[i].severity)
	}
	slices.SortFunc(docs, compareID)
	docs = slices.Compact(docs)
	text := a.findingsTitle(found)
	for _, e := range d.rated {
		if e.attr("type") == "grade" {
			text = "grade " + gradeOf(e.attrs).letter + ": " + text
			docs = append(docs, e.docs...)
			break
		}
	}
	switch {
	case len(t.visits) == len(a.subject.roots) && len(docs) == 0:
		return a.tile("findings", missing, "what it contains is not known", "", nil)
	case len(open) == 0:
		return a.tile("findings", good, text, "", docs)
	case worst >= seaworthy.SeverityHigh || slices.ContainsFunc(open, func(f finding) bool { return f.kev }):
		return a.tile("findings", bad, text, "worst: "+open[0].name, docs)
	}
	return a.tile("findings", warn, text, "worst: "+open[0].name, docs)
}

// verdictTile says what the last verdict was.
func (a *asking) verdictTile(d *dossier) Tile {
	if len(d.judged) == 0 {
		return a.tile("verdict", missing, "not judged yet", "", nil)
	}
	last := slices.MaxFunc(d.judged, func(x, y edge) int {
		return cmp.Or(cmp.Compare(x.attr("time"), y.attr("time")), a.latest(x.docs).Compare(a.latest(y.docs)), compareID(x.to, y.to))
	})
	state, verdict := warn, last.attr("verdict")
	switch verdict {
	case "allowed", "admitted", "pass":
		state = good
	case "refused", "denied", "fail":
		state = bad
	}
	text := verdict
	if policy := last.attr("policy"); policy != "" {
		text += " by " + policy
	}
	return a.tile("verdict", state, text, last.attr("reason"), last.docs)
}

// artifactFacts puts beside the artifact what is worth knowing: its references and what is noted of it.
func (a *asking) artifactFacts(d *dossier) {
	for _, reference := range d.references {
		a.fact(d.id, "reference", reference)
	}
	for _, e := range d.noted {
		a.fact(d.id, cmp.Or(e.attr("key"), "note"), e.attr("value"))
	}
	for _, id := range d.documents[seaworthy.ManifestDocument] {
		if string(a.docs[id].doc.Digest) == a.subjects[d.id].Key {
			a.fact(d.id, "manifest", a.docs[id].doc.MediaType)
		}
	}
}

// layered is a package and the layer that brought it.
type layered struct {
	layer, pkg graph.ID
	edge       edge
}

// layerRows lists the packages below the layers that brought them. One of which no layer is known stands below none.
func (a *asking) layerRows(t *trail, found []finding) error {
	containers := slices.DeleteFunc(t.ids(), func(id graph.ID) bool { return a.subjects[id].Kind == seaworthy.PackageSubject })
	list, err := a.edges(containers, false, []seaworthy.Predicate{seaworthy.SaysContains})
	if err != nil {
		return err
	}
	if err := a.load(targets(list)); err != nil {
		return err
	}
	packages, layers, err := a.splitContains(list)
	if err != nil {
		return err
	}
	licences, err := a.licenceOf(packages)
	if err != nil {
		return err
	}
	perPart := map[graph.ID][]finding{}
	for _, f := range openFindings(found) {
		perPart[f.about] = append(perPart[f.about], f)
	}
	inLayer := map[graph.ID][]layered{}
	for _, p := range packages {
		inLayer[p.layer] = append(inLayer[p.layer], p)
	}
	if len(inLayer[graph.ID{}]) > 0 {
		layers = append(layers, edge{})
	}
	for _, l := range layers {
		if len(a.out.Rows) >= a.q.Limit {
			a.out.Truncated = true
			break
		}
		a.layerRow(&l, inLayer[l.to], perPart)
		for _, p := range inLayer[l.to] {
			if len(a.out.Rows) >= a.q.Limit {
				a.out.Truncated = true
				break
			}
			name, version := a.nameVersion(a.subjects[p.pkg].Key)
			lic := licences[p.pkg]
			a.row(Row{
				Node: a.node(p.pkg, 2), Level: 1, Signed: p.edge.signed,
				Cells: []string{"", name, version, lic, findingsCell(perPart[p.pkg])},
			}, p.edge.docs)
		}
	}
	return nil
}

func (a *asking) layerRow(l *edge, packages []layered, perPart map[graph.ID][]finding) {
	row := Row{Signed: l.signed, Cells: []string{"no layer named", plural(len(packages), "package"), "", "", ""}}
	if l.predicate != "" {
		a.edge(l)
		a.node(l.from, 0)
		row.Node = a.node(l.to, 1)
		row.Cells[0] = cmp.Or(l.said("createdBy"), labelOf(a.subjects[l.to]))
		a.fact(l.to, "created by", l.said("createdBy"))
	}
	var all []finding
	for _, p := range packages {
		all = append(all, perPart[p.pkg]...)
	}
	row.Cells[4] = findingsCell(all)
	a.row(row, l.docs)
}

// splitContains takes apart what contains says: packages with their layer, each once, by name; and layers, in the
// order of the image.
func (a *asking) splitContains(list []edge) (packages []layered, layers []edge, err error) {
	layerOf := map[graph.ID]graph.ID{} // by digest and by diffID
	for _, e := range list {
		if a.subjects[e.to].Kind == seaworthy.ArtifactSubject && a.subjects[e.from].Kind == seaworthy.ArtifactSubject && a.roles[e.to] == layerRole {
			layers = append(layers, e)
			layerOf[e.to] = e.to
		}
	}
	slices.SortStableFunc(layers, func(x, y edge) int {
		return cmp.Or(cmp.Compare(number(x.said("index")), number(y.said("index"))), compareID(x.from, y.from), compareID(x.to, y.to))
	})
	if err := a.diffIDs(layers, layerOf); err != nil {
		return nil, nil, err
	}
	layers = slices.DeleteFunc(layers, func(e edge) bool { return layerOf[e.to] != e.to })
	layers = slices.CompactFunc(layers, func(x, y edge) bool { return x.to == y.to })
	at := map[graph.ID]int{}
	for _, e := range list {
		if a.subjects[e.to].Kind != seaworthy.PackageSubject {
			continue
		}
		p := layered{pkg: e.to, edge: e, layer: layerOf[e.from]}
		if d, err := seaworthy.ParseDigest(e.said("layer")); err == nil && p.layer == (graph.ID{}) {
			p.layer = layerOf[seaworthy.Subject{Kind: seaworthy.ArtifactSubject, Key: string(d)}.ID()]
		}
		if i, ok := at[e.to]; !ok {
			at[e.to] = len(packages)
			packages = append(packages, p)
		} else if packages[i].layer == (graph.ID{}) {
			packages[i] = p
		}
	}
	slices.SortFunc(packages, func(x, y layered) int {
		return cmp.Or(cmp.Compare(a.subjects[x.pkg].Key, a.subjects[y.pkg].Key), compareID(x.pkg, y.pkg))
	})
	return packages, layers, nil
}

// diffIDs makes the two digests of a layer, as it is and decompressed, one layer: the former, where it is known.
func (a *asking) diffIDs(layers []edge, layerOf map[graph.ID]graph.ID) error {
	for _, back := range []bool{false, true} {
		list, err := a.edges(targets(layers), back, []seaworthy.Predicate{seaworthy.SaysSame})
		if err != nil {
			return err
		}
		for _, e := range list {
			_, known := layerOf[e.to]
			if (!back && layerOf[e.from] == e.from && e.to != e.from) || !known {
				layerOf[e.to] = layerOf[e.from]
			}
		}
	}
	return nil
}

func number(s string) int {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0
	}
	return n
}

// licenceOf returns the licences of packages: what was concluded, else declared, else found.
func (a *asking) licenceOf(packages []layered) (map[graph.ID]string, error) {
	ids := make([]graph.ID, len(packages))
	for i := range packages {
		ids[i] = packages[i].pkg
	}
	list, err := a.edges(ids, false, []seaworthy.Predicate{seaworthy.SaysLicensed})
	if err != nil {
		return nil, err
	}
	if err := a.load(targets(list)); err != nil {
		return nil, err
	}
	slices.SortStableFunc(list, func(x, y edge) int {
		return cmp.Or(cmp.Compare(licenceRank(x.attr("how")), licenceRank(y.attr("how"))), cmp.Compare(a.subjects[x.to].Key, a.subjects[y.to].Key))
	})
	licences, rank := map[graph.ID]string{}, map[graph.ID]int{}
	for _, e := range list {
		key, r := a.subjects[e.to].Key, licenceRank(e.attr("how"))
		switch have, ok := licences[e.from]; {
		case !ok:
			licences[e.from], rank[e.from] = key, r
		case rank[e.from] == r:
			licences[e.from] = have + ", " + key
		}
	}
	return licences, nil
}

func licenceRank(how string) int {
	switch how {
	case "concluded":
		return 0
	case "declared":
		return 1
	}
	return 2
}

// findingsCell is "2 (worst critical)".
func findingsCell(list []finding) string {
	if len(list) == 0 {
		return ""
	}
	worst := seaworthy.SeverityUnknown
	for i := range list {
		worst = max(worst, list[i].severity)
	}
	return fmt.Sprintf("%d (worst %s)", len(list), worst)
}
