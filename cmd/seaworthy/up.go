package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
)

// A role is one of the services that can be served from a data folder.
type role int

// The roles.
const (
	registryRole role = 1 << iota
	caRole            // with its log of certificates
	logRole
	tsaRole
	issuerRole // the development issuer
	graphRole  // with the page
)

// serveFlags are what the verbs that serve are told.
type serveFlags struct {
	addr, dir, url, auth, issuers, highWater string
	cert, key                                string
	drain                                    time.Duration
	once                                     bool
	at                                       string // where it listens indeed, once it does
	graph                                    graphFlags
	gate                                     harbourGateFlags
}

func (o *serveFlags) add(cmd *cobra.Command, addr string) {
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "folder for keys and data, made when it is not there (default up, in the data folder)")
	f.StringVar(&o.addr, "addr", addr, "address to listen at; port 0 takes any that is free")
	f.StringVar(&o.url, "url", "", "address that others reach it at (default http:// or https:// and --addr)")
	f.StringVar(&o.cert, "tls-cert", "", "PEM file of the certificate to serve with; without it, plain HTTP is spoken")
	f.StringVar(&o.key, "tls-key", "", "PEM file of its key")
	f.DurationVar(&o.drain, "drain", 30*time.Second, "how long requests under way may take to finish when stopping")
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
}

func (o *serveFlags) addIssuers(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.issuers, "issuers", "", "file that says whose tokens the CA takes, as Fulcio's configuration")
	f.BoolVar(&o.once, "tokens-once", false, "refuse a token that was used already")
}

func (o *serveFlags) addHighWater(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.highWater, "high-water", "", "file that remembers how far the log was signed; on another disk, it notices when an old backup is put back (default beside the log)")
}

func newUp(a *app) *cobra.Command {
	var o serveFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Registry, CA, log, time stamps, issuer, evidence graph and page, from one folder at one address",
		Long: `Up serves everything that signing needs from one folder at one address, until it is interrupted: a registry, a
certificate authority with its log of certificates, a transparency log, a time-stamping authority and, on loopback
addresses and without --issuers, an issuer of tokens for trying things out. What is missing in the folder is made;
what is there is used again.

With them goes the evidence graph: what is pushed to the registry is taken into it, with all that refers to it, verified
with the authorities above and those of --trusted-root and --key, and joined with --advisories. Its page is at /, its API
at /api/graph/v1/, and seaworthy graph asks it. At loopback addresses it asks nobody who they are; elsewhere it does:

    tokens:                        # the file of --graph-tokens
      - name: ci
        sha256: 2c26b46b68ff…      # of the token: printf %s "$TOKEN" | sha256sum
        scopes: [read, ingest]     # of read, ingest and admin

With --policy-dir the gate is served, too: its webhooks at /mutate and /validate, and what the page shows of policies and
decisions, which are kept in the graph. seaworthy gate serve is the gate alone.

The folder then also has trusted_root.json and signing_config.json, which make cosign and other clients use it; the
lines that do are printed when it is ready.

/livez, /readyz and /metrics say how it is.`,
		Example: "  seaworthy up --dir data --addr 127.0.0.1:8080\n" +
			"  seaworthy up --dir data --addr :443 --url https://sign.example --tls-cert cert.pem --tls-key key.pem --issuers issuers.yaml --auth access.yaml",
		GroupID: trustGroup,
		Args:    takes("seaworthy up --dir data"),
	}
	o.add(cmd, "127.0.0.1:8080")
	o.addIssuers(cmd)
	o.addHighWater(cmd)
	cmd.Flags().StringVar(&o.auth, "auth", "", "file that says who may do what in the registry")
	o.graph.add(cmd)
	o.gate.add(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		roles := registryRole | caRole | logRole | tsaRole | graphRole
		if o.issuers == "" {
			roles |= issuerRole
		}
		return a.serve(cmd.Context(), o, roles)
	}
	return cmd
}

// serve serves roles until ctx ends.
func (a *app) serve(ctx context.Context, o serveFlags, roles role) (err error) {
	start := time.Now()
	if o.dir == "" {
		data, err := a.dataDir()
		if err != nil {
			return err
		}
		o.dir = filepath.Join(data, "up")
	}
	host, _, err := net.SplitHostPort(o.addr)
	if err != nil {
		return seaworthy.Errorf(seaworthy.Usage, "listening at %q: %w", o.addr, err).WithHint("an address looks like 127.0.0.1:8080")
	}
	if roles&issuerRole != 0 && !registry.IsLoopback(host) {
		return seaworthy.Errorf(seaworthy.Forbidden, "listening at %q: the issuer for trying things out believes everybody", o.addr).
			WithHint("name the issuers to trust with --issuers, or listen at 127.0.0.1")
	}
	if err := mayJudge(o, host); err != nil {
		return err
	}
	// A server's garbage is short-lived and what it keeps is small: collecting less often costs little memory.
	if a.getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(400))
	}
	server := &http.Server{
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return seaworthy.Wrap(err, seaworthy.Usage, "reading the certificate %q", o.cert)
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Unavailable, "listening at %q", o.addr)
	}
	defer l.Close()
	base, err := o.base(l.Addr())
	if err != nil {
		return err
	}
	o.at = l.Addr().String()
	h, err := a.openHarbour(ctx, o, roles, base, a.serverLog())
	if err != nil {
		return err
	}
	server.Handler = h
	server.ErrorLog = slog.NewLogLogger(h.log.Handler(), slog.LevelWarn)
	failed := make(chan error, 1)
	go func() {
		if server.TLSConfig != nil {
			failed <- server.ServeTLS(l, "", "")
		} else {
			failed <- server.Serve(l)
		}
	}()
	a.note("ready at %s after %s", base, time.Since(start).Round(time.Millisecond))
	fmt.Fprint(a.stdout, h.lines())
	select {
	case err = <-failed:
		err = seaworthy.Wrap(err, seaworthy.Unavailable, "serving at %s", l.Addr())
	case <-ctx.Done():
	}
	h.leave()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), o.drain)
	defer cancel()
	if server.Shutdown(end) != nil {
		server.Close()
		err = errors.Join(err, seaworthy.Errorf(seaworthy.Interrupted, "stopping: requests were still under way after %s, and were broken off", o.drain))
	}
	return errors.Join(err, h.close(end))
}

// base is the URL that others reach the server at.
func (o *serveFlags) base(at net.Addr) (string, error) {
	if o.url != "" {
		u, err := url.Parse(o.url)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || u.RawQuery != "" {
			return "", seaworthy.Errorf(seaworthy.Usage, "--url %q: not like https://sign.example", o.url)
		}
		return o.url, nil
	}
	host, _, err := net.SplitHostPort(o.addr)
	if ip := net.ParseIP(host); err != nil || host == "" || ip != nil && ip.IsUnspecified() {
		return "", seaworthy.Errorf(seaworthy.Usage, "--addr %q does not say how others reach it", o.addr).
			WithHint("say so with --url https://sign.example")
	}
	_, port, err := net.SplitHostPort(at.String())
	if err != nil {
		return "", seaworthy.Wrap(err, seaworthy.Internal, "reading the address %q", at)
	}
	scheme := "http"
	if o.cert != "" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port), nil
}

// serverLog is the log of what serves.
func (a *app) serverLog() *slog.Logger {
	level := slog.LevelInfo
	switch {
	case a.quiet:
		level = slog.LevelWarn
	case a.verbose:
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(a.progress, &slog.HandlerOptions{Level: level}))
}
