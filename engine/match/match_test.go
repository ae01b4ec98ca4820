package match_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/packages"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

// database builds a database of files given as name, content, name, content …
func database(t testing.TB, files ...string) *advisory.DB {
	t.Helper()
	dir := t.TempDir()
	src := filepath.Join(dir, "src")
	if err := os.Mkdir(src, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(files); i += 2 {
		if err := os.WriteFile(filepath.Join(src, files[i]), []byte(files[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "a.db")
	if sum, err := advisory.Build(context.Background(), []advisory.Input{{Path: src}}, file, advisory.BuildOptions{}); err != nil {
		t.Fatalf("%v: %+v", err, sum.Problems)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// osvRecord writes a record; affected is the JSON of the list.
func osvRecord(id, more, affected string) string {
	return fmt.Sprintf(`{"id":%q,"modified":"2024-01-01T00:00:00Z"%s,"affected":[%s]}`, id, more, affected)
}

func affectedJSON(ecosystem, name, typ, events string, versions ...string) string {
	list, _ := json.Marshal(versions)
	if versions == nil {
		list = []byte("[]")
	}
	ranges := ""
	if typ != "" {
		ranges = fmt.Sprintf(`{"type":%q,"events":[%s]}`, typ, events)
	}
	return fmt.Sprintf(`{"package":{"ecosystem":%q,"name":%q},"ranges":[%s],"versions":%s}`, ecosystem, name, ranges, list)
}

func bill(packages ...seaworthy.Package) *seaworthy.Bill {
	for i := range packages {
		if packages[i].Ref == "" {
			packages[i].Ref = fmt.Sprintf("p%d", i)
		}
	}
	return &seaworthy.Bill{Packages: packages}
}

func run(t testing.TB, db *advisory.DB, b *seaworthy.Bill, vex ...match.Statement) match.Result {
	t.Helper()
	r, err := match.Packages(context.Background(), db, b, match.Options{VEX: vex})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestRangeEvaluation follows the OSV schema's evaluation rules, case by case.
func TestRangeEvaluation(t *testing.T) {
	const zero = `{"introduced":"0"}`
	for _, tc := range []struct {
		name, ecosystem, typ, events string
		versions                     []string
		affected, clear              string // versions, by spaces
		rng                          string // of the first affected
		fixed                        string
	}{
		{
			name: "from the beginning, fixed", ecosystem: "PyPI", typ: "ECOSYSTEM", events: zero + `,{"fixed":"1.10"}`,
			affected: "1.9 0.0.1 1.10rc1", clear: "1.10 1.10.0 2.0", rng: "<1.10", fixed: "1.10",
		},
		{name: "never fixed", ecosystem: "npm", typ: "SEMVER", events: zero, affected: "0.0.0-alpha 1.0.0 999.0.0", rng: ">=0"},
		{
			name: "last affected", ecosystem: "npm", typ: "SEMVER", events: `{"introduced":"1.0.0"},{"last_affected":"1.5.0"}`,
			affected: "1.5.0 1.0.0", clear: "0.9.9 1.5.1 1.0.0-rc.1", rng: ">=1.0.0 <=1.5.0",
		},
		{
			name: "several branches", ecosystem: "Go", typ: "SEMVER",
			events:   zero + `,{"fixed":"1.56.3"},{"introduced":"1.57.0"},{"fixed":"1.57.1"},{"introduced":"1.58.0"},{"fixed":"1.58.3"}`,
			affected: "v1.57.0 v1.56.2 v1.58.2 v1.58.3-0.20230101000000-0123456789ab", clear: "v1.56.3 v1.57.1 v1.58.3 v1.57.0-rc.1", rng: ">=1.57.0 <1.57.1", fixed: "1.57.1",
		},
		{
			name: "events out of order", ecosystem: "npm", typ: "SEMVER", events: `{"fixed":"2.0.0"},{"introduced":"3.0.0"},{"introduced":"1.0.0"},{"fixed":"3.1.0"}`,
			affected: "3.0.5 1.2.0", clear: "0.1.0 2.5.0 3.1.0", rng: ">=3.0.0 <3.1.0", fixed: "3.1.0",
		},
		{name: "introduced and fixed at once", ecosystem: "npm", typ: "SEMVER", events: `{"introduced":"1.0.0"},{"fixed":"1.0.0"}`, clear: "0.9.0 1.0.0 1.1.0"},
		{
			name: "fixed and introduced at once", ecosystem: "npm", typ: "SEMVER", events: zero + `,{"fixed":"1.0.0"},{"introduced":"1.0.0"},{"fixed":"2.0.0"}`,
			affected: "1.0.0 0.5.0 1.5.0", clear: "2.0.0", rng: ">=1.0.0 <2.0.0", fixed: "2.0.0",
		},
		{name: "limit", ecosystem: "npm", typ: "SEMVER", events: zero + `,{"limit":"2.0.0"}`, affected: "1.0.0", clear: "2.0.0 3.0.0", rng: ">=0"},
		{name: "limit without end", ecosystem: "npm", typ: "SEMVER", events: zero + `,{"limit":"*"}`, affected: "1.0.0", rng: ">=0"},
		{
			name: "listed beside a range", ecosystem: "PyPI", typ: "ECOSYSTEM", events: `{"introduced":"2.0"},{"fixed":"2.1"}`, versions: []string{"1.0", "1.5"},
			affected: "1.5 2.0.5", clear: "1.4 2.1", rng: "listed", fixed: "2.1",
		},
		{name: "listed only, equal by order", ecosystem: "PyPI", versions: []string{"1.0", "2.0rc1"}, affected: "1.0 1.0.0 2.0.RC1", clear: "1.0.1", rng: "listed"},
		{
			name: "maven order", ecosystem: "Maven", typ: "ECOSYSTEM", events: `{"introduced":"2.0-beta9"},{"fixed":"2.15.0"}`,
			affected: "2.14.1 2.0-beta9 2.0", clear: "2.0-beta8 2.15.0 1.2.17", rng: ">=2.0-beta9 <2.15.0", fixed: "2.15.0",
		},
		{
			name: "debian order", ecosystem: "Debian:12", typ: "ECOSYSTEM", events: zero + `,{"fixed":"1:2.3-1~deb12u1"}`,
			affected: "1:2.3-1~deb11u9 9.9-1 1:2.3-1~", clear: "1:2.3-1~deb12u1 1:2.3-1 2:0.1", rng: "<1:2.3-1~deb12u1", fixed: "1:2.3-1~deb12u1",
		},
		{
			name: "go releases", ecosystem: "Go", typ: "SEMVER", events: zero + `,{"fixed":"1.21.0-rc.3"}`,
			affected: "go1.21rc2 go1.20.7 go1.21beta1", clear: "go1.21rc3 go1.21.0 go1.21.1", rng: "<1.21.0-rc.3", fixed: "1.21.0-rc.3",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			db := database(t, "x.json", osvRecord("X-1", "", affectedJSON(tc.ecosystem, "name", tc.typ, tc.events, tc.versions...)))
			for i, text := range strings.Fields(tc.affected) {
				r := run(t, db, bill(packageOf(tc.ecosystem, text)))
				if len(r.Findings) != 1 {
					t.Errorf("%s: %d findings, want 1 (%+v)", text, len(r.Findings), r.NotCompared)
				} else if f := r.Findings[0]; i == 0 && (f.Range != tc.rng || f.Fixed != tc.fixed) {
					t.Errorf("%s: range %q fixed %q, want %q %q", text, f.Range, f.Fixed, tc.rng, tc.fixed)
				}
			}
			for _, text := range strings.Fields(tc.clear) {
				if r := run(t, db, bill(packageOf(tc.ecosystem, text))); len(r.Findings) != 0 || len(r.NotCompared) != 0 {
					t.Errorf("%s: %+v, want nothing", text, r)
				}
			}
		})
	}
}

func packageOf(ecosystem, version string) seaworthy.Package {
	typ := map[string]string{"PyPI": "pypi", "npm": "npm", "Go": "golang", "Maven": "maven", "Debian:12": "deb", "opam": "opam"}[ecosystem]
	p := seaworthy.Package{Ecosystem: typ, Name: "name", Version: version}
	if typ == "deb" {
		p.PURL = "pkg:deb/debian/name@1?distro=debian-12"
	}
	return p
}

func TestNotCompared(t *testing.T) {
	db := database(t,
		"a.json", osvRecord("X-1", "", affectedJSON("npm", "name", "SEMVER", `{"introduced":"0"}`)),
		"b.json", osvRecord("X-2", "", affectedJSON("opam", "name", "ECOSYSTEM", `{"introduced":"0"}`)),
		"c.json", osvRecord("X-3", "", affectedJSON("PyPI", "name", "GIT", `{"introduced":"0"}`)),
		"d.json", osvRecord("X-4", "", affectedJSON("Go", "name", "SEMVER", `{"introduced":"0"}`)),
		"e.json", osvRecord("X-5", "", affectedJSON("Debian:12", "name", "ECOSYSTEM", `{"introduced":"0"},{"fixed":"2"}`)),
	)
	long := strings.Repeat("1.", 400) + "0"
	for _, tc := range []struct{ ecosystem, version, advisory, reason string }{
		{"npm", "", "", "not known"},
		{"npm", "file:../x", "", "no version of npm"},
		{"npm", long, "", "over the limit"},
		{"opam", "1.0", "X-2", "the version order of opam is not known"},
		{"PyPI", "1.0", "X-3", "no order here"},
		{"Go", "(devel)", "", "no version of Go"},
		{"Debian:12", "a:b:c", "X-5", "no version of Debian"},
	} {
		r := run(t, db, bill(packageOf(tc.ecosystem, tc.version)))
		if len(r.Findings) != 0 || len(r.NotCompared) != 1 {
			t.Errorf("%s %.20q: %d findings, not compared %+v", tc.ecosystem, tc.version, len(r.Findings), r.NotCompared)
		} else if n := r.NotCompared[0]; n.Advisory != tc.advisory || !strings.Contains(n.Reason, tc.reason) {
			t.Errorf("%s %.20q: %+v, want advisory %q and reason %q", tc.ecosystem, tc.version, n, tc.advisory, tc.reason)
		}
	}
}

const trackerJSON = `{"openssl":{
"CVE-2024-1":{"description":"one","releases":{"bookworm":{"status":"resolved","fixed_version":"3.0.13-1","urgency":"low"}}},
"CVE-2024-2":{"releases":{"bookworm":{"status":"open","urgency":"unimportant","nodsa":"Minor issue","nodsa_reason":"ignored"},"trixie":{"status":"resolved","fixed_version":"0","urgency":"x"}}},
"CVE-2024-3":{"releases":{"bookworm":{"status":"undetermined","urgency":"x"},"trixie":{"status":"open","urgency":"not yet assigned"}}}}}`

func deb(name, version, source, distro string) seaworthy.Package {
	return seaworthy.Package{
		Ecosystem: "deb", Name: name, Version: version, Source: seaworthy.Upstream{Name: source},
		PURL: "pkg:deb/debian/" + name + "@" + version + "?arch=amd64&distro=" + distro,
	}
}

// TestDistroDecides checks that a deb is judged under its source package, by its own release only, and that what
// it installed is not judged again.
func TestDistroDecides(t *testing.T) {
	db := database(t,
		"tracker.json", trackerJSON,
		"ghsa.json", osvRecord("GHSA-1", `,"aliases":["CVE-2024-1"],"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}]`,
			affectedJSON("PyPI", "openssl", "ECOSYSTEM", `{"introduced":"0"}`)),
	)
	covered := seaworthy.Package{Ecosystem: "pypi", Name: "openssl", Version: "1.0", PURL: "pkg:pypi/openssl@1.0", CoveredBy: "p0"}
	r := run(t, db, bill(deb("libssl3", "3.0.11-1", "openssl", "debian-12"), covered))
	if r.CoveredBy != 1 || len(r.Findings) != 2 {
		t.Fatalf("%+v", r)
	}
	byID := map[string]seaworthy.Finding{}
	for _, f := range r.Findings {
		byID[f.ID] = f
	}
	one := byID["CVE-2024-1"]
	if one.Fixed != "3.0.13-1" || one.Fix != seaworthy.FixAvailable || one.Range != "<3.0.13-1" || !slices.Equal(one.Aliases, []string{"GHSA-1"}) {
		t.Errorf("%+v", one)
	}
	if one.Severity != seaworthy.SeverityLow || one.Score != 9.8 || len(one.Sources) != 1 || one.Sources[0].Source != "src (debian-tracker)" {
		t.Errorf("the distribution's word decides and the vector is still shown: %+v", one)
	}
	two := byID["CVE-2024-2"]
	if two.Fix != seaworthy.FixDeclined || two.Severity != seaworthy.SeverityNegligible ||
		!slices.Equal(two.Notes, []string{"urgency: unimportant", "no-dsa: Minor issue", "ignored"}) {
		t.Errorf("%+v", two)
	}
	// trixie was never affected by CVE-2024-2, and nothing of bookworm holds there.
	r = run(t, db, bill(deb("libssl3", "3.0.1-1", "openssl", "debian-13")))
	if len(r.Findings) != 1 || r.Findings[0].ID != "CVE-2024-3" {
		t.Errorf("%+v", r.Findings)
	}
	// A release that no source covers is said once, and never matched with anything else.
	r = run(t, db, bill(deb("libssl3", "1", "openssl", "debian-11"), deb("libcrypto3", "1", "openssl", "debian-11"), deb("openssl", "1", "", "")))
	want := []match.NotCovered{
		{Name: "debian", Packages: 1, Reason: "no advisories for debian in this database"},
		{Name: "debian-11", Packages: 2, Reason: "no advisories for debian-11 in this database"},
	}
	if diff := cmp.Diff(want, r.NotCovered); diff != "" || len(r.Findings) != 0 {
		t.Errorf("%s %+v", diff, r.Findings)
	}
}

func TestDistributions(t *testing.T) {
	for _, tc := range []struct{ ecosystem, purl, source, sourceVersion, version string }{
		{"Alpine:v3.18", "pkg:apk/alpine/libcrypto3@1.0-r0?distro=alpine-3.18.4", "openssl", "", "1.0-r0"},
		{"Alpine:edge", "pkg:apk/alpine/libcrypto3@1.0-r0?distro=alpine-edge", "openssl", "", "1.0-r0"},
		{"Wolfi", "pkg:apk/wolfi/libcrypto3@1.0-r0?distro=wolfi-20230201", "openssl", "", "1.0-r0"},
		{"Ubuntu:22.04:LTS", "pkg:deb/ubuntu/libssl3@1.0-1?distro=ubuntu-22.04", "openssl", "", "1.0-1"},
		{"Ubuntu:22.04:LTS", "pkg:deb/ubuntu/libssl3@1.0-1?distro=jammy", "openssl", "", "1.0-1"},
		{"Debian:12", "pkg:deb/debian/libssl3@1.0-1?distro=debian-bookworm&upstream=openssl@1.0-1", "", "", "1.0-1"},
		{"Rocky Linux:9", "pkg:rpm/rocky/openssl-libs@1.0-1.el9?distro=rocky-9.3", "openssl-1.0-1.el9.src.rpm", "", "1.0-1.el9"},
		{"AlmaLinux:9", "pkg:rpm/almalinux/openssl@1:1.0-1.el9?distro=almalinux-9.3", "", "", "1:1.0-1.el9"},
		{"Red Hat:enterprise_linux:9::baseos", "pkg:rpm/redhat/openssl@1.0-1.el9?distro=rhel-9.2", "", "", "1.0-1.el9"},
		{"openSUSE:Leap 15.5", "pkg:rpm/opensuse/openssl@1.0-1?distro=opensuse-leap-15.5", "", "", "1.0-1"},
		{"openSUSE:Tumbleweed", "pkg:rpm/opensuse/openssl@1.0-1?distro=opensuse-tumbleweed-20240101", "", "", "1.0-1"},
		{"SUSE:Linux Enterprise Server 15 SP5", "pkg:rpm/suse/openssl@1.0-1?distro=sles-15.5", "", "", "1.0-1"},
	} {
		db := database(t, "x.json", osvRecord("X-1", "", affectedJSON(tc.ecosystem, "openssl", "ECOSYSTEM", `{"introduced":"0"},{"fixed":"2:9"}`)+
			","+affectedJSON("Debian:99", "openssl", "ECOSYSTEM", `{"introduced":"0"}`)))
		if strings.HasPrefix(tc.ecosystem, "Alpine") || tc.ecosystem == "Wolfi" {
			db = database(t, "x.json", osvRecord("X-1", "", affectedJSON(tc.ecosystem, "openssl", "ECOSYSTEM", `{"introduced":"0"},{"fixed":"1.1-r0"}`)))
		}
		name := tc.purl[strings.LastIndexByte(tc.purl, '/')+1 : strings.IndexByte(tc.purl, '@')]
		typ := tc.purl[4:strings.IndexByte(tc.purl, '/')]
		p := seaworthy.Package{Ecosystem: typ, Name: name, Version: tc.version, PURL: tc.purl, Source: seaworthy.Upstream{Name: tc.source}}
		if r := run(t, db, bill(p)); len(r.Findings) != 1 {
			t.Errorf("%s in %s: %+v", tc.purl, tc.ecosystem, r)
		}
	}
}

// TestGroups checks alias joining, home databases and bundles.
func TestGroups(t *testing.T) {
	affected := func(fixed string) string {
		return affectedJSON("PyPI", "Name_X", "ECOSYSTEM", `{"introduced":"0"},{"fixed":"`+fixed+`"}`)
	}
	db := database(t,
		"a.json", osvRecord("GHSA-aaaa", `,"aliases":["CVE-2024-1"],"database_specific":{"severity":"HIGH"}`, affected("2.1")),
		"b.json", osvRecord("PYSEC-2024-1", `,"aliases":["CVE-2024-1","GHSA-aaaa"]`, affected("2.0")),
		"c.json", osvRecord("GHSA-bbbb", `,"aliases":["CVE-2024-2"]`, affected("2.2")),
		"d.json", osvRecord("NOTICE-1", `,"aliases":["CVE-2024-1","CVE-2024-2"]`, affected("3.0")),
		"e.json", osvRecord("NOTICE-2", `,"aliases":["CVE-2024-3","CVE-2024-4"]`, affected("3.0")),
		"f.json", osvRecord("GHSA-wwww", `,"withdrawn":"2024-02-02T00:00:00Z"`, affected("9")),
		"kev.json", `{"title":"t","dateReleased":"2024-03-03T00:00:00Z","vulnerabilities":[{"cveID":"CVE-2024-1","dateAdded":"2024-02-01","knownRansomwareCampaignUse":"Known"}]}`,
		"epss.csv", "#model_version:v1,score_date:2024-03-03T00:00:00+0000\ncve,epss,percentile\nCVE-2024-2,0.5,0.9\n",
	)
	r := run(t, db, bill(seaworthy.Package{Ecosystem: "pypi", Name: "name.x", Version: "1.0", PURL: "pkg:pypi/name-x@1.0"}))
	var got []string
	for _, f := range r.Findings {
		var from []string
		for _, s := range f.Sources {
			from = append(from, s.ID)
		}
		got = append(got, fmt.Sprintf("%s %v fixed %s %s risk %.2f by %v", f.ID, f.Aliases, f.Fixed, f.Severity, f.Risk, from))
	}
	want := []string{
		"CVE-2024-1 [GHSA-aaaa PYSEC-2024-1] fixed 2.0 high risk 82.50 by [PYSEC-2024-1 GHSA-aaaa NOTICE-1]",
		"CVE-2024-2 [GHSA-bbbb] fixed 2.2 unknown risk 25.00 by [GHSA-bbbb NOTICE-1]",
		"NOTICE-2 [CVE-2024-3 CVE-2024-4] fixed 3.0 unknown risk 0.00 by [NOTICE-2]",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if b, err := json.Marshal(r.Findings[0]); err != nil || !strings.Contains(string(b), `"severity":"high"`) {
		t.Errorf("%s %v", b, err)
	}
}

func TestVia(t *testing.T) {
	db := database(t, "a.json", osvRecord("X-1", "", affectedJSON("npm", "name", "SEMVER", `{"introduced":"0"}`)))
	named := func(ref string) seaworthy.Package {
		return seaworthy.Package{Ref: ref, Ecosystem: "npm", Name: "name", Version: "1.0.0", PURL: "pkg:npm/" + ref}
	}
	other := func(ref string) seaworthy.Package {
		return seaworthy.Package{Ref: ref, Name: ref, Role: seaworthy.Container}
	}
	b := bill(other("image"), other("layer"), other("app"), other("mid"), named("deep"), named("plain"), named("lost"), named("x"), named("y"))
	b.Roots = []string{"image"}
	relate := func(from string, typ seaworthy.RelationType, to string) {
		b.Relations = append(b.Relations, seaworthy.Relation{From: from, Type: typ, To: to})
	}
	relate("image", seaworthy.Contains, "layer")
	for _, ref := range []string{"app", "mid", "deep", "plain", "x", "y"} {
		relate("layer", seaworthy.Contains, ref)
	}
	relate("app", seaworthy.DependsOn, "mid")
	relate("mid", seaworthy.DependsOn, "deep")
	relate("deep", seaworthy.DependsOn, "app") // a cycle
	relate("x", seaworthy.DependsOn, "y")
	relate("y", seaworthy.DependsOn, "x") // a cycle that nothing leads to
	relate("deep", seaworthy.DependsOn, "nowhere")
	relate("deep", seaworthy.DependsOn, "deep")
	want := map[string]string{
		"deep": "image layer app mid pkg:npm/deep", "plain": "image layer pkg:npm/plain", "lost": "",
		"x": "image layer pkg:npm/x", "y": "image layer pkg:npm/y",
	}
	// app is needed by deep, so only the second walk reaches it: through what contains it.
	for _, f := range run(t, db, b).Findings {
		if got := strings.Join(f.Via, " "); got != want[f.Ref] && f.Ref != "deep" {
			t.Errorf("%s: %q, want %q", f.Ref, got, want[f.Ref])
		}
	}
	// Without the cycle the path follows the dependencies.
	b.Relations = slices.DeleteFunc(b.Relations, func(r seaworthy.Relation) bool { return r.From == "deep" && r.To == "app" })
	for _, f := range run(t, db, b).Findings {
		if got := strings.Join(f.Via, " "); f.Ref == "deep" && got != want["deep"] {
			t.Errorf("%s: %q, want %q", f.Ref, got, want["deep"])
		}
	}
}

// TestPackageURLDecides has bills that contradict themselves: what the package URL names is looked up whatever the
// component is called, and so is the name.
func TestPackageURLDecides(t *testing.T) {
	db := database(t,
		"a.json", osvRecord("X-1", "", affectedJSON("Go", "golang.org/x/text", "SEMVER", `{"introduced":"0"},{"fixed":"0.3.8"}`)),
		"b.json", osvRecord("X-2", "", affectedJSON("PyPI", "jinja2", "ECOSYSTEM", `{"introduced":"0"},{"fixed":"3"}`)),
	)
	const text = "pkg:golang/golang.org/x/text@v0.3.0"
	for _, tc := range []struct {
		what string
		p    seaworthy.Package
		want string
	}{
		{"as it should be", seaworthy.Package{Ecosystem: "golang", Name: "golang.org/x/text", Version: "v0.3.0", PURL: text}, "X-1"},
		{"another name", seaworthy.Package{Ecosystem: "golang", Name: "text", Version: "v0.3.0", PURL: text}, "X-1"},
		{"another version", seaworthy.Package{Ecosystem: "golang", Name: "golang.org/x/text", Version: "v0.9.0", PURL: text}, "X-1"},
		{"another package URL", seaworthy.Package{Ecosystem: "golang", Name: "golang.org/x/text", Version: "v0.3.0", PURL: "pkg:golang/example.com/other@v1.0.0"}, "X-1"},
		{"no package URL", seaworthy.Package{Ecosystem: "golang", Name: "golang.org/x/text", Version: "v0.3.0"}, "X-1"},
		{"a repaired version", seaworthy.Package{Ecosystem: "golang", Name: "golang.org/x/text", Version: "v0.3.8", PURL: "pkg:golang/golang.org/x/text@v0.3.8"}, ""},
		{"another spelling of one name", seaworthy.Package{Ecosystem: "pypi", Name: "Jinja2", Version: "2.0", PURL: "pkg:pypi/jinja2@2.0"}, "X-2"},
	} {
		got := ""
		for _, f := range run(t, db, bill(tc.p)).Findings {
			got += f.ID
		}
		if got != tc.want {
			t.Errorf("%s: found %q, want %q", tc.what, got, tc.want)
		}
	}
}

// TestLeastVersionIsNotCompared: the go line of go.mod says what is needed at least, not what is used.
func TestLeastVersionIsNotCompared(t *testing.T) {
	db := database(t, "a.json", osvRecord("X-1", "", affectedJSON("Go", "stdlib", "SEMVER", `{"introduced":"0"}`)))
	p := seaworthy.Package{Ecosystem: "golang", Name: "stdlib", Version: "1.21.0", PURL: "pkg:golang/stdlib@1.21.0"}
	if r := run(t, db, bill(p)); len(r.Findings) != 1 {
		t.Fatalf("a real version: %+v", r)
	}
	p.Properties = []seaworthy.Property{{Name: packages.LeastVersion, Value: "the go line of go.mod"}}
	if r := run(t, db, bill(p)); len(r.Findings) != 0 || len(r.NotCompared) != 1 {
		t.Errorf("a least version: %+v", r)
	}
}
