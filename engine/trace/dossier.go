package trace

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// dossier is the evidence about one artifact, under all its digests.
type dossier struct {
	id        graph.ID
	documents map[seaworthy.DocumentKind][]graph.ID // that describe it, the best first
	// attached are documents that do not say themselves that they describe it; manifests do, which are the values.
	// Whoever signed such a document has not signed that it is about this.
	attached   map[graph.ID][]graph.ID
	built      []edge // → materials
	builtBy    []edge // → builders
	source     []edge
	signed     []edge // → actors; edge.signed says whether the signature was verified
	judged     []edge
	rated      []edge
	noted      []edge
	references []string // image references that name it
}

// provenance returns the documents that say how it was made, the signed and the newest first.
func (d *dossier) provenance(a *asking) []graph.ID {
	docs := slices.Clone(d.documents[seaworthy.ProvenanceDocument])
	for _, list := range [][]edge{d.built, d.builtBy} {
		for _, e := range list {
			docs = append(docs, e.docs...)
		}
	}
	// Bills say as well what something was made of, and attest nothing.
	docs = slices.DeleteFunc(docs, func(id graph.ID) bool {
		kind := a.docs[id].doc.Kind
		return kind == seaworthy.BillDocument || kind == seaworthy.ManifestDocument
	})
	return d.bestFirst(a, docs)
}

// bestFirst sorts documents: those first of which it is signed that they are about this, then the newest.
func (d *dossier) bestFirst(a *asking, docs []graph.ID) []graph.ID {
	slices.SortFunc(docs, compareID)
	docs = slices.Compact(docs)
	slices.SortStableFunc(docs, func(x, y graph.ID) int {
		dx, dy := a.docs[x], a.docs[y]
		return cmp.Or(-compareBool(len(d.signers(a, []graph.ID{x})) > 0, len(d.signers(a, []graph.ID{y})) > 0),
			dy.doc.Ingested.Compare(dx.doc.Ingested), cmp.Compare(dx.doc.Digest, dy.doc.Digest))
	})
	return docs
}

// signers returns who signed that any of the documents is about this.
func (d *dossier) signers(a *asking, docs []graph.ID) []string {
	var by []graph.ID
	for _, id := range docs {
		if links, ok := d.attached[id]; ok {
			by = append(by, links...)
		} else {
			by = append(by, id)
		}
	}
	return a.signersOf(by)
}

// dossiers reads the evidence about artifacts, in the order of ids.
func (a *asking) dossiers(ids []graph.ID) ([]dossier, error) {
	list := make([]dossier, len(ids))
	owners := map[graph.ID][]int{}
	for i, id := range ids {
		list[i] = dossier{id: id, documents: map[seaworthy.DocumentKind][]graph.ID{}, attached: map[graph.ID][]graph.ID{}}
		owners[id] = append(owners[id], i)
	}
	if err := a.otherNames(ids, owners, list); err != nil {
		return nil, err
	}
	all := make([]graph.ID, 0, len(owners))
	for id := range owners {
		all = append(all, id)
	}
	slices.SortFunc(all, compareID)
	described, err := a.edges(all, true, []seaworthy.Predicate{seaworthy.SaysDescribes})
	if err != nil {
		return nil, err
	}
	if err := a.admitIDs(targets(described)); err != nil {
		return nil, err
	}
	for _, e := range described {
		d := a.docs[e.to]
		if !a.passes(d) { // not there, or not to count
			continue
		}
		kind := d.doc.Kind
		for _, i := range owners[e.from] {
			list[i].documents[kind] = append(list[i].documents[kind], e.to)
			if !slices.Contains(e.docs, e.to) {
				list[i].attached[e.to] = append(list[i].attached[e.to], e.docs...)
			}
			if a.roles[list[i].id] == "" {
				a.role(list[i].id, a.roles[e.from])
			}
		}
	}
	said, err := a.edges(all, false, []seaworthy.Predicate{
		seaworthy.SaysBuilt, seaworthy.SaysBuiltBy, seaworthy.SaysSigned, seaworthy.SaysSource, seaworthy.SaysRated,
		seaworthy.SaysJudged, seaworthy.SaysNoted,
	})
	if err != nil {
		return nil, err
	}
	for _, e := range said {
		for _, i := range owners[e.from] {
			list[i].add(e)
		}
	}
	for i := range list {
		for kind, docs := range list[i].documents {
			list[i].documents[kind] = list[i].bestFirst(a, docs)
		}
		slices.Sort(list[i].references)
		list[i].references = slices.Compact(list[i].references)
	}
	return list, nil
}

func (d *dossier) add(e edge) {
	e.from = d.id // whatever digest it was said of
	switch e.predicate {
	case seaworthy.SaysBuilt:
		d.built = append(d.built, e)
	case seaworthy.SaysBuiltBy:
		d.builtBy = append(d.builtBy, e)
	case seaworthy.SaysSigned:
		d.signed = append(d.signed, e)
	case seaworthy.SaysSource:
		d.source = append(d.source, e)
	case seaworthy.SaysJudged:
		d.judged = append(d.judged, e)
	case seaworthy.SaysRated:
		d.rated = append(d.rated, e)
	case seaworthy.SaysNoted:
		d.noted = append(d.noted, e)
	}
}

// otherNames adds to owners the other digests of artifacts, the packages they are, and to the dossiers the
// references that name them. From a package it does not go on: another build of it is another artifact.
func (a *asking) otherNames(ids []graph.ID, owners map[graph.ID][]int, list []dossier) error {
	frontier := ids
	for depth := 0; depth < aliasDepth && len(frontier) > 0; depth++ {
		var next []graph.ID
		for _, back := range []bool{false, true} {
			found, err := a.edges(frontier, back, []seaworthy.Predicate{seaworthy.SaysSame})
			if err != nil {
				return err
			}
			var need []graph.ID
			for i := range found {
				need = append(need, found[i].from, found[i].to)
			}
			if err := a.load(need); err != nil {
				return err
			}
			for _, e := range found {
				if a.subjects[e.from].Kind != seaworthy.ArtifactSubject {
					continue
				}
				switch s := a.subjects[e.to]; s.Kind {
				case seaworthy.ResourceSubject:
					for _, i := range owners[e.from] {
						list[i].references = append(list[i].references, labelOf(s))
					}
				case seaworthy.ArtifactSubject, seaworthy.PackageSubject:
					if !sameThing(a.subjects[e.from], s, &e) {
						continue
					}
					if _, ok := owners[e.to]; !ok && s.Kind == seaworthy.ArtifactSubject {
						next = append(next, e.to)
					}
					for _, i := range owners[e.from] {
						if !slices.Contains(owners[e.to], i) {
							owners[e.to] = append(owners[e.to], i)
						}
					}
				}
			}
		}
		frontier = next
	}
	return nil
}

// attestationWord names a kind of attestation: "SLSA v0.2", or as the document calls itself.
func attestationWord(d *seaworthy.Document) string {
	if rest, ok := strings.CutPrefix(d.PredicateType, "https://slsa.dev/provenance/"); ok {
		return "SLSA " + rest
	}
	return cmp.Or(d.Format, d.PredicateType, string(d.Kind))
}

// scorecard is how a source is looked after.
type scorecard struct {
	score  string
	checks []seaworthy.Property
	edge   edge
	repo   bool // of the repository, not of that very commit
}

// scorecards reads the newest scorecard of each source: of its commit, else of its repository.
func (a *asking) scorecards(sources []graph.ID) (map[graph.ID]*scorecard, error) {
	if err := a.load(sources); err != nil {
		return nil, err
	}
	repos := map[graph.ID][]graph.ID{}
	ids := slices.Clone(sources)
	for _, id := range sources {
		if key := a.subjects[id].Key; strings.LastIndexByte(key, '@') > strings.LastIndexByte(key, '/') {
			repo := seaworthy.Subject{Kind: seaworthy.SourceSubject, Key: key[:strings.LastIndexByte(key, '@')]}
			repos[repo.ID()] = append(repos[repo.ID()], id)
			ids = append(ids, repo.ID())
		}
	}
	slices.SortFunc(ids, compareID)
	list, err := a.edges(slices.Compact(ids), false, []seaworthy.Predicate{seaworthy.SaysRated})
	if err != nil {
		return nil, err
	}
	cards := map[graph.ID]*scorecard{}
	keep := func(id graph.ID, c scorecard) {
		have := cards[id]
		if have == nil || (have.repo && !c.repo) || (have.repo == c.repo && a.latest(c.edge.docs).After(a.latest(have.edge.docs))) {
			cards[id] = &c
		}
	}
	for _, e := range list {
		if e.attr("type") != "scorecard" {
			continue
		}
		c := scorecard{score: e.attr("score"), checks: checksOf(e.attr("checks")), edge: e}
		if slices.Contains(sources, e.from) {
			keep(e.from, c)
		}
		c.repo = true
		for _, id := range repos[e.from] {
			keep(id, c)
		}
	}
	return cards, nil
}

// checksOf reads the checks of a scorecard, sorted by name: "10 no binaries found in the repo".
func checksOf(text string) []seaworthy.Property {
	var list []struct {
		Name   string      `json:"name"`
		Score  json.Number `json:"score"`
		Reason string      `json:"reason"`
	}
	var checks []seaworthy.Property
	if json.Unmarshal([]byte(text), &list) == nil {
		for _, c := range list {
			checks = append(checks, seaworthy.Property{Name: c.Name, Value: strings.TrimSpace(string(c.Score) + " " + c.Reason)})
		}
	} else {
		var scores map[string]float64
		if json.Unmarshal([]byte(text), &scores) != nil {
			return nil
		}
		for name, score := range scores {
			checks = append(checks, seaworthy.Property{Name: name, Value: strconv.FormatFloat(score, 'f', -1, 64)})
		}
	}
	slices.SortStableFunc(checks, func(x, y seaworthy.Property) int { return cmp.Compare(x.Name, y.Name) })
	return checks
}

// showScorecard puts a scorecard and its checks beside a source, as facts "scorecard" and "check NAME".
func (a *asking) showScorecard(source graph.ID, c *scorecard, depth int) {
	e := c.edge
	e.from = source
	a.edge(&e)
	a.node(e.to, depth+1)
	a.scorecardFacts(source, c)
}

func (a *asking) scorecardFacts(source graph.ID, c *scorecard) {
	a.fact(source, "scorecard", c.score)
	if c.repo {
		a.fact(source, "scorecard of", "the repository, not of this commit")
	}
	for _, check := range c.checks {
		a.fact(source, "check "+check.Name, check.Value)
	}
}
