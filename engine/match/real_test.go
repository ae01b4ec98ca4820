package match_test

import (
	"archive/zip"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/semver"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/format/purl"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
)

const shared = "../../../shared/data/"

// realFile is a database of the real Go, PyPI and KEV data, built once for all tests.
var realFile = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "seaworthy-match-")
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "advisories.db")
	_, err = advisory.Build(context.Background(), []advisory.Input{
		{Path: shared + "osv/go.zip"},
		{Path: shared + "osv/pypi-yaml.zip"},
		{Path: shared + "kev/known_exploited_vulnerabilities.json"},
	}, file, advisory.BuildOptions{})
	return file, err
})

func TestMain(m *testing.M) {
	code := m.Run()
	if file, err := realFile(); err == nil {
		os.RemoveAll(filepath.Dir(file))
	}
	os.Exit(code)
}

func realDB(t testing.TB) *advisory.DB {
	t.Helper()
	if _, err := os.Stat(shared + "osv/go.zip"); err != nil {
		t.Skipf("SKIPPED: real advisory data is absent: %v", err)
	}
	file, err := realFile()
	if err != nil {
		t.Fatal(err)
	}
	db, err := advisory.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// goRecord is a Go advisory as this test's own, much simpler reader sees it.
type goRecord struct {
	ID        string
	Withdrawn string
	Affected  []struct {
		Package struct{ Name string }
		Ranges  []struct {
			Events []struct{ Introduced, Fixed string }
		}
	}
}

func goRecords(t testing.TB) []goRecord {
	t.Helper()
	z, err := zip.OpenReader(shared + "osv/go.zip")
	if err != nil {
		t.Skipf("SKIPPED: real advisory data is absent: %v", err)
	}
	defer z.Close()
	var out []goRecord
	for _, f := range z.File {
		if !strings.HasSuffix(f.Name, ".json") {
			continue
		}
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(r)
		r.Close()
		var rec goRecord
		if err := json.Unmarshal(b, &rec); err != nil {
			t.Fatal(err)
		}
		if rec.Withdrawn == "" {
			out = append(out, rec)
		}
	}
	return out
}

// oracle says what the Go database says of a module version, by golang.org/x/mod/semver and sorted events.
func oracle(records []goRecord, module, version string) (ids []string) {
	v := "v" + strings.TrimPrefix(version, "v")
	for _, rec := range records {
		for _, a := range rec.Affected {
			if a.Package.Name != module {
				continue
			}
			for _, r := range a.Ranges {
				state := false
				for _, e := range r.Events { // the Go database keeps them sorted
					switch {
					case e.Introduced == "0" || e.Introduced != "" && semver.Compare(v, "v"+e.Introduced) >= 0:
						state = true
					case e.Fixed != "" && semver.Compare(v, "v"+e.Fixed) >= 0:
						state = false
					}
				}
				if state && !slices.Contains(ids, rec.ID) {
					ids = append(ids, rec.ID)
				}
			}
		}
	}
	slices.Sort(ids)
	return ids
}

// goIDs are the Go advisories of some findings.
func goIDs(findings []seaworthy.Finding) (ids []string) {
	for _, f := range findings {
		for _, s := range f.Sources {
			if strings.HasPrefix(s.ID, "GO-") && !slices.Contains(ids, s.ID) {
				ids = append(ids, s.ID)
			}
		}
	}
	slices.Sort(ids)
	return ids
}

func goPackage(module, version string) seaworthy.Package {
	return seaworthy.Package{
		Ref: module + "@" + version, Ecosystem: "golang", Name: module, Version: version, PURL: purl.Golang(module, version),
	}
}

// TestGoDatabaseAgrees asks for every version that the Go database names, one before and one after it, of every
// module, and compares with an independent reading of the records.
func TestGoDatabaseAgrees(t *testing.T) {
	db := realDB(t)
	records := goRecords(t)
	byModule := map[string][]goRecord{}
	versions := map[string]map[string]bool{}
	for _, rec := range records {
		for _, a := range rec.Affected {
			name := a.Package.Name
			if n := byModule[name]; len(n) == 0 || n[len(n)-1].ID != rec.ID {
				byModule[name] = append(byModule[name], rec)
			}
			if versions[name] == nil {
				versions[name] = map[string]bool{"v0.0.0-20190101000000-0123456789ab": true, "v99.0.0": true, "v1.2.3+incompatible": true}
			}
			for _, r := range a.Ranges {
				for _, e := range r.Events {
					if v := e.Introduced + e.Fixed; v != "0" {
						versions[name]["v"+v] = true
						versions[name]["v"+v+"-0.20200101000000-0123456789ab"] = true
						versions[name]["v"+v+".1"] = strings.ContainsAny(v, "-+")
					}
				}
			}
		}
	}
	bill := &seaworthy.Bill{}
	want := map[string][]string{}
	for i, module := range slices.Sorted(maps.Keys(versions)) {
		if i%4 != 0 && os.Getenv("SEAWORTHY_TEST_ALL") == "" {
			continue // a quarter is enough every day
		}
		for v := range versions[module] {
			if !semver.IsValid(v) {
				continue
			}
			p := goPackage(module, v)
			bill.Packages = append(bill.Packages, p)
			want[p.Ref] = oracle(byModule[module], module, v)
		}
	}
	result, err := match.Packages(context.Background(), db, bill, match.Options{})
	if err != nil {
		t.Fatal(err)
	}
	byRef := map[string][]seaworthy.Finding{}
	for _, f := range result.Findings {
		byRef[f.Ref] = append(byRef[f.Ref], f)
	}
	hits, wrong := 0, 0
	for ref, ids := range want {
		hits += len(ids)
		if diff := cmp.Diff(ids, goIDs(byRef[ref])); diff != "" {
			if wrong++; wrong < 5 {
				t.Errorf("%s (-Go database +ours):\n%s", ref, diff)
			}
		}
	}
	t.Logf("%d module versions, %d affected pairs, %d wrong, %d not compared", len(want), hits, wrong, len(result.NotCompared))
	if hits < 1000 {
		t.Errorf("only %d pairs were expected: the test lost its data", hits)
	}
}

// TestRealBinary matches the modules that a real Go binary carries, and those of the binaries that
// SEAWORTHY_TEST_BINARIES names. testdata/vulnbin.modules is what the linker wrote into a program that uses gin,
// grpc, x/net, x/crypto, x/text and yaml in versions of 2021 to 2023; the standard library is taken to be that of go1.20.1.
func TestRealBinary(t *testing.T) {
	db := realDB(t)
	records := goRecords(t)
	text, err := os.ReadFile("testdata/vulnbin.modules")
	if err != nil {
		t.Fatal(err)
	}
	built, err := debug.ParseBuildInfo(string(text))
	if err != nil {
		t.Fatal(err)
	}
	built.GoVersion = "go1.20.1"
	infos := map[string]*debug.BuildInfo{"vulnbin": built}
	for _, file := range strings.Fields(os.Getenv("SEAWORTHY_TEST_BINARIES")) {
		if infos[file], err = buildinfo.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	for file, info := range infos {
		bill := &seaworthy.Bill{Packages: []seaworthy.Package{goPackage("stdlib", info.GoVersion)}}
		want := oracle(records, "stdlib", strings.TrimPrefix(info.GoVersion, "go"))
		for _, d := range info.Deps {
			bill.Packages = append(bill.Packages, goPackage(d.Path, d.Version))
			want = append(want, oracle(records, d.Path, d.Version)...)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		result, err := match.Packages(context.Background(), db, bill, match.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, goIDs(result.Findings)); diff != "" {
			t.Errorf("%s (-Go database +ours):\n%s", file, diff)
		}
		t.Logf("%s: %s, %d modules, %d advisories", file, info.GoVersion, len(info.Deps), len(want))
		if file == "vulnbin" && (len(info.Deps) < 15 || len(want) < 30) {
			t.Errorf("%d modules and %d advisories: the test lost its data", len(info.Deps), len(want))
		}
	}
}
