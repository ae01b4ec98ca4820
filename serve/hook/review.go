package hook

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/admit"
	"github.com/seaworthy-dev/seaworthy/internal/exactjson"
)

// The one version of reviews that is spoken: it has been there since Kubernetes 1.16.
const (
	reviewVersion = "admission.k8s.io/v1"
	reviewKind    = "AdmissionReview"
)

// admissionReview is AdmissionReview, as far as it is needed (k8s.io/api/admission/v1).
type admissionReview struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Request    *admissionRequest  `json:"request,omitempty"`
	Response   *admissionResponse `json:"response,omitempty"`
}

type admissionRequest struct {
	UID      string `json:"uid"`
	Resource struct {
		Group    string `json:"group"`
		Version  string `json:"version"`
		Resource string `json:"resource"`
	} `json:"resource"`
	SubResource string          `json:"subResource"`
	Name        string          `json:"name"`
	Namespace   string          `json:"namespace"`
	Operation   string          `json:"operation"`
	Object      json.RawMessage `json:"object"`
	OldObject   json.RawMessage `json:"oldObject"`
	DryRun      *bool           `json:"dryRun"`
}

type admissionResponse struct {
	UID       string            `json:"uid"`
	Allowed   bool              `json:"allowed"`
	Status    *status           `json:"status,omitempty"`
	Patch     []byte            `json:"patch,omitempty"`
	PatchType string            `json:"patchType,omitempty"`
	Audit     map[string]string `json:"auditAnnotations,omitempty"`
	Warnings  []string          `json:"warnings,omitempty"`
}

// status is metav1.Status.
type status struct {
	Status  string `json:"status,omitempty"`
	Message string `json:"message,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Code    int    `json:"code,omitempty"`
}

// reasons are metav1.StatusReason for codes.
var reasons = map[int]string{
	http.StatusForbidden: "Forbidden", http.StatusBadRequest: "BadRequest", http.StatusRequestEntityTooLarge: "RequestEntityTooLarge",
}

// parseReview reads a review. With an error, the request may be there with its uid. Errors: Invalid, Unsupported.
func parseReview(b []byte) (*admissionRequest, error) {
	var r admissionReview
	if err := exactjson.Unmarshal(b, &r); err != nil {
		return nil, seaworthy.Wrap(err, seaworthy.Invalid, "reading the review")
	}
	switch {
	case r.Kind != reviewKind:
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the review: it is a %q", r.Kind)
	case r.APIVersion != reviewVersion:
		return nil, seaworthy.Errorf(seaworthy.Unsupported, "reading the review: its version is %q", r.APIVersion).
			WithHint("the webhook's admissionReviewVersions must be [v1]")
	case r.Request == nil:
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the review: it has no request")
	case r.Request.UID == "":
		return nil, seaworthy.Errorf(seaworthy.Invalid, "reading the review: its request has no uid")
	}
	return r.Request, nil
}

// review answers reviews by one of the gate's phases. An answer to a review that was understood is always 200; what
// the gate cannot answer at all is a status that makes the cluster obey the webhook's failurePolicy.
func (h *Handler) review(phase func(context.Context, *admit.Request) (*admit.Answer, error)) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, req *http.Request) error {
		began := time.Now()
		timeout, err := timeoutOf(req)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithDeadline(req.Context(), admit.Deadline(began, timeout))
		defer cancel()
		b, err := h.body(w, req, MaxReview)
		if err != nil {
			return err
		}
		r, err := parseReview(b)
		if err != nil {
			return err
		}
		asked := r.asked()
		if h.o.NamespaceLabels != nil && r.Namespace != "" {
			asked.NamespaceLabels = h.o.NamespaceLabels(ctx, r.Namespace)
		}
		answer, err := phase(ctx, asked)
		if err != nil {
			return err
		}
		out, err := respond(r.UID, answer)
		if err != nil {
			return err
		}
		writeJSON(w, http.StatusOK, out)
		return nil
	}
}

// asked is the request as the gate wants it.
func (r *admissionRequest) asked() *admit.Request {
	return &admit.Request{
		Operation: r.Operation, Group: r.Resource.Group, Version: r.Resource.Version, Resource: r.Resource.Resource, Subresource: r.SubResource,
		Namespace: r.Namespace, Name: r.Name, Object: present(r.Object), OldObject: present(r.OldObject), DryRun: r.DryRun != nil && *r.DryRun,
	}
}

// IsReview reports whether bytes are meant to be a review.
func IsReview(b []byte) bool {
	var head struct {
		Kind string `json:"kind"`
	}
	return exactjson.Unmarshal(b, &head) == nil && head.Kind == reviewKind
}

// ParseReview reads the request of a review, as a cluster sent it. Errors: Invalid, Unsupported.
func ParseReview(b []byte) (*admit.Request, error) {
	r, err := parseReview(b)
	if err != nil {
		return nil, err
	}
	return r.asked(), nil
}

// present is nil for null.
func present(raw json.RawMessage) []byte {
	if string(raw) == "null" {
		return nil
	}
	return raw
}

func respond(uid string, a *admit.Answer) (*admissionReview, error) {
	r := &admissionResponse{UID: uid, Allowed: a.Allowed, Audit: a.Audit, Warnings: a.Warnings}
	if !a.Allowed {
		code := statusOf(a.Code)
		r.Status = &status{Status: "Failure", Message: a.Message, Reason: reasons[code], Code: code}
	}
	if len(a.Patch) > 0 {
		b, err := json.Marshal(a.Patch)
		if err != nil {
			return nil, seaworthy.Wrap(err, seaworthy.Internal, "writing a patch")
		}
		r.Patch, r.PatchType = b, "JSONPatch"
	}
	return &admissionReview{APIVersion: reviewVersion, Kind: reviewKind, Response: r}, nil
}

// timeoutOf is when the cluster gives up, as it says in the query; 0 when it does not say. Errors: Usage.
func timeoutOf(req *http.Request) (time.Duration, error) {
	text := req.URL.Query().Get("timeout")
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 {
		return 0, seaworthy.Errorf(seaworthy.Usage, "reading ?timeout=%q: not like 10s", text)
	}
	return min(d, 30*time.Second), nil // Kubernetes allows no more
}
