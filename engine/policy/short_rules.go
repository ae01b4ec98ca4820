package policy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// pinnedRule asks that the workload names the digest, so that what runs is what was judged.
type pinnedRule struct{}

func (pinnedRule) name() string { return "pinned by digest" }

func (pinnedRule) judge(_ context.Context, q *question, r *seaworthy.RuleResult) {
	written := q.image.Written
	if written == "" {
		written = q.image.Reference
	}
	if _, digest, ok := strings.Cut(written, "@"); ok {
		if _, err := seaworthy.ParseDigest(digest); err == nil {
			r.Passed, r.Reason = true, "the reference names the digest "+digest
			return
		}
	}
	r.Reason = fmt.Sprintf("the reference %q names no digest: another image could be put behind the tag", written)
	r.Missing = []string{"a digest in the reference"}
	if base, _, _ := strings.Cut(written, "@"); q.image.Digest != "" {
		r.Fix = fmt.Sprintf("write %s@%s", base, q.image.Digest)
	} else {
		r.Fix = "write the image as name@sha256:…"
	}
}

// registriesRule asks that the image comes from where images may come from.
type registriesRule struct{ allowed []string }

func (x registriesRule) name() string { return "registry is one of " + strings.Join(x.allowed, ", ") }

func (x registriesRule) judge(_ context.Context, q *question, r *seaworthy.RuleResult) {
	repository, _, _ := strings.Cut(q.image.Reference, "@")
	repository, _ = cutTag(repository)
	for _, a := range x.allowed {
		if a == "docker.io" || strings.HasPrefix(a, "docker.io/") {
			a = "index." + a
		}
		a = strings.TrimSuffix(strings.TrimSuffix(a, "/**"), "/")
		if strings.Contains(a, "*") && within(a, repository) || repository == a || strings.HasPrefix(repository, a+"/") {
			r.Passed, r.Reason = true, fmt.Sprintf("%q is below %q", repository, a)
			return
		}
	}
	r.Reason = fmt.Sprintf("%q is in none of the registries that are allowed", repository)
	r.Fix = "push the image to " + strings.Join(x.allowed, " or ")
}

// within matches a registry with * for one part of a name, and what lies below it.
func within(pattern, repository string) bool {
	want, have := strings.Split(pattern, "/"), strings.Split(repository, "/")
	if len(have) < len(want) {
		return false
	}
	for i := range want {
		if !wildcard(want[i], have[i]) {
			return false
		}
	}
	return true
}

// findingRule asks that nothing worse than a severity is known.
type findingRule struct {
	most    seaworthy.Severity
	fixable bool // only what can be repaired counts
	kev     bool // what is known to be exploited counts whatever its severity
	except  []string
}

// findingRule reads noFindingAbove: a severity, or an object.
func (f field) findingRule() rule {
	if f.isText() {
		return &findingRule{most: f.severity()}
	}
	m := f.object("severity", "fixable", "kev", "except")
	x := &findingRule{fixable: m["fixable"].boolean(), kev: m["kev"].boolean(), except: m["except"].texts()}
	switch {
	case m["severity"].given():
		x.most = m["severity"].severity()
	case x.kev:
		x.most = seaworthy.SeverityCritical // only what is exploited counts
	default:
		m["severity"].wrong(seaworthy.Invalid, "it must be given, or kev")
	}
	return x
}

func (f field) severity() seaworthy.Severity {
	s, err := seaworthy.ParseSeverity(strings.ToLower(f.required()))
	if err != nil {
		f.failed(err)
	}
	return s
}

func (x *findingRule) name() string {
	name := "no finding above " + x.most.String()
	if x.fixable {
		name += " that can be repaired"
	}
	if x.kev {
		name += ", none known to be exploited"
	}
	return name
}

func (x *findingRule) judge(ctx context.Context, q *question, r *seaworthy.RuleResult) {
	findings, err := q.evidence.Findings(ctx)
	if err != nil {
		unanswered(r, "the findings", err)
		return
	}
	var bad []string
	for i := range findings {
		f := &findings[i]
		if f.Suppressed != nil || x.excepted(f) {
			continue
		}
		if f.Severity > x.most && (!x.fixable || f.Fixable()) || x.kev && f.KEV != nil {
			text := fmt.Sprintf("%s (%s) in %s %s", f.ID, f.Severity, f.Name, f.Version)
			if f.Fixed != "" {
				text += ", repaired in " + f.Fixed
			}
			bad = append(bad, text)
		}
	}
	if len(bad) == 0 {
		r.Passed, r.Reason = true, fmt.Sprintf("none of %d findings is", len(findings))
		return
	}
	slices.Sort(bad)
	bad = slices.Compact(bad)
	r.Reason = listed(bad, "findings")
	r.Fix = "update what can be updated, or publish a VEX statement on what does not matter here; seaworthy scan " + q.image.Reference + " lists them"
}

func (x *findingRule) excepted(f *seaworthy.Finding) bool {
	return slices.ContainsFunc(x.except, func(id string) bool { return id == f.ID || slices.Contains(f.Aliases, id) })
}

// listed names the first few of many.
func listed(items []string, what string) string {
	const most = 5
	if len(items) <= most {
		return strings.Join(items, "; ")
	}
	return fmt.Sprintf("%s; and %d %s more", strings.Join(items[:most], "; "), len(items)-most, what)
}

// customRule is an expression in CEL.
type customRule struct {
	title      string
	expression *expression
	message    string
}

func (x *customRule) name() string { return x.title }

func (x *customRule) judge(ctx context.Context, q *question, r *seaworthy.RuleResult) {
	asked, err := q.ask(ctx, x.expression)
	if err != nil {
		unanswered(r, "what the rule looks at", err)
		return
	}
	holds, err := x.expression.holds(ctx, q.variables(x.expression, asked))
	switch {
	case seaworthy.CodeOf(err) == seaworthy.Invalid: // a value that is not there: the rule does not hold
		r.Reason = err.Error()
		r.Fix = "use has(…) where something may be missing"
	case err != nil:
		unanswered(r, "the rule", err)
	case holds:
		r.Passed, r.Reason = true, "it is so that "+clip(x.expression.text, 200)
	default:
		r.Reason = x.message
		if r.Reason == "" {
			r.Reason = "it is not so that " + clip(x.expression.text, 200)
		}
	}
}

// ask gets the evidence an expression uses.
func (q *question) ask(ctx context.Context, e *expression) (map[string]any, error) {
	out := map[string]any{}
	if e.names["configs"] {
		configs, err := q.evidence.Config(ctx)
		if err != nil {
			return nil, err
		}
		all := map[string]any{}
		for platform, raw := range configs {
			v, err := decodeInput(raw)
			if err != nil {
				return nil, err
			}
			all[platform] = celValue(v)
		}
		out["configs"] = all
	}
	if e.names["findings"] {
		findings, err := q.evidence.Findings(ctx)
		if err != nil {
			return nil, err
		}
		list := []any{}
		for i := range findings {
			if findings[i].Suppressed == nil {
				list = append(list, celFinding(&findings[i]))
			}
		}
		out["findings"] = list
	}
	if e.names["packages"] {
		bills, err := q.evidence.Bills(ctx)
		if err != nil {
			return nil, err
		}
		list := []any{}
		for _, b := range bills {
			if b.Err != nil {
				return nil, b.Err
			}
			for i := range b.Bill.Packages {
				p := &b.Bill.Packages[i]
				list = append(list, map[string]any{
					"name": p.Name, "version": p.Version, "purl": p.PURL, "ecosystem": p.Ecosystem, "licence": licenceOf(p), "role": string(p.Role),
				})
			}
		}
		out["packages"] = list
	}
	return out, nil
}

func celFinding(f *seaworthy.Finding) map[string]any {
	out := map[string]any{
		"id": f.ID, "aliases": f.Aliases, "severity": int64(f.Severity), "score": f.Score, "risk": f.Risk, "kev": f.KEV != nil,
		"fixable": f.Fixable(), "fixed": f.Fixed, "purl": f.Package, "name": f.Name, "version": f.Version, "ecosystem": f.Ecosystem,
		"direct": f.Direct, "status": string(f.Status), "epss": 0.0,
	}
	if f.EPSS != nil {
		out["epss"] = f.EPSS.Probability
	}
	return out
}

// variables are what expressions about images see.
func (q *question) variables(e *expression, asked map[string]any) map[string]any {
	repository, digest, _ := strings.Cut(q.image.Reference, "@")
	repository, tag := cutTag(repository)
	registry, path, _ := strings.Cut(repository, "/")
	if digest == "" {
		digest = string(q.image.Digest)
	}
	written := q.image.Written
	if written == "" {
		written = q.image.Reference
	}
	workload := map[string]any{"namespace": q.image.Namespace, "namespaceLabels": orEmpty(q.image.NamespaceLabels)}
	v := map[string]any{
		"image": map[string]string{
			"reference": q.image.Reference, "written": written, "registry": registry, "repository": repository, "path": path, "tag": tag, "digest": digest,
		},
		"object": map[string]any{}, "now": q.at,
		"configs": map[string]any{}, "findings": []any{}, "packages": []any{},
	}
	if w := q.image.Workload; w != nil {
		maps.Copy(workload, map[string]any{
			"group": w.Group, "version": w.Version, "resource": w.Resource, "kind": w.Kind, "name": w.Name, "labels": orEmpty(w.Labels),
		})
		if e.names["object"] && len(w.Object) > 0 {
			if o, err := decodeInput(w.Object); err == nil {
				if m, ok := celValue(o).(map[string]any); ok {
					v["object"] = m
				}
			}
		}
	}
	v["workload"] = workload
	maps.Copy(v, asked)
	return v
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// builtRule asks who built the image, or from what, as its provenance says.
type builtRule struct {
	authority authority
	builders  []string
	sources   []string
	refs      []string
}

// provenanceTypes are the predicate types of SLSA provenance that are read.
var provenanceTypes = []string{"https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2"}

func (x *builtRule) name() string {
	if len(x.builders) > 0 {
		return "built by " + strings.Join(x.builders, " or ")
	}
	name := "built from " + strings.Join(x.sources, " or ")
	if len(x.refs) > 0 {
		name += " at " + strings.Join(x.refs, " or ")
	}
	return name
}

func (x *builtRule) judge(ctx context.Context, q *question, r *seaworthy.RuleResult) {
	proofs := q.proofs(ctx, r, &x.authority, provenanceTypes, "provenance (SLSA v1 or v0.2) by "+accepted(x.authority.request.Accept))
	var said []string
	for i := range proofs {
		b := readBuild(proofs[i].Statement.PredicateType, proofs[i].Statement.Predicate)
		if x.fits(b) {
			r.Passed, r.Reason = true, "the provenance says so: "+b.String()
			return
		}
		said = append(said, b.String())
	}
	if len(proofs) > 0 {
		slices.Sort(said)
		r.Reason = "the provenance says otherwise: " + strings.Join(slices.Compact(said), "; ")
		r.Fix = "build it where and from what the policy allows"
	}
}

func (x *builtRule) fits(b build) bool {
	fits := func(patterns []string, values ...string) bool {
		return len(patterns) == 0 || slices.ContainsFunc(values, func(v string) bool {
			return v != "" && slices.ContainsFunc(patterns, func(p string) bool { return wildcard(p, v) })
		})
	}
	return fits(x.builders, b.builder) && fits(x.sources, b.source, plainSource(b.source)) && fits(x.refs, b.ref)
}

// build is what provenance says of how something was made.
type build struct{ builder, source, ref string }

func (b build) String() string {
	var parts []string
	for _, p := range []struct{ word, value string }{{"built by", b.builder}, {"from", b.source}, {"at", b.ref}} {
		if p.value != "" {
			parts = append(parts, p.word+" "+p.value)
		}
	}
	if len(parts) == 0 {
		return "neither who built it nor from what"
	}
	return strings.Join(parts, " ")
}

type actor struct {
	ID string `json:"id"`
}

type origin struct {
	URI string `json:"uri"`
	Ref string `json:"ref"`
}

// readBuild reads SLSA provenance v1 and v0.2: the builder, and the source the build was told to build, which is not
// any of its materials.
func readBuild(predicateType string, predicate []byte) build {
	var p struct {
		Builder    actor `json:"builder"`
		Invocation struct {
			ConfigSource origin `json:"configSource"`
		} `json:"invocation"`
		RunDetails struct {
			Builder actor `json:"builder"`
		} `json:"runDetails"`
		BuildDefinition struct {
			ExternalParameters struct {
				Source       jsontext.Value `json:"source"`
				ConfigSource origin         `json:"configSource"`
				Workflow     struct {
					Repository string `json:"repository"`
					Ref        string `json:"ref"`
				} `json:"workflow"`
			} `json:"externalParameters"`
		} `json:"buildDefinition"`
	}
	if json.Unmarshal(predicate, &p) != nil {
		return build{}
	}
	if predicateType == "https://slsa.dev/provenance/v0.2" {
		b := build{builder: p.Builder.ID}
		b.source, b.ref = cutRef(p.Invocation.ConfigSource.URI)
		return b
	}
	b := build{builder: p.RunDetails.Builder.ID}
	external := p.BuildDefinition.ExternalParameters
	switch {
	case external.Workflow.Repository != "":
		b.source, b.ref = external.Workflow.Repository, external.Workflow.Ref
	case external.ConfigSource.URI != "":
		b.source, b.ref = cutRef(external.ConfigSource.URI)
		if external.ConfigSource.Ref != "" {
			b.ref = external.ConfigSource.Ref
		}
	case len(external.Source) > 0:
		var text string
		var descriptor origin
		if json.Unmarshal(external.Source, &text) != nil && json.Unmarshal(external.Source, &descriptor) == nil {
			text = descriptor.URI
		}
		b.source, b.ref = cutRef(text)
	}
	return b
}

// cutRef splits git+https://host/path@ref.
func cutRef(s string) (source, ref string) {
	if i := strings.LastIndex(s, "@"); i > strings.LastIndex(s, "://")+3 && i > strings.Index(s, "/") {
		return s[:i], s[i+1:]
	}
	return s, ""
}

// plainSource is a source without the words that only say that it is git.
func plainSource(s string) string {
	return strings.TrimSuffix(strings.TrimPrefix(s, "git+"), ".git")
}
