package policy

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

const (
	// MaxFileBytes is how large a file of policies may be: 4 MiB. A TUF repository may be in it.
	MaxFileBytes = 4 << 20
	// maxObjects is how many objects the files may have together.
	maxObjects = 5_000
	// rulesVersion changes when this package judges otherwise than before.
	rulesVersion = "1"
)

// The kinds that are read.
const (
	kindImagePolicy = "ClusterImagePolicy"
	kindTrustRoot   = "TrustRoot"
	kindPolicy      = "Policy"
	kindVerifier    = "Verifier"
	kindNamespaced  = "NamespacedVerifier"
)

// apiVersions are the versions of each kind, by kind.
var apiVersions = map[string][]string{
	kindImagePolicy: {"policy.sigstore.dev/v1beta1", "policy.sigstore.dev/v1alpha1"},
	kindTrustRoot:   {"policy.sigstore.dev/v1alpha1"},
	kindPolicy:      {"seaworthy.dev/v1alpha1"},
	kindVerifier:    {"config.ratify.deislabs.io/v1beta1", "config.ratify.deislabs.io/v1alpha1"},
	kindNamespaced:  {"config.ratify.deislabs.io/v1beta1"},
	"ConfigMap":     {"v1"},
	"Secret":        {"v1"},
}

// loader reads files into a set.
type loader struct {
	options    Options
	mistakes   []Mistake
	roots      map[string]*root.Root
	configMaps map[string]map[string]string // "namespace/name" to what is in it, of the files
	secrets    map[string]map[string][]byte
	seen       map[string]string // "Kind/namespace/name" to the file
	policies   []rulebook
	parts      []string // of the generation
}

// document is one object of a file.
type document struct {
	o       *object
	node    *yaml.Node
	kind    string
	version string
	meta    metadata
	top     members
}

// metadata is what every object says of itself.
type metadata struct {
	name, namespace string
	annotations     members
}

// annotation reads one that has some words for values.
func (m metadata) annotation(name string, words ...string) string {
	return m.annotations[name].word(words...)
}

// Load reads, checks and compiles policies and the trust roots they name. Config maps and secrets may stand beside
// them in the files. Only what is sound is in the Set; any mistake that is no warning means that the caller must not
// use it, for a policy is missing from it.
func Load(files []File, o Options) (*Set, []Mistake) {
	l := &loader{
		options: o, roots: map[string]*root.Root{}, configMaps: map[string]map[string]string{}, secrets: map[string]map[string][]byte{},
		seen: map[string]string{},
	}
	var docs []document
	for _, f := range files {
		docs = append(docs, l.read(f)...)
	}
	for _, kinds := range [][]string{{"ConfigMap", "Secret"}, {kindTrustRoot}, {kindImagePolicy, kindPolicy, kindVerifier, kindNamespaced}} {
		for _, d := range docs {
			if contains(kinds, d.kind) {
				l.take(d)
			}
		}
	}
	l.nameApart()
	sortPolicies(l.policies)
	return &Set{l.policies, l.generation(), cmp.Or(o.Unbound, UnboundDeny)}, l.mistakes
}

// read takes a file apart into its objects.
func (l *loader) read(f File) []document {
	left := maxFields
	o := &object{l: l, file: f.Name, left: &left}
	if len(f.Bytes) > MaxFileBytes {
		field{o: o}.wrong(seaworthy.TooLarge, "the file has %d bytes; the limit is %d", len(f.Bytes), MaxFileBytes)
		return nil
	}
	var out []document
	dec := yaml.NewDecoder(bytes.NewReader(f.Bytes))
	for n := 1; ; n++ {
		var node yaml.Node
		err := decodeYAML(dec, &node)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			field{o: o}.hinted(seaworthy.Invalid, "it should be YAML or JSON, with --- between objects", "reading it: %s", clip(strings.TrimPrefix(err.Error(), "yaml: "), 300))
			break
		}
		if len(node.Content) == 0 || node.Content[0].Tag == "!!null" {
			continue
		}
		out = append(out, l.document(f.Name, fmt.Sprintf("document %d", n), node.Content[0], &left)...)
		if len(out) > maxObjects {
			field{o: o}.wrong(seaworthy.TooLarge, "there are more than %d objects", maxObjects)
			break
		}
	}
	if len(out) == 0 && !o.bad {
		field{o: o}.warn("", "there is no policy in it")
	}
	return out
}

// decodeYAML keeps a parser that we did not write from taking the program down.
func decodeYAML(dec *yaml.Decoder, node *yaml.Node) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the parser gave up: %v", r)
		}
	}()
	return dec.Decode(node)
}

// document reads what every object has, and takes lists apart.
func (l *loader) document(file, name string, node *yaml.Node, left *int) []document {
	o := &object{l: l, file: file, name: name, left: left}
	f := field{o: o, node: node}
	if node.Kind != yaml.MappingNode {
		f.hinted(seaworthy.Invalid, "an object has apiVersion, kind, metadata and spec", "it is no object")
		return nil
	}
	kind := peek(node, "kind")
	if strings.HasSuffix(kind, "List") {
		m := f.object("apiVersion", "kind", "metadata", "items")
		var out []document
		for i, e := range m["items"].list() {
			if len(out) > maxObjects {
				break
			}
			out = append(out, l.document(file, fmt.Sprintf("%s item %d", name, i+1), e.node, left)...)
		}
		return out
	}
	fields := []string{"apiVersion", "kind", "metadata", "spec", "status"}
	if kind == "ConfigMap" || kind == "Secret" {
		fields = []string{"apiVersion", "kind", "metadata", "data", "binaryData", "stringData", "type", "immutable"}
	}
	d := document{o: o, node: node, kind: kind}
	if apiVersions[kind] == nil {
		f.unknownKind(kind, peek(node, "apiVersion"))
		return nil
	}
	d.top = f.object(fields...)
	meta := d.top["metadata"].object("name", "namespace", "annotations", "…")
	d.meta = metadata{meta["name"].required(), meta["namespace"].text(), meta["annotations"].object("…")}
	for _, n := range []string{failModeAnnotation, cueModeAnnotation, modeAnnotation} {
		if _, ok := d.meta.annotations[n]; !ok {
			d.meta.annotations[n] = field{o: o}
		}
	}
	o.name = kind + "/" + d.meta.name
	if d.meta.name == "" {
		o.name = kind + " in " + name
	}
	d.version = d.top["apiVersion"].required()
	if !contains(apiVersions[kind], d.version) {
		d.top["apiVersion"].hinted(seaworthy.Unsupported, "it may be "+strings.Join(apiVersions[kind], ", "), "the version %q of %s is not read", d.version, kind)
		return nil
	}
	return []document{d}
}

// peek is the value of a name in a mapping, whatever else is wrong with it.
func peek(node *yaml.Node, name string) string {
	for i := 0; i+1 < len(node.Content); i += 2 {
		if node.Content[i].Value == name {
			return node.Content[i+1].Value
		}
	}
	return ""
}

func (f field) unknownKind(kind, version string) {
	at := field{o: f.o, node: f.node, path: "kind"}
	known := slices.Sorted(maps.Keys(apiVersions))
	hint := "the kinds are " + strings.Join(known, ", ")
	if near := console.Nearest(kind, known); near != "" {
		hint = "did you mean " + near + "?"
	}
	switch {
	case kind == "":
		at.hinted(seaworthy.Invalid, hint, "it must be given")
	case strings.Contains(version, "gatekeeper.sh") || strings.Contains(version, "ratify.deislabs.io"):
		at.hinted(seaworthy.Unsupported, "of Ratify, Verifier objects are read; of Gatekeeper, none yet", "objects of %q (%s) are not read", kind, version)
	default:
		at.hinted(seaworthy.Unsupported, hint, "there is no kind %q here", kind)
	}
}

// take reads an object.
func (l *loader) take(d document) {
	key := d.kind + "/" + d.meta.namespace + "/" + d.meta.name
	if first, ok := l.seen[key]; ok {
		field{o: d.o, path: "metadata.name"}.wrong(seaworthy.Conflict, "there is one of this name in %q already", first)
		return
	}
	l.seen[key] = d.o.file
	about := Summary{Name: d.meta.name, Kind: d.kind, File: d.o.file, Mode: seaworthy.Enforce}
	if d.meta.namespace != "" {
		about.Name = d.meta.namespace + "/" + d.meta.name
	}
	spec := d.top["spec"]
	if !spec.given() && d.kind != "ConfigMap" && d.kind != "Secret" {
		spec.path = "spec"
		spec.o = d.o
		spec.wrong(seaworthy.Invalid, "it must be given")
		return
	}
	var p rulebook
	switch d.kind {
	case "ConfigMap":
		l.configMaps[d.meta.namespace+"/"+d.meta.name] = d.top["data"].table()
	case "Secret":
		l.takeSecret(d)
	case kindTrustRoot:
		l.trustRoot(d.o, spec, d.meta.name)
	case kindImagePolicy:
		p = l.clusterImagePolicy(d.o, about, d.meta, spec)
	case kindPolicy:
		p = l.shortPolicy(d.o, about, spec)
	case kindVerifier, kindNamespaced:
		p = l.verifier(d.o, about, d.meta, spec)
	}
	if d.o.bad {
		return
	}
	l.parts = append(l.parts, d.canonical(key))
	if p == nil {
		return
	}
	source, err := yaml.Marshal(d.node)
	if err != nil {
		field{o: d.o}.wrong(seaworthy.Invalid, "writing it: %s", err)
		return
	}
	p.summary().Source = string(source)
	l.policies = append(l.policies, p)
}

// canonical is what an object says that decides: not its comments, its order, or what a cluster notes about it.
func (d *document) canonical(key string) string {
	parts := []string{key, d.version}
	for _, n := range []string{failModeAnnotation, cueModeAnnotation, modeAnnotation} {
		if f := d.meta.annotations[n]; f.given() {
			parts = append(parts, n+"="+f.node.Value)
		}
	}
	for _, n := range []string{"spec", "data", "stringData"} {
		f := d.top[n]
		if !f.given() {
			continue
		}
		var v any
		b := []byte{}
		err := f.node.Decode(&v)
		if err == nil {
			b, err = json.Marshal(v)
		}
		if err != nil { // what is no JSON is taken as it is written
			b, _ = yaml.Marshal(f.node)
		}
		parts = append(parts, n, string(b))
	}
	return strings.Join(parts, "\x00")
}

func (l *loader) takeSecret(d document) {
	out := map[string][]byte{}
	for name, v := range d.top["data"].table() {
		b, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			d.top["data"].wrong(seaworthy.Invalid, "%q is no base64", name)
		}
		out[name] = b
	}
	for name, v := range d.top["stringData"].table() {
		out[name] = []byte(v)
	}
	l.secrets[d.meta.namespace+"/"+d.meta.name] = out
}

// nameApart tells policies of the same name and different kinds apart.
func (l *loader) nameApart() {
	count := map[string]int{}
	for _, p := range l.policies {
		count[p.summary().Name]++
	}
	for _, p := range l.policies {
		if s := p.summary(); count[s.Name] > 1 {
			s.Name = strings.ToLower(s.Kind) + "/" + s.Name
		}
	}
}

// namespace is where something is that a policy refers to.
func (l *loader) namespace(given string) string {
	return cmp.Or(given, l.options.Namespace, sigstoreNamespace)
}

// secret looks one up: in the files, else in the cluster. What it holds is part of the generation.
func (l *loader) secret(namespace, name string) (data map[string][]byte, err error) {
	data, ok := l.secrets[namespace+"/"+name]
	switch {
	case ok:
		return data, nil
	case l.options.Secret == nil:
		return nil, seaworthy.Errorf(seaworthy.NotFound, "it is not among the files, and there is no cluster here").
			WithHint("give what is in it as data, or put the secret beside the policy")
	}
	if data, err = l.options.Secret(namespace, name); err != nil {
		return nil, err
	}
	for _, k := range slices.Sorted(maps.Keys(data)) {
		l.parts = append(l.parts, "secret "+namespace+"/"+name+"/"+k+" "+string(seaworthy.SHA256(data[k])))
	}
	return data, nil
}

// configMap looks up an entry of one.
func (l *loader) configMap(namespace, name, entry string) ([]byte, error) {
	if data, ok := l.configMaps[namespace+"/"+name]; ok {
		if s, ok := data[entry]; ok {
			return []byte(s), nil
		}
		return nil, seaworthy.Errorf(seaworthy.NotFound, "it has no such entry").WithHint("it has %s", strings.Join(slices.Sorted(maps.Keys(data)), ", "))
	}
	if l.options.ConfigMap == nil {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "it is not among the files, and there is no cluster here").
			WithHint("give what is in it as data, or put the config map beside the policy")
	}
	b, err := l.options.ConfigMap(namespace, name, entry)
	if err != nil {
		return nil, err
	}
	l.parts = append(l.parts, "configMap "+namespace+"/"+name+"/"+entry+" "+string(seaworthy.SHA256(b)))
	return b, nil
}

// rootHint names the trust roots there are.
func (l *loader) rootHint(name string) string {
	known := slices.Sorted(maps.Keys(l.roots))
	if near := console.Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	if len(known) == 0 {
		return "put the TrustRoot beside the policy"
	}
	return "there are " + strings.Join(known, ", ")
}

// generation digests all that may change a verdict.
func (l *loader) generation() string {
	parts := slices.Sorted(slices.Values(l.parts))
	if l.options.Root != nil {
		parts = append(parts, "root "+string(l.options.Root.Digest()))
	}
	parts = append(parts, "unbound "+string(cmp.Or(l.options.Unbound, UnboundDeny)), "rules "+rulesVersion)
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil))
}
