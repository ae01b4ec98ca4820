package admit

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/seaworthy-dev/seaworthy"
)

// Limits of one object.
const (
	MaxObject = 3 << 20 // 3 MiB: what an API server takes in one request (apiserver, MaxRequestBodyBytes)
	MaxImages = 1000    // that one object may name
)

// Kind is a kind of object that runs images, and where in it the pod is described.
type Kind struct {
	Group string // "" for the core group; versions do not matter
	Kind  string
	Pod   string // JSON pointer of the pod's spec: "/spec/template/spec"
}

// kinds are all of Kubernetes' own that run images. Others, of custom resources, are told to Extract.
var kinds = []Kind{
	{"", "Pod", "/spec"},
	{"", "PodTemplate", "/template/spec"},
	{"", "ReplicationController", "/spec/template/spec"},
	{"apps", "ReplicaSet", "/spec/template/spec"},
	{"apps", "Deployment", "/spec/template/spec"},
	{"apps", "StatefulSet", "/spec/template/spec"},
	{"apps", "DaemonSet", "/spec/template/spec"},
	{"batch", "Job", "/spec/template/spec"},
	{"batch", "CronJob", "/spec/jobTemplate/spec/template/spec"},
}

// Kinds lists the kinds that Extract knows without being told.
func Kinds() []Kind { return append([]Kind(nil), kinds...) }

// Image is one image that an object names.
type Image struct {
	Field string // of the pod's spec: containers, initContainers, ephemeralContainers or volumes
	Name  string // of the container or volume
	Path  string // JSON pointer (RFC 6901) of the image's name in the object
	Image string // as written; may be ""
}

// Workload is what the gate needs to know of an object that runs images.
type Workload struct {
	APIVersion, Kind string
	Namespace, Name  string
	Labels           map[string]string
	Annotations      map[string]string
	Images           []Image
	ServiceAccount   string
	PullSecrets      []string
	Deleting         bool // it has a deletion timestamp: only its finalizers are waited for
	// Known is false for a kind that runs no images as far as we know; there are no Images then.
	Known bool
	// Object is the whole of it, as JSON.
	Object []byte
}

// String names it for people: "pod/web".
func (w *Workload) String() string {
	name := w.Name
	if name == "" {
		name = "(not named yet)"
	}
	return strings.ToLower(w.Kind) + "/" + name
}

// podSpec is the part of a pod's spec that names images, or what is needed to fetch them.
type podSpec struct {
	Containers          []container `json:"containers"`
	InitContainers      []container `json:"initContainers"`
	EphemeralContainers []container `json:"ephemeralContainers"`
	Volumes             []struct {
		Name  string `json:"name"`
		Image *struct {
			Reference string `json:"reference"`
		} `json:"image"`
	} `json:"volumes"`
	ServiceAccount string `json:"serviceAccountName"`
	PullSecrets    []struct {
		Name string `json:"name"`
	} `json:"imagePullSecrets"`
}

type container struct {
	Name  string `json:"name"`
	Image string `json:"image"`
}

// objectHead is what every object has.
type objectHead struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name         string            `json:"name"`
		GenerateName string            `json:"generateName"`
		Namespace    string            `json:"namespace"`
		Labels       map[string]string `json:"labels"`
		Annotations  map[string]string `json:"annotations"`
		Deletion     *string           `json:"deletionTimestamp"`
	} `json:"metadata"`
}

// Extract finds every image that an object (JSON) names: of its containers, init containers, ephemeral containers
// and image volumes. more are kinds of custom resources. Names of members are taken exactly, as the API server takes
// them, and an object that has one twice is refused.
//
// Errors: Invalid, TooLarge.
func Extract(object []byte, more ...Kind) (*Workload, error) {
	if len(object) > MaxObject {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading an object: more than %d bytes", MaxObject)
	}
	var head objectHead
	if err := json.Unmarshal(object, &head); err != nil {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading an object: %w", err)
	}
	w := &Workload{
		APIVersion: head.APIVersion, Kind: head.Kind, Namespace: head.Metadata.Namespace, Name: head.Metadata.Name,
		Labels: head.Metadata.Labels, Annotations: head.Metadata.Annotations, Deleting: head.Metadata.Deletion != nil, Object: object,
	}
	if w.Name == "" && head.Metadata.GenerateName != "" {
		w.Name = head.Metadata.GenerateName + "…"
	}
	k, ok := kindOf(head.APIVersion, head.Kind, more)
	if !ok {
		return w, nil
	}
	w.Known = true
	raw, err := at(object, k.Pod)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading %s", w)
	}
	var spec podSpec
	if raw != nil {
		if err := json.Unmarshal(raw, &spec); err != nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "reading %s at %s: %w", w, k.Pod, err)
		}
	}
	w.ServiceAccount = spec.ServiceAccount
	for _, s := range spec.PullSecrets {
		if s.Name != "" {
			w.PullSecrets = append(w.PullSecrets, s.Name)
		}
	}
	w.Images = spec.images(k.Pod)
	if len(w.Images) > MaxImages {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading %s: it names %d images; the limit is %d", w, len(w.Images), MaxImages)
	}
	return w, nil
}

// images lists the images of a spec at a JSON pointer, in the order in which people think of them.
func (s *podSpec) images(at string) []Image {
	var all []Image
	for _, list := range []struct {
		field string
		of    []container
	}{{"initContainers", s.InitContainers}, {"containers", s.Containers}, {"ephemeralContainers", s.EphemeralContainers}} {
		for i, c := range list.of {
			all = append(all, Image{list.field, c.Name, fmt.Sprintf("%s/%s/%d/image", at, list.field, i), c.Image})
		}
	}
	for i, v := range s.Volumes {
		if v.Image != nil {
			all = append(all, Image{"volumes", v.Name, fmt.Sprintf("%s/volumes/%d/image/reference", at, i), v.Image.Reference})
		}
	}
	return all
}

// kindOf finds a kind, whatever its version.
func kindOf(apiVersion, kind string, more []Kind) (Kind, bool) {
	group, _, ok := strings.Cut(apiVersion, "/")
	if !ok {
		group = ""
	}
	for _, list := range [][]Kind{kinds, more} {
		for _, k := range list {
			if k.Kind == kind && k.Group == group {
				return k, true
			}
		}
	}
	return Kind{}, false
}

// at returns the value at a JSON pointer, or nil when there is none. A null on the way is none.
func at(object []byte, pointer string) (jsontext.Value, error) {
	value := jsontext.Value(object)
	for token := range jsontext.Pointer(pointer).Tokens() {
		var members map[string]jsontext.Value
		if err := json.Unmarshal(value, &members); err != nil {
			return nil, seaworthy.Errorf(seaworthy.Invalid, "looking for %s: %w", pointer, err)
		}
		value = members[token]
		if len(value) == 0 || bytes.Equal(value, []byte("null")) {
			return nil, nil
		}
	}
	return value, nil
}

// Changed lists the images of w that before does not have at the same place: of an update, what is to be judged.
// Everything is, when before is nil. A place is the field and the name; one that occurs twice is no place.
func (w *Workload) Changed(before *Workload) []Image {
	if before == nil {
		return w.Images
	}
	type place struct{ field, name string }
	had, twice := map[place]string{}, map[place]bool{}
	for _, i := range before.Images {
		p := place{i.Field, i.Name}
		_, twice[p] = had[p]
		had[p] = i.Image
	}
	seen := map[place]bool{}
	var out []Image
	for _, i := range w.Images {
		p := place{i.Field, i.Name}
		image, ok := had[p]
		if !ok || twice[p] || seen[p] || image != i.Image {
			out = append(out, i)
		}
		seen[p] = true
	}
	return out
}
