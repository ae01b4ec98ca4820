package admit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// maxCases is how many cases one file may have.
const maxCases = 5000

// Cases is a file of test cases for policies:
//
//	policies: [policies]          # files and folders beside this file; default: the folder "policies"
//	images:                       # optional: layouts that stand for images, so that no registry is asked
//	  registry.example/app:1: layouts/app
//	cases:
//	  - name: signed by our CI
//	    image: registry.example/app:1     # or manifest: deploy.yaml, or object: {…}
//	    namespace: prod
//	    namespaceLabels: {tier: web}
//	    expect: admit                     # or refuse, or warn
//	    reason: denied                    # what the explanation must contain
type Cases struct {
	Policies []string          `yaml:"policies"`
	Images   map[string]string `yaml:"images"`
	Cases    []Case            `yaml:"cases"`

	file string
}

// Case is one of them.
type Case struct {
	Name            string            `yaml:"name"`
	Image           string            `yaml:"image"`
	Manifest        string            `yaml:"manifest"`
	Object          map[string]any    `yaml:"object"`
	Namespace       string            `yaml:"namespace"`
	NamespaceLabels map[string]string `yaml:"namespaceLabels"`
	Expect          string            `yaml:"expect"`
	Reason          string            `yaml:"reason"`
}

// What a case may expect.
const (
	ExpectAdmit  = "admit"
	ExpectRefuse = "refuse"
	ExpectWarn   = "warn"
)

// CaseFile reports whether a file of this name has cases.
func CaseFile(name string) bool {
	base := strings.ToLower(filepath.Base(name))
	for _, ending := range []string{".yaml", ".yml"} {
		if stem, ok := strings.CutSuffix(base, ending); ok {
			return stem == "cases" || strings.HasSuffix(stem, ".cases") || strings.HasSuffix(stem, "-cases")
		}
	}
	return false
}

// ReadCases reads a file of cases. Errors: Invalid, TooLarge, Storage.
func ReadCases(file string) (*Cases, error) {
	b, err := readFile(file)
	if err != nil {
		return nil, err
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	c := &Cases{file: file}
	if err := d.Decode(c); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the cases in %q: %w", file, err)
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the cases in %q: there is more than one document", file)
	}
	if len(c.Cases) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the cases in %q: there are none", file)
	}
	if len(c.Cases) > maxCases {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading the cases in %q: more than %d", file, maxCases)
	}
	for i := range c.Cases {
		if err := c.Cases[i].check(i); err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the cases in %q", file)
		}
	}
	if len(c.Policies) == 0 {
		c.Policies = []string{"policies"}
	}
	return c, nil
}

func (c *Case) check(i int) error {
	if c.Name == "" {
		c.Name = fmt.Sprintf("case %d", i+1)
	}
	subjects := 0
	for _, has := range []bool{c.Image != "", c.Manifest != "", c.Object != nil} {
		if has {
			subjects++
		}
	}
	if subjects != 1 {
		return seaworthy.Errorf(seaworthy.Invalid, "%s (cases[%d]): it must have one of image, manifest and object", c.Name, i)
	}
	if !slices.Contains([]string{ExpectAdmit, ExpectRefuse, ExpectWarn}, c.Expect) {
		return seaworthy.Errorf(seaworthy.Invalid, "%s (cases[%d].expect): %q is not admit, refuse or warn", c.Name, i, c.Expect)
	}
	return nil
}

// beside is a name as the file means it.
func (c *Cases) beside(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(c.file), filepath.FromSlash(name))
}

// Load reads the policies that the cases are about. Errors: as Folder.Load.
func (c *Cases) Load(o policy.Options) (*Loaded, error) {
	out := &Loaded{Root: o.Root}
	for _, name := range c.Policies {
		files, err := (&Folder{Path: c.beside(name)}).Files()
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			if !CaseFile(f.Name) {
				out.Files = append(out.Files, f)
			}
		}
	}
	out.Set, out.Mistakes = policy.Load(out.Files, o)
	return out, mistaken(c.file, out.Mistakes)
}

// Registries are those that the cases name layouts for, and otherwise fall back's. The function closes what was opened.
// Errors: as oci.OpenLayout, and Usage.
func (c *Cases) Registries(fallback Registries) (Registries, func(), error) {
	type berth struct {
		layout *oci.Layout
		ref    oci.Reference
	}
	var all []berth
	closeAll := func() {
		for _, b := range all {
			b.layout.Close()
		}
	}
	for image, folder := range c.Images {
		ref, err := oci.ParseReference(image)
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		l, err := oci.OpenLayout(c.beside(folder), oci.Options{})
		if err != nil {
			closeAll()
			return nil, nil, err
		}
		all = append(all, berth{l, ref})
	}
	return RegistriesFunc(func(ctx context.Context, ref oci.Reference, who Asker) (oci.Place, string, error) {
		for _, b := range all {
			if b.ref.Name() != ref.Name() || ref.Digest == "" && ref.Tag != b.ref.Tag {
				continue
			}
			if ref.Digest == "" {
				return onlyImage{b.layout, ref.Tag}, "", nil
			}
			if _, _, err := b.layout.Manifest(ctx, string(ref.Digest)); err == nil {
				return b.layout, "", nil
			}
		}
		return fallback.Open(ctx, ref, who)
	}), closeAll, nil
}

// onlyImage is a layout in which a tag stands for the only image there is.
type onlyImage struct {
	*oci.Layout
	tag string
}

// Manifest implements oci.Place.
func (o onlyImage) Manifest(ctx context.Context, name string) (oci.Descriptor, []byte, error) {
	if name == o.tag {
		if d, raw, err := o.Layout.Manifest(ctx, name); err == nil {
			return d, raw, nil
		}
		name = ""
	}
	return o.Layout.Manifest(ctx, name)
}

// Outcome is what became of a case.
type Outcome struct {
	File     string              `json:"file"`
	Name     string              `json:"name"`
	Passed   bool                `json:"passed"`
	Expected string              `json:"expected"`
	Got      string              `json:"got"`
	Detail   string              `json:"detail,omitempty"` // of one that did not pass
	Verdicts []seaworthy.Verdict `json:"verdicts,omitempty"`
}

// Run judges the cases, one after the other. Errors: Interrupted; what is wrong with one case is its outcome.
func (c *Cases) Run(ctx context.Context, g *Gate) ([]Outcome, error) {
	out := make([]Outcome, 0, len(c.Cases))
	for i := range c.Cases {
		one := &c.Cases[i]
		o := Outcome{File: c.file, Name: one.Name, Expected: one.Expect}
		verdicts, err := c.judge(ctx, g, one)
		if ctx.Err() != nil {
			return out, seaworthy.Wrap(ctx.Err(), seaworthy.Interrupted, "running the cases in %q", c.file)
		}
		o.Verdicts = verdicts
		if err != nil {
			o.Got, o.Detail = "error", err.Error()
		} else {
			o.Got, o.Detail = got(verdicts), one.missed(verdicts)
			o.Passed = o.Detail == ""
		}
		out = append(out, o)
	}
	return out, nil
}

func (c *Cases) judge(ctx context.Context, g *Gate, one *Case) ([]seaworthy.Verdict, error) {
	if one.Image != "" {
		v, err := g.Judge(ctx, Question{Image: one.Image, Asker: Asker{Namespace: one.Namespace}, NamespaceLabels: one.NamespaceLabels})
		return []seaworthy.Verdict{v}, err
	}
	var workloads []*Workload
	if one.Object != nil {
		raw, err := json.Marshal(one.Object)
		if err != nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the object of %q: %w", one.Name, err)
		}
		w, err := Extract(raw)
		if err != nil {
			return nil, err
		}
		workloads = []*Workload{w}
	} else {
		b, err := readFile(c.beside(one.Manifest))
		if err != nil {
			return nil, err
		}
		if workloads, err = ReadManifests(one.Manifest, b); err != nil {
			return nil, err
		}
	}
	var all []seaworthy.Verdict
	for _, w := range workloads {
		_, verdicts, err := g.Check(ctx, w, one.Namespace, one.NamespaceLabels)
		if err != nil {
			return nil, err
		}
		all = append(all, verdicts...)
	}
	if len(all) == 0 {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "nothing in it runs an image")
	}
	return all, nil
}

// got is the answer about several images: the worst of them.
func got(verdicts []seaworthy.Verdict) string {
	word := ExpectAdmit
	for i := range verdicts {
		switch {
		case !verdicts[i].Allowed:
			return ExpectRefuse
		case len(verdicts[i].Warnings) > 0:
			word = ExpectWarn
		}
	}
	return word
}

// missed says what is not as expected, or "".
func (c *Case) missed(verdicts []seaworthy.Verdict) string {
	var text strings.Builder
	for i := range verdicts {
		_ = Explain(&text, &verdicts[i], nil) // a Builder takes everything
	}
	word := got(verdicts)
	if word != c.Expect {
		return fmt.Sprintf("expected %s, got %s:\n%s", c.Expect, word, text.String())
	}
	if c.Reason != "" && !strings.Contains(text.String(), c.Reason) {
		return fmt.Sprintf("%q is not in the explanation:\n%s", c.Reason, text.String())
	}
	return ""
}
