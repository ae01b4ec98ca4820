package main

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"io"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/grade"
	"github.com/seaworthy-dev/seaworthy/engine/match"
	"github.com/seaworthy-dev/seaworthy/format/cdxvex"
	"github.com/seaworthy-dev/seaworthy/format/openvex"
)

// scanning are the flags of every verb that scans.
type scanning struct {
	app            *app
	read           *reading
	bill           *billFlags
	advisories     string
	maxAge         days
	vex            []string
	licences       string
	allow, deny    []string
	method         string
	showSuppressed bool
}

func (a *app) scanningFlags(cmd *cobra.Command) *scanning {
	s := &scanning{app: a, bill: &billFlags{app: a}}
	f := cmd.Flags()
	databaseFlag(cmd, &s.advisories)
	f.Var(&s.maxAge, "max-age", "refuse advisories older than this: 36h, 14d, 2w")
	f.StringArrayVar(&s.vex, "vex", nil, "OpenVEX or CycloneDX file with statements about findings; may be repeated")
	f.StringVar(&s.licences, "licences", "", "licence policy: YAML with the lists allow, deny and review, and unknown")
	f.StringArrayVar(&s.allow, "allow-licence", nil, "allow a licence, and send all that no list names to review; may be repeated")
	f.StringArrayVar(&s.deny, "deny-licence", nil, "deny a licence: MIT, GPL-*; may be repeated")
	f.StringVar(&s.method, "grade", "seaworthy", "how to grade: seaworthy, daggerboard, or daggerboard=40,10,3,1 with other weights")
	f.BoolVar(&s.showSuppressed, "show-suppressed", false, "list what VEX took away, with the reason")
	s.read = a.readingFlags(cmd)
	return s
}

// report scans a target.
func (s *scanning) report(cmd *cobra.Command, target string) (*grade.Report, error) {
	method, err := grade.ParseMethod(s.method)
	if err != nil {
		return nil, err
	}
	policy, err := s.policy()
	if err != nil {
		return nil, err
	}
	statements, err := s.app.readVEX(s.vex)
	if err != nil {
		return nil, err
	}
	at, err := s.app.now()
	if err != nil {
		return nil, err
	}
	db, err := s.app.openDatabase(s.advisories, s.maxAge)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	for _, source := range db.Sources() {
		s.app.detail("advisories: %s of %s, %s old", source.Name, source.Date.Format(time.DateOnly), ageText(time.Since(source.Date)))
	}
	bill, broken, err := s.read.bill(cmd, target, s.bill)
	if err != nil {
		return nil, err
	}
	result, err := match.Packages(cmd.Context(), db, bill, match.Options{VEX: statements})
	if err != nil {
		return nil, err
	}
	return grade.New(bill, result, grade.Options{
		Target: target, At: at, Tool: seaworthy.Tool{Vendor: "seaworthy-dev", Name: "seaworthy", Version: s.app.build.Version},
		Advisories: db.Sources(), Method: method, Licences: policy, ShowSuppressed: s.showSuppressed, Incomplete: broken,
	}), nil
}

// now is the time a result carries: SOURCE_DATE_EPOCH, or the clock.
func (a *app) now() (time.Time, error) {
	at, err := a.created()
	if err == nil && at.IsZero() {
		at = time.Now().UTC()
	}
	return at, err
}

// policy reads --licences and adds the licences of the other flags; nil when there are none.
func (s *scanning) policy() (*grade.Policy, error) {
	if s.licences == "" && len(s.allow)+len(s.deny) == 0 {
		return nil, nil
	}
	p := new(grade.Policy)
	if s.licences != "" {
		f, err := s.app.openFile(s.licences)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		if p, err = grade.ReadPolicy(f); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading %q", s.licences)
		}
	}
	p.Allow = append(p.Allow, s.allow...)
	p.Deny = append(p.Deny, s.deny...)
	if err := p.Check(); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Usage, "%w", err).WithHint("%s", seaworthy.HintOf(err))
	}
	return p, nil
}

// readVEX reads the statements of VEX files, in the order they are given.
func (a *app) readVEX(files []string) ([]match.Statement, error) {
	var out []match.Statement
	for _, name := range files {
		b, err := a.readWhole(name, cdxvex.MaxBytes)
		if err != nil {
			return nil, err
		}
		statements, err := parseVEX(b)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading VEX %q", name)
		}
		for i := range statements {
			if statements[i].By == "" {
				statements[i].By = name
			}
		}
		if len(statements) == 0 {
			a.warn("%s says nothing about any vulnerability", name)
		}
		out = append(out, statements...)
	}
	return slices.Clip(out), nil
}

func parseVEX(b []byte) ([]match.Statement, error) {
	switch {
	case openvex.Is(b):
		d, err := openvex.Parse(b)
		if err != nil {
			return nil, err
		}
		return match.FromOpenVEX(d), nil
	case cdxvex.Is(b):
		d, err := cdxvex.Parse(b)
		if err != nil {
			return nil, err
		}
		return match.FromCycloneDX(d), nil
	}
	return nil, seaworthy.Errorf(seaworthy.Unsupported, "it is neither OpenVEX nor CycloneDX JSON")
}

// readWhole reads a file of at most limit bytes.
func (a *app) readWhole(name string, limit int64) ([]byte, error) {
	f, err := a.openFile(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Storage, "reading %q", name)
	}
	if int64(len(b)) > limit {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading %q: it is over the limit of %d bytes", name, limit)
	}
	return b, nil
}

// checkedBlob gives a blob's bytes, and an error in place of the end when they are not those of its digest.
type checkedBlob struct {
	io.ReadCloser
	sum   hash.Hash
	want  seaworthy.Digest
	close func()
}

func newCheckedBlob(r io.ReadCloser, want seaworthy.Digest, closed func()) (io.ReadCloser, error) {
	b := &checkedBlob{ReadCloser: r, want: want, close: closed, sum: sha256.New()}
	if !want.NamesContent() {
		b.Close()
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "checking a blob: %q is no digest that names content", string(want))
	}
	if want.Algorithm() == "sha512" {
		b.sum = sha512.New()
	}
	return b, nil
}

// Read implements io.Reader.
func (b *checkedBlob) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.sum.Write(p[:n])
	if err == io.EOF && hex.EncodeToString(b.sum.Sum(nil)) != b.want.Hex() {
		return n, seaworthy.Errorf(seaworthy.Mismatch, "reading a blob: its bytes are not those of %s", b.want)
	}
	return n, err
}

// Close implements io.Closer.
func (b *checkedBlob) Close() error {
	defer b.close()
	return b.ReadCloser.Close()
}
