package main

import (
	"context"
	"log/slog"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/kube"
	"github.com/seaworthy-dev/seaworthy/source/oci"
)

// Limits of what is remembered of pull secrets.
const (
	loginTime  = 30 * time.Second // until pull secrets are read again
	maxLogins  = 5000             // askers
	maxClients = 200              // different credentials
)

// kubeRegistries opens repositories for a gate in a cluster.
func (g *gateFlags) kubeRegistries(k *clusterFlags, cluster *kube.Cluster, log *slog.Logger) (admit.Registries, func(), error) {
	client, err := g.client()
	if err != nil {
		return nil, nil, err
	}
	if !k.pullSecrets {
		return admit.OneClient{Client: client}, client.Close, nil
	}
	r := &pullRegistries{
		logins: cluster.PullLogins, own: client, log: log,
		byAsker: map[string]askerLogins{}, byClass: map[string]*oci.Client{},
	}
	r.open = func(k authn.Keychain) (*oci.Client, error) {
		o, err := g.remote.options(g.app)
		if err != nil {
			return nil, err
		}
		o.Retries, o.MaxWait, o.IdleTimeout, o.Keychain = gateRetries, 2*time.Second, 15*time.Second, k
		return oci.NewClient(o)
	}
	return r, r.close, nil
}

// pullRegistries are registries that are asked with the pull secrets of whoever wants to run an image and, where those
// say nothing, with the gate's own credentials.
type pullRegistries struct {
	logins func(ctx context.Context, namespace, serviceAccount string, names []string) (kube.Logins, error)
	open   func(authn.Keychain) (*oci.Client, error)
	own    *oci.Client
	log    *slog.Logger

	mu      sync.Mutex // guards what follows
	byAsker map[string]askerLogins
	byClass map[string]*oci.Client
}

type askerLogins struct {
	kube.Logins
	until time.Time
}

// Open implements admit.Registries.
func (r *pullRegistries) Open(ctx context.Context, ref oci.Reference, who admit.Asker) (oci.Place, string, error) {
	client, class, err := r.client(ctx, who)
	if err != nil {
		return nil, "", err
	}
	return &oci.Repository{Client: client, Ref: ref}, class, nil
}

func (r *pullRegistries) client(ctx context.Context, who admit.Asker) (*oci.Client, string, error) {
	if who.Namespace == "" {
		return r.own, "", nil
	}
	logins, err := r.loginsOf(ctx, who)
	if err != nil {
		return nil, "", seaworthy.Wrap(err, seaworthy.Unavailable, "reading the pull secrets of namespace %q", who.Namespace)
	}
	if logins.Class == "" {
		return r.own, "", nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.byClass[logins.Class]; ok {
		return c, logins.Class, nil
	}
	c, err := r.open(authn.NewMultiKeychain(pullKeychain(logins.ByRegistry), authn.DefaultKeychain))
	if err != nil {
		return nil, "", err
	}
	if len(r.byClass) >= maxClients { // any: all come back when they are asked for
		for class := range r.byClass {
			delete(r.byClass, class)
			break
		}
	}
	r.byClass[logins.Class] = c
	return c, logins.Class, nil
}

func (r *pullRegistries) loginsOf(ctx context.Context, who admit.Asker) (kube.Logins, error) {
	key := strings.Join(append([]string{who.Namespace, who.ServiceAccount}, who.PullSecrets...), "\x00")
	r.mu.Lock()
	known, ok := r.byAsker[key]
	r.mu.Unlock()
	if ok && time.Now().Before(known.until) {
		return known.Logins, nil
	}
	logins, err := r.logins(ctx, who.Namespace, who.ServiceAccount, who.PullSecrets)
	if err != nil {
		if ok { // the cluster does not answer: what it said before is likely still so
			return known.Logins, nil
		}
		return logins, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.byAsker) >= maxLogins {
		clear(r.byAsker)
	}
	r.byAsker[key] = askerLogins{logins, time.Now().Add(loginTime)}
	return logins, nil
}

func (r *pullRegistries) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.byClass {
		c.Close()
	}
	r.own.Close()
}

// pullKeychain finds the login for a registry as the kubelet does: by host, which may have * in its parts, and by the
// beginning of the path, the longest first.
type pullKeychain map[string]kube.Login

// Resolve implements authn.Keychain.
func (k pullKeychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	host, repository := r.RegistryStr(), strings.TrimPrefix(r.String(), r.RegistryStr()+"/")
	best, length := authn.Anonymous, -1
	for name, l := range k {
		if n := matches(name, host, repository); n > length {
			length = n
			best = authn.FromConfig(authn.AuthConfig{Username: l.Username, Password: l.Password, IdentityToken: l.Identity})
		}
	}
	return best, nil
}

// matches says how well the name of a registry in a pull secret fits: the length of the path that does, or -1.
func matches(name, host, repository string) int {
	_, rest, ok := strings.Cut(name, "://")
	if !ok {
		rest = name
	}
	at, prefix, _ := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	if prefix == "v1" || prefix == "v2" { // Docker's own names for its API
		prefix = ""
	}
	docker := []string{"docker.io", "index.docker.io", "registry-1.docker.io"}
	if slices.Contains(docker, at) && slices.Contains(docker, host) {
		at = host
	}
	if strings.Count(at, ".") != strings.Count(host, ".") {
		return -1
	}
	if ok, err := path.Match(at, host); err != nil || !ok {
		return -1
	}
	if prefix != "" && repository != prefix && !strings.HasPrefix(repository, prefix+"/") {
		return -1
	}
	return len(prefix)
}
