package kube

import (
	"context"
	"errors"
	"io"
	"maps"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// watched is a copy of some objects of the cluster that follows them.
type watched struct {
	informer cache.SharedIndexInformer
	trouble  atomic.Pointer[error] // what the API server said last, when it was no answer
	troubled chan struct{}         // has an element after trouble was set
}

// follow prepares a copy of the objects of a resource; namespace and name narrow it, "" is all. keep makes of an
// object what is kept of it. changed is called when what is kept may have changed, and must not block.
func (c *Cluster) follow(r schema.GroupVersionResource, namespace, name string, keep func(*unstructured.Unstructured), changed func()) (*watched, error) {
	resource := c.dynamic.Resource(r).Namespace(namespace)
	narrow := func(o *metav1.ListOptions) {
		if name != "" {
			o.FieldSelector = "metadata.name=" + name
		}
	}
	list := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			narrow(&o)
			return resource.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			narrow(&o)
			return resource.Watch(ctx, o)
		},
	}
	w := &watched{troubled: make(chan struct{}, 1)}
	w.informer = cache.NewSharedIndexInformer(cache.ToListWatcherWithWatchListSemantics(list, c.dynamic), &unstructured.Unstructured{}, 0, cache.Indexers{})
	err := errors.Join(
		w.informer.SetTransform(func(o any) (any, error) {
			if u, ok := o.(*unstructured.Unstructured); ok {
				keep(u)
			}
			return o, nil
		}),
		w.informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) { w.noteTrouble(err) }),
	)
	if err != nil {
		return nil, err
	}
	_, err = w.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { changed() },
		UpdateFunc: func(before, after any) {
			if differ(before, after) {
				changed()
			}
		},
		DeleteFunc: func(any) { changed() },
	})
	return w, err
}

// differ says whether an object changed in more than its status. Objects without a generation, like secrets, have none.
func differ(before, after any) bool {
	a, okA := before.(*unstructured.Unstructured)
	b, okB := after.(*unstructured.Unstructured)
	if !okA || !okB || a.GetGeneration() == 0 || a.GetUID() != b.GetUID() {
		return true
	}
	return a.GetGeneration() != b.GetGeneration() || !maps.Equal(a.GetAnnotations(), b.GetAnnotations())
}

func (w *watched) noteTrouble(err error) {
	if errors.Is(err, io.EOF) {
		return // a watch ends from time to time
	}
	w.trouble.Store(&err)
	select {
	case w.troubled <- struct{}{}:
	default:
	}
}

// lastTrouble is what the API server said last when it was no answer, or nil.
func (w *watched) lastTrouble() error {
	if err := w.trouble.Load(); err != nil {
		return *err
	}
	return nil
}

// objects are those there are now, which must not be changed.
func (w *watched) objects() []*unstructured.Unstructured {
	var out []*unstructured.Unstructured
	for _, o := range w.informer.GetStore().List() {
		if u, ok := o.(*unstructured.Unstructured); ok {
			out = append(out, u)
		}
	}
	return out
}

// object finds one by its name.
func (w *watched) object(namespace, name string) (*unstructured.Unstructured, bool) {
	key := name
	if namespace != "" {
		key = namespace + "/" + name
	}
	o, found, err := w.informer.GetStore().GetByKey(key)
	u, ok := o.(*unstructured.Unstructured)
	return u, found && ok && err == nil
}

// withoutNoise drops what the API server notes about an object for itself.
func withoutNoise(u *unstructured.Unstructured) { u.SetManagedFields(nil) }

// labelsOnly drops all of an object but what it is called and its labels.
func labelsOnly(u *unstructured.Unstructured) {
	labels := u.GetLabels()
	kept := map[string]any{"apiVersion": u.GetAPIVersion(), "kind": u.GetKind(), "metadata": map[string]any{
		"name": u.GetName(), "uid": string(u.GetUID()), "resourceVersion": u.GetResourceVersion(),
	}}
	u.Object = kept
	u.SetLabels(labels)
}
