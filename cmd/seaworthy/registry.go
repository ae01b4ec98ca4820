package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/internal/console"
	"github.com/seaworthy-dev/seaworthy/serve/oci"
	"github.com/seaworthy-dev/seaworthy/store/blob"
	"github.com/seaworthy-dev/seaworthy/store/repo"
)

func newRegistry(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "A registry for images and what is said about them",
		Long: `Registry is a container registry with everything of the OCI distribution specification 1.1: images, artifacts, and
the list of what refers to an image. It keeps everything in one folder.`,
		GroupID: keepGroup,
		Args:    noSuchVerb,
		RunE:    needsVerb,
	}
	cmd.AddCommand(newRegistryServe(a), newRegistryGC(a))
	return cmd
}

// registryFlags are what "registry serve" is told.
type registryFlags struct {
	addr, dir, auth, cert, key string
	grace, drain               time.Duration
	untagged, complete         bool
	maxBlob                    int64
}

func newRegistryServe(a *app) *cobra.Command {
	var o registryFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the registry in a folder",
		Long: `Serve serves the registry in a folder, which is made when it is not there, until it is interrupted; requests under
way are then finished.

Without --auth it asks nobody who they are, and so listens at loopback addresses only. The file of --auth says who
may do what:

    users: users.htpasswd          # name:bcrypt lines, as htpasswd -B writes them
    rules:
      - repositories: [team/**]    # * is one part of a name, ** any number of them
        users: [alice, ci]         # "*" is everybody with a password, anonymous is everybody
        actions: [pull, push, delete, mount-from]

/livez, /readyz and /metrics are served beside /v2/.`,
		Example: "  seaworthy registry serve --addr 127.0.0.1:5000 --dir registry\n" +
			"  seaworthy registry serve --addr :443 --dir registry --auth access.yaml --tls-cert cert.pem --tls-key key.pem",
		Args: takes("seaworthy registry serve --dir registry"),
	}
	f := cmd.Flags()
	f.StringVar(&o.addr, "addr", "127.0.0.1:5000", "address to listen at; port 0 takes any that is free")
	f.StringVar(&o.dir, "dir", "", "folder of the registry (default registry, in the data folder)")
	f.StringVar(&o.auth, "auth", "", "file that says who may do what")
	f.StringVar(&o.cert, "tls-cert", "", "PEM file of the certificate to serve with; without it, plain HTTP is spoken")
	f.StringVar(&o.key, "tls-key", "", "PEM file of its key")
	f.DurationVar(&o.grace, "gc-grace", registry.DefaultGrace, "how long what nobody needs is kept")
	f.BoolVar(&o.untagged, "gc-untagged", false, "also delete manifests that no tag, index or kept subject leads to")
	f.BoolVar(&o.complete, "complete", false, "refuse manifests that name blobs or manifests which were not pushed")
	f.Int64Var(&o.maxBlob, "max-blob", blob.DefaultMaxBytes, "largest blob taken, in bytes")
	f.DurationVar(&o.drain, "drain", 30*time.Second, "how long requests under way may take to finish when stopping")
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return a.serveRegistry(cmd.Context(), o) }
	return cmd
}

func (a *app) serveRegistry(ctx context.Context, o registryFlags) error {
	var auth *oci.Auth
	var access *registry.Access
	if o.auth != "" {
		var err error
		if auth, err = oci.OpenAuth(o.auth); err != nil {
			return err
		}
		access = auth.Access
	}
	if err := registry.MayListen(o.addr, access); err != nil {
		return err
	}
	if o.grace <= 0 {
		return seaworthy.Errorf(seaworthy.Usage, "--gc-grace %s: what is being pushed looks like garbage until it is complete, so it must be positive", o.grace)
	}
	level := slog.LevelInfo
	switch {
	case a.quiet:
		level = slog.LevelWarn
	case a.verbose:
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(a.progress, &slog.HandlerOptions{Level: level}))
	r, closeAll, err := a.openRegistry(o.dir, o.maxBlob, registry.Options{Complete: o.complete, Grace: o.grace, Log: log})
	if err != nil {
		return err
	}
	h := oci.New(r, oci.Options{Auth: auth, Log: log})
	server := h.Server()
	if o.cert != "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		if err != nil {
			return errors.Join(seaworthy.Wrap(err, seaworthy.Usage, "reading the certificate %q", o.cert), closeAll())
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return errors.Join(seaworthy.Wrap(err, seaworthy.Unavailable, "listening at %q", o.addr), closeAll())
	}
	if host, _, err := net.SplitHostPort(l.Addr().String()); err == nil && !registry.IsLoopback(host) && o.cert == "" {
		a.warn("passwords and tokens travel unencrypted; give --tls-cert and --tls-key, or put a proxy that encrypts in front")
	}
	var collecting sync.WaitGroup
	collecting.Go(func() {
		r.CollectEvery(ctx, min(max(o.grace/4, time.Minute), 6*time.Hour), registry.CollectOptions{Untagged: o.untagged}, h.Collected)
	})
	a.note("the registry is at %s", l.Addr())
	err = h.Serve(ctx, server, l, o.drain)
	collecting.Wait()
	return errors.Join(err, closeAll())
}

// openRegistry opens the parts of a registry. The function it returns closes them in order.
func (a *app) openRegistry(dir string, maxBlob int64, o registry.Options) (*registry.Registry, func() error, error) {
	if dir == "" {
		data, err := a.dataDir()
		if err != nil {
			return nil, nil, err
		}
		dir = filepath.Join(data, "registry")
	}
	blobs, err := blob.Open(dir, blob.Options{MaxBytes: maxBlob})
	if err != nil {
		return nil, nil, err
	}
	names, err := repo.Open(dir, repo.Options{})
	if err != nil {
		return nil, nil, err
	}
	r := registry.New(blobs, names, o)
	return r, func() error { r.Close(); return names.Close() }, nil
}

func newRegistryGC(a *app) *cobra.Command {
	var (
		dir      string
		grace    time.Duration
		untagged bool
	)
	cmd := &cobra.Command{
		Use:   "gc",
		Short: "Give back the room of what nobody needs",
		Long: `Gc removes what nobody needs from the folder of a registry that is not running: blobs that no manifest uses, and
uploads that nobody finished. A registry that is running does this itself.`,
		Example: "  seaworthy registry gc --dir registry --grace 1h",
		Args:    takes("seaworthy registry gc --dir registry"),
	}
	f := cmd.Flags()
	f.StringVar(&dir, "dir", "", "folder of the registry (default registry, in the data folder)")
	f.DurationVar(&grace, "grace", registry.DefaultGrace, "leave alone what is younger; 0 leaves nothing alone")
	f.BoolVar(&untagged, "untagged", false, "also delete manifests that no tag, index or kept subject leads to")
	out := a.outputFlag(cmd, "text", "json", "yaml")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if _, err := os.Stat(filepath.Join(dir, "index.db")); dir != "" && err != nil {
			return seaworthy.Wrap(err, seaworthy.NotFound, "looking for a registry in %q", dir)
		}
		r, closeAll, err := a.openRegistry(dir, 0, registry.Options{})
		if err != nil {
			return err
		}
		if grace == 0 {
			grace = -1
		}
		c, err := r.Collect(cmd.Context(), registry.CollectOptions{Grace: grace, Untagged: untagged})
		if err = errors.Join(err, closeAll()); err != nil {
			return err
		}
		return out.Write(a.stdout, func(format string, w io.Writer) error {
			switch format {
			case "json":
				return console.JSON(w, c)
			case "yaml":
				return console.YAML(w, c)
			}
			_, err := fmt.Fprintf(w, "%d manifests, %d blobs of %s and %d uploads removed\n", c.Manifests, c.Blobs, console.Size(c.Bytes), c.Uploads)
			return err
		})
	}
	return cmd
}
