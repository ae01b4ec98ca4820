package graph

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/trace"
)

// route is an endpoint: who may use it, which parameters it knows, and what answers.
type route struct {
	method, path string
	scope        Scope
	parameters   []string // of the query; another one is an error
	serve        func(h *Handler, w http.ResponseWriter, req *http.Request, q url.Values) error
	slow         bool // it waits for a body, so the time of a question is not its limit
}

// routes are all endpoints. openapi.json describes the same ones, and a test says so.
var routes = []route{
	{method: "GET", path: "/ask/{verb}", scope: Read, parameters: []string{"subject", "to", "signed", "signer", "asOf", "depth", "limit", "expand", "kind"}, serve: (*Handler).ask},
	{method: "GET", path: "/search", scope: Read, parameters: []string{"q", "kind", "limit"}, serve: (*Handler).search},
	{method: "GET", path: "/documents", scope: Read, parameters: []string{"kind", "after", "limit"}, serve: (*Handler).documents},
	{method: "POST", path: "/documents", scope: Ingest, parameters: []string{"origin"}, serve: (*Handler).add, slow: true},
	{method: "GET", path: "/documents/{digest}", scope: Read, serve: (*Handler).document},
	{method: "GET", path: "/documents/{digest}/raw", scope: Read, serve: (*Handler).raw},
	{method: "GET", path: "/documents/{digest}/bill", scope: Read, parameters: []string{"format"}, serve: (*Handler).convert},
	{method: "GET", path: "/bills", scope: Read, parameters: []string{"after", "limit"}, serve: (*Handler).listBills},
	{method: "GET", path: "/jobs", scope: Read, parameters: []string{"limit"}, serve: (*Handler).jobs},
	{method: "POST", path: "/jobs/{id}/retry", scope: Admin, serve: (*Handler).retry},
	{method: "GET", path: "/log", scope: Read, parameters: []string{"after", "limit", "order", "digest", "identity", "key"}, serve: (*Handler).entries},
	{method: "GET", path: "/log/{index}", scope: Read, serve: (*Handler).entry},
	{method: "GET", path: "/stats", scope: Read, serve: (*Handler).stats},
	{method: "GET", path: "/openapi.json", scope: Read, serve: (*Handler).describe},
}

// instanceHeader names the graph that answers.
const instanceHeader = "Seaworthy-Graph"

// guarded serves a route to those who may use it, within its limits.
func (h *Handler) guarded(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		out := &answer{ResponseWriter: w, req: req}
		out.Header().Set("X-Content-Type-Options", "nosniff")
		out.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
		out.Header().Set("Cache-Control", "no-cache")
		if h.o.Instance != "" {
			out.Header().Set(instanceHeader, h.o.Instance)
		}
		err := h.admit(out, req, r.scope)
		var q url.Values
		if err == nil {
			q, err = parseQuery(req.URL.RawQuery, r.parameters)
		}
		if err == nil {
			if !r.slow {
				ctx, cancel := context.WithTimeout(req.Context(), h.o.Timeout)
				defer cancel()
				req = req.WithContext(ctx)
			}
			err = r.serve(h, out, req, q)
			if err != nil && errors.Is(req.Context().Err(), context.DeadlineExceeded) {
				err = seaworthy.Errorf(seaworthy.Unavailable, "the question took longer than %s", h.o.Timeout).
					WithHint("ask for less: a smaller depth or limit")
			}
		}
		if err != nil {
			h.fail(out, req, err)
		}
		out.finish()
	})
}

// repeated are the parameters that may be given more than once.
var repeated = []string{"signer", "expand", "kind"}

// parseQuery reads a query that has nothing but these parameters.
func parseQuery(raw string, known []string) (url.Values, error) {
	if len(raw) > MaxQuery {
		return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading the request: its query has more than %d bytes", MaxQuery)
	}
	q, err := url.ParseQuery(raw)
	if err != nil {
		return nil, seaworthy.Errorf(seaworthy.Usage, "reading the request: %w", err)
	}
	for name, values := range q {
		switch {
		case !slices.Contains(known, name):
			e := seaworthy.Errorf(seaworthy.Usage, "reading the request: there is no parameter %q", name)
			if len(known) == 0 {
				return nil, e.WithHint("this endpoint has none")
			}
			return nil, e.WithHint("it has %s", strings.Join(known, ", "))
		case len(values) > 1 && !slices.Contains(repeated, name):
			return nil, seaworthy.Errorf(seaworthy.Usage, "reading the request: %s is given %d times", name, len(values))
		case len(values) > MaxValues:
			return nil, seaworthy.Errorf(seaworthy.TooLarge, "reading the request: %s is given %d times, more than %d", name, len(values), MaxValues)
		}
	}
	return q, nil
}

// parseQuestion reads a question. It is the reverse of Client's.
func parseQuestion(verb string, q url.Values) (trace.Question, error) {
	asked := trace.Question{Verb: verb, Subject: q.Get("subject"), To: q.Get("to"), Expand: q["expand"]}
	asked.Trust.Signers = q["signer"]
	var err error
	if asked.Trust.Signed, err = flag(q, "signed"); err != nil {
		return asked, err
	}
	if asked.Depth, err = number(q, "depth", MaxDepth, 0); err != nil {
		return asked, err
	}
	if asked.Limit, err = number(q, "limit", MaxRows, 0); err != nil {
		return asked, err
	}
	if text := q.Get("asOf"); text != "" {
		if asked.AsOf, err = time.Parse(time.RFC3339, text); err != nil {
			return asked, seaworthy.Errorf(seaworthy.Usage, "reading the request: asOf %q is not a time like 2026-01-02T15:04:05Z", text)
		}
	}
	asked.Kinds, err = kinds(q, seaworthy.SubjectKinds())
	return asked, err
}

// kinds reads what kinds a question is about.
func kinds[K ~string](q url.Values, known []K) ([]K, error) {
	var list []K
	for _, text := range q["kind"] {
		if text == "" {
			continue
		}
		if !slices.Contains(known, K(text)) {
			return nil, seaworthy.Errorf(seaworthy.Usage, "reading the request: there is no kind %q", text).WithHint("there are %s", joined(known))
		}
		list = append(list, K(text))
	}
	return list, nil
}

func joined[K ~string](list []K) string {
	words := make([]string, len(list))
	for i, k := range list {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

func flag(q url.Values, name string) (bool, error) {
	switch text := q.Get(name); text {
	case "", "0", "false":
		return false, nil
	case "1", "true":
		return true, nil
	default:
		return false, seaworthy.Errorf(seaworthy.Usage, "reading the request: %s is %q, and may be 1 or 0", name, text)
	}
}

// number reads a number from 1 to most; without one it is otherwise.
func number(q url.Values, name string, most, otherwise int) (int, error) {
	text := q.Get(name)
	if text == "" {
		return otherwise, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, seaworthy.Errorf(seaworthy.Usage, "reading the request: %s %q is not from 1 to %d", name, text, most)
	}
	return n, nil
}
