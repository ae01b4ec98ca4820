package policy

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/verify"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// File is a file with policies: YAML with one or more documents, or JSON.
type File struct {
	Name  string // as people call it; mistakes name it
	Bytes []byte
}

// Mistake is something wrong with a policy, and where.
type Mistake struct {
	File    string         `json:"file"`
	Object  string         `json:"object,omitempty"` // "ClusterImagePolicy/name", or "document 2" where it has none
	Path    string         `json:"path,omitempty"`   // of the field: spec.authorities[0].key
	Line    int            `json:"line,omitempty"`   // in the file, from 1
	Code    seaworthy.Code `json:"code"`
	Detail  string         `json:"detail"`
	Hint    string         `json:"hint,omitempty"`
	Warning bool           `json:"warning,omitempty"` // the policy works, but perhaps not as its author thinks
}

// Error implements error: one line with everything but the hint.
func (m Mistake) Error() string {
	var parts []string
	for _, p := range []string{m.File, m.Object, m.Path, m.Detail} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, ": ")
}

// Unbound is what is said of an image that no policy binds.
type Unbound string

// The ways to treat an image that no policy binds; policy-controller's no-match-policy.
const (
	UnboundDeny  Unbound = "deny" // the zero value means this
	UnboundWarn  Unbound = "warn"
	UnboundAllow Unbound = "allow"
)

// Options are what the files do not say.
type Options struct {
	// Root is what signatures are verified with where a policy names no trust root of its own; nil when there is
	// none, and a policy that needs it is then a mistake.
	Root *root.Root
	// ConfigMap looks up one key of a config map, and Secret all of a secret; nil where there is no cluster. They
	// are asked while loading only, and what they give is part of the Generation.
	ConfigMap func(namespace, name, key string) ([]byte, error)
	Secret    func(namespace, name string) (map[string][]byte, error)
	// Remote fetches a policy from the address that a ClusterImagePolicy names; nil refuses such policies. What it gives
	// must have the SHA-256 that the policy names. It is asked while loading only.
	Remote func(address string) ([]byte, error)
	// Namespace is where ClusterImagePolicies keep secrets and config maps; "" means cosign-system.
	Namespace string
	// At is when the policies are loaded, for what a TUF repository holds expires; zero means now.
	At time.Time
	// PluginDirs are where Ratify's executable verifiers may be; none: no program is ever run.
	PluginDirs []string
	// Unbound is what is said of an image that no policy binds; "" means deny.
	Unbound Unbound
}

// Image is what may or may not sail.
type Image struct {
	// Reference is fully qualified, as policies' globs want it: "index.docker.io/library/nginx:latest", with
	// "@sha256:…" when the workload names the digest.
	Reference string
	// Written is the reference as the workload has it; "" means Reference.
	Written   string
	Digest    seaworthy.Digest // what was resolved; "" when that failed: then every policy that needs evidence refuses
	Namespace string           // "" outside clusters: policies for some namespaces do not bind it then
	// NamespaceLabels are those of the namespace.
	NamespaceLabels map[string]string
	Workload        *Workload // nil outside clusters: policies that select workloads do not bind it then
}

// Workload is what wants to run an image.
type Workload struct {
	Group, Version string            // "apps", "v1"; the group of pods is ""
	Resource       string            // "deployments"
	Kind           string            // "Deployment"
	Name           string            // "" while it has only a generateName
	Labels         map[string]string // its own
	Object         json.RawMessage   // the whole of it; policies see its spec and metadata where they ask for them
}

// Evidence gives what is known about one image. It is asked only when a policy that binds the image needs it, and
// may be asked the same more than once and by several callers at once: it should remember. An error is "could not
// be answered", never "no": its code goes into the verdict.
type Evidence interface {
	// Verify verifies what signs or, with Options.PredicateTypes, what attests. The report is there with the errors
	// Unsigned, Unmatched and Uncertified, as from verify.Image.
	Verify(ctx context.Context, r verify.Request) (*verify.Report, error)
	// Bills returns the bills about the image. None is no error.
	Bills(ctx context.Context) ([]Bill, error)
	// Findings returns the advisories that match, those that VEX suppresses marked so.
	Findings(ctx context.Context) ([]seaworthy.Finding, error)
	// Config returns the image config by platform ("linux/amd64").
	Config(ctx context.Context) (map[string]json.RawMessage, error)
}

// Bill is a bill of materials about an image, and how it came here.
type Bill struct {
	Bill *seaworthy.Bill // nil when Err says why it could not be read
	Err  error
	// ArtifactType is that of the manifest that refers to the image, else the media type of its layer; of an
	// attested bill it may be "".
	ArtifactType string
	// PredicateType is that of an attested bill: https://spdx.dev/Document, https://cyclonedx.org/bom.
	PredicateType string
	Digest        seaworthy.Digest // of the document
	Manifest      seaworthy.Digest // of the manifest that holds it; "" when it came otherwise
	Source        string           // where it was found: "referrer sha256:…", "tag sha256-….sbom"
	Signers       []string         // who signed it, of those the caller believes
}

// Set is a number of policies, checked and compiled. It does not change, and is safe for many users at once.
type Set struct {
	policies   []rulebook
	generation string
	unbound    Unbound
}

// Summary is what a policy is, for people.
type Summary struct {
	Name        string         `json:"name"` // what Verdicts call it
	Kind        string         `json:"kind"` // "ClusterImagePolicy", "Policy", "Verifier"
	File        string         `json:"file"`
	Mode        seaworthy.Mode `json:"mode"`
	FailOpen    bool           `json:"failOpen,omitempty"` // what cannot be answered passes
	Description string         `json:"description,omitempty"`
	Images      []string       `json:"images"`               // globs
	Namespaces  []string       `json:"namespaces,omitempty"` // none: all
	Rules       []string       `json:"rules"`
	Source      string         `json:"source"` // its YAML
}

// rulebook is one compiled policy.
type rulebook interface {
	summary() *Summary
	binds(img *Image) bool
	judge(ctx context.Context, q *question) judgement
}

// judgement is what one policy says.
type judgement struct {
	passed   bool
	skipped  bool // the policy's condition does not hold: it says nothing
	rules    []seaworthy.RuleResult
	warnings []string
	// unanswered says that it did not pass only because something could not be found out.
	unanswered bool
}

// Generation is a digest of everything that may change a verdict: the policies, the trust roots, what config maps
// and secrets held, the plugins, and the version of the rules by which this package judges.
func (s *Set) Generation() string { return s.generation }

// Policies says what is in the set, by name.
func (s *Set) Policies() []Summary {
	out := make([]Summary, 0, len(s.policies))
	for _, p := range s.policies {
		out = append(out, *p.summary())
	}
	return out
}

// Bound returns the names of the policies that bind an image. It asks nobody.
func (s *Set) Bound(img Image) []string {
	var out []string
	for _, p := range s.policies {
		if p.binds(&img) {
			out = append(out, p.summary().Name)
		}
	}
	slices.Sort(out)
	return out
}

// question is one image before one policy.
type question struct {
	image    *Image
	evidence Evidence
	at       time.Time
}

// Elsewhere is what an Evidence may do as well: verify what lies in another repository than the image's, for
// policies whose authorities have a source. Without it such an authority cannot be answered: Unsupported.
type Elsewhere interface {
	VerifyAt(ctx context.Context, s Source, r verify.Request) (*verify.Report, error)
}

// Source is where signatures of an image are kept instead of beside it.
type Source struct {
	Repository  string   // "registry.example/signatures"
	TagPrefix   string   // put before the tags sha256-<hex>.sig and .att; "" for none
	PullSecrets []string // secrets of the policies' namespace with the registry's credentials
}

// Artifacts is what an Evidence may do as well: list the manifests that refer to the image, for plugins. Without it
// plugins are shown the manifests of the bills.
type Artifacts interface {
	Artifacts(ctx context.Context) ([]Artifact, error)
}

// Artifact is a manifest that refers to an image.
type Artifact struct {
	MediaType    string            `json:"mediaType"`
	Digest       seaworthy.Digest  `json:"digest"`
	Size         int64             `json:"size"`
	Annotations  map[string]string `json:"annotations,omitempty"`
	ArtifactType string            `json:"artifactType,omitempty"`
}
