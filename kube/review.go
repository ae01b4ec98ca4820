package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/seaworthy-dev/seaworthy"
	"github.com/seaworthy-dev/seaworthy/engine/policy"
)

// maxReview is what the API server sends at most: an object as it was and as it would be.
const maxReview = 2*(3<<20) + 1<<20

// maxChecks is how many policies are checked at once: compiling one is work, and whoever reaches the port may ask.
const maxChecks = 8

// maxReported is how many mistakes a refusal names.
const maxReported = 10

// Check says what is wrong with an object of one of Kinds that is about to be written, as if it were there. What it
// refers to may come later: that something is not there is a warning, and the status of the object says so until it is.
func (s *Source) Check(ctx context.Context, object []byte) []policy.Mistake {
	var head map[string]any
	if err := json.Unmarshal(object, &head); err != nil {
		return []policy.Mistake{{Code: seaworthy.Invalid, Detail: "it is not JSON: " + err.Error()}}
	}
	kind, _ := head["kind"].(string)
	file, err := fileOf(kind, head)
	if err != nil {
		return []policy.Mistake{{Code: seaworthy.Invalid, Detail: err.Error()}}
	}
	all, err := s.objects()
	if err != nil {
		return []policy.Mistake{{File: file.Name, Code: seaworthy.CodeOf(err), Detail: err.Error()}}
	}
	var files []policy.File
	for _, h := range all { // what it may refer to
		if h.kind.Name == "TrustRoot" && h.file.Name != file.Name {
			files = append(files, h.file)
		}
	}
	o := s.options(ctx, s.cluster.once)
	_, mistakes := policy.Load(append(files, file), o)
	var out []policy.Mistake
	for _, m := range mistakes {
		if m.File != file.Name {
			continue
		}
		m.Warning = m.Warning || m.Code == seaworthy.NotFound
		out = append(out, m)
	}
	return out
}

// admissionReview is the part of admission.k8s.io/v1 that matters here.
type admissionReview struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Request    *admissionRequest  `json:"request,omitempty"`
	Response   *admissionResponse `json:"response,omitempty"`
}

type admissionRequest struct {
	UID       string          `json:"uid"`
	Operation string          `json:"operation"`
	Object    json.RawMessage `json:"object"`
}

type admissionResponse struct {
	UID      string           `json:"uid"`
	Allowed  bool             `json:"allowed"`
	Status   *admissionStatus `json:"status,omitempty"`
	Warnings []string         `json:"warnings,omitempty"`
}

type admissionStatus struct {
	Code    int    `json:"code"`
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// ServeHTTP answers the API server's reviews of objects of Kinds: one that is not sound is refused, with the path of
// every field that is wrong.
func (s *Source) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "an AdmissionReview is posted", http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReview))
	if err != nil {
		http.Error(w, "the review cannot be read: "+err.Error(), http.StatusRequestEntityTooLarge)
		return
	}
	var review admissionReview
	if err := json.Unmarshal(body, &review); err != nil || review.Request == nil || review.Request.UID == "" || review.Kind != "AdmissionReview" {
		http.Error(w, "this is no AdmissionReview", http.StatusBadRequest)
		return
	}
	response := &admissionResponse{UID: review.Request.UID, Allowed: true}
	if op := review.Request.Operation; op == "CREATE" || op == "UPDATE" {
		select {
		case s.checks <- struct{}{}:
		case <-r.Context().Done():
			return
		}
		mistakes := s.Check(r.Context(), review.Request.Object)
		<-s.checks
		response.take(mistakes)
	}
	w.Header().Set("Content-Type", "application/json")
	// An error is that of a connection that is gone.
	_ = json.NewEncoder(w).Encode(admissionReview{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview", Response: response})
}

func (a *admissionResponse) take(mistakes []policy.Mistake) {
	var wrong []string
	for _, m := range mistakes {
		text := m.Detail
		if m.Path != "" {
			text = m.Path + ": " + text
		}
		if m.Hint != "" {
			text += " (" + m.Hint + ")"
		}
		if m.Warning {
			a.Warnings = append(a.Warnings, text)
		} else {
			wrong = append(wrong, text)
		}
	}
	a.Warnings = a.Warnings[:min(len(a.Warnings), maxReported)]
	if len(wrong) == 0 {
		return
	}
	slices.Sort(wrong)
	wrong = slices.Compact(wrong)
	message := "the policy is not sound: " + strings.Join(wrong[:min(len(wrong), maxReported)], "; ")
	if more := len(wrong) - maxReported; more > 0 {
		message += fmt.Sprintf("; and %d more", more)
	}
	a.Allowed, a.Status = false, &admissionStatus{Code: http.StatusUnprocessableEntity, Reason: "Invalid", Message: message}
}
