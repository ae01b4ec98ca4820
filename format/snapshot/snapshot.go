// Package snapshot reads and writes dependency snapshots: the JSON with which a build tells a dependency graph
// what it resolved (docs.github.com/rest/dependency-graph/dependency-submission).
//
//	s, err := snapshot.Read(f)        // of any detector
//	err = snapshot.Write(w, &s)       // refused when a field is missing that the receiver demands
//
// A snapshot is about one commit. It holds manifests by key, and each manifest the packages that it resolved to,
// by key: usually the package URL. What a package depends on is named by the keys of the same manifest; some
// detectors write package URLs instead, so both are looked for (Manifest.Keys).
//
// Members that are not known are read past and not kept. Nothing in a snapshot is trusted: it says what whoever
// sent it says.
package snapshot

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/format/purl"
)

// Limits of what Read takes.
const (
	// MaxBytes is the largest snapshot: 64 MiB. GitHub takes far less.
	MaxBytes = 64 << 20
	// MaxManifests is how many manifests a snapshot may have.
	MaxManifests = 10_000
	// MaxResolved is how many packages all manifests may have together.
	MaxResolved = 1_000_000
	// MaxDependencies is how many edges all packages may have together.
	MaxDependencies = 8_000_000
	// MaxMetadata is how many members metadata may have; the API's own limit.
	MaxMetadata = 8
)

// Snapshot is what one run of one detector found at one commit.
type Snapshot struct {
	Version  int      `json:"version"` // of the snapshot itself, given by the sender; 0 when he does not count
	Job      Job      `json:"job"`
	SHA      string   `json:"sha"` // of the commit, 40 or 64 hexadecimal digits
	Ref      string   `json:"ref"` // refs/heads/main
	Detector Detector `json:"detector"`
	Metadata Metadata `json:"metadata,omitempty"`
	// Manifests are by key, usually the path of the file.
	Manifests map[string]Manifest `json:"manifests"`
	Scanned   time.Time           `json:"scanned"`
}

// Job is the run that made a snapshot.
type Job struct {
	ID         string `json:"id"`
	Correlator string `json:"correlator"` // what all runs of the same job share
	HTMLURL    string `json:"html_url,omitempty"`
}

// Detector is the program that made a snapshot.
type Detector struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	URL     string `json:"url"`
}

// Manifest is one manifest or lock file, and what it resolved to.
type Manifest struct {
	Name     string              `json:"name"`
	File     *File               `json:"file,omitempty"`
	Metadata Metadata            `json:"metadata,omitempty"`
	Resolved map[string]Resolved `json:"resolved,omitempty"`
}

// File is where a manifest is in the repository.
type File struct {
	SourceLocation string `json:"source_location,omitempty"` // path from the top
}

// Resolved is a package.
type Resolved struct {
	PackageURL   string       `json:"package_url,omitempty"`
	Metadata     Metadata     `json:"metadata,omitempty"`
	Relationship Relationship `json:"relationship,omitempty"`
	Scope        Scope        `json:"scope,omitempty"`
	Dependencies []string     `json:"dependencies,omitempty"`
}

// Relationship says who asked for a package.
type Relationship string

// The relationships. "" means that the sender does not know.
const (
	Direct   Relationship = "direct"
	Indirect Relationship = "indirect"
)

// Scope says when a package is needed.
type Scope string

// The scopes. "" means Runtime.
const (
	Runtime     Scope = "runtime"
	Development Scope = "development"
)

// Metadata is the sender's own: strings, numbers, booleans and null.
type Metadata map[string]Scalar

// Scalar is a JSON value that is no object and no array, as it is written.
type Scalar string

// String makes a Scalar of a string.
func String(s string) Scalar {
	b, err := jsontext.AppendQuote(nil, s)
	if err != nil { // not UTF-8; the replacement characters are in b
		b, _ = jsontext.AppendQuote(nil, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return Scalar(b)
}

// Text returns the string a Scalar is, or how its value is written.
func (s Scalar) Text() string {
	if b, err := jsontext.AppendUnquote(nil, string(s)); err == nil {
		return string(b)
	}
	return string(s)
}

// MarshalJSONTo writes the value.
func (s Scalar) MarshalJSONTo(enc *jsontext.Encoder) error {
	if s == "" {
		return enc.WriteToken(jsontext.Null)
	}
	return enc.WriteValue(jsontext.Value(s))
}

// UnmarshalJSONFrom reads a value. An object or array is read past and becomes null.
func (s *Scalar) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	switch dec.PeekKind() {
	case '{', '[':
		*s = "null"
		return dec.SkipValue()
	}
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	*s = Scalar(v.String())
	return nil
}

// Read reads one snapshot. Members it lacks are not missed: Check says what a receiver demands. Keys twice in one
// object and text that is not UTF-8 are refused. Errors: Invalid, TooLarge, and those of r.
func Read(r io.Reader) (Snapshot, error) {
	var s Snapshot
	in := &bounded{r: r, left: MaxBytes}
	if err := json.UnmarshalRead(in, &s); err != nil {
		if in.failed != nil {
			return Snapshot{}, in.failed
		}
		return Snapshot{}, seaworthy.Wrap(cleanError(err), seaworthy.Invalid, "reading a dependency snapshot")
	}
	return s, s.bounds()
}

// cleanError leaves the name of our Go types out of what the JSON library says.
func cleanError(err error) error {
	var semantic *json.SemanticError
	if errors.As(err, &semantic) {
		at := string(semantic.JSONPointer)
		switch {
		case semantic.Err != nil:
			return fmt.Errorf("at %.200q: %w", at, semantic.Err)
		case semantic.JSONKind != 0:
			return fmt.Errorf("at %.200q: a %s cannot stand here", at, semantic.JSONKind)
		}
		return fmt.Errorf("at %.200q: not as it should be", at)
	}
	return err
}

// bounded fails, once more than left bytes were read.
type bounded struct {
	r      io.Reader
	left   int64
	failed error
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.failed != nil {
		return 0, b.failed
	}
	n, err := b.r.Read(p)
	if b.left -= int64(n); b.left < 0 {
		b.failed = seaworthy.Errorf(seaworthy.TooLarge, "reading a dependency snapshot: more than %d bytes", MaxBytes)
		return 0, b.failed
	}
	if err != nil && err != io.EOF {
		b.failed = seaworthy.Wrap(err, seaworthy.Storage, "reading a dependency snapshot")
		return n, b.failed
	}
	return n, err
}

// bounds holds s to the limits.
func (s *Snapshot) bounds() error {
	if n := len(s.Manifests); n > MaxManifests {
		return seaworthy.Errorf(seaworthy.TooLarge, "the snapshot has %d manifests, more than %d", n, MaxManifests)
	}
	resolved, edges := 0, 0
	for _, m := range s.Manifests {
		resolved += len(m.Resolved)
		for _, r := range m.Resolved {
			edges += len(r.Dependencies)
		}
	}
	switch {
	case resolved > MaxResolved:
		return seaworthy.Errorf(seaworthy.TooLarge, "the snapshot has %d packages, more than %d", resolved, MaxResolved)
	case edges > MaxDependencies:
		return seaworthy.Errorf(seaworthy.TooLarge, "the snapshot has %d dependencies, more than %d", edges, MaxDependencies)
	}
	return nil
}

var shaForm = regexp.MustCompile(`^([0-9a-fA-F]{40}|[0-9a-fA-F]{64})$`)

// Check says what is missing or malformed for a receiver of the API. Errors: Invalid, TooLarge.
func (s *Snapshot) Check() error {
	wrong := func(format string, args ...any) error {
		return seaworthy.Errorf(seaworthy.Invalid, "checking the snapshot: "+format, args...)
	}
	for _, field := range [...]struct{ name, value string }{
		{"job.id", s.Job.ID},
		{"job.correlator", s.Job.Correlator},
		{"sha", s.SHA},
		{"ref", s.Ref},
		{"detector.name", s.Detector.Name},
		{"detector.version", s.Detector.Version},
		{"detector.url", s.Detector.URL},
	} {
		if field.value == "" {
			return wrong("%s is missing", field.name)
		}
	}
	switch {
	case !shaForm.MatchString(s.SHA):
		return wrong("sha %q is not a commit's 40 or 64 hexadecimal digits", s.SHA)
	case !strings.HasPrefix(s.Ref, "refs/"):
		return wrong("ref %q does not begin with refs/", s.Ref)
	case s.Scanned.IsZero():
		return wrong("scanned is missing")
	case len(s.Metadata) > MaxMetadata:
		return wrong("metadata has %d members, %d are allowed", len(s.Metadata), MaxMetadata)
	}
	for key, m := range s.Manifests {
		if m.Name == "" {
			return wrong("manifest %q has no name", key)
		}
		if len(m.Metadata) > MaxMetadata {
			return wrong("metadata of manifest %q has %d members, %d are allowed", key, len(m.Metadata), MaxMetadata)
		}
		for name, r := range m.Resolved {
			if err := r.check(); err != nil {
				return wrong("%q in manifest %q: %w", name, key, err)
			}
		}
	}
	return s.bounds()
}

func (r *Resolved) check() error {
	switch r.Relationship {
	case "", Direct, Indirect:
	default:
		return fmt.Errorf("relationship %q is neither direct nor indirect", r.Relationship)
	}
	switch r.Scope {
	case "", Runtime, Development:
	default:
		return fmt.Errorf("scope %q is neither runtime nor development", r.Scope)
	}
	if len(r.Metadata) > MaxMetadata {
		return fmt.Errorf("metadata has %d members, %d are allowed", len(r.Metadata), MaxMetadata)
	}
	return nil
}

// Write writes s, indented, with keys in order: equal snapshots give equal bytes. Errors: those of Check, and
// Storage.
func Write(w io.Writer, s *Snapshot) error {
	if err := s.Check(); err != nil {
		return err
	}
	err := json.MarshalWrite(w, s, json.Deterministic(true), jsontext.WithIndent("  "), jsontext.AllowInvalidUTF8(true))
	if err == nil {
		_, err = io.WriteString(w, "\n")
	}
	return seaworthy.Wrap(err, seaworthy.Storage, "writing a dependency snapshot")
}

// Path returns where the manifest with this key is: its source_location, else the key.
func (m *Manifest) Path(key string) string {
	if m.File != nil && m.File.SourceLocation != "" {
		return strings.TrimPrefix(strings.TrimPrefix(m.File.SourceLocation, "/"), "./")
	}
	return key
}

// PURL returns the package URL of r in canonical form, or "" when it has none that can be read. One without its
// scheme ("/npm/foo@1.2.3", as the API's documentation has them) is understood.
func (r *Resolved) PURL() string {
	s := r.PackageURL
	if !strings.HasPrefix(s, "pkg:") {
		s = "pkg:" + strings.TrimLeft(s, "/")
	}
	canonical, err := purl.Canonical(s)
	if err != nil {
		return ""
	}
	return canonical
}

// Keys indexes a manifest's packages by what a dependency may call them: their key, or their package URL as it is
// written or in canonical form.
func (m *Manifest) Keys() map[string]string {
	index := make(map[string]string, len(m.Resolved))
	for key, r := range m.Resolved {
		for _, name := range [...]string{r.PackageURL, r.PURL()} {
			if other, taken := index[name]; name != "" && (!taken || key < other) {
				index[name] = key
			}
		}
	}
	for key := range m.Resolved {
		index[key] = key
	}
	return index
}
