package hook

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
)

// What Gatekeeper sends, and what Ratify answers (frameworks, externaldata; ratify, httpserver/types.go).
const (
	providerVersion = "externaldata.gatekeeper.sh/v1alpha1"
	reportVersion   = "0.2.0"
	// atOnce is how many images of one request are judged at once.
	atOnce = 16
)

type providerRequest struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Request    struct {
		Keys []string `json:"keys"`
	} `json:"request"`
}

type providerResponse struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Response   struct {
		Idempotent  bool           `json:"idempotent"`
		Items       []providerItem `json:"items"`
		SystemError string         `json:"systemError,omitempty"`
	} `json:"response"`
}

type providerItem struct {
	Key   string `json:"key"`
	Value any    `json:"value,omitempty"`
	Error string `json:"error,omitempty"`
}

// report is the value of an item of verify, as Ratify's library of constraint templates reads it.
type report struct {
	Version   string           `json:"version"`
	IsSuccess bool             `json:"isSuccess"`
	TraceID   string           `json:"traceID,omitempty"`
	Timestamp string           `json:"timestamp,omitempty"`
	Reports   []verifierReport `json:"verifierReports"`
}

type verifierReport struct {
	Subject      string         `json:"subject"`
	IsSuccess    bool           `json:"isSuccess"`
	Name         string         `json:"name"`
	VerifierName string         `json:"verifierName"`
	Type         string         `json:"type"`
	VerifierType string         `json:"verifierType"`
	Message      string         `json:"message"`
	ErrorReason  string         `json:"errorReason,omitempty"`
	Remediation  string         `json:"remediation,omitempty"`
	Extensions   map[string]any `json:"extensions,omitempty"`
}

// provider answers a request of Gatekeeper, key by key. Keys that occur twice are answered once.
func (h *Handler) provider(one func(ctx context.Context, key, image string, who admit.Asker) providerItem, idempotent bool) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, req *http.Request) error {
		ctx, cancel := context.WithTimeout(req.Context(), h.o.ProviderTimeout)
		defer cancel()
		b, err := h.body(w, req, MaxProvider)
		if err != nil {
			return err
		}
		var r providerRequest
		if err := exactjson.Unmarshal(b, &r); err != nil {
			return seaworthy.Wrap(err, seaworthy.Invalid, "reading the request")
		}
		switch {
		case r.Kind != "ProviderRequest" || !strings.HasPrefix(r.APIVersion, "externaldata.gatekeeper.sh/"):
			return seaworthy.Errorf(seaworthy.Invalid, "reading the request: it is a %q of %q, not a ProviderRequest of externaldata.gatekeeper.sh", r.Kind, r.APIVersion)
		case len(r.Request.Keys) > maxKeys:
			return seaworthy.Errorf(seaworthy.TooLarge, "%d keys; the limit is %d", len(r.Request.Keys), maxKeys)
		}
		out := &providerResponse{APIVersion: providerVersion, Kind: "ProviderResponse"}
		out.Response.Idempotent, out.Response.Items = idempotent, []providerItem{}
		if err := h.gate.Ready(); err != nil {
			out.Response.SystemError = err.Error()
			writeJSON(w, http.StatusOK, out)
			return nil
		}
		out.Response.Items = eachKey(ctx, r.Request.Keys, one)
		writeJSON(w, http.StatusOK, out)
		return nil
	}
}

func eachKey(ctx context.Context, keys []string, one func(ctx context.Context, key, image string, who admit.Asker) providerItem) []providerItem {
	items := make([]providerItem, 0, len(keys))
	seen := map[string]bool{}
	for _, key := range keys {
		if !seen[key] {
			seen[key] = true
			items = append(items, providerItem{Key: key})
		}
	}
	slots := make(chan struct{}, atOnce)
	var working sync.WaitGroup
	for i := range items {
		slots <- struct{}{}
		working.Go(func() {
			defer func() { <-slots }()
			image, namespace := splitKey(items[i].Key)
			items[i] = one(ctx, items[i].Key, image, admit.Asker{Namespace: namespace})
		})
	}
	working.Wait()
	return items
}

// splitKey reads "[namespace]image"; the namespace may be missing.
func splitKey(key string) (image, namespace string) {
	if rest, ok := strings.CutPrefix(key, "["); ok {
		if ns, image, ok := strings.Cut(rest, "]"); ok {
			return strings.TrimSpace(image), ns
		}
	}
	return strings.TrimSpace(key), ""
}

func (h *Handler) labels(ctx context.Context, namespace string) map[string]string {
	if h.o.NamespaceLabels == nil || namespace == "" {
		return nil
	}
	return h.o.NamespaceLabels(ctx, namespace)
}

// verifyKey judges an image. A tag is resolved and judged by its digest; that it is pinned, Gatekeeper demands with
// mutate.
func (h *Handler) verifyKey(ctx context.Context, key, image string, who admit.Asker) providerItem {
	item := providerItem{Key: key}
	if h.gate.Exempts(who.Namespace) {
		item.Value = report{Version: reportVersion, IsSuccess: true, Reports: []verifierReport{}}
		return item
	}
	v, err := h.gate.Judge(ctx, admit.Question{Image: image, Asker: who, NamespaceLabels: h.labels(ctx, who.Namespace)})
	if err != nil {
		item.Error = err.Error()
		return item
	}
	item.Value = reportOf(&v)
	return item
}

func reportOf(v *seaworthy.Verdict) report {
	out := report{Version: reportVersion, IsSuccess: v.Allowed, Timestamp: v.At.Format(time.RFC3339Nano), Reports: []verifierReport{}}
	subject := v.Image
	if v.Digest != "" {
		subject = admit.Pinned(v.Image, v.Digest)
	}
	for _, p := range v.Policies {
		for _, r := range p.Rules {
			one := verifierReport{
				Subject: subject, IsSuccess: r.Passed || p.Mode != seaworthy.Enforce, Name: p.Policy, VerifierName: p.Policy, Type: "seaworthy", VerifierType: "seaworthy",
				Message: r.Rule + ": " + r.Reason, Extensions: map[string]any{"rule": r.Rule, "mode": p.Mode},
			}
			if !r.Passed {
				one.ErrorReason, one.Remediation = r.Reason, r.Fix
			}
			if len(r.Evidence) > 0 {
				one.Extensions["evidence"] = r.Evidence
			}
			if len(r.Missing) > 0 {
				one.Extensions["missing"] = r.Missing
			}
			out.Reports = append(out.Reports, one)
		}
	}
	return out
}

// mutateKey pins an image.
func (h *Handler) mutateKey(ctx context.Context, key, image string, who admit.Asker) providerItem {
	item := providerItem{Key: key}
	if h.gate.Exempts(who.Namespace) {
		item.Value = image
		return item
	}
	pinned, err := h.gate.Pin(ctx, image, who)
	if err != nil {
		item.Error = err.Error()
		return item
	}
	item.Value = pinned
	return item
}
