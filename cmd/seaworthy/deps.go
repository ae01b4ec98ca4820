package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/deps"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

const depsHelp = `DIR is a source tree, one manifest or lock file, or a dependency snapshot (JSON). What was installed below it
(node_modules, virtual environments, vendor) is not looked at for dependencies. A snapshot that is laid over a tree with --snapshot
counts more than what the tree says, manifest by manifest.`

func newDeps(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deps DIR [WORD…]",
		Short: "What a source tree depends on, from its manifests and lock files",
		Long: `Deps lists what the manifests and lock files of a source tree ask for and bring along: each dependency with its
ecosystem, manifest, version, relationship, scope, licence and what brought it in. With --advisories, vulnerable ones come first.
GitHub Actions that workflows use are dependencies too, pinned to a commit or not.

` + depsHelp + `

Words choose: plain ones must be in the name; ecosystem:npm, relationship:direct (transitive, inconclusive), scope:development,
manifest:web/, vulnerable:yes, pinned:no, licence:MIT, name:…, version:… must hold. Values with commas between are alternatives.

Formats: table; json; csv; markdown; spdx-json, as GitHub's dependency graph exports it; snapshot, as its dependency submission
takes it. A snapshot needs --sha and --ref outside of a git checkout.`,
		Example: "  seaworthy deps .\n  seaworthy deps . lodash ecosystem:npm relationship:transitive\n" +
			"  seaworthy deps . --advisories advisories.db vulnerable:yes\n  seaworthy deps . -o snapshot=snapshot.json",
		GroupID: lookGroup,
		Args:    takesMany("seaworthy deps .", "directory"),
	}
	read := a.depsFlags(cmd)
	submit := a.submitFlags(cmd)
	out := a.outputFlag(cmd, "table", "json", "csv", "markdown", "spdx-json", "snapshot")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		filter, err := deps.ParseFilter(args[1:])
		if err != nil {
			return err
		}
		if filter.Asks("vulnerable") && read.advisories == "" {
			return seaworthy.Errorf(seaworthy.Usage, "vulnerable: needs advisories to look at").
				WithHint("give --advisories FILE, or set SEAWORTHY_ADVISORIES")
		}
		if len(args) > 1 && (out.Has("spdx-json") || out.Has("snapshot")) {
			return seaworthy.Errorf(seaworthy.Usage, "spdx-json and snapshot are of everything, not of what %q chooses", args[1]).
				WithHint("leave the words out, or use -o json")
		}
		g, err := read.graph(cmd.Context(), args[:1])
		if err != nil {
			return err
		}
		rows := g.Select(filter)
		err = out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, listing(args[0], g, rows))
			case "csv":
				return deps.WriteCSV(w, rows)
			case "markdown":
				return g.WriteMarkdown(w, rows)
			case "spdx-json":
				return submit.writeSPDX(w, g, args[0])
			case "snapshot":
				return submit.writeSnapshot(w, g, args[0])
			}
			return writeDeps(w, g, rows, args[0])
		})
		if err != nil {
			return err
		}
		if len(g.Manifests()) == 0 && !out.Has("table") {
			a.note("%s", nothingFound(args[0]))
		}
		return read.finish(g)
	}
	cmd.AddCommand(newDepsTree(a), newDepsWhy(a), newDepsDependents(a))
	return cmd
}

// depsListing is the JSON of deps.
type depsListing struct {
	Target       string              `json:"target"`
	Summary      deps.Summary        `json:"summary"`
	Manifests    []deps.Manifest     `json:"manifests"`
	Dependencies []deps.Row          `json:"dependencies"`
	Problems     []seaworthy.Problem `json:"problems"`
}

func listing(target string, g *deps.Graph, rows []deps.Row) depsListing {
	l := depsListing{target, deps.Summarise(rows), g.Manifests(), rows, g.Problems()}
	if l.Problems == nil {
		l.Problems = []seaworthy.Problem{}
	}
	return l
}

func nothingFound(target string) string {
	return fmt.Sprintf("no manifests or lock files were found in %q, looked for: %s", target, strings.Join(deps.Looked, ", "))
}

func writeDeps(w io.Writer, g *deps.Graph, rows []deps.Row, target string) error {
	manifests := g.Manifests()
	if len(manifests) == 0 {
		_, err := fmt.Fprintln(w, nothingFound(target))
		return seaworthy.Wrap(err, seaworthy.Storage, "writing")
	}
	if len(rows) > 0 {
		if err := g.WriteTable(w, rows); err != nil {
			return err
		}
		fmt.Fprintln(w)
	}
	s := deps.Summarise(rows)
	noun := "dependencies"
	if s.Dependencies == 1 {
		noun = "dependency"
	}
	line := fmt.Sprintf("%d %s: %d direct, %d transitive, %d inconclusive", s.Dependencies, noun, s.Direct, s.Transitive, s.Inconclusive)
	if s.NotPinned > 0 {
		line += fmt.Sprintf("; %d not pinned", s.NotPinned)
	}
	if looked, at := g.Matched(); looked {
		line += fmt.Sprintf("; %d vulnerable of %d whose version is known", s.Vulnerable, at)
	}
	_, err := fmt.Fprintf(w, "%s\n", line)
	return seaworthy.Wrap(err, seaworthy.Storage, "writing")
}

func newDepsTree(a *app) *cobra.Command {
	var depth int
	cmd := &cobra.Command{
		Use:   "tree [PKG] [DIR…]",
		Short: "Draw what depends on what",
		Long: `Tree draws what the projects in DIR depend on, or what PKG does: a name, name@version or package URL. Without DIR it looks here.
One argument that is a file or directory is DIR; --package names a package that is called like one.

"(*)" stands for what is drawn above already, "(cycle)" for what leads back to itself, "(…)" for what --depth leaves out.

` + depsHelp,
		Example: "  seaworthy deps tree --depth 2\n  seaworthy deps tree express web\n  seaworthy deps tree . -o mermaid",
	}
	name := cmd.Flags().String("package", "", "draw what this package depends on; all arguments are then DIR")
	read := a.depsFlags(cmd)
	cmd.Flags().IntVar(&depth, "depth", 0, fmt.Sprintf("levels to draw (default: all, at most %d)", deps.MaxDepth))
	out := a.outputFlag(cmd, "tree", "json", "dot", "mermaid")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if depth < 0 {
			return seaworthy.Errorf(seaworthy.Usage, "--depth %d: it counts levels", depth).WithHint("for example: seaworthy deps tree --depth 2")
		}
		if *name == "" && len(args) > 0 && !exists(args[0]) {
			if len(args) == 1 && looksLikePath(args[0]) {
				return noSuchDir(args[0])
			}
			*name, args = args[0], args[1:]
		}
		g, err := read.graph(cmd.Context(), orHere(args))
		if err != nil {
			return err
		}
		roots, err := g.Roots(*name)
		if err != nil {
			return withNames(err, *name, g)
		}
		err = out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, g.Part(roots, depth))
			case "dot":
				return g.Part(roots, depth).WriteDOT(w)
			case "mermaid":
				return g.Part(roots, depth).WriteMermaid(w)
			}
			if len(g.Manifests()) == 0 {
				_, err := fmt.Fprintln(w, nothingFound(orHere(args)[0]))
				return err
			}
			return g.WriteTree(w, roots, depth)
		})
		if err != nil {
			return err
		}
		return read.finish(g)
	}
	return cmd
}

func newDepsWhy(a *app) *cobra.Command {
	var most int
	cmd := &cobra.Command{
		Use:   "why PKG [DIR…]",
		Short: "Which chains of dependencies brought a package in",
		Long: `Why shows the chains that lead from each project to a package, the shortest first. PKG is a name, name@version or package URL;
without DIR it looks here. Exit status 5 says that nothing names the package.

` + depsHelp,
		Example: "  seaworthy deps why ms\n  seaworthy deps why golang.org/x/net server --paths 50",
		Args:    takesMany("seaworthy deps why lodash .", "package"),
	}
	read := a.depsFlags(cmd)
	cmd.Flags().IntVar(&most, "paths", 10, "chains to show from each project")
	out := a.outputFlag(cmd, "text", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if most < 1 {
			return seaworthy.Errorf(seaworthy.Usage, "--paths %d: at least one", most).WithHint("for example: seaworthy deps why lodash . --paths 3")
		}
		g, err := read.graph(cmd.Context(), orHere(args[1:]))
		if err != nil {
			return err
		}
		answer, err := g.Why(args[0], most)
		if err != nil {
			return withNames(err, args[0], g)
		}
		err = out.Write(a.stdout, func(format string, w io.Writer) error {
			if format == "json" {
				return console.JSON(w, answer)
			}
			return answer.Write(w)
		})
		if err != nil {
			return err
		}
		return read.finish(g)
	}
	return cmd
}

func newDepsDependents(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dependents PKG [DIR…]",
		Short: "Who uses a package, over many directories",
		Long: `Dependents walks backwards from a package to the projects that use it, in all DIRs together: in which version, directly or brought
in by what. PKG is a name, name@version or package URL. Exit status 5 says that nothing names the package.

` + depsHelp,
		Example: "  seaworthy deps dependents lodash shop blog admin\n  seaworthy deps dependents pkg:npm/lodash@4.17.20 */",
		Args:    takesMany("seaworthy deps dependents lodash shop blog", "package"),
	}
	read := a.depsFlags(cmd)
	out := a.outputFlag(cmd, "table", "json")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		g, err := read.graph(cmd.Context(), orHere(args[1:]))
		if err != nil {
			return err
		}
		users, err := g.Dependents(args[0])
		if err != nil {
			return withNames(err, args[0], g)
		}
		err = out.Write(a.stdout, func(format string, w io.Writer) error {
			if format == "json" {
				return console.JSON(w, users)
			}
			return users.Write(w)
		})
		if err != nil {
			return err
		}
		return read.finish(g)
	}
	return cmd
}

func orHere(dirs []string) []string {
	if len(dirs) == 0 {
		return []string{"."}
	}
	return dirs
}

func exists(name string) bool {
	_, err := os.Stat(name)
	return err == nil
}

func looksLikePath(s string) bool {
	return strings.HasPrefix(s, ".") || filepath.IsAbs(s) || strings.HasSuffix(s, "/")
}

func noSuchDir(name string) error {
	return seaworthy.Errorf(seaworthy.NotFound, "opening %q: there is no such file or directory", name).
		WithHint("the directory comes first, then words to choose by: seaworthy deps . lodash")
}

// withNames adds to an error that a package is not there the names it may have been meant to have.
func withNames(err error, asked string, g *deps.Graph) error {
	const most = 5
	names := g.Names()
	var near []string
	if n := console.Nearest(asked, names); n != "" {
		near = append(near, n)
	}
	for _, n := range names {
		if len(near) < most && strings.Contains(strings.ToLower(n), strings.ToLower(asked)) && !slices.Contains(near, n) {
			near = append(near, n)
		}
	}
	wrapped := seaworthy.Errorf(seaworthy.CodeOf(err), "%w", err)
	switch {
	case len(near) > 0:
		return wrapped.WithHint("did you mean %s?", strings.Join(near, ", "))
	case len(names) == 0:
		return wrapped.WithHint("no manifests or lock files were found there")
	}
	return wrapped.WithHint("seaworthy deps DIR lists the %d names there are", len(names))
}
