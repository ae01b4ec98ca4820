package kube

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seaworthy-dev/seaworthy"
)

// DefaultPage is how many pods are asked for at once.
const DefaultPage = 250

var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// Pod is a pod that exists, and which images it really runs.
type Pod struct {
	Namespace, Name string
	Phase           string            // Pending, Running, Succeeded, Failed or Unknown
	Owner           string            // "ReplicaSet/web-5d4", or ""
	Running         map[string]string // by "containers.NAME", "initContainers.NAME" …: "name@sha256:…" of what was pulled
	Object          []byte            // JSON
}

// PodsOptions narrow a walk.
type PodsOptions struct {
	Namespace string // "" is all
	Page      int64  // 0: DefaultPage
}

// Pods walks all pods there are, a page at a time, and never holds more than one. When the walk takes so long that
// the API server forgets where it began, it goes on with what there is then: pods made meanwhile may be missed, none
// is seen twice. Errors: those of answered, and the first of see.
func (c *Cluster) Pods(ctx context.Context, o PodsOptions, see func([]Pod) error) error {
	if o.Page == 0 {
		o.Page = DefaultPage
	}
	list := metav1.ListOptions{Limit: o.Page}
	for {
		asked, cancel := context.WithTimeout(ctx, answerTime)
		page, err := c.dynamic.Resource(pods).Namespace(o.Namespace).List(asked, list)
		cancel()
		if next := forgotten(err); next != "" && next != list.Continue {
			list.Continue = next
			continue
		}
		if err != nil {
			return answered(err, "listing pods")
		}
		found := make([]Pod, len(page.Items))
		for i := range page.Items {
			if found[i], err = podOf(page.Items[i].Object); err != nil {
				return err
			}
			page.Items[i].Object = nil // one copy is enough
		}
		if err := see(found); err != nil {
			return err
		}
		if list.Continue = page.GetContinue(); list.Continue == "" {
			return nil
		}
	}
}

// forgotten is where to go on when the API server has forgotten the moment that a walk began with.
func forgotten(err error) string {
	var status apierrors.APIStatus
	if !apierrors.IsResourceExpired(err) || !errors.As(err, &status) {
		return ""
	}
	return status.Status().Continue
}

// Object finds what kubectl calls KIND/NAME ("pod/x", "deploy/web"; a name alone is a pod's), of the kinds that run
// images, and gives it as JSON. Errors: Usage for another kind, and those of answered.
func (c *Cluster) Object(ctx context.Context, namespace, name string) ([]byte, error) {
	kind, rest, ok := strings.Cut(name, "/")
	if !ok {
		kind, rest = "pod", name
	}
	r, ok := resourceOf(kind)
	if !ok || rest == "" {
		return nil, seaworthy.Errorf(seaworthy.Usage, "%q: not the kind and name of something that runs images", name).
			WithHint("for example pod/web, deployment/web or cronjob/nightly")
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	u, err := c.dynamic.Resource(r).Namespace(namespace).Get(ctx, rest, metav1.GetOptions{})
	if err != nil {
		return nil, answered(err, "looking at %s %q in namespace %q", kind, rest, namespace)
	}
	withoutNoise(u)
	return u.MarshalJSON()
}

// shortNames are kubectl's, of the resources in Workloads.
var shortNames = map[string]string{
	"po": "pods", "rc": "replicationcontrollers", "ds": "daemonsets", "deploy": "deployments", "rs": "replicasets", "sts": "statefulsets", "cj": "cronjobs",
}

// resourceOf is the resource that a kind's name stands for: plural, singular or short, with or without its group.
func resourceOf(kind string) (schema.GroupVersionResource, bool) {
	name, group, grouped := strings.Cut(strings.ToLower(kind), ".")
	if long, ok := shortNames[name]; ok {
		name = long
	}
	for _, w := range Workloads() {
		for _, r := range w.Resources {
			if !strings.Contains(r, "/") && (name == r || name+"s" == r) && (!grouped || group == w.Group) {
				return schema.GroupVersionResource{Group: w.Group, Version: w.Versions[0], Resource: r}, true
			}
		}
	}
	return schema.GroupVersionResource{}, false
}

// podStatus is what a pod says about what runs.
type podStatus struct {
	Metadata struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
		Owners    []struct {
			Kind string `json:"kind"`
			Name string `json:"name"`
		} `json:"ownerReferences"`
	} `json:"metadata"`
	Status struct {
		Phase     string            `json:"phase"`
		Main      []containerStatus `json:"containerStatuses"`
		Init      []containerStatus `json:"initContainerStatuses"`
		Ephemeral []containerStatus `json:"ephemeralContainerStatuses"`
	} `json:"status"`
}

type containerStatus struct {
	Name    string `json:"name"`
	ImageID string `json:"imageID"`
}

func podOf(object map[string]any) (Pod, error) {
	// managedFields is half of a pod, and nobody asks for it.
	if metadata, ok := object["metadata"].(map[string]any); ok {
		delete(metadata, "managedFields")
	}
	text, err := json.Marshal(object)
	if err != nil {
		return Pod{}, seaworthy.Wrap(err, seaworthy.Internal, "reading a pod")
	}
	var s podStatus
	if err := json.Unmarshal(text, &s); err != nil {
		return Pod{}, seaworthy.Wrap(err, seaworthy.Invalid, "reading a pod")
	}
	p := Pod{Namespace: s.Metadata.Namespace, Name: s.Metadata.Name, Phase: s.Status.Phase, Running: map[string]string{}, Object: text}
	if len(s.Metadata.Owners) > 0 {
		p.Owner = s.Metadata.Owners[0].Kind + "/" + s.Metadata.Owners[0].Name
	}
	for field, of := range map[string][]containerStatus{
		"containers": s.Status.Main, "initContainers": s.Status.Init, "ephemeralContainers": s.Status.Ephemeral,
	} {
		for _, c := range of {
			if image := pulled(c.ImageID); image != "" {
				p.Running[field+"."+c.Name] = image
			}
		}
	}
	return p, nil
}

// pulled is the name and digest in an imageID as container runtimes write it: "docker.io/library/nginx@sha256:…",
// with Docker's "docker-pullable://" before it. A digest alone is that of the image config and names nothing that a
// registry has; it gives "".
func pulled(imageID string) string {
	_, after, ok := strings.Cut(imageID, "://")
	if ok {
		imageID = after
	}
	name, digest, ok := strings.Cut(imageID, "@")
	if !ok || name == "" {
		return ""
	}
	if _, err := seaworthy.ParseDigest(digest); err != nil {
		return ""
	}
	return imageID
}
