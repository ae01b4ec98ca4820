package kube

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/seaworthy-dev/seaworthy"
)

// How fast the API server is asked at most: a burst is what starting takes.
const (
	requestsPerSecond = 50
	requestsAtOnce    = 100
)

// answerTime is how long one request to the API server may take; watches end by themselves.
const answerTime = 30 * time.Second

// namespaceFile is where a pod finds the name of its own namespace.
const namespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// ConnectOptions say which cluster, and as whom.
type ConnectOptions struct {
	// Kubeconfig is a file. Without one it is, as for kubectl, what KUBECONFIG names, else ~/.kube/config, and inside
	// a pod its service account.
	Kubeconfig string
	// Context is one of the file's; "" is its current one.
	Context string
	// Agent is how the program calls itself to the API server.
	Agent string
}

// Cluster is a connection to an API server. It is safe for many users at once.
type Cluster struct {
	dynamic dynamic.Interface
	// Host is the address of the API server.
	Host string
	// Namespace is that of the context or, in a pod, its own; "default" when none is said.
	Namespace string
}

// Connect prepares to speak with a cluster; it does not speak yet. Errors: Usage when there is no configuration or it
// is not sound.
func Connect(o ConnectOptions) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = o.Kubeconfig
	loaded := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: o.Context})
	config, err := loaded.ClientConfig()
	if err != nil {
		e := seaworthy.Errorf(seaworthy.Usage, "finding the cluster: %s", oneLine(err.Error()))
		return nil, e.WithHint("name a kubeconfig with --kubeconfig or KUBECONFIG; kubectl config view shows the one in use")
	}
	namespace, _, err := loaded.Namespace()
	if own, readErr := os.ReadFile(namespaceFile); readErr == nil && o.Kubeconfig == "" && os.Getenv("KUBECONFIG") == "" {
		namespace, err = strings.TrimSpace(string(own)), nil
	}
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Usage, "finding the namespace: %s", oneLine(err.Error()))
	}
	return connect(config, namespace, o.Agent)
}

func connect(config *rest.Config, namespace, agent string) (*Cluster, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = requestsPerSecond, requestsAtOnce
	config.UserAgent = agent
	config.WarningHandlerWithContext = rest.NoWarnings{} // deprecations of the objects that are looked at, which are not ours
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Usage, "connecting to %q", config.Host)
	}
	return &Cluster{dynamic: client, Host: config.Host, Namespace: namespace}, nil
}

// served returns the version of a kind to read: the first that the API server serves. Errors: NotFound when it serves
// none, and those of answered.
func (c *Cluster) served(ctx context.Context, k Kind) (schema.GroupVersionResource, error) {
	for _, version := range k.Versions {
		r := schema.GroupVersionResource{Group: k.Group, Version: version, Resource: k.Resource}
		asked, cancel := context.WithTimeout(ctx, answerTime)
		_, err := c.dynamic.Resource(r).List(asked, metav1.ListOptions{Limit: 1})
		cancel()
		if err == nil {
			return r, nil
		}
		if !apierrors.IsNotFound(err) {
			return r, answered(err, "listing %s", k.Resource)
		}
	}
	e := seaworthy.Errorf(seaworthy.NotFound, "the cluster does not know %s (%s)", k.Name, k.Group)
	return schema.GroupVersionResource{}, e.WithHint("seaworthy gate manifests --only crds | kubectl apply --server-side -f -")
}

// oneLine is what client-go says, which may be several lines, as one.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// answered says what the API server's error means. Codes: NotFound, Unauthorized, Forbidden, Conflict, Invalid, and
// Unavailable for all else.
func answered(err error, doing string, args ...any) error {
	code := seaworthy.Unavailable
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		code = seaworthy.NotFound
	case apierrors.IsUnauthorized(err):
		code = seaworthy.Unauthorized
	case apierrors.IsForbidden(err):
		return &seaworthy.Error{
			Code: seaworthy.Forbidden, Doing: fmt.Sprintf(doing, args...), Err: err,
			Hint: "it takes the rights that seaworthy gate manifests writes for the gate, or an administrator's",
		}
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		code = seaworthy.Conflict
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err):
		code = seaworthy.Invalid
	case errors.Is(err, context.Canceled):
		code = seaworthy.Interrupted
	}
	return seaworthy.Wrap(err, code, doing, args...)
}
