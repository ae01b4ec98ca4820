package hook

import (
	"net"
	"net/http"
	"net/netip"
	"strconv"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
)

// maxPage is how many decisions one answer has.
const maxPage = 500

// API is what the page asks, to be mounted at /api/gate/v1/.
func (h *Handler) API() http.Handler {
	mux := http.NewServeMux()
	get := func(path string, f func(*http.Request) (any, error)) {
		mux.HandleFunc("GET /api/gate/v1/"+path, func(w http.ResponseWriter, req *http.Request) {
			if !h.o.MayLook(req) {
				h.fail(w, seaworthy.Errorf(seaworthy.Forbidden, "what the gate decides is shown to this machine only").
					WithHint("ask over a connection from this machine, for example with kubectl port-forward"))
				return
			}
			v, err := f(req)
			if err != nil {
				h.fail(w, err)
				return
			}
			w.Header().Set("Cache-Control", "no-store")
			writeJSON(w, http.StatusOK, v)
		})
	}
	get("policies", h.policies)
	get("decisions", h.decisions)
	get("fleet", h.fleet)
	return mux
}

// shownPolicy is a policy as the page shows it.
type shownPolicy struct {
	Name        string         `json:"name"`
	Mode        seaworthy.Mode `json:"mode"`
	FailOpen    bool           `json:"failOpen,omitempty"`
	Description string         `json:"description,omitempty"`
	Images      []string       `json:"images"`
	Namespaces  []string       `json:"namespaces,omitempty"`
	Rules       []string       `json:"rules"`
	Source      string         `json:"source"` // which form it has: cip, policy or verifier
	File        string         `json:"file"`
	YAML        string         `json:"yaml"`
}

var sources = map[string]string{"ClusterImagePolicy": "cip", "Policy": "policy", "Verifier": "verifier"}

func (h *Handler) policies(*http.Request) (any, error) {
	if err := h.gate.Ready(); err != nil {
		return nil, err
	}
	out := struct {
		Policies []shownPolicy `json:"policies"`
	}{[]shownPolicy{}}
	for _, p := range h.gate.Policies() {
		source := sources[p.Kind]
		if source == "" {
			source = p.Kind
		}
		out.Policies = append(out.Policies, shownPolicy{
			p.Name, p.Mode, p.FailOpen, p.Description, append([]string{}, p.Images...), p.Namespaces, append([]string{}, p.Rules...), source, p.File, p.Source,
		})
	}
	return out, nil
}

func (h *Handler) decisions(req *http.Request) (any, error) {
	limit, before := int64(100), int64(0)
	for name, to := range map[string]*int64{"limit": &limit, "after": &before} {
		if text := req.URL.Query().Get(name); text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 1 {
				return nil, seaworthy.Errorf(seaworthy.Usage, "reading ?%s=%q: not a number from 1 on", name, text)
			}
			*to = n
		}
	}
	found, next := h.gate.Decisions(before, int(min(limit, maxPage)))
	out := struct {
		Decisions []seaworthy.Verdict `json:"decisions"`
		Next      string              `json:"next"`
	}{Decisions: append([]seaworthy.Verdict{}, found...)}
	if next > 0 {
		out.Next = strconv.FormatInt(next, 10)
	}
	return out, nil
}

func (h *Handler) fleet(*http.Request) (any, error) {
	return struct {
		Namespaces []admit.Namespace `json:"namespaces"`
	}{h.gate.Fleet()}, nil
}

// local reports whether a request comes from this machine, to a name of this machine: a page elsewhere that has its
// name lead here is not.
func local(req *http.Request) bool {
	from, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil || !from.Addr().Unmap().IsLoopback() {
		return false
	}
	host := req.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
