package graph

import (
	"mime"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/registry"
)

// admit says whether a request may be answered.
func (h *Handler) admit(w http.ResponseWriter, req *http.Request, scope Scope) error {
	if h.o.Tokens == nil {
		return h.keepPagesOut(req)
	}
	scheme, secret, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "bearer") {
		return seaworthy.Errorf(seaworthy.Unauthorized, "this graph asks who you are").WithHint("send a token: Authorization: Bearer …")
	}
	name, scopes, ok := h.o.Tokens.find(strings.TrimSpace(secret))
	if !ok {
		return seaworthy.Errorf(seaworthy.Unauthorized, "nobody has this token")
	}
	if !slices.Contains(scopes, scope) {
		return seaworthy.Errorf(seaworthy.Forbidden, "the token of %q is not good for this: it lacks the scope %q", name, scope)
	}
	if scope != Read {
		h.o.Log.InfoContext(req.Context(), "graph change", "path", clipped(req.URL.Path), "token", name)
	}
	return nil
}

// keepPagesOut refuses what a browser sends for somebody else's page: a name of somebody else's that leads here (DNS
// rebinding), another origin, and what a form could send without asking first.
func (h *Handler) keepPagesOut(req *http.Request) error {
	host := req.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	configured := slices.ContainsFunc(h.o.Hosts, func(s string) bool { return strings.EqualFold(s, req.Host) || strings.EqualFold(s, host) })
	if !registry.IsLoopback(host) && !configured {
		return seaworthy.Errorf(seaworthy.Forbidden, "this graph asks nobody who they are, so it answers to loopback names only, and not to %q", clipped(host)).
			WithHint("seaworthy up --graph-tokens serves it to others")
	}
	if h.origins.Check(req) != nil {
		return seaworthy.Errorf(seaworthy.Forbidden, "a page of another origin is asking")
	}
	if req.Method == http.MethodGet || req.Method == http.MethodHead {
		return nil
	}
	// A browser that says where a request comes from was believed above. Of one that does not, only what it would not
	// send to others without asking is taken (fetch standard, "CORS-safelisted request-header").
	if req.Header.Get("Sec-Fetch-Site") != "" || req.Header.Get("Origin") != "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(req.Header.Get("Content-Type"))
	switch {
	case err != nil, kind == "application/x-www-form-urlencoded", kind == "multipart/form-data", kind == "text/plain":
		return seaworthy.Errorf(seaworthy.Unsupported, "a form could have sent this").
			WithHint("say what it is: Content-Type: application/json, or application/octet-stream")
	}
	return nil
}
