package ingest

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/format/intoto"
	"github.com/seaworthy-dev/seaworthy/format/slsa"
	"github.com/seaworthy-dev/seaworthy/format/vcs"
	"github.com/seaworthy-dev/seaworthy/trust/bundle"
)

const (
	// maxPairs is how many pairs a document may speak of that only lists each side: artifacts and materials,
	// vulnerabilities and products.
	maxPairs = 200_000
	// maxParameters is how long parameters may be to be said of every artifact, in bytes.
	maxParameters = 4 << 10
)

// readBill reads a bill, and what a CycloneDX one says about vulnerabilities.
func (r *reader) readBill(body []byte, about []seaworthy.Subject) error {
	b, err := bill.Read(bytes.NewReader(body), "the document")
	if err != nil {
		return err
	}
	if r.doc.Kind == "" || about != nil {
		r.doc.Kind = seaworthy.BillDocument
	}
	if r.doc.Format == "" {
		r.doc.Format = b.Format
		if b.Format == "" {
			r.doc.Format = "seaworthy bill"
		}
	}
	r.doc.Name = b.Name
	r.sayBill(b, about)
	if r.doc.Name == "" && len(b.Roots) > 0 {
		for i := range b.Packages {
			if b.Packages[i].Ref == b.Roots[0] {
				r.doc.Name = strings.TrimSuffix(b.Packages[i].Name+" "+b.Packages[i].Version, " ")
			}
		}
	}
	if !strings.HasPrefix(b.Format, "CycloneDX") || !bytes.Contains(body, []byte(`"vulnerabilities"`)) {
		return nil
	}
	affected := r.readCycloneDXVEX(body)
	// The reader of bills says that it has no place for them; here they have one.
	r.problems.List = slices.DeleteFunc(r.problems.List, func(p seaworthy.Problem) bool {
		return p.Where == "vulnerabilities" && p.Code == seaworthy.Incomplete
	})
	if len(affected) > 0 && r.bare(b) {
		r.doc.Kind, r.bill = seaworthy.VEXDocument, nil
		for _, o := range affected {
			r.describes(o)
		}
	}
	return nil
}

// bare reports whether a bill has nothing but what it is about.
func (r *reader) bare(b *seaworthy.Bill) bool {
	return len(b.Files) == 0 && len(b.Packages) <= 1 && !slices.ContainsFunc(b.Packages, func(p seaworthy.Package) bool { return !slices.Contains(b.Roots, p.Ref) })
}

// readStatement reads an in-toto statement and, where its predicate is one we know, what that says.
func (r *reader) readStatement(body []byte) error {
	s, err := intoto.Parse(body)
	if err != nil {
		return err
	}
	if r.doc.Format == "" {
		r.doc.Format = "in-toto " + s.Type[strings.LastIndexByte(s.Type, '/')+1:]
	}
	return r.sayStatement(s)
}

func (r *reader) sayStatement(s *intoto.Statement) error {
	r.doc.PredicateType = s.PredicateType
	r.doc.Kind = seaworthy.StatementDocument
	var about []seaworthy.Subject
	for _, sub := range s.Subjects {
		if x := r.attested(sub); x.Kind != "" {
			about = append(about, x)
			r.describes(x, "name", sub.Name)
			if r.doc.Name == "" {
				r.doc.Name = sub.Name
			}
		}
	}
	if len(about) == 0 {
		r.problems.Add("subject", seaworthy.Unsupported, "none of the %d subjects has a digest that is known", len(s.Subjects))
	}
	return r.predicate(s.PredicateType, s.Predicate, about)
}

// predicate reads what is attested. A type that is not known is kept, and says no more than what it is about.
func (r *reader) predicate(typ string, b jsontext.Value, about []seaworthy.Subject) error {
	is := func(prefixes ...string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool {
			return typ == p || strings.HasPrefix(typ, p+"/")
		})
	}
	switch {
	case slsa.Is(typ):
		r.doc.Kind = seaworthy.ProvenanceDocument
		return r.provenance(typ, b, about)
	case is("https://spdx.dev/Document", "https://cyclonedx.org/bom", "https://cyclonedx.org/BOM"):
		return r.readBill(wrapped(b), about)
	case is("https://openvex.dev/ns"):
		return r.readOpenVEX(wrapped(b), about)
	case typ == bundle.SignPredicate:
		r.doc.Kind = seaworthy.SignatureDocument
		r.signs(about)
	case is("https://scorecard.dev/result", "https://ossf.github.io/scorecard"):
		return r.readScorecard(wrapped(b))
	case is("https://slsa.dev/verification_summary"):
		return r.summary(b, about)
	case is("https://in-toto.io/attestation/vulns"):
		return r.vulns(b, about)
	case is("https://in-toto.io/attestation/release"):
		return r.release(b, about)
	}
	return nil
}

// wrapped takes a document out of the string or the member Data in which older tools put what is attested.
func wrapped(b jsontext.Value) []byte {
	var text string
	if b.Kind() == '"' && json.Unmarshal(b, &text) == nil {
		return []byte(text)
	}
	var in struct{ Data json.RawMessage }
	if b.Kind() == '{' && json.Unmarshal(b, &in) == nil && len(in.Data) > 0 {
		return wrapped(jsontext.Value(in.Data))
	}
	return b
}

// attested is the subject of an attestation: an artifact by its best digest, of which the others are the same, or a
// source by its commit. Its name is one to be found by; a name that is a purl is a package, which is the same.
func (r *reader) attested(sub intoto.Subject) seaworthy.Subject {
	digests := digestsOf(sub.Digest)
	d := best(digests)
	if commit := sub.Digest["gitCommit"]; commit != "" || d.Algorithm() == "sha1" && vcs.Says(sub.Name) {
		if l, err := vcs.Parse(sub.Name); err == nil {
			if commit == "" {
				commit = d.Hex()
			}
			return r.source(l.At(commit))
		}
	}
	if d == "" {
		return seaworthy.Subject{}
	}
	s := artifact(d)
	for _, other := range digests {
		r.say(s, seaworthy.SaysSame, artifact(other), "why", "digests of one subject")
	}
	if strings.HasPrefix(sub.Name, "pkg:") {
		if pkg, ok := r.packageNamed(sub.Name); ok {
			r.say(pkg, seaworthy.SaysSame, s, "why", "attested name")
			return s
		}
	}
	r.name(s, sub.Name)
	return s
}

// digestsOf reads the digests of files among those of an in-toto descriptor, in the order of strength.
func digestsOf(in map[string]string) []seaworthy.Digest {
	var out []seaworthy.Digest
	for _, alg := range strength {
		for _, spelled := range []string{alg, strings.ToUpper(alg)} {
			if v, ok := in[spelled]; ok {
				if d, err := seaworthy.NewDigest(alg, strings.Trim(v, " '\"")); err == nil {
					out = append(out, d)
				}
			}
		}
	}
	return out
}

// provenance says what was built from what, and by whom.
func (r *reader) provenance(typ string, b jsontext.Value, about []seaworthy.Subject) error {
	p, err := slsa.Parse(typ, b)
	if err != nil {
		return err
	}
	if n := len(about) * (len(p.Materials) + 1); n > maxPairs {
		return seaworthy.Errorf(seaworthy.TooLarge, "it says of %d artifacts that they are made of %d materials; the limit is %d pairs", len(about), len(p.Materials), maxPairs)
	}
	parameters := p.Parameters
	if len(parameters) > maxParameters {
		r.problems.Add("parameters", seaworthy.TooLarge, "they are %d bytes long, and are in the document only", len(parameters))
		parameters = ""
	}
	var materials []seaworthy.Subject
	had := map[seaworthy.Subject]bool{{}: true}
	for _, m := range p.Materials {
		if s := r.material(m); !had[s] {
			had[s] = true
			materials = append(materials, s)
		}
	}
	from := r.builtFrom(p, materials)
	builder := actor("builder:" + p.Builder)
	for _, a := range about {
		r.say(a, seaworthy.SaysBuiltBy, builder, "buildType", p.BuildType, "finished", stamp(p.Finished), "invocation", p.Invocation, "started", stamp(p.Started))
		for _, m := range materials {
			r.say(a, seaworthy.SaysBuilt, m, "buildType", p.BuildType, "entryPoint", p.EntryPoint, "parameters", parameters)
		}
		if from.Kind != "" {
			r.say(a, seaworthy.SaysSource, from, "how", "provenance")
		}
	}
	return nil
}

// builtFrom is the source that was built: the material that the entry point is in, or the first that is a source.
func (r *reader) builtFrom(p *slsa.Provenance, materials []seaworthy.Subject) seaworthy.Subject {
	config, err := vcs.Parse(p.ConfigSource.URI)
	for _, m := range materials {
		if m.Kind == seaworthy.SourceSubject && (err != nil || m.Key == config.Key() || strings.HasPrefix(m.Key, config.Repository().Key()+"@")) {
			return m
		}
	}
	if err == nil && vcs.Says(p.ConfigSource.URI) {
		return r.source(config.At(commitOf(p.ConfigSource.Digest)))
	}
	for _, m := range materials {
		if m.Kind == seaworthy.SourceSubject {
			return m
		}
	}
	return seaworthy.Subject{}
}

func commitOf(digests map[string]string) string {
	for _, alg := range []string{"gitCommit", "sha1", "sha256"} {
		if d := digests[alg]; d != "" {
			return d
		}
	}
	return ""
}

// material is what went into a build: a source, a package with its bytes, or bytes.
func (r *reader) material(m slsa.Material) seaworthy.Subject {
	digests := digestsOf(m.Digest)
	d := best(digests)
	isSource := vcs.Says(m.URI) || m.Digest["gitCommit"] != ""
	if l, err := vcs.Parse(m.URI); err == nil && isSource && !strings.HasPrefix(m.URI, "pkg:") {
		return r.source(l.At(commitOf(m.Digest)))
	}
	if strings.HasPrefix(m.URI, "pkg:") {
		if pkg, ok := r.packageNamed(m.URI); ok {
			if d != "" {
				r.say(pkg, seaworthy.SaysSame, artifact(d), "why", "material")
			}
			return pkg
		}
	}
	if d != "" {
		s := artifact(d)
		for _, other := range digests {
			r.say(s, seaworthy.SaysSame, artifact(other), "why", "digests of one material")
		}
		r.name(s, m.URI)
		if m.URI == "" {
			r.name(s, m.Name)
		}
		return s
	}
	if name, ok := strings.CutPrefix(m.URI, "oci://"); ok {
		return imageResource(name, "")
	}
	if m.URI != "" || m.Name != "" {
		r.problems.Add("materials", seaworthy.Noted, "%.200q has no digest, so which bytes it was cannot be told", m.URI+m.Name)
	}
	return seaworthy.Subject{}
}

// summary reads a verification summary: somebody has verified a level.
func (r *reader) summary(b jsontext.Value, about []seaworthy.Subject) error {
	var in struct {
		Verifier struct {
			ID string `json:"id"`
		} `json:"verifier"`
		Verified string   `json:"timeVerified"`
		Resource string   `json:"resourceUri"`
		Result   string   `json:"verificationResult"`
		Levels   []string `json:"verifiedLevels"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading a verification summary: %w", err)
	}
	r.doc.Name = in.Resource
	for _, a := range about {
		r.name(a, in.Resource)
		r.say(a, seaworthy.SaysRated, r.subject(), "by", in.Verifier.ID, "result", in.Result, "score", strings.Join(in.Levels, ","), "time", in.Verified, "type", "slsa")
	}
	return nil
}

// vulns reads what a scanner attests (in-toto attestation, spec/predicates/vuln.md).
func (r *reader) vulns(b jsontext.Value, about []seaworthy.Subject) error {
	var in struct {
		Scanner struct {
			URI    string `json:"uri"`
			Result []struct {
				ID       string `json:"id"`
				Severity []struct {
					Method string          `json:"method"`
					Score  json.RawMessage `json:"score"`
				} `json:"severity"`
			} `json:"result"`
		} `json:"scanner"`
		Metadata struct {
			Finished string `json:"scanFinishedOn"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading the result of a scan: %w", err)
	}
	r.doc.Kind = seaworthy.ScanDocument
	if n := len(in.Scanner.Result) * len(about); n > maxPairs {
		return seaworthy.Errorf(seaworthy.TooLarge, "reading the result of a scan: %d findings in %d artifacts; the limit is %d pairs", len(in.Scanner.Result), len(about), maxPairs)
	}
	for _, v := range in.Scanner.Result {
		severity := ""
		if len(v.Severity) > 0 {
			severity = strings.Trim(string(v.Severity[0].Score), `"`)
		}
		for _, a := range about {
			r.say(vulnerability(v.ID), seaworthy.SaysAffects, a, "by", in.Scanner.URI, "severity", severity, "status", string(seaworthy.Affected), "time", in.Metadata.Finished)
		}
	}
	return nil
}

// release reads which package was released as what (in-toto attestation, spec/predicates/release.md).
func (r *reader) release(b jsontext.Value, about []seaworthy.Subject) error {
	var in struct {
		PURL string `json:"purl"`
	}
	if err := json.Unmarshal(b, &in); err != nil {
		return seaworthy.Errorf(seaworthy.Invalid, "reading a release: %w", err)
	}
	if pkg, ok := r.packageNamed(in.PURL); ok {
		for _, a := range about {
			r.say(pkg, seaworthy.SaysSame, a, "why", "release")
		}
	}
	return nil
}

// stamp writes a time, "" for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
