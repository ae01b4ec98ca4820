package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/source/advisory"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// databaseFlag names the advisory database: --advisories, which SEAWORTHY_ADVISORIES sets too.
func databaseFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "advisories", "", "the advisory database (default: advisories.db in the data folder)")
}

// databasePath is where the database is when --advisories does not say.
func (a *app) databasePath(file string) (string, error) {
	if file != "" {
		return file, nil
	}
	dir, err := a.dataDir()
	return filepath.Join(dir, "advisories.db"), err
}

// openDatabase opens the advisory database, unless its data is older than maxAge.
func (a *app) openDatabase(file string, maxAge days) (*advisory.DB, error) {
	path, err := a.databasePath(file)
	if err != nil {
		return nil, err
	}
	db, err := advisory.Open(path)
	if seaworthy.CodeOf(err) == seaworthy.NotFound {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "opening the advisory database %q: there is none", path).
			WithHint("build one: seaworthy advisories build --from osv.zip -o %s, and name it with --advisories unless it is the default", shellWord(path))
	}
	if err != nil {
		wrapped := &seaworthy.Error{Code: seaworthy.CodeOf(err), Err: err, Hint: seaworthy.HintOf(err)}
		if wrapped.Hint == "" {
			wrapped.Hint = "build it again: seaworthy advisories build --from osv.zip -o " + shellWord(path)
		}
		return nil, wrapped
	}
	if err := advisory.Stale(db.Sources(), time.Now(), time.Duration(maxAge)); err != nil {
		db.Close()
		return nil, err
	}
	return db, nil
}

// shellWord quotes a file name for a command that a person may copy.
func shellWord(s string) string {
	if strings.ContainsAny(s, " \t\n'\"\\$&;|<>()*?[]#~`!") {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// days is a duration that may be written in days and weeks: "36h", "14d", "2w". It is a pflag.Value.
type days time.Duration

// Set implements pflag.Value. Errors: Usage.
func (d *days) Set(s string) error {
	unit, number := time.Duration(0), s
	switch {
	case strings.HasSuffix(s, "d"):
		unit, number = 24*time.Hour, strings.TrimSuffix(s, "d")
	case strings.HasSuffix(s, "w"):
		unit, number = 7*24*time.Hour, strings.TrimSuffix(s, "w")
	}
	var parsed time.Duration
	var err error
	if unit > 0 {
		var n float64
		n, err = strconv.ParseFloat(number, 64)
		parsed = time.Duration(n * float64(unit))
		if err == nil && !(n >= 0 && n < 36500) {
			err = strconv.ErrRange
		}
	} else {
		parsed, err = time.ParseDuration(s)
	}
	if err != nil || parsed <= 0 {
		return seaworthy.Errorf(seaworthy.Usage, "%q is no length of time", s).WithHint("write 36h, 14d or 2w")
	}
	*d = days(parsed)
	return nil
}

// String implements pflag.Value.
func (d *days) String() string {
	if *d == 0 {
		return ""
	}
	return ageText(time.Duration(*d))
}

// Type implements pflag.Value.
func (*days) Type() string { return "time" }

// ageText is a length of time in the largest unit that tells enough: "3 hours", "92 days".
func ageText(d time.Duration) string {
	count := func(n int, unit string) string {
		if n == 1 {
			return "1 " + unit
		}
		return fmt.Sprintf("%d %ss", n, unit)
	}
	if d < 48*time.Hour {
		return count(int(d/time.Hour), "hour")
	}
	return count(int(d/(24*time.Hour)), "day")
}

func newAdvisories(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "advisories",
		Short:   "The advisory database: build, update, show, status",
		GroupID: lookGroup,
		Long: `Advisories builds and looks into the advisory database that scan uses: one file, made of OSV records (zip files or
directories, JSON or YAML), Debian's tracker, Alpine's secdb, CISA's KEV and FIRST's EPSS.`,
		Args: noSuchVerb,
		RunE: needsVerb,
	}
	cmd.AddCommand(newAdvisoriesBuild(a), newAdvisoriesUpdate(a), newAdvisoriesShow(a), newAdvisoriesStatus(a))
	return cmd
}

func newAdvisoriesBuild(a *app) *cobra.Command {
	var (
		from    []string
		file    string
		options advisory.BuildOptions
	)
	cmd := &cobra.Command{
		Use:   "build --from PATH…",
		Short: "Make a database of advisories",
		Long: `Build makes an advisory database of what --from names: zip files, directories and single files. What is in them is
recognised. An advisory that cannot be read is named, counted and left out; the database is made of the rest, and
the exit status is 1 unless --keep-going is given. The same input gives the same bytes.`,
		Example: "  seaworthy advisories build --from go.zip --from pypi.zip --from kev.json -o advisories.db",
		Args:    takes("seaworthy advisories build --from go.zip -o advisories.db"),
	}
	f := cmd.Flags()
	f.StringArrayVar(&from, "from", nil, "a zip file, directory or file of advisories; may be repeated")
	f.StringVarP(&file, "output", "o", "", "the file to write (default: advisories.db in the data folder)")
	f.BoolVar(&options.KeepGoing, "keep-going", false, "malformed advisories are no error")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if len(from) == 0 {
			return seaworthy.Errorf(seaworthy.Usage, "%s needs --from", cmd.CommandPath()).WithHint("for example: seaworthy advisories build --from go.zip -o advisories.db")
		}
		path, err := a.databaseToWrite(file)
		if err != nil {
			return err
		}
		var inputs []advisory.Input
		for _, name := range from {
			inputs = append(inputs, advisory.Input{Path: name})
		}
		bar := a.progress.Start("reading advisories", 0, console.Things)
		done := 0
		options.Progress = func(files int) {
			bar.Add(int64(max(0, files-done)))
			done = files
		}
		summary, err := advisory.Build(cmd.Context(), inputs, path, options)
		bar.Done()
		a.warnMalformed(summary)
		if err != nil && seaworthy.CodeOf(err) != seaworthy.Incomplete {
			return err
		}
		if writeErr := writeSources(a.stdout, summary.Sources, time.Now()); writeErr != nil {
			return writeErr
		}
		a.note("%s: %d vulnerabilities of %d packages in %s", path, summary.Groups, summary.Packages, console.Size(summary.Size))
		return err
	}
	return cmd
}

// shownMalformed is how many malformed advisories are named on stderr.
const shownMalformed = 20

func (a *app) warnMalformed(summary advisory.Summary) {
	for i, p := range summary.Problems {
		if i == shownMalformed && !a.verbose {
			a.warn("… and %d more; --verbose names them", summary.Malformed-i)
			break
		}
		a.warn("left out: %s: %s", p.Where, p.Detail)
	}
}

// databaseToWrite is where a database goes; the data folder is made when it is meant.
func (a *app) databaseToWrite(file string) (string, error) {
	path, err := a.databasePath(file)
	if err != nil {
		return "", err
	}
	if file == "" {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return "", seaworthy.Wrap(err, seaworthy.Storage, "making the data folder")
		}
	}
	return path, nil
}

func newAdvisoriesUpdate(a *app) *cobra.Command {
	var (
		file      string
		plainHTTP bool
		options   advisory.UpdateOptions
	)
	cmd := &cobra.Command{
		Use:   "update FROM",
		Short: "Replace the database by a newer one",
		Long: `Update replaces the database by the one that FROM names: a database file, a directory of advisories, an https URL
or an OCI reference (an artifact with the database as its one layer). The new one is checked byte for byte before it
takes the old one's place; whatever fails, the old one stays.`,
		Example: "  seaworthy advisories update https://example.org/advisories.db\n  seaworthy advisories update oci://registry.example/advisories:latest",
		Args:    takes("seaworthy advisories update https://example.org/advisories.db", "where the new one is"),
	}
	databaseFlag(cmd, &file)
	cmd.Flags().BoolVar(&options.Build.KeepGoing, "keep-going", false, "malformed advisories in a directory are no error")
	cmd.Flags().BoolVar(&plainHTTP, "plain-http", false, "speak HTTP to the registry; localhost is always spoken to so")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		path, err := a.databaseToWrite(file)
		if err != nil {
			return err
		}
		options.OCI = func(ctx context.Context, reference string) (io.ReadCloser, error) {
			return openArtifact(ctx, reference, plainHTTP)
		}
		sources, err := advisory.Update(cmd.Context(), args[0], path, options)
		if err != nil {
			return err
		}
		return writeSources(a.stdout, sources, time.Now())
	}
	return cmd
}

// openArtifact opens the one layer of an OCI artifact, checked against its digest when it has been read.
func openArtifact(ctx context.Context, reference string, plainHTTP bool) (io.ReadCloser, error) {
	ref, err := oci.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	client, err := oci.NewClient(oci.Options{PlainHTTP: plainHTTP})
	if err != nil {
		return nil, err
	}
	_, body, err := client.Manifest(ctx, ref)
	if err != nil {
		client.Close()
		return nil, err
	}
	var manifest struct {
		Layers []oci.Descriptor `json:"layers"`
	}
	if err := json.Unmarshal(body, &manifest); err != nil || len(manifest.Layers) != 1 {
		client.Close()
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "reading %q: an artifact with %d layers, want the database as the only one", reference, len(manifest.Layers))
	}
	blob, err := client.Blob(ctx, ref, manifest.Layers[0])
	if err != nil {
		client.Close()
		return nil, err
	}
	return newCheckedBlob(blob, manifest.Layers[0].Digest, client.Close)
}

func newAdvisoriesShow(a *app) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "What the database knows of a vulnerability",
		Example: "  seaworthy advisories show CVE-2023-45288",
		Args:    takes("seaworthy advisories show CVE-2023-45288", "the name of a vulnerability"),
	}
	databaseFlag(cmd, &file)
	out := a.outputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(_ *cobra.Command, args []string) error {
		db, err := a.openDatabase(file, 0)
		if err != nil {
			return err
		}
		defer db.Close()
		known, err := db.Advisory(args[0])
		if err != nil {
			return err
		}
		return out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, known)
			case "yaml":
				return console.YAML(w, known)
			}
			return writeAdvisory(w, known)
		})
	}
	return cmd
}

func writeAdvisory(w io.Writer, known *advisory.Advisory) error {
	var b strings.Builder
	line := func(indent, name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s%-10s %s\n", indent, name, console.Escape(value))
		}
	}
	fmt.Fprintf(&b, "%s\n", console.Escape(known.ID))
	line("  ", "also", strings.Join(known.Aliases, ", "))
	if k := known.KEV; k != nil {
		line("  ", "KEV", strings.TrimSpace("known to be exploited since "+k.Added+" "+k.Name))
	}
	if e := known.EPSS; e != nil {
		line("  ", "EPSS", fmt.Sprintf("%.2f%%, percentile %.0f", 100*e.Probability, 100*e.Percentile))
	}
	for _, r := range append(known.Records, known.Bundles...) {
		fmt.Fprintf(&b, "\n%s  (%s)\n", console.Escape(r.ID), console.Escape(r.Source))
		line("  ", "what", r.Summary)
		for _, rating := range r.Ratings {
			text := rating.Severity.String() + "  " + rating.Text
			if rating.Score > 0 {
				text = fmt.Sprintf("%s %.1f  %s", rating.Severity, rating.Score, rating.Text)
			}
			line("  ", "rated", text)
		}
		if !r.Published.IsZero() {
			line("  ", "published", r.Published.Format(time.DateOnly))
		}
		if !r.Modified.IsZero() {
			line("  ", "changed", r.Modified.Format(time.DateOnly))
		}
		for _, p := range r.Packages {
			line("  ", "package", p.Ecosystem+" "+p.Name)
		}
		for _, u := range r.URLs {
			line("  ", "see", u.URL)
		}
		if r.Details != "" {
			fmt.Fprintln(&b)
			for text := range strings.Lines(r.Details) {
				fmt.Fprintln(&b, strings.TrimRight("  "+console.Escape(strings.TrimRight(text, "\r\n")), " "))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return seaworthy.Wrap(err, seaworthy.Storage, "writing the advisory")
}

// databaseStatus is what status has to say.
type databaseStatus struct {
	Path       string                    `json:"path"`
	Size       int64                     `json:"size"`
	Records    int                       `json:"records"`
	Sources    []sourceStatus            `json:"sources"`
	Ecosystems []advisory.EcosystemCount `json:"ecosystems"`
}

type sourceStatus struct {
	advisory.Source
	AgeHours int `json:"ageHours"`
}

func newAdvisoriesStatus(a *app) *cobra.Command {
	var (
		file   string
		maxAge days
		verify bool
	)
	cmd := &cobra.Command{
		Use:     "status",
		Short:   "What the database was made of, and how old that is",
		Example: "  seaworthy advisories status --max-age 7d",
		Args:    takes("seaworthy advisories status"),
	}
	databaseFlag(cmd, &file)
	cmd.Flags().Var(&maxAge, "max-age", "refuse data older than this: 36h, 14d, 2w")
	cmd.Flags().BoolVar(&verify, "verify", false, "check every byte of the file, too")
	out := a.outputFlag(cmd, "table", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		path, err := a.databasePath(file)
		if err != nil {
			return err
		}
		db, err := a.openDatabase(path, 0)
		if err != nil {
			return err
		}
		defer db.Close()
		if verify {
			if err := db.Verify(cmd.Context()); err != nil {
				return seaworthy.Wrap(err, seaworthy.Mismatch, "checking %q", path)
			}
		}
		now := time.Now()
		status := databaseStatus{Path: path, Size: db.Size(), Records: db.Records(), Ecosystems: db.Ecosystems()}
		for _, s := range db.Sources() {
			status.Sources = append(status.Sources, sourceStatus{s, int(now.Sub(s.Date) / time.Hour)})
		}
		err = out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, status)
			case "yaml":
				return console.YAML(w, status)
			}
			return writeStatus(w, &status, db.Sources(), now)
		})
		if err != nil {
			return err
		}
		return advisory.Stale(db.Sources(), now, time.Duration(maxAge))
	}
	return cmd
}

func writeStatus(w io.Writer, status *databaseStatus, sources []advisory.Source, now time.Time) error {
	if err := writeSources(w, sources, now); err != nil {
		return err
	}
	fmt.Fprintln(w)
	t := &console.Table{Columns: []console.Column{{Name: "ECOSYSTEM"}, {Name: "PACKAGES", Right: true}}}
	for _, e := range status.Ecosystems {
		t.Add(e.Name, strconv.Itoa(e.Packages))
	}
	if err := t.Write(w); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s: %d advisories, %s\n", console.Escape(status.Path), status.Records, console.Size(status.Size))
	return seaworthy.Wrap(err, seaworthy.Storage, "writing the status")
}

func writeSources(w io.Writer, sources []advisory.Source, now time.Time) error {
	t := &console.Table{Columns: []console.Column{
		{Name: "SOURCE", Shrink: true},
		{Name: "KIND"},
		{Name: "DATE"},
		{Name: "AGE"},
		{Name: "ADVISORIES", Right: true},
		{Name: "WITHDRAWN", Right: true},
		{Name: "MALFORMED", Right: true},
		{Name: "DIGEST"},
	}}
	for _, s := range sources {
		n := s.Records
		if s.Facts > 0 {
			n = s.Facts
		}
		date := s.Date.Format(time.DateOnly)
		if s.DateOf == "file" {
			date += " (file)"
		}
		t.Add(s.Name, string(s.Kind), date, ageText(now.Sub(s.Date)), strconv.Itoa(n), strconv.Itoa(s.Withdrawn), strconv.Itoa(s.Malformed), s.Digest.Short())
	}
	return t.Write(w)
}
