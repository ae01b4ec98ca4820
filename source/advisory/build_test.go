package advisory_test

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

const shared = "../../../shared/data/"

// realInputs are the Go, PyPI and KEV data; the test is skipped when they are absent.
func realInputs(t testing.TB) []advisory.Input {
	t.Helper()
	in := []advisory.Input{
		{Path: shared + "osv/go.zip"},
		{Path: shared + "osv/pypi-yaml.zip"},
		{Path: shared + "kev/known_exploited_vulnerabilities.json"},
	}
	for _, i := range in {
		if _, err := os.Stat(i.Path); err != nil {
			t.Skipf("SKIPPED: real advisory data is absent: %v", err)
		}
	}
	return in
}

func TestRealData(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	start := time.Now()
	sum, err := advisory.Build(context.Background(), realInputs(t), file, advisory.BuildOptions{})
	t.Logf("built in %v: %+v", time.Since(start), sum)
	if err != nil {
		t.Fatal(err)
	}
	if sum.Records != 4291-17+2661-sum.Sources[1].Withdrawn || sum.Sources[2].Facts != 1404 || sum.Malformed != 0 {
		t.Errorf("%+v", sum)
	}
	start = time.Now()
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	t.Logf("opened in %v", time.Since(start))
	if err := db.Verify(context.Background()); err != nil {
		t.Error(err)
	}
	list, err := db.Lookup("Go", "google.golang.org/grpc")
	if err != nil || len(list) < 2 {
		t.Fatalf("%d advisories, error %v", len(list), err)
	}
	adv, err := db.Advisory("GHSA-m425-mq94-257g")
	if err != nil {
		t.Fatal(err)
	}
	if adv.ID != "GHSA-m425-mq94-257g" || !slices.Equal(adv.Aliases, []string{"GO-2023-2153"}) || len(adv.Records) != 1 {
		t.Errorf("%+v", adv.Group)
	}
	adv, err = db.Advisory("PYSEC-2023-58") // werkzeug
	if err != nil || adv.ID != "CVE-2023-25577" || adv.Records[0].Packages[0] != (advisory.Name{Ecosystem: "PyPI", Name: "werkzeug"}) {
		t.Errorf("%+v %v", adv, err)
	}
	if adv.Records[0].Details == "" {
		t.Error("an advisory is shown without its details")
	}
	if kev, err := db.KEV("CVE-2025-48384"); err != nil || kev == nil || kev.Added != "2025-08-25" {
		t.Errorf("%+v %v", kev, err)
	}
	if _, err := db.Advisory("CVE-1900-0000"); seaworthy.CodeOf(err) != seaworthy.NotFound {
		t.Errorf("error %v, want not-found", err)
	}
}

// files writes name, content, name, content … to a new directory.
func files(t testing.TB, list ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(list); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, list[i]), []byte(list[i+1]), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const (
	recordA = `{"id":"GHSA-aaaa","modified":"2024-01-02T00:00:00Z","aliases":["CVE-2024-1111"],"summary":"a","details":"long",
"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"},{"type":"CVSS_V4","score":"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"}],
"references":[{"type":"WEB","url":"https://example.test/a"}],
"affected":[{"package":{"ecosystem":"PyPI","name":"Foo_Bar"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"1.1"}]}],"versions":["1.0"]}]}`
	recordB   = "id: PYSEC-2024-1\nmodified: 2024-01-03T00:00:00Z\naliases: [CVE-2024-1111]\naffected:\n- package: {ecosystem: PyPI, name: foo.bar}\n  versions: ['1.0', 1.1]\n"
	withdrawn = `{"id":"GHSA-wwww","withdrawn":"2024-01-02T00:00:00Z","affected":[{"package":{"ecosystem":"PyPI","name":"foo"}}]}`
	secdb     = `{"distroversion":"v3.18","reponame":"main","packages":[{"pkg":{"name":"busybox","secfixes":{"1.36.1-r2":["CVE-2022-48174"],"0":["CVE-2022-30065"]}}}]}`
	tracker   = `{"zlib":{"CVE-2022-37434":{"releases":{"bookworm":{"status":"resolved","fixed_version":"1:1.2.11","urgency":"low"}}}}}`
	kev       = `{"title":"t","dateReleased":"2024-05-05T00:00:00Z","vulnerabilities":[{"cveID":"CVE-2024-1111","dateAdded":"2024-04-04","knownRansomwareCampaignUse":"Known"}]}`
	epss      = "#model_version:v1,score_date:2024-06-06T00:00:00+0000\ncve,epss,percentile\nCVE-2024-1111,0.12345,0.987654321\n"
)

func small(t testing.TB) string {
	return files(t, "a.json", recordA, "b.yaml", recordB, "GHSA-w.json", withdrawn, "secdb.json", secdb, "tracker.json", tracker,
		"kev.json", kev, "epss.csv", epss, "README.md", "# none", ".hidden.json", "{")
}

func build(t testing.TB, dir string, opts advisory.BuildOptions) (string, advisory.Summary) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "a.db")
	sum, err := advisory.Build(context.Background(), []advisory.Input{{Path: dir, Name: "small", ModTime: time.Unix(1700000000, 0)}}, file, opts)
	if err != nil {
		t.Fatalf("%v %+v", err, sum)
	}
	return file, sum
}

func TestEveryKindOfSource(t *testing.T) {
	file, sum := build(t, small(t), advisory.BuildOptions{})
	var got []string
	for _, s := range sum.Sources {
		got = append(got, fmt.Sprintf("%s %s %s records %d withdrawn %d facts %d", s.Name, s.Date.Format(time.DateOnly), s.DateOf, s.Records, s.Withdrawn, s.Facts))
	}
	want := []string{
		"small (osv) 2024-01-03 data records 2 withdrawn 1 facts 0",
		"small (epss) 2024-06-06 data records 0 withdrawn 0 facts 1",
		"small (kev) 2024-05-05 data records 0 withdrawn 0 facts 1",
		"small (alpine-secdb) 2023-11-14 file records 2 withdrawn 0 facts 0",
		"small (debian-tracker) 2023-11-14 file records 1 withdrawn 0 facts 0",
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	list, err := db.Lookup("PyPI", "FOO--bar")
	if err != nil || len(list) != 2 {
		t.Fatalf("%+v %v", list, err)
	}
	var versions []string
	list[1].EachVersion(func(b []byte) bool { versions = append(versions, string(b)); return true })
	if !slices.Equal(versions, []string{"1.0", "1.1"}) {
		t.Errorf("versions %q", versions)
	}
	adv, err := db.Advisory("PYSEC-2024-1")
	if err != nil {
		t.Fatal(err)
	}
	if adv.ID != "CVE-2024-1111" || !slices.Equal(adv.Aliases, []string{"GHSA-aaaa", "PYSEC-2024-1"}) || len(adv.Records) != 2 {
		t.Errorf("%+v", adv.Group)
	}
	if adv.KEV == nil || !adv.KEV.Ransomware || adv.EPSS == nil || *adv.EPSS != (seaworthy.EPSS{Probability: 0.12345, Percentile: 0.987654321}) {
		t.Errorf("%+v %+v", adv.KEV, adv.EPSS)
	}
	wantRatings := []advisory.Rating{
		{Type: "CVSS_V3", Text: "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", Score: 9.8, Severity: seaworthy.SeverityCritical},
		{Type: "CVSS_V4", Text: "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", Score: 9.3, Severity: seaworthy.SeverityCritical},
	}
	if diff := cmp.Diff(wantRatings, adv.Records[0].Ratings); diff != "" {
		t.Error(diff)
	}
	if list, err := db.Lookup("Alpine:v3.18", "busybox"); err != nil || len(list) != 2 || len(list[0].Ranges)+len(list[1].Ranges) != 1 {
		t.Errorf("%+v %v", list, err)
	}
}

// TestSameInputSameBytes builds from a directory, with different numbers of workers, and from a zip of it.
func TestSameInputSameBytes(t *testing.T) {
	dir := small(t)
	var first []byte
	for _, workers := range []int{1, 2, 8} {
		file, _ := build(t, dir, advisory.BuildOptions{Workers: workers})
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b
		} else if !bytes.Equal(first, b) {
			t.Errorf("%d workers give other bytes than 1", workers)
		}
	}
}

func TestMalformed(t *testing.T) {
	dir := files(t, "a.json", recordA, "GHSA-bad.json", `{"id":"GHSA-bad","affected":{}}`, "GO-cut.json", `{"id":"GO-cut"`, "tracker.json", tracker+"x",
		"kev.json", `{"title":"t","vulnerabilities":[{"cveID":"x"},{"cveID":"CVE-2024-1111"}]}`)
	file := filepath.Join(t.TempDir(), "a.db")
	sum, err := advisory.Build(context.Background(), []advisory.Input{{Path: dir, Name: "bad"}}, file, advisory.BuildOptions{})
	if seaworthy.CodeOf(err) != seaworthy.Incomplete || seaworthy.ExitStatus(err) != 1 || !strings.Contains(err.Error(), "GHSA-bad.json") {
		t.Errorf("error %v", err)
	}
	var where []string
	for _, p := range sum.Problems {
		where = append(where, p.Where)
	}
	if diff := cmp.Diff([]string{"bad: GHSA-bad.json", "bad: GO-cut.json", "bad: kev.json x"}, where); diff != "" || sum.Malformed != 3 {
		t.Errorf("%d malformed: %s", sum.Malformed, diff)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatalf("the rest was not built: %v", err)
	}
	defer db.Close()
	if _, err := db.Advisory("CVE-2024-1111"); err != nil {
		t.Error(err)
	}
	if _, err := advisory.Build(context.Background(), []advisory.Input{{Path: dir}}, file, advisory.BuildOptions{KeepGoing: true}); err != nil {
		t.Errorf("--keep-going: %v", err)
	}
}

func TestNothingToBuild(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.db")
	os.WriteFile(file, []byte("old"), 0o644)
	for name, tc := range map[string]struct {
		path string
		code seaworthy.Code
	}{"empty": {files(t), seaworthy.Invalid}, "absent": {file + "x", seaworthy.NotFound}, "text": {files(t, "x.txt", "x"), seaworthy.Invalid}} {
		_, err := advisory.Build(context.Background(), []advisory.Input{{Path: tc.path}}, file, advisory.BuildOptions{})
		if seaworthy.CodeOf(err) != tc.code {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if b, _ := os.ReadFile(file); string(b) != "old" {
		t.Error("what was there is gone")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); left != nil {
		t.Errorf("temporary files are left: %v", left)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := advisory.Build(ctx, []advisory.Input{{Path: small(t)}}, file, advisory.BuildOptions{}); seaworthy.CodeOf(err) != seaworthy.Interrupted {
		t.Errorf("cancelled: error %v", err)
	}
}

// TestZipBomb checks that one record cannot fill the memory: a zip member of 64 MiB of blanks is 64 KiB.
func TestZipBomb(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, _ := z.Create("GHSA-bomb.json")
	w.Write([]byte(`{"id":"GHSA-bomb","details":"`))
	for range 64 {
		w.Write(bytes.Repeat([]byte(" "), 1<<20))
	}
	w, _ = z.Create("a.json")
	w.Write([]byte(recordA))
	z.Close()
	dir := files(t, "x.zip", b.String())
	sum, err := advisory.Build(context.Background(), []advisory.Input{{Path: filepath.Join(dir, "x.zip")}}, filepath.Join(dir, "a.db"), advisory.BuildOptions{})
	if seaworthy.CodeOf(err) != seaworthy.Incomplete || sum.Records != 1 || sum.Problems[0].Code != seaworthy.TooLarge || sum.Problems[0].Where != "x.zip!GHSA-bomb.json" {
		t.Errorf("%v %+v", err, sum)
	}
}

// answers asks a database everything there is in the small one.
func answers(db *advisory.DB) (out []string, err error) {
	say := func(v any, e error) {
		if e != nil && seaworthy.CodeOf(e) != seaworthy.NotFound {
			err = e
			return
		}
		b, _ := json.Marshal(v)
		out = append(out, string(b))
	}
	for _, q := range [][2]string{{"PyPI", "foo-bar"}, {"Alpine:v3.18", "busybox"}, {"Debian:12", "zlib"}, {"PyPI", "none"}} {
		list, e := db.Lookup(q[0], q[1])
		say(list, e)
		for i := range list {
			e := list[i].EachVersion(func(b []byte) bool { say(string(b), nil); return true })
			say(nil, e)
			r, e := db.Record(list[i].Record)
			say(r, e)
		}
	}
	for _, id := range []string{"CVE-2024-1111", "GHSA-aaaa", "CVE-2022-48174", "none"} {
		adv, e := db.Advisory(id)
		say(adv, e)
	}
	return out, err
}

func TestDamageIsFound(t *testing.T) {
	file, _ := build(t, small(t), advisory.BuildOptions{})
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	want, err := answers(db)
	db.Close()
	if err != nil || len(want) < 12 {
		t.Fatalf("%d answers, %v", len(want), err)
	}
	try := func(what string, b []byte) {
		bad := filepath.Join(t.TempDir(), "bad.db")
		os.WriteFile(bad, b, 0o644)
		db, err := advisory.Open(bad)
		if err == nil {
			defer db.Close()
			var got []string
			if got, err = answers(db); err == nil && !slices.Equal(got, want) {
				t.Errorf("%s: another answer and no error", what)
			}
		}
		if err == nil {
			err = db.Verify(context.Background())
		}
		if err == nil {
			t.Errorf("%s: not noticed", what)
		} else if code := seaworthy.CodeOf(err); code != seaworthy.Mismatch && code != seaworthy.Invalid || seaworthy.HintOf(err) == "" {
			t.Errorf("%s: %v (code %s)", what, err, code)
		}
	}
	for i := 0; i < len(good); i += 5 {
		b := bytes.Clone(good)
		b[i] ^= 1 << (i % 8)
		try(fmt.Sprintf("bit flipped at %d", i), b)
	}
	for i := 0; i < len(good); i += 97 {
		try(fmt.Sprintf("cut at %d", i), good[:i])
	}
	try("longer", append(bytes.Clone(good), 0))
}

func TestUpdate(t *testing.T) {
	dir := small(t)
	file, _ := build(t, dir, advisory.BuildOptions{})
	good, _ := os.ReadFile(file)
	body := good
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/db":
			w.Write(body)
		case "/plain":
			http.Redirect(w, r, "http://127.0.0.1:1/db", http.StatusFound)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	opts := advisory.UpdateOptions{HTTP: server.Client(), OCI: func(_ context.Context, ref string) (io.ReadCloser, error) {
		if ref != "registry.test/advisories:1" {
			return nil, seaworthy.Errorf(seaworthy.NotFound, "no %q", ref)
		}
		return io.NopCloser(bytes.NewReader(good)), nil
	}}
	to := filepath.Join(t.TempDir(), "b.db")
	for _, from := range []string{file, dir, server.URL + "/db", "oci://registry.test/advisories:1", "registry.test/advisories:1"} {
		os.Remove(to)
		sources, err := advisory.Update(context.Background(), from, to, opts)
		if err != nil || len(sources) != 5 {
			t.Errorf("%s: %d sources, %v", from, len(sources), err)
		}
	}
	os.WriteFile(to, good, 0o644)
	body = append(bytes.Clone(good[:len(good)-1]), good[len(good)-1]^1)
	for from, code := range map[string]seaworthy.Code{
		server.URL + "/db": seaworthy.Mismatch, server.URL + "/none": seaworthy.NotFound, server.URL + "/plain": seaworthy.Unavailable,
		"http://example.test/db": seaworthy.Forbidden, "nowhere": seaworthy.NotFound, "oci://x/y:z": seaworthy.NotFound,
	} {
		if _, err := advisory.Update(context.Background(), from, to, opts); seaworthy.CodeOf(err) != code {
			t.Errorf("%s: error %v, want code %s", from, err, code)
		}
		if b, _ := os.ReadFile(to); !bytes.Equal(b, good) {
			t.Fatalf("%s: the good one is gone", from)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(to), ".*")); left != nil {
		t.Errorf("temporary files are left: %v", left)
	}
}

func TestStale(t *testing.T) {
	now := time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)
	sources := []advisory.Source{{Name: "new", Date: now.Add(-time.Hour)}, {Name: "old", Date: now.Add(-50 * time.Hour)}}
	if err := advisory.Stale(sources, now, 0); err != nil {
		t.Error(err)
	}
	err := advisory.Stale(sources, now, 48*time.Hour)
	if seaworthy.CodeOf(err) != seaworthy.Stale || !strings.Contains(err.Error(), "old (50h0m0s old)") || strings.Contains(err.Error(), "new") {
		t.Errorf("%v", err)
	}
}

func TestRatings(t *testing.T) {
	for vector, want := range map[string]string{
		"AV:N/AC:L/Au:N/C:P/I:P/A:P":                                      "CVSS_V2 7.5 high",
		"CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N":                    "CVSS_V3 6.1 medium",
		"CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N":                    "CVSS_V3 0.0 negligible",
		"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:L/SC:N/SI:N/SA:N": "CVSS_V4 6.9 medium",
	} {
		r, ok := advisory.RateVector(vector)
		if got := fmt.Sprintf("%s %.1f %s", r.Type, r.Score, r.Severity); !ok || got != want {
			t.Errorf("%s: %s %v, want %s", vector, got, ok, want)
		}
	}
	for _, bad := range []string{"", "CVSS:3.1/", "CVSS:9.9/AV:N", "high"} {
		if _, ok := advisory.RateVector(bad); ok {
			t.Errorf("%q was rated", bad)
		}
	}
	for word, want := range map[string]seaworthy.Severity{"MODERATE": seaworthy.SeverityMedium, "Important": seaworthy.SeverityHigh, "high**": seaworthy.SeverityHigh, "unimportant": seaworthy.SeverityNegligible} {
		if r, ok := advisory.RateWord(word); !ok || r.Severity != want {
			t.Errorf("%s: %v", word, r)
		}
	}
	if _, ok := advisory.RateWord("not yet assigned"); ok {
		t.Error("not yet assigned was rated")
	}
}

// TestSourceNames checks that exports that are all called alike are told apart.
func TestSourceNames(t *testing.T) {
	dir := t.TempDir()
	var in []advisory.Input
	for _, name := range []string{"a/x.json", "b/x.json", "npm/all.json"} {
		p := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(p), 0o755)
		os.WriteFile(p, []byte(recordA), 0o644)
		in = append(in, advisory.Input{Path: p})
	}
	sum, err := advisory.Build(context.Background(), in, filepath.Join(dir, "a.db"), advisory.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range sum.Sources {
		names = append(names, s.Name)
	}
	if diff := cmp.Diff([]string{"x.json", "b/x.json", "all.json"}, names); diff != "" {
		t.Error(diff)
	}
}
