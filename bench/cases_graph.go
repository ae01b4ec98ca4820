package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// graphGroup takes real documents in, with each engine, and asks all questions of a generated graph.
func graphGroup() group {
	corpus := filepath.Join(workDir, "corpus")
	fresh, kept := filepath.Join(workDir, "graph-fresh"), filepath.Join(workDir, "graph")
	const image = "k8s.gcr.io/kube-controller-manager-v1.24.6"
	g := group{
		title: "How it hangs together", runs: 5,
		about: "Bills of the Go modules and programs and npm packages of this machine, and real bills, provenance and scorecards made by others (`bench/corpus`); " +
			"each is read, verified and stored durably.",
		setup: func() (func(), error) {
			if err := errors.Join(os.RemoveAll(corpus), os.RemoveAll(kept)); err != nil {
				return nil, err
			}
			for _, argv := range [][]string{{".cache/bench/corpus-maker", corpus}, {seaworthy, "graph", "ingest", "--quiet", "--store", kept, corpus}} {
				if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
					return nil, fmt.Errorf("%v: %w\n%s", argv, err, out)
				}
			}
			absolute, err := filepath.Abs(corpus)
			if err != nil {
				return nil, err
			}
			return func() {}, os.Setenv("SEAWORTHY_CORPUS", absolute)
		},
		figures: []figure{
			{
				name: "`graph ingest` of them all", argv: []string{seaworthy, "graph", "ingest", "--store", fresh, corpus}, bar: "≤ 200 MB",
				before: func() error { return os.RemoveAll(fresh) },
			},
			{name: "`graph ingest` again", argv: []string{seaworthy, "graph", "ingest", "--store", kept, corpus}, bar: "≤ 200 ms"},
		},
		inside: []inside{
			{name: "Ingest/pebble", folder: "./bench", what: "ingesting them all, in a folder (Pebble)", bar: "≥ 40 documents/s (goal 60)"},
			{name: "Ingest/postgres", folder: "./bench", what: "ingesting them all, in PostgreSQL, which syncs every commit", bar: "≥ 15 documents/s (goal 20)", options: []string{"-benchtime", "1x"}},
			{name: "IngestAgain", folder: "./bench", what: "ingesting them again", bar: "≤ 200 ms"},
		},
	}
	if _, err := os.Stat(advisories("seed-example")); err == nil {
		g.figures = append(g.figures, figure{name: "`graph provenance` of a real image", argv: []string{seaworthy, "graph", "provenance", image, "--store", kept}})
		g.inside = append(g.inside, inside{name: "SeedExample", folder: "./engine/trace", what: "the provenance of that image's programs, down to the scorecard of their source", bar: "≤ 10 ms"})
	}
	for _, q := range []struct{ name, what string }{
		{"vulns", "vulns of an image"},
		{"known", "known of an image"},
		{"path", "path from an image to a vulnerability"},
		{"impact", "impact of a vulnerability"},
		{"dependents/shared", "dependents of a library that all images have"},
		{"patch/shared", "patch of that library"},
		{"licences", "licences of an image"},
		{"provenance", "provenance of an image"},
		{"diff", "diff of two images"},
		{"top", "top"},
		{"find", "find"},
		{"artifact", "artifact: the page of an image"},
		{"neighbourhood", "neighbourhood of an image"},
		{"neighbourhood/licence", "neighbourhood of a licence that everything has"},
		{"package/shared", "package: the page of that library"},
		{"vuln", "vuln: the page of a vulnerability"},
	} {
		g.inside = append(g.inside, inside{name: "Questions/" + q.name, folder: "./engine/trace", what: q.what + ", in 222,000 statements", bar: "≤ 50 ms"})
	}
	return g
}
