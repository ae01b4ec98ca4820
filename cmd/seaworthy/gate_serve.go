package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/serve/hook"
	"github.com/seaworthy-dev/seaworthy/store/keys"
	"github.com/seaworthy-dev/seaworthy/trust/root"
)

// gateServeFlags are what "gate serve" is told beside what every judging verb is.
type gateServeFlags struct {
	*gateFlags
	addr, dir, cert, key string
	names                []string
	plainHTTP            bool
	exempt               []string
	own                  string
	drain, every         time.Duration
	record               storeFlags
	kube                 gateKubeFlags
}

func newGateServe(a *app) *cobra.Command {
	o := gateServeFlags{}
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Stand at a cluster's door",
		Long: `Serve answers a cluster's admission webhooks, and Gatekeeper's requests for external data as Ratify answers them, until
it is interrupted:

    /mutate     pins images: a tag is resolved once, and replaced by tag@digest
    /validate   refuses what the policies do not let pass, and what is not pinned
    /ratify/gatekeeper/v1/verify, /ratify/gatekeeper/v1/mutate
    /livez, /readyz, /metrics, and, for this machine, /api/gate/v1/{policies,decisions,fleet}

Policies are the files of a folder. When they change they are read again; what is not sound is told, and the last that
was sound stays in force. It is ready when policies and the trusted root are loaded.

With --kube policies are objects of the cluster, and the gate registers itself when it has read them all and answers;
"seaworthy gate manifests" writes what it needs there. Its certificate is then kept in a secret, so that several can
stand at the same door.

The certificate is made by an authority of the gate's own, which is kept in --dir and printed as caBundle for the
webhook's configuration; it is renewed by itself. --tls-cert and --tls-key name another, which is read again when it
changes.

Images in exempt namespaces (kube-system, and the gate's own) are never judged, so that a mistake cannot lock the cluster
out. Updates that bring no new image are let through; what they start is judged when its pod is made.`,
		Example: "  seaworthy gate serve --policy-dir policies --addr 127.0.0.1:8443\n" +
			"  seaworthy gate serve --policy-dir /etc/seaworthy/policies --addr :8443 --tls-name gate.seaworthy-system.svc --own-namespace seaworthy-system\n" +
			"  seaworthy gate serve --kube --kubeconfig ~/.kube/config --namespace seaworthy-system --addr 127.0.0.1:8443",
		Args: takes("seaworthy gate serve --policy-dir policies"),
	}
	o.gateFlags = a.gateFlags(cmd, false)
	f := cmd.Flags()
	f.StringVar(&o.addr, "addr", "127.0.0.1:8443", "address to listen at; port 0 takes any that is free")
	f.StringVar(&o.dir, "dir", "", "folder for the gate's own certificate authority (default gate, in the data folder)")
	f.StringVar(&o.cert, "tls-cert", "", "PEM file of the certificate to serve with, instead of one of the gate's own")
	f.StringVar(&o.key, "tls-key", "", "PEM file of its key")
	f.StringArrayVar(&o.names, "tls-name", nil, "name or address by which the cluster calls the gate; may be repeated (default: localhost and --addr)")
	f.BoolVar(&o.plainHTTP, "plain-http", false, "serve without TLS, at loopback addresses only")
	f.StringArrayVar(&o.exempt, "exempt-namespace", []string{"kube-system"}, "namespace in which everything is let through; * matches any part; may be repeated")
	f.StringVar(&o.own, "own-namespace", "", "the namespace that the gate runs in, which is exempt too")
	f.StringVar(&o.record.store, "store", "", "graph that decisions are kept in: a folder, postgres://…, or http(s)://… of seaworthy up (default: none)")
	f.StringVar(&o.record.tokenFile, "token-file", "", "file with the token for a graph at an address that asks for one")
	f.DurationVar(&o.every, "look-every", gateLookEvery, "how often to look whether policies or the trusted root changed")
	f.DurationVar(&o.drain, "drain", 30*time.Second, "how long requests under way may take to finish when stopping")
	o.kube.add(cmd)
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	cmd.MarkFlagsMutuallyExclusive("plain-http", "tls-cert")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.serveGate(cmd.Context(), &o) }
	return cmd
}

// A gateFeed is where a gate has from what it judges by, and how it is reached: a folder, or a cluster.
type gateFeed struct {
	// registries opens repositories with the credentials of whoever asks.
	registries admit.Registries
	// namespaceLabels may be nil.
	namespaceLabels func(ctx context.Context, namespace string) map[string]string
	// certificate is what to serve with; nil: plain HTTP.
	certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
	// caBundle is what the cluster must believe, in PEM; nil when that is another's business.
	caBundle []byte
	// handlers are served beside the gate's own, by pattern of http.ServeMux.
	handlers map[string]http.Handler
	// ready says what else must be there before the gate is ready; nil: nothing.
	ready func() error
	// run tells use of policies and trusted roots as they change, until ctx ends. The first are told before it is called.
	run func(ctx context.Context, use func(*policy.Set, *root.Root))
	// first is what is there to begin with; nil when run will tell.
	first *admit.Loaded
	// listening is told where the gate listens, once it does; it may be nil.
	listening func(net.Addr)
	close     func()
}

// feed is the folder of --policy-dir, or the cluster of --kube.
func (o *gateServeFlags) feed(ctx context.Context, log *slog.Logger) (*gateFeed, error) {
	if o.kube.on {
		return o.kubeFeed(ctx, log)
	}
	return o.folderFeed(log)
}

// folderFeed is the feed of a gate whose policies are in a folder.
func (o *gateServeFlags) folderFeed(log *slog.Logger) (*gateFeed, error) {
	folder, err := o.folder()
	if err != nil {
		return nil, err
	}
	loaded, err := folder.Load()
	if err != nil {
		return nil, err
	}
	for _, m := range loaded.Mistakes {
		o.app.warn("%s", m.Error())
	}
	client, err := o.client()
	if err != nil {
		return nil, err
	}
	feed := &gateFeed{registries: admit.OneClient{Client: client}, first: loaded, close: client.Close}
	feed.run = func(ctx context.Context, use func(*policy.Set, *root.Root)) {
		folder.Watch(ctx, o.every, gateTold(log, use))
	}
	if feed.certificate, feed.caBundle, err = o.certificates(); err != nil {
		client.Close()
		return nil, err
	}
	return feed, nil
}

// gateTold has policies that changed used when they are sound, and says so when they are not.
func gateTold(log *slog.Logger, use func(*policy.Set, *root.Root)) func(*admit.Loaded, error) {
	return func(l *admit.Loaded, err error) {
		if err != nil {
			log.Error("the policies changed, and are not sound: the last that were stay in force", "err", err)
			return
		}
		for _, m := range l.Mistakes {
			log.Warn("a policy may not do what it should", "mistake", m.Error())
		}
		use(l.Set, l.Root)
		log.Info("the policies changed, and are in force", "policies", len(l.Set.Policies()), "generation", l.Set.Generation())
	}
}

// certificates are what to serve with: of files, or of the gate's own authority; nil with --plain-http.
func (o *gateServeFlags) certificates() (func(*tls.ClientHelloInfo) (*tls.Certificate, error), []byte, error) {
	host, _, err := net.SplitHostPort(o.addr)
	if err != nil {
		return nil, nil, seaworthy.Errorf(seaworthy.Usage, "listening at %q: %w", o.addr, err).WithHint("an address looks like 127.0.0.1:8443")
	}
	switch {
	case o.plainHTTP && !registry.IsLoopback(host):
		return nil, nil, seaworthy.Errorf(seaworthy.Forbidden, "listening at %q without TLS: what is admitted would be decided by whoever is on the way", o.addr).
			WithHint("leave --plain-http out, or listen at 127.0.0.1")
	case o.plainHTTP:
		return nil, nil, nil
	case o.cert != "":
		f := &fileCertificate{cert: o.cert, key: o.key}
		_, err := f.get(nil)
		return f.get, nil, err
	}
	dir := o.dir
	if dir == "" {
		data, err := o.app.dataDir()
		if err != nil {
			return nil, nil, err
		}
		dir = filepath.Join(data, "gate")
	}
	kept, err := keys.Open(filepath.Join(dir, "keys"), nil)
	if err != nil {
		return nil, nil, err
	}
	names := slices.Clone(o.names)
	if len(names) == 0 {
		names = []string{"localhost", "127.0.0.1", "::1"}
		if ip := net.ParseIP(host); host != "" && !slices.Contains(names, host) && (ip == nil || !ip.IsUnspecified()) {
			names = append(names, host)
		}
	}
	certs, err := openGateCertificates(kept, names, time.Now)
	if err != nil {
		return nil, nil, err
	}
	return certs.Get, certs.Bundle(), nil
}

// fileCertificate is a certificate in files, read again when they change.
type fileCertificate struct {
	cert, key string
	seen      atomic.Pointer[seenCertificate]
}

type seenCertificate struct {
	at   [2]time.Time
	pair *tls.Certificate
}

func (f *fileCertificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	before := f.seen.Load()
	var at [2]time.Time
	for i, name := range []string{f.cert, f.key} {
		if info, err := os.Stat(name); err == nil {
			at[i] = info.ModTime()
		}
	}
	if before != nil && before.at == at {
		return before.pair, nil
	}
	pair, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		if before != nil {
			return before.pair, nil // it is being replaced
		}
		return nil, seaworthy.Wrap(err, seaworthy.Usage, "reading the certificate %q", f.cert)
	}
	f.seen.Store(&seenCertificate{at, &pair})
	return &pair, nil
}

// gateServer is a gate with everything that it needs to be served.
type gateServer struct {
	gate *admit.Gate
	hook *hook.Handler
	mux  *http.ServeMux

	stop    context.CancelFunc
	running sync.WaitGroup
	close   func()
}

// openGateServer makes a gate from a feed. recorder may be nil.
func (o *gateServeFlags) openGateServer(ctx context.Context, feed *gateFeed, recorder admit.Recorder, log *slog.Logger) (*gateServer, error) {
	advisories, closeAdvisories, err := o.openAdvisories()
	if err != nil {
		return nil, err
	}
	s := &gateServer{mux: http.NewServeMux(), close: closeAdvisories}
	s.gate = admit.New(admit.Options{
		Registries: feed.registries, Advisories: advisories, Exempt: o.exempt, Own: o.own, Recorder: recorder, Log: log,
	})
	s.hook = hook.New(s.gate, hook.Options{NamespaceLabels: feed.namespaceLabels, Ready: feed.ready, Log: log})
	s.mux.Handle("/", s.hook)
	for pattern, h := range feed.handlers {
		s.mux.Handle(pattern, h)
	}
	if feed.first != nil {
		s.gate.Use(feed.first.Set, feed.first.Root)
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stop = stop
	if feed.run != nil {
		s.running.Go(func() { feed.run(running, s.gate.Use) })
	}
	s.running.Go(func() { o.watchAdvisories(running, s, log) })
	return s, nil
}

// watchAdvisories opens the advisory database again when another one is in its place, until ctx ends. Those before are
// closed with the gate.
func (o *gateServeFlags) watchAdvisories(ctx context.Context, s *gateServer, log *slog.Logger) {
	path, err := o.app.databasePath(o.advisories)
	if err != nil {
		return // without a home there is no usual place
	}
	seen, _ := os.Stat(path)
	tick := time.NewTicker(o.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, err := os.Stat(path)
		if err != nil || seen != nil && os.SameFile(seen, now) && seen.ModTime().Equal(now.ModTime()) {
			continue
		}
		seen = now
		advisories, closeAdvisories, err := o.openAdvisories()
		if err != nil || advisories == nil {
			log.Error("the advisories changed, and cannot be opened: the last stay in force", "err", err)
			continue
		}
		before := s.close
		s.close = func() { closeAdvisories(); before() }
		s.gate.UseAdvisories(advisories)
		log.Info("the advisories changed, and are in force", "records", advisories.DB.Records())
	}
}

// shut ends everything but the HTTP server.
func (s *gateServer) shut() {
	s.stop()
	s.running.Wait()
	s.gate.Close()
	s.close()
}

// serveGate serves a gate until ctx ends.
func (a *app) serveGate(ctx context.Context, o *gateServeFlags) (err error) {
	log := a.serverLog()
	// A server's garbage is short-lived: collecting less often costs little memory, and answers are quicker.
	if a.getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(200))
	}
	feed, err := o.feed(ctx, log)
	if err != nil {
		return err
	}
	defer feed.close()
	recorder, closeRecorder, err := a.openRecorder(ctx, o.record)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeRecorder()) }()
	s, err := o.openGateServer(ctx, feed, recorder, log)
	if err != nil {
		return err
	}
	defer s.shut()
	server := s.hook.Server()
	server.Handler = s.mux
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	if feed.certificate != nil {
		server.TLSConfig = &tls.Config{GetCertificate: feed.certificate, MinVersion: tls.VersionTLS12}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Unavailable, "listening at %q", o.addr)
	}
	failed := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			failed <- server.ServeTLS(l, "", "")
		} else {
			failed <- server.Serve(l)
		}
	}()
	if feed.listening != nil {
		feed.listening(l.Addr())
	}
	scheme := "https"
	if server.TLSConfig == nil {
		scheme = "http"
	}
	fmt.Fprintf(a.stdout, "%s://%s\n", scheme, l.Addr())
	if feed.caBundle != nil {
		fmt.Fprintf(a.stdout, "caBundle: %s\n", base64.StdEncoding.EncodeToString(feed.caBundle))
	}
	if feed.first != nil {
		a.note("the gate is at %s://%s, with %d policies", scheme, l.Addr(), len(s.gate.Policies()))
	} else {
		a.note("the gate is at %s://%s", scheme, l.Addr())
	}
	select {
	case err = <-failed:
		err = seaworthy.Wrap(err, seaworthy.Unavailable, "serving at %s", l.Addr())
	case <-ctx.Done():
	}
	s.hook.Leave()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.drain)
	defer cancel()
	if server.Shutdown(end) != nil {
		server.Close()
		err = errors.Join(err, seaworthy.Errorf(seaworthy.Interrupted, "stopping: requests were still under way after %s, and were broken off", o.drain))
	}
	return err
}
