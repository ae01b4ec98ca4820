// Package discover finds everything that refers to an image, however it was attached, and makes one tree of it:
// what a registry's referrers API lists, what lies at the fallback tag sha256-<hex> where there is no such API, what
// cosign's tags .sig, .att and .sbom hold, attestations that lie beside images in their index, and again whatever
// refers to any of these.
//
//	t, err := discover.Find(ctx, place, "1.2", discover.Options{})
//	t.Text(os.Stdout)
//
// A listing that could not be had is an error, never an empty tree. A manifest that is listed but missing, or
// does not refer to what it is listed for, is a node that says so.
package discover

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// Limits.
const (
	MaxNodes = 10_000 // in one tree
	MaxDepth = 32     // of what refers to what refers to …
	// maxOpened and maxBundle bound which bundles are opened to learn what they state: how many, and bytes of one.
	maxOpened = 256
	maxBundle = 4 << 20
	// parallel is how many manifests are asked for at once.
	parallel = 4
)

// Options say what is looked for.
type Options struct {
	// Platform takes one image out of an index. Zero: the index, its images and what is beside them.
	Platform oci.Platform
	// ArtifactType keeps, of what refers to the image itself, only this type. "": everything.
	ArtifactType string
}

// Tree is an image with everything that refers to it.
type Tree struct {
	Reference string `json:"reference"`
	Root      *Node  `json:"root"`
	Count     int    `json:"count"` // nodes that refer to another: without the root and images in an index
}

// Node is a manifest.
type Node struct {
	Digest       seaworthy.Digest `json:"digest"`
	MediaType    string           `json:"mediaType"`
	ArtifactType string           `json:"artifactType,omitempty"`
	// Kind says in a word what it is: image, index, signature, attestation, bill, artifact.
	Kind string `json:"kind"`
	// PredicateTypes are what its attestations state.
	PredicateTypes []string `json:"predicateTypes,omitempty"`
	Size           int64    `json:"size"`        // bytes of the manifest
	ContentSize    int64    `json:"contentSize"` // bytes of what it holds
	Layers         int      `json:"layers"`
	Created        string   `json:"created,omitempty"` // RFC 3339, as it says itself
	Platform       string   `json:"platform,omitempty"`
	// FoundBy is how it was found: referrers, referrers-tag, tag or index.
	FoundBy     string            `json:"foundBy,omitempty"`
	Tag         string            `json:"tag,omitempty"` // that led to it
	Title       string            `json:"title,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	Problem     string            `json:"problem,omitempty"` // what is wrong with it
	Children    []*Node           `json:"children"`

	subject seaworthy.Digest // it must refer to; "" for what need not say so
	member  bool             // an image in the index: there for its children
}

// foundByIndex is how attestations beside images are found.
const foundByIndex = "index"

// finder is one search.
type finder struct {
	place  oci.Place
	o      Options
	seen   map[seaworthy.Digest]bool
	opened int
}

// Find makes the tree of what name stands for. Errors: those of the place, TooLarge.
func Find(ctx context.Context, place oci.Place, name string, o Options) (*Tree, error) {
	var d oci.Descriptor
	var raw []byte
	var err error
	if o.Platform != (oci.Platform{}) {
		d, raw, err = oci.PlatformManifest(ctx, place, name, o.Platform)
	} else {
		d, raw, err = place.Manifest(ctx, name)
	}
	if err != nil {
		return nil, err
	}
	f := &finder{place: place, o: o, seen: map[seaworthy.Digest]bool{d.Digest: true}}
	root := &Node{Digest: d.Digest, MediaType: d.MediaType, Size: d.Size, Children: []*Node{}}
	if err := root.describe(raw); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading manifest %s", d.Digest.Short())
	}
	level := []*Node{root}
	if oci.IsIndex(d.MediaType) {
		members, err := f.members(root, raw)
		if err != nil {
			return nil, err
		}
		level = append(level, members...)
	}
	for depth := 0; len(level) > 0; depth++ {
		if depth > MaxDepth {
			return nil, seaworthy.Errorf(seaworthy.TooLarge, "what refers to %s is nested deeper than %d", root.Digest.Short(), MaxDepth)
		}
		if level, err = f.deeper(ctx, level); err != nil {
			return nil, err
		}
	}
	t := &Tree{Root: root}
	root.Children = slices.DeleteFunc(root.Children, func(n *Node) bool { return n.member && len(n.Children) == 0 })
	root.walk(func(n *Node, _ int) {
		slices.SortStableFunc(n.Children, order)
		if n != root && !n.member {
			t.Count++
		}
	})
	return t, nil
}

// order is by date, then by what it is, then by digest: the same tree every time.
func order(a, b *Node) int {
	return cmp.Or(cmp.Compare(a.Platform, b.Platform), strings.Compare(a.Created, b.Created), strings.Compare(a.Kind, b.Kind), strings.Compare(string(a.Digest), string(b.Digest)))
}

// walk visits n and everything below it; a tree is at most MaxDepth deep.
func (n *Node) walk(visit func(n *Node, depth int)) { n.walkAt(visit, 0) }

func (n *Node) walkAt(visit func(*Node, int), depth int) {
	visit(n, depth)
	for _, c := range n.Children {
		c.walkAt(visit, depth+1)
	}
}

// members makes nodes of the images in an index, with the attestations that lie beside them, and returns all of
// these.
func (f *finder) members(root *Node, raw []byte) ([]*Node, error) {
	index, err := oci.ParseIndex(raw)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading index %s", root.Digest.Short())
	}
	byDigest := map[seaworthy.Digest]*Node{}
	var all []*Node
	add := func(parent *Node, d oci.Descriptor) *Node {
		n := &Node{Digest: d.Digest, MediaType: d.MediaType, ArtifactType: d.ArtifactType, Size: d.Size, Kind: "image", Children: []*Node{}}
		if f.seen[d.Digest] {
			return nil
		}
		f.seen[d.Digest] = true
		parent.Children = append(parent.Children, n)
		all = append(all, n)
		return n
	}
	const reference = "vnd.docker.reference." // buildkit: https://github.com/moby/buildkit, attestation storage
	for _, d := range index.Entries {
		if d.Annotations[reference+"digest"] != "" {
			continue
		}
		if n := add(root, d); n != nil {
			n.member = true
			if d.Platform != nil {
				n.Platform = d.Platform.String()
			}
			byDigest[d.Digest] = n
		}
	}
	for _, d := range index.Entries {
		if parent := byDigest[seaworthy.Digest(d.Annotations[reference+"digest"])]; parent != nil {
			if n := add(parent, d); n != nil {
				n.FoundBy, n.Kind = foundByIndex, "attestation"
			}
		}
	}
	if len(all) > MaxNodes {
		return nil, tooMany()
	}
	return all, nil
}

func tooMany() error {
	return seaworthy.Errorf(seaworthy.TooLarge, "more than %d manifests refer to it and to each other", MaxNodes)
}

// deeper finds what refers to the nodes of a level, and opens it.
func (f *finder) deeper(ctx context.Context, level []*Node) ([]*Node, error) {
	found := make([][]oci.Referrer, len(level))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, n := range level {
		group.Go(func() (err error) {
			found[i], err = oci.Related(gctx, f.place, n.Digest)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	var next []*Node
	for i, n := range level {
		for _, r := range found[i] {
			if f.seen[r.Digest] { // listed twice, or in a circle
				continue
			}
			f.seen[r.Digest] = true
			if len(f.seen) > MaxNodes {
				return nil, tooMany()
			}
			child := &Node{
				Digest: r.Digest, MediaType: r.MediaType, ArtifactType: r.ArtifactType, Size: r.Size, FoundBy: r.Via, Tag: r.Tag,
				Kind: "artifact", Children: []*Node{},
			}
			if r.Via != oci.ViaCosign {
				child.subject = n.Digest
			}
			n.Children = append(n.Children, child)
			next = append(next, child)
		}
	}
	group, gctx = errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, n := range slices.Concat(next, f.unread(level)) {
		group.Go(func() error { return f.open(gctx, n) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := f.learn(ctx, next); err != nil {
		return nil, err
	}
	return f.keep(level, next), nil
}

// unread are the nodes of a level that an index has named and nobody has opened.
func (f *finder) unread(level []*Node) []*Node {
	var out []*Node
	for _, n := range level {
		if n.member || n.FoundBy == foundByIndex {
			out = append(out, n)
		}
	}
	return out
}

// keep drops what is not of the type that was asked for, of what refers to the image itself.
func (f *finder) keep(level, next []*Node) []*Node {
	if f.o.ArtifactType == "" {
		return next
	}
	dropped := map[*Node]bool{}
	for _, n := range level {
		if n.FoundBy != "" {
			continue
		}
		n.Children = slices.DeleteFunc(n.Children, func(c *Node) bool {
			dropped[c] = !c.member && c.ArtifactType != f.o.ArtifactType
			return dropped[c]
		})
	}
	return slices.DeleteFunc(next, func(n *Node) bool { return dropped[n] })
}

// open reads a node's manifest. What is wrong with it is its Problem; not getting an answer is an error.
func (f *finder) open(ctx context.Context, n *Node) error {
	d, raw, err := f.place.Manifest(ctx, string(n.Digest))
	if err == nil {
		n.Size = d.Size
		if n.MediaType == "" {
			n.MediaType = d.MediaType
		}
		err = n.describe(raw)
	}
	switch seaworthy.CodeOf(err) {
	case "":
		return nil
	case seaworthy.NotFound:
		n.Problem = "it is listed, but not there"
	case seaworthy.Invalid, seaworthy.Mismatch, seaworthy.Unsupported, seaworthy.TooLarge:
		n.Problem = err.Error()
	default:
		return seaworthy.Wrap(err, seaworthy.Unavailable, "opening %s", n.Digest.Short())
	}
	n.name()
	return nil
}

// noted are annotations that say something about a node beyond what has a field of its own.
var noted = []string{
	"org.opencontainers.image.source", "org.opencontainers.image.revision", "org.opencontainers.image.version",
	"dev.sigstore.bundle.content", "in-toto.io/predicate-type", "org.opencontainers.artifact.description",
}

// describe takes from a manifest what a tree shows of it.
func (n *Node) describe(raw []byte) error {
	if oci.IsIndex(n.MediaType) {
		n.Kind = "index"
		index, err := oci.ParseIndex(raw)
		if err != nil {
			return err
		}
		n.Layers, n.Created = len(index.Entries), created(index.Annotations)
		for _, d := range index.Entries {
			n.ContentSize += d.Size
		}
		return nil
	}
	m, err := oci.ParseManifest(raw)
	if err != nil {
		return err
	}
	n.ArtifactType, n.Layers, n.Created = m.Type(), len(m.Layers), created(m.Annotations)
	n.ContentSize = m.Config.Size
	n.Title = m.Annotations["org.opencontainers.image.title"]
	add := func(types ...string) {
		for _, t := range types {
			if t != "" && !slices.Contains(n.PredicateTypes, t) {
				n.PredicateTypes = append(n.PredicateTypes, t)
			}
		}
	}
	add(m.Annotations["dev.sigstore.bundle.predicateType"])
	for _, l := range m.Layers {
		n.ContentSize += l.Size
		add(l.Annotations["predicateType"], l.Annotations["in-toto.io/predicate-type"])
		if n.Title == "" {
			n.Title = l.Annotations[oci.AnnotationTitle]
		}
	}
	for _, name := range noted {
		if v := m.Annotations[name]; v != "" {
			if n.Annotations == nil {
				n.Annotations = map[string]string{}
			}
			n.Annotations[name] = v
		}
	}
	if n.subject != "" && (m.Subject == nil || m.Subject.Digest != n.subject) {
		n.Problem = "it is listed as referring to " + n.subject.Short() + ", but does not say so itself"
	}
	n.name()
	return nil
}

// created reads the date a manifest gives; what is no date is "".
func created(annotations map[string]string) string {
	t, err := time.Parse(time.RFC3339Nano, annotations[oci.AnnotationCreated])
	if err != nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// signPredicate is what a signature of an image states in cosign's bundles: nothing but that it is signed.
const signPredicate = "https://sigstore.dev/cosign/sign/v1"

// isBundle reports whether a type is that of a Sigstore bundle, of any version.
func isBundle(t string) bool { return strings.HasPrefix(t, "application/vnd.dev.sigstore.bundle") }

// name finds the word for what a node is.
func (n *Node) name() {
	t := strings.ToLower(n.ArtifactType)
	has := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(t, w) })
	}
	switch {
	case strings.HasSuffix(n.Tag, ".sig"), has("notary.signature"), has("cosign.simplesigning"):
		n.Kind = "signature"
	case strings.HasSuffix(n.Tag, ".att"), n.FoundBy == foundByIndex, has("in-toto", "dsse"):
		n.Kind = "attestation"
	case strings.HasSuffix(n.Tag, ".sbom"), has("spdx", "cyclonedx", "sbom", "syft"):
		n.Kind = "bill"
	case isBundle(t) && (slices.Contains(n.PredicateTypes, signPredicate) || n.Annotations["dev.sigstore.bundle.content"] == "message-signature"):
		n.Kind = "signature"
	case isBundle(t):
		n.Kind = "attestation"
	case has("vnd.oci.image.config", "docker.container.image"):
		n.Kind = "image"
	default:
		n.Kind = "artifact"
	}
}

// learn opens bundles whose manifests do not say what they state.
func (f *finder) learn(ctx context.Context, nodes []*Node) error {
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for _, n := range nodes {
		if !isBundle(n.ArtifactType) || len(n.PredicateTypes) > 0 || n.Problem != "" || f.opened >= maxOpened {
			continue
		}
		f.opened++
		group.Go(func() error { return f.learnOne(gctx, n) })
	}
	return group.Wait()
}

func (f *finder) learnOne(ctx context.Context, n *Node) error {
	_, raw, err := f.place.Manifest(ctx, string(n.Digest))
	if err != nil {
		return err
	}
	m, err := oci.ParseManifest(raw)
	if err != nil || len(m.Layers) == 0 || m.Layers[0].Size > maxBundle {
		return nil //nolint:nilerr // then it is a bundle that states nothing we can read
	}
	raw, err = oci.ReadBlob(ctx, f.place, m.Layers[0], maxBundle)
	switch seaworthy.CodeOf(err) {
	case "":
	case seaworthy.NotFound, seaworthy.Mismatch, seaworthy.TooLarge:
		n.Problem = err.Error()
		return nil
	default:
		return err
	}
	// What is read here is shown, not believed: whoever verifies the bundle reads it strictly.
	var bundle struct {
		MessageSignature *json.RawMessage `json:"messageSignature"`
		DSSE             struct {
			Payload string `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	var statement struct {
		PredicateType string `json:"predicateType"`
	}
	if json.Unmarshal(raw, &bundle) != nil {
		n.Problem = "its content is no Sigstore bundle"
		return nil
	}
	if payload, err := base64.StdEncoding.DecodeString(bundle.DSSE.Payload); err == nil && json.Unmarshal(payload, &statement) == nil && statement.PredicateType != "" {
		n.PredicateTypes = []string{statement.PredicateType}
	}
	n.name()
	if bundle.MessageSignature != nil {
		n.Kind = "signature"
	}
	return nil
}
