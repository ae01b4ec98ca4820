package packages

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
)

func pkg(name, purl string) seaworthy.Package {
	return seaworthy.Package{Ecosystem: "test", Name: name, Version: "1", PURL: purl}
}

func TestJoinRefs(t *testing.T) {
	facts := []Facts{
		{By: "one", Path: "b/x", Packages: []seaworthy.Package{pkg("x", "pkg:npm/x@1")}},
		{By: "one", Path: "a/x", Packages: []seaworthy.Package{pkg("x", "pkg:npm/x@1")}},
		{By: "two", Path: "a/x", Packages: []seaworthy.Package{{Ecosystem: "test", Name: "x", Version: "1", PURL: "pkg:npm/x@1", Homepage: "h"}}},
		{By: "two", Path: "c", Packages: []seaworthy.Package{pkg("y", "")}, Problems: []seaworthy.Problem{{Code: seaworthy.Invalid, Detail: "d"}}},
	}
	inv := Join(facts)
	var got []string
	for _, p := range inv.Packages {
		var by []string
		for _, e := range p.Evidence {
			by = append(by, e.By+" "+e.Path)
		}
		got = append(got, p.Ref+": "+strings.Join(by, ", ")+" "+p.Homepage)
	}
	want := []string{"pkg:npm/x@1: one a/x, two a/x h", "pkg:npm/x@1#" + got[1][len("pkg:npm/x@1#"):][:12] + ": one b/x ", "test:y@1: two c "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("packages (-want +got):\n%s", diff)
	}
	if len(inv.Problems) != 1 || inv.Problems[0].Where != "c" {
		t.Errorf("problems %v", inv.Problems)
	}
	if facts[0].Packages[0].Ref != "" || facts[0].Packages[0].Evidence != nil {
		t.Error("Join changed its Facts")
	}
	for seed := range 20 {
		mixed := slices.Clone(facts)
		rand.New(rand.NewSource(int64(seed))).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if diff := cmp.Diff(inv, Join(mixed)); diff != "" {
			t.Fatalf("another order gives another inventory:\n%s", diff)
		}
	}
}

// TestJoinRelations follows relations to the final Refs, and reports those that lead nowhere.
func TestJoinRelations(t *testing.T) {
	table := []Recogniser{{Name: "r", Join: func(_ Context, all []Facts) Joined {
		var out Joined
		for i, f := range all {
			p := f.Packages[0]
			p.Ref = fmt.Sprint("local-", i)
			out.Packages = append(out.Packages, p)
		}
		out.Relations = []seaworthy.Relation{
			{From: "local-1", Type: seaworthy.DependsOn, To: "local-0"},
			{From: "local-1", Type: seaworthy.DependsOn, To: "local-0"},
			{From: "local-0", Type: seaworthy.DependsOn, To: "nobody"},
		}
		return out
	}}}
	inv := joinWith(table, []Facts{
		{By: "r", Path: "a", Packages: []seaworthy.Package{pkg("x", "pkg:npm/x@1")}},
		{By: "r", Path: "b", Packages: []seaworthy.Package{pkg("x", "pkg:npm/x@1")}},
	})
	if len(inv.Relations) != 1 || inv.Relations[0].To != "pkg:npm/x@1" || inv.Relations[0].From != inv.Packages[1].Ref {
		t.Errorf("relations %v", inv.Relations)
	}
	if len(inv.Problems) != 1 {
		t.Errorf("problems %v", inv.Problems)
	}
}

func TestCovered(t *testing.T) {
	deb := func(name string, files ...string) seaworthy.Package {
		p := seaworthy.Package{Ecosystem: "deb", Name: name, Version: "1"}
		for _, f := range files {
			p.Files = append(p.Files, seaworthy.OwnedFile{Path: f})
		}
		return p
	}
	inv := joinWith(nil, []Facts{
		{By: "dpkg", Path: "s", Packages: []seaworthy.Package{
			deb("python3-six", "usr/lib/python3/dist-packages/six-1.egg-info"), deb("go-tool", "bin/tool"), deb("java", "usr/share/java/a.jar"),
			deb("other", "lib/exact"), deb("right", "usr/lib/exact"),
		}},
		{By: "python", Path: "usr/lib/python3/dist-packages/six-1.egg-info", Packages: []seaworthy.Package{pkg("six", "pkg:pypi/six@1")}},
		{By: "go", Path: "usr/bin/tool", Packages: []seaworthy.Package{pkg("tool", "pkg:golang/tool@1")}},
		{By: "jar", Path: "usr/share/java/a.jar", Packages: []seaworthy.Package{{
			Ecosystem: "maven", Name: "b", PURL: "pkg:maven/b/b@1",
			Evidence: []seaworthy.Evidence{{Path: "usr/share/java/a.jar!b.jar", By: "jar"}},
		}}},
		{By: "npm", Path: "usr/lib/exact", Packages: []seaworthy.Package{pkg("e", "pkg:npm/e@1")}},
		{By: "npm", Path: "home/me/x", Packages: []seaworthy.Package{pkg("mine", "pkg:npm/mine@1")}},
	})
	got := make(map[string]string)
	for _, p := range inv.Packages {
		if p.Ecosystem != "deb" {
			got[p.Name] = p.CoveredBy
		}
	}
	want := map[string]string{"six": "deb:python3-six@1", "tool": "deb:go-tool@1", "b": "deb:java@1", "e": "deb:right@1", "mine": ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("covered by (-want +got):\n%s", diff)
	}
	if len(inv.Relations) != 4 || inv.Relations[0].Type != seaworthy.CoveredBy {
		t.Errorf("relations %v", inv.Relations)
	}
}

// BenchmarkJoin joins 550 debs with 40,000 files and 1,700 language packages.
func BenchmarkJoin(b *testing.B) {
	status := Facts{By: "dpkg", Path: dpkgStatus}
	facts := []Facts{{By: "os-release", Path: "etc/os-release", Release: &OSRelease{ID: "debian", VersionID: "12"}}}
	for i := range 550 {
		name := fmt.Sprintf("package-%d", i)
		status.Packages = append(status.Packages, seaworthy.Package{
			Ecosystem: "deb", Name: name, Version: "1.0-1", Arch: "amd64",
			Source: seaworthy.Upstream{Name: name, Version: "1.0-1"}, Depends: []seaworthy.Dependency{{Name: "package-0"}, {Name: fmt.Sprintf("package-%d", i/2)}},
		})
		list, sums := Facts{By: "dpkg", Path: dpkgInfo + name + ".list", About: name}, Facts{By: "dpkg", Path: dpkgInfo + name + ".md5sums", About: name}
		for k := range 73 {
			path := fmt.Sprintf("usr/share/%s/directory/file-%d", name, k)
			list.Files = append(list.Files, seaworthy.OwnedFile{Path: path})
			sums.Files = append(sums.Files, seaworthy.OwnedFile{Path: path, Digest: "md5:d41d8cd98f00b204e9800998ecf8427e"})
		}
		facts = append(facts, list, sums)
	}
	facts = append(facts, status)
	for i := range 1700 {
		facts = append(facts, Facts{
			By: "other", Path: fmt.Sprintf("usr/share/package-%d/directory/file-%d", i%550, i/550),
			Packages: []seaworthy.Package{pkg(fmt.Sprint("l", i), fmt.Sprintf("pkg:npm/l%d@1", i))},
		})
	}
	b.ReportAllocs()
	for b.Loop() {
		if inv := Join(facts); len(inv.Packages) != 2250 {
			b.Fatal(len(inv.Packages))
		}
	}
}
