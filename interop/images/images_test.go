//go:build images

package images

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seaworthy-dev/seaworthy/engine/bill"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

var dir = os.Getenv("SEAWORTHY_IMAGES")

var all = []string{"debian-min", "debian-fat", "debian-steps", "node-app", "java-app", "go-static"}

func TestMain(m *testing.M) {
	if dir == "" {
		fmt.Fprintln(os.Stderr, "SEAWORTHY_IMAGES names no directory with images: run make test-images")
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func report(t *testing.T, target string) *inspect.Report {
	t.Helper()
	img, err := oci.Open(context.Background(), target, oci.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer img.Close()
	r, err := inspect.Image(context.Background(), img, inspect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Incomplete {
		t.Fatalf("%s: incomplete: %v", target, r.Problems)
	}
	return r
}

func layout(name string) string { return "oci-dir:" + filepath.Join(dir, name) }

// packages lists "name version arch" of one ecosystem.
func packages(r *inspect.Report, ecosystem string) []string {
	var out []string
	for _, p := range r.Packages {
		if p.Ecosystem == ecosystem {
			out = append(out, strings.TrimSpace(p.Name+" "+p.Version+" "+p.Arch))
		}
	}
	sort.Strings(out)
	return out
}

// output runs a program, in the root file system root if it is not "".
func output(t *testing.T, root string, argv ...string) []string {
	t.Helper()
	if root != "" {
		argv = append([]string{"chroot", filepath.Join(dir, "roots", root)}, argv...)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	b, err := cmd.Output()
	if err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, stderr.String())
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	sort.Strings(lines)
	return lines
}

func dpkgQuery(t *testing.T, root string) []string {
	t.Helper()
	var installed []string
	for _, line := range output(t, root, "dpkg-query", "-W", "-f", "${db:Status-Status} ${Package} ${Version} ${Architecture}\n") {
		if rest, ok := strings.CutPrefix(line, "installed "); ok {
			installed = append(installed, rest)
		}
	}
	sort.Strings(installed)
	return installed
}

func TestDebianPackagesEqualDpkgQuery(t *testing.T) {
	for image, root := range map[string]string{"debian-min": "base", "debian-fat": "fat", "debian-steps": "step15", "node-app": "base", "java-app": "base"} {
		want := dpkgQuery(t, root)
		if diff := cmp.Diff(want, packages(report(t, layout(image)), "deb")); diff != "" {
			t.Errorf("%s against dpkg-query in %s (-dpkg +ours):\n%s", image, root, diff)
		}
		t.Logf("%s: %d packages, as dpkg-query says", image, len(want))
	}
}

func TestPythonPackagesEqualPipList(t *testing.T) {
	var listed []struct{ Name, Version string }
	raw := strings.Join(output(t, "fat", "pip", "list", "--format", "json", "--disable-pip-version-check"), "")
	if err := json.Unmarshal([]byte(raw), &listed); err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, p := range listed {
		want = append(want, p.Name+" "+p.Version)
	}
	sort.Strings(want)
	if diff := cmp.Diff(want, packages(report(t, layout("debian-fat")), "pypi")); diff != "" {
		t.Errorf("against pip list (-pip +ours):\n%s", diff)
	}
	t.Logf("%d packages, as pip list says", len(want))
}

// TestNodePackagesEqualWalk walks node_modules directories: every directory right below one, or below one of
// its @scopes, that has a package.json with name and version is a package.
func TestNodePackagesEqualWalk(t *testing.T) {
	root := filepath.Join(dir, "npmapp")
	var want []string
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "package.json" {
			return err
		}
		parent := filepath.Dir(filepath.Dir(p))
		if strings.HasPrefix(filepath.Base(parent), "@") {
			parent = filepath.Dir(parent)
		}
		own := filepath.Dir(p) == root
		if !own && filepath.Base(parent) != "node_modules" {
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		var pkg struct{ Name, Version string }
		if err := json.Unmarshal(b, &pkg); err != nil {
			return fmt.Errorf("%s: %w", p, err)
		}
		if pkg.Name != "" && pkg.Version != "" {
			want = append(want, pkg.Name+" "+pkg.Version)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	sort.Strings(want)
	if diff := cmp.Diff(want, packages(report(t, layout("node-app")), "npm")); diff != "" {
		t.Errorf("against a walk (-walk +ours):\n%s", diff)
	}
	t.Logf("%d packages, as the walk says", len(want))
}

func TestGoModulesEqualGoVersion(t *testing.T) {
	want := map[string]bool{}
	for _, line := range output(t, "", "go", "version", "-m", filepath.Join(dir, "goroot/usr/local/bin")) {
		f := strings.Fields(line)
		switch {
		case len(f) >= 3 && (f[0] == "dep" || f[0] == "mod"):
			want[f[1]] = true
		case len(f) >= 2 && strings.HasPrefix(f[1], "go1."):
			want["stdlib"] = true
		}
	}
	got := map[string]bool{}
	for _, p := range report(t, layout("go-static")).Packages {
		if p.Ecosystem == "golang" {
			got[p.Name] = true
		}
	}
	for name := range want {
		if !got[name] {
			t.Errorf("%s is in the binaries and not in the report %v", name, got)
		}
	}
}

// TestStepsAreAttributed compares what inspect says of each of the sixteen layers with the difference of
// dpkg-query before and after the step that made it.
func TestStepsAreAttributed(t *testing.T) {
	r := report(t, layout("debian-steps"))
	if len(r.Layers) != 16 {
		t.Fatalf("%d layers, want 16", len(r.Layers))
	}
	before := map[string]bool{}
	for i, l := range r.Layers {
		root := "base"
		if i > 0 {
			root = fmt.Sprintf("step%d", i)
		}
		after := map[string]bool{}
		for _, p := range dpkgQuery(t, root) {
			after[p] = true
		}
		var want, got []string
		for p := range after {
			if !before[p] {
				want = append(want, "+ "+p)
			}
		}
		for p := range before {
			if !after[p] {
				want = append(want, "- "+p)
			}
		}
		for _, c := range l.Packages {
			if c.Ecosystem != "deb" {
				continue
			}
			switch c.Change {
			case inspect.Added:
				got = append(got, "+ "+c.Name+" "+c.Version+" "+c.Arch)
			case inspect.Upgraded:
				got = append(got, "+ "+c.Name+" "+c.Version+" "+c.Arch, "- "+c.Name+" "+c.Before+" "+c.Arch)
			default:
				got = append(got, "- "+c.Name+" "+c.Version+" "+c.Arch)
			}
		}
		sort.Strings(want)
		sort.Strings(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("layer %d, %s (-dpkg-query +ours):\n%s", i+1, l.CreatedBy, diff)
		}
		t.Logf("layer %2d: %3d package changes, as dpkg-query says: %s", i+1, len(got), l.CreatedBy)
		before = after
	}
	final := map[string]int{}
	for _, p := range r.Packages {
		final[p.Name+" "+p.Version+" "+p.Arch] = p.Evidence[0].Layer
	}
	for i, l := range r.Layers {
		for _, c := range l.Packages {
			if at, there := final[c.Name+" "+c.Version+" "+c.Arch]; there && c.Change == inspect.Added && at > i {
				t.Errorf("%s came in layer %d, its evidence says %d", c.Name, i+1, at+1)
			}
		}
	}
}

// TestArchivesSayTheSame reads each image as a docker archive and wants the packages of its layout.
func TestArchivesSayTheSame(t *testing.T) {
	for _, image := range all {
		a, b := report(t, layout(image)), report(t, "archive:"+filepath.Join(dir, image+".tar"))
		if diff := cmp.Diff(a.Packages, b.Packages); diff != "" {
			t.Errorf("%s: layout and archive differ (-layout +archive):\n%s", image, diff)
		}
	}
}

// TestBillsRoundTrip writes each image's bill in every format, reads it back and compares; and writes it twice
// from two readings and compares the bytes.
func TestBillsRoundTrip(t *testing.T) {
	for _, image := range all {
		want := bill.FromReport(report(t, layout(image)), bill.Options{})
		again := bill.FromReport(report(t, layout(image)), bill.Options{})
		for _, f := range bill.Formats {
			if f.Name == "purls" {
				continue
			}
			var first, second bytes.Buffer
			if err := f.Write(&first, want); err != nil {
				t.Fatal(err)
			}
			if err := f.Write(&second, again); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(first.Bytes(), second.Bytes()) {
				t.Errorf("%s as %s: two runs differ", image, f.Name)
			}
			got, err := bill.Read(&first, f.Name)
			if err != nil {
				t.Fatal(err)
			}
			bill.Sort(got)
			for _, part := range []struct {
				name      string
				want, got any
			}{{"packages", want.Packages, got.Packages}, {"files", want.Files, got.Files}, {"relations", want.Relations, got.Relations}, {"roots", want.Roots, got.Roots}} {
				if diff := cmp.Diff(part.want, part.got); diff != "" {
					t.Errorf("%s as %s: %s (-written +read):\n%.3000s", image, f.Name, part.name, diff)
				}
			}
		}
	}
}
