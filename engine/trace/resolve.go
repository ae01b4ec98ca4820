package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// shownCandidates is how many meanings of an ambiguous name are listed.
const shownCandidates = 4

// resolveEnds finds the subjects of the question.
func (a *asking) resolveEnds() (err error) {
	if a.subject, err = a.resolve(a.q.Subject, a.v.Prefers); err != nil {
		return err
	}
	a.out.Subject = a.node(a.subject.main(), 0)
	if a.v.To {
		if a.other, err = a.resolve(a.q.To, a.v.Prefers); err != nil {
			return err
		}
	}
	return a.loadNamed(append(slices.Clone(a.subject.roots), a.other.roots...))
}

// resolve finds the subject that a person means. What is a whole key goes before what is the beginning of one, and
// among several the kinds in prefers. Errors: Usage when several are left; NotFound.
func (a *asking) resolve(text string, prefers []seaworthy.SubjectKind) (end, error) {
	a.naming = true
	defer func() { a.naming = false }()
	if id, err := graph.ParseID(text); err == nil {
		if err := a.load([]graph.ID{id}); err != nil {
			return end{}, err
		}
		if a.subjects[id].Kind != "" {
			return a.denote(id)
		}
	}
	keys := wholeKeys(text)
	ids := make([]graph.ID, len(keys))
	for i := range keys {
		ids[i] = keys[i].ID()
	}
	if err := a.load(ids); err != nil {
		return end{}, err
	}
	for _, k := range preferred(keys, prefers) {
		if a.subjects[k.ID()].Kind != "" {
			return a.denote(k.ID())
		}
	}
	hits, err := a.search(text)
	if err != nil {
		return end{}, err
	}
	hits = narrow(hits, prefers)
	if len(hits) > 1 && slices.Contains(prefers, seaworthy.ArtifactSubject) {
		if hits, err = a.wholes(text, hits); err != nil {
			return end{}, err
		}
	}
	switch len(hits) {
	case 0:
		return end{}, seaworthy.Errorf(seaworthy.NotFound, "nothing is known of %q", text).
			WithHint("seaworthy graph find looks for parts of names; seaworthy graph ingest makes a document known")
	case 1:
		a.subjects[hits[0].ID] = hits[0].Subject
		if hits[0].Subject.Kind == seaworthy.ArtifactSubject && hits[0].Name != "" {
			a.names[hits[0].ID] = hits[0].Name
		}
		return a.denote(hits[0].ID)
	}
	return end{}, ambiguous(text, hits)
}

// ambiguous says what a text could mean, each with the id that picks it.
func ambiguous(text string, hits []graph.Hit) error {
	var some []string
	for i, h := range hits {
		if i == shownCandidates {
			break
		}
		some = append(some, fmt.Sprintf("%q (%s, id %s)", cmp.Or(h.Name, h.Subject.Key), h.Subject.Kind, graph.FormatID(h.ID)))
	}
	among := ""
	if len(hits) > len(some) {
		among = "among them "
	}
	return seaworthy.Errorf(seaworthy.Usage, "%q could be any of %d: %s%s", text, len(hits), among, strings.Join(some, ", ")).
		WithHint("name one by its whole key or by its id; seaworthy graph find lists them")
}

// search asks the index, with a purl in its canonical form.
func (a *asking) search(text string) ([]graph.Hit, error) {
	if strings.HasPrefix(text, "pkg:") {
		if canonical, err := purl.Canonical(text); err == nil {
			text = canonical
		}
	}
	return a.r.Find(a.ctx, graph.Search{Text: text, Limit: graph.MaxFound})
}

// narrow keeps the hits that are meant best: exact ones, of the kinds that the question prefers, and of the
// versions of one package the package itself.
func narrow(hits []graph.Hit, prefers []seaworthy.SubjectKind) []graph.Hit {
	slices.SortFunc(hits, func(x, y graph.Hit) int { return compareID(x.ID, y.ID) })
	hits = slices.CompactFunc(hits, func(x, y graph.Hit) bool { return x.ID == y.ID })
	pick := func(keep func(h *graph.Hit) bool) {
		var kept []graph.Hit
		for i := range hits {
			if keep(&hits[i]) {
				kept = append(kept, hits[i])
			}
		}
		if len(kept) > 0 {
			hits = kept
		}
	}
	pick(func(h *graph.Hit) bool { return h.Exact })
	pick(func(h *graph.Hit) bool { return slices.Contains(prefers, h.Subject.Kind) })
	for i := range hits {
		general := hits[i].Subject
		if !slices.ContainsFunc(hits, func(h graph.Hit) bool { return h.Subject != general && !isNameOf(general, h.Subject) }) {
			return hits[i : i+1]
		}
	}
	// Not a document where its artifact is meant as well.
	pick(func(h *graph.Hit) bool { return h.Subject.Kind != seaworthy.DocumentSubject })
	slices.SortFunc(hits, func(x, y graph.Hit) int {
		return cmp.Or(cmp.Compare(x.Subject.Kind, y.Subject.Kind), cmp.Compare(x.Subject.Key, y.Subject.Key))
	})
	return hits
}

// maxWholes is how many meanings of a name are looked at for what is in them.
const maxWholes = 64

// wholes keeps, of the things a name fits, the only one that something is known to be in: who asks about
// "kube-controller-manager" means the image, and not a program that its provenance lists for each platform.
func (a *asking) wholes(text string, hits []graph.Hit) ([]graph.Hit, error) {
	if len(hits) > maxWholes {
		return hits, nil
	}
	var kept []graph.Hit
	for _, h := range hits {
		page, err := a.r.Edges(a.ctx, graph.Query{
			From: []graph.ID{h.ID}, Predicates: []seaworthy.Predicate{seaworthy.SaysContains, seaworthy.SaysHasFile, seaworthy.SaysRuns}, Limit: 1,
		})
		if err != nil {
			return nil, err
		}
		if len(page.Edges) > 0 {
			kept = append(kept, h)
		}
	}
	if len(kept) != 1 {
		return hits, nil
	}
	a.note("%q could be any of %d; this is about the one that something is known to be in", text, len(hits))
	return kept, nil
}

// wholeKeys lists the subjects whose whole key a text may be, as people write them, the likeliest first.
func wholeKeys(text string) []seaworthy.Subject {
	var keys []seaworthy.Subject
	add := func(kind seaworthy.SubjectKind, key string) {
		s := seaworthy.Subject{Kind: kind, Key: key}
		if !slices.Contains(keys, s) {
			keys = append(keys, s)
		}
	}
	digest := func(s string) {
		if d, err := seaworthy.ParseDigest(s); err == nil {
			add(seaworthy.ArtifactSubject, string(d))
			add(seaworthy.DocumentSubject, string(d))
		}
	}
	digest(text)
	switch len(text) {
	case 64:
		digest("sha256:" + text)
	case 128:
		digest("sha512:" + text)
	case 40:
		digest("sha1:" + text)
	}
	if strings.HasPrefix(text, "pkg:") {
		if canonical, err := purl.Canonical(text); err == nil {
			add(seaworthy.PackageSubject, canonical)
		}
	}
	if _, after, ok := strings.Cut(text, "@"); ok && !strings.HasPrefix(text, "pkg:") {
		digest(after) // registry.example/app@sha256:…
	}
	for _, kind := range seaworthy.SubjectKinds() {
		add(kind, text)
	}
	add(seaworthy.VulnSubject, strings.ToUpper(text))
	if rest, ok := strings.CutPrefix(strings.ToUpper(text), "GHSA-"); ok {
		add(seaworthy.VulnSubject, "GHSA-"+strings.ToLower(rest))
	}
	if strings.HasPrefix(text, "https://") {
		add(seaworthy.SourceSubject, "git+"+strings.TrimSuffix(text, ".git"))
	}
	for _, reference := range references(text) {
		add(seaworthy.ResourceSubject, "oci://"+reference)
	}
	return keys
}

// references lists what an image reference may be in full: without registry it is Docker Hub's, without tag latest.
func references(text string) []string {
	if text == "" || strings.Contains(text, "://") || strings.HasPrefix(text, "pkg:") || strings.ContainsAny(text, " \t") {
		return nil
	}
	names := []string{text}
	first, _, several := strings.Cut(text, "/")
	switch {
	case !several:
		names = append(names, "docker.io/library/"+text, "index.docker.io/library/"+text)
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		names = append(names, "docker.io/"+text, "index.docker.io/"+text)
	}
	if !strings.Contains(text[strings.LastIndexByte(text, '/')+1:], ":") && !strings.Contains(text, "@") {
		for _, name := range slices.Clone(names) {
			names = append(names, name+":latest")
		}
	}
	return names
}

// preferred puts the preferred kinds first and keeps the order otherwise.
func preferred(keys []seaworthy.Subject, prefers []seaworthy.SubjectKind) []seaworthy.Subject {
	keys = slices.Clone(keys)
	slices.SortStableFunc(keys, func(x, y seaworthy.Subject) int {
		rank := func(s seaworthy.Subject) int {
			if slices.Contains(prefers, s.Kind) {
				return 0
			}
			return 1
		}
		return cmp.Compare(rank(x), rank(y))
	})
	return keys
}

// denote finds what a subject stands for: an image reference for the digest it was last seen to name, a document
// for what it describes.
func (a *asking) denote(id graph.ID) (end, error) {
	s := a.subjects[id]
	e := end{id: id, subject: s, roots: []graph.ID{id}}
	switch {
	case s.Kind == seaworthy.ResourceSubject && strings.HasPrefix(s.Key, "oci://"):
		named, err := a.namedBy(id)
		if err != nil {
			return e, err
		}
		e.roots = append(e.roots, named...)
	case s.Kind == seaworthy.DocumentSubject:
		if err := a.admitIDs([]graph.ID{id}); err != nil {
			return e, err
		}
		list, err := a.edges([]graph.ID{id}, false, []seaworthy.Predicate{seaworthy.SaysDescribes})
		if err != nil {
			return e, err
		}
		for i := range list {
			if list[i].to != id {
				e.roots = append(e.roots, list[i].to)
			}
		}
		if len(e.roots) > 2 { // about several things: the answer is about the document
			e.roots = append(e.roots[1:], id)
		}
	}
	return e, a.load(e.roots)
}

// namedBy returns the artifact that a reference named last, if any. Where it named others before, a note says so.
func (a *asking) namedBy(id graph.ID) ([]graph.ID, error) {
	list, err := a.edges([]graph.ID{id}, false, []seaworthy.Predicate{seaworthy.SaysSame})
	if err != nil {
		return nil, err
	}
	ids := make([]graph.ID, len(list))
	for i := range list {
		ids[i] = list[i].to
	}
	if err := a.load(ids); err != nil {
		return nil, err
	}
	list = slices.DeleteFunc(list, func(e edge) bool { return a.subjects[e.to].Kind != seaworthy.ArtifactSubject })
	if len(list) == 0 {
		return nil, nil
	}
	newest := slices.MaxFunc(list, func(x, y edge) int {
		return cmp.Or(a.latest(x.docs).Compare(a.latest(y.docs)), compareID(y.to, x.to))
	})
	if len(list) > 1 {
		a.note("%s has named %s; this is about the newest, %s", labelOf(a.subjects[id]), plural(len(list), "digest"), a.subjects[newest.to].Key)
	}
	if !newest.signed && (a.q.Trust.Signed || len(a.q.Trust.Signers) > 0) {
		a.note("that %s names %s, nobody signed", labelOf(a.subjects[id]), a.subjects[newest.to].Key)
	}
	a.names[newest.to] = labelOf(a.subjects[id])
	a.tags[labelOf(a.subjects[id])] = newest.to
	return []graph.ID{newest.to}, nil
}
