package inspect_test

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/inspect"
	"github.com/seaworthy-dev/seaworthy/internal/makeimage"
	"github.com/seaworthy-dev/seaworthy/source/image"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

func memory(t testing.TB, layers ...makeimage.Layer) *oci.Image {
	t.Helper()
	built, err := makeimage.Build(layers, makeimage.Options{})
	if err != nil {
		t.Fatal(err)
	}
	img := &oci.Image{Name: "test", Kind: "oci-dir", Digest: built.Digest()}
	next := 0
	for _, l := range layers {
		img.History = append(img.History, oci.History{CreatedBy: l.History, EmptyLayer: l.Empty})
		if l.Empty {
			continue
		}
		b := built.Layers[next]
		next++
		img.Layers = append(img.Layers, oci.Layer{
			Digest: b.Digest, DiffID: b.DiffID, Size: int64(len(b.Bytes)), History: l.History,
			Open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes)), nil },
		})
	}
	return img
}

func run(t testing.TB, layers ...makeimage.Layer) *inspect.Report {
	t.Helper()
	r, err := inspect.Image(t.Context(), memory(t, layers...), inspect.Options{Files: true})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func file(path, body string) makeimage.File { return makeimage.File{Path: path, Body: []byte(body)} }

// dpkg is a status file with these packages, each "name version".
func dpkg(packages ...string) makeimage.File {
	var b strings.Builder
	for _, p := range packages {
		name, version, _ := strings.Cut(p, " ")
		b.WriteString("Package: " + name + "\nStatus: install ok installed\nVersion: " + version + "\nArchitecture: amd64\nMaintainer: M <m@example.org>\n\n")
	}
	return file("var/lib/dpkg/status", b.String())
}

var release = file("etc/os-release", "ID=debian\nVERSION_ID=12\nPRETTY_NAME=\"Debian 12\"\n")

// bare is a layer of one file without entries for the directories above it.
func bare(t testing.TB, f makeimage.File) makeimage.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	if err := w.WriteHeader(&tar.Header{Name: f.Path, Mode: 0o644, Size: int64(len(f.Body))}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(f.Body); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return makeimage.Layer{Tar: b.Bytes()}
}

// changes renders a layer's package changes as "how name [before>]version".
func changes(l inspect.Layer) []string {
	var out []string
	for _, c := range l.Packages {
		s := string(c.Change) + " " + c.Name + " "
		if c.Before != "" {
			s += c.Before + ">"
		}
		s += c.Version
		if c.Gone {
			s += " gone"
		}
		out = append(out, s)
	}
	return out
}

func TestPackagesAreAttributedToLayers(t *testing.T) {
	r := run(t,
		makeimage.Layer{Files: []makeimage.File{release, dpkg("libc6 2.36", "jq 1.6", "vim 9.0")}, History: "ADD rootfs"},
		makeimage.Layer{Empty: true, History: "ENV A=b"},
		makeimage.Layer{Files: []makeimage.File{dpkg("libc6 2.36", "jq 1.7", "vim 9.0", "curl 7.88")}, History: "RUN upgrade"},
		makeimage.Layer{Files: []makeimage.File{dpkg("libc6 2.36", "jq 1.7", "curl 7.88")}, History: "RUN purge"},
		makeimage.Layer{Files: []makeimage.File{dpkg("libc6 2.36", "jq 1.7", "curl 7.88")}, History: "RUN touch"},
	)
	want := [][]string{
		{"added jq 1.6 gone", "added libc6 2.36", "added vim 9.0 gone"},
		{"added curl 7.88", "upgraded jq 1.6>1.7"},
		{"removed vim 9.0"},
		nil,
	}
	for i, w := range want {
		if diff := cmp.Diff(w, changes(r.Layers[i])); diff != "" {
			t.Errorf("layer %d (-want +got):\n%s", i+1, diff)
		}
	}
	from := map[string]string{}
	for _, p := range r.Packages {
		from[p.Name+" "+p.Version] = p.Evidence[0].History
		if p.Evidence[0].DiffID != r.Layers[p.Evidence[0].Layer].DiffID {
			t.Errorf("%s: diffID of its evidence is not that of its layer", p.Name)
		}
	}
	if diff := cmp.Diff(map[string]string{"libc6 2.36": "ADD rootfs", "jq 1.7": "RUN upgrade", "curl 7.88": "RUN upgrade"}, from); diff != "" {
		t.Errorf("history lines (-want +got):\n%s", diff)
	}
	steps := []inspect.Step{{CreatedBy: "ADD rootfs", Layer: 1}, {CreatedBy: "ENV A=b"}, {CreatedBy: "RUN upgrade", Layer: 2}, {CreatedBy: "RUN purge", Layer: 3}, {CreatedBy: "RUN touch", Layer: 4}}
	if diff := cmp.Diff(steps, r.Steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
}

// TestSquash has one row for each way in which a layer changes what is below it. visible is the version of jq,
// by the status file that is visible in the end, "" for none.
func TestSquash(t *testing.T) {
	status := "var/lib/dpkg/status"
	base := makeimage.Layer{Files: []makeimage.File{release, dpkg("jq 1.6"), file("var/lib/keep", "k")}}
	for _, tc := range []struct {
		name    string
		layers  []makeimage.Layer
		visible string
		files   inspect.FileCounts // of the last layer, bytes not compared
	}{
		{"whiteout of the file", []makeimage.Layer{base, {Whiteouts: []string{status}}}, "", inspect.FileCounts{Removed: 1}},
		{"whiteout of a directory above", []makeimage.Layer{base, {Whiteouts: []string{"var"}}}, "", inspect.FileCounts{Removed: 2}},
		{"whiteout of what is not there", []makeimage.Layer{base, {Whiteouts: []string{"no/such"}}}, "1.6", inspect.FileCounts{}},
		{"whiteout and again in one layer", []makeimage.Layer{base, {Whiteouts: []string{status}, Files: []makeimage.File{dpkg("jq 1.7")}}}, "1.7", inspect.FileCounts{Changed: 1}},
		{"opaque directory", []makeimage.Layer{base, {Opaques: []string{"var/lib/dpkg"}}}, "", inspect.FileCounts{Removed: 1}},
		{"opaque directory with new content", []makeimage.Layer{base, {Opaques: []string{"var/lib/dpkg"}, Files: []makeimage.File{dpkg("jq 1.7")}}}, "1.7", inspect.FileCounts{Changed: 1}},
		{"opaque hides lower layers only", []makeimage.Layer{base, {Files: []makeimage.File{dpkg("jq 1.7")}, Opaques: []string{"var"}}}, "1.7", inspect.FileCounts{Changed: 1, Removed: 1}},
		{"a directory becomes a file", []makeimage.Layer{base, {Files: []makeimage.File{file("var", "not a directory")}}}, "", inspect.FileCounts{Changed: 1, Removed: 2}},
		{"a symlink replaces a directory", []makeimage.Layer{base, {Files: []makeimage.File{{Path: "var/lib", Symlink: "elsewhere"}}}}, "", inspect.FileCounts{Changed: 1, Removed: 2}},
		{"written through a symlink of a lower layer", []makeimage.Layer{
			{Files: []makeimage.File{release, {Path: "data/lib/dpkg", Mode: 0}, {Path: "var", Symlink: "data2"}, file("data2/lib/dpkg/old", "o")}},
			bare(t, dpkg("jq 1.8")),
		}, "1.8", inspect.FileCounts{Added: 1}},
		{"through an absolute symlink and up again", []makeimage.Layer{
			{Files: []makeimage.File{release, file("real/lib/dpkg/old", "o"), {Path: "a/var2", Symlink: "/real"}, {Path: "var", Symlink: "a/../a/var2"}}},
			bare(t, dpkg("jq 1.9")),
			{Whiteouts: []string{"real/lib/dpkg/status"}},
		}, "", inspect.FileCounts{Removed: 1}},
		{"symlinks in a circle", []makeimage.Layer{
			{Files: []makeimage.File{release, {Path: "var", Symlink: "rav"}, {Path: "rav", Symlink: "var"}}},
			bare(t, dpkg("jq 2.0")),
		}, "2.0", inspect.FileCounts{Added: 1, Removed: 1}},
		{"hard link outlives its first name", []makeimage.Layer{
			base,
			{Files: []makeimage.File{{Path: "backup", Hardlink: status}}},
			{Whiteouts: []string{status}},
		}, "1.6", inspect.FileCounts{Removed: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := run(t, tc.layers...)
			got := ""
			for _, p := range r.Packages {
				if p.Name == "jq" {
					got = p.Version
				}
			}
			if got != tc.visible {
				t.Errorf("jq is %q in the end, want %q", got, tc.visible)
			}
			counts := r.Layers[len(r.Layers)-1].Files
			counts.Bytes = 0
			if counts != tc.files {
				t.Errorf("the last layer's files: %+v, want %+v (%v)", counts, tc.files, r.Layers[len(r.Layers)-1].Changes)
			}
		})
	}
}

// TestManyEntriesAndDeepPaths has a directory as deep as a path can be, and tens of thousands of files in one
// directory that the next layer takes away one by one: both must take time in proportion.
func TestManyEntriesAndDeepPaths(t *testing.T) {
	r := run(t, makeimage.Layer{Files: []makeimage.File{release, file(strings.Repeat("d/", 2000)+"f", "x")}}, makeimage.Layer{Whiteouts: []string{"d"}})
	if got := r.Layers[1].Files.Removed; got != 1 {
		t.Errorf("removed %d files of the deep directory, want 1", got)
	}

	const many = 60_000
	var files, gone bytes.Buffer
	put := tar.NewWriter(&files)
	hide := tar.NewWriter(&gone)
	for i := range many {
		err := put.WriteHeader(&tar.Header{Name: fmt.Sprintf("many/%06d", i), Mode: 0o644})
		if err == nil {
			err = hide.WriteHeader(&tar.Header{Name: fmt.Sprintf("many/.wh.%06d", i)})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range []*tar.Writer{put, hide} {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
	}
	r, err := inspect.Image(t.Context(), memory(t, makeimage.Layer{Tar: files.Bytes(), Compression: makeimage.Plain}, makeimage.Layer{Tar: gone.Bytes(), Compression: makeimage.Plain}), inspect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Incomplete || r.Layers[0].Files.Added != many || r.Layers[1].Files.Removed != many {
		t.Errorf("added %d, removed %d, want %d each (incomplete: %v)", r.Layers[0].Files.Added, r.Layers[1].Files.Removed, many, r.Problems)
	}
}

func TestLooseProgramsAndHashes(t *testing.T) {
	program := makeimage.File{Path: "usr/local/bin/tool", Body: []byte("\x7fELF and so on"), Mode: 0o755}
	script := makeimage.File{Path: "usr/local/bin/script", Body: []byte("#!/bin/sh\n"), Mode: 0o755}
	owned := makeimage.File{Path: "usr/bin/jq", Body: []byte("\x7fELF jq"), Mode: 0o755}
	list := file("var/lib/dpkg/info/jq.list", "/.\n/usr\n/usr/bin\n/usr/bin/jq\n")
	r := run(t, makeimage.Layer{Files: []makeimage.File{release, dpkg("jq 1.6"), list, owned, program, script}})
	if len(r.Loose) != 1 || r.Loose[0].Path != "usr/local/bin/tool" || r.Loose[0].Digest != seaworthy.SHA256(program.Body) {
		t.Errorf("loose programs = %+v, want the one that no package owns", r.Loose)
	}
	var jq *seaworthy.Package
	for i := range r.Packages {
		if r.Packages[i].Name == "jq" {
			jq = &r.Packages[i]
		}
	}
	if jq == nil {
		t.Fatal("jq was not found")
	}
	want := seaworthy.SHA256([]byte(seaworthy.SHA256(owned.Body).Hex() + "  usr/bin/jq\n"))
	if jq.HashOf != seaworthy.HashOfInstalled || len(jq.Hashes) != 1 || jq.Hashes[0] != want {
		t.Errorf("jq's hash = %v of %q, want %s of its installed files", jq.Hashes, jq.HashOf, want)
	}
}

func TestIncompleteLayerIsSaid(t *testing.T) {
	img := memory(t, makeimage.Layer{Files: []makeimage.File{release, dpkg("jq 1.6")}}, makeimage.Layer{Files: []makeimage.File{file("x", "y")}})
	img.Layers[1].Digest = seaworthy.SHA256([]byte("other"))
	r, err := inspect.Image(t.Context(), img, inspect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !r.Incomplete || len(r.Packages) != 1 || len(r.Problems) != 1 {
		t.Errorf("incomplete %v, %d packages, problems %v; want the rest of the report and one problem", r.Incomplete, len(r.Packages), r.Problems)
	}
	var text strings.Builder
	if err := r.Text(&text, 0); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"error: layer 2 (sha256:", "This report is incomplete."} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text does not say %q:\n%s", want, text.String())
		}
	}
}

func TestDockerfileLines(t *testing.T) {
	dockerfile := `# syntax=docker/dockerfile:1
FROM golang:1.26 AS build
RUN go build -o /out ./...

FROM debian:12
ENV A=b
RUN apt-get update && \
    # a comment in between
    apt-get install -y curl
COPY --from=build --chmod=755 /out /usr/local/bin/
WORKDIR /srv
RUN <<EOF
echo one
echo two
EOF
ARG V=1
RUN echo $V
CMD ["serve"]
`
	r := run(t,
		makeimage.Layer{Files: []makeimage.File{release}, History: "/bin/sh -c #(nop) ADD file:abc in / "},
		makeimage.Layer{Empty: true, History: `/bin/sh -c #(nop)  CMD ["bash"]`},
		makeimage.Layer{Empty: true, History: "ENV A=b"},
		makeimage.Layer{Files: []makeimage.File{file("a", "1")}, History: "RUN /bin/sh -c apt-get update && apt-get install -y curl # buildkit"},
		makeimage.Layer{Files: []makeimage.File{file("b", "1")}, History: "COPY /out /usr/local/bin/ # buildkit"},
		makeimage.Layer{Files: []makeimage.File{file("c", "1")}, History: "WORKDIR /srv"},
		makeimage.Layer{Files: []makeimage.File{file("d", "1")}, History: "RUN /bin/sh -c <<EOF (echo one...) # buildkit"},
		makeimage.Layer{Files: []makeimage.File{file("e", "1")}, History: "RUN |1 V=2 /bin/sh -c echo $V # buildkit"},
		makeimage.Layer{Empty: true, History: `CMD ["serve"]`},
	)
	if err := r.MapDockerfile(strings.NewReader(dockerfile)); err != nil {
		t.Fatal(err)
	}
	type at struct {
		line  int
		guess bool
	}
	want := []at{{}, {7, false}, {10, false}, {11, false}, {12, true}, {17, false}}
	for i, l := range r.Layers {
		var got at
		if l.Dockerfile != nil {
			got = at{l.Dockerfile.Line, l.Dockerfile.Guess}
		}
		if got != want[i] {
			t.Errorf("layer %d (%s) is line %+v, want %+v", i+1, l.CreatedBy, got, want[i])
		}
	}
	for _, bad := range []string{"", "FROM x\n", "FROM x\n<html>\n"} {
		if err := r.MapDockerfile(strings.NewReader(bad)); seaworthy.CodeOf(err) != seaworthy.Invalid {
			t.Errorf("Dockerfile %q: error %v, want Invalid", bad, err)
		}
	}
}

func FuzzDockerfile(f *testing.F) {
	f.Add("FROM a\nRUN x \\\n y\nCOPY a b\n")
	f.Add("# escape=`\nFROM a\nRUN <<A <<B\nA\nB\n")
	f.Fuzz(func(t *testing.T, s string) {
		r := &inspect.Report{Steps: []inspect.Step{{CreatedBy: "RUN x", Layer: 1}, {CreatedBy: "COPY a b"}}, Layers: []inspect.Layer{{Number: 1}}}
		_ = r.MapDockerfile(strings.NewReader(s))
	})
}

// TestAgain inspects an image twice with a cache: the second time no layer is opened and the report is the same;
// with another history line, or another blob under a layer's digest, it is made anew.
func TestAgain(t *testing.T) {
	layers := []makeimage.Layer{
		{Files: []makeimage.File{release, dpkg("jq 1.6"), {Path: "bin/x", Body: []byte("\x7fELF"), Mode: 0o755}}, History: "ADD rootfs"},
		{Files: []makeimage.File{dpkg("jq 1.7", "curl 8")}, History: "RUN upgrade"},
	}
	cache := image.OpenCache(t.TempDir(), 0)
	look := func(img *oci.Image) (*inspect.Report, int) {
		opened := 0
		for i := range img.Layers {
			inner := img.Layers[i].Open
			img.Layers[i].Open = func(ctx context.Context) (io.ReadCloser, error) { opened++; return inner(ctx) }
		}
		r, err := inspect.Image(t.Context(), img, inspect.Options{Files: true, Read: image.Options{Cache: cache, Parallel: 1}})
		if err != nil {
			t.Fatal(err)
		}
		return r, opened
	}
	want := run(t, layers...)
	first, n := look(memory(t, layers...))
	if n != 2 {
		t.Errorf("the first look opened %d layers, want 2", n)
	}
	second, n := look(memory(t, layers...))
	if n != 0 {
		t.Errorf("the second look opened %d layers", n)
	}
	ignore := cmpopts.IgnoreFields(inspect.Layer{}, "FromCache")
	for name, got := range map[string]*inspect.Report{"first": first, "second": second} {
		if diff := cmp.Diff(want, got, ignore); diff != "" {
			t.Errorf("%s look (-without cache +with):\n%s", name, diff)
		}
	}
	other := memory(t, layers...)
	other.Config = []byte("another configuration")
	other.Layers[1].History = "RUN something else"
	if r, _ := look(other); r.Packages[0].Evidence[0].History == second.Packages[0].Evidence[0].History && r.Packages[1].Evidence[0].History == second.Packages[1].Evidence[0].History {
		t.Error("a report with another history was answered from the cache")
	}
	lying := memory(t, layers...)
	lying.Layers[1].Digest = seaworthy.SHA256([]byte("x"))
	if r, _ := look(lying); !r.Incomplete {
		t.Error("a lying layer was answered from the cache")
	}
}
