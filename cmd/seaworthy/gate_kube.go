package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/klog/v2"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/kube"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// gateName is what everything is called that the gate makes in a cluster.
const gateName = "seaworthy-gate"

// Where the gate answers about workloads, and about policies.
const (
	mutatePath   = "/mutate"
	validatePath = "/validate"
	policiesPath = "/policies"
)

// clusterFlags say which cluster.
type clusterFlags struct {
	kubeconfig, context string
	pullSecrets         bool
}

func (c *clusterFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&c.kubeconfig, "kubeconfig", "", "file that says how to reach the cluster (default as kubectl, or the pod's service account)")
	f.StringVar(&c.context, "context", "", "context of that file")
	f.BoolVar(&c.pullSecrets, "pull-secrets", false, "ask registries with the pull secrets of whoever wants to run an image")
}

// connect prepares to speak with the cluster, and has client-go talk where everybody does.
func (c *clusterFlags) connect(a *app, log *slog.Logger) (*kube.Cluster, error) {
	klog.SetSlogLogger(slog.New(quieter{log.Handler()}))
	return kube.Connect(kube.ConnectOptions{Kubeconfig: c.kubeconfig, Context: c.context, Agent: "seaworthy/" + a.build.Version})
}

// quieter is client-go's own talk: what matters of it comes back as errors, so that the rest is for --verbose.
type quieter struct{ slog.Handler }

func (q quieter) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}

func (q quieter) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return q.Handler.Handle(ctx, r)
}

func (q quieter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quieter{q.Handler.WithAttrs(attrs)}
}

func (q quieter) WithGroup(name string) slog.Handler { return quieter{q.Handler.WithGroup(name)} }

// gateKubeFlags are what "gate serve --kube" is told.
type gateKubeFlags struct {
	clusterFlags
	on                  bool
	namespace           string
	service, url        string
	port                int
	namespaces, failure string
	timeout, lifetime   time.Duration
}

func (k *gateKubeFlags) add(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&k.on, "kube", false, "have policies from a cluster, and register with it")
	k.clusterFlags.add(cmd)
	f.StringVar(&k.namespace, "namespace", "", "with --kube: the gate's namespace, where policies keep secrets and config maps (default that of the context or pod)")
	f.StringVar(&k.service, "service", "", "with --kube: service that leads to the gate; without it the cluster calls --webhook-url")
	f.IntVar(&k.port, "service-port", 443, "with --kube: port of the service")
	f.StringVar(&k.url, "webhook-url", "", "with --kube: https://host:port by which the cluster calls the gate (default what it listens at)")
	f.StringVar(&k.namespaces, "namespaces", string(kube.OptIn), "with --kube: "+namespacesHelp)
	f.StringVar(&k.failure, "failure-policy", "fail", "with --kube: "+failureHelp)
	f.DurationVar(&k.timeout, "webhook-timeout", kube.DefaultWebhookTimeout, "with --kube: how long the cluster waits for an answer")
	f.DurationVar(&k.lifetime, "tls-lifetime", kube.DefaultLifetime, "with --kube: how long a certificate is good; the next is made when a third of it is left")
	for _, other := range []string{"policy-dir", "tls-cert", "plain-http", "tls-name", "dir"} {
		cmd.MarkFlagsMutuallyExclusive("kube", other)
	}
	cmd.MarkFlagsMutuallyExclusive("service", "webhook-url")
}

// kubeGate is a gate's side of a cluster.
type kubeGate struct {
	o        *gateServeFlags
	log      *slog.Logger
	agent    string
	cluster  *kube.Cluster
	source   *kube.Source
	certs    *kube.Certificates
	failOpen bool
	hosts    []string
	// addr is told where the gate listens.
	addr chan net.Addr
	use  func(*policy.Set, *root.Root) // set by run
	// inUse is closed when the first policies are.
	inUse  chan struct{}
	inOnce sync.Once
}

// kubeFeed is the feed of a gate whose policies are a cluster's objects.
func (o *gateServeFlags) kubeFeed(ctx context.Context, log *slog.Logger) (*gateFeed, error) {
	g := &kubeGate{o: o, log: log, agent: gateName, addr: make(chan net.Addr, 1), inUse: make(chan struct{})}
	var err error
	if g.failOpen, err = failOpen(o.kube.failure); err != nil {
		return nil, err
	}
	if g.hosts, err = o.kubeHosts(); err != nil {
		return nil, err
	}
	if g.cluster, err = o.kube.connect(o.app, log); err != nil {
		return nil, err
	}
	if o.kube.namespace == "" {
		o.kube.namespace = g.cluster.Namespace
	}
	if o.own == "" {
		o.own = o.kube.namespace
	}
	for _, system := range kube.System() {
		if !slices.Contains(o.exempt, system) {
			o.exempt = append(o.exempt, system)
		}
	}
	if _, err := g.registrar(nil); err != nil { // what is wrong with it is told before anything begins
		return nil, err
	}
	options, err := o.options()
	if err != nil {
		return nil, err
	}
	if options.Root, err = o.app.trustedRoot(o.root); err != nil {
		return nil, err
	}
	options.Namespace = o.kube.namespace
	g.source = kube.NewSource(g.cluster, kube.SourceOptions{Policy: options, Use: g.used, Log: log, Agent: g.agent})
	g.certs, err = g.cluster.OpenCertificates(ctx, kube.CertificateOptions{
		Namespace: o.kube.namespace, Secret: gateName + "-tls", Hosts: g.hosts, Lifetime: o.kube.lifetime,
		Settle: min(kube.DefaultSettle, o.kube.lifetime/30), Told: g.told(), Log: log, Agent: g.agent,
	})
	if err != nil {
		return nil, err
	}
	registries, closeRegistries, err := o.kubeRegistries(&o.kube.clusterFlags, g.cluster, log)
	if err != nil {
		return nil, err
	}
	return &gateFeed{
		registries: registries, namespaceLabels: g.source.NamespaceLabels, certificate: g.certs.Get,
		handlers: map[string]http.Handler{policiesPath: g.source}, ready: g.source.Ready, run: g.run, close: closeRegistries,
		listening: func(addr net.Addr) { g.addr <- addr },
	}, nil
}

// kubeHosts are the names by which the cluster calls the gate.
func (o *gateServeFlags) kubeHosts() ([]string, error) {
	if o.kube.service != "" {
		namespace := o.kube.namespace
		if namespace == "" {
			return nil, seaworthy.Errorf(seaworthy.Usage, "--service %s without --namespace", o.kube.service).WithHint("say in which namespace the service is")
		}
		r := kube.Registration{Service: o.kube.service, Namespace: namespace}
		return r.Hosts(), nil
	}
	at := o.addr
	if o.kube.url != "" {
		rest, ok := strings.CutPrefix(o.kube.url, "https://")
		if !ok || strings.Contains(rest, "/") {
			return nil, seaworthy.Errorf(seaworthy.Usage, "--webhook-url %q: not like https://host:port", o.kube.url)
		}
		at = rest
	}
	host, _, err := net.SplitHostPort(at)
	if err != nil && o.kube.url != "" {
		host, err = at, nil // on port 443
	}
	if err != nil || host == "" {
		return nil, seaworthy.Errorf(seaworthy.Usage, "the cluster cannot call the gate at %q", at).
			WithHint("name the service that leads to it with --service, or its address with --webhook-url")
	}
	return []string{host}, nil
}

func (g *kubeGate) registrar(addr net.Addr) (*kube.Registrar, error) {
	k := &g.o.kube
	r := kube.Registration{
		Name: gateName, Namespace: k.namespace, Service: k.service, Port: k.port, URL: k.url,
		MutatePath: mutatePath, ValidatePath: validatePath, PoliciesPath: policiesPath,
		Namespaces: kube.Watch(k.namespaces), Timeout: k.timeout, FailOpen: g.failOpen, Log: g.log, Agent: g.agent,
	}
	if r.Service == "" && r.URL == "" {
		r.URL = "https://" + g.o.addr
		if t, ok := addr.(*net.TCPAddr); ok { // by the name in the certificate
			r.URL = "https://" + net.JoinHostPort(g.hosts[0], fmt.Sprint(t.Port))
		}
	}
	return kube.NewRegistrar(g.cluster, r)
}

// used takes over policies that the source has loaded.
func (g *kubeGate) used(set *policy.Set, trusted *root.Root) {
	g.use(set, trusted)
	g.inOnce.Do(func() { close(g.inUse) })
}

// run follows the cluster's policies and, once the gate judges by them, has it registered and its certificate renewed.
func (g *kubeGate) run(ctx context.Context, use func(*policy.Set, *root.Root)) {
	g.use = use
	var running sync.WaitGroup
	running.Go(func() { g.source.Run(ctx) })
	running.Go(func() { g.followRoot(ctx) })
	defer running.Wait()
	select {
	case <-g.inUse:
	case <-ctx.Done():
		return
	}
	g.certs.Run(ctx)
}

// followRoot looks from time to time whether the file with the trusted root is another.
func (g *kubeGate) followRoot(ctx context.Context) {
	name := g.o.root
	if name == "" {
		var err error
		if name, err = g.o.app.importedRoot(); err != nil {
			return
		}
	}
	look := func() (seen [2]int64) {
		if info, err := os.Stat(name); err == nil {
			seen = [2]int64{info.ModTime().UnixNano(), info.Size()}
		}
		return seen
	}
	tick := time.NewTicker(g.o.every)
	defer tick.Stop()
	for last := look(); ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		now := look()
		if now == last {
			continue
		}
		last = now
		trusted, err := g.o.app.trustedRoot(g.o.root)
		if err != nil {
			g.log.Error("the trusted root changed, and is not sound: the last stays in force", "err", err)
			continue // one that is half written changes again
		}
		g.log.Info("the trusted root changed", "digest", trusted.Digest())
		g.source.Trust(trusted)
	}
}

// told is what the certificates call when the cluster must hear of an authority: it tries the gate as the cluster would,
// and registers it.
func (g *kubeGate) told() func(context.Context, []byte) error {
	var registrar *kube.Registrar
	var addr net.Addr
	var last []byte
	return func(ctx context.Context, bundle []byte) error {
		if registrar == nil {
			select {
			case addr = <-g.addr:
			case <-ctx.Done():
				return ctx.Err()
			}
			var err error
			if registrar, err = g.registrar(addr); err != nil {
				return err
			}
		}
		if bytes.Equal(last, bundle) {
			return nil
		}
		if err := tryGate(ctx, addr, g.hosts[0], bundle); err != nil {
			return seaworthy.Wrap(err, seaworthy.Unavailable, "trying the gate before it is registered")
		}
		if err := registrar.Register(ctx, bundle); err != nil {
			return err
		}
		if last == nil {
			g.log.Info("the gate is registered", "cluster", g.cluster.Host, "namespaces", g.o.kube.namespaces, "failure-policy", g.o.kube.failure)
		}
		last = bytes.Clone(bundle)
		return nil
	}
}

// trial is a review of a pod that runs nothing: whoever answers it is a gate that works.
const trial = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"trial","operation":"CREATE","dryRun":true,` +
	`"kind":{"group":"","version":"v1","kind":"Pod"},"resource":{"group":"","version":"v1","resource":"pods"},"namespace":"seaworthy-trial",` +
	`"object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"trial","namespace":"seaworthy-trial"},"spec":{"containers":[]}}}}`

// tryGate asks a gate as a cluster would that believes the authorities of bundle.
func tryGate(ctx context.Context, addr net.Addr, host string, bundle []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	at := addr.String()
	if t, ok := addr.(*net.TCPAddr); ok && t.IP.IsUnspecified() {
		at = net.JoinHostPort("localhost", fmt.Sprint(t.Port))
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	dialer := &net.Dialer{}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, at)
		},
	}}
	defer client.CloseIdleConnections()
	for _, path := range []string{mutatePath, validatePath, policiesPath} {
		body := trial
		if path == policiesPath {
			body = strings.Replace(trial, `"kind":"Pod","metadata"`, `"kind":"TrustRoot","metadata"`, 1)
			body = strings.Replace(body, "CREATE", "DELETE", 1)
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://"+net.JoinHostPort(host, "443")+path, strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/json")
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
		resp.Body.Close()
		if err != nil {
			return err
		}
		var review struct {
			Response struct {
				UID     string `json:"uid"`
				Allowed bool   `json:"allowed"`
			} `json:"response"`
		}
		if err := json.Unmarshal(answer, &review); err != nil || resp.StatusCode != http.StatusOK || review.Response.UID != "trial" || !review.Response.Allowed {
			return seaworthy.Errorf(seaworthy.Unavailable, "%s answers %s: %.200q", path, resp.Status, answer)
		}
	}
	return nil
}

// kubeJudge is a gate for one run of a verb that looks at a cluster.
type kubeJudge struct {
	*admit.Gate
	cluster *kube.Cluster
	labels  map[string]map[string]string // of namespaces that were asked for
	mu      sync.Mutex                   // guards labels
}

// openKubeJudge makes a gate that judges by --policy-dir or, without it, by the policies in the cluster.
func (g *gateFlags) openKubeJudge(ctx context.Context, k *clusterFlags, namespace string) (*kubeJudge, func(), error) {
	level := slog.LevelWarn
	if g.app.verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(g.app.progress, &slog.HandlerOptions{Level: level}))
	cluster, err := k.connect(g.app, log)
	if err != nil {
		return nil, nil, err
	}
	var loaded *admit.Loaded
	if g.policies != "" {
		folder, err := g.folder()
		if err != nil {
			return nil, nil, err
		}
		if loaded, err = folder.Load(); err != nil {
			return nil, nil, err
		}
	} else if loaded, err = g.clusterPolicies(ctx, cluster, namespace, log); err != nil {
		return nil, nil, err
	}
	for _, m := range loaded.Mistakes {
		g.app.warn("%s", m.Error())
	}
	registries, closeRegistries, err := g.kubeRegistries(k, cluster, log)
	if err != nil {
		return nil, nil, err
	}
	gate, closeGate, err := g.gateOn(loaded, registries, closeRegistries)
	if err != nil {
		return nil, nil, err
	}
	return &kubeJudge{Gate: gate, cluster: cluster, labels: map[string]map[string]string{}}, closeGate, nil
}

// clusterPolicies reads the policies that are in a cluster now.
func (g *gateFlags) clusterPolicies(ctx context.Context, cluster *kube.Cluster, namespace string, log *slog.Logger) (*admit.Loaded, error) {
	options, err := g.options()
	if err != nil {
		return nil, err
	}
	trusted, err := g.app.trustedRoot(g.root)
	if err != nil {
		return nil, err
	}
	options.Root, options.Namespace = trusted, namespace
	got := make(chan *policy.Set, 1)
	source := kube.NewSource(cluster, kube.SourceOptions{Policy: options, Log: log, Use: func(set *policy.Set, _ *root.Root) {
		select {
		case got <- set:
		default: // the first is enough
		}
	}})
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	var running sync.WaitGroup
	running.Go(func() { source.Run(ctx) })
	defer running.Wait()
	defer stop()
	select {
	case set := <-got:
		return &admit.Loaded{Set: set, Root: trusted, Mistakes: source.Mistakes()}, nil
	case <-ctx.Done():
		if err := source.Ready(); err != nil {
			return nil, err
		}
		return nil, seaworthy.Wrap(ctx.Err(), seaworthy.Unavailable, "reading the policies of the cluster")
	}
}

// labelsOf are the labels of a namespace.
func (k *kubeJudge) labelsOf(ctx context.Context, namespace string) (map[string]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if labels, ok := k.labels[namespace]; ok {
		return labels, nil
	}
	labels, err := k.cluster.NamespaceLabels(ctx, namespace)
	if err == nil {
		k.labels[namespace] = labels
	}
	return labels, err
}

// pluginPrefix is what kubectl wants the names of its plugins to begin with.
const pluginPrefix = "kubectl-"

// commandLine is the command line to run: when the program is called kubectl-seaworthy, "explain pod/x" means
// "gate explain --kube pod/x".
func commandLine(argv []string) []string {
	args := argv[1:]
	if !strings.HasPrefix(filepath.Base(argv[0]), pluginPrefix) {
		return args
	}
	if len(args) > 0 && slices.Contains([]string{"explain"}, args[0]) {
		return append([]string{"gate", args[0], "--kube"}, args[1:]...)
	}
	if len(args) > 0 && slices.Contains([]string{"audit", "check", "lint", "test", "serve", "backstop", "manifests"}, args[0]) {
		return append([]string{"gate"}, args...)
	}
	return args
}
