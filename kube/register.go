package kube

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/seaworthy-dev/seaworthy"
)

// DefaultWebhookTimeout is how long the API server waits for the gate.
const DefaultWebhookTimeout = 10 * time.Second

// The labels of namespaces that say whether the gate judges what runs in them.
const (
	IncludeLabel = "policy.sigstore.dev/include" // "true": yes; policy-controller's
	ExemptLabel  = "seaworthy.dev/exempt"        // "true": no
)

// Watch says in which namespaces the gate judges.
type Watch string

// The ways to choose namespaces. Neither reaches kube-system, kube-node-lease, kube-public and the gate's own.
const (
	OptIn  Watch = "opt-in"  // those labelled IncludeLabel; the default
	OptOut Watch = "opt-out" // all but those labelled ExemptLabel
)

// System are the namespaces that the gate never judges, beside its own: a cluster must be able to mend itself.
func System() []string { return []string{"kube-node-lease", "kube-public", "kube-system"} }

// Workload is a kind of resource that runs images, in the words of a webhook's rule.
type Workload struct {
	Group     string
	Versions  []string
	Resources []string
}

// Workloads are the resources that the gate judges, with the subresource through which containers come into pods
// that run.
func Workloads() []Workload {
	return []Workload{
		{"", []string{"v1"}, []string{"pods", "pods/ephemeralcontainers", "podtemplates", "replicationcontrollers"}},
		{"apps", []string{"v1"}, []string{"daemonsets", "deployments", "replicasets", "statefulsets"}},
		{"batch", []string{"v1"}, []string{"cronjobs", "jobs"}},
	}
}

// Registration says what the API server asks, where, and about what.
type Registration struct {
	Name      string // of the two configurations
	Namespace string // the gate's own; it owns the configurations, so that deleting it removes them
	// Service is the name of the service that leads to the gate, and Port its port; or URL is where it is, when it
	// runs outside the cluster.
	Service string
	Port    int
	URL     string // https://host:port, without a path
	// The paths at which the gate answers.
	MutatePath, ValidatePath, PoliciesPath string
	Namespaces                             Watch
	Timeout                                time.Duration // 0: DefaultWebhookTimeout; whole seconds
	// FailOpen admits what the gate does not answer about. Policies are never written without it.
	FailOpen bool
	// More are custom resources that run images.
	More  []Workload
	Log   *slog.Logger // nil: none
	Agent string
}

// Registrar registers the gate with the API server.
type Registrar struct {
	cluster *Cluster
	r       Registration
	told    []byte // the bundle that was registered last
}

var (
	mutatingConfigurations   = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"}
	validatingConfigurations = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}
)

// NewRegistrar prepares a registration. Errors: Usage.
func NewRegistrar(c *Cluster, r Registration) (*Registrar, error) {
	if r.Timeout == 0 {
		r.Timeout = DefaultWebhookTimeout
	}
	if r.Namespaces == "" {
		r.Namespaces = OptIn
	}
	if r.Log == nil {
		r.Log = slog.New(slog.DiscardHandler)
	}
	switch {
	case r.Timeout < time.Second || r.Timeout > 30*time.Second || r.Timeout%time.Second != 0:
		return nil, seaworthy.Errorf(seaworthy.Usage, "a timeout of %s: the API server takes 1 to 30 whole seconds", r.Timeout)
	case r.Namespaces != OptIn && r.Namespaces != OptOut:
		return nil, seaworthy.Errorf(seaworthy.Usage, "namespaces %q: it is %s or %s", r.Namespaces, OptIn, OptOut)
	case (r.Service == "") == (r.URL == ""):
		return nil, seaworthy.Errorf(seaworthy.Usage, "the API server reaches the gate by a service or by an address, one of them")
	}
	return &Registrar{cluster: c, r: r}, nil
}

// Register makes the API server ask the gate, and believe the authorities of bundle (PEM). Call it when the gate
// answers, and again when the bundle changes. When an administrator has deleted a configuration meanwhile it stays
// deleted, until a gate starts anew: that is how a cluster gets rid of the gate in an emergency. It is not for several
// users at once. Errors: those of answered.
func (g *Registrar) Register(ctx context.Context, bundle []byte) error {
	if bytes.Equal(bundle, g.told) {
		return nil
	}
	owner, err := g.owner(ctx)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		kind     string
		resource schema.GroupVersionResource
		webhooks []any
	}{
		// What validates comes first: it refuses what is not pinned, also while nothing pins.
		{"ValidatingWebhookConfiguration", validatingConfigurations, []any{g.webhook("admit", g.r.ValidatePath, bundle), g.policies(bundle)}},
		{"MutatingWebhookConfiguration", mutatingConfigurations, []any{g.pinning(bundle)}},
	} {
		if err := g.apply(ctx, c.kind, c.resource, owner, c.webhooks); err != nil {
			return err
		}
	}
	g.told = bundle
	return nil
}

func (g *Registrar) apply(ctx context.Context, kind string, resource schema.GroupVersionResource, owner map[string]any, webhooks []any) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if g.told != nil {
		_, err := g.cluster.dynamic.Resource(resource).Get(ctx, g.r.Name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			g.r.Log.Warn("somebody deleted the registration; it is not made again before the gate starts anew", "kind", kind, "name", g.r.Name)
			return nil
		}
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind,
		"metadata": map[string]any{
			"name": g.r.Name, "labels": map[string]any{"app.kubernetes.io/name": "seaworthy-gate"}, "ownerReferences": []any{owner},
		},
		"webhooks": webhooks,
	}}
	_, err := g.cluster.dynamic.Resource(resource).Apply(ctx, g.r.Name, u, metav1.ApplyOptions{FieldManager: g.r.Agent, Force: true})
	return answered(err, "registering the gate (%s %q)", kind, g.r.Name)
}

// owner is the namespace of the gate, as the owner of its configurations.
func (g *Registrar) owner(ctx context.Context) (map[string]any, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	u, err := g.cluster.dynamic.Resource(namespaces).Get(ctx, g.r.Namespace, metav1.GetOptions{})
	if err != nil {
		return nil, answered(err, "looking at the namespace %q", g.r.Namespace)
	}
	return map[string]any{"apiVersion": "v1", "kind": "Namespace", "name": u.GetName(), "uid": string(u.GetUID())}, nil
}

func (g *Registrar) client(path string, bundle []byte) map[string]any {
	out := map[string]any{"caBundle": base64.StdEncoding.EncodeToString(bundle)}
	if g.r.URL != "" {
		out["url"] = g.r.URL + path
	} else {
		out["service"] = map[string]any{"namespace": g.r.Namespace, "name": g.r.Service, "path": path, "port": int64(g.r.Port)}
	}
	return out
}

func (g *Registrar) failurePolicy() string {
	if g.r.FailOpen {
		return "Ignore"
	}
	return "Fail"
}

// webhook is one that is asked about workloads.
func (g *Registrar) webhook(name, path string, bundle []byte) map[string]any {
	var rules []any
	for _, w := range append(Workloads(), g.r.More...) {
		rules = append(rules, rule(w.Group, w.Versions, w.Resources, "Namespaced"))
	}
	return map[string]any{
		"name":                    name + ".gate.seaworthy.dev",
		"admissionReviewVersions": []any{"v1"},
		"clientConfig":            g.client(path, bundle),
		"failurePolicy":           g.failurePolicy(),
		"matchPolicy":             "Equivalent",
		"sideEffects":             "NoneOnDryRun", // decisions are kept
		"timeoutSeconds":          int64(g.r.Timeout / time.Second),
		"rules":                   rules,
		"namespaceSelector":       g.selector(),
		"matchConditions":         []any{map[string]any{"name": "something-new-to-run", "expression": somethingNew}},
	}
}

// somethingNew is a CEL expression: an update that leaves the spec as it is brings no image, so that labels, finalizers
// and owners can be changed also while the gate is down. A PodTemplate has no spec.
const somethingNew = `request.operation != "UPDATE" || !has(object.spec) || !has(oldObject.spec) || object.spec != oldObject.spec`

func (g *Registrar) pinning(bundle []byte) map[string]any {
	w := g.webhook("pin", g.r.MutatePath, bundle)
	w["reinvocationPolicy"] = "IfNeeded" // others may add containers after us
	return w
}

// policies is the webhook that is asked about policies themselves. Whoever may delete them can always do so.
func (g *Registrar) policies(bundle []byte) map[string]any {
	var rules []any
	for _, k := range Kinds {
		rules = append(rules, rule(k.Group, k.Versions, []string{k.Resource}, "Cluster"))
	}
	return map[string]any{
		"name":                    "policies.gate.seaworthy.dev",
		"admissionReviewVersions": []any{"v1"},
		"clientConfig":            g.client(g.r.PoliciesPath, bundle),
		"failurePolicy":           "Fail",
		"matchPolicy":             "Equivalent",
		"sideEffects":             "None",
		"timeoutSeconds":          int64(g.r.Timeout / time.Second),
		"rules":                   rules,
	}
}

func rule(group string, versions, resources []string, scope string) map[string]any {
	list := func(of []string) (out []any) {
		for _, s := range of {
			out = append(out, s)
		}
		return out
	}
	return map[string]any{
		"apiGroups": []any{group}, "apiVersions": list(versions), "resources": list(resources),
		"operations": []any{"CREATE", "UPDATE"}, "scope": scope,
	}
}

// selector chooses the namespaces in which the gate judges.
func (g *Registrar) selector() map[string]any {
	var never []any
	for _, name := range append(System(), g.r.Namespace) {
		if !slices.Contains(never, any(name)) {
			never = append(never, name)
		}
	}
	choice := map[string]any{"key": IncludeLabel, "operator": "In", "values": []any{"true"}}
	if g.r.Namespaces == OptOut {
		choice = map[string]any{"key": ExemptLabel, "operator": "NotIn", "values": []any{"true"}}
	}
	return map[string]any{"matchExpressions": []any{
		map[string]any{"key": metav1NameLabel, "operator": "NotIn", "values": never}, choice,
	}}
}

// metav1NameLabel is the label that every namespace has with its own name, which nobody can change.
const metav1NameLabel = "kubernetes.io/metadata.name"

// Hosts are the names by which the API server calls the gate.
func (r *Registration) Hosts() []string {
	if r.Service == "" {
		return nil
	}
	return []string{
		fmt.Sprintf("%s.%s.svc", r.Service, r.Namespace), fmt.Sprintf("%s.%s.svc.cluster.local", r.Service, r.Namespace),
		fmt.Sprintf("%s.%s", r.Service, r.Namespace),
	}
}
