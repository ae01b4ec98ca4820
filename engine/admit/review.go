package admit

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/internal/console"
)

// Operations of a Request, as Kubernetes has them.
const (
	Create = "CREATE"
	Update = "UPDATE"
)

// Request is what a cluster asks about one object (admission.k8s.io/v1, AdmissionRequest).
type Request struct {
	Operation   string // CREATE, UPDATE, DELETE or CONNECT
	Group       string // of Resource
	Version     string
	Resource    string // "pods"
	Subresource string // "", "ephemeralcontainers", "status", "scale" …
	Namespace   string
	Name        string
	Object      []byte // JSON
	OldObject   []byte // of updates
	DryRun      bool
	// NamespaceLabels are those of the namespace, where somebody knows them.
	NamespaceLabels map[string]string
}

// Answer is what the cluster is told.
type Answer struct {
	Allowed  bool
	Code     seaworthy.Code // of one that is not allowed: Refused, Invalid, TooLarge, Unavailable
	Message  string         // why not
	Warnings []string
	Patch    []PatchOperation // what to change before it is admitted
	// Audit goes into the cluster's audit log, by names below the webhook's.
	Audit map[string]string
	// Verdicts are those of Images, in the order of the object; none when nothing was judged.
	Verdicts []seaworthy.Verdict
	Images   []Image
}

// Why says why nothing was judged, or why it is not allowed.
func (a *Answer) Why() string {
	if a.Message != "" {
		return a.Message
	}
	return a.Audit["unjudged"]
}

// PatchOperation is one of a JSON patch (RFC 6902).
type PatchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value string `json:"value"`
}

// Limits of an answer.
const (
	maxWarnings = 20
	maxWarning  = 512 // bytes; API servers cut longer ones (apiserver, warning.go)
)

// subresources are those through which images can come; every other is let through unjudged.
var subresources = []string{"", "ephemeralcontainers"}

// let is the answer to what need not be judged, with the reason for the audit log.
func let(why string) *Answer {
	return &Answer{Allowed: true, Audit: map[string]string{"unjudged": why}}
}

// scope reads a request and says which of its images are to be judged; or has an answer already.
//
// These are let through: what deletes or connects; subresources that bring no image; objects of exempt namespaces;
// kinds that run no images; objects that are being deleted, which only lose their finalizers; and updates that bring
// no image that was not at the same place before. The last is so that a cluster in which evidence was lost or a policy
// has become stricter can still label, scale and tidy up: what it starts anew is judged when its pod is created.
// Objects with zero replicas are judged as any other: they can be scaled without another image.
func (g *Gate) scope(r *Request) (*Workload, []Image, *Answer) {
	switch {
	case r.Operation != Create && r.Operation != Update:
		return nil, nil, let("the operation " + r.Operation + " brings no image")
	case !slices.Contains(subresources, r.Subresource):
		return nil, nil, let("the subresource " + r.Subresource + " brings no image")
	case g.Exempts(r.Namespace):
		return nil, nil, let("the namespace is exempt")
	}
	w, err := Extract(r.Object, g.o.Kinds...)
	if err != nil {
		return nil, nil, &Answer{Code: seaworthy.CodeOf(err), Message: clip(console.Escape("[seaworthy] the object cannot be judged: " + err.Error()))}
	}
	if !w.Known {
		return nil, nil, let("the kind " + w.Kind + " runs no images")
	}
	if w.Deleting {
		return nil, nil, let("it is being deleted")
	}
	images := w.Images
	if r.Operation == Update && len(r.OldObject) > 0 {
		before, err := Extract(r.OldObject, g.o.Kinds...)
		if err == nil && before.Known {
			images = w.Changed(before)
		}
		if len(images) == 0 {
			return nil, nil, let("it brings no image that was not there before")
		}
	}
	return w, images, nil
}

// Exempts reports whether everything in a namespace is let through.
func (g *Gate) Exempts(namespace string) bool {
	if namespace == "" {
		return false
	}
	return namespace == g.o.Own || slices.ContainsFunc(g.o.Exempt, func(glob string) bool {
		ok, err := path.Match(glob, namespace)
		return ok && err == nil
	})
}

// asker is whose credentials the images of an object are pulled with.
func asker(r *Request, w *Workload) Asker {
	return Asker{Namespace: r.Namespace, ServiceAccount: w.ServiceAccount, PullSecrets: w.PullSecrets}
}

// Mutate answers the mutating phase: images that a policy binds are pinned to the digest their tag stands for now. It
// refuses nothing, since what it could not pin is refused when it is validated, with the reason.
func (g *Gate) Mutate(ctx context.Context, r *Request) (*Answer, error) {
	w, images, answer := g.scope(r)
	if answer != nil {
		if !answer.Allowed { // validation says so
			return let("it cannot be read"), nil
		}
		return answer, nil
	}
	world := g.world.Load()
	if world == nil {
		return nil, g.Ready()
	}
	pins := make([]string, len(images))
	g.each(ctx, images, func(ctx context.Context, i int) {
		pins[i], _ = g.pin(ctx, world, images[i].Image, asker(r, w), r.NamespaceLabels, workloadOf(r, w)) // why not is told by Validate, which asks again
	})
	out := &Answer{Allowed: true}
	for i, pinned := range pins {
		if pinned != "" && pinned != images[i].Image {
			out.Patch = append(out.Patch, PatchOperation{"replace", images[i].Path, pinned})
		}
	}
	if len(out.Patch) > 0 {
		out.Audit = map[string]string{"pinned": fmt.Sprint(len(out.Patch))}
	}
	return out, nil
}

// Validate answers the validating phase: every image must be named by its digest, and every policy that binds it must
// let that digest pass.
func (g *Gate) Validate(ctx context.Context, r *Request) (*Answer, error) {
	w, images, answer := g.scope(r)
	if answer != nil {
		return answer, nil
	}
	if err := g.Ready(); err != nil {
		return nil, err
	}
	verdicts := make([]seaworthy.Verdict, len(images))
	failed := make([]error, len(images))
	wl := workloadOf(r, w)
	g.each(ctx, images, func(ctx context.Context, i int) {
		verdicts[i], failed[i] = g.Judge(ctx, Question{
			Image: images[i].Image, Asker: asker(r, w), NamespaceLabels: r.NamespaceLabels, Workload: wl, Pinned: true, Unrecorded: r.DryRun,
		})
	})
	for _, err := range failed {
		if err != nil {
			return nil, err
		}
	}
	return conclude(images, verdicts), nil
}

// each judges images beside each other; the same image is asked about once anyway.
func (g *Gate) each(ctx context.Context, images []Image, f func(ctx context.Context, i int)) {
	group := new(errgroup.Group)
	group.SetLimit(16)
	for i := range images {
		group.Go(func() error { f(ctx, i); return nil })
	}
	_ = group.Wait() // f has no error
}

// Pin is an image with the digest that its tag stands for now. One that names a digest, or that no policy binds, is
// given back as it is. Errors: Usage, Unavailable before Use, and those of the registry.
func (g *Gate) Pin(ctx context.Context, image string, who Asker) (string, error) {
	world := g.world.Load()
	if world == nil {
		return "", g.Ready()
	}
	pinned, err := g.pin(ctx, world, image, who, nil, nil)
	if err == nil && pinned == "" {
		pinned = image
	}
	return pinned, err
}

// workloadOf is an object as policies see it.
func workloadOf(r *Request, w *Workload) *policy.Workload {
	return &policy.Workload{Group: r.Group, Version: r.Version, Resource: r.Resource, Kind: w.Kind, Name: w.Name, Labels: w.Labels, Object: w.Object}
}

// conclude makes one answer of the verdicts about images.
func conclude(images []Image, verdicts []seaworthy.Verdict) *Answer {
	out := &Answer{Allowed: true, Audit: map[string]string{}, Verdicts: verdicts, Images: images}
	var messages []string
	for i := range verdicts {
		v := &verdicts[i]
		at := images[i].Field + "." + images[i].Name
		if !v.Allowed {
			out.Allowed, out.Code = false, seaworthy.Refused
			if m := Message(v); !slices.Contains(messages, m) {
				messages = append(messages, m)
			}
		}
		out.Audit[auditName(at)] = verdictWord(v) + " " + clip(v.Image)
		for _, warning := range v.Warnings {
			text := console.Escape(fmt.Sprintf("[seaworthy] image %s: %s", v.Image, warning))
			if len(text) > maxWarning {
				text = strings.ToValidUTF8(text[:maxWarning], "") + "…"
			}
			if len(out.Warnings) < maxWarnings && !slices.Contains(out.Warnings, text) {
				out.Warnings = append(out.Warnings, text)
			}
		}
	}
	out.Message = clip(strings.Join(messages, "\n"))
	return out
}

// auditName is a key that audit annotations may have: a qualified name (apimachinery, IsQualifiedName).
func auditName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '-'
	}, s)
	return strings.Trim(s[:min(len(s), 63)], ".-_")
}

func verdictWord(v *seaworthy.Verdict) string {
	switch {
	case !v.Allowed:
		return "refused"
	case len(v.Warnings) > 0:
		return "warned"
	}
	return "admitted"
}

// pin is an image with the digest that its tag stands for; "" for one that needs no pin.
func (g *Gate) pin(ctx context.Context, world *world, image string, who Asker, labels map[string]string, w *policy.Workload) (string, error) {
	ref, img, err := asked(image, who.Namespace, labels, w)
	if err != nil || ref.Digest != "" || len(world.set.Bound(img)) == 0 {
		return "", err
	}
	place, class, err := g.o.Registries.Open(ctx, ref, who)
	if err != nil {
		return "", err
	}
	digest, err := g.resolve(ctx, place, ref, class)
	if err != nil {
		return "", err
	}
	return Pinned(image, digest), nil
}

// Deadline is when to answer a request that its asker gives up on after timeout: a little before. A timeout of 0 is
// Kubernetes' own, 10 seconds.
func Deadline(now time.Time, timeout time.Duration) time.Time {
	if timeout <= 0 {
		timeout = 10 * time.Second
	}
	return now.Add(timeout - min(timeout/5, 500*time.Millisecond))
}
