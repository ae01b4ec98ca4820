package kube

import (
	"context"
	"encoding/base64"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seaworthy-dev/seaworthy"
)

// lookTime is how long the first look at a secret or config map may take; after that it is followed.
const lookTime = 5 * time.Second

var (
	secrets    = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
)

// reference is a secret or config map that a policy names.
type reference struct {
	resource        schema.GroupVersionResource
	namespace, name string
}

func (r reference) String() string {
	if r.namespace == "" {
		return fmt.Sprintf("%s %q", r.resource.Resource, r.name)
	}
	return fmt.Sprintf("%s %q in namespace %q", r.resource.Resource, r.name, r.namespace)
}

// references follows the secrets and config maps that policies name, and no others: those are nobody's business.
type references struct {
	cluster *Cluster
	changed func()

	mu      sync.Mutex // guards what follows
	follows map[reference]*follow
	used    map[reference]bool // since begin
}

// follow is a reference that is followed.
type follow struct {
	*watched
	stop context.CancelFunc
	done chan struct{}
}

func newReferences(c *Cluster, changed func()) *references {
	return &references{cluster: c, changed: changed, follows: map[reference]*follow{}, used: map[reference]bool{}}
}

// begin starts to note which references are used.
func (r *references) begin() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.used)
}

// end stops to follow those that were not used since begin.
func (r *references) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for ref, f := range r.follows {
		if !r.used[ref] {
			r.drop(ref, f)
		}
	}
}

// close stops to follow all.
func (r *references) close() {
	r.begin()
	r.end()
}

func (r *references) drop(ref reference, f *follow) {
	f.stop()
	<-f.done
	delete(r.follows, ref)
}

// get looks at an object, and follows it from then on, also when it is not there yet. Errors: NotFound, and those of
// answered.
func (r *references) get(ctx context.Context, ref reference) (*unstructured.Unstructured, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.used[ref] = true
	f, err := r.following(ctx, ref)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	select {
	case <-f.informer.HasSyncedChecker().Done():
	case <-f.troubled:
		err := answered(f.lastTrouble(), "looking at %s", ref)
		r.drop(ref, f) // a later look asks anew, rather than when the informer thinks it is time
		return nil, err
	case <-ctx.Done():
		r.drop(ref, f)
		return nil, answered(ctx.Err(), "looking at %s", ref)
	}
	u, ok := f.object(ref.namespace, ref.name)
	if !ok {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "there is no %s", ref)
	}
	return u, nil
}

func (r *references) following(ctx context.Context, ref reference) (*follow, error) {
	if f, ok := r.follows[ref]; ok {
		return f, nil
	}
	w, err := r.cluster.follow(ref.resource, ref.namespace, ref.name, withoutNoise, r.changed)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Internal, "following %s", ref)
	}
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx)) // until drop
	f := &follow{watched: w, stop: stop, done: make(chan struct{})}
	go func() {
		defer close(f.done)
		w.informer.RunWithContext(ctx)
	}()
	r.follows[ref] = f
	return f, nil
}

// lookup is how a reference is looked at: followed, or once.
type lookup func(context.Context, reference) (*unstructured.Unstructured, error)

// once looks at an object without following it.
func (c *Cluster) once(ctx context.Context, ref reference) (*unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	u, err := c.dynamic.Resource(ref.resource).Namespace(ref.namespace).Get(ctx, ref.name, metav1.GetOptions{})
	return u, answered(err, "looking at %s", ref)
}

// secret is what a secret holds. Errors: those of look, and Invalid.
func secret(ctx context.Context, look lookup, namespace, name string) (map[string][]byte, error) {
	ref := reference{secrets, namespace, name}
	u, err := look(ctx, ref)
	if err != nil {
		return nil, err
	}
	written, _, err := unstructured.NestedStringMap(u.Object, "data")
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading %s", ref)
	}
	out := make(map[string][]byte, len(written))
	for key, value := range written {
		if out[key], err = base64.StdEncoding.DecodeString(value); err != nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "reading key %q of %s: it is not base64", key, ref)
		}
	}
	return out, nil
}

// configMap is what one key of a config map holds. Errors: those of look, NotFound and Invalid.
func configMap(ctx context.Context, look lookup, namespace, name, key string) ([]byte, error) {
	ref := reference{configMaps, namespace, name}
	u, err := look(ctx, ref)
	if err != nil {
		return nil, err
	}
	if value, ok, err := unstructured.NestedString(u.Object, "data", key); err == nil && ok {
		return []byte(value), nil
	}
	value, ok, err := unstructured.NestedString(u.Object, "binaryData", key)
	if err != nil || !ok {
		return nil, seaworthy.Errorf(seaworthy.NotFound, "%s has no key %q", ref, key)
	}
	raw, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading key %q of %s: it is not base64", key, ref)
	}
	return raw, nil
}
