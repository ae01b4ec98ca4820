package arch

import (
	"os"
	"strings"
	"testing"
)

const root = "../.."

func project(t *testing.T) house {
	t.Helper()
	fsys := os.DirFS(root)
	rooms, err := readTable(fsys, "ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := readSources(fsys)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(root + "/go.mod")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(mod), "\n")
	return house{module: strings.TrimSpace(strings.TrimPrefix(first, "module")), table: rooms, files: files}
}

func report(t *testing.T, wrong []string) {
	t.Helper()
	for _, w := range wrong {
		t.Error(w)
	}
}

func TestImportsPointDown(t *testing.T) { report(t, project(t).judge()) }

func TestPackagesSayWhatTheyAreFor(t *testing.T) { report(t, wordless(project(t).files)) }

func TestNoFolderIsADrawer(t *testing.T) { report(t, drawers(project(t).files)) }

func TestExportedNamesAreDocumented(t *testing.T) {
	for _, s := range project(t).files {
		report(t, s.undocumented())
	}
}

func TestFilesAreFormatted(t *testing.T) {
	for _, s := range project(t).files {
		report(t, s.unformatted())
	}
}
