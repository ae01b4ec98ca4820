package policy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
)

// Annotations by which a ClusterImagePolicy says what it has no field for.
const (
	failModeAnnotation = "seaworthy.dev/fail-mode" // open or closed
	cueModeAnnotation  = "seaworthy.dev/cue-mode"  // strict or cosign-compat
	modeAnnotation     = "seaworthy.dev/mode"      // dryrun
)

// cipOptions are what a policy as a whole says of its parts.
type cipOptions struct{ cueMode string }

// imagePolicy is a ClusterImagePolicy.
type imagePolicy struct {
	about       Summary
	globs       []glob
	match       []workloads
	authorities []authority
	program     program // of the policy as a whole; nil when there is none
	include     inputs
}

// inputs are what the policy's program is shown beyond what the authorities found.
type inputs struct{ config, spec, metadata, types bool }

// clusterImagePolicy reads one.
func (l *loader) clusterImagePolicy(o *object, about Summary, meta metadata, spec field) rulebook {
	m := spec.object("images", "authorities", "policy", "mode", "match")
	p := &imagePolicy{about: about, globs: nil, match: m["match"].workloads()}
	for _, e := range m["images"].list() {
		if g, ok := e.object("glob")["glob"].glob(); ok {
			p.globs = append(p.globs, g)
		}
	}
	if len(m["images"].list()) == 0 {
		m["images"].wrong(seaworthy.Invalid, "it must be given")
	}
	p.about.Images = globTexts(p.globs)
	p.about.Mode = seaworthy.Enforce
	if m["mode"].word("enforce", "warn") == "warn" {
		p.about.Mode = seaworthy.Warn
	}
	if meta.annotation(modeAnnotation, "dryrun") == "dryrun" {
		p.about.Mode = seaworthy.DryRun
	}
	p.about.FailOpen = meta.annotation(failModeAnnotation, "open", "closed") == "open"
	options := cipOptions{cueMode: meta.annotation(cueModeAnnotation, cueStrict, cueCompat)}
	names := map[string]bool{}
	for i, e := range m["authorities"].parts() {
		a := e.authority(strconv.Itoa(i), options)
		if names[a.name] {
			e.wrong(seaworthy.Invalid, "there are two authorities %q", a.name)
		}
		names[a.name] = true
		p.authorities = append(p.authorities, a)
		p.about.Rules = append(p.about.Rules, a.describe())
	}
	if len(m["authorities"].list()) == 0 {
		m["authorities"].hinted(seaworthy.Invalid, "to let the images pass unasked say static: {action: pass}", "it must be given")
	}
	if m["policy"].given() {
		p.program, p.include = m["policy"].cipPolicy(options, matchesInput)
		p.about.Rules = append(p.about.Rules, "policy over what the authorities found")
	}
	return p
}

// cipPolicy reads a policy in a language, and what it wants to be shown.
func (f field) cipPolicy(o cipOptions, kind inputKind) (program, inputs) {
	more := []string{"fetchConfigFile", "includeSpec", "includeObjectMeta", "includeTypeMeta"}
	m := f.object(append([]string{"type", "data", "remote", "configMapRef", "cueMode"}, more...)...)
	for _, n := range m.given(more...) {
		if kind != matchesInput {
			m[n].wrong(seaworthy.Invalid, "only the policy of the whole ClusterImagePolicy may have %s", n)
		}
	}
	typ := m["type"].word("cue", "rego")
	if m["type"].text() == "" {
		m["type"].hinted(seaworthy.Invalid, "it may be cue, rego", "it must be given")
	}
	mode := m["cueMode"].word(cueStrict, cueCompat)
	if mode == "" {
		mode = o.cueMode
	}
	show := inputs{m["fetchConfigFile"].boolean(), m["includeSpec"].boolean(), m["includeObjectMeta"].boolean(), m["includeTypeMeta"].boolean()}
	text, at, ok := f.policyText(m)
	switch {
	case !ok || typ == "":
		return nil, show
	case typ == "cue":
		return at.cue(text, mode, kind), show
	}
	return at.rego(text, regoSigstore), show
}

// policyText finds the text of a policy.
func (f field) policyText(m members) (text string, at field, ok bool) {
	switch f.oneOf(m, "data", "remote", "configMapRef") {
	case "data":
		text = m["data"].required()
		return text, m["data"], text != ""
	case "remote":
		b := m["remote"].remotePolicy()
		return string(b), m["remote"], b != nil
	case "configMapRef":
		r := m["configMapRef"].object("name", "namespace", "key")
		name, entry := r["name"].required(), r["key"].required()
		if name == "" || entry == "" {
			return "", f, false
		}
		namespace := f.o.l.namespace(r["namespace"].text())
		b, err := f.o.l.configMap(namespace, name, entry)
		if err != nil {
			m["configMapRef"].failed(seaworthy.Wrap(err, seaworthy.NotFound, "asking for %q of the config map %s/%s", entry, namespace, name))
			return "", f, false
		}
		return string(b), m["configMapRef"], true
	}
	return "", f, false
}

// remotePolicy fetches the text of a policy, if anything may be fetched, and compares it with what it should be.
func (f field) remotePolicy() []byte {
	m := f.object("url", "sha256sum")
	m["url"].address()
	address, want := m["url"].required(), strings.ToLower(m["sha256sum"].required())
	fetch := f.o.l.options.Remote
	switch {
	case address == "" || want == "":
		return nil
	case fetch == nil:
		f.hinted(seaworthy.Unsupported, "give its text as data, or in a config map", "a policy is not fetched from the network: it decides what may run here")
		return nil
	case !strings.HasPrefix(address, "https://"):
		m["url"].wrong(seaworthy.Forbidden, "a policy is fetched by https only")
		return nil
	}
	b, err := fetch(address)
	if err != nil {
		f.failed(seaworthy.Wrap(err, seaworthy.Unavailable, "fetching the policy %q", address))
		return nil
	}
	if sum := seaworthy.SHA256(b).Hex(); sum != want {
		m["sha256sum"].wrong(seaworthy.Mismatch, "the policy at %q has the SHA-256 %s", address, sum)
		return nil
	}
	return b
}

func (p *imagePolicy) summary() *Summary { return &p.about }

func (p *imagePolicy) binds(img *Image) bool {
	return anyGlob(p.globs, img) && selectsWorkload(p.match, img.Workload)
}

// describe says in a few words what an authority asks for.
func (a *authority) describe() string {
	switch {
	case a.static != "":
		return a.name + ": always " + a.static
	case len(a.attestations) > 0:
		var what []string
		for _, t := range a.attestations {
			what = append(what, t.name)
		}
		return a.name + ": attested " + strings.Join(what, ", ") + " by " + accepted(a.request.Accept)
	}
	return a.name + ": signed by " + accepted(a.request.Accept)
}

// judge asks the authorities, one of which is enough, and then the policy as a whole. Without such a policy the
// first that passes ends it.
func (p *imagePolicy) judge(ctx context.Context, q *question) judgement {
	var j judgement
	matches := map[string]authorityMatch{}
	// what needs nobody is asked first
	for _, static := range []bool{true, false} {
		for i := range p.authorities {
			a := &p.authorities[i]
			if (a.static != "") != static || p.program == nil && j.passed {
				continue
			}
			r, match := a.judge(ctx, q)
			j.rules = append(j.rules, r)
			if r.Passed {
				j.passed = true
				matches[a.name] = match
			}
			j.unanswered = j.unanswered || !r.Passed && excused(r.Code)
		}
	}
	if !j.passed || p.program == nil {
		j.unanswered = j.unanswered && !j.passed
		return j
	}
	r, warnings := p.judgeMatches(ctx, q, matches)
	j.rules = append(j.rules, r)
	j.warnings = warnings
	j.passed, j.unanswered = r.Passed, !r.Passed && excused(r.Code)
	if len(warnings) > 0 && p.about.Mode == seaworthy.Enforce && r.Passed {
		// policy-controller refuses what passes with a warning unless the policy only warns
		last := &j.rules[len(j.rules)-1]
		last.Passed, last.Reason = false, "the policy passes with a warning: "+strings.Join(warnings, "; ")
		last.Fix = "have the policy give no warning, or set spec.mode to warn"
		j.passed = false
	}
	return j
}

// authorityMatch is what a policy is told of an authority that passed, in policy-controller's words.
type authorityMatch struct {
	Signatures   []matchSignature              `json:"signatures,omitempty"`
	Attestations map[string][]matchAttestation `json:"attestations,omitempty"`
	Static       bool                          `json:"static,omitempty"`
}

type matchSignature struct {
	ID      string `json:"id,omitempty"`
	Subject string `json:"subject,omitempty"`
	Issuer  string `json:"issuer,omitempty"`
	Trigger string `json:"githubWorkflowTrigger,omitempty"`
	SHA     string `json:"githubWorkflowSha,omitempty"`
	Name    string `json:"githubWorkflowName,omitempty"`
	Repo    string `json:"githubWorkflowRepo,omitempty"`
	Ref     string `json:"githubWorkflowRef,omitempty"`
}

type matchAttestation struct {
	matchSignature
	PredicateType string `json:"predicateType,omitempty"`
	Digest        string `json:"digest,omitempty"`
}

// judgeMatches asks the policy as a whole.
func (p *imagePolicy) judgeMatches(ctx context.Context, q *question, matches map[string]authorityMatch) (seaworthy.RuleResult, []string) {
	r := seaworthy.RuleResult{Rule: "policy (" + p.program.language() + ")"}
	input := map[string]any{"authorityMatches": matches}
	if p.include.config {
		config, err := q.evidence.Config(ctx)
		if err != nil {
			unanswered(&r, "the image's configuration", err)
			return r, nil
		}
		input["config"] = config
	}
	if err := p.include.add(input, q.image.Workload); err != nil {
		unanswered(&r, "the workload", err)
		return r, nil
	}
	b, err := json.Marshal(input)
	if err != nil {
		unanswered(&r, "what the authorities found", seaworthy.Wrap(err, seaworthy.Internal, "writing it"))
		return r, nil
	}
	ruled, err := p.program.judge(ctx, b, q.at)
	switch {
	case err != nil:
		unanswered(&r, "the policy", err)
	case ruled.passed:
		r.Passed, r.Reason = true, "the policy passes"
	default:
		r.Reason = "the policy does not pass: " + ruled.reason
		r.Fix = "see spec.policy of " + p.about.Name
	}
	return r, ruled.warnings
}

// add adds the parts of the workload that are asked for.
func (i inputs) add(input map[string]any, w *Workload) error {
	if w == nil || !i.spec && !i.metadata && !i.types {
		return nil
	}
	var object struct {
		Spec     json.RawMessage `json:"spec"`
		Metadata json.RawMessage `json:"metadata"`
	}
	if len(w.Object) > 0 {
		if err := json.Unmarshal(w.Object, &object); err != nil {
			return seaworthy.Errorf(seaworthy.Invalid, "reading the workload: %w", err)
		}
	}
	if i.spec && object.Spec != nil {
		input["spec"] = object.Spec
	}
	if i.metadata && object.Metadata != nil {
		input["metadata"] = object.Metadata
	}
	if i.types {
		version := w.Version
		if w.Group != "" {
			version = w.Group + "/" + version
		}
		input["typemeta"] = map[string]string{"apiVersion": version, "kind": w.Kind}
	}
	return nil
}

// shortID names something by what it is found at, as policy-controller names signatures by their layers.
func shortID(s string) string {
	if _, digest, ok := strings.Cut(s, "sha256:"); ok {
		return "sha256:" + digest
	}
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
