package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	exact "github.com/go-json-experiment/json"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// maxPluginBytes is how much a plugin may print: 1 MiB. One that prints more is killed.
	maxPluginBytes = 1 << 20
	// maxPluginError is how much of what it prints to stderr is kept, for people: 4 KiB.
	maxPluginError = 4 << 10
	// pluginTime is how long a plugin may take for one artifact.
	pluginTime = 10 * time.Second
	// maxArtifacts is how many artifacts of an image a plugin is shown.
	maxArtifacts = 32
)

// pluginName is what a plugin may be called, in up to maxPluginName bytes: never a path.
var pluginName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9._-]*$`)

const maxPluginName = 128

// plugin is a program that verifies artifacts by Ratify's protocol: it is told by environment variables what to do
// and reads its configuration and the artifact's description from stdin; its answer is one JSON object on stdout.
// What it prints to stderr is never taken for an answer.
type plugin struct {
	name, path string
	dirs       []string
	types      []string
	config     map[string]any
	limit      time.Duration // pluginTime, but in tests
	hold       time.Duration // how long what it started may hold its pipes
}

// plugin finds the program of a verifier.
func (l *loader) plugin(spec field, m members, name string, types []string) *plugin {
	at := m["type"]
	if !at.given() {
		at = m["name"]
	}
	switch instead, known := builtinVerifiers[name]; {
	case name == "":
		spec.wrong(seaworthy.Invalid, "one of name, type must be given")
		return nil
	case len(name) > maxPluginName || !pluginName.MatchString(name):
		at.wrong(seaworthy.Invalid, "%q cannot be the name of a plugin", name)
		return nil
	case len(l.options.PluginDirs) == 0 && known:
		at.hinted(seaworthy.Unsupported, "use "+instead, "Ratify's own verifier %q is not read", name)
		return nil
	case len(l.options.PluginDirs) == 0:
		at.hinted(seaworthy.Unsupported, "name the folder it is in with --plugin-dir", "the verifier %q is a program, and no programs are run", name)
		return nil
	}
	if m["source"].given() {
		m["source"].warn("put the program into the plugin folder yourself", "programs are not fetched from registries")
	}
	for _, dir := range l.options.PluginDirs {
		p, err := filepath.Abs(filepath.Join(dir, name)) // it is run in its own folder
		if err != nil {
			at.failed(seaworthy.Wrap(err, seaworthy.Storage, "looking for the plugin %q", name))
			return nil
		}
		b, err := pluginFile(p)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			at.failed(err)
			return nil
		}
		l.parts = append(l.parts, "plugin "+p+" "+string(b))
		return &plugin{name: name, path: p, dirs: l.options.PluginDirs, types: types, config: m.pluginConfig(), limit: pluginTime, hold: time.Second}
	}
	at.hinted(seaworthy.NotFound, "it was looked for in "+strings.Join(l.options.PluginDirs, ", "), "there is no plugin %q", name)
	return nil
}

// pluginFile digests a program that may be run. Errors: Forbidden, Storage; os.ErrNotExist when there is none.
func pluginFile(name string) (seaworthy.Digest, error) {
	info, err := os.Stat(name)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", err
	case err != nil:
		return "", seaworthy.Wrap(err, seaworthy.Storage, "looking for the plugin %q", name)
	case !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0:
		return "", seaworthy.Errorf(seaworthy.Forbidden, "the plugin %q is no program", name)
	case info.Mode().Perm()&0o022 != 0:
		return "", seaworthy.Errorf(seaworthy.Forbidden, "the plugin %q may be written by others", name).WithHint("chmod go-w %s", name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", seaworthy.Wrap(err, seaworthy.Storage, "reading the plugin %q", name)
	}
	return seaworthy.SHA256(b), nil
}

// pluginConfig is the verifier as Ratify's configuration has it: its parameters, and its name and types beside them.
func (m members) pluginConfig() map[string]any {
	out := map[string]any{}
	if f := m["parameters"]; f.given() {
		if err := f.node.Decode(&out); err != nil {
			f.wrong(seaworthy.Invalid, "reading the parameters: %s", clip(err.Error(), 300))
		}
	}
	for _, n := range []string{"name", "type", "version", "artifactTypes"} {
		if s := m[n].text(); s != "" {
			out[n] = s
		}
	}
	if _, err := json.Marshal(out); err != nil {
		m["parameters"].wrong(seaworthy.Invalid, "the parameters cannot be written as JSON")
	}
	return out
}

// judge shows the plugin every artifact of its types. There must be one, and all must pass.
func (p *plugin) judge(ctx context.Context, q *question) judgement {
	first := seaworthy.RuleResult{Rule: "an artifact of type " + strings.Join(p.types, " or ")}
	artifacts, err := q.artifacts(ctx)
	if err != nil {
		unanswered(&first, "what refers to the image", err)
		return judgement{rules: []seaworthy.RuleResult{first}, unanswered: excused(first.Code)}
	}
	artifacts = slices.DeleteFunc(artifacts, func(a Artifact) bool {
		return !slices.Contains(p.types, "*") && !slices.Contains(p.types, a.ArtifactType)
	})
	switch {
	case len(artifacts) == 0:
		first.Reason = "nothing of this type refers to the image"
		first.Missing = []string{"an artifact of type " + strings.Join(p.types, " or ")}
		first.Fix = "attach one"
		return judgement{rules: []seaworthy.RuleResult{first}}
	case len(artifacts) > maxArtifacts:
		first.Reason, first.Code = fmt.Sprintf("there are %d, more than the %d that are looked at", len(artifacts), maxArtifacts), seaworthy.TooLarge
		return judgement{rules: []seaworthy.RuleResult{first}}
	}
	j := judgement{passed: true}
	no := false
	for _, a := range artifacts {
		r := p.verify(ctx, q.image, a)
		j.rules = append(j.rules, r)
		j.passed = j.passed && r.Passed
		no = no || !r.Passed && !excused(r.Code)
	}
	j.unanswered = !j.passed && !no
	return j
}

// artifacts are what refers to the image: all of it where the evidence knows, else the bills.
func (q *question) artifacts(ctx context.Context) ([]Artifact, error) {
	if e, ok := q.evidence.(Artifacts); ok && q.image.Digest != "" {
		return e.Artifacts(ctx)
	}
	bills, err := q.bills(ctx)
	var out []Artifact
	for _, b := range bills {
		if b.Manifest != "" {
			out = append(out, Artifact{MediaType: "application/vnd.oci.image.manifest.v1+json", Digest: b.Manifest, ArtifactType: b.ArtifactType})
		}
	}
	return out, err
}

// pluginAnswer is what a plugin prints: its verdict, or an error.
type pluginAnswer struct {
	IsSuccess   *bool  `json:"isSuccess"`
	Message     string `json:"message"`
	ErrorReason string `json:"errorReason"`
	Remediation string `json:"remediation"`
	// of errors
	Code    int    `json:"code"`
	Msg     string `json:"msg"`
	Details string `json:"details"`
}

// verify shows the plugin one artifact.
func (p *plugin) verify(ctx context.Context, img *Image, a Artifact) seaworthy.RuleResult {
	r := seaworthy.RuleResult{
		Rule:     fmt.Sprintf("the plugin %s on %s", p.name, a.Digest.Short()),
		Evidence: []seaworthy.EvidenceNamed{{Document: a.Digest, Kind: "artifact " + a.ArtifactType}},
	}
	answer, err := p.run(ctx, subjectOf(img), a)
	switch {
	case err != nil:
		unanswered(&r, "the plugin's answer", err)
	case answer.IsSuccess == nil:
		unanswered(&r, "the plugin's answer", seaworthy.Errorf(seaworthy.Invalid, "it does not say isSuccess"))
	default:
		r.Passed = *answer.IsSuccess
		r.Reason = clip(answer.Message, 1000)
		if answer.ErrorReason != "" {
			say(&r, clip(answer.ErrorReason, 1000))
		}
		if r.Reason == "" {
			r.Reason = fmt.Sprintf("the plugin says %t", r.Passed)
		}
		if !r.Passed {
			r.Fix = clip(answer.Remediation, 1000)
		}
	}
	return r
}

// subjectOf names the image by its repository and digest.
func subjectOf(img *Image) string {
	repository, _, _ := strings.Cut(img.Reference, "@")
	repository, _ = cutTag(repository)
	return repository + "@" + string(img.Digest)
}

// run runs the plugin. Its environment is the protocol's variables and nothing else.
// Errors: Invalid when it fails or says nothing that can be read; TooLarge when it prints too much or takes too long;
// Unavailable when ctx ended; Storage when it cannot be started.
func (p *plugin) run(ctx context.Context, subject string, a Artifact) (pluginAnswer, error) {
	input, err := json.Marshal(map[string]any{
		"config":        p.config,
		"storeConfig":   map[string]any{"version": "1.0.0", "pluginBinDirs": p.dirs, "store": map[string]any{"name": "oras"}},
		"referenceDesc": a,
	})
	if err != nil {
		return pluginAnswer{}, seaworthy.Errorf(seaworthy.Internal, "writing what the plugin reads: %w", err)
	}
	limited, cancel := context.WithTimeout(ctx, p.limit)
	defer cancel()
	cmd := exec.CommandContext(limited, p.path)
	cmd.Env = []string{"RATIFY_VERIFIER_COMMAND=VERIFY", "RATIFY_VERIFIER_SUBJECT=" + subject, "RATIFY_VERIFIER_VERSION=1.0.0"}
	cmd.Dir = filepath.Dir(p.path)
	cmd.Stdin = bytes.NewReader(input)
	stdout, stderr := &capped{most: maxPluginBytes, full: cancel}, &capped{most: maxPluginError}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.WaitDelay = p.hold
	ownGroup(cmd)
	err = cmd.Run()
	endGroup(cmd)
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil // it ended well; what it left behind has been ended too
	}
	var exit *exec.ExitError
	switch {
	case stdout.over:
		return pluginAnswer{}, seaworthy.Errorf(seaworthy.TooLarge, "running the plugin %q: it printed more than %d bytes", p.name, maxPluginBytes)
	case ctx.Err() != nil:
		return pluginAnswer{}, seaworthy.Wrap(ctx.Err(), seaworthy.Unavailable, "running the plugin %q", p.name)
	case limited.Err() != nil:
		return pluginAnswer{}, seaworthy.Errorf(seaworthy.TooLarge, "running the plugin %q: it took longer than %s", p.name, p.limit)
	case err != nil && !errors.As(err, &exit):
		return pluginAnswer{}, seaworthy.Wrap(err, seaworthy.Storage, "running the plugin %q", p.name)
	}
	answer, parseErr := parseAnswer(stdout.kept.Bytes())
	switch {
	case exit != nil && parseErr == nil && answer.Msg != "":
		return answer, seaworthy.Errorf(seaworthy.Invalid, "the plugin %q failed (code %d): %s", p.name, answer.Code, clip(strings.TrimSpace(answer.Msg+" "+answer.Details), 1000))
	case exit != nil:
		return answer, seaworthy.Errorf(seaworthy.Invalid, "the plugin %q failed: %s: %q", p.name, exit, clip(strings.TrimSpace(stderr.kept.String()), 500))
	case parseErr != nil:
		return answer, seaworthy.Wrap(parseErr, seaworthy.Invalid, "reading the answer of the plugin %q", p.name)
	}
	return answer, nil
}

// parseAnswer reads the one JSON object on stdout. Lines of text before it are passed over, nothing may follow it.
// Errors: Invalid.
func parseAnswer(b []byte) (pluginAnswer, error) {
	start := 0
	for start < len(b) && b[start] != '{' {
		next := bytes.IndexByte(b[start:], '\n')
		if next < 0 {
			return pluginAnswer{}, seaworthy.Errorf(seaworthy.Invalid, "there is no JSON object in it")
		}
		start += next + 1
	}
	if start == len(b) {
		return pluginAnswer{}, seaworthy.Errorf(seaworthy.Invalid, "there is no JSON object in it")
	}
	var a pluginAnswer
	if err := exact.Unmarshal(b[start:], &a); err != nil {
		return pluginAnswer{}, seaworthy.Errorf(seaworthy.Invalid, "it is not one JSON object: %w", err)
	}
	return a, nil
}

// capped keeps the beginning of what is written to it. When there is more it says so to full, if there is one. It is
// nothing but a Writer: a buffer would be filled past it.
type capped struct {
	kept bytes.Buffer
	most int
	over bool
	full func()
}

// Write implements io.Writer.
func (c *capped) Write(b []byte) (int, error) {
	left := c.most - c.kept.Len()
	if len(b) <= left {
		return c.kept.Write(b)
	}
	c.kept.Write(b[:max(left, 0)])
	if c.full == nil {
		return len(b), nil // the rest is not worth keeping
	}
	c.over = true
	c.full()
	return 0, io.ErrShortWrite
}
