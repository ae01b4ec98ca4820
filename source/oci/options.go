package oci

import (
	"crypto/x509"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/seaworthy-dev/seaworthy"
)

// Defaults and limits. Those with a field in Options can be changed there.
const (
	DefaultMaxManifest = 4 << 20          // 4 MiB: a manifest, index or configuration held in memory
	DefaultMaxLayers   = 10_000           // layers of one image
	DefaultMaxUnpacked = 64 << 30         // 64 GiB: what a compressed archive may unpack to, streamed
	DefaultRetries     = 4                // further attempts after the first
	DefaultIdleTimeout = 60 * time.Second // without one byte
	DefaultMaxWait     = 30 * time.Second // between two attempts, whatever Retry-After says

	// MaxIndexDepth is how many indexes may lie one in another before an image.
	MaxIndexDepth = 8
	// maxIndexes is how many indexes are read to find one image.
	maxIndexes = 64
	// maxIndexEntries is how many descriptors one index may have.
	maxIndexEntries = 10_000
	// maxRedirects is how many times in a row one request may be sent elsewhere.
	maxRedirects = 10
	// smallTimeout bounds one attempt at a manifest, configuration or token as a whole.
	smallTimeout = 2 * time.Minute
)

// Options say how images are found and read. The zero value is what most people want.
type Options struct {
	// Platform is chosen from multi-platform images. Zero: linux on this machine's architecture, and the only
	// platform there is when there is one. A platform that is named must be there.
	Platform Platform
	// Image names one of several images in an archive or layout: a tag, a whole name, or a digest.
	Image string

	// Keychain knows credentials. nil: docker's and podman's configuration files and credential helpers.
	Keychain authn.Keychain
	// PlainHTTP speaks http to the named registry. Without it http is spoken to loopback hosts only.
	PlainHTTP bool
	// CAFile is a PEM file of certificate authorities to trust besides the system's. "": none.
	CAFile string
	// AllowHosts are further hosts the person named: the registry may redirect to them even where they are at
	// private addresses. Host names or addresses without ports.
	AllowHosts []string
	// TokenHosts are token services the registry's credentials may be sent to, wherever they are. Hosts, with
	// port where it is not the scheme's own.
	TokenHosts []string
	// UserAgent names us to registries. "": "seaworthy".
	UserAgent string

	MaxManifest int64         // bytes of a manifest, index or configuration; 0: DefaultMaxManifest
	MaxLayers   int           // 0: DefaultMaxLayers
	MaxUnpacked int64         // bytes a whole compressed archive may unpack to; 0: DefaultMaxUnpacked
	Retries     int           // further attempts after a failure that may pass; 0: DefaultRetries; negative: none
	IdleTimeout time.Duration // longest time without a byte; 0: DefaultIdleTimeout
	MaxWait     time.Duration // longest wait between attempts; 0: DefaultMaxWait
}

// String prints the options without anything secret: of the keychain only whether there is one.
func (o Options) String() string {
	keychain := "default"
	if o.Keychain != nil {
		keychain = "given"
	}
	return fmt.Sprintf("platform=%s image=%q keychain=%s plain-http=%t ca-file=%q allow-hosts=%q token-hosts=%q user-agent=%q "+
		"max-manifest=%d max-layers=%d max-unpacked=%d retries=%d idle-timeout=%s max-wait=%s",
		o.Platform, o.Image, keychain, o.PlainHTTP, o.CAFile, o.AllowHosts, o.TokenHosts, o.UserAgent,
		o.MaxManifest, o.MaxLayers, o.MaxUnpacked, o.Retries, o.IdleTimeout, o.MaxWait)
}

// GoString is String: %#v must not print credentials either.
func (o Options) GoString() string { return "oci.Options{" + o.String() + "}" }

// defaults returns o with every zero replaced. Errors: Usage.
func (o Options) defaults() (Options, error) {
	if o.Keychain == nil {
		o.Keychain = authn.DefaultKeychain
	}
	if o.UserAgent == "" {
		o.UserAgent = "seaworthy"
	}
	setDefault(&o.MaxManifest, DefaultMaxManifest)
	setDefault(&o.MaxLayers, DefaultMaxLayers)
	setDefault(&o.MaxUnpacked, DefaultMaxUnpacked)
	setDefault(&o.IdleTimeout, DefaultIdleTimeout)
	setDefault(&o.MaxWait, DefaultMaxWait)
	switch {
	case o.Retries == 0:
		o.Retries = DefaultRetries
	case o.Retries < 0:
		o.Retries = 0
	}
	if o.MaxManifest < 0 || o.MaxLayers < 0 || o.MaxUnpacked < 0 || o.IdleTimeout < 0 || o.MaxWait < 0 {
		return o, seaworthy.Errorf(seaworthy.Usage, "reading options: a limit is negative")
	}
	if strings.ContainsAny(o.UserAgent, "\r\n") {
		return o, seaworthy.Errorf(seaworthy.Usage, "reading options: user agent %q has a line break", o.UserAgent)
	}
	for _, h := range slices.Concat(o.AllowHosts, o.TokenHosts) {
		if u, err := url.Parse("//" + h); err != nil || u.Host != h || h == "" {
			return o, seaworthy.Errorf(seaworthy.Usage, "reading options: %q is not a host", h)
		}
	}
	return o, nil
}

func setDefault[T int | int64 | time.Duration](v *T, d T) {
	if *v == 0 {
		*v = d
	}
}

// roots returns the system's certificate authorities and those of CAFile; nil is the system's alone.
func (o Options) roots() (*x509.CertPool, error) {
	if o.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(o.CAFile)
	if err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.NotFound, "reading certificate authorities from %q", o.CAFile)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading certificate authorities from %q: no PEM certificate in it", o.CAFile)
	}
	return pool, nil
}
