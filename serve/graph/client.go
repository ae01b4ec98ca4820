package graph

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
	"github.com/seaworthy-dev/seaworthy/engine/trace"
	store "github.com/seaworthy-dev/seaworthy/store/graph"
)

// maxAnswer is how much of an answer the client reads: 64 MiB. Servers bound theirs to less.
const maxAnswer = 64 << 20

// Client asks a graph that is served elsewhere. It is an Asker. Redirects are not followed.
type Client struct {
	URL   string // without Prefix
	Token string // "" for none. It is sent over plain HTTP to this machine only, and is in no error
	// Instance is the graph that is meant; an answer of another one is an error. "": whichever is there.
	Instance string
	HTTP     *http.Client
}

// Ask implements Asker. Errors: those of the server, with their codes; Unavailable when it does not answer.
func (c *Client) Ask(ctx context.Context, q trace.Question) (*trace.Answer, error) {
	said := new(trace.Answer)
	return said, c.do(ctx, http.MethodGet, "/ask/"+url.PathEscape(q.Verb), questionValues(q), nil, said)
}

// questionValues writes a question as a query. It is the reverse of parseQuestion.
func questionValues(q trace.Question) url.Values {
	v := url.Values{}
	set := func(name, value string) {
		if value != "" {
			v.Set(name, value)
		}
	}
	set("subject", q.Subject)
	set("to", q.To)
	if q.Trust.Signed {
		set("signed", "1")
	}
	if !q.AsOf.IsZero() {
		set("asOf", q.AsOf.Format(time.RFC3339Nano))
	}
	if q.Depth != 0 {
		set("depth", strconv.Itoa(q.Depth))
	}
	if q.Limit != 0 {
		set("limit", strconv.Itoa(q.Limit))
	}
	for _, s := range q.Trust.Signers {
		v.Add("signer", s)
	}
	for _, s := range q.Expand {
		v.Add("expand", s)
	}
	for _, k := range q.Kinds {
		v.Add("kind", string(k))
	}
	return v
}

// Add sends a document. Errors: also Invalid and Unsupported for what the server cannot read.
func (c *Client) Add(ctx context.Context, origin string, body []byte) (Added, error) {
	var said Added
	return said, c.do(ctx, http.MethodPost, "/documents", url.Values{"origin": {origin}}, body, &said)
}

// Jobs lists work that is still to be done.
func (c *Client) Jobs(ctx context.Context, limit int) ([]store.Job, error) {
	var said Jobs
	return said.Jobs, c.do(ctx, http.MethodGet, "/jobs", url.Values{"limit": {strconv.Itoa(limit)}}, nil, &said)
}

// Retry makes a job due now. Errors: also NotFound, and Conflict when somebody works on it.
func (c *Client) Retry(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodPost, "/jobs/"+url.PathEscape(id)+"/retry", nil, nil, new(Retried))
}

// Stats counts what there is.
func (c *Client) Stats(ctx context.Context) (store.Stats, error) {
	var said store.Stats
	return said, c.do(ctx, http.MethodGet, "/stats", nil, nil, &said)
}

func (c *Client) do(ctx context.Context, method, path string, query url.Values, body []byte, into any) error {
	at := strings.TrimSuffix(c.URL, "/") + Prefix + path
	u, err := url.Parse(at)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return seaworthy.Errorf(seaworthy.Usage, "asking the graph at %q: that is no URL of a service", c.URL)
	}
	if c.Token != "" && u.Scheme == "http" && !registry.IsLoopback(u.Hostname()) {
		return seaworthy.Errorf(seaworthy.Forbidden, "asking the graph at %q: a token would go out in the clear", c.URL).WithHint("use an https:// address")
	}
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		return seaworthy.Wrap(err, seaworthy.Usage, "asking the graph at %q", c.URL)
	}
	if method != http.MethodGet {
		req.Header.Set("Content-Type", "application/octet-stream")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	req.Header.Set("User-Agent", "seaworthy")
	direct := http.Client{}
	if c.HTTP != nil {
		direct = *c.HTTP
	}
	direct.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := direct.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if said, ok := errors.AsType[*url.Error](err); ok {
			err = said.Err // its own text has the query
		}
		return seaworthy.Wrap(err, seaworthy.Unavailable, "asking the graph at %s", c.URL)
	}
	defer resp.Body.Close()
	if c.Instance != "" && resp.Header.Get(instanceHeader) != c.Instance {
		return seaworthy.Errorf(seaworthy.Unavailable, "asking the graph at %s: another one is there now", c.URL)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return seaworthy.Wrap(err, seaworthy.Unavailable, "reading the answer of %s", c.URL)
	case len(text) > maxAnswer:
		return seaworthy.Errorf(seaworthy.TooLarge, "reading the answer of %s: more than %d bytes", c.URL, maxAnswer)
	case resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusCreated:
		return c.failed(resp, text)
	}
	return seaworthy.Wrap(json.Unmarshal(text, into), seaworthy.Invalid, "reading the answer of %s", c.URL)
}

// failed makes the server's error ours. What is not of our servers is told by its status alone.
func (c *Client) failed(resp *http.Response, text []byte) error {
	var f failure
	if json.Unmarshal(text, &f) == nil && f.Error.Message != "" {
		message := f.Error.Message
		if c.Token != "" {
			message = strings.ReplaceAll(message, c.Token, "[token]")
		}
		e := seaworthy.Errorf(f.Error.Code, "%s", message)
		if status, ok := statuses[e.Code]; ok && status != resp.StatusCode || !ok && e.Code != seaworthy.Internal {
			e.Code = codeOf(resp.StatusCode)
		}
		e.Hint = f.Error.Hint
		return e
	}
	return seaworthy.Errorf(codeOf(resp.StatusCode), "asking the graph at %s: it answers %s", c.URL, resp.Status).
		WithHint("is that the address of seaworthy up?")
}

// codeOf is the code of a status that came without one.
func codeOf(status int) seaworthy.Code {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return seaworthy.Unauthorized
	case http.StatusNotFound:
		return seaworthy.NotFound
	case http.StatusBadRequest:
		return seaworthy.Usage
	}
	if status >= 500 {
		return seaworthy.Unavailable
	}
	return seaworthy.Invalid
}
