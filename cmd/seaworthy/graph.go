package main

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/trace"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

func newGraph(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "graph",
		Short: "What is known of something, who says so, and what is missing",
		Long: `Graph keeps documents (bills, attestations, signatures, scorecards, VEX, scans) and answers questions about what they
say. Every answer names the documents it rests on and who signed them; what nobody signed is shown and marked, and
what is missing is an answer too.

It is in a folder or in PostgreSQL (--store). While seaworthy up has the folder open, it is asked there; the answers
are the same.`,
		Example: "  seaworthy graph ingest evidence/ registry.example/app:1.2\n  seaworthy graph provenance registry.example/app:1.2 -o tree",
		GroupID: trustGroup,
		Args:    noSuchVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newGraphIngest(a))
	for _, v := range trace.Verbs() {
		cmd.AddCommand(newGraphVerb(a, v))
	}
	cmd.AddCommand(newGraphJobs(a), newGraphStats(a), newGraphCheck(a), newGraphRebuild(a), newGraphBackup(a), newGraphRestore(a))
	return cmd
}

// graphExamples are what a question could be about, where that is not an image.
var graphExamples = map[string][]string{
	"known":         {"kube-controller-manager"},
	"path":          {"registry.example/app:1.2", "CVE-2023-44487"},
	"dependents":    {"pkg:npm/lodash"},
	"impact":        {"CVE-2023-44487"},
	"patch":         {"pkg:npm/lodash"},
	"diff":          {"registry.example/app:1.2", "registry.example/app:1.3"},
	"top":           {"depends"},
	"find":          {"openssl"},
	"neighbourhood": {"sha256:ada949e0"},
	"package":       {"pkg:npm/lodash"},
	"vuln":          {"CVE-2023-44487"},
}

const graphSubjectHelp = `What it is about is named as people know it: a digest or its beginning, a package URL, an image, an advisory, a file, an
identity. What could be several things is an error that lists them.`

// newGraphVerb makes a verb of a question.
func newGraphVerb(a *app, v trace.Verb) *cobra.Command {
	example := graphExamples[v.Name]
	var names []string
	optional := ""
	switch {
	case v.To:
		names = []string{"X", "Y"}
	case v.Subject, v.Name == "find":
		names = []string{"X"}
	case slices.Contains(strings.FieldsFunc(v.Asks, notLetter), "X"):
		optional = "X"
	}
	if example == nil && (len(names) > 0 || optional != "") {
		example = []string{"registry.example/app:1.2"}
	}
	line := "seaworthy graph " + strings.Join(append([]string{v.Name}, example...), " ")
	use := strings.Join(append([]string{v.Name}, names...), " ")
	if optional != "" {
		use += " [" + optional + "]"
	}
	long := v.Asks
	if v.Subject {
		long += "\n\n" + graphSubjectHelp
	}
	cmd := &cobra.Command{
		Use: use, Short: strings.TrimSuffix(v.Asks, "?"), Long: long, Example: "  " + line + "\n  " + line + " -o json", Args: takesUpTo(line, optional, names),
	}
	var o questionFlags
	o.add(cmd, v)
	out := a.outputFlag(cmd, "table", "json", "yaml", "tree", "dot", "mermaid")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		q, err := o.question(v.Name, args)
		if err != nil {
			return err
		}
		place, err := a.openGraph(cmd.Context(), o.storeFlags, toRead)
		if err != nil {
			return err
		}
		answer, err := place.Ask(cmd.Context(), q)
		if closed := place.Close(); err == nil {
			err = closed
		}
		if err != nil {
			return err
		}
		a.detail("%d documents, %.3f ms", len(answer.Documents), answer.Took)
		if err := a.writeAnswer(out, answer); err != nil {
			return err
		}
		if answer.Truncated {
			a.warn("there is more than this: ask with a larger --limit or --depth")
		}
		return nil
	}
	return cmd
}

func notLetter(r rune) bool { return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z') }

// takesUpTo is the Args of a verb with these arguments, or with one that may be left out.
func takesUpTo(example, optional string, names []string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if optional != "" && len(args) == 1 {
			return nil
		}
		if optional != "" && len(args) > 1 {
			names = []string{optional}
		}
		return takes(example, names...)(cmd, args)
	}
}

func (a *app) writeAnswer(out *console.Outputs, answer *trace.Answer) error {
	return out.Write(a.stdout, func(format string, w io.Writer) error {
		switch format {
		case "json":
			return console.JSON(w, answer)
		case "yaml":
			return console.YAML(w, answer)
		case "tree":
			return answer.Tree(w)
		case "dot":
			return answer.DOT(w)
		case "mermaid":
			return answer.Mermaid(w)
		}
		return answer.Table(w)
	})
}

// questionFlags are those of every question.
type questionFlags struct {
	storeFlags
	trust   string
	signers []string
	asOf    string
	depth   int
	limit   int
	kinds   []string
}

func (o *questionFlags) add(cmd *cobra.Command, v trace.Verb) {
	o.storeFlags.add(cmd)
	f := cmd.Flags()
	f.StringVar(&o.trust, "trust", "any", "whose word counts: any, or signed for what somebody signed and could be verified")
	f.StringArrayVar(&o.signers, "signer", nil, `count only what this actor signed: "identity:ci@example.com|https://issuer", "key:sha256:…"; * at the end stands for anything; may be repeated`)
	f.StringVar(&o.asOf, "as-of", "", "what was known then: 2026-01-02, or 2026-01-02T15:04:05Z")
	f.IntVar(&o.depth, "depth", v.Depth, "at most so many steps")
	f.IntVar(&o.limit, "limit", v.Limit, "at most so many rows")
	if v.Name == "find" || v.Name == "top" {
		kinds := make([]string, 0, len(seaworthy.SubjectKinds()))
		for _, k := range seaworthy.SubjectKinds() {
			kinds = append(kinds, string(k))
		}
		f.StringSliceVar(&o.kinds, "kind", nil, "only of this kind; may be repeated: "+strings.Join(kinds, ", "))
	}
}

// question reads the flags. Errors: Usage.
func (o *questionFlags) question(verb string, args []string) (trace.Question, error) {
	q := trace.Question{Verb: verb, Depth: o.depth, Limit: o.limit}
	if len(args) > 0 {
		q.Subject = args[0]
	}
	if len(args) > 1 {
		q.To = args[1]
	}
	switch o.trust {
	case "any":
	case "signed":
		q.Trust.Signed = true
	default:
		return q, seaworthy.Errorf(seaworthy.Usage, "--trust %q: not any or signed", o.trust)
	}
	q.Trust.Signers = o.signers
	var err error
	if q.AsOf, err = asOf(o.asOf); err != nil {
		return q, err
	}
	for _, k := range o.kinds {
		q.Kinds = append(q.Kinds, seaworthy.SubjectKind(k))
	}
	if o.depth < 1 || o.limit < 1 {
		// Some questions have no depth; their default of 0 is theirs.
		if o.depth < 0 || o.limit < 1 {
			return q, seaworthy.Errorf(seaworthy.Usage, "--depth %d and --limit %d: both must be positive", o.depth, o.limit)
		}
	}
	return q, nil
}

// asOf reads a time, or a day, of which the end is meant.
func asOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, seaworthy.Errorf(seaworthy.Usage, "--as-of %q: not like 2026-01-02, or 2026-01-02T15:04:05Z", text)
	}
	return day.AddDate(0, 0, 1).Add(-time.Nanosecond), nil
}
