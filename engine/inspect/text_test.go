package inspect_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
)

func text(t testing.TB, r *inspect.Report, only int) string {
	t.Helper()
	var b strings.Builder
	if err := r.Text(&b, only); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// copyright is a machine-readable copyright file of a package.
func copyright(name string, licences ...string) makeimage.File {
	body := "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"
	for _, l := range licences {
		body += "\nFiles: " + l + "/*\nCopyright: x\nLicense: " + l + "\n"
	}
	return file("usr/share/doc/"+name+"/copyright", body)
}

func TestRemovedPackagesKeepTheirLicence(t *testing.T) {
	r := run(t,
		makeimage.Layer{Files: []makeimage.File{release, dpkg("libc6 2.36")}},
		makeimage.Layer{Files: []makeimage.File{dpkg("libc6 2.36", "jq 1.6"), copyright("jq", "MIT")}, History: "RUN install jq"},
		makeimage.Layer{Files: []makeimage.File{dpkg("libc6 2.36")}, Whiteouts: []string{"usr/share/doc/jq"}, History: "RUN remove jq"},
	)
	for i, want := range []string{"added jq MIT true", "removed jq MIT false"} {
		c := r.Layers[i+1].Packages[0]
		if got := string(c.Change) + " " + c.Name + " " + c.Licence + map[bool]string{true: " true", false: " false"}[c.Gone]; got != want {
			t.Errorf("layer %d: %s, want %s", i+2, got, want)
		}
	}
}

func TestTextWrapsLongLicences(t *testing.T) {
	many := []string{"Apache-2.0", "BSD-3-Clause", "GPL-2.0-or-later", "ISC", "LGPL-2.1-or-later", "MIT"}
	r := run(t, makeimage.Layer{Files: []makeimage.File{release, dpkg("a 1.0", "b 2.0"), copyright("a", many...), copyright("b", "MIT")}, History: "ADD rootfs in / "})
	got := text(t, r, 0)
	want := `	Packages found in Layer:
	Package  Version  License(s)                                       Pkg Format  Change
	a        1.0      Apache-2.0 AND BSD-3-Clause AND GPL-2.0-or-later deb         added
	                  AND ISC AND LGPL-2.1-or-later AND MIT
	b        2.0      MIT                                              deb         added
`
	_, table, ok := strings.Cut(got, "var/lib/dpkg/status\n\n")
	if !ok {
		t.Fatal(got)
	}
	table, _, _ = strings.Cut(table, "\n####")
	// How wide the column is, the longest line decides.
	squeeze := func(s string) string {
		var lines []string
		for line := range strings.Lines(s) {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
		return strings.Join(lines, "\n")
	}
	if diff := cmp.Diff(squeeze(want), squeeze(table)); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	for line := range strings.Lines(got) {
		if len(line) > 100 {
			t.Errorf("a line of %d bytes: %q", len(line), line)
		}
	}
	for _, want := range []string{"# Summary of licenses found in Container: #", "       2  MIT\n", "       1  ISC\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("the text does not say %q:\n%s", want, got)
		}
	}
}

func TestTextOfTrees(t *testing.T) {
	for _, tc := range []struct {
		report inspect.Report
		want   string
	}{
		{inspect.Report{Kind: "dir", Target: "empty"}, `Directory: empty
	Packages: none found

	Packages found: None

############################################
# Summary of licenses found in Directory: #
############################################
None
`},
		{inspect.Report{
			Kind: "file", Target: "app.jar", Packages: []seaworthy.Package{{Name: "g:a", Version: "1", Ecosystem: "maven", Evidence: []seaworthy.Evidence{{Path: "app.jar"}}}},
			Licences: []inspect.LicenceCount{{Packages: 1}},
		}, `File: app.jar
	Packages: 1 (maven 1)

	Packages found:
	Package  Version  License(s)  Pkg Format  Found in
	g:a      1                    maven       app.jar

#######################################
# Summary of licenses found in File: #
#######################################
No licence stated: 1 package
`},
	} {
		got := text(t, &tc.report, 0)
		squares := func(s string) string { // the frame is as long as its line
			var out []string
			for line := range strings.Lines(s) {
				if strings.Trim(line, "#\n") == "" && len(line) > 1 {
					line = "###\n"
				}
				out = append(out, line)
			}
			return strings.Join(out, "")
		}
		if diff := cmp.Diff(squares(tc.want), squares(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.report.Target, diff)
		}
	}
}

// TestHelpersAreNoPackages has a file that only says more about packages which others declare.
func TestHelpersAreNoPackages(t *testing.T) {
	r := run(t, makeimage.Layer{Files: []makeimage.File{
		file("app/node_modules/a/package.json", `{"name":"a","version":"1.0.0"}`),
		file("app/node_modules/.package-lock.json", `{"packages":{"node_modules/a":{"version":"1.0.0","license":"MIT"}}}`),
	}})
	if diff := cmp.Diff([]string{"added a 1.0.0"}, changes(r.Layers[0])); diff != "" {
		t.Errorf("package changes (-want +got):\n%s", diff)
	}
}
