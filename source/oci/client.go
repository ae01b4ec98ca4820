package oci

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/seaworthy-dev/seaworthy"
)

// Client speaks to registries. It is safe for concurrent use and keeps connections and tokens, apart for each
// registry, until Close.
type Client struct {
	o     Options
	roots *x509.CertPool

	mu         sync.Mutex // held while registries is looked at
	registries map[string]*registry

	// Replaced in tests.
	sleep   func(context.Context, time.Duration) error
	jitter  func() float64 // in [0,1)
	now     func() time.Time
	resolve func(context.Context, string) ([]netip.Addr, error)
}

// NewClient returns a client. Errors: Usage; NotFound or Invalid for Options.CAFile.
func NewClient(o Options) (*Client, error) {
	o, err := o.defaults()
	if err != nil {
		return nil, err
	}
	roots, err := o.roots()
	if err != nil {
		return nil, err
	}
	return &Client{o: o, roots: roots, registries: map[string]*registry{}, sleep: sleep, jitter: rand.Float64, now: time.Now}, nil
}

// Close lets go of idle connections. Reads in progress go on.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.registries {
		r.http.CloseIdleConnections()
	}
}

// registry is one registry: its connections and what it wants for credentials.
type registry struct {
	c      *Client
	host   string // host[:port] of its API
	dialer *dialer
	http   *http.Transport

	mu     sync.Mutex // held while the fields below are looked at; never during a request
	scheme string     // "https" or "http"; "" until a loopback host has shown which
	auth   authState
}

func (c *Client) registry(name string) *registry {
	host := apiHost(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.registries[host]; r != nil {
		return r
	}
	r := &registry{c: c, host: host, dialer: newDialer(host, slices.Concat(c.o.AllowHosts, c.o.TokenHosts))}
	r.dialer.resolve = c.resolve
	switch {
	case c.o.PlainHTTP:
		r.scheme = "http"
	case !isLoopback(host):
		r.scheme = "https"
	}
	r.http = &http.Transport{
		Proxy: r.dialer.proxy, DialContext: r.dialer.dial, ForceAttemptHTTP2: true,
		TLSClientConfig:     &tls.Config{RootCAs: c.roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 20 * time.Second, ResponseHeaderTimeout: c.o.IdleTimeout, ExpectContinueTimeout: time.Second,
		IdleConnTimeout: 60 * time.Second, MaxIdleConnsPerHost: 8, MaxResponseHeaderBytes: 256 << 10,
		DisableCompression: true, // sizes and digests are of the bytes as stored
	}
	c.registries[host] = r
	return r
}

// call is one request to a registry.
type call struct {
	method string
	ref    Reference // Registry and Repository
	path   string    // below /v2/REPOSITORY/, with its query; "/v2/…" is taken as it is
	header http.Header
	access string // "pull", "pull,push" or "delete"; "" is "pull"
	from   string // a further repository that is to be read: where a blob is mounted from
	// at is an address the registry gave, to be used instead of path. Only on the registry's own host it is asked
	// with credentials.
	at *url.URL
	ok []int // the statuses that are success; any other becomes an error
	// body makes the request's body, once for each attempt; nil for none. With a body, failures on the way are
	// retried only when again says that it does no harm.
	body  func() (io.Reader, int64)
	again bool
}

func (r call) mayRepeat() bool { return r.body == nil || r.again }

// do sends a request until it succeeds, cannot succeed, or has been tried often enough. The body of the
// response must be closed; reading it fails when no byte comes for Options.IdleTimeout.
func (c *Client) do(ctx context.Context, r call) (*http.Response, error) {
	resp, f := c.registry(r.ref.Registry).retried(ctx, r)
	if f != nil {
		return nil, f.err
	}
	return resp, nil
}

// retried is do for those who want to know what the registry answered.
func (reg *registry) retried(ctx context.Context, r call) (*http.Response, *failure) {
	c := reg.c
	for attempt := 0; ; attempt++ {
		resp, f := reg.attempt(ctx, r)
		if f == nil {
			return resp, nil
		}
		if !f.passing || f.status == 0 && !r.mayRepeat() || attempt >= c.o.Retries {
			return nil, f
		}
		if err := c.pause(ctx, attempt, f.wait); err != nil {
			return nil, &failure{err: err, wait: -1}
		}
	}
}

// failure is why one attempt did not succeed.
type failure struct {
	err     error
	status  int           // what the registry answered; 0 when it did not
	passing bool          // it may be gone the next time
	wait    time.Duration // what the registry asked for; -1 for nothing
}

// attempt sends a request once.
func (reg *registry) attempt(ctx context.Context, r call) (*http.Response, *failure) {
	resp, err := reg.send(ctx, r)
	switch {
	case err == nil && slices.Contains(r.ok, resp.StatusCode):
		return resp, nil
	case ctx.Err() != nil:
		if err == nil {
			resp.Body.Close()
		}
		return nil, &failure{err: context.Cause(ctx), wait: -1}
	case err != nil:
		return nil, &failure{err: err, passing: mayPass(err), wait: -1}
	}
	f := &failure{status: resp.StatusCode, passing: mayPassStatus(resp.StatusCode), wait: retryAfter(resp.Header.Get("Retry-After"), reg.c.now())}
	f.err = statusError(resp)
	return nil, f
}

// pause waits before the next attempt: what the registry asked for, else a random part (full jitter) of a
// time that doubles; never longer than Options.MaxWait.
func (c *Client) pause(ctx context.Context, attempt int, asked time.Duration) error {
	d := min(400*time.Millisecond<<min(attempt, 16), 10*time.Second)
	d = d/4 + time.Duration(c.jitter()*float64(d)*3/4)
	if asked >= 0 {
		d = asked + time.Duration(c.jitter()*float64(100*time.Millisecond))
	}
	return c.sleep(ctx, min(d, c.o.MaxWait))
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// retryAfter reads a Retry-After header (RFC 9110 10.2.3); -1 when there is none that makes sense.
func retryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(s, 10, 31); err == nil {
		return time.Duration(n) * time.Second
	}
	if t, err := http.ParseTime(s); err == nil {
		return max(t.Sub(now), 0)
	}
	return -1
}

func mayPassStatus(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// mayPass reports whether a failure on the way may be gone the next time.
func mayPass(err error) bool {
	var e *seaworthy.Error
	if errors.As(err, &e) {
		return e.Code == seaworthy.Unavailable
	}
	return !errors.Is(err, context.Canceled)
}

// send makes one attempt: it finds the scheme, answers a challenge, and follows redirects.
func (reg *registry) send(ctx context.Context, r call) (*http.Response, error) {
	scheme := reg.knownScheme()
	if scheme == "" {
		resp, err := reg.sendAs(ctx, r, "https")
		var notTLS tls.RecordHeaderError
		if err == nil || !errors.Is(err, http.ErrSchemeMismatch) && !errors.As(err, &notTLS) && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			if err == nil {
				reg.learnScheme("https")
			}
			return resp, err
		}
		scheme = "http"
		resp, err = reg.sendAs(ctx, r, scheme)
		if err == nil {
			reg.learnScheme(scheme)
		}
		return resp, err
	}
	return reg.sendAs(ctx, r, scheme)
}

func (reg *registry) knownScheme() string {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	return reg.scheme
}

func (reg *registry) learnScheme(s string) {
	reg.mu.Lock()
	defer reg.mu.Unlock()
	reg.scheme = s
}

func (reg *registry) sendAs(ctx context.Context, r call, scheme string) (*http.Response, error) {
	path := r.path
	if !strings.HasPrefix(path, "/v2/") {
		path = "/v2/" + r.ref.Repository + "/" + path
	}
	u, err := url.Parse(scheme + "://" + reg.host + path)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Usage, "asking %q: %q is no path", reg.host, clip(path))
	}
	if r.at != nil {
		if err := reg.checkGiven(scheme, r.at); err != nil {
			return nil, err
		}
		u = r.at
	}
	for challenged := 0; ; challenged++ {
		authorization, err := reg.authorization(ctx, r, scheme)
		if err != nil {
			return nil, err
		}
		resp, own, err := reg.follow(ctx, r, scheme, u, authorization)
		if err != nil || resp.StatusCode != http.StatusUnauthorized || !own || challenged == 2 || !r.mayRepeat() && r.body != nil && challenged > 0 {
			return resp, err
		}
		more, err := reg.challenge(ctx, r, scheme, resp, authorization)
		if err != nil {
			resp.Body.Close()
			return nil, err
		}
		if !more {
			return resp, nil
		}
		drain(resp.Body)
	}
}

// follow sends one request and follows where it is sent. Only the registry's own origin gets authorization;
// own says whether the answer came from there.
func (reg *registry) follow(ctx context.Context, r call, scheme string, u *url.URL, authorization string) (resp *http.Response, own bool, err error) {
	for hop := 0; ; hop++ {
		own = u.Scheme == scheme && strings.EqualFold(u.Host, reg.host)
		header := http.Header{}
		for k, v := range r.header {
			header[k] = v
		}
		header.Set("User-Agent", reg.c.o.UserAgent)
		if own && authorization != "" {
			header.Set("Authorization", authorization)
		}
		resp, err = reg.roundTrip(ctx, r.method, u, header, r.body)
		if err != nil {
			return nil, own, err
		}
		switch resp.StatusCode {
		case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		default:
			return resp, own, nil
		}
		if r.method != http.MethodGet && r.method != http.MethodHead || slices.Contains(r.ok, resp.StatusCode) {
			return resp, own, nil
		}
		location := resp.Header.Get("Location")
		drain(resp.Body)
		next, err := u.Parse(location)
		if err != nil || location == "" || next.Host == "" || next.Scheme != "http" && next.Scheme != "https" {
			return nil, own, seaworthy.Errorf(seaworthy.Invalid, "%q sends us on to %q, which is no address", u.Host, clip(location))
		}
		if hop+1 >= maxRedirects {
			return nil, own, seaworthy.Errorf(seaworthy.Forbidden, "%q sends us round in circles: %d redirects", reg.host, maxRedirects)
		}
		if u.Scheme == "https" && next.Scheme == "http" {
			return nil, own, seaworthy.Errorf(seaworthy.Forbidden, "%q sends us from https to http, to %q", u.Host, clip(next.Host))
		}
		next.User, next.Fragment = nil, ""
		if err := reg.dialer.checkURLHost(next); err != nil {
			return nil, own, seaworthy.Wrap(err, seaworthy.Forbidden, "following a redirect of %q", u.Host)
		}
		u = next
	}
}

// checkGiven refuses addresses a registry gave for an upload, by the rules for redirects. Errors: Invalid, Forbidden.
func (reg *registry) checkGiven(scheme string, u *url.URL) error {
	switch {
	case u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil:
		return seaworthy.Errorf(seaworthy.Invalid, "%q sends us on to %q, which is no address", reg.host, clip(u.Host))
	case scheme == "https" && u.Scheme == "http":
		return seaworthy.Errorf(seaworthy.Forbidden, "%q sends us from https to http, to %q", reg.host, clip(u.Host))
	}
	return reg.dialer.checkURLHost(u)
}

// roundTrip sends exactly one request. The response's body is watched for silence. Errors name the host, not
// the URL: URLs of storage services carry signatures.
func (reg *registry) roundTrip(ctx context.Context, method string, u *url.URL, header http.Header, body func() (io.Reader, int64)) (*http.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	req, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		cancel()
		return nil, seaworthy.Errorf(seaworthy.Invalid, "asking %q: that is no address", clip(u.Host))
	}
	if body != nil {
		r, n := body()
		req.Body, req.ContentLength = newWatchedBody(r, cancel, reg.c.o.IdleTimeout), n
		if n == 0 {
			req.Body = http.NoBody
		}
	}
	req.Header = header
	resp, err := reg.http.RoundTrip(req)
	if err != nil {
		cancel()
		return nil, reg.networkError(u, err)
	}
	resp.Body = newWatched(resp.Body, cancel, reg.c.o.IdleTimeout)
	return resp, nil
}

// networkError gives a failure to get an answer its code.
func (reg *registry) networkError(u *url.URL, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	var own *seaworthy.Error
	if errors.As(err, &own) {
		return seaworthy.Wrap(own, own.Code, "asking %q", clip(u.Host))
	}
	var (
		dns      *net.DNSError
		verify   *tls.CertificateVerificationError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
	)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return seaworthy.Wrap(err, seaworthy.Unavailable, "asking %q", clip(u.Host))
	case errors.As(err, &verify), errors.As(err, &unknown), errors.As(err, &hostname):
		return seaworthy.Errorf(seaworthy.Forbidden, "asking %q: %w", clip(u.Host), err).
			WithHint("if its certificate is signed by an authority of your own, name that with --ca-file")
	case errors.As(err, &dns) && dns.IsNotFound:
		return seaworthy.Errorf(seaworthy.NotFound, "asking %q: there is no host of that name", clip(u.Host)).
			WithHint("check the name of the registry, and the network")
	case errors.Is(err, http.ErrSchemeMismatch) && !isLoopback(u.Host):
		return seaworthy.Errorf(seaworthy.Forbidden, "asking %q: it speaks http, not https", clip(u.Host)).
			WithHint("use --plain-http if you accept that anybody on the way can read and change what is sent")
	case errors.Is(err, http.ErrSchemeMismatch):
		return err
	}
	return seaworthy.Errorf(seaworthy.Unavailable, "asking %q: %w", clip(u.Host), err)
}

// statusError turns an answer that is no success into an error, and closes it. What the registry says is
// shortened and quoted; pages of HTML are left out.
func statusError(resp *http.Response) error {
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	said := ""
	var doc struct {
		Errors []struct {
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"errors"`
	}
	if json.Unmarshal(b, &doc) == nil && len(doc.Errors) > 0 {
		said = ": " + quote(strings.TrimSpace(doc.Errors[0].Code+" "+doc.Errors[0].Message))
	} else if looksLikeHTML(b) {
		said = " with a web page"
	}
	code, hint := seaworthy.Invalid, ""
	switch s := resp.StatusCode; {
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		code, hint = seaworthy.Unauthorized, "log in with docker login, or check the name: many registries answer so for what does not exist"
	case s == http.StatusNotFound:
		code = seaworthy.NotFound
	case s == http.StatusTooManyRequests:
		code, hint = seaworthy.Unavailable, "the registry limits how often it may be asked; wait, or log in"
	case mayPassStatus(s), s >= 500:
		code = seaworthy.Unavailable
	case s == http.StatusRequestEntityTooLarge:
		code = seaworthy.TooLarge
	}
	e := seaworthy.Errorf(code, "%q answers %d %s%s", resp.Request.URL.Host, resp.StatusCode, http.StatusText(resp.StatusCode), said)
	e.Hint = hint
	return e
}

// drain reads a little of a body, so that its connection can be used again, and closes it.
func drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, 16<<10)
	body.Close()
}
