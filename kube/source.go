package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// reloadTime is after what time policies are loaded anew although nothing changed: what a TUF repository holds expires.
const reloadTime = time.Hour

// retryTime is after what time is tried again what the API server did not answer, for it tells nobody when it would.
const retryTime = 10 * time.Second

var namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

// SourceOptions are what the cluster's objects do not say.
type SourceOptions struct {
	// Policy is what policies are loaded with. ConfigMap and Secret are filled in; Namespace is where
	// ClusterImagePolicies keep secrets and config maps.
	Policy policy.Options
	// Files are policies that hold beside those of the cluster.
	Files []policy.File
	// Use is called with every new set and the trusted root that it was loaded with, before the status of the objects
	// says that it is in use. It must not block.
	Use func(*policy.Set, *root.Root)
	Log *slog.Logger // nil: none
	// Agent is the name under which status is written; "" writes none, for who only looks.
	Agent string
}

// Source is the policies of a cluster, kept up to date.
//
// A policy that is not sound, or that names a secret, config map or trust root that is not there, does not vanish:
// in its place stands one that binds the same images and refuses them, saying why. So a mistake in one policy never
// opens the gate, and never closes it for images that the policy does not speak of.
type Source struct {
	cluster *Cluster
	o       SourceOptions
	changed chan struct{} // has an element when something changed since the last load
	checks  chan struct{} // has an element for every check under way
	refs    *references

	mu         sync.Mutex // guards what follows; held for moments only
	kinds      []*watched // as Kinds; nil before they are followed
	versions   []schema.GroupVersionResource
	namespaces *watched
	trusted    *root.Root
	mistakes   []policy.Mistake // in the objects of the newest set
	trouble    error            // why there is no set yet, or why the newest could not be made

	set  atomic.Pointer[policy.Set]
	used *root.Root // that Use was told last; owned by Run
}

// NewSource prepares a source; Run makes it work.
func NewSource(c *Cluster, o SourceOptions) *Source {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Use == nil {
		o.Use = func(*policy.Set, *root.Root) {}
	}
	s := &Source{
		cluster: c, o: o, changed: make(chan struct{}, 1), checks: make(chan struct{}, maxChecks), trusted: o.Policy.Root,
		trouble: seaworthy.Errorf(seaworthy.Unavailable, "the policies of the cluster have not been read yet"),
	}
	s.refs = newReferences(c, s.change)
	return s
}

// Set is the policies as they are now; nil until all have been read. It is always a whole: of one moment.
func (s *Source) Set() *policy.Set { return s.set.Load() }

// Ready says why there is no set yet; nil when there is one. A set that cannot be renewed is still one: the log says
// what stands in the way. Errors: any of answered, NotFound when the cluster lacks a definition.
func (s *Source) Ready() error {
	if s.Set() != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trouble
}

// NamespaceLabels are the labels of a namespace; nil when there is none, or when that cannot be found out: then it has
// none as far as policies go.
func (s *Source) NamespaceLabels(ctx context.Context, name string) map[string]string {
	s.mu.Lock()
	w := s.namespaces
	s.mu.Unlock()
	if w != nil {
		if u, ok := w.object("", name); ok {
			return u.GetLabels()
		}
	}
	labels, err := s.cluster.NamespaceLabels(ctx, name) // it may be younger than the copy
	if err != nil {
		s.o.Log.Debug("looking at a namespace", "error", err)
	}
	return labels
}

// NamespaceLabels are the labels of a namespace. Errors: those of answered.
func (c *Cluster) NamespaceLabels(ctx context.Context, name string) (map[string]string, error) {
	u, err := c.once(ctx, reference{resource: namespaces, name: name})
	if err != nil {
		return nil, err
	}
	return u.GetLabels(), nil
}

// Trust replaces the trusted root; the policies are then loaded anew.
func (s *Source) Trust(r *root.Root) {
	s.mu.Lock()
	s.trusted = r
	s.mu.Unlock()
	s.change()
}

func (s *Source) change() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

func (s *Source) note(err error) {
	if err == nil {
		return
	}
	s.mu.Lock()
	before := s.trouble
	s.trouble = err
	s.mu.Unlock()
	if before == nil || before.Error() != err.Error() {
		s.o.Log.Warn("reading the policies of the cluster", "error", err)
	}
}

// Run follows the cluster's policies until ctx ends, and returns when nothing of it runs any more.
func (s *Source) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	ctx, stop := context.WithCancel(ctx) // for a return that ctx is not the reason of
	defer stop()
	defer s.refs.close()
	if !s.begin(ctx, &running) {
		return
	}
	for {
		again := time.After(reloadTime)
		if s.load(ctx) {
			again = time.After(retryTime)
		}
		select {
		case <-s.changed:
		case <-again:
		case <-ctx.Done():
			return
		}
	}
}

// begin follows all kinds and waits until each has been read once. It returns false when ctx ended.
func (s *Source) begin(ctx context.Context, running *sync.WaitGroup) bool {
	all := make([]*watched, 0, len(Kinds)+1)
	var versions []schema.GroupVersionResource
	for _, k := range Kinds {
		version, ok := s.version(ctx, k)
		if !ok {
			return false
		}
		w, err := s.cluster.follow(version, "", "", withoutNoise, s.change)
		if err != nil {
			s.note(seaworthy.Wrap(err, seaworthy.Internal, "following %s", k.Resource))
			return false
		}
		versions = append(versions, version)
		all = append(all, w)
	}
	labels, err := s.cluster.follow(namespaces, "", "", labelsOnly, func() {})
	if err != nil {
		s.note(seaworthy.Wrap(err, seaworthy.Internal, "following namespaces"))
		return false
	}
	all = append(all, labels)
	for _, w := range all {
		running.Go(func() { w.informer.RunWithContext(ctx) })
	}
	for _, w := range all {
		if !s.synced(ctx, w) {
			return false
		}
	}
	s.mu.Lock()
	s.kinds, s.versions, s.namespaces = all[:len(Kinds)], versions, labels
	s.mu.Unlock()
	return true
}

// version finds the version of a kind that the cluster has, however long that takes.
func (s *Source) version(ctx context.Context, k Kind) (schema.GroupVersionResource, bool) {
	for {
		version, err := s.cluster.served(ctx, k)
		if err == nil {
			return version, true
		}
		s.note(err)
		select {
		case <-time.After(retryTime): // nobody tells when a definition comes, or when we may see it
		case <-ctx.Done():
			return version, false
		}
	}
}

func (s *Source) synced(ctx context.Context, w *watched) bool {
	for {
		select {
		case <-w.informer.HasSyncedChecker().Done():
			return true
		case <-w.troubled: // it goes on trying
			s.note(answered(w.lastTrouble(), "reading the cluster"))
		case <-ctx.Done():
			return false
		}
	}
}

// held is an object that holds policy.
type held struct {
	kind     Kind
	version  schema.GroupVersionResource
	object   *unstructured.Unstructured
	file     policy.File // as it is
	mistakes []policy.Mistake
}

// objects are all objects that hold policy, what others refer to first.
func (s *Source) objects() ([]*held, error) {
	s.mu.Lock()
	kinds, versions := s.kinds, s.versions
	s.mu.Unlock()
	var out []*held
	for i, w := range kinds {
		of := w.objects()
		slices.SortFunc(of, func(a, b *unstructured.Unstructured) int { return strings.Compare(a.GetName(), b.GetName()) })
		for _, u := range of {
			f, err := fileOf(Kinds[i].Name, u.Object)
			if err != nil {
				return nil, err
			}
			out = append(out, &held{kind: Kinds[i], version: versions[i], object: u, file: f})
		}
	}
	return out, nil
}

// fileOf writes an object as its author would have: without what the API server keeps in it.
func fileOf(kind string, object map[string]any) (policy.File, error) {
	u := &unstructured.Unstructured{Object: map[string]any{}}
	for field, value := range object {
		if field != "status" && field != "metadata" {
			u.Object[field] = value
		}
	}
	from := &unstructured.Unstructured{Object: object}
	metadata := map[string]any{"name": from.GetName()}
	if a := from.GetAnnotations(); len(a) > 0 {
		written := map[string]any{}
		for key, value := range a {
			if key != "kubectl.kubernetes.io/last-applied-configuration" {
				written[key] = value
			}
		}
		if len(written) > 0 {
			metadata["annotations"] = written
		}
	}
	u.Object["metadata"] = metadata
	text, err := json.Marshal(u.Object)
	name := kind + "/" + from.GetName()
	return policy.File{Name: name, Bytes: text}, seaworthy.Wrap(err, seaworthy.Internal, "writing %q", name)
}

// load makes a set of what there is now, puts it to use, and writes the status of every object. It reports whether
// to try again later although nothing changes.
func (s *Source) load(ctx context.Context) (retry bool) {
	all, err := s.objects()
	if err != nil {
		s.note(err)
		return false
	}
	s.refs.begin()
	o := s.options(ctx, s.refs.get)
	set, err := s.compile(ctx, all, o)
	if ctx.Err() != nil {
		return false
	}
	s.refs.end()
	if err != nil {
		s.note(err) // the set that there is, if any, stays in use
		return true
	}
	var mistakes []policy.Mistake
	for _, h := range all {
		mistakes = append(mistakes, h.mistakes...)
	}
	s.mu.Lock()
	s.mistakes = mistakes
	s.mu.Unlock()
	if before := s.set.Swap(set); before == nil || before.Generation() != set.Generation() || o.Root != s.used {
		s.used = o.Root
		s.o.Log.Info("policies are in use", "policies", len(set.Policies()), "generation", set.Generation())
		s.o.Use(set, o.Root)
	}
	if s.o.Agent == "" {
		return slices.ContainsFunc(mistakes, passing)
	}
	for _, h := range all {
		if err := s.writeStatus(ctx, h); err != nil {
			s.o.Log.Warn("writing the status of a policy", "policy", h.file.Name, "error", err)
			retry = true
		}
		retry = retry || slices.ContainsFunc(h.mistakes, passing)
	}
	return retry
}

// options are what policies are loaded with.
func (s *Source) options(ctx context.Context, look lookup) policy.Options {
	o := s.o.Policy
	s.mu.Lock()
	o.Root = s.trusted
	s.mu.Unlock()
	o.At = time.Now()
	o.Secret = func(namespace, name string) (map[string][]byte, error) { return secret(ctx, look, namespace, name) }
	o.ConfigMap = func(namespace, name, key string) ([]byte, error) { return configMap(ctx, look, namespace, name, key) }
	return o
}

// Mistakes are what is wrong with the policies that there are now. It is for who does not write it into their status.
func (s *Source) Mistakes() []policy.Mistake {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mistakes
}

// passing says whether a mistake may end without that anything we follow changes.
func passing(m policy.Mistake) bool {
	return m.Code == seaworthy.Unavailable || m.Code == seaworthy.Forbidden || m.Code == seaworthy.Unauthorized
}

// compile loads all objects, with others in place of those that are not sound. Errors: Internal when that does not
// come to an end.
func (s *Source) compile(ctx context.Context, all []*held, o policy.Options) (*policy.Set, error) {
	files := map[string]policy.File{}
	byName := map[string]*held{}
	for _, h := range all {
		files[h.file.Name], byName[h.file.Name] = h.file, h
	}
	// Each round replaces what is wrong by something that cannot be, first sparing what the author wrote and then
	// not, or leaves it out where nothing can stand for it, which may make others wrong that refer to it.
	for range 2*len(Kinds) + 1 {
		set, mistakes := policy.Load(s.inOrder(all, files), o)
		wrong := map[string]bool{}
		for _, m := range mistakes {
			h := byName[m.File]
			if h == nil && !m.Warning {
				return nil, m
			}
			if h == nil {
				continue
			}
			if !slices.Contains(h.mistakes, m) && !wasReplaced(files[m.File], h) {
				h.mistakes = append(h.mistakes, m)
			}
			wrong[m.File] = wrong[m.File] || !m.Warning
		}
		replaced := false
		for name, bad := range wrong {
			if bad {
				files[name] = standIn(byName[name], files[name])
				replaced = true
			}
		}
		if !replaced {
			return set, nil
		}
	}
	return nil, seaworthy.Errorf(seaworthy.Internal, "the policies of the cluster cannot be loaded, even without what is wrong with them")
}

func wasReplaced(f policy.File, h *held) bool { return string(f.Bytes) != string(h.file.Bytes) }

// inOrder are the files to load: those of the objects, without those that were left out, and the fixed ones.
func (s *Source) inOrder(all []*held, files map[string]policy.File) []policy.File {
	out := slices.Clone(s.o.Files)
	for _, h := range all {
		if f := files[h.file.Name]; len(f.Bytes) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// bindingFields are the fields of each kind that say what a policy binds, and what its no does.
var bindingFields = map[string][]string{
	"ClusterImagePolicy": {"images", "match", "mode"},
	"Policy":             {"images", "except", "namespaces", "excludedNamespaces", "namespaceSelector", "selector", "when", "mode"},
}

// standIn is what is loaded in place of a policy that is not sound: a policy that binds the same images, if those can be
// read, and else all, and refuses them. It has the name of what it stands for or, being of another kind, a name that no
// object has. Nothing stands for a trust root.
func standIn(h *held, tried policy.File) policy.File {
	none := policy.File{Name: h.file.Name}
	if h.kind.Name == "TrustRoot" {
		return none
	}
	why := fmt.Sprintf("%s is not sound: %s", h.file.Name, h.complaint())
	spec, kind, version := map[string]any{}, "ClusterImagePolicy", "policy.sigstore.dev/v1beta1"
	metadata := map[string]any{"name": h.file.Name}
	fields := bindingFields[h.kind.Name]
	if fields == nil || wasReplaced(tried, h) {
		spec["images"] = []any{map[string]any{"glob": "**"}}
	} else {
		written, _ := h.object.Object["spec"].(map[string]any)
		for _, field := range fields {
			if value, ok := written[field]; ok {
				spec[field] = value
			}
		}
		kind, version = h.kind.Name, h.version.GroupVersion().String()
		metadata = map[string]any{"name": h.object.GetName(), "annotations": h.object.GetAnnotations()}
	}
	if kind == "Policy" {
		spec["rules"] = []any{map[string]any{"name": "the policy is sound", "expression": "false", "message": why}}
	} else {
		spec["authorities"] = []any{map[string]any{"name": "broken", "static": map[string]any{"action": "fail", "message": why}}}
	}
	text, err := json.Marshal(map[string]any{
		"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec,
	})
	if err != nil {
		return none // what came as JSON can be written as JSON
	}
	return policy.File{Name: h.file.Name, Bytes: text}
}

// complaint says what is wrong with an object, the first that makes it unusable.
func (h *held) complaint() string {
	for _, m := range h.mistakes {
		if !m.Warning {
			return m.Path + ": " + m.Detail
		}
	}
	return ""
}
