// Package slsa reads SLSA provenance, v0.1, v0.2 and v1, into one plain value: who built something, how, from what and
// when. It reads the predicate of an in-toto statement; which artifacts it is about, and whether to believe it, are for
// others to say.
//
// Specification: slsa.dev/provenance/v0.1, v0.2 and v1. Members that are not known are ignored, as it asks.
package slsa

import (
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
)

// The predicate types.
const (
	TypeV01 = "https://slsa.dev/provenance/v0.1"
	TypeV02 = "https://slsa.dev/provenance/v0.2"
	TypeV1  = "https://slsa.dev/provenance/v1"
)

// Limits. A provenance over them is TooLarge.
const (
	MaxMaterials  = 100_000
	MaxDigests    = 32      // of one material
	MaxParameters = 1 << 20 // bytes of JSON
)

// Provenance is how something was built.
type Provenance struct {
	Version   string // v0.1, v0.2 or v1
	Builder   string // URI of who ran the build
	BuildType string // URI of how to read the parameters
	// EntryPoint is what of the source was run: a workflow file, a target.
	EntryPoint string
	// ConfigSource is where the entry point is kept; its URI is "" when that is not said.
	ConfigSource Material
	Materials    []Material // what went in
	// Parameters are what the person who started it chose, as compact JSON; "" when there are none.
	Parameters string
	Invocation string // of the builder's own naming
	Started    time.Time
	Finished   time.Time
	// Complete says that the list of materials is claimed to be complete (v0.1 and v0.2).
	Complete bool
	// Reproducible says that building again is claimed to give the same bytes (v0.1 and v0.2).
	Reproducible bool
	Byproducts   []Material // v1
}

// Material is something that went into a build.
type Material struct {
	URI       string
	Name      string            // v1
	Digest    map[string]string // by algorithm, as written; "gitCommit" and "sha1" may be of a commit
	MediaType string            // v1
}

// Is reports whether a predicate type is one that Parse reads.
func Is(predicateType string) bool {
	return slices.Contains([]string{TypeV01, TypeV02, TypeV1}, predicateType)
}

// Parse reads a predicate of a type. Errors: Invalid, TooLarge; Unsupported for other types.
func Parse(predicateType string, predicate []byte) (*Provenance, error) {
	read, version := parseV02, "v0.2"
	switch predicateType {
	case TypeV01:
		read, version = parseV01, "v0.1"
	case TypeV02:
	case TypeV1:
		read, version = parseV1, "v1"
	default:
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "reading a provenance of type %q", predicateType)
	}
	if len(predicate) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading SLSA provenance %s: it is empty", version)
	}
	p, err := read(predicate)
	if err == nil {
		err = p.check()
	}
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading SLSA provenance %s", version)
	}
	p.Version = version
	return p, nil
}

func (p *Provenance) check() error {
	if p.Builder == "" {
		return seaworthy.Errorf(seaworthy.Invalid, "it names no builder")
	}
	if n := len(p.Materials) + len(p.Byproducts); n > MaxMaterials {
		return seaworthy.Errorf(seaworthy.TooLarge, "%d materials; the limit is %d", n, MaxMaterials)
	}
	for _, m := range append(p.Materials[:len(p.Materials):len(p.Materials)], p.ConfigSource) {
		if len(m.Digest) > MaxDigests {
			return seaworthy.Errorf(seaworthy.TooLarge, "%q has %d digests; the limit is %d", m.URI, len(m.Digest), MaxDigests)
		}
	}
	if len(p.Parameters) > MaxParameters {
		return seaworthy.Errorf(seaworthy.TooLarge, "%d bytes of parameters; the limit is %d", len(p.Parameters), MaxParameters)
	}
	return nil
}

type wireMaterial struct {
	URI       string            `json:"uri"`
	Name      string            `json:"name"`
	Digest    map[string]string `json:"digest"`
	MediaType string            `json:"mediaType"`
	Entry     string            `json:"entryPoint"` // of configSource
}

func (m wireMaterial) material() Material { return Material{m.URI, m.Name, m.Digest, m.MediaType} }

func materials(in []wireMaterial) []Material {
	var out []Material
	for _, m := range in {
		if m.URI != "" || m.Name != "" || len(m.Digest) > 0 {
			out = append(out, m.material())
		}
	}
	return out
}

type wireMetadata struct {
	InvocationID string `json:"invocationId"`
	Invocation   string `json:"buildInvocationID"` // v0.2; the specification and the tools differ in its case
	InvocationLC string `json:"buildInvocationId"`
	Started      string `json:"buildStartedOn"`
	Finished     string `json:"buildFinishedOn"`
	StartedV1    string `json:"startedOn"`
	FinishedV1   string `json:"finishedOn"`
	Complete     struct {
		Materials bool `json:"materials"`
	} `json:"completeness"`
	Reproducible bool `json:"reproducible"`
}

func (m wireMetadata) into(p *Provenance) {
	p.Invocation = first(m.InvocationID, m.Invocation, m.InvocationLC)
	p.Started, p.Finished = when(first(m.Started, m.StartedV1)), when(first(m.Finished, m.FinishedV1))
	p.Complete, p.Reproducible = m.Complete.Materials, m.Reproducible
}

func parseV01(b []byte) (*Provenance, error) {
	var in struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Recipe struct {
			Type       string         `json:"type"`
			Defined    *int           `json:"definedInMaterial"`
			EntryPoint string         `json:"entryPoint"`
			Arguments  jsontext.Value `json:"arguments"`
		} `json:"recipe"`
		Metadata  wireMetadata   `json:"metadata"`
		Materials []wireMaterial `json:"materials"`
	}
	if err := exactjson.Unmarshal(b, &in); err != nil {
		return nil, err
	}
	p := &Provenance{Builder: in.Builder.ID, BuildType: in.Recipe.Type, EntryPoint: in.Recipe.EntryPoint, Parameters: compact(in.Recipe.Arguments), Materials: materials(in.Materials)}
	if i := in.Recipe.Defined; i != nil && *i >= 0 && *i < len(in.Materials) {
		p.ConfigSource = in.Materials[*i].material()
	}
	in.Metadata.into(p)
	return p, nil
}

func parseV02(b []byte) (*Provenance, error) {
	var in struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		BuildType  string `json:"buildType"`
		Invocation struct {
			ConfigSource wireMaterial   `json:"configSource"`
			Parameters   jsontext.Value `json:"parameters"`
		} `json:"invocation"`
		Metadata  wireMetadata   `json:"metadata"`
		Materials []wireMaterial `json:"materials"`
	}
	if err := exactjson.Unmarshal(b, &in); err != nil {
		return nil, err
	}
	p := &Provenance{
		Builder: in.Builder.ID, BuildType: in.BuildType, EntryPoint: in.Invocation.ConfigSource.Entry, ConfigSource: in.Invocation.ConfigSource.material(),
		Parameters: compact(in.Invocation.Parameters), Materials: materials(in.Materials),
	}
	in.Metadata.into(p)
	return p, nil
}

func parseV1(b []byte) (*Provenance, error) {
	var in struct {
		Definition struct {
			BuildType string         `json:"buildType"`
			External  jsontext.Value `json:"externalParameters"`
			Materials []wireMaterial `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		Run struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
			Metadata   wireMetadata   `json:"metadata"`
			Byproducts []wireMaterial `json:"byproducts"`
		} `json:"runDetails"`
	}
	if err := exactjson.Unmarshal(b, &in); err != nil {
		return nil, err
	}
	p := &Provenance{
		Builder: in.Run.Builder.ID, BuildType: in.Definition.BuildType, Parameters: compact(in.Definition.External),
		Materials: materials(in.Definition.Materials), Byproducts: materials(in.Run.Byproducts),
	}
	in.Run.Metadata.into(p)
	p.entryPoint(in.Definition.External)
	return p, nil
}

// entryPoint finds what was run among the parameters of the build types that people use: GitHub's "workflow", and
// "source" or "configSource" of others. What is of another shape is only a parameter.
func (p *Provenance) entryPoint(external jsontext.Value) {
	var in struct {
		Workflow struct {
			Ref        string `json:"ref"`
			Repository string `json:"repository"`
			Path       string `json:"path"`
		} `json:"workflow"`
	}
	if json.Unmarshal(external, &in) == nil && in.Workflow.Path != "" {
		p.EntryPoint = in.Workflow.Path
		if in.Workflow.Repository != "" {
			p.ConfigSource.URI = in.Workflow.Repository
			if in.Workflow.Ref != "" {
				p.ConfigSource.URI += "@" + in.Workflow.Ref
			}
		}
		return
	}
	var source struct {
		Source wireMaterial `json:"source"`
	}
	if json.Unmarshal(external, &source) == nil && source.Source.URI != "" {
		p.ConfigSource, p.EntryPoint = source.Source.material(), source.Source.Entry
	}
}

// compact is JSON without spaces, "" for what says nothing.
func compact(v jsontext.Value) string {
	if len(v) == 0 {
		return ""
	}
	c := v.Clone()
	if c.Compact() != nil {
		return ""
	}
	switch s := string(c); s {
	case "null", "{}", "[]", `""`:
		return ""
	default:
		return s
	}
}

func first(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// when reads a time; what is none is the zero time.
func when(s string) time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}
