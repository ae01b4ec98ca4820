package trace

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ingest"
	"github.com/seaworthy-dev/seaworthy/store/graph"
)

// graphOf is a graph of these documents.
func graphOf(t testing.TB, entries ...graph.Entry) *graph.Memory {
	t.Helper()
	m := graph.NewMemory()
	for _, e := range entries {
		if _, err := m.Put(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// packagesOf are the packages that licences sees in an image: whatever lets documents through shows them.
func packagesOf(t *testing.T, m graph.Reader, q Question) []string {
	t.Helper()
	q.Verb, q.Subject = "diff", string(seaworthy.SHA256([]byte("empty")))
	var names []string
	for _, r := range ask(t, m, q).Rows {
		if r.Cells[1] == "package" {
			names = append(names, r.Cells[2])
		}
	}
	slices.Sort(names)
	return names
}

func TestTrustAndTimeAreFilters(t *testing.T) {
	entries := worldEntries(t)
	empty := seaworthy.SHA256([]byte("empty"))
	m := graphOf(t, append(entries, entry("empty", seaworthy.ManifestDocument, day(1), nil, says(doc("empty"), seaworthy.SaysDescribes, empty)))...)
	all := []string{"evil", "left-pad", "libcycle", "openssl", "zlib"}
	for name, c := range map[string]struct {
		q    Question
		want []string
	}{
		"anyone":            {Question{To: web}, all},
		"signed":            {Question{To: web, Trust: Trust{Signed: true}}, []string{"left-pad", "libcycle", "openssl", "zlib"}},
		"signer":            {Question{To: web, Trust: Trust{Signers: []string{ciKey}}}, []string{"left-pad", "libcycle", "openssl", "zlib"}},
		"prefix":            {Question{To: web, Trust: Trust{Signers: []string{"identity:ci@*"}}}, []string{"left-pad", "libcycle", "openssl", "zlib"}},
		"another signer":    {Question{To: web, Trust: Trust{Signers: []string{vexKey}}}, nil},
		"not the prefix":    {Question{To: web, Trust: Trust{Signers: []string{"identity:ci@example.com"}}}, nil},
		"before the second": {Question{To: web, AsOf: day(3)}, []string{"left-pad", "libcycle", "openssl", "zlib"}},
		"before both":       {Question{To: web, AsOf: day(1)}, nil},
		"at the moment":     {Question{To: web, AsOf: day(4)}, all},
		// The bill of api is signed as a file, by a document that came later.
		"signed apart":        {Question{To: "registry.example/shop/api:1", Trust: Trust{Signers: []string{otherKey}}}, []string{"openssl"}},
		"signed apart, later": {Question{To: "registry.example/shop/api:1", Trust: Trust{Signers: []string{otherKey}}, AsOf: day(7)}, nil},
	} {
		if diff := cmp.Diff(c.want, packagesOf(t, m, c.q)); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

// Who is named as a signer has not signed: of each way to say so without a proof, nothing comes through.
func TestSignaturesThatDoNotCount(t *testing.T) {
	image := seaworthy.SHA256([]byte("image"))
	bill := func(change func(*graph.Entry)) graph.Entry {
		e := entry("a bill", seaworthy.BillDocument, day(2), nil, says(doc("a bill"), seaworthy.SaysDescribes, image), says(image, seaworthy.SaysContains, leftPad))
		if change != nil {
			change(&e)
		}
		return e
	}
	asFile := seaworthy.SHA256([]byte("a bill"))
	empty := entry("empty", seaworthy.ManifestDocument, day(1), nil, says(doc("empty"), seaworthy.SaysDescribes, seaworthy.SHA256([]byte("empty"))),
		says(doc("empty"), seaworthy.SaysDescribes, image))
	for name, c := range map[string]struct {
		entries []graph.Entry
		counts  bool
	}{
		"verified": {[]graph.Entry{bill(func(e *graph.Entry) {
			e.Document.Verification = seaworthy.Verification{State: seaworthy.VerifiedState, Signers: []string{ciKey}}
		})}, true},
		"unverifiable": {[]graph.Entry{bill(func(e *graph.Entry) {
			e.Document.Verification = seaworthy.Verification{State: seaworthy.UnverifiableState, Signers: []string{ciKey}}
		})}, false},
		"unsigned with a name": {[]graph.Entry{bill(func(e *graph.Entry) { e.Document.Verification.Signers = []string{ciKey} })}, false},
		"says so itself": {[]graph.Entry{bill(func(e *graph.Entry) {
			e.Statements = append(e.Statements, says(doc("a bill"), seaworthy.SaysSigned, ciKey), says(asFile, seaworthy.SaysSigned, ciKey))
		})}, false},
		"signed as a file":             {[]graph.Entry{bill(nil), entry("sig", seaworthy.SignatureDocument, day(2), []string{ciKey}, says(asFile, seaworthy.SaysSigned, ciKey))}, true},
		"signed as a document":         {[]graph.Entry{bill(nil), entry("sig", seaworthy.SignatureDocument, day(2), []string{ciKey}, says(doc("a bill"), seaworthy.SaysSigned, ciKey))}, true},
		"an unsigned document says so": {[]graph.Entry{bill(nil), entry("sig", seaworthy.SignatureDocument, day(2), nil, says(asFile, seaworthy.SaysSigned, ciKey))}, false},
		"another's document says so":   {[]graph.Entry{bill(nil), entry("sig", seaworthy.SignatureDocument, day(2), []string{otherKey}, says(asFile, seaworthy.SaysSigned, ciKey))}, false},
	} {
		m := graphOf(t, append(c.entries, empty)...)
		for kind, trust := range map[string]Trust{"signer": {Signers: []string{ciKey}}} {
			got := packagesOf(t, m, Question{To: string(image), Trust: trust})
			if (len(got) > 0) != c.counts {
				t.Errorf("%s, by %s: got %v", name, kind, got)
			}
		}
	}
}

// A bill that a referrer attaches is there; that its author signed it does not make it a signed bill of this image.
func TestAttachedIsNotSigned(t *testing.T) {
	image, other := seaworthy.SHA256([]byte("image")), seaworthy.SHA256([]byte("other"))
	m := graphOf(t,
		entry("bill of other", seaworthy.BillDocument, day(1), []string{ciKey}, says(doc("bill of other"), seaworthy.SaysDescribes, other), says(other, seaworthy.SaysContains, leftPad)),
		entry("referrer", seaworthy.ManifestDocument, day(2), nil,
			says(doc("referrer"), seaworthy.SaysDescribes, image, "how", "referrer"), says(doc("bill of other"), seaworthy.SaysDescribes, image, "how", "referrer")),
	)
	for subject, want := range map[seaworthy.Digest]Tile{
		image: {Name: "bill", State: warn, Text: "bill 1, 0 packages", Detail: "unsigned"},
		other: {Name: "bill", State: good, Text: "bill 1, 1 package", Detail: "signed by ci@example.com"},
	} {
		got := ask(t, m, Question{Verb: "artifact", Subject: string(subject)}).Tiles[2]
		want.Documents = got.Documents
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", subject, diff)
		}
	}
}

// Precedence is a table: what each pair of statements about a finding makes of it.
func TestVEXPrecedence(t *testing.T) {
	image, other := seaworthy.SHA256([]byte("image")), seaworthy.SHA256([]byte("other"))
	const (
		early = "2026-11-01T00:00:00Z"
		late  = "2026-11-02T00:00:00Z"
		cve   = "CVE-2024-0001"
	)
	ground := []graph.Entry{
		entry("bill", seaworthy.BillDocument, day(1), nil, says(image, seaworthy.SaysContains, openssl), says(other, seaworthy.SaysContains, openssl),
			says("pkg:oci/app@"+string(image), seaworthy.SaysSame, image)),
		entry("scan", seaworthy.ScanDocument, day(9), nil, says(cve, seaworthy.SaysAffects, openssl, "severity", "high", "status", "affected", "time", "2026-11-09T00:00:00Z"),
			says("GHSA-zzzz-zzzz-zzzz", seaworthy.SaysSame, cve)),
	}
	// vex is a document that speaks of something; signers may be nil.
	vex := func(name string, signers []string, vuln, about, status, at string, more ...string) graph.Entry {
		return entry(name, seaworthy.VEXDocument, day(5), signers, says(vuln, seaworthy.SaysAffects, about, append([]string{"status", status, "time", at}, more...)...))
	}
	signed := []string{vexKey}
	for name, c := range map[string]struct {
		vex  []graph.Entry
		want string // status, and whether the finding is open
		none bool   // of the other image the finding stays
	}{
		"none":                       {nil, "affected open", true},
		"not affected":               {[]graph.Entry{vex("a", nil, cve, openssl, "not_affected", early)}, "not_affected", false},
		"fixed":                      {[]graph.Entry{vex("a", nil, cve, openssl, "fixed", early)}, "fixed", false},
		"under investigation":        {[]graph.Entry{vex("a", nil, cve, openssl, "under_investigation", early)}, "under_investigation open", true},
		"by an alias":                {[]graph.Entry{vex("a", nil, "GHSA-zzzz-zzzz-zzzz", openssl, "not_affected", early)}, "not_affected", false},
		"of another vulnerability":   {[]graph.Entry{vex("a", nil, "CVE-2024-9999", openssl, "not_affected", early)}, "affected open", true},
		"later wins":                 {[]graph.Entry{vex("a", nil, cve, openssl, "not_affected", early), vex("b", nil, cve, openssl, "affected", late)}, "affected open", true},
		"later wins, the other way":  {[]graph.Entry{vex("a", nil, cve, openssl, "affected", early), vex("b", nil, cve, openssl, "not_affected", late)}, "not_affected", false},
		"signed wins though earlier": {[]graph.Entry{vex("a", signed, cve, openssl, "not_affected", early), vex("b", nil, cve, openssl, "affected", late)}, "not_affected", false},
		"signed affected wins":       {[]graph.Entry{vex("a", signed, cve, openssl, "affected", early), vex("b", nil, cve, openssl, "not_affected", late)}, "affected open", true},
		"specific wins at one time": {[]graph.Entry{
			vex("a", nil, cve, "pkg:deb/debian/openssl", "affected", late), vex("b", nil, cve, "pkg:deb/debian/openssl@3.0.1", "not_affected", late),
		}, "not_affected", false},
		"later wins over specific": {[]graph.Entry{
			vex("a", nil, cve, "pkg:deb/debian/openssl", "affected", late), vex("b", nil, cve, "pkg:deb/debian/openssl@3.0.1", "not_affected", early),
		}, "affected open", true},
		"any version":               {[]graph.Entry{vex("a", nil, cve, "pkg:deb/debian/openssl", "not_affected", early)}, "not_affected", false},
		"another version":           {[]graph.Entry{vex("a", nil, cve, "pkg:deb/debian/openssl@3.0.2", "not_affected", early)}, "affected open", true},
		"another architecture":      {[]graph.Entry{vex("a", nil, cve, "pkg:deb/debian/openssl@3.0.1?arch=arm64", "not_affected", early)}, "affected open", true},
		"a range is not for all":    {[]graph.Entry{vex("a", nil, cve, "pkg:deb/debian/openssl", "not_affected", early, "range", "<3")}, "affected open", true},
		"the image":                 {[]graph.Entry{vex("a", nil, cve, string(image), "not_affected", early)}, "not_affected", true},
		"the image by its purl":     {[]graph.Entry{vex("a", nil, cve, "pkg:oci/app@"+string(image), "not_affected", early)}, "not_affected", true},
		"another image":             {[]graph.Entry{vex("a", nil, cve, string(seaworthy.SHA256([]byte("third"))), "not_affected", early)}, "affected open", true},
		"a part of the image":       {[]graph.Entry{vex("a", nil, cve, openssl, "not_affected", early, "product", string(image))}, "not_affected", true},
		"a part of another product": {[]graph.Entry{vex("a", nil, cve, openssl, "not_affected", early, "product", "pkg:oci/elsewhere")}, "affected open", true},
		"a part, then the image": {[]graph.Entry{
			vex("a", nil, cve, openssl, "affected", late, "product", string(image)), vex("b", nil, cve, string(image), "not_affected", late),
		}, "affected open", true},
		"at one time and equal":                {[]graph.Entry{vex("a", nil, cve, openssl, "not_affected", late), vex("b", nil, cve, openssl, "affected", late)}, "affected open", true},
		"at one time and equal, the other way": {[]graph.Entry{vex("b", nil, cve, openssl, "not_affected", late), vex("a", nil, cve, openssl, "affected", late)}, "affected open", true},
		"one document says both": {[]graph.Entry{entry("a", seaworthy.VEXDocument, day(5), signed,
			says(cve, seaworthy.SaysAffects, openssl, "status", "not_affected", "time", early), says(cve, seaworthy.SaysAffects, openssl, "status", "affected", "time", early))}, "affected open", true},
	} {
		t.Run(name, func(t *testing.T) {
			m := graphOf(t, append(slices.Clone(ground), c.vex...)...)
			status := func(d seaworthy.Digest) string {
				for _, r := range ask(t, m, Question{Verb: "vulns", Subject: string(d)}).Rows {
					if r.Cells[0] == cve && r.Cells[3] == "openssl" {
						text := r.Cells[2]
						if !suppresses(seaworthy.Status(text)) {
							text += " open"
						}
						return text
					}
				}
				return "no row"
			}
			if got := status(image); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if got := status(other); strings.HasSuffix(got, " open") != c.none {
				t.Errorf("of the other image: %q", got)
			}
		})
	}
}

// What is left out is said: an answer without findings is not the same as one whose evidence does not count.
func TestLeftOutIsSaid(t *testing.T) {
	m := world(t)
	a := ask(t, m, Question{Verb: "vulns", Subject: web, Trust: Trust{Signers: []string{otherKey}}})
	if !strings.Contains(a.Title, "lets count") || !slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, "left out") }) {
		t.Errorf("%q, %q", a.Title, a.Notes)
	}
	a = ask(t, m, Question{Verb: "vulns", Subject: web, AsOf: day(1).Add(time.Hour)})
	if !slices.ContainsFunc(a.Notes, func(n string) bool { return strings.Contains(n, "later than 2026-11-01 01:00:00 UTC") }) {
		t.Errorf("%q", a.Notes)
	}
}

// Artifacts that are one package are not one another: what is in one build is not in the other.
func TestBuildsOfOnePackage(t *testing.T) {
	one, other := seaworthy.SHA256([]byte("one")), seaworthy.SHA256([]byte("other"))
	m := graphOf(t, entry("bill", seaworthy.BillDocument, day(1), nil,
		says("pkg:oci/app@1", seaworthy.SaysSame, one), says("pkg:oci/app@1", seaworthy.SaysSame, other),
		says("pkg:oci/app", seaworthy.SaysSame, one), says("pkg:oci/app", seaworthy.SaysSame, other),
		says(one, seaworthy.SaysContains, leftPad), says(other, seaworthy.SaysContains, evil),
		says("CVE-2024-0001", seaworthy.SaysAffects, evil), says("CVE-2024-0002", seaworthy.SaysAffects, "pkg:oci/app@1")),
		entry("provenance", seaworthy.ProvenanceDocument, day(1), nil, says(doc("provenance"), seaworthy.SaysDescribes, other), says(other, seaworthy.SaysBuiltBy, "builder:https://ci.example/run")))
	var got []string
	for _, r := range ask(t, m, Question{Verb: "vulns", Subject: string(one)}).Rows {
		got = append(got, r.Cells[0])
	}
	if diff := cmp.Diff([]string{"CVE-2024-0002"}, got); diff != "" {
		t.Error(diff)
	}
	if a := ask(t, m, Question{Verb: "provenance", Subject: string(one)}); len(a.Missing) != 1 {
		t.Errorf("one build has the provenance of another: %v", cells(a))
	}
	if a := ask(t, m, Question{Verb: "dependents", Subject: evil}); len(a.Rows) != 1 {
		t.Errorf("what contains it is %v", cells(a))
	}
}

// What vexctl writes of an image, and of a part of it, speaks of the image with that digest and of no other.
func TestOpenVEXOfAnImage(t *testing.T) {
	image, other := seaworthy.SHA256([]byte("image")), seaworthy.SHA256([]byte("other"))
	for name, c := range map[string]struct{ products, want string }{
		"the image":   {`[{"@id":"pkg:oci/app@` + strings.Replace(string(image), ":", "%3A", 1) + `?repository_url=registry.example/shop/app"}]`, "CVE-2024-0002"},
		"a part":      {`[{"@id":"pkg:oci/app@` + strings.Replace(string(image), ":", "%3A", 1) + `","subcomponents":[{"@id":"` + leftPad + `"}]}]`, "CVE-2024-0002"},
		"another":     {`[{"@id":"pkg:oci/app@` + strings.Replace(string(other), ":", "%3A", 1) + `"}]`, "CVE-2024-0001 CVE-2024-0002"},
		"by digest":   {`[{"@id":"` + string(image) + `"}]`, "CVE-2024-0002"},
		"the package": {`[{"@id":"` + leftPad + `"}]`, "CVE-2024-0002"},
	} {
		m := graphOf(t, entry("bill", seaworthy.BillDocument, day(1), nil, says(image, seaworthy.SaysContains, leftPad), says(image, seaworthy.SaysContains, evil)),
			entry("scan", seaworthy.ScanDocument, day(1), nil, says("CVE-2024-0001", seaworthy.SaysAffects, leftPad), says("CVE-2024-0002", seaworthy.SaysAffects, evil)))
		body := `{"@context":"https://openvex.dev/ns/v0.2.0","@id":"https://vex.example/1","author":"a","timestamp":"2024-01-02T03:04:05Z","version":1,
			"statements":[{"vulnerability":{"name":"CVE-2024-0001"},"products":` + c.products + `,"status":"not_affected","justification":"component_not_present"}]}`
		if _, err := ingest.New(m, ingest.Options{}).Bytes(t.Context(), "test", []byte(body)); err != nil {
			t.Fatal(err)
		}
		var open []string
		for _, r := range ask(t, m, Question{Verb: "vulns", Subject: string(image)}).Rows {
			if !suppresses(seaworthy.Status(r.Cells[2])) {
				open = append(open, r.Cells[0])
			}
		}
		slices.Sort(open)
		if got := strings.Join(open, " "); got != c.want {
			t.Errorf("%s: open are %q, want %q", name, got, c.want)
		}
	}
}
