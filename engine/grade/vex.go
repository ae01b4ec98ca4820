package grade

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/cyclonedx"
	"github.com/seaworthy-dev/seaworthy/format/openvex"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// UnknownAuthor stands in an OpenVEX document that nobody put a name to.
const UnknownAuthor = "Unknown Author"

// OpenVEX writes the findings as an OpenVEX document: affected with what to do, or the status that VEX gave.
func (r *Report) OpenVEX(w io.Writer, author string) error {
	d := openvex.Document{Author: cmp.Or(author, UnknownAuthor), Timestamp: r.At, Tooling: r.tooling()}
	findings := r.all
	if findings == nil {
		findings = slices.Concat(r.Findings, r.Suppressed)
	}
	for _, f := range WorstFirst(findings) {
		s := openvex.Statement{
			Vulnerability: openvex.Vulnerability{Name: f.ID, Aliases: f.Aliases}, Products: r.products(&f), Status: f.Status,
		}
		switch {
		case f.Suppressed != nil && f.Status == seaworthy.NotAffected:
			s.Justification = openVEXJustification(f.Suppressed.Justification)
			s.Impact = f.Suppressed.Impact
			if s.Justification == "" && s.Impact == "" {
				s.Impact = cmp.Or(f.Suppressed.Justification, f.Suppressed.Reason)
			}
		case f.Status == seaworthy.Affected:
			s.Action = action(&f)
		}
		d.Statements = append(d.Statements, s)
	}
	d.ID = documentID(&d)
	return writeVEX(w, &d)
}

func writeVEX(w io.Writer, d *openvex.Document) error {
	b, err := openvex.Marshal(d)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return seaworthy.Wrap(err, seaworthy.Storage, "writing OpenVEX")
}

func (r *Report) tooling() string { return strings.TrimSpace(r.Tool.Name + " " + r.Tool.Version) }

// products names what a statement is about: the package as a part of what was scanned, where that has a purl;
// else the package alone.
func (r *Report) products(f *seaworthy.Finding) []openvex.Product {
	part := openvex.Component{ID: f.Package}
	if strings.HasPrefix(r.PURL, "pkg:") && r.PURL != f.Package {
		return []openvex.Product{{Component: openvex.Component{ID: r.PURL}, Subcomponents: []openvex.Component{part}}}
	}
	return []openvex.Product{{Component: part}}
}

func action(f *seaworthy.Finding) string {
	switch {
	case f.Fixed != "":
		return "Update " + f.Name + " to " + f.Fixed + " or later."
	case f.Fix == seaworthy.FixDeclined:
		return "No repair is planned by its distributor: replace " + f.Name + " or keep what reaches it under control."
	}
	return "No repaired version of " + f.Name + " is known."
}

// documentID names a document by what it says.
func documentID(d *openvex.Document) string {
	b, err := openvex.Marshal(d)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(b)
	return "https://openvex.dev/docs/public/vex-" + hex.EncodeToString(sum[:])
}

// cdxJustifications are CycloneDX's words for OpenVEX's justifications, the first for each the best.
var cdxJustifications = []struct{ cdx, openvex string }{
	{"code_not_present", "vulnerable_code_not_present"},
	{"code_not_present", "component_not_present"},
	{"code_not_reachable", "vulnerable_code_not_in_execute_path"},
	{"requires_configuration", "vulnerable_code_cannot_be_controlled_by_adversary"},
	{"requires_dependency", "vulnerable_code_cannot_be_controlled_by_adversary"},
	{"requires_environment", "vulnerable_code_cannot_be_controlled_by_adversary"},
	{"protected_by_compiler", "inline_mitigations_already_exist"},
	{"protected_at_runtime", "inline_mitigations_already_exist"},
	{"protected_at_perimeter", "inline_mitigations_already_exist"},
	{"protected_by_mitigating_control", "inline_mitigations_already_exist"},
}

// openVEXJustification turns CycloneDX's word into OpenVEX's; a word of neither is "".
func openVEXJustification(word string) string {
	for _, j := range cdxJustifications {
		if word == j.cdx || word == j.openvex {
			return j.openvex
		}
	}
	return ""
}

func cdxJustification(word string) string {
	for _, j := range cdxJustifications {
		if word == j.cdx {
			return word
		}
	}
	best := ""
	for _, j := range cdxJustifications { // the last of a kind is the most general one
		if word == j.openvex && (best == "" || j.cdx == "protected_by_mitigating_control") {
			best = j.cdx
		}
	}
	return best
}

// Decision is what somebody decided about a vulnerability, in one package or in all.
type Decision struct {
	ID            string
	Package       string // purl, with or without version; "" for every package the vulnerability is in
	Status        seaworthy.Status
	Justification string // one of OpenVEX's, for not_affected
	Words         string // impact or action, in the author's words
}

// ParseDecision reads "ID=STATUS", "ID=STATUS:JUSTIFICATION", "ID=STATUS:JUSTIFICATION:WORDS" or
// "ID=STATUS::WORDS"; "ID@PURL=…" is about one package only. Errors: Usage.
func ParseDecision(text string) (Decision, error) {
	const hint = "for example: 'CVE-2024-1234=not_affected:vulnerable_code_not_in_execute_path:we never call it'"
	at, status := -1, seaworthy.Status("")
	for _, s := range []seaworthy.Status{seaworthy.NotAffected, seaworthy.Affected, seaworthy.FixedStatus, seaworthy.UnderInvestigation} {
		// The words that follow may hold anything, a purl before it "=", so the first that fits is meant.
		for _, end := range []string{":", ""} {
			i := strings.Index(text, "="+string(s)+end)
			if end == "" && (i < 0 || i+1+len(s) != len(text)) {
				continue
			}
			if i >= 0 && (at < 0 || i < at) {
				at, status = i, s
			}
		}
	}
	if at < 0 {
		return Decision{}, seaworthy.Errorf(seaworthy.Usage, "reading the decision %q: no status after \"=\"", text).
			WithHint("the statuses are not_affected, affected, fixed and under_investigation; %s", hint)
	}
	d := Decision{Status: status}
	d.ID, d.Package, _ = strings.Cut(text[:at], "@")
	rest := strings.TrimPrefix(text[at+1+len(status):], ":")
	d.Justification, d.Words, _ = strings.Cut(rest, ":")
	if d.ID == "" || d.Package != "" && !strings.HasPrefix(d.Package, "pkg:") {
		return Decision{}, seaworthy.Errorf(seaworthy.Usage, "reading the decision %q: it starts with %q", text, text[:at]).
			WithHint("it starts with the name of a vulnerability, and @ and a purl if it is about one package only")
	}
	if d.Justification != "" && (d.Status != seaworthy.NotAffected || !slices.Contains(justifications(), d.Justification)) {
		if d.Status != seaworthy.NotAffected {
			return Decision{}, seaworthy.Errorf(seaworthy.Usage, "reading the decision %q: only not_affected has a justification", text).
				WithHint("words for any other status follow two colons: 'CVE-2024-1234=affected::update next week'")
		}
		return Decision{}, seaworthy.Errorf(seaworthy.Usage, "reading the decision %q: %q is no justification", text, d.Justification).
			WithHint("the justifications are %s", strings.Join(justifications(), ", "))
	}
	if d.Status == seaworthy.NotAffected && d.Justification == "" && d.Words == "" {
		return Decision{}, seaworthy.Errorf(seaworthy.Usage, "reading the decision %q: not_affected needs a justification or words", text).WithHint(hint)
	}
	return d, nil
}

func justifications() []string {
	return []string{
		"component_not_present", "vulnerable_code_not_present", "vulnerable_code_not_in_execute_path",
		"vulnerable_code_cannot_be_controlled_by_adversary", "inline_mitigations_already_exist",
	}
}

// Triage writes down decisions about the findings of a report: a statement for each finding that a decision is
// about. They go into earlier, whose statements about the same vulnerability in the same products they replace,
// or into a new document when earlier is nil. Errors: NotFound, when a decision is about nothing that was found.
func (r *Report) Triage(earlier *openvex.Document, author string, decisions []Decision) (*openvex.Document, error) {
	d := &openvex.Document{Author: cmp.Or(author, UnknownAuthor), Timestamp: r.At, Tooling: r.tooling()}
	if earlier != nil {
		again := *earlier
		d = &again
		d.Statements = slices.Clone(earlier.Statements)
		d.LastUpdated = r.At
		if version, ok := d.Version.(float64); ok {
			d.Version = int(version) + 1
		}
		d.Author = cmp.Or(author, d.Author)
	}
	for i := range decisions {
		statements := r.decide(&decisions[i])
		if len(statements) == 0 {
			return nil, seaworthy.Errorf(seaworthy.NotFound, "deciding about %q: it was not found in %q", decisions[i].ID, r.Target).
				WithHint("seaworthy scan shows what was found; a purl after @ must be that of a package in it")
		}
		for _, s := range statements {
			d.Statements = slices.DeleteFunc(d.Statements, func(old openvex.Statement) bool { return sameSubject(&old, &s) })
			d.Statements = append(d.Statements, s)
		}
	}
	if earlier == nil {
		d.ID = documentID(d)
	}
	return d, nil
}

// decide makes the statements of one decision.
func (r *Report) decide(decision *Decision) []openvex.Statement {
	var out []openvex.Statement
	seen := map[string]bool{}
	findings := r.all
	for i := range findings {
		f := &findings[i]
		if f.ID != decision.ID && !slices.Contains(f.Aliases, decision.ID) {
			continue
		}
		bare, _, _ := strings.Cut(f.Package, "?")
		versionless, _, _ := strings.Cut(bare, "@")
		if p := decision.Package; p != "" && p != f.Package && p != bare && p != versionless || seen[f.Package] {
			continue
		}
		seen[f.Package] = true
		s := openvex.Statement{
			Vulnerability: openvex.Vulnerability{Name: f.ID, Aliases: f.Aliases}, Timestamp: r.At, Products: r.products(f),
			Status: decision.Status, Justification: decision.Justification,
		}
		switch decision.Status {
		case seaworthy.NotAffected:
			s.Impact = decision.Words
		case seaworthy.Affected:
			s.Action = cmp.Or(decision.Words, action(f))
		default:
			s.StatusNotes = decision.Words
		}
		out = append(out, s)
	}
	return out
}

func sameSubject(a, b *openvex.Statement) bool {
	return a.Vulnerability.Name == b.Vulnerability.Name && slices.EqualFunc(a.Products, b.Products, func(x, y openvex.Product) bool {
		return x.ID == y.ID && slices.EqualFunc(x.Subcomponents, y.Subcomponents, func(p, q openvex.Component) bool { return p.ID == q.ID })
	})
}

// WriteTriage writes a document that Triage made.
func WriteTriage(w io.Writer, d *openvex.Document) error { return writeVEX(w, d) }

// CycloneDX writes the bill that was scanned as CycloneDX 1.6 with the findings as its vulnerabilities.
func (r *Report) CycloneDX(w io.Writer) error {
	if r.bill == nil {
		return seaworthy.Errorf(seaworthy.Unsupported, "writing CycloneDX: the bill is not at hand")
	}
	type key struct {
		id            string
		status        seaworthy.Status
		justification string
	}
	at := map[key]int{}
	var out []cyclonedx.Vulnerability
	for _, f := range WorstFirst(r.all) {
		if f.Ref == "" {
			continue
		}
		k := key{id: f.ID, status: f.Status}
		if f.Suppressed != nil {
			k.justification = f.Suppressed.Justification
		}
		n, ok := at[k]
		if !ok {
			n = len(out)
			at[k] = n
			out = append(out, cdxVulnerability(&f))
		}
		out[n].Affects = append(out[n].Affects, f.Ref)
	}
	// A serial number names one document; this one says more than the bill did.
	bill := *r.bill
	bill.ID = ""
	return cyclonedx.WriteJSONWith(w, &bill, out)
}

func cdxVulnerability(f *seaworthy.Finding) cyclonedx.Vulnerability {
	v := cyclonedx.Vulnerability{
		ID: f.ID, Aliases: f.Aliases, Description: console.Escape(f.Summary), Severity: cdxSeverity(f.Severity), Score: f.Score, Vector: f.Vector,
	}
	if f.Fixed != "" {
		v.Recommendation = console.Escape(action(f))
	}
	for _, u := range f.URLs {
		if strings.HasPrefix(u, "https://") || strings.HasPrefix(u, "http://") {
			v.URLs = append(v.URLs, u)
		}
	}
	switch {
	case f.Status == seaworthy.NotAffected:
		v.State = "not_affected"
	case f.Status == seaworthy.FixedStatus:
		v.State = "resolved"
	case f.Status == seaworthy.UnderInvestigation:
		v.State = "in_triage"
	}
	if s := f.Suppressed; s != nil {
		v.Justification = cdxJustification(s.Justification)
		v.Detail = console.Escape(cmp.Or(s.Impact, s.Reason))
		if !s.At.IsZero() {
			v.Updated = s.At.UTC().Format(time.RFC3339)
		}
	}
	add := func(name, value string) {
		if value != "" {
			v.Properties = append(v.Properties, seaworthy.Property{Name: name, Value: value})
		}
	}
	add("seaworthy:fixed", f.Fixed)
	add("seaworthy:range", f.Range)
	add("seaworthy:risk", number(f.Risk))
	if f.EPSS != nil {
		add("seaworthy:epss", number(f.EPSS.Probability))
	}
	if f.KEV != nil {
		add("seaworthy:kev", cmp.Or(f.KEV.Added, "true"))
	}
	return v
}

// cdxSeverity is CycloneDX's word for a severity.
func cdxSeverity(s seaworthy.Severity) string {
	if s == seaworthy.SeverityNegligible {
		return "info"
	}
	return s.String()
}
