package kube

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seaworthy-dev/seaworthy/engine/policy"
)

// Limits of what a status says.
const (
	maxMessage = 4096 // bytes
	maxBrief   = 100  // characters; Ratify's limit of "brieferror"
)

// conditionReady is the one condition that we write; policy-controller's has the same name.
const conditionReady = "Ready"

// writeStatus writes whether an object is sound, unless it says so already: also when another replica was faster.
// An object whose definition has no status has none.
func (s *Source) writeStatus(ctx context.Context, h *held) error {
	status := h.conditionStatus
	if h.kind.Bare {
		status = h.bareStatus
	}
	wanted, same := status(time.Now())
	if same {
		return nil
	}
	body, err := json.Marshal(map[string]any{"status": wanted})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	_, err = s.cluster.dynamic.Resource(h.version).Patch(ctx, h.object.GetName(), types.MergePatchType, body,
		metav1.PatchOptions{FieldManager: s.o.Agent}, "status")
	if apierrors.IsNotFound(err) {
		return nil // it is gone, or its definition has no status
	}
	return answered(err, "writing the status of %q", h.file.Name)
}

// verdict is what a status says: whether the object is sound, and what is to be said about it.
func (h *held) verdict() (sound bool, message string) {
	sound = !slices.ContainsFunc(h.mistakes, func(m policy.Mistake) bool { return !m.Warning })
	var said []string
	for _, m := range h.mistakes {
		line := m.Detail
		if m.Path != "" {
			line = m.Path + ": " + line
		}
		if m.Hint != "" {
			line += " (" + m.Hint + ")"
		}
		if m.Warning {
			line = "warning: " + line
		}
		said = append(said, line)
	}
	message = strings.Join(said, "; ")
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	return sound, message
}

func (h *held) conditionStatus(now time.Time) (status map[string]any, same bool) {
	sound, message := h.verdict()
	condition := map[string]any{
		"type": conditionReady, "status": "True", "reason": "Sound", "message": message,
		"observedGeneration": h.object.GetGeneration(), "lastTransitionTime": now.UTC().Format(time.RFC3339),
	}
	if !sound {
		condition["status"], condition["reason"] = "False", "Mistake"
	}
	before := readyCondition(h.object)
	if before["status"] == condition["status"] {
		condition["lastTransitionTime"] = before["lastTransitionTime"]
	}
	same = true
	for field, value := range condition {
		same = same && before[field] == value
	}
	return map[string]any{"observedGeneration": h.object.GetGeneration(), "conditions": []any{condition}}, same
}

// readyCondition is the condition that an object has.
func readyCondition(u *unstructured.Unstructured) map[string]any {
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	for _, c := range conditions {
		if m, ok := c.(map[string]any); ok && m["type"] == conditionReady {
			return m
		}
	}
	return nil
}

// bareStatus is the status of Ratify's kinds.
func (h *held) bareStatus(time.Time) (status map[string]any, same bool) {
	sound, message := h.verdict()
	if sound {
		message = ""
	}
	brief := []rune(message)
	if len(brief) > maxBrief {
		brief = append(brief[:maxBrief-1], '…')
	}
	status = map[string]any{"issuccess": sound, "error": message, "brieferror": string(brief)}
	before, _, _ := unstructured.NestedMap(h.object.Object, "status")
	same = true
	for field, value := range status {
		same = same && before[field] == value
	}
	return status, same
}
