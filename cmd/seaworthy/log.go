package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/mod/sumdb/note"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/ledger"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/serve/rekor"
)

func newLog(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "log",
		Short: "What a transparency log has, and whether it is honest",
		Long: `Log asks a transparency log: this program's, in a folder or at an address, or any that has C2SP tiles. What it
answers is checked with the log's key in a trusted root; nothing it says is believed.`,
		GroupID: trustGroup,
		Args:    noSuchVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newLogEntries(a), newLogProof(a), newLogVerify(a), newLogFsck(a), newLogMonitor(a), newLogServe(a))
	return cmd
}

// logFlags say which log is meant.
type logFlags struct{ place, root string }

func (o *logFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.place, "log", "", "address of the log, or folder of seaworthy up (default up, in the data folder)")
	cmd.Flags().StringVar(&o.root, "trusted-root", "", "file with the log's key (default trusted_root.json in the folder)")
}

// logPlace is a log that can be read and checked.
type logPlace struct {
	ledger.Reader
	dir, url string // one of them
	origin   string
	id       []byte
	verifier note.Verifier
}

// openPlace finds the log that is meant, and its key.
func (a *app) openPlace(o logFlags) (*logPlace, error) {
	if o.place == "" {
		data, err := a.dataDir()
		if err != nil {
			return nil, err
		}
		o.place = filepath.Join(data, "up")
	}
	p := new(logPlace)
	if ledger.Local(o.place) {
		p.dir = filepath.Join(o.place, "log")
		p.Reader = ledger.Folder{Path: p.dir}
		body, err := os.ReadFile(filepath.Join(p.dir, "origin"))
		if err != nil {
			return nil, seaworthy.Errorf(seaworthy.NotFound, "looking for a log in %q: %w", o.place, err).
				WithHint("name the folder of seaworthy up, or the address of a log")
		}
		p.origin = strings.TrimSpace(string(body))
		if o.root == "" {
			o.root = filepath.Join(o.place, "trusted_root.json")
		}
	} else {
		u, err := url.Parse(o.place)
		if err != nil || u.Host == "" {
			return nil, seaworthy.Errorf(seaworthy.Usage, "--log %q: not an address like https://log.example", o.place)
		}
		p.url = strings.TrimSuffix(o.place, "/")
		p.origin = u.Hostname()
		p.Reader = ledger.Web{URL: p.url + "/api/v2"}
	}
	trusted, err := a.trustedRoot(o.root)
	if err != nil {
		return nil, err
	}
	for _, l := range trusted.RekorLogs() {
		u, err := url.Parse(l.BaseURL)
		if err != nil || u.Hostname() != p.origin {
			continue
		}
		if p.url != "" && strings.TrimSuffix(l.BaseURL, "/") != p.url {
			continue
		}
		p.id = l.ID
		p.verifier, err = ledger.Verifier(p.origin, l.PublicKey, false)
		return p, err
	}
	return nil, seaworthy.Errorf(seaworthy.NotFound, "looking for the key of the log %q in %s: it has none", o.place, trusted.Name()).
		WithHint("name the file that has it with --trusted-root")
}

func newLogServe(a *app) *cobra.Command {
	var o serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve a log alone",
		Long: `Serve serves the transparency log of a folder alone, with the HTTP API of Rekor v2 and the tiles that monitors read,
until it is interrupted. Seaworthy up serves it together with the rest.`,
		Example: "  seaworthy log serve --dir data --addr 127.0.0.1:3003",
		Args:    takes("seaworthy log serve --dir data"),
	}
	o.add(cmd, "127.0.0.1:3003")
	o.addHighWater(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context(), o, logRole) }
	return cmd
}

// readSigned reads which digest and key are asked for: what cannot be one is not "nothing found".
func readSigned(q *ledger.Query, digest string) (err error) {
	if digest != "" {
		if q.Digest, err = seaworthy.ParseDigest(digest); err != nil {
			return seaworthy.Errorf(seaworthy.Usage, "--digest: %w", err).WithHint("a digest looks like sha256:<64 hexadecimal digits>")
		}
	}
	if key, err := hex.DecodeString(q.Key); err != nil || q.Key != "" && len(key) != sha256.Size {
		return seaworthy.Errorf(seaworthy.Usage, "--key-hash %q: not 64 hexadecimal digits", q.Key)
	}
	q.Key = strings.ToLower(q.Key)
	return nil
}

func newLogEntries(a *app) *cobra.Command {
	var (
		o            logFlags
		q            ledger.Query
		digest       string
		since, until string
	)
	cmd := &cobra.Command{
		Use:     "entries",
		Short:   "Entries by what was signed, by whom, with which key, and when",
		Long:    `Entries lists the entries of a log that have everything that is asked for. Without anything it lists the first ones.`,
		Example: "  seaworthy log entries --log http://127.0.0.1:8080 --identity you@example.com\n  seaworthy log entries --log data --digest sha256:…",
		Args:    takes("seaworthy log entries --identity you@example.com"),
	}
	o.add(cmd)
	f := cmd.Flags()
	f.StringVar(&digest, "digest", "", "digest of what was signed, sha256:…")
	f.StringVar(&q.Identity, "identity", "", "e-mail address or URI in the certificate")
	f.StringVar(&q.Key, "key-hash", "", "SHA-256 of the public key, hexadecimal")
	f.StringVar(&since, "since", "", "not before this time, like 2026-01-02T15:04:05Z")
	f.StringVar(&until, "until", "", "before this time")
	f.Uint64Var(&q.From, "from", 0, "first index")
	f.IntVar(&q.Limit, "limit", 100, "at most so many")
	out := a.outputFlag(cmd, "table", "json", "jsonl", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		if err := readSigned(&q, digest); err != nil {
			return err
		}
		for name, text := range map[string]string{"since": since, "until": until} {
			if text == "" {
				continue
			}
			at, err := time.Parse(time.RFC3339, text)
			if err != nil {
				return seaworthy.Errorf(seaworthy.Usage, "--%s %q: not a time like 2026-01-02T15:04:05Z", name, text)
			}
			if name == "since" {
				q.Since = at
			} else {
				q.Until = at
			}
		}
		p, err := a.openPlace(o)
		if err != nil {
			return err
		}
		found, err := p.find(cmd.Context(), q)
		if err != nil {
			return err
		}
		return out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, found)
			case "jsonl":
				return console.JSONL(w, found.Entries)
			case "yaml":
				return console.YAML(w, found)
			}
			if len(found.Entries) == 0 {
				a.note("none of the log's %d entries is as asked", found.Indexed)
				return nil
			}
			t := &console.Table{Columns: []console.Column{{Name: "INDEX", Right: true}, {Name: "TIME"}, {Name: "WHO", Shrink: true}, {Name: "DIGEST", Shrink: true}}}
			for _, r := range found.Entries {
				who, when := strings.Join(r.Identities, ", "), ""
				if who == "" {
					who = "key " + r.Key
				}
				if !r.Time.IsZero() {
					when = r.Time.Format(time.RFC3339)
				}
				t.Add(strconv.FormatUint(r.Index, 10), when, who, string(r.Digest))
			}
			return t.Write(w)
		})
	}
	return cmd
}

// find searches a log: one that is served is asked, one in a folder is read.
func (p *logPlace) find(ctx context.Context, q ledger.Query) (rekor.Found, error) {
	if p.dir != "" {
		records, indexed, err := ledger.Search(ctx, p.dir, q)
		return rekor.Found{Entries: records, Indexed: indexed, Origin: p.origin}, err
	}
	values := url.Values{}
	for name, value := range map[string]string{"digest": string(q.Digest), "identity": q.Identity, "key": q.Key} {
		if value != "" {
			values.Set(name, value)
		}
	}
	for name, at := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !at.IsZero() {
			values.Set(name, at.Format(time.RFC3339))
		}
	}
	values.Set("from", strconv.FormatUint(q.From, 10))
	values.Set("limit", strconv.Itoa(q.Limit))
	var found rekor.Found
	at := p.url + "/api/v2/log/search?" + values.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return found, seaworthy.Wrap(err, seaworthy.Usage, "asking the log at %q", p.url)
	}
	res, err := (&http.Client{Timeout: time.Minute}).Do(req)
	if err != nil {
		return found, seaworthy.Wrap(err, seaworthy.Unavailable, "asking the log at %q", p.url)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	switch {
	case err != nil:
		return found, seaworthy.Wrap(err, seaworthy.Unavailable, "asking the log at %q", p.url)
	case res.StatusCode == http.StatusNotFound:
		return found, seaworthy.Errorf(seaworthy.Unsupported, "asking the log at %q: it cannot be searched", p.url).
			WithHint("logs of other programs have no search; read one with log monitor")
	case res.StatusCode != http.StatusOK:
		return found, seaworthy.Errorf(seaworthy.Unavailable, "asking the log at %q: status %d: %s", p.url, res.StatusCode, clipped(string(body)))
	}
	err = json.Unmarshal(body, &found)
	if err == nil && found.Entries == nil {
		err = errors.New("it has no entries")
	}
	return found, seaworthy.Wrap(err, seaworthy.Invalid, "reading the answer of the log at %q", p.url)
}

func newLogProof(a *app) *cobra.Command {
	var o logFlags
	cmd := &cobra.Command{
		Use:   "proof INDEX",
		Short: "An entry, with the proof that it is in the log",
		Long: `Proof prints an entry with a proof against the log's published checkpoint, as bundles hold it (TransparencyLogEntry).
It is made of the log's tiles and checked.`,
		Example: "  seaworthy log proof 0 --log http://127.0.0.1:8080 --trusted-root trusted_root.json",
		Args:    takes("seaworthy log proof 0", "INDEX"),
	}
	o.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		at, err := strconv.ParseUint(args[0], 10, 63)
		if err != nil {
			return seaworthy.Errorf(seaworthy.Usage, "%q is no index of an entry", args[0])
		}
		p, err := a.openPlace(o)
		if err != nil {
			return err
		}
		e, err := ledger.Prove(cmd.Context(), p, p.origin, p.verifier, p.id, at)
		if err != nil {
			return err
		}
		body, err := plainJSON(e)
		if err != nil {
			return err
		}
		_, err = a.stdout.Write(body)
		return seaworthy.Wrap(err, seaworthy.Storage, "writing the proof")
	}
	return cmd
}

func newLogFsck(a *app) *cobra.Command {
	var o logFlags
	cmd := &cobra.Command{
		Use:   "fsck",
		Short: "Read a whole log and make every tile and the root anew",
		Long: `Fsck reads every entry of a log, makes its tiles and its root from them, and compares. It exits with 2 when
something is not as it was signed.`,
		Example: "  seaworthy log fsck --log data",
		Args:    takes("seaworthy log fsck --log data"),
	}
	o.add(cmd)
	out := a.outputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		p, err := a.openPlace(o)
		if err != nil {
			return err
		}
		c, err := ledger.Fsck(cmd.Context(), p, p.origin, p.verifier, false)
		if err != nil {
			return err
		}
		err = out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, c)
			case "yaml":
				return console.YAML(w, c)
			}
			for _, problem := range c.Problems {
				fmt.Fprintf(w, "%s: %s\n", console.Escape(problem.Where), console.Escape(problem.Detail))
			}
			_, err := fmt.Fprintf(w, "%s: %d entries, root %s, %s\n", console.Escape(c.Origin), c.Entries, c.Root, console.Count(len(c.Problems), "problem"))
			return err
		})
		if err == nil && len(c.Problems) > 0 {
			return seaworthy.Errorf(seaworthy.Refused, "the log %q is damaged", c.Origin).WithHint("stop it, and restore its newest storage")
		}
		return err
	}
	return cmd
}

func newLogMonitor(a *app) *cobra.Command {
	var (
		o          logFlags
		state      string
		every      time.Duration
		once       bool
		identities []string
	)
	cmd := &cobra.Command{
		Use:   "monitor",
		Short: "Watch a log: that it only grows, and who signs in it",
		Long: `Monitor looks at a log again and again, checks that it contains what it had, checks every new entry, and prints those
of the identities that are watched for as JSON lines. What it saw last is kept in a file. When the log contradicts
itself it says so and exits with 2: it was rolled back, or shows different people different things.`,
		Example: "  seaworthy log monitor --log http://127.0.0.1:8080 --trusted-root trusted_root.json --state seen --identity you@example.com",
		Args:    takes("seaworthy log monitor --log data --state seen"),
	}
	o.add(cmd)
	f := cmd.Flags()
	f.StringVar(&state, "state", "", "file that remembers what was seen (required)")
	f.DurationVar(&every, "every", 10*time.Second, "how long to wait between two looks")
	f.BoolVar(&once, "once", false, "look once")
	f.StringArrayVar(&identities, "identity", nil, "print entries of this identity; may be repeated")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if state == "" {
			return seaworthy.Errorf(seaworthy.Usage, "log monitor needs --state").WithHint("a file that remembers what was seen")
		}
		p, err := a.openPlace(o)
		if err != nil {
			return err
		}
		m := &ledger.Monitor{Log: p, Origin: p.origin, Verifier: p.verifier, Watch: func(r ledger.Record) bool {
			for _, who := range identities {
				for _, is := range r.Identities {
					if strings.EqualFold(who, is) {
						return true
					}
				}
			}
			return false
		}}
		if m.Seen, err = os.ReadFile(state); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return seaworthy.Wrap(err, seaworthy.Storage, "reading %q", state)
		}
		return a.watch(cmd.Context(), m, state, every, once)
	}
	return cmd
}

func (a *app) watch(ctx context.Context, m *ledger.Monitor, state string, every time.Duration, once bool) error {
	for {
		look, err := m.Look(ctx)
		switch code := seaworthy.CodeOf(err); {
		case err == nil:
			if err := console.JSONL(a.stdout, look.Found); err != nil {
				return err
			}
			if err := writeState(state, m.Seen); err != nil {
				return err
			}
			a.note("%s has %d entries, %d of them new", look.Origin, look.Entries, look.Entries-look.Before)
		case once || code != seaworthy.Unavailable:
			return err
		default:
			a.warn("%s", err)
		}
		if once {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}
