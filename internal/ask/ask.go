// Package ask puts one bounded question to an HTTP API that somebody named, and gives back its answer. It follows no
// redirects, sends secrets over plain HTTP only to this machine, and tries again where that cannot hurt.
package ask

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
)

const (
	// maxAnswer is how much of an answer is read: 4 MiB.
	maxAnswer = 4 << 20
	// timeout bounds one attempt.
	timeout = 30 * time.Second
	// attempts is how often a question is put when the other side is busy.
	attempts = 4
	// maxPause is the longest wait between two attempts, whatever Retry-After says.
	maxPause = 15 * time.Second
	// maxDetail is how much of an error's text is passed on, in bytes.
	maxDetail = 500
)

// Question is what is asked.
type Question struct {
	Method      string // "": POST
	URL         string
	ContentType string
	Body        []byte
	// Secret is sent as a bearer token. It is in no error.
	Secret string
	Client *http.Client // nil: one that keeps connections; its redirects are never followed
}

var shared = &http.Client{Transport: http.DefaultTransport}

// Ask puts the question until it is answered with 200 or 201. Errors: Usage for what is no URL; Forbidden for a secret
// that would go out in the clear; Unauthorized; Invalid; Conflict; Unavailable; TooLarge.
func Ask(ctx context.Context, q Question) ([]byte, error) {
	u, err := url.Parse(q.URL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, seaworthy.Errorf(seaworthy.Usage, "asking %q: that is no URL of a service", q.URL)
	}
	if q.Secret != "" && u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, seaworthy.Errorf(seaworthy.Forbidden, "asking %q: a token would go out in the clear", q.URL).WithHint("use an https:// address")
	}
	for attempt := 1; ; attempt++ {
		answer, wait, err := once(ctx, q)
		if err == nil || wait < 0 || attempt == attempts {
			return answer, seaworthy.Wrap(err, seaworthy.Unavailable, "asking %s", u.Redacted())
		}
		pause := max(wait, time.Duration(attempt*attempt)*250*time.Millisecond)
		timer := time.NewTimer(min(pause, maxPause))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		case <-timer.C:
		}
	}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}

// once puts the question; wait is how long to wait before the next attempt, negative when there is to be none.
func once(ctx context.Context, q Question) (answer []byte, wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	method := q.Method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(ctx, method, q.URL, bytes.NewReader(q.Body))
	if err != nil {
		return nil, -1, seaworthy.Errorf(seaworthy.Usage, "%w", err)
	}
	if q.ContentType != "" {
		req.Header.Set("Content-Type", q.ContentType)
	}
	if q.Secret != "" {
		req.Header.Set("Authorization", "Bearer "+q.Secret)
	}
	req.Header.Set("User-Agent", "seaworthy")
	client := shared
	if q.Client != nil {
		client = q.Client
	}
	direct := *client
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := direct.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, -1, seaworthy.Errorf(seaworthy.Unavailable, "%w", err)
		}
		return nil, 0, seaworthy.Errorf(seaworthy.Unavailable, "%w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, 0, seaworthy.Errorf(seaworthy.Unavailable, "reading its answer: %w", err)
	}
	if len(body) > maxAnswer {
		return nil, -1, seaworthy.Errorf(seaworthy.TooLarge, "its answer has more than %d bytes", maxAnswer)
	}
	if resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusCreated {
		return body, 0, nil
	}
	return nil, retryAfter(resp), statusError(resp, body, q.Secret)
}

func retryAfter(resp *http.Response) time.Duration {
	if resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode < 500 {
		return -1
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return min(time.Duration(seconds)*time.Second, maxPause)
}

func statusError(resp *http.Response, body []byte, secret string) error {
	code := seaworthy.Unavailable
	switch s := resp.StatusCode; {
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		code = seaworthy.Unauthorized
	case s == http.StatusConflict:
		code = seaworthy.Conflict
	case s == http.StatusNotFound:
		code = seaworthy.NotFound
	case s >= 400 && s < 500 && s != http.StatusTooManyRequests:
		code = seaworthy.Invalid
	case s >= 300 && s < 400:
		return seaworthy.Errorf(seaworthy.Forbidden, "it sends us on to %q, where nobody said to go", resp.Header.Get("Location"))
	}
	detail := strings.TrimSpace(string(body[:min(len(body), maxDetail)]))
	if secret != "" {
		detail = strings.ReplaceAll(detail, secret, "[token]")
	}
	return seaworthy.Errorf(code, "it answers %s: %q", resp.Status, detail)
}
